/* Rules: which mail gets which treatment. One reader and one matcher for every subscriber that has
 * rules (autoreply, route). A file in ZPL (rfc.zeromq.org/spec/4):
 *
 *     rules
 *         billing
 *             subject = "billing"
 *             target = "slack"
 *
 * The name of a section is the rule's name. Conditions must all hold: `recipient`, `sender`,
 * `subject`, `body` (parts, in any case), `inbox` (the whole address), and each of these with
 * `_regex` behind it (PCRE2, in any case, UTF-8, bounded in steps and memory). A value may hold
 * several alternatives in a list (see README.md of the user). Whatever else a rule may or must have
 * the program says in a table of keys. */
#ifndef RULES_H
#define RULES_H

#include "agentmail/message.h"
#include "agentmail/own.h"

#define RULES_MAX 1000 /* of one file: they are tried one after the other */

/* A key of the program's own ("text", "target"). */
typedef struct {
    const char *key; /* NULL ends the table */
    bool file;       /* "<key>_file" is taken too: its content, from a file beside the rules file */
    /* Checks a value when it is read; EINVAL with what is wrong. May be NULL. */
    mailbus_code_t (*check)(const char *value, mailbus_error_t *error);
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
void rules_free(rules_t **rules_p);
size_t rules_count(const rules_t *rules);
const rule_t *rules_item(const rules_t *rules, size_t index);

const char *rule_name(const rule_t *rule);
/* The value of one of the program's keys; NULL where the rule has none. Lent. */
const char *rule_text(const rule_t *rule, const char *key);

/* The next rule at or behind *at that matches, *at moved behind it; NULL: none. A regular
 * expression that goes beyond its bounds does not match, and counts in *ret_exhausted (may be
 * NULL). Any thread. */
const rule_t *rules_next(const rules_t *rules, const agentmail_message_t *message, const own_t *own,
                         size_t *at, unsigned *ret_exhausted);

#endif
