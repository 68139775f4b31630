#include "core/documents.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"

_Static_assert((int)D_SPKI_DIGEST_SIZE == (int)ATTEST_SPKI_DIGEST_SIZE, "SHA-384");
_Static_assert((int)D_WRAPPED_SHARE_MAX == (int)SEAL_KMS_CIPHERTEXT_MAX, "a ciphertext fits");

struct documents {
    int fd;
    uint32_t life;
    pthread_mutex_t lock; /* whose turn it is: of all below */
    uint64_t last_id;
    struct door_message message;
};

CC_ERR documents_new(int fd, uint32_t life, struct documents **ret_documents)
{
    struct documents *d = cc_alloc(sizeof *d);
    if (!d)
        return CC_FAIL(NO_MEMORY, NULL);
    d->fd = fd;
    d->life = life;
    cc_assert(pthread_mutex_init(&d->lock, NULL) == 0);
    *ret_documents = d;
    return CC_OK;
}

void documents_free(struct documents *documents)
{
    if (!documents)
        return;
    fd_closep(&documents->fd);
    (void)pthread_mutex_destroy(&documents->lock);
    cc_free(documents);
}

static void documents_unlockp(struct documents **documents)
{
    cc_assert(pthread_mutex_unlock(&(*documents)->lock) == 0);
}

/* For the rest of the scope. */
#define MY_TURN(documents)                                                                         \
    CC_CLEANUP(documents_unlockp) struct documents *locked_ = (documents);                         \
    cc_assert(pthread_mutex_lock(&locked_->lock) == 0)

/* What each answer begins with. */
struct answer_head {
    uint64_t id;
    uint32_t error;
};

/* Every question begins with its id. */
static cc_err ask(struct documents *d, uint16_t type, void *item, size_t size, uint16_t answer_type)
{
    const uint64_t id = ++d->last_id;
    struct answer_head head;
    memcpy(item, &id, sizeof id);
    CC_TRY(door_send(d->fd, d->life, type, item, size, 1));
    CC_TRY(door_receive(d->fd, d->life, door_documents_to_core, &d->message));
    memcpy(&head, d->message.items, sizeof head);
    if (d->message.head.type != answer_type || head.id != id)
        return CC_FAIL(PROTOCOL, "the vault answers another question");
    const cc_err err = error_from_number(head.error);
    return err.code ? error_make((enum error_code)err.code, "the vault refused", __FILE__, __LINE__)
                    : CC_OK;
}

static cc_err take_document(const struct documents *d, struct buf *ret_document)
{
    const struct d_document *answer = (const void *)d->message.items;
    if (answer->len == 0 || answer->len > sizeof answer->bytes)
        return CC_FAIL(PROTOCOL, "length of a document");
    return buf_append(ret_document, answer->bytes, answer->len);
}

CC_ERR documents_ask(struct documents *documents,
                     enum attest_purpose purpose,
                     const uint8_t *spki_digest,
                     struct span nonce,
                     struct buf *ret_document)
{
    struct d_ask question = {.purpose = purpose, .nonce_len = (uint32_t)nonce.len};
    if (nonce.len > sizeof question.nonce)
        return CC_FAIL(LIMIT, "a nonce that is longer than it may be");
    if (nonce.len)
        memcpy(question.nonce, nonce.data, nonce.len);
    if (spki_digest)
        memcpy(question.spki_digest, spki_digest, sizeof question.spki_digest);
    MY_TURN(documents);
    CC_TRY(ask(documents, D_ASK, &question, sizeof question, D_DOCUMENT));
    return take_document(documents, ret_document);
}

CC_ERR documents_vouch(struct documents *documents,
                       const struct enclave_root_record *record,
                       struct buf *ret_document)
{
    CC_CLEANUP(cc_freep) struct d_vouch *question = cc_alloc(sizeof *question);
    if (!question)
        return CC_FAIL(NO_MEMORY, NULL);
    question->count = record->count;
    for (uint32_t i = 0; i < record->count; i++) {
        question->keys[i].len = record->keys[i].len;
        memcpy(question->keys[i].ciphertext, record->keys[i].ciphertext, record->keys[i].len);
    }
    MY_TURN(documents);
    CC_TRY(ask(documents, D_VOUCH, question, sizeof *question, D_DOCUMENT));
    return take_document(documents, ret_document);
}

CC_ERR documents_open(struct documents *documents,
                      const struct d_open *sealed,
                      char ret_text[static D_TEXT_MAX],
                      uint32_t *ret_len)
{
    struct d_open question = *sealed;
    MY_TURN(documents);
    cc_err err = ask(documents, D_OPEN, &question, sizeof question, D_TEXT);
    const struct d_text *answer = (const void *)documents->message.items;
    if (!err.code && (answer->len == 0 || answer->len >= sizeof answer->text))
        err = CC_FAIL(PROTOCOL, "length of a text");
    if (!err.code) {
        memcpy(ret_text, answer->text, sizeof answer->text);
        *ret_len = answer->len;
    }
    door_message_wipe(&documents->message);
    return err;
}
