/* The store in a handler's hands, and group commit: handlers' writes that wait for the same sync.
 *
 * Each event's writes are a savepoint ("part") of one open transaction, so that it can be undone
 * alone. Whoever has ended its part sleeps while somebody else wants the store, who then adds a
 * part or ends the group; whoever leaves the store and sees nobody waiting commits for all. A
 * worker alone never waits for company, and no handler's event is done before its group is on disk.
 *
 * Members belong to the stacks of the sleeping workers; everything here is under the store's lock.
 */
#include "inbox_internal.h"
#include "test_point.h"

/* Parts that are undone leave nobody asleep behind them: without a bound, workers that come again
 * and again with such parts would keep a group open for ever. */
enum { PARTS_MAX = 256 };

struct inbox_member {
    struct inbox_member *next;
    int64_t number; /* the row that its part removes; 0: none */
    bool ended;
    mailbus_code_t code;
    mailbus_error_t error;
};

static void lock(inbox_t *self)
{
    atomic_fetch_add(&self->store_waiting, 1);
    pthread_mutex_lock(&self->store_lock);
    atomic_fetch_sub(&self->store_waiting, 1);
}

static void end_member(inbox_member_t *member, mailbus_code_t code, const mailbus_error_t *error)
{
    member->code = code;
    member->error = *error;
    member->ended = true; /* from here on it may be gone, as soon as the store is unlocked */
}

/* Commit what all members wrote. */
static void group_end(inbox_t *self)
{
    mailbus_error_t error = {0};
    if (self->members == NULL) {
        store_rollback(self->store); /* every part was undone, or there was none */
        return;
    }
    mb_test_point("group_before_commit");
    mailbus_code_t code = store_commit(self->store, &error);
    if (code != MAILBUS_OK) {
        store_rollback(self->store);
    }
    inbox_wrote(self, code, &error);
    for (inbox_member_t *member = self->members; member != NULL; member = member->next) {
        end_member(member, code, &error);
    }
    self->members = NULL;
    pthread_cond_broadcast(&self->group_ended);
}

/* The transaction ended under a handler: SQLite rolled it back after a full disk, or the handler's
 * own SQL ended it. In the second case others' parts may be on disk: their rows tell. */
static void group_lost(inbox_t *self)
{
    mailbus_error_t error = {0};
    (void)mailbus_fail(&error, MAILBUS_EAGAIN, "the transaction was ended before its time");
    for (inbox_member_t *member = self->members; member != NULL; member = member->next) {
        bool there = true;
        bool kept = member->number != 0 &&
                    store_has(self->store, member->number, &there, NULL) == MAILBUS_OK && !there;
        end_member(member, kept ? MAILBUS_OK : MAILBUS_EAGAIN, &error);
    }
    self->members = NULL;
    pthread_cond_broadcast(&self->group_ended);
}

/* Unlock; the last one out commits. Who waits has no way but through the lock, and then adds a part
 * or ends the group. */
static void leave(inbox_t *self)
{
    if (atomic_load(&self->store_waiting) == 0 || self->parts >= PARTS_MAX) {
        group_end(self);
    }
    pthread_mutex_unlock(&self->store_lock);
}

static void undo_part(inbox_t *self)
{
    store_part_undo(self->store);
    if (!store_is_open(self->store)) {
        group_lost(self);
    }
}

void inbox_store_lock(inbox_t *self)
{
    lock(self);
    group_end(self);
}

bool inbox_store_lock_until(inbox_t *self, const struct timespec *until)
{
    if (pthread_mutex_timedlock(&self->store_lock, until) != 0) {
        return false;
    }
    group_end(self);
    return true;
}

void inbox_store_unlock(inbox_t *self)
{
    pthread_mutex_unlock(&self->store_lock);
}

mailbus_code_t inbox_store_begin(inbox_t *self, sqlite3 **ret_db, mailbus_error_t *error)
{
    mailbus_error_t own = {0};
    lock(self);
    mailbus_code_t code = inbox_usable(self, &own);
    if (code == MAILBUS_OK && !store_is_open(self->store)) {
        self->parts = 0;
        code = store_begin(self->store, &own);
    }
    if (code == MAILBUS_OK) {
        code = store_part_begin(self->store, &own);
    }
    if (code != MAILBUS_OK) {
        inbox_wrote(self, code, &own);
        leave(self);
        return mailbus_fail(error, code, "%s", own.text);
    }
    self->parts++;
    *ret_db = store_db(self->store);
    return MAILBUS_OK;
}

/* The part is ended: sleep until its group is, or end that. */
static mailbus_code_t join_group(inbox_t *self, inbox_member_t *member)
{
    member->next = self->members;
    self->members = member;
    if (atomic_load(&self->store_waiting) == 0 || self->parts >= PARTS_MAX) {
        group_end(self);
    }
    while (!member->ended) {
        pthread_cond_wait(&self->group_ended, &self->store_lock);
    }
    pthread_mutex_unlock(&self->store_lock);
    return member->code;
}

mailbus_code_t inbox_store_commit(inbox_t *self, const inbox_item_t *item, mailbus_error_t *error)
{
    inbox_member_t member = {.number = item != NULL ? item->row.number : 0};
    mailbus_error_t own = {0};
    mailbus_code_t code = MAILBUS_OK;
    if (!store_is_open(self->store)) {
        code = mailbus_fail(&own, MAILBUS_EAGAIN, "the transaction was ended before the handler");
    } else if (item != NULL) {
        code = store_remove(self->store, item->row.number, &own);
    }
    if (code == MAILBUS_OK) {
        code = store_part_end(self->store, &own);
    }
    if (code == MAILBUS_OK) {
        code = join_group(self, &member);
        return code == MAILBUS_OK ? code : mailbus_fail(error, code, "%s", member.error.text);
    }
    undo_part(self);
    if (code != MAILBUS_EINVAL && code != MAILBUS_EAGAIN) { /* these are the handler's own */
        inbox_wrote(self, code, &own);
    }
    leave(self);
    return mailbus_fail(error, code, "%s", own.text);
}

void inbox_store_rollback(inbox_t *self)
{
    undo_part(self);
    leave(self);
}
