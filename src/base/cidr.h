/* base/cidr.h - ranges of addresses.
 *
 * WHAT      "10.0.0.0/8", "2001:db8::/32", or one address; and whether an address lies in one.
 * PROMISE   Strict: no bits beyond the prefix, no leading zeros, no zone, no host name. An IPv4 range holds IPv4 addresses
 *           alone, an IPv6 range IPv6 ones alone; `::ffff:` forms are refused, so that each range has one meaning.
 * THREADS   Any: pure.   OWNERSHIP By value.   ERRORS MALFORMED, with what is wrong as the detail.   SECRETS None.
 */
#ifndef BASE_CIDR_H
#define BASE_CIDR_H

#include <stdbool.h>

#include "base/error.h"
#include "base/span.h"

enum {
    CIDR_ADDRESS_SIZE = 16,
    CIDR_TEXT_SIZE = 50 /* with the terminator */
};

struct cidr {
    uint8_t address[CIDR_ADDRESS_SIZE]; /* IPv6, IPv4 mapped into it, as in struct caller */
    uint8_t bits;                       /* of the 128 that count */
    bool v4;
};

CC_ERR cidr_parse(struct span text, struct cidr *ret_range);
bool cidr_holds(const struct cidr *range, const uint8_t address[static CIDR_ADDRESS_SIZE]);
/* The one way to write it: always with its prefix length, IPv6 as RFC 5952 has it. */
void cidr_text(const struct cidr *range, char ret_text[static CIDR_TEXT_SIZE]);
/* 127.0.0.0/8 or ::1. */
bool cidr_is_loopback(const uint8_t address[static CIDR_ADDRESS_SIZE]);
/* The four bytes of an IPv4 address as such an address. */
void cidr_map_v4(const uint8_t four[static 4], uint8_t ret_address[static CIDR_ADDRESS_SIZE]);
/* The address alone, for the log. */
void cidr_address_text(const uint8_t address[static CIDR_ADDRESS_SIZE],
                       char ret_text[static CIDR_TEXT_SIZE]);

#endif
