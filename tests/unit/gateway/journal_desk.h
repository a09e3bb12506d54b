/* The sender's side in tests of the journal: hands events in, waits for their answers, and writes
 * down what was published. */
#ifndef TESTS_JOURNAL_DESK_H
#define TESTS_JOURNAL_DESK_H

#include "journal.h"

typedef struct journal_desk journal_desk_t;

/* An answer, in the order of the submits. */
typedef struct {
    journal_result_t result;
    int times;               /* how often it came: must be 1 */
    size_t published_before; /* events that had been published when it came */
    char id[64];
    uint8_t sha256[MB_SHA256_SIZE];
} journal_answer_t;

typedef struct {
    uint64_t sequence;
    uint64_t previous;
    char topic[MAILBUS_TOPIC_MAX + 1];
    char id[64];
} journal_published_t;

/* heard: asked before an answer or a publication is written down; false: it never left the machine.
 * NULL: always. */
journal_desk_t *journal_desk_new(bool (*heard)(void *arg), void *arg);
void journal_desk_free(journal_desk_t **self_p);
/* The journal tells this desk of its commits. */
void journal_desk_listen(journal_desk_t *self, journal_t *journal);
/* An event with its digest; body NULL: one made of the id. Aborts without memory. */
event_t *journal_desk_event(const char *topic, const char *id, const void *body, size_t size);
/* Submit an event made of these; its place among the answers is the number of accepted ones so far.
 */
mailbus_code_t journal_desk_submit(journal_desk_t *self, journal_t *journal, const char *topic,
                                   const char *id, const void *body, size_t size);
/* Until everything that was accepted is answered. False: not within 30 s. */
bool journal_desk_wait(journal_desk_t *self);
/* After journal_desk_wait: lent until the next submit. */
size_t journal_desk_answers(journal_desk_t *self, const journal_answer_t **ret_answers);
size_t journal_desk_published(journal_desk_t *self, const journal_published_t **ret_published);
/* The journal_sequence of the heads given with the last commit. */
uint64_t journal_desk_head(journal_desk_t *self);

/* A folder of its own under $TMPDIR or /tmp, and away with it. */
void journal_folder_new(char path[128]);
void journal_folder_remove(const char *path);
/* Wait until the metric's value is at least `value`. False: not within 30 s. */
bool journal_metric_reaches(const mb_metric_t *metric, uint64_t value);

#endif
