/* Who is suppressed, and why: a pure state machine over what is known of one address and one thing
 * that was said about it. No clock, no disk; every time is in the fact.
 *
 * The order in which facts come makes no difference to the result: times decide, not arrival.
 * Events arrive out of order, and a rebuild reads them again. */
#ifndef SUPPRESSION_SUPPRESS_H
#define SUPPRESSION_SUPPRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Why an address is suppressed, the strongest first: that is the one its entry shows. */
typedef enum {
    REASON_COMPLAINT,   /* its owner called a mail of ours spam */
    REASON_MANUAL,      /* a person put it there */
    REASON_UNSUBSCRIBE, /* its owner left; imported */
    REASON_BOUNCE,      /* mail to it comes back for good */
    REASON_REJECTED,    /* the service does not send to it: it is on a list of its own */
    REASONS,
    REASON_NONE = REASONS,
} reason_t;

const char *reason_name(reason_t reason); /* "complaint", …; "" for none */
reason_t reason_of(const char *name);     /* REASON_NONE for anything else */

/* What was said. Facts of the first three kinds are events, the others are people's. */
typedef enum {
    SAID_COMPLAINT,
    SAID_BOUNCE,
    SAID_REJECT,
    SAID_ADD,
    SAID_IMPORT,
    SAID_REMOVE
} said_t;

const char *said_name(said_t said); /* "complaint", "bounce", "reject", "add", … */
bool said_of(const char *name, said_t *ret_said);

/* One thing said about one address. Strings are lent, never NULL, "" where not known. */
typedef struct {
    said_t said;
    const char *id;                 /* the event's; of people's a made one: unique per address */
    int64_t time_ms;                /* when it happened */
    const char *address;            /* as it came */
    const char *event_id;           /* of the event; "" of people's */
    const char *message_id, *inbox; /* of the mail that it is about */
    const char *type, *sub_type;    /* of the event */
    const char *status;             /* bounce: "5.1.1", "bounced" */
    int64_t candidates;             /* addresses that it may be about: 1 is certain */
    const char *note;               /* a person's words; a reject's reason */
    /* Of an import: */
    reason_t reason;
    int64_t first_ms, count; /* last is time_ms */
} fact_t;

/* The settings that decide. */
typedef struct {
    bool bounces;    /* permanent bounces suppress */
    bool rejects;    /* what the service refuses by its own list suppresses */
    bool candidates; /* a complaint that may be about several suppresses them all */
} policy_t;

typedef struct {
    reason_t reason; /* NONE: it suppresses nothing */
    bool certain;    /* else the address is one of several candidates */
    const char *why; /* a word for metrics and history: "complaint", "not-spam", "candidate", … */
} judgement_t;

/* What a fact is worth under a policy. A removal is judged NONE: the machine knows it by `said`. */
judgement_t suppress_judge(const fact_t *fact, const policy_t *policy);

/* What speaks for one reason since the last removal. Strings are lent (by facts, or by who loaded
 * it); those of the earliest fact. */
typedef struct {
    int64_t events; /* facts that count one each */
    int64_t first_ms, last_ms;
    bool certain;
    int64_t stated, stated_last_ms; /* the largest count that an import stated, and until when */
    int64_t later;                  /* events behind that */
    const char *address, *event_id, *message_id, *note;
} evidence_t;

/* All that the machine keeps of one address. */
typedef struct {
    bool removed; /* a person took it off at removed_ms */
    int64_t removed_ms;
    evidence_t of[REASONS];
} state_t;

typedef enum {
    STEP_IGNORED,    /* suppresses nothing */
    STEP_OLD,        /* from before a person took the address off */
    STEP_COUNTED,    /* it was suppressed already */
    STEP_SUPPRESSED, /* from now on */
    STEP_REMOVED,    /* by a person */
} step_t;

/* Take one fact into the state. Each fact once: the caller knows ids. `later`: of an import, how
 * many events of its reason have been taken that are later than it. */
step_t suppress_step(state_t *state, const fact_t *fact, const judgement_t *judgement,
                     int64_t later);
/* The strongest reason that holds; NONE: not suppressed. */
reason_t suppress_reason(const state_t *state);
int64_t suppress_count(const evidence_t *evidence);

/* When a person's act happens: never before what is known already, so that it always holds. A
 * removal covers all facts up to its time, an addition is behind the last removal. */
int64_t suppress_add_time(int64_t now_ms, bool removed, int64_t removed_ms);
int64_t suppress_remove_time(int64_t now_ms, int64_t newest_ms);

#endif
