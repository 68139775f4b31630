/* What a signer answers to an operator's command: a challenge and a proposal. They are refused, or they are what this program makes: a challenge
 * of nobody is accepted from nobody, and of a proposal the digest is that of what is shown.
 */
#include "cli/operator_challenge.h"
#include "cli/operator_image.h"
#include "cli/operator_proposal.h"
#include "seal/challenge.h"
#include "seal/proposal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_challenge(struct jval root)
{
    static const struct pinned nobody = {.identity = {1}};
    struct seal_challenge challenge;
    struct challenge_bytes bytes;
    if (challenge_parse(root, &challenge).code)
        return;
    cc_assert(challenge.name[SEAL_NAME_SIZE - 1] == 0 && challenge.hint_len <= SEAL_HINT_MAX);
    if (!challenge_check(&challenge).code)
        challenge_encode(&challenge, &bytes);
    const struct challenge_wanted wanted = {&nobody, challenge.purpose, challenge.name,
                                            challenge.issued};
    cc_assert(challenge_accept(&challenge, &wanted).code);
}

static void try_image(struct jval root)
{
    struct auto_proposed *proposal = NULL;
    if (operator_image_read(root, &proposal).code)
        return;
    struct buf words = buf_init(1 << 14);
    cc_assert(!operator_image_describe(proposal, &words).code);
    for (size_t i = 0; i < words.len; i++)
        cc_assert(words.data[i] == '\n' || (words.data[i] >= 0x20 && words.data[i] < 0x7f));
    cc_assert(!proposal_auto_check(&proposal->proposal).code);
    buf_release(&words);
    operator_image_free(proposal);
}

static void try_proposal(struct jval root)
{
    struct operator_proposal *proposal = NULL;
    uint8_t digest[32];
    if (operator_proposal_read(root, &proposal).code)
        return;
    struct buf words = buf_init(1 << 16);
    cc_assert(!operator_proposal_describe(proposal, &words).code);
    for (size_t i = 0; i < words.len; i++)
        cc_assert(words.data[i] == '\n' || (words.data[i] >= 0x20 && words.data[i] < 0x7f));
    proposal_digest(&proposal->proposal, digest);
    cc_assert(span_equal(span_of(digest, 32), span_of(proposal->digest, 32)));
    buf_release(&words);
    operator_proposal_free(proposal);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf text = buf_init(1 << 20);
    struct jdoc doc = jdoc_init(1 << 14);
    if (!buf_append(&text, data, size).code && size && !jdoc_parse(&doc, text.data, size).code) {
        try_challenge(jdoc_root(&doc));
        try_proposal(jdoc_root(&doc));
        try_image(jdoc_root(&doc));
    }
    jdoc_release(&doc);
    buf_release(&text);
    return 0;
}
