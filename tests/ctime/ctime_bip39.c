/* Words of a mnemonic under valgrind's memcheck, with entropy that counts as undefined memory: a jump or an address that depends on it,
 * but for the lengths of words, is an error. With the argument `leak` there is such a jump, which shows that errors are found.
 */
#include <stdio.h>
#include <string.h>
#include <valgrind/memcheck.h>

#include "crypto/bip39.h"

int main(int argc, char **argv)
{
    uint8_t entropy[BIP39_ENTROPY_SIZE];
    char text[BIP39_TEXT_MAX];
    size_t len = 0;
    for (size_t i = 0; i < sizeof entropy; i++)
        entropy[i] = (uint8_t)(37 * i + 11);
    (void)VALGRIND_MAKE_MEM_UNDEFINED(entropy, sizeof entropy);
    bip39_words(entropy, text, &len);
    if (argc > 1 && strcmp(argv[1], "leak") == 0 && text[0] > 'm')
        (void)puts("late in the alphabet");
    (void)VALGRIND_MAKE_MEM_DEFINED(text, sizeof text);
    (void)printf("%.*s\n", (int)len, text);
    return len >= 24 * 4 - 1 && len < BIP39_TEXT_MAX ? 0 : 1;
}
