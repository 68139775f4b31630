#include "seal/factor_yubikey.h"

enum {
    PAYLOAD_SIZE = 64,
    PART_SIZE = 7,
    PARTS = YUBIKEY_FRAME_SIZE / PART_SIZE,
    FLAGS = 7, /* the report's last byte */
    SLOT_2_HMAC = 0x38,
    FLAG_WRITE = 0x80,
    FLAG_DATA = 0x40,
    FLAG_TOUCH = 0x20,
    SEQUENCE = 0x1f,
    RESET = 0xff,
    ANSWER_FRAME = YUBIKEY_ANSWER_SIZE + 2, /* with its checksum */
    ANSWER_PARTS = (ANSWER_FRAME + PART_SIZE - 1) / PART_SIZE,
    WRITE_PATIENCE_MS = 1200
};

struct report {
    uint8_t bytes[YUBIKEY_REPORT_SIZE];
};

static void report_wipep(struct report *report)
{
    wipe(report, sizeof *report);
}

struct parts {
    uint8_t bytes[ANSWER_PARTS * PART_SIZE];
    size_t count;
};

static void parts_wipep(struct parts *parts)
{
    wipe(parts, sizeof *parts);
}

uint16_t yubikey_crc(struct span data)
{
    uint32_t crc = 0xffff;
    for (size_t i = 0; i < data.len; i++) {
        crc ^= data.data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x8408u : 0);
    }
    return (uint16_t)crc;
}

/* The key takes off what stands at the end and equals the payload's last byte: that one differs from the challenge's. */
void yubikey_frame(const uint8_t challenge[static FACTOR_CHALLENGE_SIZE],
                   uint8_t ret_frame[static YUBIKEY_FRAME_SIZE])
{
    memset(ret_frame, 0, YUBIKEY_FRAME_SIZE);
    memcpy(ret_frame, challenge, FACTOR_CHALLENGE_SIZE);
    ret_frame[PAYLOAD_SIZE - 1] = challenge[FACTOR_CHALLENGE_SIZE - 1] == 0 ? 0xff : 0;
    const uint16_t crc = yubikey_crc(span_of(ret_frame, PAYLOAD_SIZE));
    ret_frame[PAYLOAD_SIZE] = SLOT_2_HMAC;
    ret_frame[PAYLOAD_SIZE + 1] = (uint8_t)(crc & 0xff);
    ret_frame[PAYLOAD_SIZE + 2] = (uint8_t)(crc >> 8);
}

static cc_err wait_for_room(const struct yubikey_port *port)
{
    for (uint32_t waited = 0; waited < WRITE_PATIENCE_MS; waited += YUBIKEY_POLL_MS) {
        CC_CLEANUP(report_wipep) struct report report;
        CC_TRY(port->get(port->context, report.bytes));
        if (!(report.bytes[FLAGS] & FLAG_WRITE))
            return CC_OK;
        port->wait(port->context, YUBIKEY_POLL_MS);
    }
    return CC_FAIL(FACTOR, "the YubiKey takes no challenge");
}

/* Parts of zeros are left out, but for the first and the last. */
static cc_err send_frame(const struct yubikey_port *port, const uint8_t *frame)
{
    static const uint8_t zeros[PART_SIZE];
    for (uint8_t part = 0; part < PARTS; part++) {
        struct report report;
        const struct span bytes = span_of(frame + part * PART_SIZE, PART_SIZE);
        if (part != 0 && part != PARTS - 1 && span_equal(bytes, span_of(zeros, PART_SIZE)))
            continue;
        memcpy(report.bytes, bytes.data, PART_SIZE);
        report.bytes[FLAGS] = (uint8_t)(FLAG_WRITE | part);
        CC_TRY(wait_for_room(port));
        CC_TRY(port->set(port->context, report.bytes));
    }
    return CC_OK;
}

/* True when all parts are there. */
static bool take_part(const struct report *report, struct parts *parts)
{
    if ((report->bytes[FLAGS] & SEQUENCE) == parts->count) {
        memcpy(parts->bytes + parts->count * PART_SIZE, report->bytes, PART_SIZE);
        parts->count++;
    }
    return parts->count == ANSWER_PARTS;
}

static cc_err read_parts(const struct yubikey_port *port, struct parts *parts)
{
    bool asked = false;
    for (uint32_t waited = 0; waited < YUBIKEY_PATIENCE_MS;) {
        CC_CLEANUP(report_wipep) struct report report;
        CC_TRY(port->get(port->context, report.bytes));
        const uint8_t flags = report.bytes[FLAGS];
        if (flags & FLAG_DATA) {
            if (take_part(&report, parts))
                return CC_OK;
            if (parts->count > 1 && !(flags & SEQUENCE))
                return CC_FAIL(FACTOR, "the YubiKey's answer breaks off");
            waited++; /* a key that repeats itself for ever */
            continue;
        }
        if (!(flags & (FLAG_TOUCH | FLAG_WRITE)))
            return CC_FAIL(
                FACTOR,
                "the YubiKey refuses: slot 2 is not set up for HMAC-SHA1 challenge-response");
        if ((flags & FLAG_TOUCH) && !asked)
            port->touch(port->context);
        asked = asked || (flags & FLAG_TOUCH);
        port->wait(port->context, YUBIKEY_POLL_MS);
        waited += YUBIKEY_POLL_MS;
    }
    return CC_FAIL(FACTOR, "the YubiKey was not touched");
}

CC_SENSITIVE CC_ERR yubikey_ask(const struct yubikey_port *port,
                                const uint8_t challenge[static FACTOR_CHALLENGE_SIZE],
                                uint8_t ret_answer[static YUBIKEY_ANSWER_SIZE])
{
    static const uint8_t reset[YUBIKEY_REPORT_SIZE] = {[FLAGS] = RESET};
    CC_CLEANUP(parts_wipep) struct parts parts = {.count = 0};
    uint8_t frame[YUBIKEY_FRAME_SIZE];
    yubikey_frame(challenge, frame);
    CC_TRY(send_frame(port, frame));
    cc_err err = read_parts(port, &parts);
    cc_err ended = port->set(port->context, reset);
    CC_TRY(err);
    CC_TRY(ended);
    if (yubikey_crc(span_of(parts.bytes, ANSWER_FRAME)) != YUBIKEY_CRC_GOOD)
        return CC_FAIL(FACTOR, "the YubiKey's answer has a wrong checksum");
    memcpy(ret_answer, parts.bytes, YUBIKEY_ANSWER_SIZE);
    return CC_OK;
}

static cc_err answer(void *context,
                     const uint8_t challenge[static FACTOR_CHALLENGE_SIZE],
                     struct factor_answer *ret_answer)
{
    ret_answer->len = YUBIKEY_ANSWER_SIZE;
    return yubikey_ask(context, challenge, ret_answer->bytes);
}

void factor_yubikey(struct factor *ret_factor, struct yubikey_port *port)
{
    *ret_factor = (struct factor){port, answer};
}
