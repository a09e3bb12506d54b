/* What the settings say, read once at the start and again after SIGHUP. A mail is handled under one
 * configuration from its beginning to its end: whoever uses one holds it (held.h). */
#ifndef EXTRACT_CONFIG_H
#define EXTRACT_CONFIG_H

#include "archive.h"
#include "choose.h"
#include "outgoing/outgoing.h"
#include "webhook/webhook.h"

extern const mailbus_setting_t config_settings[]; /* ends with a NULL key */

typedef struct {
    choose_t *choose;
    int64_t max_attachments; /* of one mail */
    extractor_t *extractor;
    char setup[ARCHIVE_SHA256_SIZE]; /* of that extractor (reuse.h) */
    int64_t again_after_ms;
    agentmail_bounds_t download;
    int64_t download_tries;
    archive_keep_t keep;
    size_t max_text; /* bytes of text in an event or a POST */
    char *folder;    /* for files; "": none */
    webhook_t *post; /* NULL: none */
    bool publish;    /* there is a publish.bind */
    bool reply;
    char *reply_text;
    size_t reply_max_text; /* bytes of all texts in one reply */
    outgoing_policy_t policy;
} config_t;

/* Opens nothing but what it checks: the sandbox, which is tried. */
MAILBUS_MUST_USE mailbus_code_t config_load(const mailbus_runtime_t *runtime, config_t **ret_config,
                                            mailbus_error_t *error);
void config_free(void *config); /* a mb_held_free_fn; takes NULL */

/* The limits of extraction alone, for config_load and for trying out. Texts are lent by the
 * settings. */
void config_extractor(const mailbus_runtime_t *runtime, extractor_options_t *ret_options);

#endif
