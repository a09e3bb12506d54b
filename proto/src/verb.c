#include "verb.h"

#include <string.h>

const char *mailbus_replay_verb(mailbus_replay_kind_t kind)
{
    static const char *const verbs[] = {"FETCH", "HEADS", "EVENT", "END", "TRIMMED", "ERROR"};
    return verbs[kind];
}

bool proto_verb_is(const void *frame, size_t size, mailbus_replay_kind_t kind)
{
    const char *verb = mailbus_replay_verb(kind);
    return size == strlen(verb) && memcmp(frame, verb, size) == 0;
}
