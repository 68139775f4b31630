/* Any packets from a core: each is refused or answered once, by the type that belongs to it; no two signatures of a key
 * conflict; no answer holds a byte of a key.
 *
 * Input: a byte of options, then packets, each behind its length (2 bytes, little-endian). A claim whose public key
 * begins with 0xAA is given one of the two loaded keys, so that the fuzzer need not guess 48 bytes.
 */
#include <unistd.h>

#include "base/log.h"

#include "support/ledger.h"
#include "vault/core_door.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    LIFE = 1,
    KEYS = 2,
    SLOTS = 64,
    OPTION_GREETED = 1,
    OPTION_INIT = 2,
    OPTION_OPEN = 4,
    OPTION_AUTO = 8 /* the fastest engine there is, instead of blst */
};

static const uint8_t secrets[KEYS][32] = {
    {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xf1, 1,
     0x13, 0x24, 0x35, 0x46, 0x57, 0x68, 0x79, 0x8a, 0x9b, 0xac, 0xbd, 0xce, 0xdf, 0xe1, 0xf2, 2},
    {0x21, 0x32, 0x43, 0x54, 0x65, 0x76, 0x87, 0x98, 0xa9, 0xba, 0xcb, 0xdc, 0xed, 0xfe, 0x10, 3,
     0x31, 0x42, 0x53, 0x64, 0x75, 0x86, 0x97, 0xa8, 0xb9, 0xca, 0xdb, 0xec, 0xfd, 0x1e, 0x2f, 4}};

static struct door_message message;
static struct door_message answer;

/* Made once: a start tests engines. */
static struct engine *engines[2];
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
    struct ledger ledger;
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
    keystore_gate_init(&rig->vault.gate, 0);
    for (size_t i = 0; i < KEYS; i++) {
        struct bls_secret secret;
        struct key_name *name = &rig->names[i];
        cc_assert(!bls_secret_parse(secrets[i], &secret).code);
        bls_secret_public(&secret, name->pubkey.bytes);
        cc_assert(
            !key_table_add(rig->vault.keys, &secret, &name->pubkey, &name->handle, &existed).code);
    }
    give_chamber_key(rig->vault.chamber);
    chamber_set_mode(rig->vault.chamber, ROOM_MODE_INIT);
    if (options & OPTION_OPEN)
        cc_assert(!chamber_create(rig->vault.chamber, &stored).code);
    if (!(options & OPTION_INIT))
        chamber_set_mode(rig->vault.chamber, ROOM_MODE_SERVE);
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
    default:
        return B_ANSWER;
    }
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
        core_door_answer(&rig.vault, rig.work, &rig.greeted, &message, &answer);
        check_answer(&rig);
    }
    ledger_release(&rig.ledger);
    vault_close(&rig.vault);
    return 0;
}
