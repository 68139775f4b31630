#include "eth/deposit.h"

#include <string.h>

#include "base/num.h"

#include "codec/hex.h"
#include "crypto/sha256.h"
#include "eth/signing_root.h"

static struct eth_root pair(const void *left, const void *right)
{
    struct eth_root root;
    uint8_t both[64];
    memcpy(both, left, 32);
    memcpy(both + 32, right, 32);
    sha256_pair(both, root.bytes);
    return root;
}

/* hash_tree_root of a container whose first fields these are: the left half of both kinds. */
static struct eth_root key_and_credentials(const struct deposit *deposit)
{
    uint8_t chunks[64] = {0};
    struct eth_root key;
    memcpy(chunks, deposit->pubkey.bytes, sizeof deposit->pubkey.bytes);
    sha256_pair(chunks, key.bytes);
    return pair(&key, &deposit->withdrawal_credentials);
}

static struct eth_root amount_leaf(uint64_t amount)
{
    struct eth_root leaf = {{0}};
    u64_store_le(leaf.bytes, amount);
    return leaf;
}

struct eth_root deposit_credentials(enum deposit_withdrawal kind, const struct eth_address *address)
{
    struct eth_root credentials = {{(uint8_t)kind}};
    memcpy(credentials.bytes + 12, address->bytes, sizeof address->bytes);
    return credentials;
}

CC_ERR deposit_check(const struct eth_root *withdrawal_credentials, uint64_t amount)
{
    static const uint8_t zeros[20];
    const uint8_t *bytes = withdrawal_credentials->bytes;
    const uint8_t kind = bytes[0];
    if (kind != DEPOSIT_TO_ADDRESS && kind != DEPOSIT_COMPOUNDING)
        return CC_FAIL(MALFORMED, "withdrawal credentials begin with 0x01 or 0x02");
    if (memcmp(bytes + 1, zeros, 11) != 0)
        return CC_FAIL(MALFORMED,
                       "eleven zeros stand before the address of withdrawal credentials");
    if (memcmp(bytes + 12, zeros, sizeof zeros) == 0)
        return CC_FAIL(MALFORMED, "nobody has the address zero");
    if (amount < DEPOSIT_GWEI_MIN)
        return CC_FAIL(NUMBER_RANGE, "a deposit is at least one ether, in gwei");
    if (amount > (kind == DEPOSIT_COMPOUNDING ? DEPOSIT_GWEI_MAX : DEPOSIT_GWEI_DEFAULT))
        return CC_FAIL(NUMBER_RANGE, "more than 32 ether, or 2048 where it compounds");
    return CC_OK;
}

struct eth_root deposit_message_root(const struct deposit *deposit)
{
    static const struct eth_root zero;
    const struct eth_root left = key_and_credentials(deposit);
    const struct eth_root amount = amount_leaf(deposit->amount);
    const struct eth_root right = pair(&amount, &zero);
    return pair(&left, &right);
}

struct eth_root deposit_data_root(const struct deposit *deposit,
                                  const struct eth_signature *signature)
{
    static const struct eth_root zero;
    const struct eth_root left = key_and_credentials(deposit);
    const struct eth_root amount = amount_leaf(deposit->amount);
    const struct eth_root first = pair(signature->bytes, signature->bytes + 32);
    const struct eth_root second = pair(signature->bytes + 64, &zero);
    const struct eth_root whole = pair(&first, &second);
    const struct eth_root right = pair(&amount, &whole);
    return pair(&left, &right);
}

struct signing_root deposit_signing_root(const struct deposit *deposit,
                                         const struct eth_version *genesis_fork_version)
{
    static const uint8_t domain_deposit[4] = {3};
    static const struct eth_root no_root;
    struct eth_domain domain;
    const struct eth_root root = deposit_message_root(deposit);
    domain_compute(domain_deposit, genesis_fork_version, &no_root, &domain);
    return signing_root_of(&root, &domain);
}

static cc_err append_bytes(struct buf *out, const char *name, const void *bytes, size_t len)
{
    uint8_t *at;
    CC_TRY(buf_printf(out, "\"%s\":\"", name));
    CC_TRY(buf_grow(out, 2 * len, &at));
    hex_encode(bytes, len, (char *)at);
    return buf_append_str(out, "\",");
}

CC_ERR deposit_append_json(const struct deposit *deposit,
                           const struct eth_signature *signature,
                           const struct eth_version *genesis_fork_version,
                           const char *network,
                           struct buf *out)
{
    const struct eth_root message_root = deposit_message_root(deposit);
    const struct eth_root data_root = deposit_data_root(deposit, signature);
    CC_TRY(buf_append_str(out, "{"));
    CC_TRY(append_bytes(out, "pubkey", &deposit->pubkey, sizeof deposit->pubkey));
    CC_TRY(append_bytes(out, "withdrawal_credentials", &deposit->withdrawal_credentials,
                        sizeof deposit->withdrawal_credentials));
    CC_TRY(buf_printf(out, "\"amount\":%llu,", (unsigned long long)deposit->amount));
    CC_TRY(append_bytes(out, "signature", signature, sizeof *signature));
    CC_TRY(append_bytes(out, "deposit_message_root", &message_root, sizeof message_root));
    CC_TRY(append_bytes(out, "deposit_data_root", &data_root, sizeof data_root));
    CC_TRY(append_bytes(out, "fork_version", genesis_fork_version, sizeof *genesis_fork_version));
    return buf_printf(out, "\"network_name\":\"%s\",\"deposit_cli_version\":\"2.7.0\"}", network);
}
