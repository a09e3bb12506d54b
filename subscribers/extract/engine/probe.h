/* Harmless attackers, for the start of mailbus-extract: each tries what its layer forbids. */
#ifndef ENGINE_PROBE_H
#define ENGINE_PROBE_H

/* Print one line "NAME stopped" or "NAME SUCCEEDED" for every attack that can be tried in one
 * process ("layers"); "sleep" and "write" never end by themselves. The exit status: 0 where all
 * were stopped. */
int probe_run(const char *name);

#endif
