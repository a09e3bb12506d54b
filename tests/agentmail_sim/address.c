#include "address.h"

#include <string.h>

/* Bytes of the quoted local part that `text` begins with (RFC 5322 §3.2.4); 0: there is none. */
static size_t quoted_size(const char *text)
{
    size_t at = 1;
    if (text[0] != '"') {
        return 0;
    }
    while (text[at] != '"') {
        at += text[at] == '\\' ? 1 : 0;
        if ((unsigned char)text[at] < ' ' || text[at] == 0x7f) {
            return 0;
        }
        at++;
    }
    return at + 1;
}

static bool is_bare(char c)
{
    return (unsigned char)c > ' ' && c != 0x7f && c != ',' && c != ';' && c != '"';
}

bool address_bare(const char *text, char bare[ADDRESS_MAX + 1])
{
    const char *start = strrchr(text, '<');
    const char *end = start != NULL ? strchr(start, '>') : NULL;
    if (start != NULL && end == NULL) {
        return false;
    }
    start = start != NULL ? start + 1 : text + strspn(text, " ");
    size_t quoted = quoted_size(start);
    end = end != NULL ? end : start + quoted + strcspn(start + quoted, " ");
    size_t size = (size_t)(end - start);
    if (size == 0 || size > ADDRESS_MAX || quoted > size || end[strspn(end, "> ")] != '\0') {
        return false;
    }
    for (size_t at = 0; at < size; at++) {
        char c = start[at];
        if (at >= quoted && !is_bare(c)) {
            return false;
        }
        bare[at] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    bare[size] = '\0';
    const char *sign = strchr(bare + quoted, '@');
    return sign != NULL && sign > bare && sign[1] != '\0' && strchr(sign + 1, '@') == NULL;
}

const char *address_domain(const char *bare)
{
    const char *sign = strrchr(bare, '@');
    return sign != NULL ? sign + 1 : "";
}

bool address_same(const char *one, const char *other)
{
    char a[ADDRESS_MAX + 1];
    char b[ADDRESS_MAX + 1];
    return address_bare(one, a) && address_bare(other, b) && strcmp(a, b) == 0;
}

bool address_is_simulator(const char *text, const char *name)
{
    char bare[ADDRESS_MAX + 1];
    size_t size = strlen(name);
    return address_bare(text, bare) &&
           strcmp(address_domain(bare), "simulator.amazonses.com") == 0 &&
           strncmp(bare, name, size) == 0 && (bare[size] == '@' || bare[size] == '+');
}
