#include "vault/sign.h"

#include "base/alloc.h"

#include "eth/signing_root.h"

/* No secret: what lies here only points at keys. */
struct sign_work {
    struct batch_work *batch;
    struct batch_item items[B_SIGN_MAX]; /* what is signed, the first `count` */
    struct key_hold holds[B_SIGN_MAX];   /* of each item */
    struct b_signed *answers[B_SIGN_MAX];
    size_t count;
};

CC_ERR sign_work_new(struct batch_signer *signer, struct sign_work **ret_work)
{
    struct sign_work *work = cc_alloc(sizeof *work);
    if (!work)
        return CC_FAIL(NO_MEMORY, "a batch");
    cc_err err = batch_work_new(signer, &work->batch);
    if (err.code) {
        sign_work_free(work);
        return err;
    }
    *ret_work = work;
    return CC_OK;
}

void sign_work_free(struct sign_work *work)
{
    if (!work)
        return;
    batch_work_free(work->batch);
    cc_free(work);
}

/* --- roots ------------------------------------------------------------------------------------------- */

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

/* A slot's duties ask for one root many times: what is equal in all that goes into it has the root of the one before. */
static bool same_message(const struct b_sign *a, const struct b_sign *b)
{
    return a->claim == b->claim &&
           span_equal(span_of(&a->version, sizeof a->version),
                      span_of(&b->version, sizeof b->version)) &&
           span_equal(span_of(&a->genesis_validators_root, sizeof a->genesis_validators_root),
                      span_of(&b->genesis_validators_root, sizeof b->genesis_validators_root)) &&
           span_equal(span_of(&a->body, sizeof a->body), span_of(&b->body, sizeof b->body));
}

/* --- the batch --------------------------------------------------------------------------------------- */

static void add_item(struct sign_work *work, const struct b_sign *request, struct b_signed *answer)
{
    const struct key_hold *held = &work->holds[work->count];
    work->items[work->count] = (struct batch_item){
        .secret = held->secret,
        .root = answer->root.bytes,
        .slot_public = held->pubkey->bytes,
        .claim_public = request->pubkey.bytes,
        .keep_on_blst = held->keep_on_blst,
        .ret_signature = answer->signature.bytes,
    };
    work->answers[work->count++] = answer;
}

static cc_err admit(struct sign_work *work,
                    struct key_table *keys,
                    const struct b_sign *r,
                    const struct admission *a,
                    struct b_signed *answer)
{
    struct slash_verdict verdict = {.rule = SLASH_SAFE};
    cc_err err =
        key_table_admit(keys, r->key, &r->pubkey, &a->claim, &verdict, &work->holds[work->count]);
    if (!err.code)
        add_item(work, r, answer);
    if (error_is(err, ERROR_SLASHABLE)) {
        answer->earlier_slot = verdict.earlier_slot;
        answer->earlier_source = verdict.earlier_source;
        answer->earlier_target = verdict.earlier_target;
    }
    return err;
}

static void sign_admitted(struct sign_work *work, struct key_table *keys)
{
    batch_sign(work->batch, work->items, work->count);
    for (size_t i = 0; i < work->count; i++) {
        work->answers[i]->error = work->items[i].error;
        key_table_let_go(keys, &work->holds[i]);
    }
}

void sign_batch(struct sign_work *work,
                struct key_table *keys,
                const struct b_sign *requests,
                size_t n,
                struct b_signed *ret_answers)
{
    struct admission admission;
    struct signing_root root;
    cc_err has_root = CC_OK;
    cc_assert(n <= B_SIGN_MAX);
    work->count = 0;
    for (size_t i = 0; i < n; i++) {
        const struct b_sign *r = &requests[i];
        if (i == 0 || !same_message(r, &requests[i - 1])) {
            admission = (struct admission){.claim = {NULL, NULL}};
            root = (struct signing_root){{0}};
            has_root = root_of(r, &admission, &root);
        }
        ret_answers[i] = (struct b_signed){.id = r->id, .root = root};
        cc_err err = has_root.code ? has_root : admit(work, keys, r, &admission, &ret_answers[i]);
        ret_answers[i].error = (uint32_t)err.code;
    }
    sign_admitted(work, keys);
}
