/* The table `type → command`: the one that is shipped, with the operator's put over it.
 *
 * The operator's is a ZPL file, a media type a line, or a section with its three keys:
 *
 *     application/msword = "antiword -m UTF-8.txt -"
 *     application/rtf
 *         command = "LANG=C.UTF-8 /opt/rtf/bin/rtf2text"
 *         reads = "/usr/share/antiword /opt/rtf/lib"    # beside /usr/lib and its like
 *         threads = no                                  # processes: never
 *     text/html = ""                                    # not read at all
 *
 * A command reads standard input and writes UTF-8 to standard output. Words are separated by
 * blanks; NAME=value in front of it is its whole environment; it is a program, not a script (name
 * the interpreter). {pages} and {languages} are filled in. */
#ifndef EXTRACT_TYPES_H
#define EXTRACT_TYPES_H

#include <stdbool.h>

#include "mailbus/error.h"

#define TYPES_MAX_WORDS 24 /* of a command and its environment; as many paths that it reads */
#define TYPES_MAX_ENV   8  /* of them in its environment, as the helper takes them */

typedef struct {
    char *type;
    bool shipped; /* not the operator's */
    bool threads;
    char *missing;                         /* the program that is not installed; NULL: it is */
    char *program, *words;                 /* what the lists point into */
    const char *env[TYPES_MAX_WORDS + 1];  /* each ends with NULL */
    const char *argv[TYPES_MAX_WORDS + 1]; /* argv[0] NULL: switched off */
    const char *reads[TYPES_MAX_WORDS + 1];
} types_entry_t;

typedef struct types types_t;

typedef struct {
    const char *path;      /* the operator's file; "" : none */
    const char *libexec;   /* the folder with mailbus-extract-engine */
    int pages;             /* {pages} */
    const char *languages; /* {languages} */
} types_options_t;

/* EINVAL names the type and what is wrong with its line: an operator's program that is not there,
 * too. ENOTFOUND, EIO: the file. */
MAILBUS_MUST_USE mailbus_code_t types_load(const types_options_t *options, types_t **ret_self,
                                           mailbus_error_t *error);
void types_destroy(types_t **self_p);
/* NULL where the type is in no table. Lent. */
const types_entry_t *types_find(const types_t *self, const char *type);

/* Where a program is: with a slash in its name as it stands, else in `libexec`, /usr/local/bin,
 * /usr/bin or /bin. Never by PATH. NULL where it is not; the caller frees. */
char *types_program(const char *name, const char *libexec);

#endif
