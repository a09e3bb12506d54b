#include "classify.h"

#include <stdbool.h>
#include <string.h>

#include "agentmail/text.h"

enum { ANY = -1 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* One to three digits (RFC 3463 §2), or * where a pattern may have it. */
static bool read_part(const char **text_p, bool pattern, int *ret_part)
{
    const char *text = *text_p;
    if (pattern && *text == '*') {
        *text_p = text + 1;
        *ret_part = ANY;
        return true;
    }
    int part = 0;
    int digits = 0;
    for (; is_digit(*text) && digits < 4; text++, digits++) {
        part = part * 10 + (*text - '0');
    }
    *text_p = text;
    *ret_part = part;
    return digits >= 1 && digits <= 3;
}

/* A code at the beginning of `text`, and nothing of a longer one behind it. "4.*" stands for
 * "4.*.*". */
static bool read_code(const char **text_p, bool pattern, classify_code_t *ret_code)
{
    const char *text = *text_p;
    classify_code_t code = {{*text - '0', ANY, ANY}};
    if (*text != '2' && *text != '4' && *text != '5') {
        return false;
    }
    text++;
    for (int i = 1; i < 3 && !(pattern && i == 2 && code.part[1] == ANY && *text != '.'); i++) {
        if (*text++ != '.' || !read_part(&text, pattern, &code.part[i])) {
            return false;
        }
    }
    *text_p = text;
    *ret_code = code;
    return *text != '.' && !is_digit(*text);
}

mailbus_code_t classify_codes_parse(const char *text, classify_codes_t *ret_codes,
                                    mailbus_error_t *error)
{
    classify_codes_t codes = {.count = 0};
    for (text += strspn(text, " \t"); *text != '\0'; text += strspn(text, " \t")) {
        const char *end = text;
        if (codes.count == CLASSIFY_CODES_MAX) {
            return mailbus_fail(error, MAILBUS_EINVAL, "more than %d codes", CLASSIFY_CODES_MAX);
        }
        if (!read_code(&end, true, &codes.items[codes.count]) ||
            (*end != '\0' && *end != ' ' && *end != '\t')) {
            return mailbus_fail(error, MAILBUS_EINVAL,
                                "\"%.*s\" is no code: 5.1.1, 5.7.* and 4.* are",
                                (int)strcspn(text, " \t"), text);
        }
        codes.count++;
        text = end;
    }
    *ret_codes = codes;
    return MAILBUS_OK;
}

bool classify_status(const char *text, classify_code_t *ret_code)
{
    bool inside = false; /* in a longer number or word */
    for (; *text != '\0'; text++) {
        const char *end = text;
        if (!inside && read_code(&end, false, ret_code)) {
            return true;
        }
        inside = is_digit(*text) || *text == '.';
    }
    return false;
}

/* How many parts of the code the nearest item names: 0 where none fits. */
static int nearness(const classify_codes_t *codes, const classify_code_t *code)
{
    int best = 0;
    for (size_t i = 0; i < codes->count; i++) {
        int named = 0;
        bool fits = true;
        for (int p = 0; p < 3; p++) {
            int part = codes->items[i].part[p];
            named += part != ANY;
            fits = fits && (part == ANY || part == code->part[p]);
        }
        best = fits && named > best ? named : best;
    }
    return best;
}

/* Case, and what separates the words of a name, do not matter: "out-of-office" is OutOfOffice. */
static bool same_name(const char *name, const char *word, size_t size)
{
    const char *end = word + size;
    for (;; name++, word++) {
        name += strspn(name, " _-");
        while (word < end && strchr("_-", *word) != NULL) {
            word++;
        }
        if (*name == '\0' || word == end) {
            return *name == '\0' && word == end;
        }
        if (agentmail_text_lower(*name) != agentmail_text_lower(*word)) {
            return false;
        }
    }
}

static bool listed(const char *words, const char *name)
{
    if (name == NULL || name[strspn(name, " _-")] == '\0') {
        return false;
    }
    for (words += strspn(words, " \t"); *words != '\0'; words += strspn(words, " \t")) {
        size_t size = strcspn(words, " \t");
        if (same_name(name, words, size)) {
            return true;
        }
        words += size;
    }
    return false;
}

/* What the code alone says, or FACT_KINDS. The nearer pattern wins: "5.2.2" before "5.*". */
static fact_kind_t by_code(const classify_rules_t *rules, const classify_code_t *code)
{
    int sender = nearness(&rules->sender, code);
    int soft = nearness(&rules->soft, code);
    int dead = nearness(&rules->dead, code);
    if (sender > 0 && sender >= soft && sender >= dead) {
        return FACT_SENDER;
    }
    if (soft > 0 && soft >= dead) {
        return FACT_SOFT;
    }
    return dead > 0 ? FACT_HARD : FACT_KINDS;
}

fact_kind_t classify_bounce(const classify_rules_t *rules, const char *type, const char *sub_type,
                            const char *status)
{
    classify_code_t code;
    bool has_code = status != NULL && classify_status(status, &code);
    if (listed(rules->notices, type) || listed(rules->notices, sub_type) ||
        (has_code && code.part[0] == 2)) {
        return FACT_NOTICE;
    }
    if (listed(rules->known, sub_type)) {
        return FACT_KNOWN; /* its status is the one of the bounce that put it on the list */
    }
    bool permanent = type != NULL && agentmail_text_equal(type, "Permanent");
    bool transient = type != NULL && agentmail_text_equal(type, "Transient");
    fact_kind_t kind = has_code ? by_code(rules, &code) : FACT_KINDS;
    if (kind == FACT_KINDS) {
        return permanent ? FACT_HARD : FACT_SOFT;
    }
    /* Undetermined, and whatever else the service may say one day, kills nobody. */
    return kind == FACT_HARD && !permanent && !transient ? FACT_SOFT : kind;
}
