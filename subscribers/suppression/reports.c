#include "reports.h"

#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"
#include "entry_key.h"
#include "mailbus/replay.h"

enum {
    WORD_MAX = 64,    /* bytes of a type or sub_type: one word */
    STATUS_MAX = 200, /* of a status: a code, or a line of an SMTP server's */
    NOTE_MAX = 500,   /* of a reject's reason */
};

int64_t reports_time(const mailbus_event_t *event)
{
    int64_t time_ms = 0;
    int64_t recorded_ms = 0;
    bool recorded = mailbus_time_parse(event->recorded_time, &recorded_ms) == MAILBUS_OK;
    if (mailbus_time_parse(event->time, &time_ms) != MAILBUS_OK) {
        return recorded_ms; /* the codec has checked both */
    }
    return recorded && recorded_ms < time_ms ? recorded_ms : time_ms;
}

/* --- rejects ------------------------------------------------------------------------------------
 */

bool reports_speak_of_suppression(const char *reason)
{
    return agentmail_text_contains(reason, "suppress") &&
           !agentmail_text_contains(reason, "not suppress") &&
           !agentmail_text_contains(reason, "not on the suppress");
}

mailbus_code_t reports_named(const char *reason, agentmail_addresses_t *list,
                             mailbus_error_t *error)
{
    static const char between[] = " \t\r\n,;:()<>[]\"'`|";
    size_t most = list->count + REPORTS_NAMED_MAX;
    if (!reports_speak_of_suppression(reason)) {
        return MAILBUS_OK;
    }
    while (*reason != '\0' && list->count < most) {
        size_t size = strcspn(reason, between);
        size_t word = size;
        while (word > 0 && strchr(".!?", reason[word - 1]) != NULL) {
            word--; /* the end of a sentence */
        }
        if (word > 0 && memchr(reason, '@', word) != NULL &&
            agentmail_address_parse(reason, word, list, error) == MAILBUS_ENOMEM) {
            return MAILBUS_ENOMEM;
        }
        reason += size;
        reason += strspn(reason, between);
    }
    return MAILBUS_OK;
}

/* --- facts --------------------------------------------------------------------------------------
 */

/* The texts of an event, one line each, in one piece of memory. */
typedef struct {
    mailbus_buf_t buf;
    size_t at[8];
    size_t count;
} texts_t;

static void add_line(mailbus_buf_t *buf, const char *text, size_t most)
{
    if (text != NULL) {
        agentmail_text_line(text, strlen(text), most, buf);
    }
    mailbus_buf_char(buf, '\0');
}

static void add_text(texts_t *texts, const char *text, size_t most)
{
    texts->at[texts->count++] = texts->buf.size;
    add_line(&texts->buf, text, most);
}

/* Add a fact for a mailbox; the same one a second time adds nothing. */
static mailbus_code_t add_fact(reports_t *reports, const fact_t *model, const char *address,
                               const char *status, mailbus_error_t *error)
{
    char *key = key_of_mailbox(address);
    if (key == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < reports->count; i++) {
        if (strcmp(reports->keys[i], key) == 0) {
            free(key);
            return MAILBUS_OK;
        }
    }
    fact_t *fact = &reports->facts[reports->count];
    *fact = *model;
    fact->address = address;
    fact->status = status;
    reports->keys[reports->count++] = key;
    return MAILBUS_OK;
}

static mailbus_code_t make_room(reports_t *reports, size_t room, mailbus_error_t *error)
{
    reports->facts = calloc(room + 1, sizeof *reports->facts);
    reports->keys = calloc(room + 1, sizeof *reports->keys);
    return reports->facts == NULL || reports->keys == NULL
               ? mailbus_fail(error, MAILBUS_ENOMEM, "out of memory")
               : MAILBUS_OK;
}

/* One fact a recipient of the event. The status of each is a text of the receiving server's, which
 * lies in `statuses`. */
static mailbus_code_t add_recipients(reports_t *reports, const fact_t *model,
                                     mailbus_error_t *error)
{
    const agentmail_outcome_t *outcome = reports->outcome;
    mailbus_code_t code = make_room(reports, outcome->recipient_count, error);
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    size_t at = 0;
    for (size_t i = 0; code == MAILBUS_OK && i < outcome->recipient_count; i++) {
        add_line(&text, outcome->recipients[i].status, STATUS_MAX);
    }
    reports->statuses = mailbus_buf_take(&text, NULL);
    if (code == MAILBUS_OK && outcome->recipient_count > 0 && reports->statuses == NULL) {
        code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    for (size_t i = 0; code == MAILBUS_OK && i < outcome->recipient_count; i++) {
        const char *status = reports->statuses + at;
        at += strlen(status) + 1;
        code = add_fact(reports, model, outcome->recipients[i].address, status, error);
    }
    return code;
}

/* SES names candidates where it does not know who complained; and where a reject does not say which
 * of its recipients is suppressed, they are that as well. */
static void set_candidates(reports_t *reports)
{
    for (size_t i = 0; i < reports->count; i++) {
        reports->facts[i].candidates = (int64_t)reports->count;
    }
}

static mailbus_code_t read_reject(reports_t *reports, const fact_t *model, const char **ret_why,
                                  mailbus_error_t *error)
{
    const char *reason = reports->outcome->reason != NULL ? reports->outcome->reason : "";
    mailbus_code_t code = reports_named(reason, &reports->named, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    if (!reports_speak_of_suppression(reason)) {
        *ret_why = "reject-for-another-reason";
        return MAILBUS_OK;
    }
    if (reports->named.count == 0) { /* the event may name them itself */
        code = add_recipients(reports, model, error);
        set_candidates(reports);
    } else {
        code = make_room(reports, reports->named.count, error);
        for (size_t i = 0; code == MAILBUS_OK && i < reports->named.count; i++) {
            code = add_fact(reports, model, reports->named.items[i].address, "", error);
        }
    }
    *ret_why = reports->count == 0 ? "reject-names-nobody" : "";
    return code;
}

static mailbus_code_t read_facts(reports_t *reports, const fact_t *model, const char **ret_why,
                                 mailbus_error_t *error)
{
    if (model->said == SAID_REJECT) {
        return read_reject(reports, model, ret_why, error);
    }
    if (model->said == SAID_BOUNCE && !agentmail_text_equal(model->type, "Permanent")) {
        *ret_why = "bounce-not-permanent"; /* no setting makes more of it: not even noted */
        return MAILBUS_OK;
    }
    mailbus_code_t code = add_recipients(reports, model, error);
    if (model->said == SAID_COMPLAINT) {
        set_candidates(reports);
    }
    *ret_why = reports->count == 0 ? "no-recipients" : "";
    return code;
}

static bool what_is_said(const mailbus_event_t *event, const agentmail_outcome_t *outcome,
                         said_t *ret_said)
{
    static const struct {
        const char *topic;
        agentmail_outcome_kind_t kind;
        said_t said;
    } topics[] = {{"message.complained", AGENTMAIL_COMPLAINED, SAID_COMPLAINT},
                  {"message.bounced", AGENTMAIL_BOUNCED, SAID_BOUNCE},
                  {"message.rejected", AGENTMAIL_REJECTED, SAID_REJECT}};
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        if (strcmp(event->topic, topics[i].topic) == 0 && outcome->kind == topics[i].kind) {
            *ret_said = topics[i].said;
            return true;
        }
    }
    return false;
}

/* What the facts of one event have in common. */
static mailbus_code_t make_model(const mailbus_event_t *event, reports_t *reports, fact_t *model,
                                 mailbus_error_t *error)
{
    const agentmail_outcome_t *outcome = reports->outcome;
    texts_t texts = {.buf = MAILBUS_BUF_INIT};
    if (!what_is_said(event, outcome, &model->said)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the body is none of %.100s", event->topic);
    }
    add_text(&texts, outcome->type, WORD_MAX);
    add_text(&texts, outcome->sub_type, WORD_MAX);
    add_text(&texts, outcome->message_id, MAILBUS_SUBJECT_MAX);
    add_text(&texts, outcome->inbox_id, AGENTMAIL_ADDRESS_MAX);
    add_text(&texts, model->said == SAID_REJECT ? outcome->reason : NULL, NOTE_MAX);
    reports->texts = mailbus_buf_take(&texts.buf, NULL);
    if (reports->texts == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    const char *text = reports->texts;
    model->type = text + texts.at[0];
    model->sub_type = text + texts.at[1];
    model->message_id = text + texts.at[2];
    model->inbox = text + texts.at[3];
    model->note = text + texts.at[4];
    model->id = event->id;
    model->event_id = event->id;
    model->time_ms = reports_time(event);
    model->candidates = 1;
    model->reason = REASON_NONE;
    return MAILBUS_OK;
}

mailbus_code_t reports_read(const mailbus_event_t *event, reports_t *ret_reports,
                            const char **ret_why, mailbus_error_t *error)
{
    reports_t reports = {.facts = NULL};
    fact_t model = {.said = SAID_COMPLAINT};
    const char *why = "";
    mailbus_code_t code =
        agentmail_outcome_read(event->body, event->body_size, &reports.outcome, error);
    if (code == MAILBUS_OK) {
        code = make_model(event, &reports, &model, error);
    }
    if (code == MAILBUS_OK) {
        code = read_facts(&reports, &model, &why, error);
    }
    if (code != MAILBUS_OK) {
        reports_free(&reports);
        return code;
    }
    *ret_reports = reports;
    *ret_why = why;
    return MAILBUS_OK;
}

void reports_free(reports_t *reports)
{
    if (reports->keys != NULL) {
        keys_free(reports->keys, reports->count);
    }
    free(reports->keys);
    free(reports->facts);
    free(reports->texts);
    free(reports->statuses);
    agentmail_addresses_free(&reports->named);
    agentmail_outcome_free(&reports->outcome);
    *reports = (reports_t){.facts = NULL};
}
