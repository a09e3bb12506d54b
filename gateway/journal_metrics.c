#include "journal_metrics.h"

/* A commit is one sync: from a tenth of a millisecond (a cache with a battery) to a stalled disk.
 */
static const double commit_bounds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                       0.05,   0.1,   0.25,   0.5,   1,    5};
static const double batch_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

void journal_metrics_register(journal_metrics_t *self, mb_metrics_t *registry)
{
    self->events =
        mb_counter(registry, "mailbus_journal_events_total", "", "Events committed, each id once");
    self->duplicates = mb_counter(registry, "mailbus_journal_duplicates_total", "",
                                  "Deliveries of an event that was committed before");
    self->body_conflicts = mb_counter(registry, "mailbus_journal_body_conflicts_total", "",
                                      "Duplicates whose body differs from the first copy's");
    self->failed = mb_counter(registry, "mailbus_journal_failed_total", "",
                              "Events taken but not committed; the sender was told to try again");
    self->refused = mb_counter(registry, "mailbus_journal_refused_total", "",
                               "Events not taken: queue or disk full, stopping or broken");
    self->commits =
        mb_counter(registry, "mailbus_journal_commits_total", "", "Transactions with events");
    self->commit_failures = mb_counter(registry, "mailbus_journal_commit_failures_total", "",
                                       "Transactions that were undone");
    self->commit_seconds = mb_histogram(registry, "mailbus_journal_commit_duration_seconds", "",
                                        "Time of one transaction with events, its sync included",
                                        commit_bounds, COUNT(commit_bounds));
    self->batch_events = mb_histogram(registry, "mailbus_journal_batch_events", "",
                                      "Events in one transaction, duplicates included",
                                      batch_bounds, COUNT(batch_bounds));
    self->queue =
        mb_gauge(registry, "mailbus_journal_queue_events", "", "Events that wait for a batch");
    self->topics =
        mb_gauge(registry, "mailbus_journal_topics", "", "Topics that ever had an event");
    self->head =
        mb_gauge(registry, "mailbus_journal_head_sequence", "", "Sequence of the newest event");
    self->oldest = mb_gauge(registry, "mailbus_journal_oldest_sequence", "",
                            "Oldest sequence that can still be replayed");
    self->size = mb_gauge(registry, "mailbus_journal_size_bytes", "", "Size of the journal");
    self->disk_free = mb_gauge(registry, "mailbus_journal_disk_free_bytes", "",
                               "Free on the journal's file system");
    self->pruned_bodies = mb_counter(registry, "mailbus_journal_pruned_bodies_total", "",
                                     "Bodies that retention took away");
    self->pruned_ids = mb_counter(registry, "mailbus_journal_pruned_ids_total", "",
                                  "Event ids that retention took away");
    self->quarantined = mb_counter(registry, "mailbus_journal_quarantined_total", "",
                                   "Verified but unreadable requests kept");
    self->quarantine_dropped =
        mb_counter(registry, "mailbus_journal_quarantine_dropped_total", "",
                   "Verified but unreadable requests that could not be kept");
}
