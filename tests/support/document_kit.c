#include "support/document_kit.h"

#include <string.h>

#include "aws/kms_envelope.h"
#include "support/envelope_kit.h"
#include "support/test.h"

void document_vault_make(struct vault *vault,
                         enum room_mode mode,
                         const struct tee_root_config *config,
                         struct nsm *nsm)
{
    *vault = (struct vault){.root_config = config, .nsm = nsm};
    assert_int_equal(arena_new(1, 64, &vault->arena).code, 0);
    assert_int_equal(chamber_new(vault->arena, &vault->chamber).code, 0);
    assert_int_equal(root_new(vault->arena, vault->chamber, &vault->root).code, 0);
    assert_int_equal(recipient_new(&vault->recipient).code, 0);
    chamber_set_mode(vault->chamber, mode);
}

void document_vault_end(struct vault *vault)
{
    recipient_free(vault->recipient);
    root_free(vault->root);
    chamber_free(vault->chamber);
    arena_free(vault->arena);
    *vault = (struct vault){.arena = NULL};
}

const void *document_ask(struct vault *vault, uint16_t type, const void *item, size_t size)
{
    static struct door_message question;
    static struct door_message answer;
    memcpy(question.items, item, size);
    question.head = (struct door_head){
        .version = DOOR_VERSION, .type = type, .life = 1, .count = 1, .item_size = (uint32_t)size};
    assert_int_equal(
        door_check(&question, sizeof question.head + size, 1, door_documents_to_vault).code, 0);
    document_door_answer(vault, &question, &answer);
    assert_int_equal(answer.head.count, 1);
    assert_int_equal(answer.head.type, type == D_OPEN ? D_TEXT : D_DOCUMENT);
    return answer.items;
}

struct d_open document_envelope(const struct vault *vault, struct span plain)
{
    uint8_t der[RECIPIENT_PUBLIC_MAX];
    uint32_t der_len = 0;
    struct d_open item = {.id = 5};
    struct buf bytes = buf_init(KMS_ENVELOPE_MAX);
    struct buf ciphertext = buf_init(KMS_ENVELOPE_MAX);
    struct kms_envelope envelope;
    assert_int_equal(recipient_public(vault->recipient, der, &der_len).code, 0);
    envelope_make(span_of(der, der_len), plain, ENVELOPE_PIECES, 48, &bytes);
    assert_int_equal(kms_envelope_parse(buf_span(&bytes), &envelope, &ciphertext).code, 0);
    assert_true(ciphertext.len <= sizeof item.ciphertext);
    memcpy(item.wrapped, envelope.wrapped.data, sizeof item.wrapped);
    memcpy(item.iv, envelope.iv.data, sizeof item.iv);
    memcpy(item.ciphertext, ciphertext.data, ciphertext.len);
    item.len = (uint32_t)ciphertext.len;
    buf_release(&bytes);
    buf_release(&ciphertext);
    return item;
}
