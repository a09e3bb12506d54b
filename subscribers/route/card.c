#include "route/card.h"

#include <stdlib.h>
#include <string.h>

#include "agentmail/text.h"

enum {
    LINE_MAX_BYTES = 998, /* of a line about a mail: RFC 5322 §2.1.1 */
    RECIPIENTS_SHOWN = 5, /* of 500 */
};

#define ELLIPSIS "\xE2\x80\xA6"

static char *line_of(const char *text)
{
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, "");
    agentmail_text_line(text == NULL ? "" : text, text == NULL ? 0 : strlen(text), LINE_MAX_BYTES,
                        &out);
    return mailbus_buf_take(&out, NULL);
}

static char *subject_of(const agentmail_message_t *message)
{
    char *subject = line_of(message->subject);
    if (subject != NULL && subject[0] == '\0') {
        free(subject);
        subject = strdup("(no subject)");
    }
    return subject;
}

/* "Jane Doe <jane@example.com>, …" */
static char *people_of(const agentmail_addresses_t *list)
{
    mailbus_buf_t all = MAILBUS_BUF_INIT;
    mailbus_buf_text(&all, list->count == 0 ? "(nobody)" : "");
    for (size_t i = 0; i < list->count && i < RECIPIENTS_SHOWN; i++) {
        const agentmail_address_t *person = &list->items[i];
        bool named = person->name[0] != '\0';
        mailbus_buf_printf(&all, "%s%s%s%s%s", i == 0 ? "" : ", ", person->name, named ? " <" : "",
                           person->address, named ? ">" : "");
    }
    if (list->count > RECIPIENTS_SHOWN) {
        mailbus_buf_printf(&all, " and %zu more", list->count - RECIPIENTS_SHOWN);
    }
    char *line = all.failed ? NULL : line_of(all.data);
    mailbus_buf_free(&all);
    return line;
}

static char *text_of(const agentmail_message_t *message, size_t *ret_size, bool *ret_has)
{
    const char *const texts[] = {message->text, message->extracted_text, message->preview};
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mailbus_buf_text(&out, "");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0] && out.size == 0; i++) {
        if (texts[i] != NULL) {
            (void)agentmail_text_block(texts[i], strlen(texts[i]), 0, &out);
        }
    }
    *ret_has = out.size > 0;
    if (out.size == 0) {
        mailbus_buf_text(&out, message->body_absent
                                   ? "(the event brings no text: the mail is empty, or larger than "
                                     "an event can be)"
                                   : "(the mail has no text)");
    }
    return mailbus_buf_take(&out, ret_size);
}

mailbus_code_t card_new(const agentmail_message_t *message, const char *rule, const char *note,
                        const char *mark, card_t *ret_card, mailbus_error_t *error)
{
    card_t card = {.rule = rule, .note = note, .mark = mark};
    card.from = people_of(&message->from);
    card.to = people_of(&message->to);
    card.subject = subject_of(message);
    card.inbox = line_of(message->inbox_id);
    card.message_id = line_of(message->message_id);
    card.text = text_of(message, &card.text_size, &card.has_text);
    if (card.from == NULL || card.to == NULL || card.subject == NULL || card.inbox == NULL ||
        card.message_id == NULL || card.text == NULL) {
        card_free(&card);
        return mailbus_fail(error, MAILBUS_ENOMEM, "out of memory");
    }
    *ret_card = card;
    return MAILBUS_OK;
}

void card_free(card_t *card)
{
    free(card->from);
    free(card->to);
    free(card->subject);
    free(card->inbox);
    free(card->message_id);
    free(card->text);
    *card = (card_t){.from = NULL};
}

/* Bytes of the first `max` characters; all of it: the whole size. */
static size_t prefix_of(const char *text, size_t size, size_t max)
{
    size_t at = 0;
    uint32_t code = 0;
    for (size_t count = 0; at < size;) {
        size_t length = agentmail_text_next(text + at, size - at, &code);
        count += code > 0xFFFF ? 2 : 1;
        if (count > max) {
            break;
        }
        at += length;
    }
    return at;
}

void card_cut(const char *text, size_t max, mailbus_buf_t *out)
{
    size_t size = strlen(text);
    size_t fits = prefix_of(text, size, max);
    if (fits == size) {
        mailbus_buf_append(out, text, size);
        return;
    }
    mailbus_buf_append(out, text, prefix_of(text, size, max - 1));
    mailbus_buf_text(out, ELLIPSIS);
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

void card_disarm(const char *text, size_t size, mailbus_buf_t *out)
{
    static const char zero_width_space[] = "\xE2\x80\x8B";
    for (size_t i = 0; i < size; i++) {
        mailbus_buf_char(out, text[i]);
        if ((text[i] == '@' || text[i] == '#') && (i == 0 || !is_word(text[i - 1]))) {
            mailbus_buf_text(out, zero_width_space);
        }
    }
}
