#include "crypto/eip2333.h"

enum {
    SEED_MIN = 32,
    PURPOSE = 12381,
    COIN_TYPE = 3600
};

CC_SENSITIVE CC_ERR eip2333_master(struct span seed, struct bls_secret *ret_master)
{
    if (seed.len < SEED_MIN)
        return CC_FAIL(NUMBER_RANGE, "a seed has at least 32 bytes");
    bls_derive_master(seed, ret_master);
    return CC_OK;
}

CC_SENSITIVE void
eip2333_child(const struct bls_secret *parent, uint32_t index, struct bls_secret *ret_child)
{
    bls_derive_child(parent, index, ret_child);
}

CC_SENSITIVE CC_ERR eip2334_validators(struct span seed, struct bls_secret *ret_node)
{
    CC_TRY(eip2333_master(seed, ret_node));
    eip2333_child(ret_node, PURPOSE, ret_node);
    eip2333_child(ret_node, COIN_TYPE, ret_node);
    return CC_OK;
}

CC_SENSITIVE void
eip2334_signing_key(const struct bls_secret *validators, uint32_t index, struct bls_secret *ret_key)
{
    eip2333_child(validators, index, ret_key); /* the withdrawal key would be its child 0 */
    eip2333_child(ret_key, 0, ret_key);
    eip2333_child(ret_key, 0, ret_key);
}
