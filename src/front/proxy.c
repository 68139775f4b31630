#include "front/proxy.h"

enum {
    AT_COMMAND = 12,
    AT_FAMILY = 13,
    AT_LENGTH = 14,
    VERSION = 2,
    COMMAND_LOCAL = 0,
    COMMAND_PROXY = 1,
    TCP_OVER_IPV4 = 0x11,
    TCP_OVER_IPV6 = 0x21,
    IPV4_BYTES = 12, /* two addresses, two ports */
    IPV6_BYTES = 36,
    TLV_HEAD = 3
};

static const uint8_t signature[AT_COMMAND] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                              0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

CC_ERR proxy_rest(const uint8_t head[static PROXY_HEAD], size_t *ret_len)
{
    size_t len = (size_t)head[AT_LENGTH] << 8 | head[AT_LENGTH + 1];
    if (!span_equal(span_of(head, sizeof signature), span_of(signature, sizeof signature)))
        return CC_FAIL(MALFORMED, "not a PROXY v2 header");
    if (head[AT_COMMAND] >> 4 != VERSION || (head[AT_COMMAND] & 15) > COMMAND_PROXY)
        return CC_FAIL(MALFORMED, "PROXY version or command");
    if (len > PROXY_REST_MAX)
        return CC_FAIL(MALFORMED, "a PROXY header that is too long");
    *ret_len = len;
    return CC_OK;
}

/* What else the proxy tells is not used, but has to fill its place exactly. */
static cc_err check_tlvs(struct span tlvs)
{
    while (tlvs.len) {
        if (tlvs.len < TLV_HEAD)
            return CC_FAIL(MALFORMED, "a PROXY TLV is cut");
        size_t len = TLV_HEAD + ((size_t)tlvs.data[1] << 8 | tlvs.data[2]);
        if (len > tlvs.len)
            return CC_FAIL(MALFORMED, "a PROXY TLV is cut");
        tlvs = span_of(tlvs.data + len, tlvs.len - len);
    }
    return CC_OK;
}

/* `::`, and 0.0.0.0 as it is mapped: no connection comes from there, and here the first stands for none. */
static bool is_unspecified(const uint8_t address[static CIDR_ADDRESS_SIZE])
{
    static const uint8_t zeros[CIDR_ADDRESS_SIZE];
    uint8_t v4[CIDR_ADDRESS_SIZE];
    cidr_map_v4(zeros, v4);
    const struct span it = span_of(address, CIDR_ADDRESS_SIZE);
    return span_equal(it, span_of(zeros, sizeof zeros)) || span_equal(it, span_of(v4, sizeof v4));
}

CC_ERR proxy_read(struct span header, struct proxy_client *ret_client)
{
    struct proxy_client client = {0};
    size_t len = 0, addresses = 0;
    if (header.len < PROXY_HEAD)
        return CC_FAIL(MALFORMED, "a PROXY header that is cut");
    CC_TRY(proxy_rest(header.data, &len));
    if (header.len != PROXY_HEAD + len)
        return CC_FAIL(MALFORMED, "a PROXY header of another length");
    const uint8_t *rest = header.data + PROXY_HEAD;
    if ((header.data[AT_COMMAND] & 15) == COMMAND_LOCAL) {
        client.local = true; /* the rest is to be skipped, whatever it is */
        *ret_client = client;
        return CC_OK;
    }
    if (header.data[AT_FAMILY] == TCP_OVER_IPV4)
        addresses = IPV4_BYTES;
    else if (header.data[AT_FAMILY] == TCP_OVER_IPV6)
        addresses = IPV6_BYTES;
    if (addresses == 0 || len < addresses)
        return CC_FAIL(MALFORMED, "a PROXY header without a TCP client's address");
    if (addresses == IPV4_BYTES)
        cidr_map_v4(rest, client.address);
    else
        memcpy(client.address, rest, sizeof client.address);
    if (is_unspecified(client.address))
        return CC_FAIL(MALFORMED, "a PROXY header whose client has no address");
    CC_TRY(check_tlvs(span_of(rest + addresses, len - addresses)));
    *ret_client = client;
    return CC_OK;
}
