/* What Slack takes for a message (docs.slack.dev: chat.postMessage, Block Kit, text object). */
#include <string.h>

#include "mailbus/json.h"
#include "stand.h"

enum {
    TEXT_MAX = 40000,   /* characters of `text` */
    BLOCKS_MAX = 50,    /* of a message */
    SECTION_MAX = 3000, /* characters of a section's text */
    HEADER_MAX = 150,   /* characters of a header's text */
    ALL_MAX = 11000,    /* characters of all blocks; not documented, reported at 11 341 and up */
};

/* A text object of at most `max` characters; they are added to *total. */
static bool is_text(const cJSON *object, size_t max, bool plain_only, size_t *total)
{
    const char *type = mailbus_json_string(object, "type");
    const char *text = mailbus_json_string(object, "text");
    if (type == NULL || text == NULL) {
        return false;
    }
    bool plain = strcmp(type, "plain_text") == 0;
    size_t size = text_characters(text);
    *total += size;
    return (plain || (!plain_only && strcmp(type, "mrkdwn") == 0)) && size > 0 && size <= max &&
           (plain || mailbus_json_item(object, "emoji") == NULL) &&
           (!plain || mailbus_json_item(object, "verbatim") == NULL);
}

static bool is_block(const cJSON *block, size_t *total)
{
    const char *type = mailbus_json_string(block, "type");
    const cJSON *text = mailbus_json_item(block, "text");
    if (type == NULL) {
        return false;
    }
    if (strcmp(type, "header") == 0) {
        return is_text(text, HEADER_MAX, true, total);
    }
    if (strcmp(type, "section") == 0) {
        return is_text(text, SECTION_MAX, false, total);
    }
    const cJSON *elements = mailbus_json_item(block, "elements");
    bool good = strcmp(type, "context") == 0 && cJSON_GetArraySize(elements) > 0 &&
                cJSON_GetArraySize(elements) <= 10;
    const cJSON *item;
    cJSON_ArrayForEach(item, elements)
    {
        good = good && is_text(item, SECTION_MAX, false, total);
    }
    return good;
}

static bool is_metadata(const cJSON *metadata)
{
    return metadata == NULL || (mailbus_json_string(metadata, "event_type") != NULL &&
                                cJSON_IsObject(mailbus_json_item(metadata, "event_payload")));
}

const char *slack_check(const cJSON *message)
{
    const char *text = mailbus_json_string(message, "text");
    const cJSON *blocks = mailbus_json_item(message, "blocks");
    size_t total = 0;
    const cJSON *block;
    if (text == NULL && blocks == NULL) {
        return "no_text";
    }
    if (text != NULL && text_characters(text) > TEXT_MAX) {
        return "msg_too_long";
    }
    if (cJSON_GetArraySize(blocks) > BLOCKS_MAX ||
        !is_metadata(mailbus_json_item(message, "metadata"))) {
        return "invalid_arguments";
    }
    cJSON_ArrayForEach(block, blocks)
    {
        if (!is_block(block, &total)) {
            return "invalid_blocks";
        }
    }
    return total > ALL_MAX ? "msg_blocks_too_long" : NULL;
}
