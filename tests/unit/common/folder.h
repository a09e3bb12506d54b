/* A temporary folder of a test's own. */
#ifndef TEST_FOLDER_H
#define TEST_FOLDER_H

#include <stddef.h>

/* Make one; the name is freed by folder_remove. */
char *folder_make(void);
/* Remove it and all that is in it. */
void folder_remove(char **folder_p);
/* "<folder>/<name>" in `path`; returns `path`. */
const char *folder_path(const char *folder, const char *name, char *path, size_t size);
/* Write a file with a mode. */
void folder_write(const char *path, const char *text, unsigned mode);

#endif
