#include "codec/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

CC_ERR base64_append(struct buf *out, const void *data, size_t len)
{
    const uint8_t *in = data;
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t word = (uint32_t)in[i] << 16;
        if (n > 1)
            word |= (uint32_t)in[i + 1] << 8;
        if (n > 2)
            word |= in[i + 2];
        char four[4] = {alphabet[word >> 18], alphabet[word >> 12 & 63], '=', '='};
        if (n > 1)
            four[2] = alphabet[word >> 6 & 63];
        if (n > 2)
            four[3] = alphabet[word & 63];
        CC_TRY(buf_append(out, four, sizeof four));
    }
    return CC_OK;
}

/* 64 for a byte that is no digit. */
static uint32_t digit(uint8_t c)
{
    for (uint32_t i = 0; i < 64; i++)
        if ((uint8_t)alphabet[i] == c)
            return i;
    return 64;
}

/* Four characters, of which the last `pads` are padding; false when they are not what encoding writes. */
static bool decode_four(const uint8_t *four, size_t pads, uint8_t ret_bytes[static 3])
{
    uint32_t word = 0;
    for (size_t i = 0; i < 4; i++) {
        uint32_t d = i < 4 - pads ? digit(four[i]) : 0;
        if (d == 64)
            return false;
        word = word << 6 | d;
    }
    for (size_t i = 0; i < 3; i++)
        ret_bytes[i] = (uint8_t)(word >> (16 - 8 * i));
    for (size_t i = 3 - pads; i < 3; i++)
        if (ret_bytes[i])
            return false;
    return true;
}

CC_ERR base64_decode(struct span text, uint8_t *ret_bytes, size_t max, size_t *ret_len)
{
    size_t len = 0;
    if (text.len % 4)
        return CC_FAIL(MALFORMED, "base64");
    for (size_t i = 0; i < text.len; i += 4) {
        const uint8_t *four = text.data + i;
        uint8_t three[3];
        size_t pads = 0;
        if (i + 4 == text.len)
            pads = four[3] != '=' ? 0 : four[2] != '=' ? 1 : 2;
        if (!decode_four(four, pads, three))
            return CC_FAIL(MALFORMED, "base64");
        if (max - len < 3 - pads)
            return CC_FAIL(LIMIT, "base64");
        for (size_t k = 0; k < 3 - pads; k++)
            ret_bytes[len++] = three[k];
    }
    *ret_len = len;
    return CC_OK;
}

/* --- base64url, without a branch or a look-up on what is coded ---------------------------------------------- */

static uint8_t url_char(uint32_t value)
{
    int v = (int)value;
    int c = v + 'A';
    c += ((25 - v) >> 8) & 6;
    c -= ((51 - v) >> 8) & 75;
    c -= ((61 - v) >> 8) & 13;
    c += ((62 - v) >> 8) & 49;
    return (uint8_t)c;
}

/* -1 for a byte that is no digit. */
static int url_value(uint8_t byte)
{
    int c = byte;
    int v = -1;
    v += (((0x40 - c) & (c - 0x5b)) >> 8) & (c - 64);
    v += (((0x60 - c) & (c - 0x7b)) >> 8) & (c - 70);
    v += (((0x2f - c) & (c - 0x3a)) >> 8) & (c + 5);
    v += (((0x2c - c) & (c - 0x2e)) >> 8) & 63;
    v += (((0x5e - c) & (c - 0x60)) >> 8) & 64;
    return v;
}

CC_ERR base64url_append(struct buf *out, const void *data, size_t len)
{
    const uint8_t *in = data;
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t word = (uint32_t)in[i] << 16;
        uint8_t four[4];
        if (n > 1)
            word |= (uint32_t)in[i + 1] << 8;
        if (n > 2)
            word |= in[i + 2];
        for (unsigned k = 0; k < 4; k++)
            four[k] = url_char(word >> (18 - 6 * k) & 63);
        CC_TRY(buf_append(out, four, n + 1));
    }
    return CC_OK;
}

CC_ERR base64url_decode(struct span text, uint8_t *ret_bytes, size_t len)
{
    int bad = 0;
    uint32_t word = 0;
    unsigned bits = 0;
    size_t at = 0;
    if (text.len != (len * 8 + 5) / 6)
        return CC_FAIL(MALFORMED, "length of base64url");
    for (size_t i = 0; i < text.len; i++) {
        int value = url_value(text.data[i]);
        bad |= value >> 8;
        word = word << 6 | ((uint32_t)value & 63);
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        ret_bytes[at++] = (uint8_t)(word >> bits);
        word &= (UINT32_C(1) << bits) - 1;
    }
    return bad || word ? CC_FAIL(MALFORMED, "base64url") : CC_OK;
}
