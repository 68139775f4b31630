/* core/seal_body.h - the bodies of requests about the sealed chamber (docs/openapi.yaml).
 *
 * WHAT      From JSON to what a ceremony takes: the first set and rotations, envelopes, a management key, an image.
 * PROMISE   Strict: an unknown member, a name or an ARN twice, a threshold that can't be reached are refused, with the place. Nothing of the text
 *           gets into a fault.
 * THREADS   Any: pure.
 * OWNERSHIP By value; texts may be changed while they are read.
 * ERRORS    What codec/json.h says; MALFORMED, FIELD_MISSING, FIELD_TYPE with a fault.
 * SECRETS   The setup token, in the text of an init: the caller wipes it, and what is given back.
 */
#ifndef CORE_SEAL_BODY_H
#define CORE_SEAL_BODY_H

#include "auth/fault.h"
#include "core/ceremony.h"

enum {
    SEAL_BODY_SECRET_MAX = 128
};

/* `kind`: which route. `ret_secret`: the setup token of SEAL_KIND_INIT, terminated; else "". wish->by is the caller's. */
CC_ERR seal_body_wish(uint32_t kind,
                      uint8_t *text,
                      size_t len,
                      struct ceremony_wish *ret_wish,
                      char ret_secret[static SEAL_BODY_SECRET_MAX],
                      struct auth_fault *fault);
/* `purpose`: which route; TO_REGISTER needs a digest. TO_APPROVE needs one too, and may be without name and envelope: ret_envelope->len 0. */
CC_ERR seal_body_envelope(uint32_t purpose,
                          uint8_t *text,
                          size_t len,
                          struct ceremony_envelope *ret_envelope,
                          struct auth_fault *fault);
/* {"public_key": 64 hex digits} */
CC_ERR
seal_body_key(uint8_t *text, size_t len, uint8_t ret_key[static 32], struct auth_fault *fault);
/* {"pcr0": 96 hex digits[, "pcr8": 96 hex digits][, "remove": true]}; pcr8 zeros where it is not there. With "remove" there is none. */
CC_ERR seal_body_image(uint8_t *text,
                       size_t len,
                       struct seal_image *ret_image,
                       bool *ret_remove,
                       struct auth_fault *fault);
/* "unseal", "register", "approve", "rehearse", "break_glass"; 0: another word. */
uint32_t seal_body_purpose(struct span word);
const char *seal_body_purpose_name(uint32_t purpose);

#endif
