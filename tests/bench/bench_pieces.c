#include "bench_pieces.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench_request.h"
#include "codec/hex.h"
#include "core/sign_path.h"
#include "crypto/sha256.h"
#include "eth/request_json.h"
#include "eth/signing_root.h"
#include "front/answer.h"
#include "slash/store.h"
#include "vault/sign.h"

static struct {
    /* What stays. */
    struct eth_network network;
    struct authority *authority;
    struct sign_rules rules;
    struct slash_store *history;
    struct arena *arena;
    struct key_table *keys;
    struct batch_signer *signer;
    struct sign_work *work;
    struct jdoc doc;
    struct buf out;
    size_t key_count;
    char names[PIECE_BATCH_MAX][BENCH_NAME_SIZE];
    struct eth_pubkey pubkeys[PIECE_BATCH_MAX];
    struct key_handle handles[PIECE_BATCH_MAX];
    struct bench_source source;
    /* The batch. */
    uint64_t next;
    size_t n;
    char texts[PIECE_BATCH_MAX][2 * BENCH_MESSAGE_MAX];
    size_t lengths[PIECE_BATCH_MAX];
    struct sign_request requests[PIECE_BATCH_MAX];
    struct sign_outcome outcomes[PIECE_BATCH_MAX];
    struct slash_claim claims[PIECE_BATCH_MAX];
    struct slash_verdict verdicts[PIECE_BATCH_MAX];
    struct b_sign messages[PIECE_BATCH_MAX];
    struct b_signed answers[PIECE_BATCH_MAX];
} all;

void bench_must(cc_err err)
{
    if (!err.code)
        return;
    (void)fprintf(stderr, "%s: %s\n", error_name(err), error_detail());
    exit(1);
}

static void must_be(bool condition, const char *what)
{
    bench_must(condition ? CC_OK : CC_FAIL(PROTOCOL, what));
}

/* --- set-up ----------------------------------------------------------------------------------------------- */

static void open_rules(void)
{
    static const struct auth_config auth = {.mode = AUTH_OPEN,
                                            .open_operations = {.count = 1, .items = {"*"}}};
    const struct authority_settings settings = {.auth = &auth, .data_dir = "/nonexistent"};
    static const char root[] = "04700007fabc8282644aed6d1c7c9e21d38a03a0c4ba193f3afe428824b3a673";
    bench_must(network_load("minimal", &all.network));
    bench_must(authority_new(&settings, &all.authority));
    all.rules = (struct sign_rules){
        .network = &all.network, .has_genesis_validators_root = true, .max_future_epochs = 2};
    bench_must(hex_decode(span_str(root), all.rules.genesis_validators_root.bytes,
                          sizeof all.rules.genesis_validators_root.bytes));
}

static void open_history(const char *directory)
{
    char path[PATH_MAX];
    int holder;
    const struct slash_identity identity = {.history_id = {1}};
    (void)snprintf(path, sizeof path, "%s/history.sqlite", directory);
    bench_must(slash_sqlite_create(path, false, &identity));
    bench_must(slash_sqlite_open(path, false, &all.history, &holder));
    bench_must(slash_register_keys(all.history, all.pubkeys, all.key_count, NULL));
}

static void open_keys(enum batch_engine engine)
{
    bench_must(arena_new(all.key_count, all.key_count, &all.arena));
    bench_must(key_table_new(all.arena, (uint32_t)all.key_count, &all.keys));
    for (size_t i = 0; i < all.key_count; i++) {
        uint8_t scalar[BLS_SECRET_SIZE];
        struct bls_secret secret;
        bool existed;
        sha256(span_of(&i, sizeof i), scalar); /* as good as random */
        scalar[0] &= 0x3f;
        bench_must(bls_secret_parse(scalar, &secret));
        bls_secret_public(&secret, all.pubkeys[i].bytes);
        bench_must(key_table_add(all.keys, &secret, &all.pubkeys[i], &all.handles[i], &existed));
        memcpy(all.names[i], "0x", 2);
        hex_encode(all.pubkeys[i].bytes, sizeof all.pubkeys[i].bytes, all.names[i] + 2);
    }
    bench_must(batch_signer_new(engine, &all.signer));
    bench_must(sign_work_new(all.signer, &all.work));
}

void bench_pieces_open(const char *directory, size_t keys, enum batch_engine engine)
{
    must_be(keys <= PIECE_BATCH_MAX, "keys");
    all.key_count = keys;
    all.doc = jdoc_init(SIGN_TOKENS_MAX);
    all.out = buf_init(1 << 20);
    open_rules();
    open_keys(engine);
    open_history(directory);
    bench_source_init(&all.source, (const char(*)[BENCH_NAME_SIZE])all.names, keys,
                      BENCH_ROOTS_SHARED, BENCH_FIRST_EPOCH);
}

void bench_pieces_close(void)
{
    slash_store_close(all.history);
    sign_work_free(all.work);
    batch_signer_free(all.signer);
    key_table_free(all.keys);
    arena_free(all.arena);
    jdoc_release(&all.doc);
    buf_release(&all.out);
}

/* Keys in their order, epoch after epoch: no batch holds a key twice. */
void bench_pieces_begin(size_t n)
{
    must_be(n <= all.key_count, "more messages than keys");
    if (all.next % all.key_count + n > all.key_count)
        all.next += all.key_count - all.next % all.key_count;
    all.n = n;
    for (size_t i = 0; i < n; i++) {
        size_t len = bench_request_write(&all.source, all.next++, 1, false, all.texts[i]);
        struct span body = bench_answer_body(span_of(all.texts[i], len));
        memmove(all.texts[i], body.data, body.len);
        all.lengths[i] = body.len;
    }
}

/* --- pieces ---------------------------------------------------------------------------------------------------- */

static size_t key_of(size_t i)
{
    return (size_t)((all.next - all.n + i) % all.key_count);
}

static void parse(void)
{
    for (size_t i = 0; i < all.n; i++)
        bench_must(sign_request_parse(&all.doc, &all.network, (uint8_t *)all.texts[i],
                                      all.lengths[i], &all.pubkeys[key_of(i)], &all.requests[i]));
}

static void compute_roots(void)
{
    struct signing_parts parts;
    struct signing_root root;
    for (size_t i = 0; i < all.n; i++)
        bench_must(signing_root_compute(&all.network, &all.requests[i], &parts, &root));
}

static void judge(void)
{
    static const struct caller nobody = {0};
    for (size_t i = 0; i < all.n; i++) {
        const struct key_lookup key = {KEY_STATE_ACTIVE, true, all.handles[key_of(i)]};
        const struct auth_question question = sign_path_question(&all.requests[i]);
        struct auth_verdict verdict;
        authority_judge(all.authority, &nobody, &question, &verdict);
        sign_path_judge(&all.rules, &all.requests[i], &verdict, &key, 0, &all.outcomes[i]);
        must_be(all.outcomes[i].error == 0, "refused");
        all.claims[i] = all.outcomes[i].claim;
        all.messages[i] = all.outcomes[i].message;
    }
}

static void record(void)
{
    bench_must(slash_check_and_record(all.history, all.claims, all.n, all.verdicts));
    for (size_t i = 0; i < all.n; i++)
        must_be(all.verdicts[i].rule == SLASH_SAFE, "slashable");
}

static void sign(void)
{
    sign_batch(all.work, all.keys, all.messages, all.n, all.answers);
    for (size_t i = 0; i < all.n; i++)
        must_be(all.answers[i].error == 0, "not signed");
}

static void answer(void)
{
    for (size_t i = 0; i < all.n; i++) {
        all.out.len = 0;
        bench_must(answer_signature(&all.out, &all.answers[i].signature, true));
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} pieces[PIECE_END] = {
    [PIECE_PARSE] = {"parse", parse}, [PIECE_ROOT] = {"root", compute_roots},
    [PIECE_JUDGE] = {"judge", judge}, [PIECE_RECORD] = {"record", record},
    [PIECE_SIGN] = {"sign", sign},    [PIECE_ANSWER] = {"answer", answer},
};

const char *bench_piece_name(enum bench_piece piece)
{
    return pieces[piece].name;
}

void bench_piece_run(enum bench_piece piece)
{
    pieces[piece].run();
}
