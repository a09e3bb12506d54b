#include "machine.h"

#include <assert.h>
#include <string.h>

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Keep the newest, in ascending order. */
static void add_soft(machine_facts_t *facts, int64_t time_ms)
{
    size_t at = facts->soft_count;
    while (at > 0 && facts->soft_ms[at - 1] > time_ms) {
        at--;
    }
    if (facts->soft_count < MACHINE_SOFT_MAX) {
        memmove(&facts->soft_ms[at + 1], &facts->soft_ms[at],
                (facts->soft_count - at) * sizeof facts->soft_ms[0]);
        facts->soft_ms[at] = time_ms;
        facts->soft_count++;
    } else if (at > 0) {
        memmove(&facts->soft_ms[0], &facts->soft_ms[1], (at - 1) * sizeof facts->soft_ms[0]);
        facts->soft_ms[at - 1] = time_ms;
    }
}

void machine_add(machine_facts_t *facts, fact_kind_t kind, int64_t time_ms)
{
    switch (kind) {
    case FACT_HARD:
        facts->hard_ms = later(facts->hard_ms, time_ms);
        break;
    case FACT_SOFT:
        add_soft(facts, time_ms);
        break;
    case FACT_DELIVERED:
        facts->delivered_ms = later(facts->delivered_ms, time_ms);
        break;
    case FACT_CLEARED:
        facts->cleared_ms = later(facts->cleared_ms, time_ms);
        break;
    case FACT_NOTICE:
    case FACT_KNOWN:
    case FACT_SENDER:
    case FACT_SENT:
    case FACT_REJECTED:
    case FACT_KINDS:
        break;
    }
}

/* `soft`: those since the reset. Sets until, since and pauses. */
static void judge_soft(const int64_t *soft, size_t count, const machine_limits_t *limits,
                       machine_verdict_t *verdict)
{
    size_t most = (size_t)limits->soft_count;
    for (size_t i = most - 1; i < count; i++) {
        if (soft[i] - soft[i + 1 - most] >= limits->soft_window_ms) {
            continue;
        }
        if (verdict->pauses == 0 || soft[i] >= verdict->until_ms) {
            verdict->pauses++;
        }
        verdict->since_ms = soft[i];
        verdict->until_ms =
            soft[i] + (verdict->pauses == 1 ? limits->first_pause_ms : limits->later_pause_ms);
    }
}

void machine_judge(const machine_facts_t *facts, const machine_limits_t *limits, int64_t now_ms,
                   machine_verdict_t *ret_verdict)
{
    machine_verdict_t verdict = {.state = MACHINE_OK};
    assert(limits->soft_count >= 1 && limits->soft_count <= MACHINE_SOFT_MAX);
    int64_t reset_ms = later(facts->delivered_ms, facts->cleared_ms);
    size_t first = 0;
    while (first < facts->soft_count && facts->soft_ms[first] <= reset_ms) {
        first++;
    }
    for (size_t i = first; i < facts->soft_count; i++) {
        verdict.soft += now_ms - facts->soft_ms[i] < limits->soft_window_ms;
    }
    judge_soft(&facts->soft_ms[first], facts->soft_count - first, limits, &verdict);
    if (facts->hard_ms > facts->cleared_ms) {
        verdict.state = MACHINE_DEAD;
        verdict.since_ms = facts->hard_ms;
        verdict.until_ms = 0;
    } else if (verdict.until_ms > now_ms) {
        verdict.state = MACHINE_PAUSED;
    } else {
        verdict.since_ms = 0;
        verdict.until_ms = 0;
    }
    *ret_verdict = verdict;
}

const char *machine_state_name(machine_state_t state)
{
    static const char *const names[] = {"ok", "paused", "dead"};
    return names[state];
}
