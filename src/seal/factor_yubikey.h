/* seal/factor_yubikey.h - slot 2 of a YubiKey as an operator's factor: HMAC-SHA1 of a challenge.
 *
 * WHAT      The frames of the OTP application over HID feature reports (8 bytes: 7 of data, 1 of flags), by a port that gets and sets them.
 * PROMISE   An answer whose checksum is wrong is none. Waits YUBIKEY_PATIENCE_MS for a touch, then gives up and tells the key so.
 * THREADS   One.
 * OWNERSHIP The port is the caller's.
 * ERRORS    FACTOR (nothing programmed there, no touch, nonsense), what the port returns.
 * SECRETS   The answer; on the stack, wiped.
 */
#ifndef SEAL_FACTOR_YUBIKEY_H
#define SEAL_FACTOR_YUBIKEY_H

#include "seal/factor.h"

enum {
    YUBIKEY_REPORT_SIZE = 8,
    YUBIKEY_ANSWER_SIZE = 20,
    YUBIKEY_FRAME_SIZE = 70,
    YUBIKEY_PATIENCE_MS = 20000,
    YUBIKEY_POLL_MS = 20
};

struct yubikey_port {
    void *context;
    CC_ERR (*get)(void *context, uint8_t ret_report[static YUBIKEY_REPORT_SIZE]);
    CC_ERR (*set)(void *context, const uint8_t report[static YUBIKEY_REPORT_SIZE]);
    void (*wait)(void *context, uint32_t ms);
    void (*touch)(void *context); /* the key blinks */
};

/* CRC-16/ISO-HDLC before its last inversion, as the key computes it: over data and checksum it is YUBIKEY_CRC_GOOD. */
enum {
    YUBIKEY_CRC_GOOD = 0xf0b8
};
uint16_t yubikey_crc(struct span data);

/* The frame that asks slot 2 for the HMAC of the challenge. */
void yubikey_frame(const uint8_t challenge[static FACTOR_CHALLENGE_SIZE],
                   uint8_t ret_frame[static YUBIKEY_FRAME_SIZE]);

CC_ERR yubikey_ask(const struct yubikey_port *port,
                   const uint8_t challenge[static FACTOR_CHALLENGE_SIZE],
                   uint8_t ret_answer[static YUBIKEY_ANSWER_SIZE]);

void factor_yubikey(struct factor *ret_factor, struct yubikey_port *port);

#endif
