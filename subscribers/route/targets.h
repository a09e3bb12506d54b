/* The targets: where mails are routed to. A section of the rules file (ZPL):
 *
 *     targets
 *         billing-team
 *             kind = "slack"
 *             channel = "#billing-team"
 *             token_env = "SLACK_BOT_TOKEN"
 *
 * Every key may be given as KEY, KEY_env (the value is in that environment variable) or KEY_file
 * (it is the content of that file, looked for beside the rules file, less its last newline).
 * Secrets may not stand in the file itself. README.md has the table of kinds and keys. */
#ifndef ROUTE_TARGETS_H
#define ROUTE_TARGETS_H

#include "webhook/webhook.h"

#define TARGETS_MAX 100 /* of one file */

typedef enum {
    TARGET_SLACK_API,     /* chat.postMessage: channel and token */
    TARGET_SLACK_WEBHOOK, /* an incoming webhook: url */
    TARGET_GITHUB,        /* an issue: repo and token */
    TARGET_FILE,          /* a line of JSON: path */
    TARGET_URL,           /* a signed POST: url, secret */
    TARGET_FORWARD,       /* AgentMail's forward: to */
} target_kind_t;

/* What a kind does not have is NULL. */
typedef struct {
    char *name;
    target_kind_t kind;
    char *channel, *token, *url, *repo, *labels, *path, *to, *secret;
    bool repeat; /* an incoming webhook: a message that may be there already is sent once more */
    webhook_t *webhook; /* TARGET_URL */
    char pace[80];      /* whose pace it shares, "" for none: no secret can be read from it */
} target_t;

typedef struct {
    target_t *items;
    size_t count;
} targets_t;

/* "slack", "github", …: the word in the file. */
const char *target_kind_name(target_kind_t kind);

/* Read the sections in `text`, which is the file's part "targets" (targets_split). With `lenient`
 * (a dry run) a value that the environment or a file lacks is empty instead of wrong. EINVAL names
 * the target and what is wrong with it; no text quotes a secret. */
MAILBUS_MUST_USE mailbus_code_t targets_parse(const char *text, const char *folder, bool lenient,
                                              targets_t *ret_targets, mailbus_error_t *error);
void targets_free(targets_t *targets);                                    /* takes a zeroed one */
const target_t *targets_find(const targets_t *targets, const char *name); /* NULL: none */

/* Cut a file in two: the lines of its sections called "targets", and all others. */
MAILBUS_MUST_USE mailbus_code_t targets_split(const char *text, char **ret_targets,
                                              char **ret_others, mailbus_error_t *error);

#endif
