#include "mail.h"

#include <string.h>

#include "rules/template.h"

/* The filled-in text of the rule's key; NULL where the rule has none. */
static const char *fill_in(const rule_t *rule, const char *key, bool html,
                           const template_value_t *values, mailbus_buf_t *out)
{
    const char *text = rule_text(rule, key);
    if (text == NULL) {
        return NULL;
    }
    template_render(text, html, values, out);
    return out->data;
}

static mailbus_verdict_t answer(const outgoing_context_t *context, agentmail_message_t *message,
                                const rule_t *rule)
{
    template_value_t values[TEMPLATE_MAIL_VALUES + 1];
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    mailbus_buf_t html = MAILBUS_BUF_INIT;
    outgoing_result_t result = {.verdict = MAILBUS_RETRY};
    template_mail_values(message, values);
    const outgoing_mail_t mail = {
        .kind = OUTGOING_REPLY,
        .part = "",
        .rule = rule_name(rule),
        .text = fill_in(rule, "text", false, values, &text),
        .html = fill_in(rule, "html", true, values, &html),
    };
    if (text.failed || html.failed) {
        mailbus_task_reason(context->task, "out of memory");
    } else {
        outgoing_handle(context, message, &mail, &result);
    }
    mailbus_buf_free(&text);
    mailbus_buf_free(&html);
    return result.verdict;
}

/* The first rule that matches, or NULL. */
static const rule_t *find_rule(const outgoing_context_t *context, const config_t *config,
                               const agentmail_message_t *message)
{
    size_t at = 0;
    unsigned exhausted = 0;
    const rule_t *rule = rules_next(config->rules, message, &config->policy.own, &at, &exhausted);
    if (exhausted > 0) {
        mailbus_task_log(context->task, "warn",
                         "%u regular expressions took too long on this mail and do not match it",
                         exhausted);
        mailbus_count(mailbus_task_runtime(context->task), "patterns_exhausted", "",
                      "Regular expressions that went beyond their bounds", exhausted);
    }
    return rule;
}

static mailbus_verdict_t handle_message(const outgoing_context_t *context, const config_t *config,
                                        agentmail_message_t *message)
{
    outgoing_result_t result = {.verdict = MAILBUS_RETRY};
    if (!outgoing_may_answer(context, message, "", &result) ||
        !outgoing_fetch(context, message, rules_need_headers(config->rules),
                        rules_need_body(config->rules), &result)) {
        return result.verdict;
    }
    const rule_t *rule = find_rule(context, config, message);
    return rule != NULL ? answer(context, message, rule)
                        : outgoing_silent(context, message, "no-rule", &result);
}

mailbus_verdict_t mail_handle(mailbus_task_t *task, const config_t *config, outgoing_t *outgoing,
                              int64_t now_ms)
{
    const outgoing_context_t context = {
        .self = outgoing, .policy = &config->policy, .task = task, .now_ms = now_ms};
    outgoing_result_t result = {.verdict = MAILBUS_RETRY};
    agentmail_message_t *message = NULL;
    if (strcmp(mailbus_task_event(task)->topic, "message.received") != 0) {
        return outgoing_silent(&context, NULL, "topic", &result);
    }
    if (!outgoing_read(&context, &message, &result)) {
        return result.verdict;
    }
    mailbus_verdict_t verdict = handle_message(&context, config, message);
    agentmail_message_free(&message);
    return verdict;
}
