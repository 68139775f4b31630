/* support/wish_kit.h - what tests of ceremonies bring.
 *
 * WHAT      Wishes for a set, and records that another replica, or another hand, has put.
 * PROMISE   A wish is one that a ceremony takes.
 * THREADS   Any.   OWNERSHIP Borrows.   ERRORS Asserts.   SECRETS None.
 */
#ifndef SUPPORT_WISH_KIT_H
#define SUPPORT_WISH_KIT_H

#include "core/ceremony.h"

extern const char *const wish_kit_names[4];

/* Keys of one tag are the same. */
void wish_kms(struct ceremony_wish *wish, uint32_t threshold, uint32_t count, char tag);
/* The first of the names. */
void wish_operators(struct ceremony_wish *wish, uint32_t threshold, uint32_t count);

/* Each returns the version that the record has then, whatever it was before. */
uint64_t wish_kit_put(struct keeper *keeper, const char *kind, const char *name, struct span bytes);
/* Record keys/NAME: of a key store that has rows, or has none. */
uint64_t wish_kit_put_keys(struct keeper *keeper, const char *name, bool rows);

#endif
