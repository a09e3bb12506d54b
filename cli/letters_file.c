/* Dead letters in a state file whose program is stopped. */
#include "clock.h"
#include "letters.h"

static mailbus_code_t list(place_t *place, int64_t after, size_t limit, dead_visit_fn *visit,
                           void *arg, mailbus_error_t *error)
{
    return dead_list(place->store, after, limit, visit, arg, error);
}

static mailbus_code_t show(place_t *place, int64_t number, dead_visit_fn *visit, void *arg,
                           mailbus_error_t *error)
{
    return dead_show(place->store, number, visit, arg, error);
}

static mailbus_code_t run_retry(store_t *store, void *arg, mailbus_error_t *error)
{
    const int64_t *number = arg;
    return dead_retry(store, *number, 0, mb_clock_wall_ms(), NULL, error);
}

static mailbus_code_t retry(place_t *place, int64_t number, mailbus_error_t *error)
{
    return place_run(place, run_retry, &number, error);
}

static mailbus_code_t run_drop(store_t *store, void *arg, mailbus_error_t *error)
{
    const int64_t *number = arg;
    return dead_drop(store, *number, error);
}

static mailbus_code_t drop(place_t *place, int64_t number, mailbus_error_t *error)
{
    return place_run(place, run_drop, &number, error);
}

const letters_ops_t letters_file_ops = {list, show, retry, drop};
