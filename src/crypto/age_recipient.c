#include <sodium.h>

#include "base/num.h"

#include "codec/base64.h"
#include "crypto/age.h"

/* --- bech32 (BIP-173) ----------------------------------------------------------------------------------------- */

static const char digits[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
static const char prefix[] = "age1";

enum {
    PREFIX_LEN = 4,
    DATA_DIGITS = 52, /* 256 bits, and four that are zero */
    CHECK_DIGITS = 6,
    TEXT_LEN = PREFIX_LEN + DATA_DIGITS + CHECK_DIGITS
};

static uint32_t polymod_step(uint32_t check, uint32_t value)
{
    static const uint32_t generator[5] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd,
                                          0x2a1462b3};
    uint32_t top = check >> 25;
    check = (check & 0x1ffffff) << 5 ^ value;
    for (unsigned i = 0; i < 5; i++)
        if (top >> i & 1)
            check ^= generator[i];
    return check;
}

/* Of the human-readable part "age". */
static uint32_t polymod_begin(void)
{
    uint32_t check = 1;
    for (size_t i = 0; i < PREFIX_LEN - 1; i++)
        check = polymod_step(check, (uint32_t)prefix[i] >> 5);
    check = polymod_step(check, 0);
    for (size_t i = 0; i < PREFIX_LEN - 1; i++)
        check = polymod_step(check, (uint32_t)prefix[i] & 31);
    return check;
}

static CC_ERR parse_x25519(struct span text, uint8_t ret_key[static AGE_KEY_SIZE])
{
    uint32_t check = polymod_begin();
    uint32_t word = 0;
    unsigned bits = 0;
    size_t len = 0;
    if (text.len != TEXT_LEN)
        return CC_FAIL(MALFORMED, "an age recipient has 62 characters");
    for (size_t i = PREFIX_LEN; i < TEXT_LEN; i++) {
        const char *at = text.data[i] ? strchr(digits, text.data[i]) : NULL;
        if (!at)
            return CC_FAIL(MALFORMED, "a character that no age recipient has");
        uint32_t value = (uint32_t)(at - digits);
        check = polymod_step(check, value);
        if (i >= PREFIX_LEN + DATA_DIGITS)
            continue;
        word = word << 5 | value;
        bits += 5;
        if (bits < 8)
            continue;
        bits -= 8;
        ret_key[len++] = (uint8_t)(word >> bits);
        word &= (UINT32_C(1) << bits) - 1;
    }
    if (check != 1)
        return CC_FAIL(MALFORMED, "the checksum of an age recipient");
    return word ? CC_FAIL(MALFORMED, "an age recipient with bits to spare") : CC_OK;
}

static CC_ERR write_x25519(const uint8_t key[static AGE_KEY_SIZE], struct buf *out)
{
    char text[TEXT_LEN + 1] = "age1";
    uint32_t check = polymod_begin();
    for (size_t i = 0; i < DATA_DIGITS; i++) {
        uint32_t value = 0;
        for (size_t bit = 5 * i; bit < 5 * i + 5; bit++)
            value = value << 1 | (bit < 256 ? (uint32_t)key[bit / 8] >> (7 - bit % 8) & 1 : 0);
        check = polymod_step(check, value);
        text[PREFIX_LEN + i] = digits[value];
    }
    for (size_t i = 0; i < CHECK_DIGITS; i++)
        check = polymod_step(check, 0);
    check ^= 1;
    for (size_t i = 0; i < CHECK_DIGITS; i++)
        text[PREFIX_LEN + DATA_DIGITS + i] = digits[check >> 5 * (5 - i) & 31];
    return buf_append(out, text, TEXT_LEN);
}

/* --- SSH ---------------------------------------------------------------------------------------------------- */

static const char ssh_type[] = "ssh-ed25519";

enum {
    SSH_TYPE_LEN = sizeof ssh_type - 1,
    SSH_TEXT_LEN = 68 /* base64 of AGE_SSH_WIRE_SIZE, which divides by three */
};

void age_ssh_wire(const uint8_t key[static AGE_KEY_SIZE],
                  uint8_t ret_wire[static AGE_SSH_WIRE_SIZE])
{
    u32_store_be(ret_wire, SSH_TYPE_LEN);
    memcpy(ret_wire + 4, ssh_type, SSH_TYPE_LEN);
    u32_store_be(ret_wire + 4 + SSH_TYPE_LEN, AGE_KEY_SIZE);
    memcpy(ret_wire + 8 + SSH_TYPE_LEN, key, AGE_KEY_SIZE);
}

static CC_ERR check_comment(struct span text)
{
    if (text.len && text.data[0] != ' ')
        return CC_FAIL(MALFORMED, "what stands after an SSH key begins with a space");
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < ' ' || text.data[i] == 0x7f)
            return CC_FAIL(MALFORMED, "a control character in the comment of an SSH key");
    return CC_OK;
}

static CC_ERR parse_ssh(struct span text, uint8_t ret_key[static AGE_KEY_SIZE])
{
    uint8_t wire[AGE_SSH_WIRE_SIZE];
    uint8_t expected[AGE_SSH_WIRE_SIZE];
    size_t len = 0;
    const size_t start = SSH_TYPE_LEN + 1;
    if (text.len < start + SSH_TEXT_LEN)
        return CC_FAIL(MALFORMED, "an SSH key is cut off");
    CC_TRY(
        check_comment(span_of(text.data + start + SSH_TEXT_LEN, text.len - start - SSH_TEXT_LEN)));
    CC_TRY(base64_decode(span_of(text.data + start, SSH_TEXT_LEN), wire, sizeof wire, &len));
    memcpy(ret_key, wire + sizeof wire - AGE_KEY_SIZE, AGE_KEY_SIZE);
    age_ssh_wire(ret_key, expected);
    if (!span_equal(span_of(wire, len), span_of(expected, sizeof expected)))
        return CC_FAIL(MALFORMED, "not the key of an ssh-ed25519 line");
    return CC_OK;
}

/* A point of small order would give everybody the same secret. */
static CC_ERR check_point(const struct age_recipient *recipient)
{
    static const uint8_t any_scalar[AGE_KEY_SIZE] = {8};
    uint8_t point[AGE_KEY_SIZE];
    int bad = recipient->kind == AGE_X25519
                  ? crypto_scalarmult(point, any_scalar, recipient->key)
                  : crypto_sign_ed25519_pk_to_curve25519(point, recipient->key);
    return bad ? CC_FAIL(MALFORMED, "a recipient that is no point of its curve") : CC_OK;
}

static bool begins(struct span text, const char *with, size_t len)
{
    return text.len >= len && span_equal(span_of(text.data, len), span_of(with, len));
}

CC_ERR age_recipient_parse(struct span text, struct age_recipient *ret_recipient)
{
    struct age_recipient recipient = {.kind = AGE_X25519};
    if (text.len > AGE_RECIPIENT_TEXT_MAX)
        return CC_FAIL(MALFORMED, "a recipient is too long");
    if (begins(text, prefix, PREFIX_LEN)) {
        CC_TRY(parse_x25519(text, recipient.key));
    } else if (begins(text, "ssh-ed25519 ", SSH_TYPE_LEN + 1)) {
        recipient.kind = AGE_SSH_ED25519;
        CC_TRY(parse_ssh(text, recipient.key));
    } else {
        return CC_FAIL(MALFORMED, "a recipient is age1… or ssh-ed25519 AAAA…");
    }
    CC_TRY(check_point(&recipient));
    *ret_recipient = recipient;
    return CC_OK;
}

CC_ERR age_recipient_write(const struct age_recipient *recipient, struct buf *out)
{
    uint8_t wire[AGE_SSH_WIRE_SIZE];
    if (recipient->kind == AGE_X25519)
        return write_x25519(recipient->key, out);
    age_ssh_wire(recipient->key, wire);
    CC_TRY(buf_append_str(out, "ssh-ed25519 "));
    return base64_append(out, wire, sizeof wire);
}
