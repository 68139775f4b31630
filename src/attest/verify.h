/* attest/verify.h - is this document an enclave's, and of an image that we want?
 *
 * WHAT      The pinned root, the signature, the chain of certificates between them, the times, the registers, and what the enclave
 *           was asked to put in, in this order.
 * PROMISE   CC_OK is given for no document that fails in any point of the policy. Registers of an enclave in debug mode
 *           (zeros, whose memory its host reads) are refused unless allowed by name. A policy that names no registers
 *           and doesn't say any_pcrs refuses everything.
 * THREADS   Any: pure.
 * OWNERSHIP Borrows. The document's spans lie in `bytes`.
 * ERRORS    ATTEST_FORMAT, ATTEST_SIGNATURE, ATTEST_CHAIN, ATTEST_TIME, ATTEST_DEBUG, ATTEST_PCRS, ATTEST_NONCE,
 *           ATTEST_BINDING (user data, public key). error_detail() says more.
 * SECRETS   None.
 */
#ifndef ATTEST_VERIFY_H
#define ATTEST_VERIFY_H

#include "attest/document.h"

enum {
    ATTEST_LEEWAY_MS =
        300000 /* what verifiers allow: hosts' clocks drift, and certificates begin when they are made */
};

struct attest_policy {
    struct span root_der; /* .len 0: the root of AWS, known by its SHA-256 */
    uint64_t now_ms;      /* 0: the time that the document names (archived evidence alone) */
    uint64_t max_age_ms;  /* of the document; 0: any */
    uint32_t leeway_ms;   /* so far may our clock be behind the enclave's */
    const struct attest_pcrs *sets; /* one of them must hold in all its registers */
    size_t set_count;
    bool any_pcrs;        /* with set_count 0: any image, named by the caller's user */
    bool allow_zero_pcrs; /* an enclave in debug mode */
    struct span nonce;    /* .len 0: not asked for */
    struct span user_data;
    struct span public_key;
};

/* On an error after ATTEST_FORMAT *ret_document is written all the same, so that the caller can show what was refused:
 * its word counts only where attest_is_genuine() says so.
 */
CC_ERR attest_verify(struct span bytes,
                     const struct attest_policy *policy,
                     struct attest_document *ret_document);

/* True for an error of attest_verify() that leaves the document an enclave's word: it is only not the one that was wanted. */
bool attest_is_genuine(cc_err err);

/* Adds "N=HEX" to a set; INPUT's errors where it isn't that, or where the set has N already. */
CC_ERR attest_pcrs_add(struct attest_pcrs *set, struct span text);

#endif
