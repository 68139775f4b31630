/* Verifies signatures with blst itself, and nothing of the program: lines of "public key, signing root, signature" in hex
 * on standard input; those that are wrong come back. Exit code 1: there was one.
 */
#include <blst.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
    KEY = 48,
    ROOT = 32,
    SIGNATURE = 96
};

static const char dst[] = "BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_";

static bool from_hex(const char *text, uint8_t *ret_bytes, size_t n)
{
    if (strlen(text) != 2 * n)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned byte = 0;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            return false;
        ret_bytes[i] = (uint8_t)byte;
    }
    return true;
}

static bool is_right(const char *key_text, const char *root_text, const char *signature_text)
{
    uint8_t key[KEY], root[ROOT], signature[SIGNATURE];
    blst_p1_affine pk;
    blst_p2_affine sig;
    if (!from_hex(key_text, key, KEY) || !from_hex(root_text, root, ROOT) ||
        !from_hex(signature_text, signature, SIGNATURE))
        return false;
    if (blst_p1_uncompress(&pk, key) != BLST_SUCCESS || !blst_p1_affine_in_g1(&pk))
        return false;
    if (blst_p2_uncompress(&sig, signature) != BLST_SUCCESS || !blst_p2_affine_in_g2(&sig))
        return false;
    return blst_core_verify_pk_in_g1(&pk, &sig, true, root, ROOT, (const byte *)dst, sizeof dst - 1,
                                     NULL, 0) == BLST_SUCCESS;
}

int main(void)
{
    char line[512], key[128], root[128], signature[256];
    int wrong = 0;
    while (fgets(line, sizeof line, stdin)) {
        bool whole = sscanf(line, "%127s %127s %255s", key, root, signature) == 3;
        if (whole && is_right(key, root, signature))
            continue;
        wrong++;
        (void)fputs(line, stdout);
    }
    return wrong ? 1 : 0;
}
