/* A rule between rules.c (reading) and rules_match.c (matching). */
#ifndef RULES_PRIV_H
#define RULES_PRIV_H

#include "rules/regex.h"
#include "rules/rules.h"
#include "rules/rules_file.h"

typedef enum {
    RULE_RECIPIENT,
    RULE_SENDER,
    RULE_SUBJECT,
    RULE_BODY,
    RULE_INBOX,
    RULE_HEADER,
    RULE_FIELDS,
} rule_field_t;

extern const char *const rule_field_names[RULE_FIELDS];

/* One line of a condition: lines with the same field and kind are its alternatives. */
typedef struct {
    rule_field_t field;
    char *header;         /* RULE_HEADER: the field's name */
    char *part;           /* what is looked for; "" with a header: that it is there */
    rules_regex_t *regex; /* instead of part */
} rule_test_t;

typedef struct {
    const rules_key_t *key;
    char *text;
} rule_value_t;

struct rule {
    char *name;
    rule_test_t *tests;
    size_t test_count;
    rule_value_t *values; /* of the program's keys */
    size_t value_count;
};

struct rules {
    rule_t *items;
    size_t count;
};

#endif
