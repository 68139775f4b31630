#include "core/seal_body.h"

#include <stdio.h>
#include <string.h>

#include "codec/base64.h"
#include "codec/hex.h"
#include "config/kms_arn.h"
#include "crypto/age.h"

enum {
    TOKENS_MAX = 512 /* of JSON: the largest body has some 120 */
};

static cc_err missing(struct auth_fault *fault, const char *place)
{
    (void)fault_at(fault, "is missing", "%s", place).code;
    return CC_FAIL(FIELD_MISSING, NULL);
}

static cc_err open_body(struct jdoc *doc, uint8_t *text, size_t len, struct auth_fault *fault)
{
    if (len == 0)
        return fault_at(fault, "the body is empty", "%s", "");
    CC_TRY(jdoc_parse(doc, text, len));
    return jval_type(jdoc_root(doc)) == JVAL_OBJECT ? CC_OK
                                                    : fault_at(fault, "not an object", "%s", "");
}

static cc_err
copy_text(struct auth_fault *fault, struct jval value, const char *place, char *to, size_t size)
{
    struct span text;
    if (jval_text(value, &text).code)
        return fault_at(fault, "not a text", "%s", place);
    if (text.len == 0 || text.len >= size || memchr(text.data, 0, text.len))
        return fault_at(fault, "empty or too long", "%s", place);
    memset(to, 0, size);
    memcpy(to, text.data, text.len);
    return CC_OK;
}

static cc_err
read_digest(struct auth_fault *fault, struct jval value, const char *place, uint8_t to[static 32])
{
    struct span text;
    if (jval_text(value, &text).code || text.len != 64 || hex_decode(text, to, 32).code)
        return fault_at(fault, "not 32 bytes in hex", "%s", place);
    return CC_OK;
}

/* 1 to 16. */
static cc_err
read_small(struct auth_fault *fault, struct jval value, const char *place, uint32_t *ret_number)
{
    uint64_t number = 0;
    if (jval_type(value) != JVAL_NUMBER || jval_u64(value, &number).code || number < 1 ||
        number > 16)
        return fault_at(fault, "not a number from 1 to 16", "%s", place);
    *ret_number = (uint32_t)number;
    return CC_OK;
}

/* --- sets ---------------------------------------------------------------------------------------------------------------------------- */

struct reader {
    uint32_t kind;
    struct ceremony_wish *wish;
    char *secret;
    struct auth_fault *fault;
};

static cc_err read_arns(struct reader *r, struct jval list)
{
    struct seal_proposal *p = &r->wish->proposal;
    struct jval_iter iter = jval_iterate(list);
    struct jval value;
    CC_TRY(fault_check_list(r->fault, list, SEAL_KMS_MAX, "kms_key_arns"));
    for (uint32_t i = 0; jval_next(&iter, &value); i++) {
        struct span text;
        CC_TRY(fault_text(r->fault, value, "kms_key_arns", i, &text));
        if (!kms_arn_check(text))
            return fault_at(r->fault, "not the ARN of a KMS key, by its id", "kms_key_arns[%u]", i);
        for (uint32_t k = 0; k < i; k++)
            if (span_is(text, r->wish->keys[k].arn))
                return fault_at(r->fault, "it is there twice", "kms_key_arns[%u]", i);
        memcpy(r->wish->keys[i].arn, text.data, text.len);
        p->kms_count = i + 1;
    }
    return CC_OK;
}

static cc_err read_recipient(struct auth_fault *fault,
                             struct span text,
                             const char *place,
                             struct seal_recipient *ret_recipient)
{
    struct age_recipient age;
    if (age_recipient_parse(text, &age).code)
        return fault_at(fault, "neither an age recipient nor an ssh-ed25519 key", "%s", place);
    ret_recipient->kind = age.kind;
    memcpy(ret_recipient->key, age.key, sizeof ret_recipient->key);
    return CC_OK;
}

static cc_err read_name(struct auth_fault *fault,
                        struct jval value,
                        const char *place,
                        char to[static SEAL_NAME_SIZE])
{
    CC_TRY(copy_text(fault, value, place, to, SEAL_NAME_SIZE));
    return seal_is_operator_name(span_str(to))
               ? CC_OK
               : fault_at(fault, "not a name: [a-z0-9][a-z0-9._-]*, shorter than 40", "%s", place);
}

static cc_err read_operator(struct reader *r, struct jval value, uint32_t i)
{
    struct seal_proposal *p = &r->wish->proposal;
    char place[32];
    struct jval name, key;
    struct span text;
    (void)snprintf(place, sizeof place, "operators[%u]", i);
    if (jval_type(value) != JVAL_OBJECT || jval_count(value) != 2 ||
        !jval_member(value, "name", &name) || !jval_member(value, "public_key", &key))
        return fault_at(r->fault, "not an object of name and public_key", "%s", place);
    CC_TRY(read_name(r->fault, name, place, p->operators[i].name));
    for (uint32_t k = 0; k < i; k++)
        if (strcmp(p->operators[k].name, p->operators[i].name) == 0)
            return fault_at(r->fault, "the name is there twice", "%s", place);
    if (jval_text(key, &text).code)
        return fault_at(r->fault, "public_key is not a text", "%s", place);
    return read_recipient(r->fault, text, place, &p->operators[i].recipient);
}

static cc_err read_operators(struct reader *r, struct jval list)
{
    struct jval_iter iter = jval_iterate(list);
    struct jval value;
    CC_TRY(fault_check_list(r->fault, list, SEAL_OPERATORS_MAX, "operators"));
    for (uint32_t i = 0; jval_next(&iter, &value); i++) {
        CC_TRY(read_operator(r, value, i));
        r->wish->proposal.operator_count = i + 1;
    }
    return CC_OK;
}

static cc_err read_glass(struct reader *r, struct jval value)
{
    struct seal_proposal *p = &r->wish->proposal;
    struct jval threshold, list, element;
    if (jval_type(value) != JVAL_OBJECT || jval_count(value) != 2 ||
        !jval_member(value, "threshold", &threshold) || !jval_member(value, "recipients", &list))
        return fault_at(r->fault, "not an object of threshold and recipients", "%s", "break_glass");
    CC_TRY(read_small(r->fault, threshold, "break_glass.threshold", &p->break_glass_threshold));
    CC_TRY(fault_check_list(r->fault, list, SEAL_BREAK_GLASS_MAX, "break_glass.recipients"));
    struct jval_iter iter = jval_iterate(list);
    for (uint32_t i = 0; jval_next(&iter, &element); i++) {
        struct span text;
        CC_TRY(fault_text(r->fault, element, "break_glass.recipients", i, &text));
        CC_TRY(read_recipient(r->fault, text, "break_glass.recipients", &p->break_glass[i]));
        p->break_glass_count = i + 1;
    }
    return p->break_glass_threshold <= p->break_glass_count
               ? CC_OK
               : fault_at(r->fault, "more than there are recipients", "%s",
                          "break_glass.threshold");
}

static cc_err read_mode(struct reader *r, struct jval value)
{
    struct span text;
    if (jval_text(value, &text).code || !seal_mode_of(text, &r->wish->mode))
        return fault_at(r->fault, "not a mode", "%s", "mode");
    return CC_OK;
}

/* Which members a route's body may have. */
static bool takes(uint32_t kind, const char *member)
{
    const bool names_mode = kind == SEAL_KIND_INIT || kind == SEAL_KIND_MODE;
    if (strcmp(member, "setup_token") == 0)
        return kind == SEAL_KIND_INIT;
    if (strcmp(member, "mode") == 0)
        return names_mode;
    if (strcmp(member, "operators") == 0)
        return names_mode || kind == SEAL_KIND_QUORUM;
    return names_mode || kind == SEAL_KIND_KMS;
}

static cc_err read_member(struct reader *r, struct span key, struct jval value)
{
    struct seal_proposal *p = &r->wish->proposal;
    if (span_is(key, "setup_token") && takes(r->kind, "setup_token"))
        return copy_text(r->fault, value, "setup_token", r->secret, SEAL_BODY_SECRET_MAX);
    if (span_is(key, "mode") && takes(r->kind, "mode"))
        return read_mode(r, value);
    if (span_is(key, "operators") && takes(r->kind, "operators"))
        return read_operators(r, value);
    if (span_is(key, "operator_threshold") && takes(r->kind, "operators"))
        return read_small(r->fault, value, "operator_threshold", &p->operator_threshold);
    if (span_is(key, "kms_key_arns") && takes(r->kind, "kms"))
        return read_arns(r, value);
    if (span_is(key, "kms_threshold") && takes(r->kind, "kms"))
        return read_small(r->fault, value, "kms_threshold", &p->kms_threshold);
    if (span_is(key, "break_glass") && takes(r->kind, "kms"))
        return read_glass(r, value);
    return fault_at(r->fault, "an unknown member", "%s", "");
}

static cc_err check_operators(struct reader *r)
{
    const struct seal_proposal *p = &r->wish->proposal;
    if (!p->operator_count != !p->operator_threshold)
        return missing(r->fault, p->operator_count ? "operator_threshold" : "operators");
    r->wish->has_operators = p->operator_count != 0;
    if (!p->operator_count)
        return CC_OK;
    if (p->operator_threshold > p->operator_count)
        return fault_at(r->fault, "more than there are operators", "%s", "operator_threshold");
    if (p->operator_threshold < 2 && p->operator_count > 1)
        return fault_at(r->fault, "one alone is no quorum of several", "%s", "operator_threshold");
    return CC_OK;
}

static cc_err check_kms(struct reader *r)
{
    const struct seal_proposal *p = &r->wish->proposal;
    if (!p->kms_count != !p->kms_threshold)
        return missing(r->fault, p->kms_count ? "kms_threshold" : "kms_key_arns");
    r->wish->has_kms = p->kms_count != 0;
    if (p->kms_threshold > p->kms_count)
        return fault_at(r->fault, "more than there are KMS keys", "%s", "kms_threshold");
    if (p->break_glass_count && !p->kms_count)
        return fault_at(r->fault, "is about new KMS keys, and there are none", "%s", "break_glass");
    return CC_OK;
}

static cc_err check_whole(struct reader *r)
{
    const bool names_mode = r->kind == SEAL_KIND_INIT || r->kind == SEAL_KIND_MODE;
    CC_TRY(check_operators(r));
    CC_TRY(check_kms(r));
    if (names_mode && !r->wish->mode)
        return missing(r->fault, "mode");
    if (r->kind == SEAL_KIND_KMS && !r->wish->has_kms)
        return missing(r->fault, "kms_key_arns");
    if (r->kind == SEAL_KIND_QUORUM && !r->wish->has_operators)
        return missing(r->fault, "operators");
    return CC_OK;
}

CC_ERR seal_body_wish(uint32_t kind,
                      uint8_t *text,
                      size_t len,
                      struct ceremony_wish *ret_wish,
                      char ret_secret[static SEAL_BODY_SECRET_MAX],
                      struct auth_fault *fault)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(TOKENS_MAX);
    struct reader r = {kind, ret_wish, ret_secret, fault};
    struct jval value;
    struct span key;
    *ret_wish = (struct ceremony_wish){.kind = kind};
    memset(ret_secret, 0, SEAL_BODY_SECRET_MAX);
    if (len == 0 && kind == SEAL_KIND_MASTER)
        return CC_OK;
    CC_TRY(open_body(&doc, text, len, fault));
    struct jval_iter iter = jval_iterate(jdoc_root(&doc));
    while (jval_next_member(&iter, &key, &value)) {
        if (kind == SEAL_KIND_MASTER)
            return fault_at(fault, "an unknown member", "%s", "");
        CC_TRY(read_member(&r, key, value));
    }
    return check_whole(&r);
}

/* --- envelopes ------------------------------------------------------------------------------------------------------------------------- */

static cc_err
read_box(struct auth_fault *fault, struct jval value, struct ceremony_envelope *envelope)
{
    struct span text;
    size_t n = 0;
    if (jval_text(value, &text).code ||
        base64_decode(text, envelope->box, sizeof envelope->box, &n).code || n == 0)
        return fault_at(fault, "not base64 of at most 512 bytes", "%s", "envelope");
    envelope->len = (uint32_t)n;
    return CC_OK;
}

static cc_err read_part(uint32_t purpose,
                        struct span key,
                        struct jval value,
                        struct ceremony_envelope *envelope,
                        struct auth_fault *fault)
{
    const bool digest = purpose == SEAL_TO_REGISTER || purpose == SEAL_TO_APPROVE;
    if (span_is(key, "name"))
        return read_name(fault, value, "name", envelope->name);
    if (span_is(key, "envelope"))
        return read_box(fault, value, envelope);
    if (span_is(key, "digest") && digest)
        return read_digest(fault, value, "digest", envelope->digest);
    return fault_at(fault, "an unknown member", "%s", "");
}

CC_ERR seal_body_envelope(uint32_t purpose,
                          uint8_t *text,
                          size_t len,
                          struct ceremony_envelope *ret_envelope,
                          struct auth_fault *fault)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(16);
    struct jval value;
    struct span key;
    *ret_envelope = (struct ceremony_envelope){.purpose = purpose};
    CC_TRY(open_body(&doc, text, len, fault));
    const struct jval root = jdoc_root(&doc);
    struct jval_iter iter = jval_iterate(root);
    while (jval_next_member(&iter, &key, &value))
        CC_TRY(read_part(purpose, key, value, ret_envelope, fault));
    const bool needs_digest = purpose == SEAL_TO_REGISTER || purpose == SEAL_TO_APPROVE;
    if (needs_digest && !jval_member(root, "digest", &value))
        return missing(fault, "digest");
    const bool bare = purpose == SEAL_TO_APPROVE && !ret_envelope->name[0] && !ret_envelope->len;
    if (!bare && !ret_envelope->name[0])
        return missing(fault, "name");
    return bare || ret_envelope->len ? CC_OK : missing(fault, "envelope");
}

CC_ERR
seal_body_key(uint8_t *text, size_t len, uint8_t ret_key[static 32], struct auth_fault *fault)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(8);
    struct jval value;
    CC_TRY(open_body(&doc, text, len, fault));
    if (jval_count(jdoc_root(&doc)) != 1 || !jval_member(jdoc_root(&doc), "public_key", &value))
        return missing(fault, "public_key");
    return read_digest(fault, value, "public_key", ret_key);
}

/* --- images --------------------------------------------------------------------------------------------------------------------------- */

static cc_err
read_pcr(struct auth_fault *fault, struct jval value, const char *place, uint8_t to[SEAL_PCR_SIZE])
{
    struct span text;
    if (jval_text(value, &text).code || text.len != 2 * (size_t)SEAL_PCR_SIZE ||
        hex_decode(text, to, SEAL_PCR_SIZE).code)
        return fault_at(fault, "not 48 bytes in hex", "%s", place);
    return CC_OK;
}

static cc_err read_image_part(struct span key,
                              struct jval value,
                              struct seal_image *image,
                              bool *remove,
                              struct auth_fault *fault)
{
    if (span_is(key, "pcr0"))
        return read_pcr(fault, value, "pcr0", image->pcr0);
    if (span_is(key, "pcr8"))
        return read_pcr(fault, value, "pcr8", image->pcr8);
    if (!span_is(key, "remove"))
        return fault_at(fault, "an unknown member", "%s", "");
    return !jval_bool(value, remove).code && *remove ? CC_OK
                                                     : fault_at(fault, "not true", "%s", "remove");
}

CC_ERR seal_body_image(uint8_t *text,
                       size_t len,
                       struct seal_image *ret_image,
                       bool *ret_remove,
                       struct auth_fault *fault)
{
    CC_CLEANUP(jdoc_release) struct jdoc doc = jdoc_init(16);
    struct jval value;
    struct span key;
    *ret_image = (struct seal_image){.pcr0 = {0}};
    *ret_remove = false;
    CC_TRY(open_body(&doc, text, len, fault));
    const struct jval root = jdoc_root(&doc);
    struct jval_iter iter = jval_iterate(root);
    while (jval_next_member(&iter, &key, &value))
        CC_TRY(read_image_part(key, value, ret_image, ret_remove, fault));
    if (!jval_member(root, "pcr0", &value))
        return missing(fault, "pcr0");
    return *ret_remove && jval_member(root, "pcr8", &value)
               ? fault_at(fault, "goes by pcr0 alone", "%s", "remove")
               : CC_OK;
}

/* --- purposes ---------------------------------------------------------------------------------------------------------------------------- */

static const char *const purposes[] = {[SEAL_TO_REGISTER] = "register",
                                       [SEAL_TO_UNSEAL] = "unseal",
                                       [SEAL_TO_APPROVE] = "approve",
                                       [SEAL_TO_REHEARSE] = "rehearse",
                                       [SEAL_TO_BREAK_GLASS] = "break_glass"};

uint32_t seal_body_purpose(struct span word)
{
    for (uint32_t i = SEAL_TO_REGISTER; i <= SEAL_TO_BREAK_GLASS; i++)
        if (span_is(word, purposes[i]))
            return i;
    return 0;
}

const char *seal_body_purpose_name(uint32_t purpose)
{
    return purpose >= SEAL_TO_REGISTER && purpose <= SEAL_TO_BREAK_GLASS ? purposes[purpose] : "";
}
