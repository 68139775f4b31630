#include "eth/ssz.h"

#include "base/num.h"

#include "crypto/sha256.h"

static const struct eth_root zero_hashes[SSZ_DEPTH_MAX + 1] = {
#include "eth/ssz_zero.def"
};

struct eth_root ssz_pair(const struct eth_root *left, const struct eth_root *right)
{
    uint8_t pair[64];
    struct eth_root parent;
    memcpy(pair, left->bytes, 32);
    memcpy(pair + 32, right->bytes, 32);
    sha256_pair(pair, parent.bytes);
    return parent;
}

void ssz_tree_add(struct ssz_tree *tree, const struct eth_root *chunk)
{
    struct eth_root node = *chunk;
    unsigned level = 0;
    for (uint64_t count = tree->count; count & 1; count >>= 1) {
        memcpy(tree->pairs[level] + 32, node.bytes, 32);
        sha256_pair(tree->pairs[level], node.bytes);
        level++;
    }
    cc_assert(level <= SSZ_DEPTH_MAX);
    memcpy(tree->pairs[level], node.bytes, 32);
    tree->count++;
}

struct eth_root ssz_tree_root(const struct ssz_tree *tree, unsigned depth)
{
    cc_assert(depth <= SSZ_DEPTH_MAX && tree->count <= UINT64_C(1) << depth);
    if (tree->count == 0)
        return zero_hashes[depth];
    /* Up the right edge: from the lowest level that has a node, each missing neighbour is a tree of zeros. */
    unsigned level = (unsigned)__builtin_ctzll(tree->count);
    struct eth_root node;
    memcpy(node.bytes, tree->pairs[level], 32);
    for (; level < depth; level++) {
        struct eth_root left;
        bool is_right = level > (unsigned)__builtin_ctzll(tree->count) && tree->count >> level & 1;
        if (is_right)
            memcpy(left.bytes, tree->pairs[level], 32);
        node = is_right ? ssz_pair(&left, &node) : ssz_pair(&node, &zero_hashes[level]);
    }
    return node;
}

static uint64_t group_size(unsigned group)
{
    return UINT64_C(1) << (2 * group);
}

void ssz_progressive_add(struct ssz_progressive *progressive, const struct eth_root *chunk)
{
    ssz_tree_add(&progressive->tree, chunk);
    progressive->count++;
    if (progressive->tree.count < group_size(progressive->groups))
        return;
    cc_assert(progressive->groups < SSZ_GROUPS_MAX - 1);
    progressive->roots[progressive->groups] =
        ssz_tree_root(&progressive->tree, 2 * progressive->groups);
    progressive->groups++;
    ssz_tree_init(&progressive->tree);
}

struct eth_root ssz_progressive_root(const struct ssz_progressive *progressive)
{
    struct eth_root root = {{0}};
    if (progressive->tree.count > 0) {
        struct eth_root last = ssz_tree_root(&progressive->tree, 2 * progressive->groups);
        root = ssz_pair(&last, &root);
    }
    for (unsigned group = progressive->groups; group-- > 0;)
        root = ssz_pair(&progressive->roots[group], &root);
    return root;
}

unsigned ssz_depth(uint64_t limit)
{
    return limit <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(limit - 1);
}

struct eth_root ssz_mix_in_length(const struct eth_root *root, uint64_t length)
{
    struct eth_root count = ssz_u64(length);
    return ssz_pair(root, &count);
}

struct eth_root ssz_chunk(struct span bytes)
{
    struct eth_root chunk = {{0}};
    cc_assert(bytes.len <= sizeof(chunk.bytes));
    if (bytes.len)
        memcpy(chunk.bytes, bytes.data, bytes.len);
    return chunk;
}

struct eth_root ssz_u64(uint64_t value)
{
    struct eth_root chunk = {{0}};
    u64_store_le(chunk.bytes, value);
    return chunk;
}
