/* auth/principal.h - rows of auth.certificates and auth.listeners.
 *
 * WHAT      "sha256:HEX=policy[,policy]", "san:NAME=...", "cn:NAME=..."; "unix=...", "tcp=...", "tls=...": who is meant, and the policies
 *           that he has.
 * PROMISE   Strict: each row names someone in one way, and at least one policy by a name that can be one.
 * THREADS   Any: pure.   OWNERSHIP By value.   ERRORS CONFIG, with what is wrong as the detail.   SECRETS None.
 */
#ifndef AUTH_PRINCIPAL_H
#define AUTH_PRINCIPAL_H

#include "auth/policy.h"
#include "config/config.h"
#include "crypto/sha256.h"

enum principal_kind {
    PRINCIPAL_FINGERPRINT,
    PRINCIPAL_SAN,
    PRINCIPAL_CN,
    PRINCIPAL_LISTENER
};

enum {
    PRINCIPAL_POLICIES_MAX = 8
};

struct principal_row {
    enum principal_kind kind;
    uint8_t fingerprint[SHA256_SIZE]; /* PRINCIPAL_FINGERPRINT: SHA-256 of the certificate (DER) */
    char name[CONFIG_TEXT_MAX];       /* of the certificate; of the listener: unix, tcp, tls */
    uint32_t listener;                /* PRINCIPAL_LISTENER: a set of bits, 1 << enum listener */
    uint32_t policy_count;
    char policies[PRINCIPAL_POLICIES_MAX][POLICY_NAME_SIZE];
};

CC_ERR principal_certificate_parse(struct span text, struct principal_row *ret_row);
CC_ERR principal_listener_parse(struct span text, struct principal_row *ret_row);

#endif
