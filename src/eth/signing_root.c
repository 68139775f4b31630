#include "eth/signing_root.h"

#include "eth/ssz.h"

static struct eth_root checkpoint_root(const struct eth_checkpoint *checkpoint)
{
    struct eth_root epoch = ssz_u64(checkpoint->epoch);
    return ssz_pair(&epoch, &checkpoint->root);
}

/* Both slashable objects have five fields: a tree of depth 3 whose last quarter is zeros. */
static struct eth_root five_fields_root(const struct eth_root fields[static 5])
{
    struct ssz_tree tree;
    ssz_tree_init(&tree);
    for (int i = 0; i < 5; i++)
        ssz_tree_add(&tree, &fields[i]);
    return ssz_tree_root(&tree, 3);
}

struct eth_root attestation_data_root(const struct eth_attestation_data *data)
{
    const struct eth_root fields[5] = {ssz_u64(data->slot), ssz_u64(data->index),
                                       data->beacon_block_root, checkpoint_root(&data->source),
                                       checkpoint_root(&data->target)};
    return five_fields_root(fields);
}

struct eth_root block_header_root(const struct eth_block_header *header)
{
    const struct eth_root fields[5] = {ssz_u64(header->slot), ssz_u64(header->proposer_index),
                                       header->parent_root, header->state_root, header->body_root};
    return five_fields_root(fields);
}

struct eth_root registration_root(const struct sign_request *request)
{
    const uint8_t *pubkey = request->claim.fees.pubkey.bytes;
    struct eth_root key = ssz_chunk(span_of(pubkey, 32));
    struct eth_root rest = ssz_chunk(span_of(pubkey + 32, 16));
    struct eth_root fee_recipient =
        ssz_chunk(span_of(request->claim.fees.fee_recipient.bytes, sizeof(struct eth_address)));
    struct eth_root gas_limit = ssz_u64(request->claim.fees.gas_limit);
    struct eth_root timestamp = ssz_u64(request->claim.fees.timestamp);
    key = ssz_pair(&key, &rest);
    struct eth_root left = ssz_pair(&fee_recipient, &gas_limit);
    struct eth_root right = ssz_pair(&timestamp, &key);
    return ssz_pair(&left, &right);
}

void domain_compute(const uint8_t type[static 4],
                    const struct eth_version *version,
                    const struct eth_root *genesis_validators_root,
                    struct eth_domain *ret_domain)
{
    struct eth_root chunk = ssz_chunk(span_of(version->bytes, sizeof(version->bytes)));
    struct eth_root fork_data = ssz_pair(&chunk, genesis_validators_root);
    memcpy(ret_domain->bytes, type, 4);
    memcpy(ret_domain->bytes + 4, fork_data.bytes, 28);
}

struct signing_root signing_root_of(const struct eth_root *object_root,
                                    const struct eth_domain *domain)
{
    struct eth_root second;
    struct signing_root root;
    memcpy(second.bytes, domain->bytes, sizeof(second.bytes));
    second = ssz_pair(object_root, &second);
    memcpy(root.bytes, second.bytes, sizeof(root.bytes));
    return root;
}

static struct eth_version fork_version(const struct sign_request *request)
{
    const struct eth_fork *fork = &request->fork_info.fork;
    return request->epoch >= fork->epoch ? fork->current_version : fork->previous_version;
}

/* EIP-7044: from Deneb on an exit is signed under Capella for ever. The fork that decides is the one at
 * fork_info.fork.epoch, not at the exit's epoch: the client says under which fork it signs.
 */
static struct eth_version exit_version(const struct eth_network *network,
                                       const struct sign_request *request)
{
    if (network_fork_at(network, request->fork_info.fork.epoch) >= FORK_DENEB)
        return network->forks[FORK_CAPELLA].version;
    return fork_version(request);
}

static CC_ERR version_find(const struct eth_network *network,
                           const struct sign_request *request,
                           struct signing_parts *parts)
{
    enum kind_version_from from = kind_info((enum eth_kind)request->kind)->version_from;
    if ((from == VERSION_FORK || from == VERSION_EXIT) && !(request->flags & SIGN_HAS_FORK_INFO))
        return CC_FAIL(FIELD_MISSING, "fork_info");
    switch (from) {
    case VERSION_FORK:
        parts->version = fork_version(request);
        parts->genesis_validators_root = request->fork_info.genesis_validators_root;
        break;
    case VERSION_EXIT:
        parts->version = exit_version(network, request);
        parts->genesis_validators_root = request->fork_info.genesis_validators_root;
        break;
    case VERSION_GENESIS:
        parts->version = network->forks[FORK_PHASE0].version;
        break;
    case VERSION_DEPOSIT:
        parts->version = request->claim.deposit_version;
        break;
    }
    return CC_OK;
}

static struct eth_root object_root(const struct kind_info *info, const struct sign_request *request)
{
    switch (info->slashable) {
    case SLASHABLE_ATTESTATION:
        return attestation_data_root(&request->claim.attestation);
    case SLASHABLE_BLOCK:
        return block_header_root(&request->claim.block);
    case SLASHABLE_NOTHING:
        break;
    }
    return request->object_root;
}

CC_ERR signing_root_compute(const struct eth_network *network,
                            const struct sign_request *request,
                            struct signing_parts *ret_parts,
                            struct signing_root *ret_root)
{
    if (request->kind >= KIND_END)
        return CC_FAIL(KIND_UNKNOWN, "kind out of the table");
    const struct kind_info *info = kind_info((enum eth_kind)request->kind);
    struct signing_parts parts = {0};
    CC_TRY(version_find(network, request, &parts));
    parts.object_root = object_root(info, request);
    domain_compute(info->domain_type, &parts.version, &parts.genesis_validators_root,
                   &parts.domain);
    struct signing_root root = signing_root_of(&parts.object_root, &parts.domain);
    *ret_parts = parts;
    *ret_root = root;
    if ((request->flags & SIGN_HAS_CLIENT_ROOT) &&
        !span_equal(span_of(root.bytes, sizeof(root.bytes)),
                    span_of(request->client_root.bytes, sizeof(request->client_root.bytes))))
        return CC_FAIL(ROOT_MISMATCH, NULL);
    return CC_OK;
}
