#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoding.h"
#include "mailbus/event.h"
#include "mailbus/json.h"

cJSON *vectors_read_file(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "proto/vectors/%s.json", name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    mailbus_buf_t text = MAILBUS_BUF_INIT;
    char block[65536];
    size_t size;
    while ((size = fread(block, 1, sizeof block, file)) > 0) {
        mailbus_buf_append(&text, block, size);
    }
    fclose(file);
    cJSON *tree = NULL;
    mailbus_error_t error;
    if (mailbus_json_parse(text.data, text.size, &tree, &error) != MAILBUS_OK) {
        fail_msg("%s: %s", path, error.text);
    }
    mailbus_buf_free(&text);
    return tree;
}

void vectors_decode_frame(const char *base64, mailbus_buf_t *frame)
{
    const size_t room = strlen(base64) + 1;
    uint8_t *bytes = malloc(room);
    assert_non_null(bytes);
    *frame = (mailbus_buf_t)MAILBUS_BUF_INIT;
    assert_int_equal(mb_base64_decode(base64, room - 1, bytes, room, &frame->size), MAILBUS_OK);
    frame->data = malloc(frame->size);
    assert_true(frame->data != NULL || frame->size == 0);
    if (frame->size > 0) {
        memcpy(frame->data, bytes, frame->size);
    }
    free(bytes);
}

static void read_frames(const cJSON *vector, frames_t *frames)
{
    const cJSON *item = NULL;
    *frames = (frames_t){.count = 0};
    cJSON_ArrayForEach(item, mailbus_json_item(vector, "frames"))
    {
        assert_true(frames->count < FRAMES_MAX);
        vectors_decode_frame(item->valuestring, &frames->frame[frames->count++]);
    }
}

static void free_frames(frames_t *frames)
{
    for (size_t i = 0; i < frames->count; i++) {
        free(frames->frame[i].data);
    }
}

bool vectors_canonical(const cJSON *vector)
{
    return cJSON_IsTrue(mailbus_json_item(vector, "canonical"));
}

static const char *name_of(const cJSON *vector)
{
    return mailbus_json_string(vector, "name");
}

void vectors_assert_text(const char *found, const cJSON *expect, const char *key)
{
    const char *wanted = mailbus_json_string(expect, key);
    if (wanted == NULL) {
        assert_null(found);
    } else {
        assert_non_null(found);
        assert_string_equal(found, wanted);
    }
}

void vectors_assert_number(uint64_t found, const cJSON *expect, const char *key)
{
    uint64_t wanted = 0;
    const char *text = mailbus_json_string(expect, key);
    assert_non_null(text);
    assert_int_equal(mailbus_sequence_parse(text, &wanted), MAILBUS_OK);
    assert_true(found == wanted);
}

void vectors_assert_bytes(const mailbus_buf_t *found, const mailbus_buf_t *wanted)
{
    assert_int_equal(found->size, wanted->size);
    assert_memory_equal(found->data, wanted->data, wanted->size);
}

void vectors_run(const char *name, const cJSON *vectors, decode_fn *decode, check_fn *check,
                 size_t at_least)
{
    size_t count = 0;
    const cJSON *vector = NULL;
    frames_t frames;
    mailbus_error_t error;
    cJSON_ArrayForEach(vector, mailbus_json_item(vectors, "valid"))
    {
        void *thing = NULL;
        read_frames(vector, &frames);
        if (decode(&frames, &thing, &error) != MAILBUS_OK) {
            fail_msg("%s, valid, \"%s\": %s", name, name_of(vector), error.text);
        }
        check(vector, &frames, thing);
        free_frames(&frames);
        count++;
    }
    cJSON_ArrayForEach(vector, mailbus_json_item(vectors, "invalid"))
    {
        void *thing = &count;
        read_frames(vector, &frames);
        error = (mailbus_error_t){.code = MAILBUS_OK};
        mailbus_code_t code = decode(&frames, &thing, &error);
        if (code != MAILBUS_EINVAL && code != MAILBUS_ETOOBIG) {
            fail_msg("%s, invalid, \"%s\" was taken (%d)", name, name_of(vector), code);
        }
        assert_ptr_equal(thing, &count);
        assert_int_equal(error.code, code);
        assert_true(error.text[0] != '\0');
        for (const char *c = error.text; *c != '\0'; c++) {
            assert_in_range(*c, ' ', '~');
        }
        free_frames(&frames);
        count++;
    }
    assert_true(count >= at_least);
}

void vectors_run_file(const char *name, decode_fn *decode, check_fn *check, size_t at_least)
{
    cJSON *file = vectors_read_file(name);
    vectors_run(name, file, decode, check, at_least);
    cJSON_Delete(file);
}
