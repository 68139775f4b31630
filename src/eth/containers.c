#include "eth/containers.h"

#include "base/num.h"

#include "codec/hex.h"
#include "eth/field.h"
#include "eth/ssz.h"

#define LIST(name, kind_, progressive_, limit_, size_, element_)                                   \
    const struct ssz_type type_##name = {.kind = SSZ_##kind_,                                      \
                                         .progressive = (progressive_),                            \
                                         .limit = LIMIT_##limit_,                                  \
                                         .size = (size_),                                          \
                                         .element = element_};
#define F(name, type) {#name, &type_##type},
#define FIELDS(name_, progressive_, ...)                                                           \
    static const struct ssz_field fields_##name_[] = {__VA_ARGS__};                                \
    const struct ssz_type type_##name_ = {.kind = SSZ_CONTAINER,                                   \
                                          .progressive = (progressive_),                           \
                                          .size = ARRAY_LEN(fields_##name_),                       \
                                          .fields = fields_##name_};
#define CONTAINER(name, ...)   FIELDS(name, false, __VA_ARGS__)
#define PROGRESSIVE(name, ...) FIELDS(name, true, __VA_ARGS__)
#include "eth/containers.def"
#undef LIST
#undef F
#undef FIELDS
#undef CONTAINER
#undef PROGRESSIVE

enum {
    MAX_VALIDATORS_PER_COMMITTEE = 2048,
    SYNC_COMMITTEE_SUBNET_COUNT = 4,
    BYTES_MAX = 256,
    UINT256_DIGITS_MAX = 78
};

/* A tree of either form, so that what fills it need not know which. */
struct chunks {
    bool progressive;
    union {
        struct ssz_tree binary;
        struct ssz_progressive progressive;
    } tree;
};

static void chunks_init(struct chunks *chunks, bool progressive)
{
    chunks->progressive = progressive;
    if (progressive)
        ssz_progressive_init(&chunks->tree.progressive);
    else
        ssz_tree_init(&chunks->tree.binary);
}

static void chunks_add(struct chunks *chunks, const struct eth_root *chunk)
{
    if (chunks->progressive)
        ssz_progressive_add(&chunks->tree.progressive, chunk);
    else
        ssz_tree_add(&chunks->tree.binary, chunk);
}

/* `limit` counts chunks; a progressive tree has none. */
static struct eth_root chunks_root(const struct chunks *chunks, uint64_t limit)
{
    if (chunks->progressive)
        return ssz_progressive_root(&chunks->tree.progressive);
    return ssz_tree_root(&chunks->tree.binary, ssz_depth(limit));
}

static uint64_t type_size(const struct ssz_type *type, const struct eth_preset *preset)
{
    switch (type->limit) {
    case LIMIT_FIXED:
        return type->size;
    case LIMIT_COMMITTEES:
        return preset->max_committees_per_slot;
    case LIMIT_SLOT_VALIDATORS:
        return preset->max_committees_per_slot * MAX_VALIDATORS_PER_COMMITTEE;
    case LIMIT_SYNC_COMMITTEE:
        return preset->sync_committee_size;
    case LIMIT_SYNC_SUBCOMMITTEE:
        return preset->sync_committee_size / SYNC_COMMITTEE_SUBNET_COUNT;
    }
    cc_assert(false && "no such limit");
    return 0;
}

static uint64_t divide_up(uint64_t value, uint64_t by)
{
    return value / by + (value % by != 0);
}

static CC_ERR u64_root(struct jval value, struct eth_root *ret_root)
{
    uint64_t number;
    CC_TRY(jval_u64(value, &number));
    *ret_root = ssz_u64(number);
    return CC_OK;
}

static CC_ERR u256_root(struct jval value, struct eth_root *ret_root)
{
    struct span digits;
    struct eth_root number = {{0}};
    CC_TRY(jval_decimal(value, &digits));
    if (digits.len > UINT256_DIGITS_MAX)
        return CC_FAIL(NUMBER_RANGE, "2^256 or more");
    for (size_t i = 0; i < digits.len; i++) {
        unsigned carry = (unsigned)(digits.data[i] - '0');
        for (size_t byte = 0; byte < sizeof(number.bytes); byte++) {
            carry += number.bytes[byte] * 10u;
            number.bytes[byte] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry)
            return CC_FAIL(NUMBER_RANGE, "2^256 or more");
    }
    *ret_root = number;
    return CC_OK;
}

static CC_ERR boolean_root(struct jval value, struct eth_root *ret_root)
{
    bool is_true;
    CC_TRY(jval_bool(value, &is_true));
    *ret_root = ssz_u64(is_true);
    return CC_OK;
}

static CC_ERR short_root(struct jval value, struct eth_root *ret_root)
{
    struct span text;
    CC_TRY(jval_text(value, &text));
    return hex_decode_padded(text, ret_root->bytes, sizeof(ret_root->bytes));
}

static CC_ERR bytes_root(struct jval value, size_t size, struct eth_root *ret_root)
{
    struct span text;
    uint8_t bytes[BYTES_MAX];
    cc_assert(size <= sizeof(bytes));
    CC_TRY(jval_text(value, &text));
    CC_TRY(hex_decode(text, bytes, size));
    if (size <= 32) {
        *ret_root = ssz_chunk(span_of(bytes, size));
        return CC_OK;
    }
    struct ssz_tree tree;
    ssz_tree_init(&tree);
    for (size_t at = 0; at < size; at += 32) {
        struct eth_root chunk = ssz_chunk(span_of(bytes + at, u64_min(size - at, 32)));
        ssz_tree_add(&tree, &chunk);
    }
    *ret_root = ssz_tree_root(&tree, ssz_depth(divide_up(size, 32)));
    return CC_OK;
}

/* Decodes the n-th 32 bytes of `digits`, which hold at least one there. */
static CC_ERR chunk_of(struct span digits, uint64_t n, struct eth_root *ret_chunk)
{
    struct span rest = span_of(digits.data + 64 * n, digits.len - 64 * n);
    size_t len = u64_min(rest.len / 2, 32);
    memset(ret_chunk, 0, sizeof(*ret_chunk));
    return hex_decode(span_of(rest.data, 2 * len), ret_chunk->bytes, len);
}

/* The digits of a value of whole bytes; `ret_len` counts bytes. */
static CC_ERR hex_of(struct jval value, struct span *ret_digits, uint64_t *ret_len)
{
    struct span text;
    CC_TRY(jval_text(value, &text));
    *ret_digits = hex_digits(text);
    if (ret_digits->len % 2)
        return CC_FAIL(HEX_SYNTAX, "odd number of hex digits");
    *ret_len = ret_digits->len / 2;
    return CC_OK;
}

static CC_ERR
byte_list_root(const struct ssz_type *type, struct jval value, struct eth_root *ret_root)
{
    struct span digits;
    struct chunks chunks;
    uint64_t len;
    CC_TRY(hex_of(value, &digits, &len));
    if (len > type->size)
        return CC_FAIL(LIST_LIMIT, NULL);
    chunks_init(&chunks, type->progressive);
    for (uint64_t n = 0; n < divide_up(len, 32); n++) {
        struct eth_root chunk;
        CC_TRY(chunk_of(digits, n, &chunk));
        chunks_add(&chunks, &chunk);
    }
    struct eth_root root = chunks_root(&chunks, divide_up(type->size, 32));
    *ret_root = ssz_mix_in_length(&root, len);
    return CC_OK;
}

static CC_ERR bitvector_root(struct jval value, uint64_t bits, struct eth_root *ret_root)
{
    struct span digits;
    struct ssz_tree tree;
    uint64_t len;
    struct eth_root chunk = {{0}};
    CC_TRY(hex_of(value, &digits, &len));
    if (len != divide_up(bits, 8))
        return CC_FAIL(HEX_LENGTH, NULL);
    ssz_tree_init(&tree);
    for (uint64_t n = 0; n < divide_up(len, 32); n++) {
        CC_TRY(chunk_of(digits, n, &chunk));
        ssz_tree_add(&tree, &chunk);
    }
    if (bits % 8 && chunk.bytes[(len - 1) % 32] >> bits % 8)
        return CC_FAIL(MALFORMED, "a bit is set beyond the end");
    *ret_root = ssz_tree_root(&tree, ssz_depth(divide_up(bits, 256)));
    return CC_OK;
}

/* The last set bit marks the end and does not count. */
static CC_ERR bitlist_length(struct span digits, uint64_t len, uint64_t *ret_bits)
{
    uint8_t last;
    if (len == 0)
        return CC_FAIL(MALFORMED, "a bitlist without its end bit");
    CC_TRY(hex_decode(span_of(digits.data + digits.len - 2, 2), &last, 1));
    if (last == 0)
        return CC_FAIL(MALFORMED, "a bitlist without its end bit");
    *ret_bits = 8 * (len - 1) + 31 - (unsigned)__builtin_clz(last);
    return CC_OK;
}

static CC_ERR bitlist_root(const struct ssz_type *type,
                           uint64_t limit,
                           struct jval value,
                           struct eth_root *ret_root)
{
    struct span digits;
    struct chunks chunks;
    uint64_t len;
    uint64_t bits;
    CC_TRY(hex_of(value, &digits, &len));
    CC_TRY(bitlist_length(digits, len, &bits));
    if (bits > limit)
        return CC_FAIL(LIST_LIMIT, NULL);
    chunks_init(&chunks, type->progressive);
    for (uint64_t n = 0; n < divide_up(bits, 256); n++) {
        struct eth_root chunk;
        CC_TRY(chunk_of(digits, n, &chunk));
        if (bits / 256 == n)
            chunk.bytes[bits % 256 / 8] &= (uint8_t) ~(1u << bits % 8);
        chunks_add(&chunks, &chunk);
    }
    struct eth_root root = chunks_root(&chunks, divide_up(limit, 256));
    *ret_root = ssz_mix_in_length(&root, bits);
    return CC_OK;
}

static CC_ERR add_numbers(struct jval list, struct chunks *chunks)
{
    struct jval_iter iter = jval_iterate(list);
    struct jval element;
    struct eth_root chunk = {{0}};
    unsigned filled = 0;
    while (jval_next(&iter, &element)) {
        uint64_t number;
        CC_TRY(jval_u64(element, &number));
        u64_store_le(chunk.bytes + 8 * filled, number);
        if (++filled < 4)
            continue;
        chunks_add(chunks, &chunk);
        memset(&chunk, 0, sizeof(chunk));
        filled = 0;
    }
    if (filled)
        chunks_add(chunks, &chunk);
    return CC_OK;
}

static CC_ERR add_elements(const struct ssz_type *element_type,
                           const struct eth_preset *preset,
                           struct jval list,
                           struct chunks *chunks)
{
    struct jval_iter iter = jval_iterate(list);
    struct jval element;
    while (jval_next(&iter, &element)) {
        struct eth_root root;
        CC_TRY(container_root(element_type, preset, element, &root));
        chunks_add(chunks, &root);
    }
    return CC_OK;
}

static CC_ERR list_root(const struct ssz_type *type,
                        const struct eth_preset *preset,
                        struct jval value,
                        struct eth_root *ret_root)
{
    struct chunks chunks;
    uint64_t limit = type->size;
    if (jval_type(value) != JVAL_ARRAY)
        return CC_FAIL(FIELD_TYPE, "expected a list");
    uint64_t count = jval_count(value);
    if (count > limit || (type->kind == SSZ_VECTOR && count != limit))
        return CC_FAIL(LIST_LIMIT, NULL);
    chunks_init(&chunks, type->progressive);
    if (type->element->kind == SSZ_UINT64) {
        CC_TRY(add_numbers(value, &chunks));
        limit = divide_up(limit, 4);
    } else {
        CC_TRY(add_elements(type->element, preset, value, &chunks));
    }
    struct eth_root root = chunks_root(&chunks, limit);
    *ret_root = type->kind == SSZ_VECTOR ? root : ssz_mix_in_length(&root, count);
    return CC_OK;
}

/* EIP-7495: every field of every type here is active. */
static struct eth_root mix_in_active_fields(const struct eth_root *root, uint32_t count)
{
    struct eth_root active = {{0}};
    for (uint32_t field = 0; field < count; field++)
        active.bytes[field / 8] |= (uint8_t)(1u << field % 8);
    return ssz_pair(root, &active);
}

static CC_ERR fields_root(const struct ssz_type *type,
                          const struct eth_preset *preset,
                          struct jval value,
                          struct eth_root *ret_root)
{
    struct chunks chunks;
    if (jval_type(value) != JVAL_OBJECT)
        return CC_FAIL(FIELD_TYPE, "expected an object");
    chunks_init(&chunks, type->progressive);
    for (uint32_t i = 0; i < type->size; i++) {
        const struct ssz_field *field = &type->fields[i];
        struct jval member;
        struct eth_root root;
        CC_TRY(field_get(value, field->name, &member));
        cc_err err = container_root(field->type, preset, member, &root);
        if (cc_unlikely(err.code))
            return field->type->kind == SSZ_CONTAINER ? err : field_error(err, field->name);
        chunks_add(&chunks, &root);
    }
    struct eth_root root = chunks_root(&chunks, type->size);
    *ret_root = type->progressive ? mix_in_active_fields(&root, type->size) : root;
    return CC_OK;
}

CC_ERR container_root(const struct ssz_type *type,
                      const struct eth_preset *preset,
                      struct jval value,
                      struct eth_root *ret_root)
{
    switch (type->kind) {
    case SSZ_UINT64:
        return u64_root(value, ret_root);
    case SSZ_UINT256:
        return u256_root(value, ret_root);
    case SSZ_BOOLEAN:
        return boolean_root(value, ret_root);
    case SSZ_BYTES:
        return bytes_root(value, type->size, ret_root);
    case SSZ_ROOT:
        return short_root(value, ret_root);
    case SSZ_BYTE_LIST:
        return byte_list_root(type, value, ret_root);
    case SSZ_BITVECTOR:
        return bitvector_root(value, type_size(type, preset), ret_root);
    case SSZ_BITLIST:
        return bitlist_root(type, type_size(type, preset), value, ret_root);
    case SSZ_LIST:
    case SSZ_VECTOR:
        return list_root(type, preset, value, ret_root);
    case SSZ_CONTAINER:
        return fields_root(type, preset, value, ret_root);
    }
    cc_assert(false && "no such type");
    return CC_FAIL(FIELD_TYPE, NULL);
}
