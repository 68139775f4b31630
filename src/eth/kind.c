#include "eth/kind.h"

static const struct kind_info kinds[KIND_END] = {
#define K(name_, key_, class_, rank_, slashable_, domain_, version_)                               \
    [KIND_##name_] = {                                                                             \
        .name = #name_,                                                                            \
        .object_key = (key_),                                                                      \
        .class = KIND_CLASS_##class_,                                                              \
        .rank = KIND_RANK_##rank_,                                                                 \
        .slashable = SLASHABLE_##slashable_,                                                       \
        .domain_type = {(domain_) >> 24 & 0xff, (domain_) >> 16 & 0xff, (domain_) >> 8 & 0xff,     \
                        (domain_)&0xff},                                                           \
        .version_from = VERSION_##version_,                                                        \
    },
#include "eth/kind.def"
#undef K
};

/* What clients call the Gloas kinds: Lighthouse and Lodestar, 2026. */
static const struct {
    const char *name;
    enum eth_kind kind;
} aliases[] = {
    {"PAYLOAD_ATTESTATION", KIND_PAYLOAD_ATTESTATION_MESSAGE},
    {"REQUEST_AUTH", KIND_BUILDER_REQUEST_AUTH},
};

static const struct {
    enum eth_kind kind;
    const char *key;
} other_keys[] = {
    {KIND_PAYLOAD_ATTESTATION_MESSAGE, "payload_attestation"},
    {KIND_PAYLOAD_ATTESTATION_MESSAGE, "payload_attestation_data"},
    {KIND_BUILDER_REQUEST_AUTH, "request_auth"},
};

const struct kind_info *kind_info(enum eth_kind kind)
{
    cc_assert((unsigned)kind < KIND_END);
    return &kinds[kind];
}

CC_ERR kind_parse(struct span name, enum eth_kind *ret_kind)
{
    for (unsigned kind = 0; kind < KIND_END; kind++) {
        if (span_is_nocase(name, kinds[kind].name)) {
            *ret_kind = (enum eth_kind)kind;
            return CC_OK;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
        if (span_is_nocase(name, aliases[i].name)) {
            *ret_kind = aliases[i].kind;
            return CC_OK;
        }
    }
    return CC_FAIL(KIND_UNKNOWN, NULL);
}

const char *kind_object_key(enum eth_kind kind, unsigned n)
{
    if (n == 0)
        return kind_info(kind)->object_key;
    for (size_t i = 0; i < ARRAY_LEN(other_keys); i++) {
        if (other_keys[i].kind == kind && --n == 0)
            return other_keys[i].key;
    }
    return NULL;
}

const char *kind_operation(enum eth_kind kind)
{
    if (kind == KIND_BLOCK_V2)
        return kinds[KIND_BLOCK].name;
    if (kind == KIND_AGGREGATE_AND_PROOF_V2)
        return kinds[KIND_AGGREGATE_AND_PROOF].name;
    return kind_info(kind)->name;
}
