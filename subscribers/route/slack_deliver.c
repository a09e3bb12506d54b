/* Slack: posting, and looking for what an earlier try may have posted.
 *
 * chat.postMessage has no idempotency key. What it has is metadata that the app alone can read
 * back: every message carries the effect's mark there, and a try whose end is not known is looked
 * for in conversations.history before the message is posted again. An incoming webhook can't be
 * read back: such a try is given up (or repeated, where the target says so). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentmail/guard.h"
#include "encoding.h"
#include "mailbus/json.h"
#include "route/mail_priv.h"
#include "route/slack.h"
#include "test_point.h"

enum {
    PAGES_MAX = 50,       /* of a list that is looked through: 5000 messages, 10 000 channels */
    HISTORY_PAGE = 100,   /* messages: with their texts that is a megabyte or two */
    CHANNELS_PAGE = 200,  /* what Slack recommends */
    SKEW_MS = 10 * 60000, /* Slack's clock and ours */
};

/* A GET of the Web API; the page is in result->json where it says DONE. */
static void get(step_t *step, const char *doing, const char *path, agentmail_result_t *result)
{
    const config_api_t *api = &step->mail->config->slack;
    mailbus_buf_t url = MAILBUS_BUF_INIT;
    mailbus_buf_t body = MAILBUS_BUF_INIT;
    agentmail_answer_t answer;
    mailbus_buf_printf(&url, "%s/%s", api->base_url, path);
    const remote_t remote = {
        .method = "GET", .url = url.data, .reach = api->reach, .token = step->target->token};
    *result = (agentmail_result_t){.verdict = AGENTMAIL_RETRY, .text = "out of memory"};
    if (!url.failed && remote_call(doing, &remote, &body, &answer, result)) {
        slack_judge(doing, answer.status, body.data == NULL ? "" : body.data, body.size,
                    answer.retry_after, result);
    }
    result->maybe_done = false; /* nothing changes by reading */
    mailbus_buf_free(&url);
    mailbus_buf_free(&body);
}

/* Go through the pages of a list until `find` finds something in one: a copy of it, or NULL. False:
 * a page could not be had, and *result says why. */
typedef const char *(find_fn)(const cJSON *page, const char *what);
static bool search(step_t *step, const char *doing, const char *path, find_fn *find,
                   const char *what, char **ret_found, agentmail_result_t *result)
{
    mailbus_buf_t next = MAILBUS_BUF_INIT;
    mailbus_buf_text(&next, path);
    *ret_found = NULL;
    for (int i = 0; i < PAGES_MAX && !next.failed; i++) {
        get(step, doing, next.data, result);
        if (result->verdict != AGENTMAIL_DONE) {
            break;
        }
        const char *found = find(result->json, what);
        const char *cursor = slack_next_page(result->json);
        if (found != NULL || cursor == NULL) {
            *ret_found = found == NULL ? NULL : strdup(found);
            agentmail_result_free(result);
            mailbus_buf_free(&next);
            return true;
        }
        mailbus_buf_clear(&next);
        mailbus_buf_printf(&next, "%s&cursor=", path);
        mb_url_encode(cursor, &next);
        agentmail_result_free(result);
        snprintf(result->text, sizeof result->text, "%s: more than %d pages", doing, PAGES_MAX);
        result->verdict = AGENTMAIL_REJECT;
    }
    mailbus_buf_free(&next);
    return false;
}

/* The channel's id, which conversations.history wants: as given, as learned, or out of the list. */
static bool find_channel(step_t *step, char **ret_id, agentmail_result_t *result)
{
    char path[96];
    mailbus_error_t error = {.text = "it can't be read"};
    const char *channel = step->target->channel;
    if (slack_is_channel_id(channel)) {
        *ret_id = strdup(channel);
        return *ret_id != NULL;
    }
    sqlite3 *db = mailbus_task_store(step->mail->task);
    if (db == NULL || effects_channel(db, step->target->pace, ret_id, &error) != MAILBUS_OK ||
        mailbus_task_commit(step->mail->task) != MAILBUS_OK) {
        step->mail->store_failed = true;
        *result = (agentmail_result_t){.verdict = AGENTMAIL_RETRY};
        snprintf(result->text, sizeof result->text, "state file: %s", error.text);
        return false;
    }
    if (*ret_id != NULL) {
        return true;
    }
    snprintf(path, sizeof path, "conversations.list?types=public_channel,private_channel&limit=%d",
             CHANNELS_PAGE);
    if (!search(step, "find the channel", path, slack_find_channel, channel, ret_id, result)) {
        return false;
    }
    if (*ret_id == NULL) {
        *result = (agentmail_result_t){.verdict = AGENTMAIL_REJECT};
        snprintf(result->text, sizeof result->text, "find the channel: the app sees no channel %s",
                 channel);
    }
    return *ret_id != NULL;
}

/* Was it posted by an earlier try? *ret_ts NULL: no. False: that can't be found out. */
static bool look(step_t *step, char **ret_ts, agentmail_result_t *result)
{
    char path[256];
    char *id = NULL;
    if (!find_channel(step, &id, result)) {
        free(id);
        return false;
    }
    int64_t oldest_ms = step->effect->first_unsure_ms - SKEW_MS;
    mailbus_buf_t encoded = MAILBUS_BUF_INIT;
    mb_url_encode(id, &encoded);
    snprintf(path, sizeof path,
             "conversations.history?channel=%.40s&oldest=%" PRId64
             ".000000&include_all_metadata=true&limit=%d",
             encoded.data == NULL ? "" : encoded.data, oldest_ms / 1000, HISTORY_PAGE);
    bool good = search(step, "look for the message", path, slack_find_mark, step->effect->mark,
                       ret_ts, result);
    mailbus_buf_free(&encoded);
    free(id);
    return good;
}

/* It can't be found out whether it was posted: a scope is missing, the channel is gone. */
static step_end_t look_failed(step_t *step, const agentmail_result_t *result)
{
    bool hopeless =
        result->verdict == AGENTMAIL_REJECT || strcmp(result->code, "missing_scope") == 0;
    if (hopeless) {
        return step_rejected(step,
                             "it may have been posted, and that can't be looked up (%s): see in "
                             "the channel before \"mailbus route again\"",
                             result->text);
    }
    return step_failed(step, result);
}

/* Remember the channel's id, for a look after a crash. */
static void learn_channel(step_t *step, const agentmail_result_t *result)
{
    const char *id = mailbus_json_string(result->json, "channel");
    if (id == NULL || slack_is_channel_id(step->target->channel)) {
        return;
    }
    mailbus_error_t error = {.text = "it can't be written"};
    sqlite3 *db = mailbus_task_store(step->mail->task);
    if (db == NULL || effects_save_channel(db, step->target->pace, id, &error) != MAILBUS_OK) {
        mailbus_task_log(step->mail->task, "warn", "the channel's id is not noted: %s", error.text);
    }
}

static void post(step_t *step, const char *json, size_t size, agentmail_result_t *result)
{
    static const char doing[] = "chat.postMessage";
    const config_api_t *api = &step->mail->config->slack;
    mailbus_buf_t url = MAILBUS_BUF_INIT;
    mailbus_buf_t body = MAILBUS_BUF_INIT;
    agentmail_answer_t answer;
    mailbus_buf_printf(&url, "%s/chat.postMessage", api->base_url);
    const remote_t remote = {.method = "POST",
                             .url = url.data,
                             .reach = api->reach,
                             .token = step->target->token,
                             .json = json,
                             .size = size};
    *result = (agentmail_result_t){.verdict = AGENTMAIL_RETRY, .text = "out of memory"};
    if (!url.failed && remote_call(doing, &remote, &body, &answer, result)) {
        slack_judge(doing, answer.status, body.data == NULL ? "" : body.data, body.size,
                    answer.retry_after, result);
    }
    mailbus_buf_free(&url);
    mailbus_buf_free(&body);
}

step_end_t slack_deliver(step_t *step)
{
    step_end_t end = STEP_LATER;
    agentmail_result_t result = {.verdict = AGENTMAIL_RETRY};
    if (step->effect->first_unsure_ms != 0) {
        char *ts = NULL;
        if (!step_settled(step, &end)) {
            return end;
        }
        if (!look(step, &ts, &result)) {
            return look_failed(step, &result);
        }
        if (ts != NULL) {
            end = step_done(step, "sent", ts);
            free(ts);
            return end;
        }
    }
    if (!step_begin(step, true, &end)) {
        return end;
    }
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    slack_render(&step->card, step->target->channel, &json);
    mb_test_point("route-noted");
    if (!json.failed) {
        post(step, json.data, json.size, &result);
        mb_test_point("route-sent");
    }
    if (result.verdict == AGENTMAIL_DONE) {
        learn_channel(step, &result);
        end = step_done(step, "sent", mailbus_json_string(result.json, "ts"));
    } else {
        end = step_failed(step, &result);
    }
    agentmail_result_free(&result);
    mailbus_buf_free(&json);
    return end;
}

/* --- incoming webhooks --------------------------------------------------------------------------
 */

static void post_webhook(step_t *step, const char *json, size_t size, agentmail_result_t *result)
{
    agentmail_url_t url;
    mailbus_buf_t body = MAILBUS_BUF_INIT;
    agentmail_answer_t answer;
    bool local = agentmail_url_check(step->target->url, &url, NULL) == MAILBUS_OK && !url.https;
    const remote_t remote = {.method = "POST",
                             .url = step->target->url,
                             .reach = local ? AGENTMAIL_REACH_LOOPBACK : AGENTMAIL_REACH_ANY,
                             .json = json,
                             .size = size};
    if (remote_call("post to the webhook", &remote, &body, &answer, result)) {
        slack_webhook_judge(answer.status, body.data == NULL ? "" : body.data, body.size,
                            answer.retry_after, result);
    }
    mailbus_buf_free(&body);
}

step_end_t slack_webhook_deliver(step_t *step)
{
    step_end_t end = STEP_LATER;
    agentmail_result_t result = {.verdict = AGENTMAIL_RETRY};
    if (step->effect->first_unsure_ms != 0 && !step->target->repeat) {
        return step_rejected(step, "it may have been posted, and a webhook can't be asked: see in "
                                   "the channel before \"mailbus route again\"");
    }
    if (!step_begin(step, true, &end)) {
        return end;
    }
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    slack_render(&step->card, NULL, &json);
    mb_test_point("route-noted");
    if (!json.failed) {
        post_webhook(step, json.data, json.size, &result);
        mb_test_point("route-sent");
    }
    end = result.verdict == AGENTMAIL_DONE ? step_done(step, "sent", NULL)
                                           : step_failed(step, &result);
    mailbus_buf_free(&json);
    return end;
}
