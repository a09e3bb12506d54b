/* Signals, taken by one thread with signalfd. Call mb_signals_block in main before any thread
 * starts. */
#ifndef MB_SIGNALS_H
#define MB_SIGNALS_H

#include "mailbus/error.h"

typedef enum { MB_SIGNAL_NONE, MB_SIGNAL_STOP, MB_SIGNAL_RELOAD } mb_signal_t;

/* Block SIGTERM, SIGINT, SIGHUP in this thread and all that it starts, ignore SIGPIPE, switch
 * czmq's handlers off, unset ZSYS_* in the environment, raise RLIMIT_NOFILE to its hard limit (at
 * most 65536). Returns a signalfd. */
MAILBUS_MUST_USE mailbus_code_t mb_signals_block(int *ret_fd, mailbus_error_t *error);
/* What mb_signals_block does to czmq alone, for code that uses czmq before: its signal handlers
 * off, ZSYS_* out of the environment. To be called while there is one thread. */
void mb_signals_tame_czmq(void);
/* Wait for the next one, at most timeout_ms (-1: for ever). NONE: the time is over. */
mb_signal_t mb_signals_wait(int fd, int timeout_ms);

#endif
