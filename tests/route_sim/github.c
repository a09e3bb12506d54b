/* GitHub: making an issue, with its limits. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailbus/json.h"
#include "mailbus/replay.h"
#include "stand.h"

enum { TITLE_MAX = 256, BODY_MAX = 65536, HOURLY = 5000 }; /* characters; requests an hour */

void github_limit_headers(request_t *request, int64_t remaining)
{
    reply_header(request, "X-RateLimit-Limit", "5000");
    reply_header_number(request, "X-RateLimit-Remaining", remaining);
    reply_header_number(request, "X-RateLimit-Reset", request->now_ms / 1000 + 3600);
}

bool github_authorised(request_t *request)
{
    const char *token = request_token(request);
    if (mb_http_header(request->http, "User-Agent") == NULL) {
        reply_github_error(request, 403, "Request forbidden by administrative rules.");
    } else if (token == NULL) {
        reply_github_error(request, 401, "Requires authentication");
    } else if (strncmp(token, "bad", 3) == 0) {
        reply_github_error(request, 401, "Bad credentials");
    } else if (strcmp(request->parts[1], "missing") == 0) {
        reply_github_error(request, 404, "Not Found");
    } else {
        return true;
    }
    return false;
}

int github_repo_index(stand_t *stand, const char *name, bool make)
{
    int at = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, stand->repos)
    {
        if (strcmp(item->valuestring, name) == 0) {
            return at;
        }
        at++;
    }
    if (!make) {
        return -1;
    }
    cJSON_AddItemToArray(stand->repos, cJSON_CreateString(name));
    return at;
}

static void reply_invalid(request_t *request, const char *field, const char *message)
{
    cJSON *tree = cJSON_CreateObject();
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddStringToObject(entry, "resource", "Issue");
    cJSON_AddStringToObject(entry, "code", message == NULL ? "missing_field" : "custom");
    cJSON_AddStringToObject(entry, "field", field);
    if (message != NULL) {
        cJSON_AddStringToObject(entry, "message", message);
    }
    cJSON_AddStringToObject(tree, "message", "Validation Failed");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(tree, "errors"), entry);
    cJSON_AddStringToObject(tree, "documentation_url",
                            "https://docs.github.com/rest/issues/issues#create-an-issue");
    cJSON_AddStringToObject(tree, "status", "422");
    reply_json(request, 422, tree);
}

/* False: it is not made, and the error is answered. */
static bool is_allowed(request_t *request, const cJSON *body)
{
    const char *title = mailbus_json_string(body, "title");
    const char *text = mailbus_json_string(body, "body");
    if (strncmp(request_token(request), "readonly", 8) == 0) {
        reply_github_error(request, 403, "Resource not accessible by personal access token");
    } else if (strcmp(request->parts[2], "noissues") == 0) {
        reply_github_error(request, 410, "Issues has been disabled in this repository.");
    } else if (strcmp(request->parts[2], "moved") == 0) {
        reply_github_error(request, 301, "Moved Permanently");
        reply_header(request, "Location", "https://api.github.com/repositories/1/issues");
    } else if (body == NULL) {
        reply_github_error(request, 400, "Problems parsing JSON");
    } else if (title == NULL || title[0] == '\0') {
        reply_invalid(request, "title", NULL);
    } else if (text_characters(title) > TITLE_MAX) {
        reply_invalid(request, "title", "title is too long (maximum is 256 characters)");
    } else if (text != NULL && text_characters(text) > BODY_MAX) {
        reply_invalid(request, "body", "body is too long (maximum is 65536 characters)");
    } else {
        return true;
    }
    return false;
}

/* The secondary limit: so many issues in a minute, over all repositories. */
static bool within_limit(request_t *request)
{
    stand_t *stand = request->stand;
    int64_t recent = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, stand->issues)
    {
        recent += mailbus_json_item(item, "ms")->valuedouble > (double)request->now_ms - 60000;
    }
    if (recent < stand->limits.github_per_minute) {
        return true;
    }
    stand->limited++;
    reply_github_error(request, 403,
                       "You have exceeded a secondary rate limit and have been temporarily blocked "
                       "from content creation. Please retry your request again later.");
    reply_header_number(request, "Retry-After", stand->limits.github_retry_after);
    github_limit_headers(request, HOURLY - 100);
    return false;
}

static cJSON *make_issue(request_t *request, cJSON *issue)
{
    char time[MAILBUS_TIME_SIZE], url[512];
    char repo[300];
    stand_t *stand = request->stand;
    int number = cJSON_GetArraySize(stand->issues) + 1;
    snprintf(repo, sizeof repo, "%.120s/%.120s", request->parts[1], request->parts[2]);
    snprintf(url, sizeof url, "https://github.com/%s/issues/%d", repo, number);
    mailbus_time_format(request->now_ms / 1000 * 1000, time);
    cJSON_AddNumberToObject(issue, "number", number);
    cJSON_AddNumberToObject(issue, "id", 1000000 + number);
    cJSON_AddStringToObject(issue, "html_url", url);
    cJSON_AddStringToObject(issue, "state", "open");
    cJSON_AddStringToObject(issue, "created_at", time);
    cJSON_AddStringToObject(issue, "updated_at", time);
    cJSON_AddStringToObject(issue, "repo", repo);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(issue, "user"), "login", "mailbus-bot");
    cJSON_AddNumberToObject(issue, "ms", (double)request->now_ms);
    cJSON_AddItemToArray(stand->issues, issue);
    github_repo_index(stand, repo, true);
    return issue;
}

void github_create(request_t *request)
{
    cJSON *body = github_authorised(request) ? request_json(request) : NULL;
    if (request->response->status != 200) {
        return;
    }
    if (!is_allowed(request, body) || !within_limit(request)) {
        cJSON_Delete(body);
        return;
    }
    const cJSON *issue = make_issue(request, body);
    reply_json(request, 201, cJSON_Duplicate(issue, true));
    reply_header(request, "Location", mailbus_json_string(issue, "html_url"));
    github_limit_headers(request, HOURLY - cJSON_GetArraySize(request->stand->issues));
}
