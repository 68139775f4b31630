#include "eth/request_json.h"

#include "codec/hex.h"
#include "eth/containers.h"
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

static CC_ERR read_header(struct jval from, struct eth_block_header *ret_header)
{
    CC_TRY(field_u64(from, "slot", &ret_header->slot));
    CC_TRY(field_u64(from, "proposer_index", &ret_header->proposer_index));
    CC_TRY(field_root(from, "parent_root", &ret_header->parent_root));
    return field_root(from, "state_root", &ret_header->state_root);
}

/* Only Phase0 and Altair blocks are sent whole; a body with an execution payload must come as a header. */
static CC_ERR read_whole_block(const struct eth_network *network,
                               struct jval block,
                               struct eth_block_header *ret_header)
{
    static const char *const later[] = {"execution_payload", "execution_payload_header",
                                        "signed_execution_payload_bid"};
    struct jval body;
    struct jval value;
    CC_TRY(read_header(block, ret_header));
    CC_TRY(field_object(block, "body", &body));
    for (size_t i = 0; i < ARRAY_LEN(later); i++) {
        if (field_find(body, later[i], &value))
            return CC_FAIL(FIELD_MISSING, "block_header");
    }
    bool altair = field_find(body, "sync_aggregate", &value);
    return container_root(altair ? &type_block_body_altair : &type_block_body_phase0,
                          &network->preset, body, &ret_header->body_root);
}

static CC_ERR read_block_v2(const struct eth_network *network,
                            struct jval object,
                            struct eth_block_header *ret_header)
{
    struct jval block;
    struct span version;
    enum eth_fork_name fork;
    CC_TRY(field_text(object, "version", &version));
    if (field_find(object, "block_header", &block)) {
        CC_TRY(field_object(object, "block_header", &block));
        CC_TRY(read_header(block, ret_header));
        return field_root(block, "body_root", &ret_header->body_root);
    }
    CC_TRY(field_error(fork_name_parse((const char *)version.data, version.len, &fork), "version"));
    if (fork > FORK_ALTAIR)
        return CC_FAIL(FIELD_MISSING, "block_header");
    CC_TRY(field_object(object, "block", &block));
    return read_whole_block(network, block, ret_header);
}

static CC_ERR
read_block(const struct eth_network *network, struct jval object, struct sign_request *request)
{
    struct eth_block_header *header = &request->claim.block;
    if (request->kind == KIND_BLOCK)
        CC_TRY(read_whole_block(network, object, header));
    else
        CC_TRY(read_block_v2(network, object, header));
    request->epoch = network_epoch_of(network, header->slot);
    return CC_OK;
}

/* For a kind that can't be slashed for: which type its object has, and where the epoch of its domain stands. */
struct shape {
    const struct ssz_type *type; /* NULL: an aggregate, see aggregate_type() */
    const char *only;            /* the object's root is that of this member alone */
    const char *time_path[3];    /* to the member that is a slot, or an epoch */
    bool time_is_epoch;
    bool wrapped; /* may come as {version, data} */
};

/* clang-format off */
static const struct shape shapes[KIND_END] = {
    [KIND_RANDAO_REVEAL] = {
        .type = &type_u64, .only = "epoch", .time_path = {"epoch"}, .time_is_epoch = true},
    [KIND_AGGREGATION_SLOT] = {
        .type = &type_u64, .only = "slot", .time_path = {"slot"}},
    [KIND_AGGREGATE_AND_PROOF] = {
        .time_path = {"aggregate", "data", "slot"}, .wrapped = true},
    [KIND_AGGREGATE_AND_PROOF_V2] = {
        .time_path = {"aggregate", "data", "slot"}, .wrapped = true},
    [KIND_SYNC_COMMITTEE_MESSAGE] = {
        .type = &type_root, .only = "beacon_block_root", .time_path = {"slot"}},
    [KIND_SYNC_COMMITTEE_SELECTION_PROOF] = {
        .type = &type_sync_aggregator_selection_data, .time_path = {"slot"}},
    [KIND_SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF] = {
        .type = &type_contribution_and_proof, .time_path = {"contribution", "slot"}},
    [KIND_VALIDATOR_REGISTRATION] = {
        .type = &type_validator_registration},
    [KIND_DEPOSIT] = {
        .type = &type_deposit_message},
    [KIND_VOLUNTARY_EXIT] = {
        .type = &type_voluntary_exit, .time_path = {"epoch"}, .time_is_epoch = true},
    [KIND_EXECUTION_PAYLOAD_BID] = {
        .type = &type_execution_payload_bid, .time_path = {"slot"}, .wrapped = true},
    [KIND_EXECUTION_PAYLOAD_ENVELOPE] = {
        .type = &type_execution_payload_envelope, .time_path = {"payload", "slot_number"}, .wrapped = true},
    [KIND_PAYLOAD_ATTESTATION_MESSAGE] = {
        .type = &type_payload_attestation_data, .time_path = {"slot"}, .wrapped = true},
    [KIND_PROPOSER_PREFERENCES] = {
        .type = &type_proposer_preferences, .time_path = {"proposal_slot"}, .wrapped = true},
    [KIND_BUILDER_REQUEST_AUTH] = {
        .type = &type_request_auth, .wrapped = true},
};
/* clang-format on */

/* Takes {version, data} off; `ret_fork` is FORK_END where no version is named. BUILDER_REQUEST_AUTH has a member
 * `data` of its own, but that is a string.
 */
static CC_ERR unwrap(struct jval *object, enum eth_fork_name *ret_fork)
{
    struct jval data;
    struct jval named;
    struct span version;
    *ret_fork = FORK_END;
    if (!field_find(*object, "data", &data) || jval_type(data) != JVAL_OBJECT)
        return CC_OK;
    if (field_find(*object, "version", &named)) {
        CC_TRY(field_text(*object, "version", &version));
        CC_TRY(field_error(fork_name_parse((const char *)version.data, version.len, ret_fork),
                           "version"));
    }
    *object = data;
    return CC_OK;
}

/* Electra's aggregates have committee_bits. Gloas's look the same: the version tells them apart, and the schedule where
 * no version is named.
 */
static CC_ERR aggregate_type(const struct eth_network *network,
                             struct jval object,
                             enum eth_fork_name named,
                             const struct ssz_type **ret_type)
{
    struct jval aggregate;
    struct jval data;
    struct jval bits;
    uint64_t slot;
    CC_TRY(field_object(object, "aggregate", &aggregate));
    CC_TRY(field_object(aggregate, "data", &data));
    CC_TRY(field_u64(data, "slot", &slot));
    if (named == FORK_END)
        named = network_fork_at(network, network_epoch_of(network, slot));
    if (!field_find(aggregate, "committee_bits", &bits))
        *ret_type = &type_aggregate_and_proof_phase0;
    else
        *ret_type = named >= FORK_GLOAS ? &type_aggregate_and_proof_gloas
                                        : &type_aggregate_and_proof_electra;
    return CC_OK;
}

static CC_ERR read_epoch(const struct eth_network *network,
                         const struct shape *shape,
                         struct jval object,
                         struct sign_request *request)
{
    uint64_t time;
    size_t last = 0;
    if (!shape->time_path[0])
        return CC_OK;
    for (; last + 1 < ARRAY_LEN(shape->time_path) && shape->time_path[last + 1]; last++)
        CC_TRY(field_object(object, shape->time_path[last], &object));
    CC_TRY(field_u64(object, shape->time_path[last], &time));
    request->epoch = shape->time_is_epoch ? time : network_epoch_of(network, time);
    return CC_OK;
}

/* Who gets the fees of a block, for policies; read from what the root is made of. */
static CC_ERR read_fees(struct jval object, const char *gas_limit, struct sign_request *request)
{
    CC_TRY(field_bytes(object, "fee_recipient", request->claim.fees.fee_recipient.bytes, 20));
    return field_u64(object, gas_limit, &request->claim.fees.gas_limit);
}

static CC_ERR read_registration(struct jval object, struct sign_request *request)
{
    CC_TRY(read_fees(object, "gas_limit", request));
    CC_TRY(field_u64(object, "timestamp", &request->claim.fees.timestamp));
    return field_bytes(object, "pubkey", request->claim.fees.pubkey.bytes, 48);
}

/* What the core or a policy wants to know beside the root. */
static CC_ERR read_extras(struct jval object, struct sign_request *request)
{
    if (request->kind == KIND_DEPOSIT)
        return field_bytes(object, "genesis_fork_version", request->claim.deposit_version.bytes, 4);
    if (request->kind == KIND_VALIDATOR_REGISTRATION)
        return read_registration(object, request);
    if (request->kind == KIND_PROPOSER_PREFERENCES)
        return read_fees(object, "target_gas_limit", request);
    if (request->kind == KIND_EXECUTION_PAYLOAD_BID)
        return read_fees(object, "gas_limit", request);
    if (request->kind != KIND_EXECUTION_PAYLOAD_ENVELOPE)
        return CC_OK;
    CC_TRY(field_object(object, "payload", &object));
    return read_fees(object, "gas_limit", request);
}

static CC_ERR
read_plain(const struct eth_network *network, struct jval object, struct sign_request *request)
{
    const struct shape *shape = &shapes[request->kind];
    const struct ssz_type *type = shape->type;
    enum eth_fork_name named = FORK_END;
    if (shape->wrapped)
        CC_TRY(unwrap(&object, &named));
    if (!type)
        CC_TRY(aggregate_type(network, object, named, &type));
    else if (named != FORK_END && named != FORK_GLOAS)
        return CC_FAIL(VERSION_UNKNOWN, "version");
    struct jval whole = object;
    if (shape->only)
        CC_TRY(field_get(object, shape->only, &whole));
    cc_err err = container_root(type, &network->preset, whole, &request->object_root);
    CC_TRY(shape->only ? field_error(err, shape->only) : err);
    CC_TRY(read_extras(object, request));
    return read_epoch(network, shape, object, request);
}

static CC_ERR
read_object(const struct eth_network *network, struct jval object, struct sign_request *request)
{
    switch (kind_info((enum eth_kind)request->kind)->slashable) {
    case SLASHABLE_ATTESTATION:
        return read_attestation(object, request);
    case SLASHABLE_BLOCK:
        return read_block(network, object, request);
    case SLASHABLE_NOTHING:
        break;
    }
    return read_plain(network, object, request);
}

static cc_err read_request(const struct eth_network *network,
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
    CC_TRY(read_request(network, jdoc_root(doc), pubkey, &request));
    if (len > SIGN_BODY_MAX && request.kind != KIND_EXECUTION_PAYLOAD_ENVELOPE)
        return CC_FAIL(BODY_TOO_LARGE, NULL);
    *ret_request = request;
    return CC_OK;
}

CC_ERR sign_batch_parse(struct jdoc *doc, uint8_t *body, size_t len, uint32_t *ret_count)
{
    if (len > BATCH_BODY_MAX)
        return CC_FAIL(BODY_TOO_LARGE, NULL);
    CC_TRY(jdoc_parse(doc, body, len));
    struct jval items = jdoc_root(doc);
    if (jval_type(items) != JVAL_ARRAY)
        return CC_FAIL(FIELD_TYPE, "expected an array of requests");
    if (jval_count(items) > BATCH_ITEMS_MAX)
        return CC_FAIL(BODY_TOO_LARGE, "more than 2048 requests");
    *ret_count = jval_count(items);
    return CC_OK;
}

CC_ERR sign_batch_kind(struct jval item, enum eth_kind *ret_kind)
{
    if (jval_type(item) != JVAL_OBJECT)
        return CC_FAIL(FIELD_TYPE, "expected an object");
    return read_kind(item, ret_kind);
}

CC_ERR sign_batch_item(const struct eth_network *network,
                       struct jval item,
                       struct sign_request *ret_request)
{
    struct eth_pubkey pubkey;
    struct span identifier;
    if (jval_type(item) != JVAL_OBJECT)
        return CC_FAIL(FIELD_TYPE, "expected an object");
    CC_TRY(field_text(item, "identifier", &identifier));
    CC_TRY(identifier_parse(identifier, &pubkey));
    return read_request(network, item, &pubkey, ret_request);
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
