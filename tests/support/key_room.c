#include "support/key_room.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#include "auth/scope.h"
#include "crypto/aead.h"
#include "crypto/bls.h"
#include "crypto/kdf.h"
#include "crypto/sha256.h"
#include "slash/records.h"
#include "support/test.h"

static const char password[] = "an easy one";

struct k_keystore test_keystore(unsigned n)
{
    uint8_t secret[32], key[32], image[48];
    struct bls_secret parsed;
    struct k_keystore k = {.has_pubkey = 1,
                           .kdf = K_KDF_PBKDF2_SHA256,
                           .c = 1,
                           .salt_len = 32,
                           .password_len = sizeof password - 1};
    memset(k.salt, (int)n, 32);
    memset(k.iv, (int)n + 1, sizeof k.iv);
    memcpy(k.password, password, sizeof password - 1);
    test_secret(n, secret);
    assert_int_equal(bls_secret_parse(secret, &parsed).code, 0);
    bls_secret_public(&parsed, k.pubkey.bytes);
    assert_int_equal(kdf_pbkdf2_sha256(span_of(k.password, k.password_len), span_of(k.salt, 32), 1,
                                       key, sizeof key)
                         .code,
                     0);
    assert_int_equal(aes128_ctr(key, k.iv, span_of(secret, 32), k.ciphertext).code, 0);
    memcpy(image, key + 16, 16);
    memcpy(image + 16, k.ciphertext, 32);
    sha256(span_of(image, sizeof image), k.checksum);
    test_know_pubkey(n, &k.pubkey);
    return k;
}

struct a_keys keys_ask(enum a_keys_verb verb)
{
    static uint64_t last_id = 7000000;
    static const enum auth_scope scopes[KEYS_VERB_END] = {
        [KEYS_LIST] = SCOPE_LIST_KEYS,        [KEYS_IMPORT] = SCOPE_IMPORT_KEYSTORES,
        [KEYS_DELETE] = SCOPE_DELETE_KEYS,    [KEYS_SET] = SCOPE_CHAMBER_KEYS_PATCH,
        [KEYS_PAUSE] = SCOPE_KEYS_PAUSE,      [KEYS_RESUME] = SCOPE_KEYS_PAUSE,
        [KEYS_TAKE] = SCOPE_IMPORT_KEYSTORES, [KEYS_GENERATE] = SCOPE_CHAMBER_KEYS_GENERATE,
    };
    struct a_keys ask = {.head = {.id = ++last_id, .verb = verb, .scope = scopes[verb]}};
    ask.head.caller.listener = LISTENER_UNIX;
    ask.head.caller.flags = CALLER_OWNER;
    if (verb == KEYS_GENERATE)
        ask.is.generate.total = 1;
    return ask;
}

struct a_keys keys_import(unsigned first, unsigned last)
{
    struct a_keys ask = keys_ask(KEYS_IMPORT);
    for (unsigned n = first; n <= last; n++)
        ask.is.imports[ask.head.count++].keystore = test_keystore(n);
    return ask;
}

struct a_keys keys_hold(unsigned first, unsigned last, uint32_t flags)
{
    struct a_keys ask = keys_import(first, last);
    ask.head.flags = KEYS_HOLD | flags;
    return ask;
}

struct a_keys keys_about(enum a_keys_verb verb, unsigned first, unsigned last)
{
    struct a_keys ask = keys_ask(verb);
    for (unsigned n = first; n <= last; n++)
        ask.is.keys[ask.head.count++] = test_pubkey(n);
    return ask;
}

cc_err keys_try(struct core_room *room, const struct a_keys *ask, struct a_keys_done *ret_done)
{
    struct door_message *message = calloc(1, sizeof *message);
    assert_non_null(message);
    cc_err err = door_send(room->front, room->front_life, A_KEYS, ask, sizeof *ask, 1);
    if (!err.code)
        err = door_receive(room->front, room->front_life, door_a_to_front, message);
    memset(ret_done, 0, sizeof *ret_done);
    if (!err.code && message->head.type == A_DENIED) {
        struct a_denied denied;
        memcpy(&denied, message->items, sizeof denied);
        assert_int_equal(denied.id, ask->head.id);
        ret_done->head.error = denied.error;
    } else if (!err.code) {
        assert_int_equal(message->head.type, A_KEYS_DONE);
        memcpy(ret_done, message->items, sizeof *ret_done);
        assert_int_equal(ret_done->head.id, ask->head.id);
    }
    free(message);
    return err;
}

struct a_keys_done keys_do(struct core_room *room, const struct a_keys *ask)
{
    struct a_keys_done done;
    assert_int_equal(keys_try(room, ask, &done).code, 0);
    return done;
}

void keys_expect(struct core_room *room, const struct a_keys *ask, enum a_key_outcome outcome)
{
    const struct a_keys_done done = keys_do(room, ask);
    assert_int_equal(done.head.error, 0);
    assert_int_equal(done.head.count, ask->head.count);
    for (uint32_t i = 0; i < done.head.count; i++) {
        assert_int_equal(done.items[i].error, 0);
        assert_int_equal(done.items[i].outcome, outcome);
    }
}

uint64_t keys_merge(struct core_room *room, unsigned first, unsigned last, uint64_t target)
{
    struct a_slashing *ask = calloc(1, sizeof *ask);
    struct door_message *message = calloc(1, sizeof *message);
    struct a_slashing_head head;
    assert_true(ask && message);
    ask->head = (struct a_slashing_head){
        .id = 6000000, .verb = SLASHING_IMPORT, .scope = SCOPE_IMPORT_KEYSTORES};
    ask->head.caller = keys_ask(KEYS_IMPORT).head.caller;
    ask->head.has_genesis = true;
    ask->head.genesis_validators_root =
        test_attestation(first, 0, 1, 1).request.fork_info.genesis_validators_root;
    for (unsigned n = first; n <= last; n++) {
        const struct slash_attestation vote = {.source = target - 1, .target = target};
        const struct eth_pubkey pubkey = test_pubkey(n);
        ask->records[ask->head.count++] = slash_record_of_key(&pubkey, true);
        ask->records[ask->head.count++] = slash_record_of_attestation(&vote);
    }
    assert_int_equal(door_send(room->front, room->front_life, A_SLASHING, ask, sizeof *ask, 1).code,
                     0);
    assert_int_equal(door_receive(room->front, room->front_life, door_a_to_front, message).code, 0);
    assert_int_equal(message->head.type, A_SLASHED);
    memcpy(&head, message->items, sizeof head);
    assert_int_equal(head.error, 0);
    free(ask);
    free(message);
    return head.validators;
}

void keys_import_with_data(struct core_room *room, unsigned first, unsigned last, uint64_t target)
{
    const struct a_keys hold = keys_hold(first, last, 0);
    const struct a_keys take = keys_about(KEYS_TAKE, first, last);
    keys_expect(room, &hold, A_KEY_OPENED);
    assert_int_equal(keys_merge(room, first, last, target), last - first + 1);
    keys_expect(room, &take, A_KEY_IMPORTED);
}

struct a_key_item keys_listed(struct core_room *room, unsigned n)
{
    struct a_keys ask = keys_ask(KEYS_LIST);
    const struct eth_pubkey pubkey = test_pubkey(n);
    ask.head.scope =
        SCOPE_CHAMBER_KEYS_LIST; /* it says what there is, also where that is not all */
    for (;;) {
        const struct a_keys_done done = keys_do(room, &ask);
        assert_int_equal(done.head.error, 0);
        for (uint32_t i = 0; i < done.head.count; i++)
            if (memcmp(&done.items[i].pubkey, &pubkey, sizeof pubkey) == 0)
                return done.items[i];
        if (!(done.head.flags & KEYS_MORE))
            return (struct a_key_item){0};
        ask.head.flags = KEYS_HAS_AFTER;
        ask.head.after = done.head.after;
    }
}

void keys_await(struct core_room *room, unsigned n, enum a_key_status status)
{
    const uint64_t until_ms = clock_mono_ms() + 30000;
    while (keys_listed(room, n).status != (uint8_t)status) {
        assert_true(clock_mono_ms() < until_ms);
        const struct timespec moment = {0, 2000000};
        (void)nanosleep(&moment, NULL);
    }
}
