/* The rules: which mail gets which text. A file in ZPL (rfc.zeromq.org/spec/4), first match wins:
 *
 *     rules
 *         support
 *             recipient = "support"
 *             text = "Thanks for contacting support! We'll respond within 24 hours."
 *
 * A rule has one or more of `recipient`, `sender`, `subject` (parts, in any case) and `inbox` (the
 * whole address), which must all match, and a `text` or `text_file`, with an `html` or `html_file`
 * beside it where wanted. Files are looked for beside the rules file. */
#ifndef AUTOREPLY_RULES_H
#define AUTOREPLY_RULES_H

#include "agentmail/message.h"
#include "own.h"

#define RULES_MAX 1000 /* of one file: they are tried one after the other */

/* Conditions are NULL where the rule has none of that kind. */
typedef struct {
    char *name; /* in logs, in the history and in the limits */
    char *recipient, *sender, *subject, *inbox;
    char *text; /* template, never NULL */
    char *html; /* template or NULL */
} rule_t;

typedef struct {
    rule_t *items;
    size_t count;
} rules_t;

/* `path` "": the shipped rules, which are the guide's Auto-Reply Bot. EINVAL names the rule and
 * what is wrong with it; ENOTFOUND where a file is missing. */
MAILBUS_MUST_USE mailbus_code_t rules_load(const char *path, rules_t **ret_rules,
                                           mailbus_error_t *error);
/* The same from text; `folder` is where text files are looked for. */
MAILBUS_MUST_USE mailbus_code_t rules_parse(const char *text, const char *folder,
                                            rules_t **ret_rules, mailbus_error_t *error);
void rules_free(rules_t **rules_p);

/* The first rule that matches, lent, or NULL. `recipient` is looked for in those addresses of To
 * and Cc that are ours (the inbox and `own`): a mail to agent@ours with support@elsewhere in Cc is
 * none for our support rule. `sender` is looked for in the From addresses. */
const rule_t *rules_match(const rules_t *rules, const agentmail_message_t *message,
                          const own_t *own);

#endif
