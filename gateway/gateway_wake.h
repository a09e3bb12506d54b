/* Wakes a thread that sleeps in zmq_poll: an eventfd. */
#ifndef GATEWAY_WAKE_H
#define GATEWAY_WAKE_H

#include "mailbus/error.h"

/* `ret_fd` is to be polled for reading, and closed with close(2). */
MAILBUS_MUST_USE mailbus_code_t gateway_wake_new(int *ret_fd, mailbus_error_t *error);
/* Any thread; never blocks. */
void gateway_wake(int fd);
/* By the thread that was woken, before it looks for work. */
void gateway_wake_clear(int fd);

#endif
