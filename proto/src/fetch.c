/* Requests of the replay dialogue: FETCH and HEADS (PROTOCOL.md §Replay). */
#include <stdlib.h>
#include <string.h>

#include "field.h"
#include "mailbus/json.h"
#include "mailbus/replay.h"
#include "verb.h"

/* The largest integer that a JSON number carries exactly: 2^53 (RFC 8259 §6). */
static const double EXACT_MAX = 9007199254740992.0;

static void write_names(mailbus_buf_t *json, const char *key, char *const *names, size_t count)
{
    if (count == 0) {
        return;
    }
    mailbus_buf_printf(json, ",\"%s\":", key);
    for (size_t i = 0; i < count; i++) {
        mailbus_buf_char(json, i == 0 ? '[' : ',');
        mailbus_json_write_string(json, names[i], strlen(names[i]));
    }
    mailbus_buf_char(json, ']');
}

mailbus_code_t mailbus_fetch_encode(const mailbus_fetch_t *fetch, mailbus_buf_t *json,
                                    mailbus_error_t *error)
{
    mailbus_buf_text(json, "{\"request\":");
    mailbus_json_write_string(json, fetch->request, strlen(fetch->request));
    if (fetch->kind == MAILBUS_REPLAY_FETCH) {
        if (fetch->stream[0] != '\0') {
            mailbus_buf_text(json, ",\"stream\":");
            mailbus_json_write_string(json, fetch->stream, strlen(fetch->stream));
        }
        if (fetch->has_since) {
            char since[MAILBUS_TIME_SIZE];
            mailbus_time_format(fetch->since_ms, since);
            mailbus_buf_printf(json, ",\"since\":\"%s\"", since);
        } else {
            mailbus_buf_text(json, ",\"from\":\"");
            mailbus_buf_u64(json, fetch->from);
            mailbus_buf_char(json, '"');
        }
        write_names(json, "topics", fetch->topics, fetch->topic_count);
        write_names(json, "prefixes", fetch->prefixes, fetch->prefix_count);
        if (fetch->limit > 0) {
            mailbus_buf_printf(json, ",\"limit\":%u", fetch->limit);
        }
        if (fetch->bytes > 0) {
            mailbus_buf_printf(json, ",\"bytes\":%u", fetch->bytes);
        }
    }
    mailbus_buf_char(json, '}');
    return json->failed ? mailbus_fail(error, MAILBUS_ENOMEM, "no memory for a request")
                        : MAILBUS_OK;
}

static mailbus_code_t read_from(const cJSON *tree, mailbus_fetch_t *fetch, mailbus_error_t *error)
{
    const cJSON *from = mailbus_json_item(tree, "from");
    const cJSON *since = mailbus_json_item(tree, "since");
    if (from != NULL && since != NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"from\" and \"since\" exclude each other");
    }
    if (since != NULL) {
        fetch->has_since = true;
        if (!cJSON_IsString(since) ||
            mailbus_time_parse(since->valuestring, &fetch->since_ms) != MAILBUS_OK) {
            return mailbus_fail(error, MAILBUS_EINVAL, "\"since\" is not an RFC 3339 time");
        }
        return MAILBUS_OK;
    }
    if (from == NULL) {
        return MAILBUS_OK;
    }
    double number = cJSON_IsNumber(from) ? from->valuedouble : -1;
    if (number >= 0 && number <= EXACT_MAX && number == (double)(uint64_t)number) {
        fetch->from = (uint64_t)number;
        return MAILBUS_OK;
    }
    if (!cJSON_IsString(from) ||
        mailbus_sequence_parse(from->valuestring, &fetch->from) != MAILBUS_OK) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"from\" is not a decimal number");
    }
    return MAILBUS_OK;
}

/* A prefix is what a topic begins with: any bytes of a topic's alphabet, also "". */
static bool is_prefix(const char *text)
{
    return strlen(text) <= MAILBUS_TOPIC_MAX &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-.")] == '\0';
}

static mailbus_code_t copy_name(const cJSON *item, bool topic, const char *key, char **ret_name,
                                mailbus_error_t *error)
{
    const char *name = cJSON_IsString(item) ? item->valuestring : NULL;
    if (name == NULL ||
        (topic ? mailbus_topic_check(name, strlen(name), NULL) != MAILBUS_OK : !is_prefix(name))) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" holds something that is no topic%s", key,
                            topic ? "" : "'s beginning");
    }
    *ret_name = strdup(name);
    return *ret_name != NULL ? MAILBUS_OK
                             : mailbus_fail(error, MAILBUS_ENOMEM, "no memory for a request");
}

/* The names under `key`, at most `most`. Filled in place, so that the request frees what is half
 * made. */
static mailbus_code_t read_names(const cJSON *tree, const char *key, bool topics, size_t most,
                                 char ***ret_names, size_t *ret_count, mailbus_error_t *error)
{
    const cJSON *list = mailbus_json_item(tree, key);
    if (list == NULL) {
        return MAILBUS_OK;
    }
    if (!cJSON_IsArray(list)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" is not an array", key);
    }
    const size_t count = (size_t)cJSON_GetArraySize(list);
    if (count > most) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"topics\" and \"prefixes\" name more than %d",
                            MAILBUS_FETCH_MAX_NAMES);
    }
    *ret_names = calloc(count + 1, sizeof **ret_names);
    if (*ret_names == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for a request");
    }
    for (const cJSON *item = list->child; item != NULL; item = item->next) {
        mailbus_code_t code = copy_name(item, topics, key, *ret_names + *ret_count, error);
        if (code != MAILBUS_OK) {
            return code;
        }
        (*ret_count)++;
    }
    return MAILBUS_OK;
}

/* A whole number from 0 on; 0 and what is above `most` become `most`. */
static mailbus_code_t read_bound(const cJSON *tree, const char *key, uint32_t most,
                                 uint32_t *ret_value, mailbus_error_t *error)
{
    const cJSON *item = mailbus_json_item(tree, key);
    *ret_value = most;
    if (item == NULL) {
        return MAILBUS_OK;
    }
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > EXACT_MAX ||
        item->valuedouble != (double)(uint64_t)item->valuedouble) {
        return mailbus_fail(error, MAILBUS_EINVAL, "\"%s\" is not a whole number", key);
    }
    if (item->valuedouble > 0 && item->valuedouble < most) {
        *ret_value = (uint32_t)item->valuedouble;
    }
    return MAILBUS_OK;
}

static mailbus_code_t read_stream(const cJSON *tree, mailbus_fetch_t *fetch, mailbus_error_t *error)
{
    const char *stream = NULL;
    if (mailbus_json_item(tree, "stream") == NULL) {
        return MAILBUS_OK;
    }
    mailbus_code_t code = proto_field_uuid(tree, "stream", &stream, error);
    if (code == MAILBUS_OK) {
        memcpy(fetch->stream, stream, MAILBUS_UUID_SIZE);
    }
    return code;
}

static mailbus_code_t read_fetch(const cJSON *tree, mailbus_fetch_t *fetch, mailbus_error_t *error)
{
    mailbus_code_t code = read_stream(tree, fetch, error);
    if (code == MAILBUS_OK) {
        code = read_from(tree, fetch, error);
    }
    if (code == MAILBUS_OK) {
        code = read_names(tree, "topics", true, MAILBUS_FETCH_MAX_NAMES, &fetch->topics,
                          &fetch->topic_count, error);
    }
    if (code == MAILBUS_OK) {
        code = read_names(tree, "prefixes", false, MAILBUS_FETCH_MAX_NAMES - fetch->topic_count,
                          &fetch->prefixes, &fetch->prefix_count, error);
    }
    if (code == MAILBUS_OK) {
        code = read_bound(tree, "limit", MAILBUS_FETCH_MAX_LIMIT, &fetch->limit, error);
    }
    if (code == MAILBUS_OK) {
        code = read_bound(tree, "bytes", MAILBUS_FETCH_MAX_BYTES, &fetch->bytes, error);
    }
    return code;
}

mailbus_code_t mailbus_fetch_decode(const void *verb, size_t verb_size, const void *json,
                                    size_t json_size, mailbus_fetch_t **ret_fetch,
                                    mailbus_error_t *error)
{
    bool heads = proto_verb_is(verb, verb_size, MAILBUS_REPLAY_HEADS);
    if (!heads && !proto_verb_is(verb, verb_size, MAILBUS_REPLAY_FETCH)) {
        return mailbus_fail(error, MAILBUS_EINVAL, "the first frame is neither FETCH nor HEADS");
    }
    if (json_size > MAILBUS_FETCH_MAX_SIZE) {
        return mailbus_fail(error, MAILBUS_ETOOBIG, "the request has more than %d bytes",
                            MAILBUS_FETCH_MAX_SIZE);
    }
    cJSON *tree = NULL;
    mailbus_code_t code = mailbus_json_parse_object(json, json_size, &tree, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    mailbus_fetch_t *fetch = calloc(1, sizeof *fetch);
    if (fetch == NULL) {
        cJSON_Delete(tree);
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for a request");
    }
    fetch->kind = heads ? MAILBUS_REPLAY_HEADS : MAILBUS_REPLAY_FETCH;
    code = proto_field_request(tree, false, fetch->request, error);
    if (code == MAILBUS_OK && !heads) {
        code = read_fetch(tree, fetch, error);
    }
    cJSON_Delete(tree);
    if (code != MAILBUS_OK) {
        mailbus_fetch_free(&fetch);
        return code;
    }
    *ret_fetch = fetch;
    return MAILBUS_OK;
}

static void free_names(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
}

void mailbus_fetch_free(mailbus_fetch_t **fetch_p)
{
    mailbus_fetch_t *fetch = *fetch_p;
    *fetch_p = NULL;
    if (fetch != NULL) {
        free_names(fetch->topics, fetch->topic_count);
        free_names(fetch->prefixes, fetch->prefix_count);
        free(fetch);
    }
}

bool mailbus_fetch_matches(const mailbus_fetch_t *fetch, const char *topic)
{
    for (size_t i = 0; i < fetch->topic_count; i++) {
        if (strcmp(fetch->topics[i], topic) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < fetch->prefix_count; i++) {
        if (strncmp(fetch->prefixes[i], topic, strlen(fetch->prefixes[i])) == 0) {
            return true;
        }
    }
    return fetch->topic_count == 0 && fetch->prefix_count == 0;
}
