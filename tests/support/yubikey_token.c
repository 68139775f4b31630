#include "support/yubikey_token.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

enum {
    PAYLOAD = 64,
    FLAGS = 7,
    LAST_PART = 9
};

void yubikey_token_hmac(struct span key, struct span data, uint8_t ret_mac[static 20])
{
    unsigned len = 0;
    cc_assert(HMAC(EVP_sha1(), key.data, (int)key.len, data.data, data.len, ret_mac, &len) &&
              len == 20);
}

/* A key of its own: not the code under test. */
static uint16_t crc16(const uint8_t *data, size_t len)
{
    static const uint16_t nibbles[16] = {0x0000, 0x1081, 0x2102, 0x3183, 0x4204, 0x5285,
                                         0x6306, 0x7387, 0x8408, 0x9489, 0xa50a, 0xb58b,
                                         0xc60c, 0xd68d, 0xe70e, 0xf78f};
    uint16_t crc = 0xffff;
    for (size_t i = 0; i < len; i++) {
        crc = (uint16_t)(crc >> 4 ^ nibbles[(crc ^ data[i]) & 15]);
        crc = (uint16_t)(crc >> 4 ^ nibbles[(crc ^ data[i] >> 4) & 15]);
    }
    return crc;
}

static void serve(struct yubikey_token *token)
{
    const uint8_t *frame = token->frame;
    const uint16_t crc = (uint16_t)(frame[PAYLOAD + 1] | frame[PAYLOAD + 2] << 8);
    token->frames++;
    if (crc != crc16(frame, PAYLOAD) || frame[PAYLOAD] != 0x38 || token->no_slot)
        return;
    size_t len = PAYLOAD;
    while (len > 0 && frame[len - 1] == frame[PAYLOAD - 1])
        len--;
    memcpy(token->challenge, frame, len);
    token->challenge_len = len;
    memset(token->answer, 0, sizeof token->answer);
    yubikey_token_hmac(span_of(token->secret, sizeof token->secret), span_of(frame, len),
                       token->answer);
    const uint16_t check = (uint16_t)~crc16(token->answer, 20);
    token->answer[20] = (uint8_t)(check & 0xff);
    token->answer[21] = (uint8_t)(check >> 8);
    if (token->wrong_checksum)
        token->answer[3] ^= 4;
    token->part = 0;
}

static bool gone(struct yubikey_token *token)
{
    token->reports++;
    return token->unplugged_after && token->reports > token->unplugged_after;
}

static cc_err set(void *context, const uint8_t report[static YUBIKEY_REPORT_SIZE])
{
    struct yubikey_token *token = context;
    if (gone(token))
        return CC_FAIL(IO, "pulled out");
    if (report[FLAGS] == 0xff) {
        token->resets++;
        token->part = -1;
        memset(token->frame, 0, sizeof token->frame);
        return CC_OK;
    }
    const int part = report[FLAGS] & 0x1f;
    if (!(report[FLAGS] & 0x80) || part > LAST_PART)
        return CC_OK;
    if (part == 0)
        memset(token->frame, 0, sizeof token->frame);
    memcpy(token->frame + 7 * part, report, 7);
    if (part == LAST_PART)
        serve(token);
    return CC_OK;
}

static void give_part(struct yubikey_token *token, uint8_t *report)
{
    if (token->part == 4 || (token->breaks_off && token->part == 2)) {
        report[FLAGS] = 0x40; /* the end: number 0 again */
        return;
    }
    memcpy(report, token->answer + 7 * token->part, 7);
    report[FLAGS] = (uint8_t)(0x40 | token->part);
    token->part++;
}

static cc_err get(void *context, uint8_t ret_report[static YUBIKEY_REPORT_SIZE])
{
    struct yubikey_token *token = context;
    static const uint8_t status[YUBIKEY_REPORT_SIZE] = {0, 5, 4, 3, 1, 2, 0, 0};
    if (gone(token))
        return CC_FAIL(IO, "pulled out");
    memcpy(ret_report, status, sizeof status);
    if (token->never_ready)
        ret_report[FLAGS] = 0x80;
    if (token->part < 0)
        return CC_OK;
    if (token->polls_until_touch) {
        token->polls_until_touch -= token->polls_until_touch > 0;
        ret_report[FLAGS] = 0x20;
        return CC_OK;
    }
    give_part(token, ret_report);
    return CC_OK;
}

static void wait(void *context, uint32_t ms)
{
    struct yubikey_token *token = context;
    token->waited_ms += ms;
}

static void touch(void *context)
{
    struct yubikey_token *token = context;
    token->touches++;
}

void yubikey_token_init(struct yubikey_token *token)
{
    *token = (struct yubikey_token){.secret = "0123456789abcdefghi", .part = -1};
}

void yubikey_token_port(struct yubikey_token *token, struct yubikey_port *ret_port)
{
    *ret_port = (struct yubikey_port){token, get, set, wait, touch};
}
