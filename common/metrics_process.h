/* The process's own figures, under the names that Prometheus's client libraries use. */
#ifndef MB_METRICS_PROCESS_H
#define MB_METRICS_PROCESS_H

#include "mailbus/buf.h"

/* A figure that the system does not give is left out. */
void mb_metrics_process(mailbus_buf_t *out);

#endif
