/* The first frame of requests and answers. Not a public header. */
#ifndef VERB_H
#define VERB_H

#include "mailbus/replay.h"

/* True where the frame is the verb of `kind`, in capitals and nothing else. */
bool proto_verb_is(const void *frame, size_t size, mailbus_replay_kind_t kind);

#endif
