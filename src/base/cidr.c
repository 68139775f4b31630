#include "base/cidr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool is_v4(const uint8_t address[static CIDR_ADDRESS_SIZE])
{
    return span_equal(span_of(address, sizeof mapped), span_of(mapped, sizeof mapped));
}

static cc_err parse_address(struct span text, struct cidr *range)
{
    char copy[INET6_ADDRSTRLEN];
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.data, 0, text.len))
        return CC_FAIL(MALFORMED, "not an address or a range of addresses");
    memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    if (inet_pton(AF_INET, copy, range->address + sizeof mapped) == 1) {
        memcpy(range->address, mapped, sizeof mapped);
        range->v4 = true;
        range->bits = 128;
        return CC_OK;
    }
    if (inet_pton(AF_INET6, copy, range->address) != 1)
        return CC_FAIL(MALFORMED, "not an address or a range of addresses");
    if (is_v4(range->address))
        return CC_FAIL(MALFORMED, "write an IPv4 address as one");
    range->bits = 128;
    return CC_OK;
}

static cc_err parse_bits(struct span digits, struct cidr *range)
{
    uint64_t most = range->v4 ? 32 : 128;
    uint64_t bits = 0;
    bool zero_before = digits.len > 1 && digits.data[0] == '0';
    if (zero_before || u64_parse(digits, &bits).code || bits > most)
        return CC_FAIL(MALFORMED, "not a prefix length");
    range->bits = (uint8_t)(128 - most + bits);
    return CC_OK;
}

/* All ones where the prefix is. */
static uint8_t mask_at(const struct cidr *range, unsigned byte)
{
    unsigned begins = byte * 8;
    if (range->bits >= begins + 8)
        return 0xff;
    return range->bits <= begins ? 0 : (uint8_t)(0xff << (8 - (range->bits - begins)));
}

CC_ERR cidr_parse(struct span text, struct cidr *ret_range)
{
    struct cidr range = {0};
    const uint8_t *slash = text.len ? memchr(text.data, '/', text.len) : NULL;
    size_t len = slash ? (size_t)(slash - text.data) : text.len;
    CC_TRY(parse_address(span_of(text.data, len), &range));
    if (slash)
        CC_TRY(parse_bits(span_of(slash + 1, text.len - len - 1), &range));
    for (unsigned i = 0; i < sizeof range.address; i++)
        if (range.address[i] & ~mask_at(&range, i))
            return CC_FAIL(MALFORMED, "the address has bits beyond the prefix");
    *ret_range = range;
    return CC_OK;
}

bool cidr_holds(const struct cidr *range, const uint8_t address[static CIDR_ADDRESS_SIZE])
{
    unsigned whole = range->bits / 8;
    if (is_v4(address) != range->v4 ||
        !span_equal(span_of(range->address, whole), span_of(address, whole)))
        return false;
    return whole == sizeof range->address ||
           ((range->address[whole] ^ address[whole]) & mask_at(range, whole)) == 0;
}

bool cidr_is_loopback(const uint8_t address[static CIDR_ADDRESS_SIZE])
{
    static const uint8_t one[CIDR_ADDRESS_SIZE] = {[15] = 1};
    return is_v4(address) ? address[12] == 127
                          : span_equal(span_of(address, sizeof one), span_of(one, sizeof one));
}

void cidr_map_v4(const uint8_t four[static 4], uint8_t ret_address[static CIDR_ADDRESS_SIZE])
{
    memcpy(ret_address, mapped, sizeof mapped);
    memcpy(ret_address + sizeof mapped, four, 4);
}

void cidr_address_text(const uint8_t address[static CIDR_ADDRESS_SIZE],
                       char ret_text[static CIDR_TEXT_SIZE])
{
    bool v4 = is_v4(address);
    cc_assert(inet_ntop(v4 ? AF_INET : AF_INET6, address + (v4 ? sizeof mapped : 0), ret_text,
                        CIDR_TEXT_SIZE));
}

void cidr_text(const struct cidr *range, char ret_text[static CIDR_TEXT_SIZE])
{
    cidr_address_text(range->address, ret_text);
    size_t len = strlen(ret_text);
    (void)snprintf(ret_text + len, CIDR_TEXT_SIZE - len, "/%u",
                   range->v4 ? range->bits - 96U : range->bits);
}
