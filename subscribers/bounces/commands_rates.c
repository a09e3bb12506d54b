#include <string.h>

#include "agentmail/address.h"
#include "command.h"
#include "commands.h"
#include "limits.h"
#include "request.h"

typedef struct {
    const rates_limits_t *limits;
    const char *inbox; /* NULL: all */
    mailbus_buf_t *answer;
    mailbus_buf_t last; /* inbox of the last row */
    int64_t visited, rows;
} rates_walk_t;

/* A rates_visit_fn. */
static mailbus_code_t visit_rate(void *arg, const rates_row_t *row, mailbus_error_t *error)
{
    rates_walk_t *walk = arg;
    const rates_counts_t *counts = &row->counts;
    int64_t points = rates_basis_points(counts);
    (void)error;
    walk->visited++;
    mailbus_buf_clear(&walk->last);
    mailbus_buf_text(&walk->last, row->inbox);
    if (walk->inbox != NULL && strcmp(walk->inbox, row->inbox) != 0) {
        return MAILBUS_OK;
    }
    mailbus_buf_text(walk->answer, walk->rows++ == 0 ? "{" : ",{");
    mb_command_write_text(walk->answer, "inbox", row->inbox);
    mb_command_write_text(walk->answer, "verdict",
                          rates_level_name(rates_judge(counts, walk->limits)));
    if (points < 0) {
        mb_command_write_text(walk->answer, "percent", NULL);
    } else {
        mailbus_buf_printf(walk->answer, ",\"percent\":%lld.%02lld", (long long)points / 100,
                           (long long)points % 100);
    }
    mb_command_write_number(walk->answer, "sent", counts->sent);
    mb_command_write_number(walk->answer, "bounced", counts->bounced);
    mb_command_write_number(walk->answer, "hard", counts->hard);
    mb_command_write_number(walk->answer, "delivered", counts->delivered);
    mb_command_write_number(walk->answer, "rejected", counts->rejected);
    mailbus_buf_char(walk->answer, '}');
    return MAILBUS_OK;
}

mailbus_code_t bounces_rates(sqlite3 *db, const cJSON *request, int64_t now_ms,
                             mailbus_buf_t *answer, mailbus_error_t *error)
{
    limits_t limits = LIMITS_INIT;
    const char *inbox = NULL;
    const char *after = NULL;
    int64_t limit = 0;
    mailbus_buf_t key = MAILBUS_BUF_INIT;
    mailbus_code_t code = request_text(request, "inbox", &inbox, error);
    if (code == MAILBUS_OK) {
        code = request_text(request, "after", &after, error);
    }
    if (code == MAILBUS_OK) {
        code = request_limit(request, &limit, error);
    }
    if (code == MAILBUS_OK) {
        code = limits_load(db, &limits, error);
    }
    if (code != MAILBUS_OK) {
        return code;
    }
    if (inbox != NULL) {
        agentmail_address_key(inbox, &key);
    }
    rates_walk_t walk = {
        .limits = &limits.rates, .inbox = key.data, .answer = answer, .last = MAILBUS_BUF_INIT};
    mailbus_buf_text(answer, "{\"rows\":[");
    code = rates_list(db, limits.rates.window_ms, now_ms, after, limit, visit_rate, &walk, error);
    mailbus_buf_text(answer, "]");
    mb_command_write_text(answer, "next", walk.visited == limit ? walk.last.data : NULL);
    mb_command_write_number(answer, "window_s", limits.rates.window_ms / 1000);
    mailbus_buf_char(answer, '}');
    mailbus_buf_free(&walk.last);
    mailbus_buf_free(&key);
    limits_free(&limits);
    return code;
}
