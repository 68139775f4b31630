#include <string.h>

#include "base/clock.h"
#include "base/num.h"

#include "crypto/mac.h"
#include "crypto/random.h"
#include "crypto/sealed_box.h"
#include "seal/record.h"
#include "secret/ct.h"
#include "vault/ceremony_inside.h"

/* Each with its zero byte. */
static const char label_fake[] = "containment-chamber/fake-operator/v1";
static const char label_nonce[] = "containment-chamber/nonce/v1";
static const char label_salt[] = "containment-chamber/next-salt/v1";
static const char label_challenge[] = "containment-chamber/next-challenge/v1";

/* --- who ---------------------------------------------------------------------------------------------------------------------- */

static bool is_name(const char name[static SEAL_NAME_SIZE])
{
    const size_t len = strnlen(name, SEAL_NAME_SIZE);
    return len < SEAL_NAME_SIZE && seal_is_operator_name(span_of(name, len));
}

/* A staged set is registered for, the present one is all else. */
static cc_err check_which(uint32_t purpose, uint32_t which)
{
    switch ((enum seal_purpose)purpose) {
    case SEAL_TO_REGISTER:
        return which == B_SET_STAGED ? CC_OK : CC_FAIL(PROTOCOL, "which set");
    case SEAL_TO_UNSEAL:
    case SEAL_TO_APPROVE:
    case SEAL_TO_REHEARSE:
    case SEAL_TO_BREAK_GLASS:
        return which == B_SET_PRESENT ? CC_OK : CC_FAIL(PROTOCOL, "which set");
    }
    return CC_FAIL(PROTOCOL, "purpose of a challenge");
}

CC_ERR ceremony_check(const struct sets *sets,
                      uint32_t purpose,
                      uint32_t which,
                      const char name[static SEAL_NAME_SIZE],
                      const struct seal_set **ret_set)
{
    CC_TRY(check_which(purpose, which));
    if (!is_name(name))
        return CC_FAIL(PROTOCOL, "name of an operator");
    const struct held_set *held = &sets->held[set_index((enum b_set_which)which)];
    if (!held->is)
        return CC_FAIL(SEAL_STATE, "there is no such set");
    if (purpose == SEAL_TO_BREAK_GLASS ? !held->set.break_glass.count
                                       : !set_has_operators(held->set.mode))
        return CC_FAIL(SEAL_STATE, "a set without such people");
    *ret_set = &held->set;
    return CC_OK;
}

/* `len` bytes that belong to a name, for ever. */
static void fake_bytes(const struct secret32 *key,
                       const struct seal_set *set,
                       const struct seal_operator *fake,
                       uint8_t what,
                       uint8_t *to,
                       size_t len)
{
    uint8_t numbers[10];
    uint8_t block[MAC_SIZE];
    u32_store_be(numbers, set->unseal_generation);
    u32_store_be(numbers + 4, fake->factor);
    numbers[8] = what;
    for (size_t done = 0; done < len; done += sizeof block) {
        numbers[9] = (uint8_t)(done / sizeof block);
        const struct span parts[3] = {span_of(label_fake, sizeof label_fake),
                                      span_of(fake->name, sizeof fake->name),
                                      span_of(numbers, sizeof numbers)};
        mac_hmac_sha256(span_of(key->bytes, sizeof key->bytes), parts, 3, block);
        memcpy(to + done, block, (size_t)u64_min(sizeof block, len - done));
    }
}

/* Like one of the others, chosen by the name: nobody learns who is an operator by asking. */
static CC_SENSITIVE cc_err make_fake(struct sets *s,
                                     const struct seal_set *set,
                                     struct seal_operator *fake)
{
    WIPED32 struct secret32 key;
    uint8_t chamber_id[32];
    uint8_t choice[8];
    CC_TRY(chamber_lend_key(s->chamber, CHAMBER_KEY_FAKES, key.bytes, chamber_id));
    fake_bytes(&key, set, fake, 0, choice, sizeof choice);
    if (set->operator_count) {
        const uint64_t n = u64_load_be(choice) % set->operator_count;
        fake->factor = set->operators[n].factor;
        fake->memory_kib = set->operators[n].memory_kib;
        fake->passes = set->operators[n].passes;
        fake->hint_len = set->operators[n].hint_len;
        fake->share.len = set->operators[n].share.len;
    }
    fake_bytes(&key, set, fake, 1, fake->salt, sizeof fake->salt);
    fake_bytes(&key, set, fake, 2, fake->challenge, sizeof fake->challenge);
    fake_bytes(&key, set, fake, 3, fake->hint, fake->hint_len);
    return CC_OK;
}

CC_ERR ceremony_find(struct sets *sets,
                     const struct seal_set *set,
                     uint32_t purpose,
                     const char name[static SEAL_NAME_SIZE],
                     struct person *ret_person)
{
    *ret_person = (struct person){.index = NOBODY};
    memcpy(ret_person->entry.name, name, strlen(name));
    if (purpose == SEAL_TO_BREAK_GLASS)
        return CC_OK;
    for (uint32_t i = 0; i < set->operator_count; i++) {
        if (strcmp(name, set->operators[i].name) != 0)
            continue;
        ret_person->index = i;
        ret_person->entry = set->operators[i];
        return CC_OK;
    }
    return make_fake(sets, set, &ret_person->entry);
}

/* --- nonces ------------------------------------------------------------------------------------------------------------------- */

/* A nonce is time (8), random bytes (8), and half a MAC of both and of what is asked: nothing is kept for it. */
enum {
    NONCE_TIME = 8,
    NONCE_HEAD = 16
};

static void nonce_mac(const struct sets *s,
                      const uint8_t nonce[static SEAL_NONCE_SIZE],
                      const struct seal_challenge *c,
                      uint8_t ret_mac[static MAC_SIZE])
{
    uint8_t numbers[12];
    u32_store_be(numbers, c->purpose);
    u32_store_be(numbers + 4, c->generation);
    u32_store_be(numbers + 8, c->factor);
    const struct span parts[7] = {span_of(label_nonce, sizeof label_nonce),
                                  span_of(nonce, NONCE_HEAD),
                                  span_of(numbers, sizeof numbers),
                                  span_of(c->name, sizeof c->name),
                                  span_of(c->fingerprint, sizeof c->fingerprint),
                                  span_of(c->salt, sizeof c->salt),
                                  span_of(c->challenge, sizeof c->challenge)};
    mac_hmac_sha256(span_of(s->secrets->nonce_key.bytes, sizeof s->secrets->nonce_key.bytes), parts,
                    7, ret_mac);
}

static void derive_next(const struct sets *s, struct seal_challenge *c)
{
    const struct span key =
        span_of(s->secrets->nonce_key.bytes, sizeof s->secrets->nonce_key.bytes);
    const struct span salt[2] = {span_of(label_salt, sizeof label_salt),
                                 span_of(c->nonce, sizeof c->nonce)};
    const struct span challenge[2] = {span_of(label_challenge, sizeof label_challenge),
                                      span_of(c->nonce, sizeof c->nonce)};
    mac_hmac_sha256(key, salt, 2, c->next_salt);
    mac_hmac_sha256(key, challenge, 2, c->next_challenge);
}

CC_ERR ceremony_make_nonce(struct sets *sets, uint64_t now_ms, struct seal_challenge *challenge)
{
    uint8_t mac[MAC_SIZE];
    struct set_secrets *secrets = sets->secrets;
    if (!secrets->has_nonce_key) {
        CC_TRY(random_bytes(&secrets->nonce_key, sizeof secrets->nonce_key));
        secrets->has_nonce_key = true;
    }
    u64_store_be(challenge->nonce, now_ms);
    CC_TRY(random_bytes(challenge->nonce + NONCE_TIME, NONCE_HEAD - NONCE_TIME));
    nonce_mac(sets, challenge->nonce, challenge, mac);
    memcpy(challenge->nonce + NONCE_HEAD, mac, SEAL_NONCE_SIZE - NONCE_HEAD);
    derive_next(sets, challenge);
    return CC_OK;
}

static bool was_used(const struct sets *s, const uint8_t nonce[static SEAL_NONCE_SIZE])
{
    for (size_t i = 0; i < USED_MAX; i++)
        if (s->used[i].until_ms && ct_equal(s->used[i].nonce, nonce, SEAL_NONCE_SIZE))
            return true;
    return false;
}

CC_ERR ceremony_check_nonce(struct sets *sets,
                            uint64_t now_ms,
                            const uint8_t nonce[static SEAL_NONCE_SIZE],
                            struct seal_challenge *challenge)
{
    uint8_t mac[MAC_SIZE];
    if (!sets->secrets->has_nonce_key)
        return CC_FAIL(CREDENTIAL, NULL);
    nonce_mac(sets, nonce, challenge, mac);
    if (!ct_equal(nonce + NONCE_HEAD, mac, SEAL_NONCE_SIZE - NONCE_HEAD))
        return CC_FAIL(CREDENTIAL, NULL);
    const uint64_t issued_ms = u64_load_be(nonce);
    if (issued_ms > now_ms || now_ms - issued_ms > CHALLENGE_LIFE_MS || was_used(sets, nonce))
        return CC_FAIL(CREDENTIAL, NULL);
    memcpy(challenge->nonce, nonce, SEAL_NONCE_SIZE);
    derive_next(sets, challenge);
    return CC_OK;
}

/* Only right envelopes come here, so only operators could fill the table. */
CC_ERR
ceremony_use_nonce(struct sets *sets, uint64_t now_ms, const uint8_t nonce[static SEAL_NONCE_SIZE])
{
    for (size_t i = 0; i < USED_MAX; i++) {
        if (sets->used[i].until_ms > now_ms)
            continue;
        sets->used[i].until_ms = u64_load_be(nonce) + CHALLENGE_LIFE_MS + 1;
        memcpy(sets->used[i].nonce, nonce, SEAL_NONCE_SIZE);
        return CC_OK;
    }
    return CC_FAIL(BUSY, "too many credentials within minutes");
}

/* --- challenges --------------------------------------------------------------------------------------------------------------- */

/* The key of the hour; the one before it counts until its last challenge has expired. */
static cc_err turn_box(struct set_secrets *secrets, uint64_t now_ms)
{
    struct box_key *box = &secrets->box;
    if (box->is && now_ms <= box->until_ms)
        return CC_OK;
    if (box->is) {
        secrets->box_past = *box;
        secrets->box_past.until_ms = now_ms + CHALLENGE_LIFE_MS;
    }
    wipe(box, sizeof *box);
    CC_TRY(sealed_box_keys(box->public_key, box->secret_key.bytes));
    box->until_ms = now_ms + BOX_LIFE_MS;
    box->is = true;
    return CC_OK;
}

void ceremony_describe(const struct seal_set *set,
                       const struct person *person,
                       uint32_t purpose,
                       const uint8_t chamber_id[static 32],
                       struct seal_challenge *ret_challenge)
{
    const struct seal_operator *o = &person->entry;
    *ret_challenge = (struct seal_challenge){.purpose = purpose,
                                             .mode = set->mode,
                                             .factor = o->factor,
                                             .memory_kib = o->memory_kib,
                                             .passes = o->passes,
                                             .generation = set->generation,
                                             .unseal_generation = set->unseal_generation,
                                             .hint_len = o->hint_len,
                                             .number = set->number};
    memcpy(ret_challenge->fingerprint, set->fingerprint, sizeof ret_challenge->fingerprint);
    memcpy(ret_challenge->name, o->name, sizeof ret_challenge->name);
    memcpy(ret_challenge->chamber_id, chamber_id, sizeof ret_challenge->chamber_id);
    memcpy(ret_challenge->salt, o->salt, sizeof ret_challenge->salt);
    memcpy(ret_challenge->challenge, o->challenge, sizeof ret_challenge->challenge);
    memcpy(ret_challenge->hint, o->hint, o->hint_len);
}

static cc_err challenge_locked(struct sets *s,
                               const struct b_challenge *request,
                               uint64_t now_ms,
                               struct seal_challenge *ret_challenge)
{
    const struct seal_set *set = NULL;
    struct person person;
    uint8_t id[32];
    if (s->sealed)
        return CC_FAIL(SEALED, "sealed in this life");
    CC_TRY(chamber_get_id(s->chamber, id));
    CC_TRY(ceremony_check(s, request->purpose, request->which, request->name, &set));
    CC_TRY(ceremony_find(s, set, request->purpose, request->name, &person));
    sets_expire(s, now_ms);
    CC_TRY(turn_box(s->secrets, now_ms));
    ceremony_describe(set, &person, request->purpose, id, ret_challenge);
    CC_TRY(ceremony_make_nonce(s, now_ms, ret_challenge));
    memcpy(ret_challenge->box_key, s->secrets->box.public_key, sizeof ret_challenge->box_key);
    ret_challenge->issued = clock_wall_ms();
    ret_challenge->expires = ret_challenge->issued + CHALLENGE_LIFE_MS;
    return chamber_sign_challenge(s->chamber, ret_challenge);
}

CC_ERR ceremony_challenge(struct sets *sets,
                          const struct b_challenge *request,
                          uint64_t now_ms,
                          struct seal_challenge *ret_challenge)
{
    sets_lock(sets);
    cc_err err = challenge_locked(sets, request, now_ms, ret_challenge);
    sets_unlock(sets);
    if (err.code)
        *ret_challenge = (struct seal_challenge){0};
    return err;
}
