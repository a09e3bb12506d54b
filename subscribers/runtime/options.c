#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailbus/replay.h"
#include "shard.h"

enum { PROGRAM_NAME_MAX = 80 };

struct options {
    const mailbus_subscriber_t *subscriber;
    mb_settings_t *settings;
    char program[PROGRAM_NAME_MAX];
    char state_path[PROGRAM_NAME_MAX + 24]; /* default of state.path */
    mb_setting_t *own;                      /* the runtime's */
    mb_setting_t *more;                     /* the subscriber's */
    char *names;                            /* the value of topics_key, cut up */
    const char *topics[MAILBUS_FETCH_MAX_NAMES + 1];
    const char *prefixes[MAILBUS_FETCH_MAX_NAMES + 1];
};

/* state.path and bus.curve_name get their defaults from the subscriber's name. */
static const mb_setting_t OWN[] = {
    {"bus.publish", MB_ENDPOINT, "tcp://127.0.0.1:5556", "Where the gateway publishes", false, 0, 0,
     NULL, NULL},
    {"bus.replay", MB_ENDPOINT, "tcp://127.0.0.1:5557", "Where it serves what was missed", false, 0,
     0, NULL, NULL},
    {"bus.curve_dir", MB_PATH, "",
     "Folder with server.key and clients/<name>.key_secret; empty: no encryption", false, 0, 0,
     NULL, NULL},
    {"bus.curve_name", MB_TEXT, NULL, "Name of this program's key in that folder", false, 0, 0,
     NULL, NULL},
    {"bus.start", MB_CHOICE, "now",
     "Where a program without a state file begins: now (what is recorded from its first contact "
     "on) or oldest (everything that the gateway keeps)",
     false, 0, 0, "now oldest", NULL},
    {"bus.new_stream", MB_CHOICE, "restart",
     "When the gateway has another journal: restart (go on with what that recorded since the last "
     "contact), oldest (take all of it) or stop",
     false, 0, 0, "restart oldest stop", NULL},
    {"state.path", MB_PATH, NULL, "The program's own SQLite file", false, 0, 0, NULL, NULL},
    {"workers", MB_INTEGER, "4", "Events handled at the same time; 1 keeps their order", false, 1,
     256, NULL, NULL},
    {"shard", MB_TEXT, "", "INDEX/COUNT: take this share of the threads, of COUNT instances", false,
     0, 0, NULL, NULL},
    {"retry.first_pause", MB_DURATION, "1s", "Pause after the first failure; it doubles", true, 1,
     86400000, NULL, NULL},
    {"retry.max_pause", MB_DURATION, "1h", "No pause is longer, whatever a Retry-After says", true,
     1, 31622400000, NULL, NULL},
    {"retry.max_attempts", MB_INTEGER, "50", "Tries before an event is set aside; 0: no limit",
     true, 0, 1000000, NULL, NULL},
    {"retry.max_age", MB_DURATION, "0", "Time in the inbox before it is set aside; 0: no limit",
     true, 0, 315360000000, NULL, NULL},
    {"retry.max_crashes", MB_INTEGER, "10",
     "Times that the program may die with one event in hand before that is set aside; 0: no limit",
     false, 0, 1000000, NULL, NULL},
    {"inbox.max_events", MB_INTEGER, "100000",
     "Events that may wait in the state file; beyond it intake pauses, and fetches later", false, 1,
     1000000000, NULL, NULL},
    {"inbox.max_size", MB_BYTES, "1GiB", "The same, as the size of their frames", false, 65536,
     1099511627776, NULL, NULL},
    {"dead.max_events", MB_INTEGER, "10000",
     "Dead letters that are kept; beyond it the oldest are thrown away; 0: no limit", false, 0,
     1000000000, NULL, NULL},
    {"stop.timeout", MB_DURATION, "10s", "Time for what is in hand when the program is stopped",
     true, 0, 3600000, NULL, NULL},
    {"admin.listen", MB_ADDRESS, "127.0.0.1:0",
     "Where /healthz, /readyz, /metrics, /dead and /command are; port 0: any free one, logged; "
     "empty: none",
     false, 0, 0, NULL, NULL},
    {"admin.access", MB_CHOICE, "local",
     "Who may look at and change the program's state there, dead letters and everything that its "
     "commands reach: local (a loopback listener), all or none",
     false, 0, 0, "local all none", NULL},
    {"log.level", MB_CHOICE, "info", "The least that is logged", true, 0, 0,
     "debug info warn error", NULL},
    {"log.format", MB_CHOICE, "text", "key=value lines or JSON", true, 0, 0, "text json", NULL},
    {0},
};

/* Only of programs that can do it. */
static const mb_setting_t REBUILD[] = {
    {"state.rebuild", MB_BOOLEAN, "no",
     "Handle everything that the gateway keeps once more, into a new state file that takes the old "
     "one's place, and end",
     false, 0, 0, NULL, NULL},
    {0},
};

static const struct {
    const char *name;
    mb_setting_type_t type;
} TYPES[] = {
    {"text", MB_TEXT},         {"integer", MB_INTEGER},   {"boolean", MB_BOOLEAN},
    {"duration", MB_DURATION}, {"bytes", MB_BYTES},       {"path", MB_PATH},
    {"secret", MB_SECRET},     {"endpoint", MB_ENDPOINT}, {"address", MB_ADDRESS},
};

static mailbus_code_t convert(const mailbus_setting_t *from, mb_setting_t *to,
                              mailbus_error_t *error)
{
    static const char choice[] = "choice:";
    *to = (mb_setting_t){.key = from->key,
                         .value = from->value,
                         .help = from->help,
                         .reload = from->reload,
                         .env = from->env};
    if (strncmp(from->type, choice, sizeof choice - 1) == 0) {
        to->type = MB_CHOICE;
        to->choices = from->type + sizeof choice - 1;
        return MAILBUS_OK;
    }
    for (size_t i = 0; i < sizeof TYPES / sizeof TYPES[0]; i++) {
        if (strcmp(TYPES[i].name, from->type) == 0) {
            to->type = TYPES[i].type;
            return MAILBUS_OK;
        }
    }
    return mailbus_fail(error, MAILBUS_EINVAL, "%s: there is no type of setting \"%s\"", from->key,
                        from->type);
}

static mailbus_code_t convert_all(options_t *self, mailbus_error_t *error)
{
    const mailbus_setting_t *from = self->subscriber->settings;
    size_t count = 0;
    while (from != NULL && from[count].key != NULL) {
        count++;
    }
    self->more = calloc(count + 1, sizeof *self->more);
    if (self->more == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the settings");
    }
    mailbus_code_t code = MAILBUS_OK;
    for (size_t i = 0; code == MAILBUS_OK && i < count; i++) {
        code = convert(&from[i], &self->more[i], error);
    }
    return code;
}

static mailbus_code_t check_shard(const mb_settings_t *settings, mailbus_error_t *error)
{
    shard_t ignored;
    return shard_parse(mb_settings_text(settings, "shard"), &ignored, error);
}

static mailbus_code_t fill(options_t *self, mailbus_error_t *error)
{
    const char *name = self->subscriber->name;
    snprintf(self->program, sizeof self->program, "mailbus-%.60s", name);
    snprintf(self->state_path, sizeof self->state_path, "mailbus-data/%.60s.db", name);
    self->own = malloc(sizeof OWN);
    if (self->own == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the settings");
    }
    memcpy(self->own, OWN, sizeof OWN);
    for (mb_setting_t *setting = self->own; setting->key != NULL; setting++) {
        if (strcmp(setting->key, "state.path") == 0) {
            setting->value = self->state_path;
        } else if (strcmp(setting->key, "bus.curve_name") == 0) {
            setting->value = name;
        }
    }
    mailbus_code_t code = convert_all(self, error);
    if (code != MAILBUS_OK) {
        return code;
    }
    const char *summary = self->subscriber->summary;
    self->settings = mb_settings_new(self->program, summary != NULL ? summary : "", self->own);
    if (self->settings == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the settings");
    }
    mb_settings_add_option(self->settings, "--shard", "shard", true,
                           "INDEX/COUNT: this instance's share");
    mb_settings_set_check(self->settings, check_shard);
    code = mb_settings_add(self->settings, self->more, error);
    if (code == MAILBUS_OK && self->subscriber->carry != NULL) {
        code = mb_settings_add(self->settings, REBUILD, error);
        mb_settings_add_option(self->settings, "--rebuild", "state.rebuild", false,
                               "count again from the gateway's journal, and end");
    }
    return code;
}

mailbus_code_t options_new(const mailbus_subscriber_t *subscriber, options_t **ret_self,
                           mailbus_error_t *error)
{
    options_t *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the settings");
    }
    self->subscriber = subscriber;
    mailbus_code_t code = fill(self, error);
    if (code == MAILBUS_OK) {
        *ret_self = self;
    } else {
        options_destroy(&self);
    }
    return code;
}

void options_destroy(options_t **self_p)
{
    options_t *self = *self_p;
    *self_p = NULL;
    if (self != NULL) {
        mb_settings_destroy(&self->settings);
        free(self->own);
        free(self->more);
        free(self->names);
        free(self);
    }
}

mb_settings_t *options_settings(options_t *self)
{
    return self->settings;
}

typedef struct {
    const char **list;
    size_t count;
} names_t;

static mailbus_code_t add_name(names_t *names, const char *name, bool prefix,
                               mailbus_error_t *error)
{
    if (!prefix) {
        mailbus_error_t why = {0};
        if (mailbus_topic_check(name, strlen(name), &why) != MAILBUS_OK) {
            return mailbus_fail(error, MAILBUS_EINVAL, "\"%.140s\" is no topic: %.80s", name,
                                why.text);
        }
    } else if (strlen(name) > MAILBUS_TOPIC_MAX ||
               name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-.")] != '\0') {
        return mailbus_fail(error, MAILBUS_EINVAL,
                            "\"%.140s\" is no beginning of a topic: at most %d of a-z 0-9 _ - .",
                            name, MAILBUS_TOPIC_MAX);
    }
    names->list[names->count++] = name;
    return MAILBUS_OK;
}

static mailbus_code_t cut_names(options_t *self, const char *value, names_t *topics,
                                names_t *prefixes, mailbus_error_t *error)
{
    self->names = strdup(value);
    if (self->names == NULL) {
        return mailbus_fail(error, MAILBUS_ENOMEM, "no memory for the topics");
    }
    mailbus_code_t code = MAILBUS_OK;
    char *rest = NULL;
    for (char *name = strtok_r(self->names, " \t", &rest); code == MAILBUS_OK && name != NULL;
         name = strtok_r(NULL, " \t", &rest)) {
        size_t size = strlen(name);
        bool prefix = name[size - 1] == '*';
        if (prefix) {
            name[size - 1] = '\0';
        }
        code = topics->count + prefixes->count == MAILBUS_FETCH_MAX_NAMES
                   ? mailbus_fail(error, MAILBUS_EINVAL, "more than %d topics",
                                  MAILBUS_FETCH_MAX_NAMES)
                   : add_name(prefix ? prefixes : topics, name, prefix, error);
    }
    return code;
}

static mailbus_code_t copy_names(const char *const *from, names_t *to, const names_t *other,
                                 bool prefix, mailbus_error_t *error)
{
    mailbus_code_t code = MAILBUS_OK;
    for (; code == MAILBUS_OK && from != NULL && *from != NULL; from++) {
        code = to->count + other->count == MAILBUS_FETCH_MAX_NAMES
                   ? mailbus_fail(error, MAILBUS_EINVAL, "more than %d topics",
                                  MAILBUS_FETCH_MAX_NAMES)
                   : add_name(to, *from, prefix, error);
    }
    return code;
}

mailbus_code_t options_topics(options_t *self, const char *const **ret_topics,
                              const char *const **ret_prefixes, mailbus_error_t *error)
{
    const mailbus_subscriber_t *subscriber = self->subscriber;
    names_t topics = {.list = self->topics};
    names_t prefixes = {.list = self->prefixes};
    const char *value = subscriber->topics_key != NULL
                            ? mb_settings_text(self->settings, subscriber->topics_key)
                            : "";
    mailbus_code_t code;
    if (*value != '\0') {
        code = cut_names(self, value, &topics, &prefixes, error);
    } else {
        code = copy_names(subscriber->topics, &topics, &prefixes, false, error);
        if (code == MAILBUS_OK) {
            code = copy_names(subscriber->prefixes, &prefixes, &topics, true, error);
        }
    }
    if (code == MAILBUS_OK && topics.count + prefixes.count == 0) {
        code = mailbus_fail(error, MAILBUS_EINVAL, "no topic and no prefix to subscribe to");
    }
    if (code == MAILBUS_OK) {
        *ret_topics = self->topics;
        *ret_prefixes = self->prefixes;
    }
    return code;
}
