#include "cli/signed_headers.h"

#include "base/clock.h"

#include "codec/hex.h"
#include "crypto/random.h"

CC_SENSITIVE CC_ERR signed_headers_append(const uint8_t seed[static ED25519_SEED_SIZE],
                                          const struct signed_request *signed_request,
                                          struct buf *head)
{
    struct manager_signed headers;
    uint8_t chance[12];
    char nonce[2 * sizeof chance + 1] = "";
    const struct manager_request request = {.method = signed_request->method,
                                            .path = signed_request->path,
                                            .body = signed_request->body};
    CC_TRY(random_bytes(chance, sizeof chance));
    hex_encode(chance, sizeof chance, nonce);
    CC_TRY(manager_sign(seed, &request, clock_wall_ms() / 1000, nonce, &headers));
    return buf_printf(head, "Signature-Input: %s\r\nSignature: %s\r\nContent-Digest: %s\r\n",
                      headers.input, headers.signature, headers.digest);
}
