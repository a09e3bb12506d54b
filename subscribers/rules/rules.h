/* Rules: which mail gets which treatment. One reader and one matcher for every subscriber that has
 * rules (autoreply, route). A file in ZPL (rfc.zeromq.org/spec/4):
 *
 *     rules
 *         billing
 *             subject = "billing"
 *             subject = "payment"
 *             target = "slack"
 *
 * The name of a section is the rule's name. All conditions of a rule must hold. A condition that is
 * given several times holds where one of its values does ("billing" or "payment" above).
 *
 * | condition   | holds where the value is                                                     |
 * |-------------|------------------------------------------------------------------------------|
 * | `recipient` | a part of one of *our* addresses in To or Cc (the inbox, and the `own` ones) |
 * | `sender`    | a part of a From address                                                     |
 * | `subject`   | a part of the subject                                                        |
 * | `body`      | a part of the text; where there is none, of the HTML                         |
 * | `inbox`     | the whole address of the inbox                                               |
 * | `header`    | "Name: part": a part of such a field's value; "Name:": there is such a field |
 *
 * Case of ASCII letters does not matter. Each of these with `_regex` behind it (`subject_regex`,
 * `header_regex = "Name: …"`) is a condition of its own: a Perl-compatible regular expression
 * (PCRE2), in any case of any script, found anywhere in the value; ^ and $ anchor it. It never sees
 * what is no UTF-8, and is bounded in steps, memory and text (regex.h). What else a rule may or
 * must have the program says in a table of keys. */
#ifndef RULES_H
#define RULES_H

#include "agentmail/message.h"
#include "agentmail/own.h"

#define RULES_MAX            1000 /* of one file: they are tried one after the other */
#define RULES_CONDITIONS_MAX 200  /* lines of one rule: a longer list is a regular expression */

/* A key of the program's own ("text", "target"). */
typedef struct {
    const char *key; /* NULL ends the table */
    bool file;       /* "<key>_file" is taken too: its content, from a file beside the rules file */
    /* Checks a value when it is read; EINVAL with what is wrong. May be NULL. */
    mailbus_code_t (*check)(const char *value, mailbus_error_t *error);
    bool required; /* every rule must have it */
} rules_key_t;

typedef struct rules rules_t;
typedef struct rule rule_t;

/* `path` "": the rules in `shipped`. EINVAL names the rule and what is wrong with it; ENOTFOUND
 * where a file is missing. `keys` is lent for the life of the rules. */
MAILBUS_MUST_USE mailbus_code_t rules_load(const char *path, const char *shipped,
                                           const rules_key_t *keys, rules_t **ret_rules,
                                           mailbus_error_t *error);
/* The same from text; `folder` is where text files are looked for. */
MAILBUS_MUST_USE mailbus_code_t rules_parse(const char *text, const char *folder,
                                            const rules_key_t *keys, rules_t **ret_rules,
                                            mailbus_error_t *error);
void rules_free(rules_t **rules_p); /* takes NULL */
size_t rules_count(const rules_t *rules);
const rule_t *rules_item(const rules_t *rules, size_t index);

/* What the rules look at beyond what every event has. Where the event has it not
 * (message->has_headers, message->body_absent), the program fetches it first. */
bool rules_need_headers(const rules_t *rules);
bool rules_need_body(const rules_t *rules);

const char *rule_name(const rule_t *rule);
/* The value of one of the program's keys; NULL where the rule has none. Lent. */
const char *rule_text(const rule_t *rule, const char *key);

/* The next rule at or behind *at that matches, *at moved behind it (begin with 0); NULL: none. A
 * regular expression that goes beyond its bounds does not match, and counts in *ret_exhausted (may
 * be NULL; added to). Any thread. */
const rule_t *rules_next(const rules_t *rules, const agentmail_message_t *message, const own_t *own,
                         size_t *at, unsigned *ret_exhausted);

#endif
