#include "seal/factor_passphrase.h"

#include "crypto/random.h"
#include "wire/seal.h"

/* Without what is taken for another when it is written down: 0 and o, i and l. */
static const char alphabet[32 + 1] = "abcdefghjkmnpqrstuvwxyz123456789";

static const char *const rows[] = {"qwertyuiop", "asdfghjkl", "zxcvbnm", "1234567890"};

enum {
    GROUPS = 5,
    GROUP = 4,
    TRACE = 3, /* as many characters that stood there before foretell the last of them */
    /* Estimates of a character, in tenths of a bit. */
    TENTHS_IN_WORD = 24,
    TENTHS_IN_NUMBER = 20, /* most are dates */
    TENTHS_IN_SIGNS = 20,
    TENTHS_CHANGE = 45, /* another kind than the one before */
    TENTHS_BLANK = 5,   /* between words */
    TENTHS_FORETOLD = 5
};

CC_SENSITIVE CC_ERR passphrase_make(char ret_text[static PASSPHRASE_MADE_LEN + 1])
{
    WIPED32 struct secret32 random;
    CC_TRY(random_bytes(random.bytes, GROUPS * GROUP));
    size_t at = 0;
    for (size_t i = 0; i < GROUPS * GROUP; i++) {
        if (i && i % GROUP == 0)
            ret_text[at++] = '-';
        ret_text[at++] = alphabet[random.bytes[i] & 31];
    }
    ret_text[at] = 0;
    return CC_OK;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

enum kind {
    KIND_NONE,
    KIND_LETTER,
    KIND_DIGIT,
    KIND_BLANK,
    KIND_SIGN
};

static enum kind kind_of(uint8_t c)
{
    const uint8_t small = lower(c);
    if (small >= 'a' && small <= 'z')
        return KIND_LETTER;
    if (c >= '0' && c <= '9')
        return KIND_DIGIT;
    return c == ' ' || c == '-' || c == '_' || c == '.' || c == ',' ? KIND_BLANK : KIND_SIGN;
}

static bool next_on_keyboard(uint8_t a, uint8_t b)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *at = strchr(rows[i], a);
        if (at && (at[1] == b || (at > rows[i] && at[-1] == b)))
            return true;
    }
    return false;
}

/* Do these TRACE characters stand somewhere before? */
static bool stood_before(struct span text, size_t end)
{
    for (size_t i = 0; end >= TRACE && i + TRACE < end; i++) {
        size_t same = 0;
        while (same < TRACE && lower(text.data[i + same]) == lower(text.data[end - TRACE + same]))
            same++;
        if (same == TRACE)
            return true;
    }
    return false;
}

static bool is_foretold(struct span text, size_t i)
{
    if (i == 0)
        return false;
    const uint8_t before = lower(text.data[i - 1]), here = lower(text.data[i]);
    return before == here || before + 1 == here || before == here + 1 ||
           next_on_keyboard(before, here) || stood_before(text, i + 1);
}

static uint32_t tenths_of(struct span text, size_t i)
{
    const enum kind here = kind_of(text.data[i]);
    const enum kind before = i ? kind_of(text.data[i - 1]) : KIND_NONE;
    if (is_foretold(text, i))
        return TENTHS_FORETOLD;
    if (here == KIND_BLANK)
        return TENTHS_BLANK;
    if (here != before && before != KIND_BLANK && before != KIND_NONE)
        return TENTHS_CHANGE;
    switch (here) {
    case KIND_LETTER:
        return TENTHS_IN_WORD;
    case KIND_DIGIT:
        return TENTHS_IN_NUMBER;
    case KIND_NONE:
    case KIND_BLANK:
    case KIND_SIGN:
        break;
    }
    return TENTHS_IN_SIGNS;
}

uint32_t passphrase_bits(struct span text)
{
    uint32_t tenths = 0;
    for (size_t i = 0; i < text.len && i < FACTOR_ANSWER_MAX; i++)
        tenths += tenths_of(text, i);
    return tenths / 10;
}

CC_ERR passphrase_check(struct span text, uint32_t mode)
{
    const uint32_t bits = passphrase_bits(text);
    if (text.len > FACTOR_ANSWER_MAX)
        return CC_FAIL(FACTOR, "a passphrase of more than 256 characters");
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < 0x20 || text.data[i] > 0x7e)
            return CC_FAIL(
                FACTOR,
                "a passphrase is of printable ASCII characters: others are not typed alike everywhere");
    if (bits < PASSPHRASE_BITS_MIN)
        return CC_FAIL(
            FACTOR,
            "the passphrase is too easy to guess: seven words of a list, or let this program make one");
    if (mode != SEAL_QUORUM && bits < PASSPHRASE_BITS_MIN_ALONE)
        return CC_FAIL(
            FACTOR,
            "the passphrase is too easy to guess where no KMS key lies over its share: nine words of a list, or let this program make one");
    return CC_OK;
}

static cc_err answer(void *context,
                     const uint8_t challenge[static FACTOR_CHALLENGE_SIZE],
                     struct factor_answer *ret_answer)
{
    const struct span *text = context;
    (void)challenge;
    if (text->len == 0 || text->len > sizeof ret_answer->bytes)
        return CC_FAIL(FACTOR, "a passphrase has 1 to 256 characters");
    memcpy(ret_answer->bytes, text->data, text->len);
    ret_answer->len = text->len;
    return CC_OK;
}

void factor_passphrase(struct factor *ret_factor, struct span *text)
{
    *ret_factor = (struct factor){text, answer};
}
