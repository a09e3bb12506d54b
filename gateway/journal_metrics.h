/* What the journal counts. */
#ifndef GATEWAY_JOURNAL_METRICS_H
#define GATEWAY_JOURNAL_METRICS_H

#include "metrics.h"

typedef struct {
    mb_metric_t *events;
    mb_metric_t *duplicates;
    mb_metric_t *body_conflicts;
    mb_metric_t *failed;
    mb_metric_t *refused;
    mb_metric_t *commits;
    mb_metric_t *commit_failures;
    mb_metric_t *commit_seconds;
    mb_metric_t *batch_events;
    mb_metric_t *queue;
    mb_metric_t *topics;
    mb_metric_t *head;
    mb_metric_t *oldest;
    mb_metric_t *size;
    mb_metric_t *disk_free;
    mb_metric_t *pruned_bodies;
    mb_metric_t *pruned_ids;
    mb_metric_t *quarantined;
    mb_metric_t *quarantine_dropped;
} journal_metrics_t;

void journal_metrics_register(journal_metrics_t *self, mb_metrics_t *registry);

#endif
