/* The batch signer under valgrind's memcheck, with secret keys that count as undefined memory: a jump or an address that
 * depends on one is an error. With the argument `leak` there is such a jump, which shows that errors are found.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "crypto/batch_kernel.h"

enum {
    KEYS = 20
};

static struct bls_secret secrets[KEYS];
static uint8_t publics[KEYS][BLS_PUBLIC_SIZE];
static uint8_t roots[KEYS][BLS_ROOT_SIZE];
static uint8_t signatures[KEYS][BLS_SIGNATURE_SIZE];
static atomic_bool kept[KEYS];

/* Keys 1 and 2, whose digits are nearly all zero, and others. */
static void make_keys(void)
{
    for (size_t i = 0; i < KEYS; i++) {
        uint8_t bytes[BLS_SECRET_SIZE] = {0};
        for (size_t b = 1; i > 1 && b < sizeof bytes; b++)
            bytes[b] = (uint8_t)(91 * i + 57 * b);
        bytes[BLS_SECRET_SIZE - 1] |= (uint8_t)(i == 1 ? 2 : 1);
        if (bls_secret_parse(bytes, &secrets[i]).code)
            abort();
        bls_secret_public(&secrets[i], publics[i]);
    }
}

/* Signs one batch, of one root or of many; true when every signature is blst's. */
static bool sign(struct batch_work *work, bool one_root)
{
    struct batch_item items[KEYS];
    for (size_t i = 0; i < KEYS; i++) {
        roots[i][0] = (uint8_t)(one_root ? 1 : i);
        items[i] = (struct batch_item){.secret = &secrets[i],
                                       .root = roots[i],
                                       .slot_public = publics[i],
                                       .claim_public = publics[i],
                                       .keep_on_blst = &kept[i],
                                       .ret_signature = signatures[i]};
    }
    (void)VALGRIND_MAKE_MEM_UNDEFINED(secrets, sizeof secrets);
    batch_sign(work, items, KEYS);
    (void)VALGRIND_MAKE_MEM_DEFINED(secrets, sizeof secrets);
    for (size_t i = 0; i < KEYS; i++) {
        struct bls_hash hash;
        uint8_t want[BLS_SIGNATURE_SIZE];
        bls_hash(roots[i], &hash);
        bls_sign(&secrets[i], &hash, want);
        if (items[i].error || kept[i] || memcmp(want, signatures[i], sizeof want) != 0)
            return false;
    }
    return true;
}

static bool sign_with(enum batch_engine engine)
{
    struct batch_signer *signer = NULL;
    struct batch_work *work = NULL;
    if (batch_signer_new(engine, &signer).code || batch_work_new(signer, &work).code)
        return false;
    const bool right =
        batch_signer_engine(signer) == engine && sign(work, true) && sign(work, false);
    batch_work_free(work);
    batch_signer_free(signer);
    return right;
}

int main(int argc, char **argv)
{
    bool right = true;
    make_keys();
    if (argc > 1 && strcmp(argv[1], "leak") == 0) {
        (void)VALGRIND_MAKE_MEM_UNDEFINED(secrets, sizeof secrets);
        return secrets[0].scalar[0] & 2 ? puts("two") < 0 : 0;
    }
    right &= sign_with(BATCH_BLST);
    for (const struct batch_kernel *const *k = batch_kernels; *k; k++)
        right &= !(*k)->supported() || sign_with((*k)->engine);
    return right ? 0 : 2;
}
