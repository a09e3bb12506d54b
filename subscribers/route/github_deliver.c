/* GitHub: making an issue, and looking for what an earlier try may have made.
 *
 * The first line of an issue is a comment with the effect's mark, which nobody can guess. A try
 * whose end is not known is looked for before a second one: in the list of issues since the first
 * such try, newest first. The list comes from the database; the search API comes from an index that
 * is behind by seconds to minutes. The list can be behind too when GitHub has trouble: hence
 * route.settle. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "encoding.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"
#include "route/github.h"
#include "route/mail_priv.h"
#include "test_point.h"

enum {
    PAGES_MAX = 50,       /* 1500 issues since the first unsure try */
    PAGE = 30,            /* issues: 65 536 characters each */
    SKEW_MS = 10 * 60000, /* GitHub's clock and ours */
};

static const char *const headers[] = {"Accept: application/vnd.github+json",
                                      "X-GitHub-Api-Version: 2022-11-28", NULL};
enum { REMAINING, RESET, LINK };
static const char *const wanted[] = {"x-ratelimit-remaining", "x-ratelimit-reset", "link", NULL};

/* One call. `ret_link` (may be NULL) gets the Link field. */
static void call(step_t *step, const char *doing, const remote_t *request, mailbus_buf_t *ret_link,
                 agentmail_result_t *result)
{
    mailbus_buf_t body = MAILBUS_BUF_INIT;
    agentmail_answer_t answer;
    remote_t remote = *request;
    remote.reach = step->mail->config->github.reach;
    remote.token = step->target->token;
    remote.headers = headers;
    remote.wanted = wanted;
    if (remote_call(doing, &remote, &body, &answer, result)) {
        const github_limits_t limits = {.retry_after = answer.retry_after,
                                        .remaining = answer.values[REMAINING],
                                        .reset = answer.values[RESET]};
        github_judge(doing, answer.status, body.data == NULL ? "" : body.data, body.size, &limits,
                     mb_clock_wall_ms() / 1000, result, &step->strike);
        if (ret_link != NULL) {
            mailbus_buf_clear(ret_link);
            mailbus_buf_text(ret_link, answer.values[LINK]);
        }
    }
    mailbus_buf_free(&body);
}

/* --- looking ------------------------------------------------------------------------------------
 */

static void first_page(const step_t *step, int64_t since_ms, mailbus_buf_t *url)
{
    char since[MAILBUS_TIME_SIZE];
    mailbus_time_format(since_ms, since);
    snprintf(since + strlen("2026-11-25T16:00:00"), sizeof since - 19, "Z"); /* whole seconds */
    mailbus_buf_printf(url,
                       "%s/repos/%s/issues?state=all&sort=created&direction=desc&per_page=%d"
                       "&since=",
                       step->mail->config->github.base_url, step->target->repo, PAGE);
    mb_url_encode(since, url);
}

/* The next page is where GitHub says it is, as long as that is GitHub: the token goes along. */
static bool next_page(const step_t *step, const char *link, mailbus_buf_t *url)
{
    const char *base = step->mail->config->github.base_url;
    size_t size = strlen(base);
    mailbus_buf_clear(url);
    return github_next_page(link, url) && !url->failed && strncmp(url->data, base, size) == 0 &&
           url->data[size] == '/';
}

/* Was it made by an earlier try? *ret_found NULL: no. False: that can't be found out. */
static bool look(step_t *step, char **ret_found, agentmail_result_t *result)
{
    static const char doing[] = "look for the issue";
    const int64_t since_ms = step->effect->first_unsure_ms - SKEW_MS;
    mailbus_buf_t url = MAILBUS_BUF_INIT;
    mailbus_buf_t link = MAILBUS_BUF_INIT;
    bool known = false;
    *ret_found = NULL;
    first_page(step, since_ms, &url);
    for (int i = 0; i < PAGES_MAX && !url.failed; i++) {
        const remote_t remote = {.method = "GET", .url = url.data};
        call(step, doing, &remote, &link, result);
        result->maybe_done = false; /* nothing changes by reading */
        if (result->verdict != AGENTMAIL_DONE) {
            goto out;
        }
        const char *found = github_find_mark(result->json, step->effect->mark);
        known = found != NULL || github_is_before(result->json, since_ms) ||
                !next_page(step, link.data == NULL ? "" : link.data, &url);
        *ret_found = found == NULL ? NULL : strdup(found);
        agentmail_result_free(result);
        if (known) {
            goto out;
        }
    }
    *result = (agentmail_result_t){.verdict = AGENTMAIL_REJECT};
    snprintf(result->text, sizeof result->text, "%s: more than %d pages of issues since then",
             doing, PAGES_MAX);
out:
    mailbus_buf_free(&url);
    mailbus_buf_free(&link);
    return known;
}

/* --- making -------------------------------------------------------------------------------------
 */

static void create(step_t *step, agentmail_result_t *result)
{
    static const char doing[] = "create an issue";
    mailbus_buf_t url = MAILBUS_BUF_INIT;
    mailbus_buf_t json = MAILBUS_BUF_INIT;
    const char *labels = step->rule == NULL ? NULL : rule_text(step->rule, "labels");
    mailbus_buf_printf(&url, "%s/repos/%s/issues", step->mail->config->github.base_url,
                       step->target->repo);
    github_render(&step->card, labels != NULL ? labels : step->target->labels, &json);
    mb_test_point("route-noted");
    if (!url.failed && !json.failed) {
        const remote_t remote = {
            .method = "POST", .url = url.data, .json = json.data, .size = json.size};
        call(step, doing, &remote, NULL, result);
        mb_test_point("route-sent");
    }
    if (result->verdict == AGENTMAIL_DONE &&
        mailbus_json_string(result->json, "html_url") == NULL) {
        agentmail_result_free(result);
        result->maybe_done = true;
        snprintf(result->text, sizeof result->text, "%s: the answer is not the service's", doing);
    }
    mailbus_buf_free(&url);
    mailbus_buf_free(&json);
}

step_end_t github_deliver(step_t *step)
{
    step_end_t end = STEP_LATER;
    agentmail_result_t result = {.verdict = AGENTMAIL_RETRY, .text = "out of memory"};
    if (step->effect->first_unsure_ms != 0) {
        char *found = NULL;
        if (!step_settled(step, &end)) {
            return end;
        }
        if (!look(step, &found, &result)) {
            return result.verdict == AGENTMAIL_REJECT
                       ? step_rejected(step,
                                       "an issue may have been made, and that can't be looked up "
                                       "(%s): see there before \"mailbus route again\"",
                                       result.text)
                       : step_failed(step, &result);
        }
        if (found != NULL) {
            end = step_done(step, "sent", found);
            free(found);
            return end;
        }
        result = (agentmail_result_t){.verdict = AGENTMAIL_RETRY, .text = "out of memory"};
    }
    if (!step_begin(step, true, &end)) {
        return end;
    }
    create(step, &result);
    end = result.verdict == AGENTMAIL_DONE
              ? step_done(step, "sent", mailbus_json_string(result.json, "html_url"))
              : step_failed(step, &result);
    agentmail_result_free(&result);
    return end;
}
