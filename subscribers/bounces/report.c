#include "report.h"

#include <stdlib.h>
#include <string.h>

#include "agentmail/address.h"
#include "agentmail/text.h"
#include "mailbus/replay.h"

/* A copy as one line, NULL for NULL and for what has nothing to show. *failed: no memory. */
static char *line(const char *text, size_t most, bool *failed)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    if (text == NULL) {
        return NULL;
    }
    agentmail_text_line(text, strlen(text), most, &out);
    *failed = *failed || out.failed;
    if (out.failed || out.size == 0) {
        mailbus_buf_free(&out);
        return NULL;
    }
    return mailbus_buf_take(&out, NULL);
}

static char *key_of(const char *address, bool *failed)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, "");
    agentmail_address_key(address, &out);
    *failed = *failed || out.failed;
    return mailbus_buf_take(&out, NULL);
}

/* A body's own time is the sender's; one in the future must not outweigh what comes after it. */
static int64_t time_of(const mailbus_event_t *event, const char *timestamp)
{
    int64_t time_ms = 0;
    int64_t recorded_ms = 0;
    if (mailbus_time_parse(event->recorded_time, &recorded_ms) != MAILBUS_OK) {
        recorded_ms = INT64_MAX; /* the codec has checked it */
    }
    if ((timestamp == NULL || mailbus_time_parse(timestamp, &time_ms) != MAILBUS_OK) &&
        mailbus_time_parse(event->time, &time_ms) != MAILBUS_OK) {
        time_ms = recorded_ms;
    }
    time_ms = time_ms > recorded_ms ? recorded_ms : time_ms;
    return time_ms < 1 ? 1 : time_ms;
}

/* From what is kept, so that the same comes out where it is read again from the history. */
static fact_kind_t kind_of(const report_t *report, const classify_rules_t *rules,
                           const char *status)
{
    switch (report->what) {
    case AGENTMAIL_SENT:
        return FACT_SENT;
    case AGENTMAIL_DELIVERED:
        return FACT_DELIVERED;
    case AGENTMAIL_BOUNCED:
        return classify_bounce(rules, report->type, report->sub_type, status);
    case AGENTMAIL_REJECTED:
        return FACT_REJECTED;
    case AGENTMAIL_COMPLAINED:
    case AGENTMAIL_OPENED:
        break;
    }
    return FACT_KINDS;
}

static int compare(const void *a, const void *b)
{
    const report_entry_t *left = a;
    const report_entry_t *right = b;
    int order = strcmp(left->key, right->key);
    if (order == 0) {
        order = (left->kind < right->kind) - (left->kind > right->kind); /* the heavier first */
    }
    return order != 0 ? order : strcmp(left->shown, right->shown);
}

static void entry_free(report_entry_t *entry)
{
    free(entry->key);
    free(entry->shown);
    free(entry->status);
}

/* Each address once. */
static void sort(report_t *report)
{
    size_t kept = 0;
    if (report->count > 0) {
        qsort(report->entries, report->count, sizeof report->entries[0], compare);
    }
    for (size_t i = 0; i < report->count; i++) {
        if (kept > 0 && strcmp(report->entries[kept - 1].key, report->entries[i].key) == 0) {
            entry_free(&report->entries[i]);
        } else {
            report->entries[kept++] = report->entries[i];
        }
    }
    report->count = kept;
}

static bool fill(report_t *report, const mailbus_event_t *event, const agentmail_outcome_t *outcome,
                 const classify_rules_t *rules)
{
    bool failed = false;
    report->what = outcome->kind;
    report->time_ms = time_of(event, outcome->timestamp);
    report->event_id = line(event->id, MAILBUS_ID_MAX, &failed);
    char *inbox = line(outcome->inbox_id, REPORT_INBOX_MAX, &failed);
    report->inbox = key_of(inbox == NULL ? "" : inbox, &failed);
    free(inbox);
    report->message_id = line(outcome->message_id, MAILBUS_SUBJECT_MAX, &failed);
    report->type = line(outcome->type, REPORT_WORD_MAX, &failed);
    report->sub_type = line(outcome->sub_type, REPORT_WORD_MAX, &failed);
    report->reason = line(outcome->reason, REPORT_REASON_MAX, &failed);
    report->entries = calloc(outcome->recipient_count + 1, sizeof report->entries[0]);
    failed = failed || report->entries == NULL || report->event_id == NULL;
    for (size_t i = 0; i < outcome->recipient_count && !failed; i++) {
        const agentmail_recipient_t *recipient = &outcome->recipients[i];
        report_entry_t *entry = &report->entries[report->count++];
        entry->key = key_of(recipient->address, &failed);
        entry->shown = strdup(recipient->address);
        entry->status = line(recipient->status, REPORT_STATUS_MAX, &failed);
        entry->kind = kind_of(report, rules, entry->status);
        failed = failed || entry->shown == NULL;
    }
    return !failed;
}

mailbus_code_t report_read(const mailbus_event_t *event, const classify_rules_t *rules,
                           report_t **ret_report, mailbus_error_t *error)
{
    agentmail_outcome_t *outcome = NULL;
    mailbus_code_t code = agentmail_outcome_read(event->body, event->body_size, &outcome, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    report_t *report = NULL;
    if (outcome->kind == AGENTMAIL_COMPLAINED || outcome->kind == AGENTMAIL_OPENED) {
        code = mailbus_fail(error, MAILBUS_EINVAL,
                            "a complaint or an opened mail: nothing that is counted here");
    } else {
        report = calloc(1, sizeof *report);
        if (report == NULL || !fill(report, event, outcome, rules)) {
            code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        }
    }
    agentmail_outcome_free(&outcome);
    if (code == MAILBUS_OK) {
        sort(report);
        *ret_report = report;
        return MAILBUS_OK;
    }
    report_free(&report);
    return code;
}

void report_free(report_t **report_p)
{
    report_t *report = *report_p;
    *report_p = NULL;
    if (report == NULL) {
        return;
    }
    for (size_t i = 0; i < report->count; i++) {
        entry_free(&report->entries[i]);
    }
    free(report->entries);
    free(report->event_id);
    free(report->inbox);
    free(report->message_id);
    free(report->type);
    free(report->sub_type);
    free(report->reason);
    free(report);
}
