/* Shares under valgrind's memcheck, with secret, coefficients and shares that count as undefined memory: a jump or an address that depends
 * on one is an error (P22). With the argument `leak` there is such a jump, which shows that errors are found.
 */
#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "crypto/shamir.h"

enum {
    COUNT = 5,
    THRESHOLD = 3
};

static struct secret32 secret;
static struct secret32 coefficients[THRESHOLD - 1];
static struct shamir_share shares[COUNT];
static struct shamir_share split[COUNT];
static struct secret32 back;

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof secret.bytes; i++) {
        secret.bytes[i] = (uint8_t)(7 * i);
        coefficients[0].bytes[i] = (uint8_t)(91 * i + 3);
        coefficients[1].bytes[i] = (uint8_t)(57 * i);
    }
    (void)VALGRIND_MAKE_MEM_UNDEFINED(&secret, sizeof secret);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(coefficients, sizeof coefficients);
    if (argc > 1 && strcmp(argv[1], "leak") == 0 && secret.bytes[3] == 21)
        (void)puts("leak");
    for (uint32_t i = 0; i < COUNT; i++)
        shamir_share_at(secret.bytes, coefficients, THRESHOLD - 1, (uint8_t)(i + 1), &shares[i]);
    if (shamir_split(secret.bytes, THRESHOLD, COUNT, split).code ||
        shamir_combine(shares + 1, THRESHOLD, back.bytes).code)
        return 1;
    (void)VALGRIND_MAKE_MEM_DEFINED(&secret, sizeof secret);
    (void)VALGRIND_MAKE_MEM_DEFINED(&back, sizeof back);
    if (memcmp(&back, &secret, sizeof back) != 0 ||
        shamir_combine(split, THRESHOLD, back.bytes).code)
        return 1;
    (void)VALGRIND_MAKE_MEM_DEFINED(&back, sizeof back);
    return memcmp(&back, &secret, sizeof back) != 0;
}
