/* Slack's side of a mail: what is posted, and what the answers mean. Pure: no sockets here.
 *
 * Mail texts stand in plain_text objects, where Slack makes no mentions and no links, with & < >
 * escaped as its documentation wants (docs.slack.dev: formatting message text, text object). */
#ifndef ROUTE_SLACK_H
#define ROUTE_SLACK_H

#include "agentmail/client.h"
#include "route/card.h"

/* docs.slack.dev, Block Kit; the last is not documented: messages of 11 341 characters and more
 * were refused (slackapi/bolt-js#2867), and nobody reads more in a channel. */
#define SLACK_SECTION_MAX  3000 /* characters of a section's text */
#define SLACK_HEADER_MAX   150  /* characters of a header's text */
#define SLACK_SECTIONS_MAX 3    /* sections that a mail's text may take */
#define SLACK_FALLBACK_MAX 500  /* characters of `text`, which notifications show (limit 40 000) */

/* Append the body of chat.postMessage, or of an incoming webhook where `channel` is NULL. The mark
 * is in the metadata of the first (a webhook's can't be read back). */
void slack_render(const card_t *card, const char *channel, mailbus_buf_t *out);
/* Append `text` with & < > escaped, at most `max` characters as Slack counts them at worst; how
 * many bytes of it that were. */
size_t slack_escape(const char *text, size_t size, size_t max, mailbus_buf_t *out);

/* An answer of the Web API ({"ok":…}). A limit sets retry_after. */
void slack_judge(const char *doing, long status, const char *body, size_t size, double retry_after,
                 agentmail_result_t *result);
/* An answer of an incoming webhook (a word). */
void slack_webhook_judge(long status, const char *body, size_t size, double retry_after,
                         agentmail_result_t *result);

/* A page of conversations.history (slack_judge said DONE): the ts of the message with that mark, or
 * NULL. Lent. */
const char *slack_find_mark(const cJSON *page, const char *mark);
/* A page of conversations.list: the id of the channel "#name" or "name", or NULL. Lent. */
const char *slack_find_channel(const cJSON *page, const char *name);
/* The cursor of the next page, or NULL at the end. Lent. */
const char *slack_next_page(const cJSON *page);
/* "C024BE91L" or "G…": an id, as conversations.history wants it. */
bool slack_is_channel_id(const char *channel);

#endif
