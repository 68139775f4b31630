#include "crypto/sha256.h"

#include <blst.h>

/* blst's, not libcrypto's: its one-shot call costs a Merkle node two compressions and nothing else, where an EVP digest
 * spends as much again on its context.
 */
void sha256(struct span data, uint8_t ret_digest[static SHA256_SIZE])
{
    static const uint8_t nothing;
    blst_sha256(ret_digest, data.len ? data.data : &nothing, data.len);
}

void sha256_pair(const uint8_t pair[static 2 * SHA256_SIZE], uint8_t ret_parent[static SHA256_SIZE])
{
    blst_sha256(ret_parent, pair, 2 * SHA256_SIZE);
}
