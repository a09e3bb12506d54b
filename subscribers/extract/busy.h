/* Which contents are being worked on: two mails with the same file in two workers' hands read it
 * once, the second waits for the first. Any thread. */
#ifndef EXTRACT_BUSY_H
#define EXTRACT_BUSY_H

typedef struct busy busy_t;

busy_t *busy_new(void); /* NULL: no memory */
void busy_destroy(busy_t **self_p);

/* One content in one thread's hands, on its stack. */
typedef struct busy_claim {
    struct busy_claim *next;
    const char *name;
} busy_claim_t;

/* Wait until nobody else has `name`, and take it. It is lent until busy_give. */
void busy_take(busy_t *self, busy_claim_t *claim, const char *name);
void busy_give(busy_t *self, busy_claim_t *claim);

#endif
