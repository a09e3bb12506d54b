/* GitHub: listing issues, with pages that a Link field leads to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoding.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"
#include "stand.h"

/* The issues of a repository, newest first, updated since then. */
static cJSON *find(const request_t *request, const char *repo)
{
    const char *since = mb_http_query(request->http, "since");
    int64_t from = 0;
    if (since != NULL && mailbus_time_parse(since, &from) != MAILBUS_OK) {
        from = 0;
    }
    double newest = (double)(request->now_ms - request->stand->limits.lag_ms);
    cJSON *found = cJSON_CreateArray();
    const cJSON *item;
    cJSON_ArrayForEach(item, request->stand->issues)
    {
        double ms = mailbus_json_item(item, "ms")->valuedouble;
        if (strcmp(mailbus_json_string(item, "repo"), repo) == 0 && ms >= (double)from &&
            ms <= newest) {
            cJSON_InsertItemInArray(found, 0, cJSON_Duplicate(item, true));
        }
    }
    return found;
}

/* The next page is behind another path than the first: who makes its own gets none. */
static void add_link(request_t *request, const char *repo, int64_t per_page, int64_t page)
{
    char link[256];
    mailbus_buf_t since = MAILBUS_BUF_INIT;
    const char *value = mb_http_query(request->http, "since");
    const char *host = mb_http_header(request->http, "Host");
    mailbus_buf_text(&since, "");
    mb_url_encode(value == NULL ? "" : value, &since);
    snprintf(link, sizeof link,
             "<http://%.60s/repositories/%d/issues?state=all&sort=created&direction=desc"
             "&per_page=%lld&since=%.60s&page=%lld>; rel=\"next\"",
             host == NULL ? "" : host, github_repo_index(request->stand, repo, true),
             (long long)per_page, since.data, (long long)page);
    reply_header(request, "Link", link);
    mailbus_buf_free(&since);
}

static void list(request_t *request, const char *repo)
{
    int64_t per_page = request_number(request, "per_page", 30);
    int64_t most = request->stand->limits.page_max;
    int64_t page = request_number(request, "page", 1);
    per_page = per_page < 1 || per_page > most ? most : per_page;
    cJSON *found = find(request, repo);
    cJSON *shown = cJSON_CreateArray();
    int64_t at = 0;
    for (cJSON *item = found->child; item != NULL; item = item->next, at++) {
        if (at >= (page - 1) * per_page && at < page * per_page) {
            cJSON_AddItemToArray(shown, cJSON_Duplicate(item, true));
        }
    }
    cJSON_Delete(found);
    reply_json(request, 200, shown);
    if (at > page * per_page) {
        add_link(request, repo, per_page, page + 1);
    }
    github_limit_headers(request, 4000);
}

void github_list(request_t *request)
{
    char repo[300];
    snprintf(repo, sizeof repo, "%.120s/%.120s", request->parts[1], request->parts[2]);
    if (github_authorised(request)) {
        list(request, repo);
    }
}

void github_list_by_number(request_t *request)
{
    const cJSON *repo =
        cJSON_GetArrayItem(request->stand->repos, (int)strtol(request->parts[1], NULL, 10));
    if (repo == NULL) {
        reply_github_error(request, 404, "Not Found");
    } else if (github_authorised(request)) {
        list(request, repo->valuestring);
    }
}
