/* What the world outside a journal knows (who was told 200, what was published), held against what
 * is in its file. Reads the file with SQL of its own, so that it believes nothing the journal says.
 */
#ifndef TESTS_FAULTS_LEDGER_H
#define TESTS_FAULTS_LEDGER_H

#include "journal_desk.h"

typedef struct {
    size_t acknowledged; /* ids that somebody was told 200 for */
    size_t lost;         /* … that are not there, or with another number */
    size_t changed;      /* bodies that are not the ones that were acknowledged */
    size_t twice;        /* ids that are there more than once */
    size_t renumbered;   /* published events whose number now belongs to another id */
    size_t gaps;         /* numbers left out; previous that doesn't name the one before */
    size_t damaged;      /* integrity_check, digests and heads that are not right */
    char first[200];     /* the first of these, in words */
} ledger_t;

/* Compare the file at `path` (opened through `vfs`; NULL: the default) with what `desk` has heard.
 * A file that can't be read is damaged. */
void ledger_check(const char *path, const char *vfs, journal_desk_t *desk, ledger_t *ret_ledger);
/* All but `acknowledged` are zero. */
bool ledger_balanced(const ledger_t *ledger);

#endif
