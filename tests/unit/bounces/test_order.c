/* The same events in any order leave the same tables, and the state that the machine alone makes of
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "events.h"

#include "machine.h"

enum { EVENTS = 700, ADDRESSES = 6, SHUFFLES = 5 };

typedef struct {
    int address;
    int kind; /* of kinds[] */
    int64_t time_ms;
    char id[24];
} one_t;

static const char *const addresses[ADDRESSES] = {"a@x.example", "B@x.example", "c+t@x.example",
                                                 "d@y.example", "e@y.example", "f@z.example"};
static const char *const keys[ADDRESSES] = {"a@x.example", "b@x.example", "c+t@x.example",
                                            "d@y.example", "e@y.example", "f@z.example"};

static const struct {
    const char *type, *status;
    fact_kind_t fact;
} kinds[] = {
    {"Transient", "4.2.2", FACT_SOFT},   {"Transient", "4.4.1", FACT_SOFT},
    {"Permanent", "5.2.2", FACT_SOFT},   {NULL, NULL, FACT_DELIVERED},
    {"Permanent", "5.7.1", FACT_SENDER}, {NULL, NULL, FACT_SENT},
    {"Delayed", "4.4.7", FACT_NOTICE},   {"Permanent", "5.1.1", FACT_HARD},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* The first address only bounces softly, and more often than is kept; the last ones rarely die. */
static void make(one_t *events, unsigned *seed)
{
    for (int i = 0; i < EVENTS; i++) {
        one_t *one = &events[i];
        one->address = i < 150 ? 0 : rand_r(seed) % ADDRESSES;
        one->kind = i < 150 ? 0 : rand_r(seed) % (KINDS - 1);
        if (one->address > 3 && rand_r(seed) % 40 == 0) {
            one->kind = KINDS - 1;
        }
        one->time_ms = MONDAY + (rand_r(seed) % 400) * 6 * HOUR; /* often the same moment */
        snprintf(one->id, sizeof one->id, "evt_%04d", rand_r(seed) % 10000);
        for (int j = 0; j < i; j++) {
            if (strcmp(events[j].id, one->id) == 0) { /* ids are unique */
                snprintf(one->id, sizeof one->id, "evt_more%d", i);
            }
        }
    }
}

static void shuffle(one_t *events, unsigned *seed)
{
    for (int a = EVENTS; a > 1; a--) {
        int b = rand_r(seed) % a;
        one_t swap = events[a - 1];
        events[a - 1] = events[b];
        events[b] = swap;
    }
}

static void take_in(sqlite3 *db, const one_t *events)
{
    for (int i = 0; i < EVENTS; i++) {
        const one_t *one = &events[i];
        /* spelled otherwise now and then: the latest is shown */
        char address[64];
        snprintf(address, sizeof address, "%s", addresses[one->address]);
        if (one->id[4] % 2 == 0) {
            address[0] = (char)(address[0] ^ 0x20);
        }
        if (kinds[one->kind].fact == FACT_SENT) {
            events_sent(db, one->id, address, one->time_ms);
        } else if (kinds[one->kind].fact == FACT_DELIVERED) {
            events_delivered(db, one->id, address, one->time_ms);
        } else {
            events_bounce(db, one->id, address, kinds[one->kind].type, kinds[one->kind].status,
                          one->time_ms);
        }
    }
}

static void check_against_machine(sqlite3 *db, const one_t *events)
{
    limits_t limits = LIMITS_INIT;
    assert_int_equal(limits_load(db, &limits, NULL), MAILBUS_OK);
    for (int a = 0; a < ADDRESSES; a++) {
        machine_facts_t facts = MACHINE_FACTS_INIT;
        for (int i = 0; i < EVENTS; i++) {
            if (events[i].address == a) {
                machine_add(&facts, kinds[events[i].kind].fact, events[i].time_ms);
            }
        }
        for (int64_t now = MONDAY; now < MONDAY + 140 * DAY; now += 5 * DAY) {
            machine_verdict_t alone;
            machine_judge(&facts, &limits.machine, now, &alone);
            machine_verdict_t stored = events_judge(db, keys[a], now);
            assert_int_equal(stored.state, alone.state);
            assert_int_equal(stored.until_ms, alone.until_ms);
            assert_int_equal(stored.soft, alone.soft);
        }
    }
    limits_free(&limits);
}

static void test_shuffled_events_leave_the_same_tables(void **state)
{
    (void)state;
    one_t events[EVENTS];
    for (unsigned seed = 1; seed <= 2; seed++) {
        unsigned random = seed;
        char *expected = NULL;
        make(events, &random);
        for (int round = 0; round <= SHUFFLES; round++) {
            void *db = NULL;
            assert_int_equal(events_open(&db), 0);
            take_in(db, events);
            char *dump = events_dump(db);
            if (round == 0) {
                check_against_machine(db, events);
                expected = dump;
            } else {
                assert_string_equal(dump, expected);
                free(dump);
            }
            assert_int_equal(events_close(&db), 0);
            shuffle(events, &random);
        }
        free(expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shuffled_events_leave_the_same_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
