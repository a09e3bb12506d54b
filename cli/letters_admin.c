/* Dead letters of a program that runs, through its admin listener (the runtime's dead_http.h). */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoding.h"
#include "letters.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"

static mailbus_code_t call(place_t *place, const char *method, const char *path, cJSON **ret_tree,
                           mailbus_error_t *error)
{
    const running_question_t question = {.method = method, .path = path};
    return running_call(place->running, &question, ret_tree, error);
}

static uint64_t number_of(const cJSON *item, const char *key)
{
    const char *text = mailbus_json_string(item, key);
    uint64_t number = 0;
    return text != NULL && mailbus_sequence_parse(text, &number) == MAILBUS_OK ? number : 0;
}

static unsigned count_of(const cJSON *item, const char *key)
{
    double number = cJSON_GetNumberValue(mailbus_json_item(item, key));
    return number >= 0 && number <= 1e9 ? (unsigned)number : 0;
}

static int64_t time_of(const cJSON *item, const char *key)
{
    const char *text = mailbus_json_string(item, key);
    int64_t ms = 0;
    return text != NULL && mailbus_time_parse(text, &ms) == MAILBUS_OK ? ms : 0;
}

static const char *text_of(const cJSON *item, const char *key)
{
    const char *text = mailbus_json_string(item, key);
    return text != NULL ? text : "";
}

/* Hand one letter on; header and body only where the answer has them. */
static mailbus_code_t visit_letter(const cJSON *item, dead_visit_fn *visit, void *arg,
                                   mailbus_error_t *error)
{
    dead_letter_t letter = {
        .number = (int64_t)(number_of(item, "id") & INT64_MAX),
        .sequence = number_of(item, "sequence"),
        .id = text_of(item, "event"),
        .topic = text_of(item, "topic"),
        .reason = text_of(item, "reason"),
        .attempts = count_of(item, "attempts"),
        .crashes = count_of(item, "crashes"),
        .first_ms = time_of(item, "first"),
        .set_aside_ms = time_of(item, "set_aside"),
    };
    const cJSON *header = mailbus_json_item(item, "header");
    const char *body = mailbus_json_string(item, "body");
    const char *coded = mailbus_json_string(item, "body_base64");
    char *header_text = header != NULL ? cJSON_PrintUnformatted(header) : NULL;
    uint8_t *decoded = NULL;
    mailbus_code_t code = MAILBUS_OK;
    if (header_text != NULL) {
        letter.header = header_text;
        letter.header_size = strlen(header_text);
    }
    if (body != NULL) {
        letter.body = body;
        letter.body_size = strlen(body);
    } else if (coded != NULL) {
        decoded = malloc(strlen(coded) + 1);
        if (decoded == NULL) {
            code = mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
        } else if (mb_base64_decode(coded, strlen(coded), decoded, strlen(coded) + 1,
                                    &letter.body_size) == MAILBUS_OK) {
            letter.body = decoded;
        }
    }
    if (code == MAILBUS_OK) {
        visit(arg, &letter);
    }
    free(decoded);
    cJSON_free(header_text);
    return code;
}

static mailbus_code_t list(place_t *place, int64_t after, size_t limit, dead_visit_fn *visit,
                           void *arg, mailbus_error_t *error)
{
    char path[96];
    cJSON *tree = NULL;
    snprintf(path, sizeof path, "/dead?after=%" PRId64 "&limit=%zu", after, limit);
    mailbus_code_t code = call(place, "GET", path, &tree, error);
    const cJSON *item;
    cJSON_ArrayForEach(item, mailbus_json_item(tree, "dead"))
    {
        if (code == MAILBUS_OK) {
            code = visit_letter(item, visit, arg, error);
        }
    }
    cJSON_Delete(tree);
    return code;
}

static mailbus_code_t show(place_t *place, int64_t number, dead_visit_fn *visit, void *arg,
                           mailbus_error_t *error)
{
    char path[64];
    cJSON *tree = NULL;
    snprintf(path, sizeof path, "/dead/%" PRId64, number);
    mailbus_code_t code = call(place, "GET", path, &tree, error);
    if (code == MAILBUS_OK) {
        code = visit_letter(tree, visit, arg, error);
    }
    cJSON_Delete(tree);
    return code;
}

static mailbus_code_t change(place_t *place, int64_t number, const char *verb,
                             mailbus_error_t *error)
{
    char path[64];
    cJSON *tree = NULL;
    snprintf(path, sizeof path, "/dead/%" PRId64 "/%s", number, verb);
    mailbus_code_t code = call(place, "POST", path, &tree, error);
    cJSON_Delete(tree);
    return code;
}

static mailbus_code_t retry(place_t *place, int64_t number, mailbus_error_t *error)
{
    return change(place, number, "retry", error);
}

static mailbus_code_t drop(place_t *place, int64_t number, mailbus_error_t *error)
{
    return change(place, number, "drop", error);
}

const letters_ops_t letters_admin_ops = {list, show, retry, drop};
