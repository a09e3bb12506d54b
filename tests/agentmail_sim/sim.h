/* All that the stand-in knows. The HTTP thread owns it; only the deliveries have a thread of their
 * own. */
#ifndef SIM_H
#define SIM_H

#include "delivery.h"
#include "fail_rule.h"
#include "idempotency.h"
#include "lists.h"
#include "mailbox.h"

#define SIM_INBOXES_MAX  10000
#define SIM_WEBHOOKS_MAX 100

typedef struct {
    mb_log_t *log;
    delivery_t *delivery;
    mailbox_t *mailbox;
    lists_t *lists;
    idempotency_t *idempotency;
    cJSON *inboxes;  /* object: inbox id → Inbox, as the API shows it */
    cJSON *webhooks; /* array of Webhook, as the API shows them, and "headers" */
    fail_rule_t api_rule;
    bool reject_blocked;     /* 403 for addresses on block lists, bounced and complained ones too */
    bool strip_marks;        /* mail between its own inboxes arrives without header and thread */
    const char *webhook_url; /* what was given at the start, for a reset; NULL: none */
    const char *webhook_secret;
    char *const *first_inboxes; /* the same */
    size_t first_inbox_count;
    char address[256]; /* host:port of the listener */
} sim_t;

/* The inbox, made where it is not there yet. Lent. */
cJSON *sim_inbox(sim_t *self, const char *inbox_id, int64_t now_ms);
const cJSON *sim_find_inbox(const sim_t *self, const char *address);
/* Register a webhook; `request` as POST /webhooks takes it, or NULL with the other two. Lent. */
cJSON *sim_add_webhook(sim_t *self, const char *url, const char *secret, int64_t now_ms);
/* Forget everything but what the command line said. */
void sim_reset(sim_t *self, int64_t now_ms);

#endif
