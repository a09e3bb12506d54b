/* What one event says about one address. */
#ifndef BOUNCES_FACT_H
#define BOUNCES_FACT_H

/* The order of the bounces is their weight: where one event names an address twice, the heaviest
 * counts. */
typedef enum {
    FACT_NOTICE, /* out of office, delayed, …: came as a bounce and is none */
    FACT_KNOWN,  /* not sent at all: on the sender's own list of suppressed addresses already */
    FACT_SENDER, /* it is about the sender (5.7.x), not about the address */
    FACT_SOFT,
    FACT_HARD,
    FACT_SENT,
    FACT_DELIVERED,
    FACT_REJECTED, /* the service did not take the mail */
    FACT_CLEARED,  /* a person said: begin anew */
    FACT_KINDS,
} fact_kind_t;

/* "soft", "hard", …: as the history has it. */
const char *fact_name(fact_kind_t kind);
/* FACT_KINDS where there is no such name. */
fact_kind_t fact_of(const char *name);

#endif
