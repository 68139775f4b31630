/* What is in a sealed box, from whoever knows the vault's public key: it opens, or is refused and leaves nothing; and what
 * opens is sealed again as it was.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "crypto/sealed_box.h"
#include "seal/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t box_public[32], box_secret[32];
    static bool made;
    const uint8_t digest[32] = {0};
    struct seal_box box, again;
    struct seal_envelope envelope, second;
    if (!made)
        made = !sealed_box_keys(box_public, box_secret).code;
    if (size > sizeof box.bytes - SEALED_BOX_OVERHEAD ||
        sealed_box_seal(box_public, span_of(data, size), box.bytes).code)
        return 0;
    box.len = (uint32_t)size + SEALED_BOX_OVERHEAD;
    if (envelope_open(box_public, box_secret, span_of(box.bytes, box.len), &envelope).code)
        return 0;
    cc_assert(envelope.credential_len == 32 || envelope.credential_len == 33);
    cc_assert(envelope.next.factor <= SEAL_FACTOR_FIDO2 && envelope.next.hint_len <= SEAL_HINT_MAX);
    struct seal_challenge challenge = {.name = "a"};
    memcpy(challenge.nonce, envelope.nonce, sizeof challenge.nonce);
    memcpy(challenge.box_key, box_public, sizeof box_public);
    struct seal_envelope copy = envelope;
    cc_assert(!envelope_seal(&copy, &challenge, digest, &again).code && again.len == box.len);
    cc_assert(
        !envelope_open(box_public, box_secret, span_of(again.bytes, again.len), &second).code);
    memcpy(second.binding, envelope.binding, sizeof second.binding);
    cc_assert(span_equal(span_of(&second, sizeof second), span_of(&envelope, sizeof envelope)));
    return 0;
}
