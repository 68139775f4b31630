/* Any packets from a core: each is refused or answered once, by the type that belongs to it; no two signatures of a key
 * conflict; no answer holds a byte of a key.
 *
 * Input: a byte of options, then packets, each behind its length (2 bytes, little-endian). A claim whose public key
 * begins with 0xAA is given one of the two loaded keys, so that the fuzzer need not guess 48 bytes; a row whose public key
 * does is given what is sealed for a third one, and its right place unless the next byte is odd. No row opens in another place. A
 * proposal whose chamber id begins with 0xAA is given what fits the present set; a set whose fingerprint does, the present one or the one
 * that was made last (by the next byte). No answer holds an unseal key or a key of rows, and none but B_SHARE a wrapping key or a share.
 */
#include <unistd.h>

#include "base/log.h"

#include "crypto/kdf.h"
#include "secret/ct.h"
#include "support/ledger.h"
#include "vault/core_door.h"
#include "vault/key_row.h"
#include "vault/sets_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    LIFE = 1,
    KEYS = 2,
    SLOTS = 64,
    OPTION_GREETED = 1,
    OPTION_INIT = 2,
    OPTION_OPEN = 4,
    OPTION_KNOWN = 16,    /* with OPEN: this life has seen a history */
    OPTION_CEREMONY = 32, /* the configuration allows ceremonies */
    OPTION_AUTO = 8,      /* the fastest engine there is, instead of blst */
    OPTION_NOBODY = 64,   /* no recipient of new keys' words */
    OPTION_ENCLAVE =
        128 /* with a key that KMS encrypts to; without OPEN no chamber.key was given */
};

static const uint8_t secrets[KEYS][32] = {
    {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xf1, 1,
     0x13, 0x24, 0x35, 0x46, 0x57, 0x68, 0x79, 0x8a, 0x9b, 0xac, 0xbd, 0xce, 0xdf, 0xe1, 0xf2, 2},
    {0x21, 0x32, 0x43, 0x54, 0x65, 0x76, 0x87, 0x98, 0xa9, 0xba, 0xcb, 0xdc, 0xed, 0xfe, 0x10, 3,
     0x31, 0x42, 0x53, 0x64, 0x75, 0x86, 0x97, 0xa8, 0xb9, 0xca, 0xdb, 0xec, 0xfd, 0x1e, 0x2f, 4}};

static const uint8_t stored_secret[32] = {
    0x31, 0x42, 0x53, 0x64, 0x75, 0x86, 0x97, 0xa8, 0xb9, 0xca, 0xdb, 0xec, 0xfd, 0x0e, 0x1f, 4,
    0x51, 0x62, 0x73, 0x84, 0x95, 0xa6, 0xb7, 0xc8, 0xd9, 0xea, 0xfb, 0x0c, 0x1d, 0x2e, 0x3f, 5};

static struct door_message message;
static struct door_message answer;

/* Made once: a start tests engines. */
static struct engine *engines[2];
static struct recipient *enclave; /* until it is sealed: its key takes long */
static struct sign_work *works[2];

static void engines_open(void)
{
    static const enum signing_engine wanted[] = {SIGNING_BLST, SIGNING_AUTO};
    for (size_t i = 0; i < ARRAY_LEN(wanted) && !works[i]; i++) {
        cc_assert(!engine_new(wanted[i], &engines[i]).code);
        cc_assert(!sign_work_new(engine_signer(engines[i]), &works[i]).code);
    }
}

struct rig {
    struct vault vault;
    struct sign_work *work;
    _Atomic bool greeted;
    struct key_name names[KEYS];
    struct seal_set set;   /* of mode local, the first one */
    struct seal_set made;  /* the last one */
    struct sealed_row row; /* version 0: nothing could be sealed */
    struct ledger ledger;
    uint64_t session; /* of new keys */
};

static void give_chamber_key(struct chamber *chamber)
{
    static const char file[] = "containment-chamber-key-v1\n"
                               "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
    int fds[2];
    cc_assert(pipe(fds) == 0);
    cc_assert(write(fds[1], file, sizeof file - 1) == (ssize_t)sizeof file - 1);
    (void)close(fds[1]);
    cc_assert(!chamber_take_key(chamber, fds[0]).code);
}

static void show_history(struct chamber *chamber)
{
    struct b_hello hello = {.history_id = {7}};
    cc_assert(!chamber_prove_history(chamber, hello.history_id, hello.proof).code);
    cc_assert(!chamber_check_history(chamber, &hello).code);
}

static void seal_a_row(struct rig *rig)
{
    struct bls_secret secret;
    rig->row = (struct sealed_row){.status = ROW_ACTIVE, .generation = 1, .version = 3};
    cc_assert(!bls_secret_parse(stored_secret, &secret).code);
    bls_secret_public(&secret, rig->row.pubkey.bytes);
    cc_assert(!key_row_seal(&rig->vault, stored_secret, &rig->row).code);
}

static void make_set(struct rig *rig, const uint8_t chamber_id[static 32])
{
    struct seal_proposal proposal = {.mode = SEAL_LOCAL, .generation = 1};
    enum b_set_which which;
    memcpy(proposal.chamber_id, chamber_id, sizeof proposal.chamber_id);
    cc_assert(!sets_make(rig->vault.sets, &proposal, &which, &rig->set).code);
}

/* X25519 of a point that anybody may know. */
static const struct age_recipient recipient = {.kind = AGE_X25519, .key = {9}};

static void rig_open(struct rig *rig, uint8_t options)
{
    bool existed;
    struct b_chamber stored;
    const bool fast = (options & OPTION_AUTO) != 0;
    engines_open();
    rig->vault.engine = engines[fast];
    rig->work = works[fast];
    cc_assert(!arena_new(1, SLOTS, &rig->vault.arena).code);
    cc_assert(!key_table_new(rig->vault.arena, SLOTS, &rig->vault.keys).code);
    cc_assert(!chamber_new(rig->vault.arena, &rig->vault.chamber).code);
    cc_assert(!master_new(rig->vault.arena, &rig->vault.master).code);
    cc_assert(!sets_new(rig->vault.chamber, rig->vault.master, &rig->vault.sets).code);
    cc_assert(!generator_new(rig->vault.arena, &rig->vault.generator).code);
    cc_assert(!root_new(rig->vault.arena, rig->vault.chamber, &rig->vault.root).code);
    if ((options & OPTION_ENCLAVE) && !enclave)
        cc_assert(!recipient_new(&enclave).code);
    if (options & OPTION_ENCLAVE)
        rig->vault.recipient = enclave;
    if (!(options & OPTION_NOBODY))
        generator_set_recipients(rig->vault.generator, &recipient, 1);
    keystore_gate_init(&rig->vault.gate, 0);
    for (size_t i = 0; i < KEYS; i++) {
        struct bls_secret secret;
        struct key_name *name = &rig->names[i];
        cc_assert(!bls_secret_parse(secrets[i], &secret).code);
        bls_secret_public(&secret, name->pubkey.bytes);
        cc_assert(
            !key_table_add(rig->vault.keys, &secret, &name->pubkey, &name->handle, &existed).code);
    }
    if (!(options & OPTION_ENCLAVE) || (options & OPTION_OPEN))
        give_chamber_key(rig->vault.chamber);
    chamber_set_mode(rig->vault.chamber, ROOM_MODE_INIT);
    if (options & OPTION_OPEN) {
        cc_assert(!chamber_create(rig->vault.chamber, &stored).code);
        make_set(rig, stored.chamber_id);
    }
    if ((options & OPTION_OPEN) && (options & OPTION_KNOWN))
        show_history(rig->vault.chamber);
    if ((options & OPTION_OPEN) && (options & OPTION_KNOWN))
        seal_a_row(rig);
    if (!(options & OPTION_INIT))
        chamber_set_mode(rig->vault.chamber, ROOM_MODE_SERVE);
    if (options & OPTION_CEREMONY)
        sets_allow_ceremony(rig->vault.sets);
    atomic_store(&rig->greeted, (options & OPTION_GREETED) != 0);
}

static void help_with_keys(const struct rig *rig)
{
    struct b_sign *requests = (void *)message.items;
    for (uint32_t i = 0; message.head.type == B_SIGN && i < message.head.count; i++) {
        if (requests[i].pubkey.bytes[0] != 0xaa)
            continue;
        const struct key_name *name = &rig->names[requests[i].pubkey.bytes[1] % KEYS];
        requests[i].pubkey = name->pubkey;
        requests[i].key = name->handle;
    }
}

static void help_with_row(const struct rig *rig, struct sealed_row *row)
{
    if (row->pubkey.bytes[0] != 0xaa)
        return;
    const bool elsewhere = row->pubkey.bytes[1] & 1;
    memcpy(row->sealed, rig->row.sealed, sizeof row->sealed);
    row->pubkey = rig->row.pubkey;
    if (!elsewhere)
        *row = rig->row;
}

static void help_with_rows(const struct rig *rig)
{
    struct b_open_row *opens = (void *)message.items;
    struct b_seal_row *seals = (void *)message.items;
    for (uint32_t i = 0; message.head.type == B_OPEN_ROW && i < message.head.count; i++)
        help_with_row(rig, &opens[i].row);
    for (uint32_t i = 0; message.head.type == B_SEAL_ROW && i < message.head.count; i++)
        help_with_row(rig, &seals[i].row);
}

static void help_with_sets(const struct rig *rig)
{
    struct b_set *open = (void *)message.items;
    struct b_set_make *make = (void *)message.items;
    const struct held_set *present = &rig->vault.sets->held[0];
    if (message.head.type == B_SET_OPEN && open->set.fingerprint[0] == 0xaa)
        open->set = open->set.fingerprint[1] & 1 ? rig->made : rig->set;
    if (message.head.type != B_SET_MAKE || make->proposal.chamber_id[0] != 0xaa)
        return;
    (void)chamber_get_id(rig->vault.chamber, make->proposal.chamber_id).code;
    memset(make->proposal.from, 0, sizeof make->proposal.from);
    make->proposal.generation = 1;
    if (!present->is)
        return;
    memcpy(make->proposal.from, present->set.fingerprint, sizeof make->proposal.from);
    make->proposal.generation = present->set.generation + 1;
}

static void is_not_told(size_t len, const void *secret)
{
    cc_assert(ct_is_zero(secret, 32) || !memmem(answer.items, len, secret, 16));
}

/* Wrapping keys, unseal keys, the keys of both generations, shares that wait. */
static void check_sets(struct rig *rig, size_t len)
{
    const struct set_secrets *s = rig->vault.sets->secrets;
    uint8_t key[32];
    for (uint32_t generation = 1; generation < 4; generation++) {
        if (!master_row_key(rig->vault.master, generation, key).code)
            is_not_told(len, key);
    }
    for (size_t i = 0; i < 2 && answer.head.type != B_SHARE; i++)
        is_not_told(len, s->of[i].kms.bytes); /* where one share is enough, it is the key */
    for (size_t i = 0; i < BALLOTS_MAX; i++)
        is_not_told(len, s->pending.ballots[i].unseal.bytes);
    is_not_told(len, s->box.secret_key.bytes);
    is_not_told(len, s->nonce_key.bytes);
    for (size_t i = 0; i < SEAL_KMS_MAX; i++) {
        if (answer.head.type != B_SHARE) {
            is_not_told(len, s->making.kms[i].y);
            is_not_told(len, s->making.break_glass[i].y);
        }
        is_not_told(len, s->making.tokens[i].bytes);
    }
    if (answer.head.type == B_SET && !((const struct b_set *)(const void *)answer.items)->error)
        rig->made = ((const struct b_set *)(const void *)answer.items)->set;
}

/* Costs that would be accepted, and take seconds, are lowered. */
static void cheapen(void)
{
    struct b_import *import = (void *)message.items;
    size_t bytes;
    if (message.head.type != B_IMPORT)
        return;
    struct k_keystore *k = &import->keystore;
    if (!kdf_scrypt_memory(k->n, k->r, k->p, &bytes).code && bytes > 65536)
        k->n = 2;
    if (k->p > 2)
        k->p = 1;
    if (k->c > 64 && k->c <= KDF_PBKDF2_MAX)
        k->c = 64;
}

/* A row that was opened, or sealed anew, is the one that was sealed, in its place. */
static void check_rows(const struct rig *rig)
{
    const struct b_open_row *opens = (const void *)message.items;
    const struct b_opened *opened = (const void *)answer.items;
    const struct b_seal_row *seals = (const void *)message.items;
    const struct b_row *rows = (const void *)answer.items;
    for (uint32_t i = 0; answer.head.type == B_OPENED && i < answer.head.count; i++)
        cc_assert(opened[i].error ||
                  (rig->row.version && !memcmp(&opens[i].row, &rig->row, sizeof rig->row)));
    for (uint32_t i = 0; message.head.type == B_SEAL_ROW && i < answer.head.count; i++)
        cc_assert(rows[i].error ||
                  (rig->row.version && !memcmp(&seals[i].row, &rig->row, sizeof rig->row) &&
                   rows[i].row.version > rig->row.version));
}

static uint16_t answer_type(uint16_t request)
{
    switch (request) {
    case B_CREATE:
    case B_OPEN:
        return B_CHAMBER;
    case B_DIGEST:
        return B_PROOF;
    case B_SIGN:
        return B_SIGNED;
    case B_KEYS:
        return B_KEY_LIST;
    case B_COUNT:
        return B_COUNTS;
    case B_SUBKEY:
        return B_SUBKEY_IS;
    case B_IMPORT:
    case B_SEAL_ROW:
        return B_ROW;
    case B_OPEN_ROW:
        return B_OPENED;
    case B_SET_MAKE:
        return B_SET;
    case B_SET_OPEN:
    case B_SET_UNWRAP:
    case B_SET_UNWRAP_SEALED:
    case B_SET_DROP:
    case B_AUTO_OPEN:
        return B_SEAL_STATE;
    case B_AUTO_MAKE:
        return B_AUTO;
    case B_SET_SHARE:
        return B_SHARE;
    case B_SET_TEXT:
        return B_TEXT;
    case B_CHALLENGE:
        return B_CHALLENGED;
    case B_ENVELOPE:
        return B_ENVELOPED;
    case B_GENERATE:
        return B_GENERATED;
    case B_DERIVE:
        return B_DERIVED;
    case B_ROOT_MAKE:
        return B_ROOT_MADE;
    case B_ROOT_OPEN:
    case B_ROOT_SHARE:
        return B_ROOT_STATE;
    default:
        return B_ANSWER;
    }
}

/* Words come out to somebody or not at all, and a key only as a row. */
static void check_new_keys(const struct rig *rig)
{
    const struct b_generated *generated = (const void *)answer.items;
    const struct b_derived *derived = (const void *)answer.items;
    static const struct sealed_row no_row;
    if (answer.head.type == B_GENERATED)
        cc_assert(generated->error ? !generated->len && !generated->session
                                   : generated->len && atomic_load(&rig->greeted));
    if (answer.head.type == B_DERIVED)
        cc_assert(derived->error ? !memcmp(&derived->row, &no_row, sizeof no_row)
                                 : atomic_load(&rig->greeted));
}

/* A root is told in shares, by init alone and once. */
static void check_root(const struct rig *rig)
{
    static const struct b_root_made none;
    const struct b_root_made *made = (const void *)answer.items;
    if (answer.head.type != B_ROOT_MADE)
        return;
    cc_assert(made->error ? !memcmp(made->shares, none.shares, sizeof none.shares)
                          : rig->vault.recipient && chamber_is_new(rig->vault.chamber) &&
                                chamber_has_key(rig->vault.chamber));
}

/* The fuzzer can't guess a session: the last one is meant by zero. */
static void help_with_session(struct rig *rig)
{
    struct b_derive *derive = (void *)message.items;
    if (message.head.type == B_DERIVE && !derive->session)
        derive->session = rig->session;
}

static void check_answer(struct rig *rig)
{
    const size_t len = (size_t)answer.head.count * answer.head.item_size;
    const struct b_sign *requests = (const void *)message.items;
    const struct b_signed *results = (const void *)answer.items;
    answer.head.version = DOOR_VERSION;
    answer.head.life = LIFE;
    cc_assert(!door_check(&answer, sizeof answer.head + len, LIFE, door_b_to_core).code);
    cc_assert(answer.head.type == answer_type(message.head.type));
    /* An echo of what the fuzzer guessed itself (it sees these comparisons) is no leak. */
    for (size_t i = 0; i < KEYS; i++)
        cc_assert(!memmem(answer.items, len, secrets[i], 8) ||
                  memmem(&message, sizeof message, secrets[i], 8));
    cc_assert(!memmem(answer.items, len, stored_secret, 8) ||
              memmem(&message, sizeof message, stored_secret, 8));
    check_rows(rig);
    check_sets(rig, len);
    check_new_keys(rig);
    check_root(rig);
    if (answer.head.type == B_GENERATED)
        rig->session = ((const struct b_generated *)(const void *)answer.items)->session;
    if (answer.head.type == B_SUBKEY_IS) {
        static const uint8_t none[32];
        const struct b_subkey_is *subkey = (const void *)answer.items;
        cc_assert(subkey->error ? !memcmp(subkey->key, none, sizeof none)
                                : atomic_load(&rig->greeted));
    }
    for (uint32_t i = 0; answer.head.type == B_SIGNED && i < answer.head.count; i++) {
        cc_assert(results[i].error || atomic_load(&rig->greeted));
        cc_assert(ledger_add(&rig->ledger, &requests[i], &results[i]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig rig = {.greeted = false};
    log_init(-1, false, LOG_LEVEL_ERROR);
    if (size < 1)
        return 0;
    rig_open(&rig, data[0]);
    for (size_t at = 1; at + 2 <= size;) {
        size_t len = (size_t)data[at] | (size_t)data[at + 1] << 8;
        at += 2;
        len = len < size - at ? len : size - at;
        memset(&message, 0, sizeof message);
        memcpy(&message, data + at, len);
        at += len;
        if (door_check(&message, len, LIFE, door_b_to_vault).code)
            continue;
        help_with_keys(&rig);
        help_with_rows(&rig);
        help_with_sets(&rig);
        help_with_session(&rig);
        cheapen();
        core_door_answer(&rig.vault, rig.work, &rig.greeted, &message, &answer);
        check_answer(&rig);
    }
    ledger_release(&rig.ledger);
    if (atomic_load(&rig.vault.sealed) && rig.vault.recipient)
        enclave = NULL; /* closed with the vault: the next one has another key */
    else
        rig.vault.recipient = NULL;
    vault_close(&rig.vault);
    return 0;
}
