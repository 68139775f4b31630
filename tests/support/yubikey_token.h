/* support/yubikey_token.h - a YubiKey in this process: HMAC-SHA1 in slot 2, over feature reports.
 *
 * What a real key does with frames, and what it may do wrong. HMAC by OpenSSL.
 */
#ifndef SUPPORT_YUBIKEY_TOKEN_H
#define SUPPORT_YUBIKEY_TOKEN_H

#include "seal/factor_yubikey.h"

struct yubikey_token {
    uint8_t secret[20];
    /* how it behaves */
    bool no_slot;          /* nothing is programmed */
    bool never_ready;      /* takes no frame */
    int polls_until_touch; /* asks for a touch that long; negative: for ever */
    bool wrong_checksum;   /* flips a bit of the answer */
    bool breaks_off;       /* after two parts */
    int unplugged_after;   /* that many reports; 0: never */
    /* what was seen */
    int reports;
    int frames;
    int touches;
    int resets;
    uint32_t waited_ms;
    uint8_t challenge[64];
    size_t challenge_len;
    /* private */
    uint8_t frame[YUBIKEY_FRAME_SIZE];
    uint8_t answer[28];
    int part; /* of the answer, to be read next; -1: none */
};

void yubikey_token_init(struct yubikey_token *token);
void yubikey_token_port(struct yubikey_token *token, struct yubikey_port *ret_port);
/* HMAC-SHA1, for the vectors of RFC 2202 too. */
void yubikey_token_hmac(struct span key, struct span data, uint8_t ret_mac[static 20]);

#endif
