#include "eth/request_json.h"

#include "codec/hex.h"
#include "eth/field.h"

static CC_ERR read_fork_info(struct jval body, struct sign_request *request)
{
    struct jval info;
    struct jval fork;
    struct eth_fork_info *to = &request->fork_info;
    if (!field_find(body, "fork_info", &info))
        return CC_OK;
    CC_TRY(field_object(info, "fork", &fork));
    CC_TRY(field_bytes(fork, "previous_version", to->fork.previous_version.bytes, 4));
    CC_TRY(field_bytes(fork, "current_version", to->fork.current_version.bytes, 4));
    CC_TRY(field_u64(fork, "epoch", &to->fork.epoch));
    CC_TRY(field_root(info, "genesis_validators_root", &to->genesis_validators_root));
    request->flags |= SIGN_HAS_FORK_INFO;
    return CC_OK;
}

static bool same_root(const struct eth_root *a, const struct eth_root *b)
{
    return span_equal(span_of(a->bytes, sizeof(a->bytes)), span_of(b->bytes, sizeof(b->bytes)));
}

static CC_ERR read_client_root(struct jval body, struct sign_request *request)
{
    static const char *const spellings[] = {"signingRoot", "signing_root"};
    for (size_t i = 0; i < ARRAY_LEN(spellings); i++) {
        struct jval value;
        struct eth_root root;
        if (!field_find(body, spellings[i], &value))
            continue;
        CC_TRY(field_root(body, spellings[i], &root));
        if ((request->flags & SIGN_HAS_CLIENT_ROOT) && !same_root(&root, &request->client_root))
            return CC_FAIL(MALFORMED, "signingRoot and signing_root differ");
        request->client_root = root;
        request->flags |= SIGN_HAS_CLIENT_ROOT;
    }
    return CC_OK;
}

static CC_ERR
read_checkpoint(struct jval data, const char *key, struct eth_checkpoint *ret_checkpoint)
{
    struct jval checkpoint;
    CC_TRY(field_object(data, key, &checkpoint));
    CC_TRY(field_u64(checkpoint, "epoch", &ret_checkpoint->epoch));
    return field_root(checkpoint, "root", &ret_checkpoint->root);
}

static CC_ERR read_attestation(struct jval object, struct sign_request *request)
{
    struct eth_attestation_data *to = &request->claim.attestation;
    CC_TRY(field_u64(object, "slot", &to->slot));
    CC_TRY(field_u64(object, "index", &to->index));
    CC_TRY(field_root(object, "beacon_block_root", &to->beacon_block_root));
    CC_TRY(read_checkpoint(object, "source", &to->source));
    CC_TRY(read_checkpoint(object, "target", &to->target));
    request->epoch = to->target.epoch;
    return CC_OK;
}

static CC_ERR read_kind(struct jval body, enum eth_kind *ret_kind)
{
    struct span type;
    CC_TRY(field_text(body, "type", &type));
    return kind_parse(type, ret_kind);
}

/* The object under the kind's key, or under another name that some client has for it. */
static CC_ERR find_object(struct jval body, enum eth_kind kind, struct jval *ret_object)
{
    const char *key;
    for (unsigned n = 0; (key = kind_object_key(kind, n)) != NULL; n++) {
        struct jval object;
        if (field_find(body, key, &object))
            return field_object(body, key, ret_object);
    }
    return CC_FAIL(FIELD_MISSING, kind_info(kind)->object_key);
}

static CC_ERR
read_object(const struct eth_network *network, struct jval object, struct sign_request *request)
{
    (void)network;
    if (request->kind == KIND_ATTESTATION)
        return read_attestation(object, request);
    return CC_FAIL(KIND_UNKNOWN, NULL);
}

CC_ERR sign_request_read(const struct eth_network *network,
                         struct jval body,
                         const struct eth_pubkey *pubkey,
                         struct sign_request *ret_request)
{
    enum eth_kind kind;
    struct jval object;
    if (jval_type(body) != JVAL_OBJECT)
        return CC_FAIL(FIELD_TYPE, "expected an object");
    CC_TRY(read_kind(body, &kind));
    struct sign_request request = {.pubkey = *pubkey, .kind = (uint32_t)kind};
    CC_TRY(read_fork_info(body, &request));
    CC_TRY(read_client_root(body, &request));
    CC_TRY(find_object(body, kind, &object));
    CC_TRY(read_object(network, object, &request));
    *ret_request = request;
    return CC_OK;
}

CC_ERR sign_request_parse(struct jdoc *doc,
                          const struct eth_network *network,
                          uint8_t *body,
                          size_t len,
                          const struct eth_pubkey *pubkey,
                          struct sign_request *ret_request)
{
    if (len > ENVELOPE_BODY_MAX)
        return CC_FAIL(BODY_TOO_LARGE, NULL);
    CC_TRY(jdoc_parse(doc, body, len));
    struct sign_request request;
    CC_TRY(sign_request_read(network, jdoc_root(doc), pubkey, &request));
    if (len > SIGN_BODY_MAX && request.kind != KIND_EXECUTION_PAYLOAD_ENVELOPE)
        return CC_FAIL(BODY_TOO_LARGE, NULL);
    *ret_request = request;
    return CC_OK;
}

CC_ERR identifier_parse(struct span text, struct eth_pubkey *ret_pubkey)
{
    struct eth_pubkey pubkey;
    cc_err err = hex_decode(text, pubkey.bytes, sizeof(pubkey.bytes));
    if (err.code)
        return CC_FAIL(IDENTIFIER, NULL);
    *ret_pubkey = pubkey;
    return CC_OK;
}
