/* Stage: the text of one setting → its value, by type. Pure functions. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "settings_private.h"

#include "mailbus/json.h"

#define IPC_PATH_MAX 107 /* sockaddr_un.sun_path less its NUL */

const char *mb_setting_type_name(const mb_setting_t *setting)
{
    switch (setting->type) {
    case MB_TEXT:
        return "text";
    case MB_INTEGER:
        return "number";
    case MB_BOOLEAN:
        return "yes or no";
    case MB_BYTES:
        return "size";
    case MB_DURATION:
        return "duration";
    case MB_ADDRESS:
        return "address";
    case MB_ENDPOINT:
        return "endpoint";
    case MB_PATH:
        return "path";
    case MB_SECRET:
        return "secret";
    case MB_CHOICE:
        return "choice";
    }
    return "text";
}

/* Decimal digits at the start of `text`; false where there is none or they overflow. */
static bool read_digits(const char *text, int64_t *ret_number, const char **ret_end)
{
    int64_t number = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(number, (int64_t)10, &number) ||
            __builtin_add_overflow(number, (int64_t)(*at - '0'), &number)) {
            return false;
        }
    }
    *ret_number = number;
    *ret_end = at;
    return at > text;
}

typedef struct {
    const char *name;
    int64_t factor;
} unit_t;

static const unit_t byte_units[] = {
    {"", 1},
    {"B", 1},
    {"KiB", 1LL << 10},
    {"MiB", 1LL << 20},
    {"GiB", 1LL << 30},
    {"TiB", 1LL << 40},
    {NULL, 0},
};

static const unit_t duration_units[] = {
    {"", 1000}, {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0},
};

static bool read_with_unit(const char *text, const unit_t *units, int64_t *ret_number)
{
    int64_t number = 0;
    const char *unit = NULL;
    if (!read_digits(text, &number, &unit)) {
        return false;
    }
    while (*unit == ' ') {
        unit++;
    }
    for (; units->name != NULL; units++) {
        if (strcmp(unit, units->name) == 0) {
            return !__builtin_mul_overflow(number, units->factor, ret_number);
        }
    }
    return false;
}

static bool read_integer(const char *text, int64_t *ret_number)
{
    const char *end = NULL;
    bool negative = *text == '-';
    if (!read_digits(text + negative, ret_number, &end) || *end != '\0') {
        return false;
    }
    *ret_number = negative ? -*ret_number : *ret_number;
    return true;
}

static bool read_boolean(const char *text, int64_t *ret_number)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    for (int at = 0; at < 8; at++) {
        if (strcmp(text, words[at]) == 0) {
            *ret_number = at % 2;
            return true;
        }
    }
    return false;
}

static bool is_port(const char *text)
{
    int64_t port = 0;
    const char *end = NULL;
    return read_digits(text, &port, &end) && *end == '\0' && port <= 65535;
}

/* A host name or an IPv4 address by its characters, or an IPv6 address in brackets. */
static bool is_host(const char *text, size_t size)
{
    if (size >= 2 && text[0] == '[') {
        char address[INET6_ADDRSTRLEN];
        struct in6_addr parsed;
        if (text[size - 1] != ']' || size - 2 >= sizeof address) {
            return false;
        }
        memcpy(address, text + 1, size - 2);
        address[size - 2] = '\0';
        return inet_pton(AF_INET6, address, &parsed) == 1;
    }
    for (size_t at = 0; at < size; at++) {
        char c = text[at];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '.' || c == '_')) {
            return false;
        }
    }
    return size > 0 && size <= 253; /* RFC 1035's longest name */
}

static bool is_address(const char *text)
{
    const char *colon = strrchr(text, ':');
    return colon != NULL && is_port(colon + 1) &&
           (colon == text || is_host(text, (size_t)(colon - text)));
}

static bool is_endpoint(const char *text)
{
    if (strncmp(text, "ipc://", 6) == 0) {
        return text[6] != '\0' && strlen(text + 6) <= IPC_PATH_MAX;
    }
    if (strncmp(text, "tcp://", 6) != 0) {
        return false;
    }
    const char *host = text + 6;
    const char *colon = strrchr(host, ':');
    if (colon == NULL || colon == host) {
        return false;
    }
    bool any_host = colon == host + 1 && *host == '*';
    return (any_host || is_host(host, (size_t)(colon - host))) &&
           (strcmp(colon + 1, "*") == 0 || is_port(colon + 1));
}

static bool has_control(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            return true;
        }
    }
    return false;
}

static bool is_choice(const char *text, const char *choices)
{
    size_t size = strlen(text);
    while (*choices != '\0') {
        size_t length = strcspn(choices, " ");
        if (length == size && length > 0 && strncmp(choices, text, length) == 0) {
            return true;
        }
        choices += length + strspn(choices + length, " ");
    }
    return false;
}

static mailbus_code_t check_text(const mb_setting_t *setting, const char *text,
                                 mailbus_error_t *error)
{
    bool optional = *setting->value == '\0';
    switch (setting->type) {
    case MB_SECRET:
        if (has_control(text)) {
            return mailbus_fail(error, MAILBUS_EINVAL,
                                "the secret has a control character (more than one line?)");
        }
        return MAILBUS_OK;
    case MB_ADDRESS:
        if (*text != '\0' && !is_address(text)) {
            return mailbus_fail(error, MAILBUS_EINVAL,
                                "'%.60s' is not an address: write 127.0.0.1:8080, [::1]:8080 or "
                                ":8080 (all interfaces)",
                                text);
        }
        return MAILBUS_OK;
    case MB_ENDPOINT:
        if (!(optional && *text == '\0') && (!is_endpoint(text) || has_control(text))) {
            return mailbus_fail(error, MAILBUS_EINVAL,
                                "'%.60s' is not an endpoint: write tcp://127.0.0.1:5556 or "
                                "ipc:///run/mailbus/bus (at most %d bytes of path)",
                                text, IPC_PATH_MAX);
        }
        return MAILBUS_OK;
    case MB_PATH:
        if ((!optional && *text == '\0') || has_control(text)) {
            return mailbus_fail(error, MAILBUS_EINVAL, "'%.60s' is not a path", text);
        }
        return MAILBUS_OK;
    case MB_CHOICE:
        if (!is_choice(text, setting->choices)) {
            return mailbus_fail(error, MAILBUS_EINVAL, "'%.60s' is none of: %.120s", text,
                                setting->choices);
        }
        return MAILBUS_OK;
    default:
        if (!mailbus_utf8_valid(text, strlen(text))) {
            return mailbus_fail(error, MAILBUS_EINVAL, "the text is not UTF-8");
        }
        return MAILBUS_OK;
    }
}

/* A bound in the words of its type. */
static void write_bound(const mb_setting_t *setting, int64_t number, char text[32])
{
    const unit_t *units = setting->type == MB_BYTES      ? byte_units
                          : setting->type == MB_DURATION ? duration_units
                                                         : NULL;
    const unit_t *best = NULL;
    for (; units != NULL && units->name != NULL; units++) {
        if (*units->name != '\0' && number % units->factor == 0 && number != 0 &&
            (best == NULL || units->factor >= best->factor)) {
            best = units;
        }
    }
    snprintf(text, 32, "%lld%s", (long long)(best != NULL ? number / best->factor : number),
             best != NULL ? best->name : "");
}

mailbus_code_t mb_setting_parse(const mb_setting_t *setting, const char *text, int64_t *ret_number,
                                mailbus_error_t *error)
{
    int64_t number = 0;
    const char *wanted = NULL;
    switch (setting->type) {
    case MB_INTEGER:
        wanted = read_integer(text, &number) ? NULL : "a whole number";
        break;
    case MB_BOOLEAN:
        wanted = read_boolean(text, &number) ? NULL : "yes or no";
        break;
    case MB_BYTES:
        wanted = read_with_unit(text, byte_units, &number)
                     ? NULL
                     : "a size: write 4096, 64KiB, 2MiB or 1GiB";
        break;
    case MB_DURATION:
        wanted = read_with_unit(text, duration_units, &number)
                     ? NULL
                     : "a duration: write 300ms, 10s, 5m, 28h or 35d";
        break;
    default:
        *ret_number = 0;
        return check_text(setting, text, error);
    }
    if (wanted != NULL) {
        return mailbus_fail(error, MAILBUS_EINVAL, "'%.60s' is not %s", text, wanted);
    }
    bool bounded = setting->min != 0 || setting->max != 0;
    if (bounded && (number < setting->min || number > setting->max)) {
        char least[32];
        char most[32];
        write_bound(setting, setting->min, least);
        write_bound(setting, setting->max, most);
        return mailbus_fail(error, MAILBUS_EINVAL, "'%.60s' is out of bounds: from %s to %s", text,
                            least, most);
    }
    *ret_number = number;
    return MAILBUS_OK;
}
