/* eth/address.h - execution addresses as people write them.
 *
 * WHAT      20 bytes of hex, with or without 0x. Digits of mixed case are a checksum (EIP-55).
 * PROMISE   An address whose capital letters are not those of its checksum is refused: somebody has mistyped it. One of lower-case digits
 *           alone, or of capitals alone, has no checksum.
 * THREADS   Any: pure.   OWNERSHIP Borrows.   ERRORS HEX_SYNTAX, HEX_LENGTH; MALFORMED: the checksum.   SECRETS None.
 */
#ifndef ETH_ADDRESS_H
#define ETH_ADDRESS_H

#include "base/span.h"

#include "eth/types.h"

CC_ERR address_parse(struct span text, struct eth_address *ret_address);
/* A sentence for people about an error of address_parse(). */
const char *address_fault(cc_err err);

#endif
