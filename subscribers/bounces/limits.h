/* The numbers and lists that decide. They stand in the database too, as they were when the program
 * last ran: `mailbus bounces` judges by them, and a rebuild sorts what it carries over by them. */
#ifndef BOUNCES_LIMITS_H
#define BOUNCES_LIMITS_H

#include <sqlite3.h>

#include "classify.h"
#include "machine.h"
#include "rates.h"

typedef struct {
    machine_limits_t machine;
    rates_limits_t rates;
    char *dead_codes, *soft_codes, *sender_codes, *known, *notices;
    classify_rules_t rules; /* these five, read; lends from them */
} limits_t;

/* One of them: a number, or a text. */
typedef struct {
    const char *key;  /* as in the settings */
    const char *text; /* the default; NULL: it is a number */
    int64_t number;   /* the default; durations in ms */
    size_t offset;    /* of an int64_t or a char * in limits_t */
} limits_row_t;
extern const limits_row_t limits_rows[]; /* ends with a NULL key */

#define LIMITS_INIT                                                                                \
    {                                                                                              \
        .dead_codes = NULL                                                                         \
    }

void limits_free(limits_t *limits);
int64_t *limits_number(limits_t *limits, const limits_row_t *row);
char **limits_text(limits_t *limits, const limits_row_t *row);
/* Check the whole and read the lists. EINVAL names the setting. */
MAILBUS_MUST_USE mailbus_code_t limits_check(limits_t *limits, mailbus_error_t *error);

/* From the table `settings`; what is not there has its default. */
MAILBUS_MUST_USE mailbus_code_t limits_load(sqlite3 *db, limits_t *ret_limits,
                                            mailbus_error_t *error);
MAILBUS_MUST_USE mailbus_code_t limits_save(sqlite3 *db, limits_t *limits, mailbus_error_t *error);

#endif
