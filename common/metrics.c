#include "metrics.h"

#include <assert.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics_process.h"

typedef enum { COUNTER, GAUGE, HISTOGRAM } metric_type_t;

struct mb_metric {
    mb_metric_t *next;
    metric_type_t type;
    char *name;
    char *labels;
    char *help;
    _Atomic uint64_t value; /* counter, or a gauge's two's complement; a histogram's count */
    _Atomic uint64_t sum;   /* the bits of a double: histogram */
    double *bounds;
    _Atomic uint64_t *buckets; /* one a bound, not yet cumulated */
    size_t count;              /* of bounds */
};

struct mb_metrics {
    pthread_mutex_t lock; /* over the list; values are atomic */
    mb_metric_t *first;
};

mb_metrics_t *mb_metrics_new(void)
{
    mb_metrics_t *self = calloc(1, sizeof *self);
    if (self != NULL) {
        pthread_mutex_init(&self->lock, NULL);
    }
    return self;
}

static void metric_free(mb_metric_t *metric)
{
    if (metric != NULL) {
        free(metric->name);
        free(metric->labels);
        free(metric->help);
        free(metric->bounds);
        free(metric->buckets);
        free(metric);
    }
}

void mb_metrics_destroy(mb_metrics_t **self_p)
{
    mb_metrics_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    while (self->first != NULL) {
        mb_metric_t *metric = self->first;
        self->first = metric->next;
        metric_free(metric);
    }
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static bool name_valid(const char *name)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:";
    return *name != '\0' && strchr(first, *name) != NULL &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:0123456789") ==
               strlen(name);
}

/* name="value",… with the value escaped as mb_metric_label does it. */
static bool labels_valid(const char *at)
{
    while (*at != '\0') {
        size_t name = strcspn(at, "=");
        if (name == 0 || strncmp(at + name, "=\"", 2) != 0) {
            return false;
        }
        for (at += name + 2; *at != '"'; at++) {
            if (*at == '\\' && at[1] != '\0') {
                at++;
            }
            if (*at == '\0' || *at == '\n') {
                return false;
            }
        }
        at++;
        if (*at == ',' && at[1] != '\0') {
            at++;
        } else if (*at != '\0') {
            return false;
        }
    }
    return true;
}

/* Escape as the exposition format asks: backslash, newline and, in labels, the quote. */
static void put_escaped(const char *text, bool quote, mailbus_buf_t *out)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' || (quote && *text == '"')) {
            mailbus_buf_char(out, '\\');
            mailbus_buf_char(out, *text);
        } else if (*text == '\n') {
            mailbus_buf_text(out, "\\n");
        } else {
            mailbus_buf_char(out, *text);
        }
    }
}

void mb_metric_label(const char *name, const char *value, mailbus_buf_t *out)
{
    if (out->size > 0) {
        mailbus_buf_char(out, ',');
    }
    mailbus_buf_text(out, name);
    mailbus_buf_text(out, "=\"");
    put_escaped(value, true, out);
    mailbus_buf_char(out, '"');
}

static mb_metric_t *metric_new(metric_type_t type, const char *name, const char *labels,
                               const char *help, const double *bounds, size_t count)
{
    mb_metric_t *metric = calloc(1, sizeof *metric);
    if (metric == NULL) {
        return NULL;
    }
    metric->type = type;
    metric->name = strdup(name);
    metric->labels = strdup(labels);
    metric->help = strdup(help);
    metric->count = count;
    bool good = metric->name != NULL && metric->labels != NULL && metric->help != NULL;
    if (count > 0) {
        metric->bounds = malloc(count * sizeof *metric->bounds);
        metric->buckets = calloc(count, sizeof *metric->buckets);
        good = good && metric->bounds != NULL && metric->buckets != NULL;
    }
    if (!good) {
        metric_free(metric);
        return NULL;
    }
    for (size_t at = 0; at < count; at++) {
        assert(at == 0 || bounds[at - 1] < bounds[at]);
        metric->bounds[at] = bounds[at];
    }
    return metric;
}

static mb_metric_t *add_metric(mb_metrics_t *self, metric_type_t type, const char *name,
                               const char *labels, const char *help, const double *bounds,
                               size_t count)
{
    if (self == NULL) {
        return NULL;
    }
    assert(name_valid(name) && labels_valid(labels));
    pthread_mutex_lock(&self->lock);
    mb_metric_t **family_end = NULL;
    mb_metric_t **at = &self->first;
    mb_metric_t *found = NULL;
    for (; *at != NULL; at = &(*at)->next) {
        if (strcmp((*at)->name, name) == 0) {
            assert((*at)->type == type);
            family_end = &(*at)->next;
            if (strcmp((*at)->labels, labels) == 0) {
                found = *at;
                break;
            }
        }
    }
    if (found == NULL) {
        found = metric_new(type, name, labels, help, bounds, count);
        if (found != NULL) { /* behind its family, so that HELP and TYPE come once */
            mb_metric_t **link = family_end != NULL ? family_end : at;
            found->next = *link;
            *link = found;
        }
    }
    pthread_mutex_unlock(&self->lock);
    return found;
}

mb_metric_t *mb_counter(mb_metrics_t *self, const char *name, const char *labels, const char *help)
{
    return add_metric(self, COUNTER, name, labels, help, NULL, 0);
}

mb_metric_t *mb_gauge(mb_metrics_t *self, const char *name, const char *labels, const char *help)
{
    return add_metric(self, GAUGE, name, labels, help, NULL, 0);
}

mb_metric_t *mb_histogram(mb_metrics_t *self, const char *name, const char *labels,
                          const char *help, const double *bounds, size_t count)
{
    return add_metric(self, HISTOGRAM, name, labels, help, bounds, count);
}

void mb_metric_add(mb_metric_t *metric, uint64_t n)
{
    if (metric != NULL) {
        assert(metric->type == COUNTER);
        atomic_fetch_add_explicit(&metric->value, n, memory_order_relaxed);
    }
}

void mb_metric_set(mb_metric_t *metric, int64_t value)
{
    if (metric != NULL) {
        assert(metric->type == GAUGE);
        atomic_store_explicit(&metric->value, (uint64_t)value, memory_order_relaxed);
    }
}

void mb_metric_move(mb_metric_t *metric, int64_t delta)
{
    if (metric != NULL) {
        assert(metric->type == GAUGE);
        atomic_fetch_add_explicit(&metric->value, (uint64_t)delta, memory_order_relaxed);
    }
}

static double bits_to_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void mb_metric_observe(mb_metric_t *metric, double value)
{
    if (metric == NULL || isnan(value)) { /* one NaN would spoil the sum for ever */
        return;
    }
    assert(metric->type == HISTOGRAM);
    size_t at = 0;
    while (at < metric->count && value > metric->bounds[at]) {
        at++;
    }
    if (at < metric->count) {
        atomic_fetch_add_explicit(&metric->buckets[at], 1, memory_order_relaxed);
    }
    uint64_t old = atomic_load_explicit(&metric->sum, memory_order_relaxed);
    uint64_t new;
    do {
        double sum = bits_to_double(old) + value;
        memcpy(&new, &sum, sizeof new);
    } while (!atomic_compare_exchange_weak_explicit(&metric->sum, &old, new, memory_order_relaxed,
                                                    memory_order_relaxed));
    /* Counted last, so that a reader between the steps sees no bucket above the count's +Inf for
     * long: rendering takes the larger of the two. */
    atomic_fetch_add_explicit(&metric->value, 1, memory_order_relaxed);
}

uint64_t mb_metric_value(const mb_metric_t *metric)
{
    return metric == NULL ? 0 : atomic_load_explicit(&metric->value, memory_order_relaxed);
}

/* name{labels} or, with a bucket's bound, name{labels,le="bound"}. */
static void put_series(const mb_metric_t *metric, const char *suffix, const char *bound,
                       mailbus_buf_t *out)
{
    mailbus_buf_text(out, metric->name);
    mailbus_buf_text(out, suffix);
    if (*metric->labels != '\0' || bound != NULL) {
        mailbus_buf_char(out, '{');
        mailbus_buf_text(out, metric->labels);
        if (bound != NULL) {
            mailbus_buf_printf(out, "%sle=\"%s\"", *metric->labels != '\0' ? "," : "", bound);
        }
        mailbus_buf_char(out, '}');
    }
    mailbus_buf_char(out, ' ');
}

static void put_histogram(const mb_metric_t *metric, mailbus_buf_t *out)
{
    uint64_t count = mb_metric_value(metric);
    uint64_t cumulated = 0;
    for (size_t at = 0; at < metric->count; at++) {
        char bound[32];
        snprintf(bound, sizeof bound, "%.12g", metric->bounds[at]);
        cumulated += atomic_load_explicit(&metric->buckets[at], memory_order_relaxed);
        put_series(metric, "_bucket", bound, out);
        mailbus_buf_printf(out, "%llu\n", (unsigned long long)cumulated);
    }
    count = count < cumulated ? cumulated : count;
    put_series(metric, "_bucket", "+Inf", out);
    mailbus_buf_printf(out, "%llu\n", (unsigned long long)count);
    put_series(metric, "_sum", NULL, out);
    double sum = bits_to_double(atomic_load_explicit(&metric->sum, memory_order_relaxed));
    mailbus_buf_printf(out, "%.15g\n", sum);
    put_series(metric, "_count", NULL, out);
    mailbus_buf_printf(out, "%llu\n", (unsigned long long)count);
}

static void put_metric(const mb_metric_t *metric, mailbus_buf_t *out)
{
    if (metric->type == HISTOGRAM) {
        put_histogram(metric, out);
        return;
    }
    put_series(metric, "", NULL, out);
    uint64_t value = mb_metric_value(metric);
    if (metric->type == COUNTER) {
        mailbus_buf_printf(out, "%llu\n", (unsigned long long)value);
    } else {
        mailbus_buf_printf(out, "%lld\n", (long long)(int64_t)value);
    }
}

void mb_metrics_render(mb_metrics_t *self, mailbus_buf_t *out)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    pthread_mutex_lock(&self->lock);
    const char *family = "";
    for (const mb_metric_t *metric = self->first; metric != NULL; metric = metric->next) {
        if (strcmp(family, metric->name) != 0) {
            family = metric->name;
            mailbus_buf_printf(out, "# HELP %s ", family);
            put_escaped(metric->help, false, out);
            mailbus_buf_printf(out, "\n# TYPE %s %s\n", family, types[metric->type]);
        }
        put_metric(metric, out);
    }
    pthread_mutex_unlock(&self->lock);
    mb_metrics_process(out);
}
