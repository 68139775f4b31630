/* eth/ssz.h - merkleization (consensus-specs ssz/simple-serialize.md).
 *
 * WHAT      Trees that are fed chunk by chunk and keep one node per level: binary trees with a limit, and the progressive
 *           ones of EIP-7916.
 * PROMISE   The root equals merkleize() or merkleize_progressive() of the chunks, in memory that does not depend on how
 *           many there are.
 * THREADS   One thread per tree.
 * OWNERSHIP By value, borrows spans.
 * ERRORS    None: the caller checks limits before it adds. More chunks than a tree can hold is a programming error.
 * SECRETS   None.
 */
#ifndef ETH_SSZ_H
#define ETH_SSZ_H

#include "base/span.h"

#include "eth/types.h"

/* 2^32 chunks; the largest list that a request can hold is far smaller. */
enum {
    SSZ_DEPTH_MAX = 32,
    SSZ_GROUPS_MAX = SSZ_DEPTH_MAX / 2 + 1
};

struct ssz_tree {
    uint64_t count;
    /* private */
    uint8_t pairs[SSZ_DEPTH_MAX + 1][64]; /* left nodes that wait for their right neighbour */
};

static inline void ssz_tree_init(struct ssz_tree *tree)
{
    tree->count = 0;
}
void ssz_tree_add(struct ssz_tree *tree, const struct eth_root *chunk);
/* The root of the chunks so far, padded with zeros to 2^depth of them. */
struct eth_root ssz_tree_root(const struct ssz_tree *tree, unsigned depth);

struct ssz_progressive {
    uint64_t count;
    /* private */
    unsigned groups;
    struct eth_root roots[SSZ_GROUPS_MAX];
    struct ssz_tree tree; /* of the group being filled: 4^groups chunks */
};

static inline void ssz_progressive_init(struct ssz_progressive *progressive)
{
    progressive->count = 0;
    progressive->groups = 0;
    ssz_tree_init(&progressive->tree);
}
void ssz_progressive_add(struct ssz_progressive *progressive, const struct eth_root *chunk);
struct eth_root ssz_progressive_root(const struct ssz_progressive *progressive);

/* The depth of a tree for `limit` chunks: log2 of the next power of two; 0 for 0 and 1. */
unsigned ssz_depth(uint64_t limit);

struct eth_root ssz_pair(const struct eth_root *left, const struct eth_root *right);
struct eth_root ssz_mix_in_length(const struct eth_root *root, uint64_t length);
/* A chunk that starts with `bytes` (at most 32) and ends in zeros. */
struct eth_root ssz_chunk(struct span bytes);
struct eth_root ssz_u64(uint64_t value);

#endif
