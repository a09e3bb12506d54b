#include "gateway_probe.h"

#include "clock.h"
#include "zmq_monitor.h"
#include "zmq_socket.h"

/* What the stranger's own end of the connection saw. Only a refusal for its key counts: a
 * connection that ends for another reason (a handler that does not answer, another socket type) did
 * not show what would become of the key. libzmq connects again until the deadline. */
static mailbus_code_t wait_for_verdict(mb_monitor_t *monitor, const char *endpoint,
                                       mailbus_error_t *error)
{
    int64_t deadline = mb_clock_monotonic_ms() + GATEWAY_PROBE_MS;
    for (;;) {
        int64_t left = deadline - mb_clock_monotonic_ms();
        if (left <= 0) {
            return mailbus_fail(error, MAILBUS_ETIMEOUT,
                                "%s did not show within %d s that an unknown key stays out: "
                                "start again, and look at the machine's load",
                                endpoint, GATEWAY_PROBE_MS / 1000);
        }
        zmq_pollitem_t item = {.socket = mb_monitor_socket(monitor), .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, (long)left);
        mb_monitor_event_t event;
        if (mb_monitor_next(monitor, &event) != MAILBUS_OK) {
            continue;
        }
        if (event.event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            return mailbus_fail(error, MAILBUS_EACCESS,
                                "%s let an unknown key in: this libzmq does not enforce keys; use "
                                "Debian's libzmq 4.3.4 or later, or loopback without keys",
                                endpoint);
        }
        if (event.event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
            return MAILBUS_OK;
        }
    }
}

mailbus_code_t gateway_probe(void *context, int type, const char *endpoint, const char *server_key,
                             mailbus_error_t *error)
{
    mb_key_pair_t stranger;
    void *socket = NULL;
    mb_monitor_t *monitor = NULL;
    const mb_socket_options_t options = {.own = &stranger, .server_key = server_key};
    mailbus_code_t code;
    if (zmq_curve_keypair(stranger.public_key, stranger.secret_key) != 0) {
        return mb_socket_fail(error, "making a key to check with");
    }
    code = mb_socket_new_client(context, type, &options, &socket, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    code = mb_monitor_new(context, socket,
                          ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_SUCCEEDED, &monitor,
                          error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    code = mb_socket_connect(socket, endpoint, error);
    if (code != MAILBUS_OK) {
        goto out;
    }
    code = wait_for_verdict(monitor, endpoint, error);
out:
    mb_monitor_destroy(&monitor);
    mb_socket_close(&socket);
    return code;
}
