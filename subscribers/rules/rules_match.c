/* Matching rules: pure functions of rule and mail. */
#include <string.h>

#include "agentmail/text.h"
#include "rules/rules_priv.h"

/* What a test looks at. */
typedef struct {
    const agentmail_message_t *message;
    const own_t *own;
    unsigned exhausted; /* regular expressions that gave up */
} view_t;

static bool has(const rule_test_t *test, const char *text, view_t *view)
{
    if (text == NULL) {
        return false;
    }
    if (test->regex == NULL) {
        return agentmail_text_contains(text, test->part);
    }
    rules_regex_verdict_t verdict = rules_regex_search(test->regex, text, strlen(text));
    view->exhausted += verdict == REGEX_EXHAUSTED ? 1 : 0;
    return verdict == REGEX_FOUND;
}

static bool is_ours(const char *address, const view_t *view)
{
    return agentmail_address_equal(address, view->message->inbox_id) || own_has(view->own, address);
}

/* In those addresses of the list that are ours (`ours`), or in any. */
static bool list_has(const rule_test_t *test, const agentmail_addresses_t *list, bool ours,
                     view_t *view)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *address = list->items[i].address;
        if ((!ours || is_ours(address, view)) && has(test, address, view)) {
            return true;
        }
    }
    return false;
}

static bool header_has(const rule_test_t *test, view_t *view)
{
    const char *value = NULL;
    for (size_t at = 0;
         (value = agentmail_headers_next(&view->message->headers, test->header, &at)) != NULL;) {
        if (has(test, value, view)) {
            return true;
        }
    }
    return false;
}

/* The text as it came, quotations included; the HTML stands for it where there is none. */
static const char *body_of(const agentmail_message_t *message)
{
    return message->text != NULL ? message->text : message->html;
}

static bool holds(const rule_test_t *test, view_t *view)
{
    const agentmail_message_t *message = view->message;
    switch (test->field) {
    case RULE_RECIPIENT:
        return list_has(test, &message->to, true, view) || list_has(test, &message->cc, true, view);
    case RULE_SENDER:
        return list_has(test, &message->from, false, view);
    case RULE_SUBJECT:
        return has(test, message->subject, view);
    case RULE_BODY:
        return has(test, body_of(message), view);
    case RULE_INBOX:
        return test->regex != NULL ? has(test, message->inbox_id, view)
                                   : agentmail_address_equal(test->part, message->inbox_id);
    case RULE_HEADER:
        return header_has(test, view);
    case RULE_FIELDS:
        break;
    }
    return false;
}

static bool is_same_condition(const rule_test_t *a, const rule_test_t *b)
{
    return a->field == b->field && (a->regex == NULL) == (b->regex == NULL);
}

/* True where an earlier test of the rule belongs to the same condition. */
static bool seen_before(const rule_t *rule, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (is_same_condition(&rule->tests[i], &rule->tests[index])) {
            return true;
        }
    }
    return false;
}

static bool matches(const rule_t *rule, view_t *view)
{
    for (size_t i = 0; i < rule->test_count; i++) {
        bool good = seen_before(rule, i); /* was asked with its first alternative */
        for (size_t j = i; j < rule->test_count && !good; j++) {
            good =
                is_same_condition(&rule->tests[i], &rule->tests[j]) && holds(&rule->tests[j], view);
        }
        if (!good) {
            return false;
        }
    }
    return true;
}

const rule_t *rules_next(const rules_t *rules, const agentmail_message_t *message, const own_t *own,
                         size_t *at, unsigned *ret_exhausted)
{
    view_t view = {.message = message, .own = own};
    const rule_t *found = NULL;
    while (found == NULL && *at < rules->count) {
        const rule_t *rule = &rules->items[(*at)++];
        found = matches(rule, &view) ? rule : NULL;
    }
    if (ret_exhausted != NULL) {
        *ret_exhausted += view.exhausted;
    }
    return found;
}

static bool need(const rules_t *rules, rule_field_t field)
{
    for (size_t i = 0; i < rules->count; i++) {
        for (size_t j = 0; j < rules->items[i].test_count; j++) {
            if (rules->items[i].tests[j].field == field) {
                return true;
            }
        }
    }
    return false;
}

bool rules_need_headers(const rules_t *rules)
{
    return need(rules, RULE_HEADER);
}

bool rules_need_body(const rules_t *rules)
{
    return need(rules, RULE_BODY);
}
