#include "core/vault_call.h"

#include <string.h>

#include "base/alloc.h"

/* Every message of door B that has one item begins with its id. */
static cc_err
ask(struct vault_call *call, uint16_t type, void *item, size_t size, uint16_t answer_type)
{
    uint64_t id = ++call->last_id;
    uint64_t echoed = 0;
    memcpy(item, &id, sizeof id);
    CC_TRY(door_send(call->fd, call->life, type, item, size, 1));
    CC_TRY(door_receive(call->fd, call->life, door_b_to_core, &call->message));
    memcpy(&echoed, call->message.items, sizeof echoed);
    if (call->message.head.type != answer_type || echoed != id)
        return CC_FAIL(PROTOCOL, "the vault answers another question");
    return CC_OK;
}

static cc_err from_vault(uint32_t error)
{
    cc_err err = error_from_number(error);
    return err.code ? error_make((enum error_code)err.code, "the vault refused", __FILE__, __LINE__)
                    : CC_OK;
}

CC_ERR vault_call_create(struct vault_call *call, struct b_chamber *ret_chamber)
{
    struct b_create question = {0};
    struct b_chamber chamber;
    CC_TRY(ask(call, B_CREATE, &question, sizeof question, B_CHAMBER));
    memcpy(&chamber, call->message.items, sizeof chamber);
    CC_TRY(from_vault(chamber.error));
    *ret_chamber = chamber;
    return CC_OK;
}

CC_ERR
vault_call_open(struct vault_call *call, const struct b_chamber *chamber, enum b_memory *ret_memory)
{
    struct b_chamber question = *chamber;
    struct b_chamber answer;
    CC_TRY(ask(call, B_OPEN, &question, sizeof question, B_CHAMBER));
    memcpy(&answer, call->message.items, sizeof answer);
    CC_TRY(from_vault(answer.error));
    *ret_memory = (enum b_memory)answer.memory;
    return CC_OK;
}

CC_ERR vault_call_make_set(struct vault_call *call,
                           const struct seal_proposal *proposal,
                           struct seal_set *ret_set)
{
    struct b_set_make question = {.proposal = *proposal};
    const struct b_set *answer = (const void *)call->message.items;
    CC_TRY(ask(call, B_SET_MAKE, &question, sizeof question, B_SET));
    CC_TRY(from_vault(answer->error));
    *ret_set = answer->set;
    return CC_OK;
}

CC_ERR vault_call_open_set(struct vault_call *call,
                           const struct seal_set *set,
                           struct b_seal_state *ret_state)
{
    CC_CLEANUP(cc_freep) struct b_set *question = cc_alloc(sizeof *question);
    if (!question)
        return CC_FAIL(NO_MEMORY, NULL);
    question->which = B_SET_PRESENT;
    question->set = *set;
    CC_TRY(ask(call, B_SET_OPEN, question, sizeof *question, B_SEAL_STATE));
    memcpy(ret_state, call->message.items, sizeof *ret_state);
    return from_vault(ret_state->error);
}

CC_ERR vault_call_seal_state(struct vault_call *call, struct b_seal_state *ret_state)
{
    struct b_set_drop question = {.what = B_DROP_PENDING};
    CC_TRY(ask(call, B_SET_DROP, &question, sizeof question, B_SEAL_STATE));
    memcpy(ret_state, call->message.items, sizeof *ret_state);
    return from_vault(ret_state->error);
}

static cc_err digest(struct vault_call *call,
                     enum b_digest_purpose purpose,
                     const uint8_t bytes[static 32],
                     uint8_t *ret_proof,
                     size_t size)
{
    struct b_digest question = {.purpose = purpose};
    struct b_proof answer;
    memcpy(question.digest, bytes, sizeof question.digest);
    CC_TRY(ask(call, B_DIGEST, &question, sizeof question, B_PROOF));
    memcpy(&answer, call->message.items, sizeof answer);
    CC_TRY(from_vault(answer.error));
    if (answer.len != size)
        return CC_FAIL(PROTOCOL, "length of a proof");
    memcpy(ret_proof, answer.bytes, size);
    return CC_OK;
}

cc_err vault_call_sign_head(void *context,
                            const uint8_t digest_bytes[static SHA256_SIZE],
                            uint8_t ret_signature[static ED25519_SIGNATURE_SIZE])
{
    return digest(context, B_PURPOSE_STATE_HEAD, digest_bytes, ret_signature,
                  ED25519_SIGNATURE_SIZE);
}

CC_ERR vault_call_prove_history(struct vault_call *call,
                                const uint8_t digest_bytes[static 32],
                                uint8_t ret_proof[static 32])
{
    return digest(call, B_PURPOSE_HISTORY, digest_bytes, ret_proof, 32);
}

CC_ERR vault_call_hello(struct vault_call *call,
                        const uint8_t digest_bytes[static 32],
                        const uint8_t proof[static 32])
{
    struct b_hello question = {0};
    struct b_answer answer;
    memcpy(question.history_id, digest_bytes, sizeof question.history_id);
    memcpy(question.proof, proof, sizeof question.proof);
    CC_TRY(ask(call, B_HELLO, &question, sizeof question, B_ANSWER));
    memcpy(&answer, call->message.items, sizeof answer);
    return from_vault(answer.error);
}

cc_err vault_call_sign_hand_over(void *context,
                                 const uint8_t digest_bytes[static SHA256_SIZE],
                                 uint8_t ret_signature[static ED25519_SIGNATURE_SIZE])
{
    return digest(context, B_PURPOSE_HAND_OVER, digest_bytes, ret_signature,
                  ED25519_SIGNATURE_SIZE);
}

static cc_err subkey(struct vault_call *call, struct b_subkey *question, uint8_t ret_key[static 32])
{
    CC_TRY(ask(call, B_SUBKEY, question, sizeof *question, B_SUBKEY_IS));
    struct b_subkey_is *answer = (void *)call->message.items;
    cc_err err = from_vault(answer->error);
    if (!err.code)
        memcpy(ret_key, answer->key, sizeof answer->key);
    door_message_wipe(&call->message);
    return err;
}

CC_ERR vault_call_history_key(struct vault_call *call, uint8_t ret_key[static 32])
{
    struct b_subkey question = {.purpose = B_SUBKEY_MIRROR};
    return subkey(call, &question, ret_key);
}

CC_ERR vault_call_token_key(struct vault_call *call, uint8_t ret_key[static 32])
{
    struct b_subkey question = {.purpose = B_SUBKEY_TOKENS};
    return subkey(call, &question, ret_key);
}

CC_ERR vault_call_audit_key(struct vault_call *call,
                            const uint8_t replica[static B_CONTEXT_SIZE],
                            uint64_t segment,
                            uint8_t ret_key[static 32])
{
    struct b_subkey question = {.purpose = B_SUBKEY_AUDIT, .index = segment};
    memcpy(question.context, replica, sizeof question.context);
    return subkey(call, &question, ret_key);
}

static cc_err take_page(const struct b_key_list *page, struct registry_key **keys, size_t *count)
{
    if (page->count > B_KEY_LIST_CHUNK || *count + page->count > REGISTRY_MAX)
        return CC_FAIL(PROTOCOL, "list of held keys");
    struct registry_key *grown = cc_realloc_array(*keys, *count + page->count + 1, sizeof **keys);
    if (!grown)
        return CC_FAIL(NO_MEMORY, NULL);
    *keys = grown;
    for (uint32_t i = 0; i < page->count; i++)
        grown[(*count)++] =
            (struct registry_key){page->keys[i].pubkey, page->keys[i].key, page->keys[i].sources};
    return CC_OK;
}

CC_ERR vault_call_root_make(struct vault_call *call,
                            uint32_t threshold,
                            uint32_t count,
                            struct b_root_made *ret_made)
{
    struct b_root_make question = {.threshold = threshold, .count = count};
    CC_TRY(ask(call, B_ROOT_MAKE, &question, sizeof question, B_ROOT_MADE));
    memcpy(ret_made, call->message.items, sizeof *ret_made);
    door_message_wipe(&call->message);
    CC_TRY(from_vault(ret_made->error));
    return ret_made->count == count ? CC_OK : CC_FAIL(PROTOCOL, "the number of a root's shares");
}

CC_ERR vault_call_root_open(struct vault_call *call,
                            const struct b_root_open *root,
                            struct b_root_state *ret_state)
{
    struct b_root_open question = *root;
    CC_TRY(ask(call, B_ROOT_OPEN, &question, sizeof question, B_ROOT_STATE));
    memcpy(ret_state, call->message.items, sizeof *ret_state);
    return from_vault(ret_state->error);
}

CC_ERR vault_call_root_share(struct vault_call *call,
                             uint32_t index,
                             const struct seal_sealed_share *sealed,
                             struct b_root_state *ret_state)
{
    struct b_root_share question = {.index = index, .sealed = *sealed};
    CC_TRY(ask(call, B_ROOT_SHARE, &question, sizeof question, B_ROOT_STATE));
    memcpy(ret_state, call->message.items, sizeof *ret_state);
    return from_vault(ret_state->error);
}

CC_ERR vault_call_held(struct vault_call *call, struct registry_key **ret_keys, size_t *ret_count)
{
    CC_CLEANUP(cc_freep) struct b_key_list *page = cc_alloc(sizeof *page);
    CC_CLEANUP(cc_freep) struct registry_key *keys = NULL;
    size_t count = 0;
    uint32_t from = 0;
    if (!page)
        return CC_FAIL(NO_MEMORY, NULL);
    do {
        struct b_keys question = {.from_index = from};
        CC_TRY(ask(call, B_KEYS, &question, sizeof question, B_KEY_LIST));
        memcpy(page, call->message.items, sizeof *page);
        CC_TRY(take_page(page, &keys, &count));
        if (page->next_index && page->next_index <= from)
            return CC_FAIL(PROTOCOL, "list of held keys goes in a circle");
        from = page->next_index;
    } while (from);
    *ret_keys = keys;
    *ret_count = count;
    keys = NULL;
    return CC_OK;
}
