#include "wake.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

mailbus_code_t mb_wake_new(int *ret_fd, mailbus_error_t *error)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        return mailbus_fail(error, MAILBUS_EIO, "can't make an eventfd: %s", strerror(errno));
    }
    *ret_fd = fd;
    return MAILBUS_OK;
}

void mb_wake(int fd)
{
    /* It can fail only where the counter is full, and then the thread is awake anyway. */
    int result = eventfd_write(fd, 1);
    assert(result == 0 || errno == EAGAIN);
}

void mb_wake_clear(int fd)
{
    eventfd_t count;
    int result = eventfd_read(fd, &count);
    assert(result == 0 || errno == EAGAIN);
}
