/* GitHub's side of a mail: the issue, and what the answers mean. Pure: no sockets here.
 *
 * Everything out of the mail stands in one fenced code block, whose fence is longer than any run of
 * backticks in it: there GitHub makes no mentions, links, references, images or HTML (a backslash
 * does not stop a mention: github/cmark-gfm#389). Each @ and # that could begin one is disarmed
 * besides, for who answers the notification by mail sends the text back without its block
 * (dependabot/dependabot-core#3157). */
#ifndef ROUTE_GITHUB_H
#define ROUTE_GITHUB_H

#include "agentmail/client.h"
#include "route/card.h"

#define GITHUB_TITLE_MAX 256   /* characters: GitHub answers 422 beyond it */
#define GITHUB_BODY_MAX  65536 /* the same */

/* Append the body of "create an issue". `labels`: comma-separated, NULL: none. The hidden first
 * line carries the mark. */
void github_render(const card_t *card, const char *labels, mailbus_buf_t *out);

/* The header fields that say how long to wait, as they came; "" where they did not. */
typedef struct {
    double retry_after;    /* seconds; 0: not said */
    const char *remaining; /* x-ratelimit-remaining */
    const char *reset;     /* x-ratelimit-reset: unix seconds */
} github_limits_t;

/* An answer. A limit, primary or secondary, sets retry_after where it says for how long, else
 * *ret_strike (docs.github.com, "Exceeding the rate limit"). */
void github_judge(const char *doing, long status, const char *body, size_t size,
                  const github_limits_t *limits, int64_t now_s, agentmail_result_t *result,
                  bool *ret_strike);

/* A page of issues (github_judge said DONE): the address of the one with that mark, or NULL. Lent.
 */
const char *github_find_mark(const cJSON *page, const char *mark);
/* True where the page has an issue from before `since_ms`: what follows is older still. */
bool github_is_before(const cJSON *page, int64_t since_ms);
/* Append the address of rel="next" out of a Link field (RFC 8288); false: there is none. */
bool github_next_page(const char *link, mailbus_buf_t *out);

#endif
