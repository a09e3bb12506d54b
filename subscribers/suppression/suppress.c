#include "suppress.h"

#include <stddef.h>
#include <string.h>

#include "agentmail/text.h"
#include "bounces/classify.h"

static const char *const reasons[REASONS] = {
    [REASON_COMPLAINT] = "complaint",     [REASON_MANUAL] = "manual",
    [REASON_UNSUBSCRIBE] = "unsubscribe", [REASON_BOUNCE] = "bounce",
    [REASON_REJECTED] = "rejected",
};

static const char *const saids[] = {
    [SAID_COMPLAINT] = "complaint", [SAID_BOUNCE] = "bounce",
    [SAID_REJECT] = "reject",       [SAID_ADD] = "add",
    [SAID_IMPORT] = "import",       [SAID_REMOVE] = "remove",
};

const char *reason_name(reason_t reason)
{
    return reason < REASONS ? reasons[reason] : "";
}

reason_t reason_of(const char *name)
{
    for (int i = 0; i < REASONS; i++) {
        if (strcmp(reasons[i], name) == 0) {
            return (reason_t)i;
        }
    }
    return REASON_NONE;
}

const char *said_name(said_t said)
{
    return saids[said];
}

bool said_of(const char *name, said_t *ret_said)
{
    for (size_t i = 0; i < sizeof saids / sizeof saids[0]; i++) {
        if (strcmp(saids[i], name) == 0) {
            *ret_said = (said_t)i;
            return true;
        }
    }
    return false;
}

/* --- what a fact is worth -----------------------------------------------------------------------
 */

/* SES: the message was not sent at all, because the address is on a list there. No new complaint
 * and no new bounce, but the service has it suppressed. */
static bool on_the_services_list(const fact_t *fact)
{
    return agentmail_text_equal(fact->sub_type, "Suppressed") ||
           agentmail_text_equal(fact->sub_type, "OnAccountSuppressionList");
}

static judgement_t nothing(const char *why)
{
    return (judgement_t){.reason = REASON_NONE, .why = why};
}

static judgement_t judge_reject(const fact_t *fact, const policy_t *policy)
{
    bool certain = fact->candidates <= 1;
    if (!policy->rejects) {
        return nothing("rejects-off");
    }
    return !certain && !policy->candidates
               ? nothing("candidate")
               : (judgement_t){.reason = REASON_REJECTED, .certain = certain, .why = "rejected"};
}

static judgement_t judge_complaint(const fact_t *fact, const policy_t *policy)
{
    bool certain = fact->candidates <= 1;
    const char *feedback = fact->type[0] != '\0' ? fact->type : fact->sub_type;
    if (agentmail_text_equal(feedback, "not-spam")) {
        return nothing("not-spam");
    }
    if (on_the_services_list(fact)) {
        return judge_reject(fact, policy);
    }
    return !certain && !policy->candidates
               ? nothing("candidate")
               : (judgement_t){.reason = REASON_COMPLAINT, .certain = certain, .why = "complaint"};
}

/* RFC 3463 §3.8: 5.7.x is the receiver's policy, about who sends and what. */
static bool is_about_the_sender(const char *status)
{
    classify_code_t code;
    return classify_status(status, &code) && code.part[0] == 5 && code.part[1] == 7;
}

static judgement_t judge_bounce(const fact_t *fact, const policy_t *policy)
{
    if (!agentmail_text_equal(fact->type, "Permanent")) {
        return nothing("not-permanent");
    }
    if (is_about_the_sender(fact->status)) {
        return nothing("about-the-sender");
    }
    if (on_the_services_list(fact)) {
        return judge_reject(fact, policy);
    }
    return !policy->bounces
               ? nothing("bounces-off")
               : (judgement_t){.reason = REASON_BOUNCE, .certain = true, .why = "bounce"};
}

judgement_t suppress_judge(const fact_t *fact, const policy_t *policy)
{
    switch (fact->said) {
    case SAID_COMPLAINT:
        return judge_complaint(fact, policy);
    case SAID_BOUNCE:
        return judge_bounce(fact, policy);
    case SAID_REJECT:
        return judge_reject(fact, policy);
    case SAID_ADD:
        return (judgement_t){.reason = REASON_MANUAL, .certain = true, .why = "added"};
    case SAID_IMPORT:
        return (judgement_t){
            .reason = fact->reason, .certain = fact->candidates <= 1, .why = "imported"};
    case SAID_REMOVE:
        break;
    }
    return nothing("removed");
}

/* --- the state ----------------------------------------------------------------------------------
 */

/* A total order, so that "the earliest" is the same one in whatever order facts come. One that can
 * be traced goes before one that can't. */
static bool is_earlier(const fact_t *fact, int64_t first_ms, const evidence_t *than)
{
    const char *id = fact->event_id;
    if (first_ms != than->first_ms) {
        return first_ms < than->first_ms;
    }
    if ((id[0] == '\0') != (than->event_id[0] == '\0')) {
        return id[0] != '\0';
    }
    int order = strcmp(id, than->event_id);
    order = order != 0 ? order : strcmp(fact->note, than->note);
    order = order != 0 ? order : strcmp(fact->address, than->address);
    return (order != 0 ? order : strcmp(fact->message_id, than->message_id)) < 0;
}

static void take_source(evidence_t *evidence, const fact_t *fact)
{
    evidence->address = fact->address;
    evidence->event_id = fact->event_id;
    evidence->message_id = fact->message_id;
    evidence->note = fact->note;
}

/* What an import says: so many until then. The largest statement counts, plus what came later. */
static void take_statement(evidence_t *evidence, const fact_t *fact, int64_t later)
{
    bool larger = fact->count > evidence->stated ||
                  (fact->count == evidence->stated && fact->time_ms > evidence->stated_last_ms);
    if (larger) {
        evidence->stated = fact->count;
        evidence->stated_last_ms = fact->time_ms;
        evidence->later = later;
    }
}

static void take_event(evidence_t *evidence, const fact_t *fact)
{
    evidence->events++;
    if (evidence->stated > 0 && fact->time_ms > evidence->stated_last_ms) {
        evidence->later++;
    }
}

static bool is_empty(const evidence_t *evidence)
{
    return evidence->events == 0 && evidence->stated == 0;
}

static step_t take_removal(state_t *state, const fact_t *fact)
{
    if (!state->removed || fact->time_ms > state->removed_ms) {
        state->removed = true;
        state->removed_ms = fact->time_ms;
        memset(state->of, 0, sizeof state->of);
    }
    return STEP_REMOVED;
}

step_t suppress_step(state_t *state, const fact_t *fact, const judgement_t *judgement,
                     int64_t later)
{
    if (fact->said == SAID_REMOVE) {
        return take_removal(state, fact);
    }
    if (judgement->reason == REASON_NONE) {
        return STEP_IGNORED;
    }
    if (state->removed && fact->time_ms <= state->removed_ms) {
        return STEP_OLD;
    }
    bool was_suppressed = suppress_reason(state) != REASON_NONE;
    evidence_t *evidence = &state->of[judgement->reason];
    int64_t first_ms = fact->said == SAID_IMPORT ? fact->first_ms : fact->time_ms;
    bool first = is_empty(evidence);
    if (first || is_earlier(fact, first_ms, evidence)) {
        take_source(evidence, fact);
    }
    evidence->first_ms = first || first_ms < evidence->first_ms ? first_ms : evidence->first_ms;
    evidence->last_ms =
        first || fact->time_ms > evidence->last_ms ? fact->time_ms : evidence->last_ms;
    evidence->certain = evidence->certain || judgement->certain;
    if (fact->said == SAID_IMPORT) {
        take_statement(evidence, fact, later);
    } else {
        take_event(evidence, fact);
    }
    return was_suppressed ? STEP_COUNTED : STEP_SUPPRESSED;
}

reason_t suppress_reason(const state_t *state)
{
    for (int i = 0; i < REASONS; i++) {
        if (!is_empty(&state->of[i])) {
            return (reason_t)i;
        }
    }
    return REASON_NONE;
}

int64_t suppress_count(const evidence_t *evidence)
{
    int64_t stated = evidence->stated + evidence->later;
    return stated > evidence->events ? stated : evidence->events;
}

int64_t suppress_add_time(int64_t now_ms, bool removed, int64_t removed_ms)
{
    return removed && now_ms <= removed_ms ? removed_ms + 1 : now_ms;
}

int64_t suppress_remove_time(int64_t now_ms, int64_t newest_ms)
{
    return newest_ms > now_ms ? newest_ms : now_ms;
}
