#include "fact.h"

#include <string.h>

static const char *const names[FACT_KINDS] = {
    [FACT_NOTICE] = "notice",       [FACT_KNOWN] = "known",       [FACT_SENDER] = "sender",
    [FACT_SOFT] = "soft",           [FACT_HARD] = "hard",         [FACT_SENT] = "sent",
    [FACT_DELIVERED] = "delivered", [FACT_REJECTED] = "rejected", [FACT_CLEARED] = "cleared",
};

const char *fact_name(fact_kind_t kind)
{
    return names[kind];
}

fact_kind_t fact_of(const char *name)
{
    int kind = 0;
    while (kind < FACT_KINDS && strcmp(names[kind], name) != 0) {
        kind++;
    }
    return (fact_kind_t)kind;
}
