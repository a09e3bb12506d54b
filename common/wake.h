/* Wakes a thread that sleeps in zmq_poll: an eventfd. */
#ifndef MB_WAKE_H
#define MB_WAKE_H

#include "mailbus/error.h"

/* `ret_fd` is to be polled for reading, and closed with close(2). */
MAILBUS_MUST_USE mailbus_code_t mb_wake_new(int *ret_fd, mailbus_error_t *error);
/* Any thread; never blocks. */
void mb_wake(int fd);
/* By the thread that was woken, before it looks for work. */
void mb_wake_clear(int fd);

#endif
