/* Mail addresses as texts: "a@b" or "Name <a@b>". Own code, not that of subscribers/agentmail: a
 * stand-in that shared the code under test would share its mistakes. */
#ifndef SIM_ADDRESS_H
#define SIM_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#define ADDRESS_MAX 320 /* bytes of an address: RFC 5321's 64 + 1 + 255 */

/* The bare address in lower case. False where `text` holds none: no @, blanks or control characters
 * in it, too long. */
bool address_bare(const char *text, char bare[ADDRESS_MAX + 1]);
/* What stands behind the @ of a bare address. */
const char *address_domain(const char *bare);
bool address_same(const char *one, const char *other); /* by their bare forms */
/* Is it NAME@simulator.amazonses.com, or NAME+label@…: SES's addresses to try things with? */
bool address_is_simulator(const char *text, const char *name);

#endif
