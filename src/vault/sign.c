#include "vault/sign.h"

#include "eth/signing_root.h"

_Static_assert(SIGN_BATCH_MAX <= DOOR_FIT(sizeof(struct b_signed)),
               "a batch's answer is one message");

/* consensus-specs phase0: DOMAIN_BEACON_PROPOSER, DOMAIN_BEACON_ATTESTER. */
static const uint8_t domain_proposer[4] = {0, 0, 0, 0};
static const uint8_t domain_attester[4] = {1, 0, 0, 0};

static bool is_type(const struct eth_domain *domain, const uint8_t type[static 4])
{
    return span_equal(span_of(domain->bytes, 4), span_of(type, 4));
}

static struct signing_root
claim_root(const struct b_sign *r, const struct eth_root *object, const uint8_t type[static 4])
{
    struct eth_domain domain;
    domain_compute(type, &r->version, &r->genesis_validators_root, &domain);
    return signing_root_of(object, &domain);
}

/* What one request asks for, in the form that floor and signature need. */
struct admission {
    struct slash_block block;
    struct slash_attestation attestation;
    struct key_claim claim;
};

static void claim_block(const struct b_sign *r, struct admission *a, struct signing_root *ret_root)
{
    const struct eth_root object = block_header_root(&r->body.block);
    *ret_root = claim_root(r, &object, domain_proposer);
    a->block = (struct slash_block){r->body.block.slot, true, *ret_root};
    a->claim.block = &a->block;
}

static void
claim_attestation(const struct b_sign *r, struct admission *a, struct signing_root *ret_root)
{
    const struct eth_attestation_data *data = &r->body.attestation;
    const struct eth_root object = attestation_data_root(data);
    *ret_root = claim_root(r, &object, domain_attester);
    a->attestation =
        (struct slash_attestation){data->source.epoch, data->target.epoch, true, *ret_root};
    a->claim.attestation = &a->attestation;
}

static cc_err object_root(const struct b_sign *r, struct signing_root *ret_root)
{
    const struct eth_domain *domain = &r->body.object.domain;
    if (is_type(domain, domain_proposer) || is_type(domain, domain_attester))
        return CC_FAIL(PROTOCOL, "a slashable domain without its claim");
    *ret_root = signing_root_of(&r->body.object.root, domain);
    return CC_OK;
}

/* Computes the root of any request; for blocks and attestations also what the floor is asked. */
static cc_err root_of(const struct b_sign *r, struct admission *a, struct signing_root *ret_root)
{
    if (r->claim == B_CLAIM_OBJECT)
        return object_root(r, ret_root);
    if (r->claim == B_CLAIM_BLOCK)
        claim_block(r, a, ret_root);
    else if (r->claim == B_CLAIM_ATTESTATION)
        claim_attestation(r, a, ret_root);
    else
        return CC_FAIL(PROTOCOL, "unknown claim");
    return CC_OK;
}

static cc_err admit(struct key_table *keys, const struct b_sign *r, struct b_signed *answer)
{
    struct admission a = {.claim = {NULL, NULL}};
    struct slash_verdict verdict = {.rule = SLASH_SAFE};
    CC_TRY(root_of(r, &a, &answer->root));
    cc_err err = key_table_admit(keys, r->key, &r->pubkey, &a.claim, &verdict);
    if (error_is(err, ERROR_SLASHABLE)) {
        answer->earlier_slot = verdict.earlier_slot;
        answer->earlier_source = verdict.earlier_source;
        answer->earlier_target = verdict.earlier_target;
    }
    return err;
}

static bool same_root(const struct signing_root *a, const struct signing_root *b)
{
    return span_equal(span_of(a, sizeof *a), span_of(b, sizeof *b));
}

/* Signs request `first` and all later ones of the same root, with one hash. */
static void sign_group(struct key_table *keys,
                       const struct b_sign *requests,
                       size_t n,
                       size_t first,
                       struct b_signed *answers,
                       bool *done)
{
    struct bls_hash hash;
    bls_hash(answers[first].root.bytes, &hash);
    for (size_t i = first; i < n; i++) {
        if (done[i] || !same_root(&answers[i].root, &answers[first].root))
            continue;
        cc_err err = key_table_sign(keys, requests[i].key, &hash, &answers[i].signature);
        answers[i].error = (uint32_t)err.code;
        done[i] = true;
    }
}

void sign_batch(struct key_table *keys,
                const struct b_sign *requests,
                size_t n,
                struct b_signed *ret_answers)
{
    bool done[SIGN_BATCH_MAX] = {false};
    cc_assert(n <= SIGN_BATCH_MAX);
    for (size_t i = 0; i < n; i++) {
        ret_answers[i] = (struct b_signed){.id = requests[i].id};
        cc_err err = admit(keys, &requests[i], &ret_answers[i]);
        ret_answers[i].error = (uint32_t)err.code;
        done[i] = err.code != 0;
    }
    for (size_t i = 0; i < n; i++) {
        if (!done[i])
            sign_group(keys, requests, n, i, ret_answers, done);
    }
}
