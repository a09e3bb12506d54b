#include "route/targets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/address.h"
#include "agentmail/guard.h"
#include "encoding.h"
#include "mailbus/json.h"
#include "route/targets_priv.h"

/* --- kinds --------------------------------------------------------------------------------------
 */

static const char *const kind_names[] = {
    [TARGET_SLACK_API] = "slack", [TARGET_SLACK_WEBHOOK] = "slack",
    [TARGET_GITHUB] = "github",   [TARGET_FILE] = "file",
    [TARGET_URL] = "url",         [TARGET_FORWARD] = "forward",
};

const char *target_kind_name(target_kind_t kind)
{
    return kind_names[kind];
}

static mailbus_code_t wrong(mailbus_error_t *error, const char *text)
{
    return mailbus_fail(error, MAILBUS_EINVAL, "%s", text);
}

static mailbus_code_t set_kind(target_t *target, const char *kind, mailbus_error_t *error)
{
    for (size_t i = 0; kind != NULL && i < sizeof kind_names / sizeof kind_names[0]; i++) {
        if (strcmp(kind, kind_names[i]) == 0) {
            target->kind = (target_kind_t)i;
            if (target->kind == TARGET_SLACK_API && target->url != NULL) {
                target->kind = TARGET_SLACK_WEBHOOK;
            }
            return MAILBUS_OK;
        }
    }
    return wrong(error, "kind must be slack, github, file, url or forward");
}

/* --- what each kind wants -----------------------------------------------------------------------
 */

static bool is_printable(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7F) {
            return false;
        }
    }
    return true;
}

static mailbus_code_t check_token(const target_t *target, mailbus_error_t *error)
{
    return is_printable(target->token)
               ? MAILBUS_OK
               : wrong(error, "the token holds blanks or characters that no token has");
}

static mailbus_code_t check_slack(target_t *target, mailbus_error_t *error)
{
    enum { CHANNEL_MAX = 82 }; /* "#" and Slack's longest name, and one */
    size_t size = strlen(target->channel);
    if (size == 0 || size > CHANNEL_MAX || !mailbus_utf8_valid(target->channel, size) ||
        strpbrk(target->channel, " \t\r\n") != NULL) {
        return wrong(error, "channel must be \"#name\", or the id of a channel");
    }
    return check_token(target, error);
}

static mailbus_code_t check_webhook_url(target_t *target, mailbus_error_t *error)
{
    agentmail_url_t url;
    if (target->url[0] == '\0') { /* a dry run without it */
        return MAILBUS_OK;
    }
    if (agentmail_url_check(target->url, &url, NULL) != MAILBUS_OK ||
        (!url.https && !url.loopback)) {
        return wrong(error, "the url is no https:// address");
    }
    return MAILBUS_OK;
}

static mailbus_code_t check_github(target_t *target, mailbus_error_t *error)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789-._";
    size_t owner = strspn(target->repo, allowed);
    const char *name = target->repo + owner + (target->repo[owner] == '/');
    size_t size = strspn(name, allowed);
    bool good = owner > 0 && target->repo[owner] == '/' && size > 0 && name[size] == '\0' &&
                target->repo[0] != '.' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
    if (!good && target->repo[0] != '\0') {
        return wrong(error, "repo must be OWNER/NAME");
    }
    if (target->labels != NULL && !mailbus_utf8_valid(target->labels, strlen(target->labels))) {
        return wrong(error, "labels is not UTF-8");
    }
    return check_token(target, error);
}

static mailbus_code_t check_url(target_t *target, mailbus_error_t *error)
{
    const webhook_options_t options = {
        .url = target->url,
        .secrets = target->secret == NULL ? "" : target->secret,
        .user_agent = "mailbus-route/" MAILBUS_VERSION,
    };
    if (target->url[0] == '\0') {
        return MAILBUS_OK;
    }
    return webhook_new(&options, &target->webhook, error);
}

static mailbus_code_t check_forward(target_t *target, mailbus_error_t *error)
{
    agentmail_addresses_t list = AGENTMAIL_ADDRESSES_INIT;
    mailbus_code_t code =
        agentmail_address_parse(target->to, strlen(target->to), &list, NULL) == MAILBUS_OK &&
                list.count == 1 && strcmp(list.items[0].address, target->to) == 0
            ? MAILBUS_OK
            : wrong(error, "to must be one bare address");
    agentmail_addresses_free(&list);
    return code;
}

static mailbus_code_t check_file(target_t *target, mailbus_error_t *error)
{
    return target->path[0] != '\0' ? MAILBUS_OK : wrong(error, "path is empty");
}

/* Keys that a kind needs and may have besides; targets_priv.h lists the keys. */
static const struct {
    unsigned needs, may;
    mailbus_code_t (*check)(target_t *target, mailbus_error_t *error);
    const char *says;
} kinds[] = {
    [TARGET_SLACK_API] = {KEY_CHANNEL | KEY_TOKEN, 0, check_slack,
                          "slack needs url (of an incoming webhook), or channel and token"},
    [TARGET_SLACK_WEBHOOK] = {KEY_URL, KEY_UNSURE, check_webhook_url,
                              "slack with a url has no channel and token: its webhook has them"},
    [TARGET_GITHUB] = {KEY_REPO | KEY_TOKEN, KEY_LABELS, check_github,
                       "github needs repo and token, and may have labels"},
    [TARGET_FILE] = {KEY_PATH, 0, check_file, "file needs path"},
    [TARGET_URL] = {KEY_URL, KEY_SECRET, check_url, "url needs url, and may have secret"},
    [TARGET_FORWARD] = {KEY_TO, 0, check_forward, "forward needs to"},
};

/* Whose pace it shares: a channel's, whoever posts there, or a token's. */
static mailbus_code_t set_pace(target_t *target, mailbus_error_t *error)
{
    const char *identity = target->kind == TARGET_SLACK_API       ? target->channel
                           : target->kind == TARGET_SLACK_WEBHOOK ? target->url
                           : target->kind == TARGET_GITHUB        ? target->token
                                                                  : NULL;
    mailbus_buf_t hex = MAILBUS_BUF_INIT;
    uint8_t digest[MB_SHA256_SIZE];
    if (identity == NULL) {
        return MAILBUS_OK;
    }
    mb_sha256(identity, strlen(identity), digest);
    mb_hex_encode(digest, sizeof digest / 2, &hex);
    snprintf(target->pace, sizeof target->pace, "%s-%s", target_kind_name(target->kind),
             hex.data == NULL ? "" : hex.data);
    mailbus_code_t code =
        hex.failed ? mailbus_fail(error, MAILBUS_ENOMEM, "out of memory") : MAILBUS_OK;
    mailbus_buf_free(&hex);
    return code;
}

mailbus_code_t target_finish(target_t *target, const char *kind, unsigned keys,
                             mailbus_error_t *error)
{
    mailbus_code_t code = set_kind(target, kind, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    unsigned needs = kinds[target->kind].needs;
    if ((keys & needs) != needs || (keys & ~(needs | kinds[target->kind].may)) != 0) {
        return wrong(error, kinds[target->kind].says);
    }
    code = kinds[target->kind].check(target, error);
    return code == MAILBUS_OK ? set_pace(target, error) : code;
}

/* --- lists --------------------------------------------------------------------------------------
 */

static void free_secret(char **text_p)
{
    if (*text_p != NULL) {
        explicit_bzero(*text_p, strlen(*text_p));
    }
    free(*text_p);
    *text_p = NULL;
}

void target_free(target_t *target)
{
    webhook_destroy(&target->webhook);
    free_secret(&target->token);
    free_secret(&target->url);
    free_secret(&target->secret);
    free(target->name);
    free(target->channel);
    free(target->repo);
    free(target->labels);
    free(target->path);
    free(target->to);
    *target = (target_t){.name = NULL};
}

void targets_free(targets_t *targets)
{
    for (size_t i = 0; i < targets->count; i++) {
        target_free(&targets->items[i]);
    }
    free(targets->items);
    *targets = (targets_t){.items = NULL};
}

const target_t *targets_find(const targets_t *targets, const char *name)
{
    for (size_t i = 0; i < targets->count; i++) {
        if (strcmp(targets->items[i].name, name) == 0) {
            return &targets->items[i];
        }
    }
    return NULL;
}
