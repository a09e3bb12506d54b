/* What of a mail is shown to people elsewhere: clean, in one place for all targets. */
#ifndef ROUTE_CARD_H
#define ROUTE_CARD_H

#include "agentmail/message.h"

#define CARD_NOTE_MAX                                                                              \
    500 /* bytes of an operator's note: every target has room for it and a mail                    \
         */

typedef struct {
    char *from, *to, *subject; /* one line each, cut; "(no subject)" where there is none */
    char *inbox, *message_id;
    char *text;       /* lines, clean; says so where there is none */
    size_t text_size; /* bytes of it */
    bool has_text;
    const char *rule;
    const char *note; /* the operator's own words, lent; NULL: none */
    /* What marks the effect wherever it can be looked for: nobody can guess it. */
    const char *mark;
} card_t;

/* `rule`, `note` and `mark` are lent for the card's life. */
MAILBUS_MUST_USE mailbus_code_t card_new(const agentmail_message_t *message, const char *rule,
                                         const char *note, const char *mark, card_t *ret_card,
                                         mailbus_error_t *error);
void card_free(card_t *card); /* takes a zeroed one */

/* Append at most `max` characters (UTF-16 units, the strictest way to count them) of `text`, and an
 * ellipsis in their number where that is not all. */
void card_cut(const char *text, size_t max, mailbus_buf_t *out);
/* Append `text` so that an @name, a #number and the like in it call nobody and lead nowhere: a zero
 * width space behind each @ and # that begins a word. Addresses stay as they are. */
void card_disarm(const char *text, size_t size, mailbus_buf_t *out);

#endif
