#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "metrics.h"

static int set_up(void **state)
{
    *state = mb_metrics_new();
    assert_non_null(*state);
    return 0;
}

static int tear_down(void **state)
{
    mb_metrics_t *self = *state;
    mb_metrics_destroy(&self);
    assert_null(self);
    mb_metrics_destroy(&self);
    return 0;
}

static int occurrences(const char *text, const char *what)
{
    int count = 0;
    for (; (text = strstr(text, what)) != NULL; text += strlen(what)) {
        count++;
    }
    return count;
}

static void test_help_and_type_come_once_before_all_series_of_a_name(void **state)
{
    mb_metrics_t *self = *state;
    mb_metric_add(mb_counter(self, "a_total", "reason=\"x\"", "How many a"), 2);
    mb_metric_set(mb_gauge(self, "b", "", "How much b"), -5);
    mb_metric_add(mb_counter(self, "a_total", "reason=\"y\"", "How many a"), 1);
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mb_metrics_render(self, &out);
    static const char expected[] = "# HELP a_total How many a\n"
                                   "# TYPE a_total counter\n"
                                   "a_total{reason=\"x\"} 2\n"
                                   "a_total{reason=\"y\"} 1\n"
                                   "# HELP b How much b\n"
                                   "# TYPE b gauge\n"
                                   "b -5\n";
    assert_memory_equal(out.data, expected, sizeof expected - 1);
    mailbus_buf_free(&out);
}

static void test_the_same_name_and_labels_are_the_same_metric(void **state)
{
    mb_metrics_t *self = *state;
    mb_metric_t *first = mb_counter(self, "a_total", "", "A");
    assert_ptr_equal(mb_counter(self, "a_total", "", "A"), first);
    assert_ptr_not_equal(mb_counter(self, "a_total", "k=\"v\"", "A"), first);
}

static void test_gauges_move_both_ways(void **state)
{
    mb_metric_t *gauge = mb_gauge(*state, "g", "", "G");
    mb_metric_set(gauge, 3);
    mb_metric_move(gauge, -5);
    assert_int_equal((int64_t)mb_metric_value(gauge), -2);
    mb_metric_move(gauge, 10);
    assert_int_equal((int64_t)mb_metric_value(gauge), 8);
}

static void test_a_histogram_cumulates_its_buckets(void **state)
{
    static const double bounds[] = {0.005, 0.1, 1};
    mb_metric_t *histogram = mb_histogram(*state, "h_seconds", "path=\"/\"", "Time", bounds, 3);
    mb_metric_observe(histogram, 0.005); /* le: the bound itself belongs to its bucket */
    mb_metric_observe(histogram, 0.05);
    mb_metric_observe(histogram, 0.5);
    mb_metric_observe(histogram, 50);
    mb_metric_observe(histogram, (double)NAN);
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mb_metrics_render(*state, &out);
    static const char expected[] = "# HELP h_seconds Time\n"
                                   "# TYPE h_seconds histogram\n"
                                   "h_seconds_bucket{path=\"/\",le=\"0.005\"} 1\n"
                                   "h_seconds_bucket{path=\"/\",le=\"0.1\"} 2\n"
                                   "h_seconds_bucket{path=\"/\",le=\"1\"} 3\n"
                                   "h_seconds_bucket{path=\"/\",le=\"+Inf\"} 4\n"
                                   "h_seconds_sum{path=\"/\"} 50.555\n"
                                   "h_seconds_count{path=\"/\"} 4\n";
    assert_memory_equal(out.data, expected, sizeof expected - 1);
    mailbus_buf_free(&out);
}

static void test_labels_and_help_are_escaped(void **state)
{
    mailbus_buf_t labels = MAILBUS_BUF_INIT;
    mb_metric_label("path", "a\"b\\c\nd", &labels);
    mb_metric_label("code", "200", &labels);
    assert_string_equal(labels.data, "path=\"a\\\"b\\\\c\\nd\",code=\"200\"");
    mb_metric_add(mb_counter(*state, "a_total", labels.data, "one\\two\nthree \"four\""), 1);
    mailbus_buf_free(&labels);
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mb_metrics_render(*state, &out);
    assert_non_null(strstr(out.data, "# HELP a_total one\\\\two\\nthree \"four\"\n"));
    assert_non_null(strstr(out.data, "\na_total{path=\"a\\\"b\\\\c\\nd\",code=\"200\"} 1\n"));
    mailbus_buf_free(&out);
}

static void test_the_process_tells_its_own_figures(void **state)
{
    static const char *const names[] = {
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_start_time_seconds",
    };
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mb_metrics_render(*state, &out);
    for (size_t at = 0; at < sizeof names / sizeof *names; at++) {
        char line[80];
        double value = 0;
        snprintf(line, sizeof line, "\n%s ", names[at]);
        const char *found = strstr(out.data, line);
        assert_non_null(found);
        assert_int_equal(sscanf(found + strlen(line), "%lf", &value), 1);
        assert_true(value >= 0);
        assert_true(at == 1 || value > 0); /* a test of a millisecond may have used no time yet */
        snprintf(line, sizeof line, "# TYPE %s ", names[at]);
        assert_int_equal(occurrences(out.data, line), 1);
    }
    mailbus_buf_free(&out);
}

static void test_without_a_registry_nothing_happens(void **state)
{
    (void)state;
    mb_metric_t *none = mb_counter(NULL, "a_total", "", "A");
    assert_null(none);
    mb_metric_add(none, 1);
    mb_metric_set(none, 1);
    mb_metric_move(none, 1);
    mb_metric_observe(none, 1);
    assert_int_equal(mb_metric_value(none), 0);
}

static void *count_up(void *arg)
{
    static const double bounds[] = {1, 2};
    mb_metric_t *counter = mb_counter(arg, "a_total", "", "A");
    mb_metric_t *histogram = mb_histogram(arg, "h", "", "H", bounds, 2);
    for (int at = 0; at < 10000; at++) {
        mb_metric_add(counter, 1);
        mb_metric_observe(histogram, 1.5);
    }
    return NULL;
}

static void test_no_update_of_any_thread_is_lost(void **state)
{
    pthread_t threads[4];
    for (int at = 0; at < 4; at++) {
        assert_int_equal(pthread_create(&threads[at], NULL, count_up, *state), 0);
    }
    mailbus_buf_t out = MAILBUS_BUF_INIT;
    mb_metrics_render(*state, &out); /* at the same time */
    mailbus_buf_clear(&out);
    for (int at = 0; at < 4; at++) {
        pthread_join(threads[at], NULL);
    }
    mb_metrics_render(*state, &out);
    assert_non_null(strstr(out.data, "\na_total 40000\n"));
    assert_non_null(strstr(out.data, "\nh_bucket{le=\"2\"} 40000\n"));
    assert_non_null(strstr(out.data, "\nh_sum 60000\n"));
    assert_non_null(strstr(out.data, "\nh_count 40000\n"));
    mailbus_buf_free(&out);
}

int main(void)
{
#define WITH_METRICS(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        WITH_METRICS(test_help_and_type_come_once_before_all_series_of_a_name),
        WITH_METRICS(test_the_same_name_and_labels_are_the_same_metric),
        WITH_METRICS(test_gauges_move_both_ways),
        WITH_METRICS(test_a_histogram_cumulates_its_buckets),
        WITH_METRICS(test_labels_and_help_are_escaped),
        WITH_METRICS(test_the_process_tells_its_own_figures),
        WITH_METRICS(test_without_a_registry_nothing_happens),
        WITH_METRICS(test_no_update_of_any_thread_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
