/* Counters, gauges and histograms in Prometheus's text format (exposition format 0.0.4).
 *
 * They are declared beside the code that counts. Names follow Prometheus's naming guide:
 * mailbus_<part>_<what>_<unit>, counters end in _total, seconds and bytes as base units.
 * Updating is lock-free and may be done from any thread; registering is for start-up. */
#ifndef MB_METRICS_H
#define MB_METRICS_H

#include <stdint.h>

#include "mailbus/buf.h"

typedef struct mb_metrics mb_metrics_t;
typedef struct mb_metric mb_metric_t;

mb_metrics_t *mb_metrics_new(void);
void mb_metrics_destroy(mb_metrics_t **self_p);

/* Register and return a metric; it lives as long as the registry. `labels` is "" or the inside of
 * the braces, `reason="signature"`. The same name may be registered with different labels (same
 * help). The same name and labels again give the same metric. `self` NULL gives NULL; updates of
 * NULL do nothing. */
mb_metric_t *mb_counter(mb_metrics_t *self, const char *name, const char *labels, const char *help);
mb_metric_t *mb_gauge(mb_metrics_t *self, const char *name, const char *labels, const char *help);
/* bounds: upper bounds in the metric's unit, ascending; +Inf is added. */
mb_metric_t *mb_histogram(mb_metrics_t *self, const char *name, const char *labels,
                          const char *help, const double *bounds, size_t count);
/* Append name="value" with the value escaped, after a comma where `out` holds labels already: for
 * label values that the program does not write itself. */
void mb_metric_label(const char *name, const char *value, mailbus_buf_t *out);
void mb_metric_add(mb_metric_t *metric, uint64_t n);       /* counter */
void mb_metric_set(mb_metric_t *metric, int64_t value);    /* gauge */
void mb_metric_move(mb_metric_t *metric, int64_t delta);   /* gauge */
void mb_metric_observe(mb_metric_t *metric, double value); /* histogram */
uint64_t mb_metric_value(const mb_metric_t *metric);       /* counter or gauge, for tests */

/* Append the whole registry and the process's own figures (process_resident_memory_bytes,
 * process_cpu_seconds_total, process_open_fds, process_start_time_seconds). */
void mb_metrics_render(mb_metrics_t *self, mailbus_buf_t *out);

#endif
