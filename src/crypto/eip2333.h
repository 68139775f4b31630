/* crypto/eip2333.h - BLS keys from a seed, as a tree (EIP-2333), and the paths in it that validators use (EIP-2334).
 *
 * WHAT      A node is a secret key; its children come from it and their number. The signing key of validator i is
 *           m/12381/3600/i/0/0.
 * PROMISE   The same seed gives the same keys as any other implementation of the EIPs. No step needs more than the node above it.
 * THREADS   Any: pure; a step takes some 0.1 ms of a processor that has SHA instructions.   OWNERSHIP Borrows.
 * ERRORS    NUMBER_RANGE (a seed of fewer than 32 bytes).
 * SECRETS   Seed and nodes. Time does not depend on them (blst). blst leaves parts on the stack: callers wipe_stack() after.
 */
#ifndef CRYPTO_EIP2333_H
#define CRYPTO_EIP2333_H

#include "base/span.h"

#include "crypto/bls.h"

CC_ERR eip2333_master(struct span seed, struct bls_secret *ret_master);
/* `ret_child` may be `parent`. */
void eip2333_child(const struct bls_secret *parent, uint32_t index, struct bls_secret *ret_child);

/* m/12381/3600, which all validators' keys lie below. */
CC_ERR eip2334_validators(struct span seed, struct bls_secret *ret_node);
/* From there i/0/0: the signing key of validator `index`. */
void eip2334_signing_key(const struct bls_secret *validators,
                         uint32_t index,
                         struct bls_secret *ret_key);

#endif
