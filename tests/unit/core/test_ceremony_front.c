/* A captured front against the sealed chamber: it has door A, every request that people have sent through it, and whatever it makes up. It takes
 * no latch away, registers nobody, approves nothing and cancels nothing (T1, T14, T15, T25, P23). The test is the front, the operators and the
 * owner; core, ceremony and vault are real.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#include "cli/operator_challenge.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "core/manage.h"
#include "core/seal_latch.h"
#include "crypto/random.h"
#include "seal/envelope.h"
#include "support/age_tool.h"
#include "support/core_room.h"
#include "support/test.h"

enum {
    OPERATORS = 2,
    CAPTURED_MAX = 32,
    VERBS_KEPT = 1 << 14,
    ANSWER_MAX = 1 << 16,
    MUTATIONS = 120
};

struct person {
    const char *name;
    enum age_tool_identity identity;
    uint8_t token[32];
    uint8_t credential[32];
};

static struct core_room room;
static struct door_message message;
static struct a_manage captured[CAPTURED_MAX]; /* of people, in the order in which they came */
static size_t captured_count;
static uint8_t verb_of[VERBS_KEPT];      /* attacks that are not answered yet: by id */
static bool may_propose;                 /* what is under way lets a proposal in */
static unsigned answers[ERROR_CODE_END]; /* to attacks */
static unsigned unanswered;              /* attacks: what is refused as a credential waits */
static char text[ANSWER_MAX];            /* of the last answer that was waited for */
static uint64_t next_id, random_state;
static struct person people[OPERATORS];

static const struct caller admin = {.listener = LISTENER_ADMIN, .flags = CALLER_OWNER};
static const struct caller local = {.listener = LISTENER_UNIX, .flags = CALLER_OWNER};
static const struct caller stranger = {.listener = LISTENER_API, .address = {[15] = 1}};

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* --- door A ------------------------------------------------------------------------------------------------------------------ */

/* What a front gets anyway: it may read and seal. */
static bool is_harmless(uint32_t verb)
{
    return verb == MANAGE_POLICY_LIST || verb == MANAGE_TOKEN_LIST || verb == MANAGE_SEAL ||
           verb == MANAGE_CHAMBER_STATUS || verb == MANAGE_STATUS_PAGE ||
           verb == MANAGE_CHALLENGE || verb == MANAGE_ROTATE_TOKENS;
}

/* And propose in the owner's name, who decides by his file or not at all. */
static bool proposes(uint32_t verb)
{
    return verb == MANAGE_ROTATE_KMS || verb == MANAGE_ROTATE_QUORUM ||
           verb == MANAGE_ROTATE_MODE || verb == MANAGE_ROTATE_MASTER;
}

static void judge(const struct a_managed *part)
{
    const uint32_t verb = verb_of[part->id % VERBS_KEPT];
    assert_true(part->error < ERROR_CODE_END);
    answers[part->error]++;
    unanswered -= part->last;
    if (part->error == 0 && !is_harmless(verb) && !(may_propose && proposes(verb)))
        fail_msg("a captured front was answered %s: %.*s", manage_verb_find(verb)->name,
                 (int)part->len, (const char *)part->body);
}

static void put(struct a_manage *ask)
{
    ask->id = ++next_id;
    verb_of[ask->id % VERBS_KEPT] = (uint8_t)ask->verb;
    assert_int_equal(door_send(room.front, room.front_life, A_MANAGE, ask, sizeof *ask, 1).code, 0);
}

/* Until `id` is answered, whole; the others that come are to attacks. */
static enum error_code take(uint64_t id)
{
    static struct a_managed part;
    size_t len = 0;
    do {
        assert_int_equal(door_receive(room.front, room.front_life, door_a_to_front, &message).code,
                         0);
        assert_int_equal(message.head.type, A_MANAGED);
        memcpy(&part, message.items, sizeof part);
        if (part.id != id) {
            judge(&part);
            continue;
        }
        assert_true(len + part.len < sizeof text);
        memcpy(text + len, part.body, part.len);
        len += part.len;
    } while (part.id != id || !part.last);
    text[len] = '\0';
    return (enum error_code)part.error;
}

static void fill(struct a_manage *ask, uint32_t verb, const char *name, const char *body)
{
    memset(ask, 0, sizeof *ask);
    ask->verb = verb;
    ask->caller = stranger;
    (void)snprintf(ask->name, sizeof ask->name, "%s", name);
    ask->body_len = (uint32_t)strlen(body);
    memcpy(ask->body, body, ask->body_len);
}

static enum error_code
ask_as(const struct caller *caller, uint32_t verb, const char *name, const char *body)
{
    static struct a_manage ask;
    fill(&ask, verb, name, body);
    ask.caller = *caller;
    put(&ask);
    return take(ask.id);
}

/* The request of somebody honest, which the front keeps. */
static enum error_code bring(struct a_manage *ask)
{
    put(ask);
    assert_true(captured_count < CAPTURED_MAX);
    captured[captured_count++] = *ask;
    return take(ask->id);
}

static const char *status(void)
{
    assert_int_equal(ask_as(&local, MANAGE_CHAMBER_STATUS, "", ""), 0);
    return text;
}

static void await(const char *what)
{
    for (unsigned i = 0; i < 4000 && !strstr(status(), what); i++)
        (void)usleep(5000);
    if (!strstr(text, what))
        fail_msg("waited in vain for %s: %s", what, text);
}

static void assert_status(const char *what)
{
    if (!strstr(status(), what))
        fail_msg("not %s: %s", what, text);
}

/* The nth string of that name in the last answer, with its escaped ends of lines. */
static const char *member(const char *name, unsigned nth, size_t *ret_len)
{
    static char value[ANSWER_MAX];
    char pattern[64];
    size_t len = 0;
    const char *at = text;
    (void)snprintf(pattern, sizeof pattern, "\"%s\":\"", name);
    for (unsigned i = 0; i <= nth; i++) {
        at = strstr(at, pattern);
        assert_non_null(at);
        at += strlen(pattern);
    }
    for (; *at && *at != '"'; at++)
        value[len++] = *at == '\\' && *++at == 'n' ? '\n' : *at;
    value[len] = '\0';
    *ret_len = len;
    return value;
}

static void member_bytes(const char *name, uint8_t ret_bytes[static 32])
{
    size_t len = 0;
    const char *digits = member(name, 0, &len);
    assert_int_equal(hex_decode(span_of(digits, len), ret_bytes, 32).code, 0);
}

/* --- people -------------------------------------------------------------------------------------------------------------------- */

static void challenge_of(const char *name, const char *purpose, struct seal_challenge *ret)
{
    struct jdoc doc = jdoc_init(64);
    assert_int_equal(ask_as(&stranger, MANAGE_CHALLENGE, name, purpose), 0);
    assert_int_equal(jdoc_parse(&doc, (uint8_t *)text, strlen(text)).code, 0);
    assert_int_equal(challenge_parse(jdoc_root(&doc), ret).code, 0);
    jdoc_release(&doc);
}

static void write_body(struct a_manage *ask,
                       const char *name,
                       const struct seal_box *box,
                       const uint8_t *digest)
{
    char digits[65] = "";
    CC_CLEANUP(buf_release) struct buf body = buf_init(A_MANAGE_BODY_MAX);
    assert_int_equal(buf_printf(&body, "{\"name\":\"%s\",\"envelope\":\"", name).code, 0);
    assert_int_equal(base64_append(&body, box->bytes, box->len).code, 0);
    if (digest) {
        hex_encode(digest, 32, digits);
        assert_int_equal(buf_printf(&body, "\",\"digest\":\"%s", digits).code, 0);
    }
    assert_int_equal(buf_append_str(&body, "\"}").code, 0);
    ask->body_len = (uint32_t)body.len;
    memcpy(ask->body, body.data, body.len);
}

struct giving {
    uint32_t verb;
    const char *purpose;
    const char *name;
    const uint8_t *credential;
    const uint8_t *digest; /* or NULL */
    const uint8_t *next;   /* the same */
};

/* A fresh challenge, and the envelope that answers it. */
static struct a_manage *envelope_for(const struct giving *g)
{
    static struct a_manage ask;
    static const uint8_t none[32];
    struct seal_challenge challenge;
    struct seal_box box;
    struct seal_envelope envelope = {.credential_len = 32};
    challenge_of(g->name, g->purpose, &challenge);
    memcpy(envelope.credential, g->credential, 32);
    if (g->next) {
        envelope.next.factor = SEAL_FACTOR_PASSPHRASE;
        envelope.next.memory_kib = 262144;
        envelope.next.passes = 3;
        memcpy(envelope.next.credential, g->next, 32);
    }
    assert_int_equal(envelope_seal(&envelope, &challenge, g->digest ? g->digest : none, &box).code,
                     0);
    fill(&ask, g->verb, "", "");
    write_body(&ask, g->name, &box, g->digest);
    return &ask;
}

static enum error_code unseal(const struct person *p)
{
    return bring(envelope_for(
        &(struct giving){MANAGE_UNSEAL, "unseal", p->name, p->credential, NULL, NULL}));
}

static enum error_code approve(const struct person *p, const uint8_t digest[static 32])
{
    return bring(envelope_for(
        &(struct giving){MANAGE_APPROVE, "approve", p->name, p->credential, digest, NULL}));
}

static enum error_code register_one(const struct person *p, const uint8_t fingerprint[static 32])
{
    return bring(envelope_for(&(struct giving){MANAGE_REGISTER, "register", p->name, p->token,
                                               fingerprint, p->credential}));
}

static void take_token(struct person *p, unsigned nth)
{
    char plain[128];
    size_t len = 0;
    const char *file = member("age", nth, &len);
    const long got = age_tool_decrypt(p->identity, file, len, plain, sizeof plain);
    assert_true(got >= 64);
    assert_int_equal(hex_decode(span_of(plain, 64), p->token, 32).code, 0);
}

static void path_of(const char *name, char ret_path[static 128])
{
    (void)snprintf(ret_path, 128, "%s/%s", room.directory, name);
}

static void read_setup_token(char ret_token[static 128])
{
    char path[128];
    CC_CLEANUP(buf_release) struct buf token = buf_init(256);
    path_of("setup-token", path);
    assert_int_equal(file_read(path, &token).code, 0);
    (void)snprintf(ret_token, 128, "%.*s", (int)strcspn((const char *)token.data, "\n"),
                   (const char *)token.data);
}

static struct a_manage *first_set(const char *token)
{
    static struct a_manage ask;
    char body[1024];
    (void)snprintf(
        body, sizeof body,
        "{\"setup_token\":\"%s\",\"mode\":\"operators\",\"operator_threshold\":2,\"operators\":["
        "{\"name\":\"alice\",\"public_key\":\"%s\"},{\"name\":\"bob\",\"public_key\":\"%s\"}]}",
        token, AGE_TOOL_RECIPIENT, AGE_TOOL_SSH_RECIPIENT);
    fill(&ask, MANAGE_INIT, "", body);
    return &ask;
}

/* The first set is made, and nobody has registered. */
static void init_operators(uint8_t ret_fingerprint[static 32])
{
    char token[128];
    people[0] = (struct person){.name = "alice", .identity = AGE_TOOL_X25519};
    people[1] = (struct person){.name = "bob", .identity = AGE_TOOL_SSH};
    read_setup_token(token);
    assert_int_equal(bring(first_set(token)), 0);
    member_bytes("set_fingerprint", ret_fingerprint);
    for (unsigned i = 0; i < OPERATORS; i++) {
        take_token(&people[i], i);
        assert_int_equal(random_bytes(people[i].credential, 32).code, 0);
    }
}

static void make_chamber(void)
{
    uint8_t fingerprint[32];
    init_operators(fingerprint);
    for (unsigned i = 0; i < OPERATORS; i++)
        assert_int_equal(register_one(&people[i], fingerprint), 0);
    await("\"state\":\"sealed\"");
    for (unsigned i = 0; i < OPERATORS; i++)
        assert_int_equal(unseal(&people[i]), 0);
    assert_status("\"state\":\"unsealed\"");
}

/* --- the chamber ---------------------------------------------------------------------------------------------------------------- */

static void up(uint32_t beginning)
{
    core_room_make(&room);
    room.config->signer_state.seal = beginning;
    captured_count = 0;
    may_propose = false;
    memset(answers, 0, sizeof answers);
    unanswered = 0;
    random_state = 88172645463325252;
    assert_int_equal(core_room_init(&room), 0);
    core_room_start_vault(&room);
    assert_int_equal(core_room_start(&room), 0);
    core_room_load(&room, 1);
    (void)core_room_await_load(&room);
}

static int down(void **state)
{
    (void)state;
    core_room_remove(&room);
    return 0;
}

/* As the supervisor does it after a seal. */
static void restart(void)
{
    assert_int_equal(core_room_stop_core(&room), 0);
    (void)vault_room_stop(&room.vault);
    room.vault.control = -1;
    core_room_start_vault(&room);
    assert_int_equal(core_room_start(&room), 0);
}

static void seal(void)
{
    assert_int_equal(ask_as(&local, MANAGE_SEAL, "", ""), 0); /* a captured front can do that */
    restart();
}

static void assert_latched(void)
{
    struct a_sign request = test_attestation(1, 300, 301, 1);
    assert_status("\"state\":\"sealed\"");
    assert_non_null(strstr(text, "\"latched\":true"));
    assert_null(strstr(text, "\"rotation\""));
    assert_true(seal_latch_file(room.directory));
    assert_int_equal(core_room_sign(&room, &request).error, ERROR_SEALED);
}

static void assert_signs_again(uint64_t target)
{
    const struct a_sign request = test_attestation(1, target - 1, target, 1);
    core_room_load(&room, 1);
    (void)core_room_await_load(&room);
    assert_int_equal(core_room_sign(&room, &request).error, 0);
    assert_false(seal_latch_file(room.directory));
}

/* --- attacks ---------------------------------------------------------------------------------------------------------------------- */

/* Its answer may come later, or never: what counts is that it is done with by then. */
static void attack(struct a_manage *ask)
{
    if (!manage_is_well_formed(ask))
        return; /* the front would be shut out */
    unanswered++;
    put(ask);
    assert_int_equal(ask_as(&stranger, MANAGE_CHALLENGE, "nobody", "nothing"), ERROR_MALFORMED);
}

static void attack_as_all(struct a_manage *ask)
{
    const struct caller *const callers[] = {&admin, &local, &stranger};
    for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
        ask->caller = *callers[i];
        attack(ask);
    }
}

static void await_answers(void)
{
    while (unanswered) {
        assert_int_equal(door_receive(room.front, room.front_life, door_a_to_front, &message).code,
                         0);
        struct a_managed part;
        memcpy(&part, message.items, sizeof part);
        judge(&part);
    }
}

static struct a_manage *copy_of(size_t i)
{
    static struct a_manage ask;
    ask = captured[i];
    return &ask;
}

static void replay_all(void)
{
    for (size_t i = 0; i < captured_count; i++)
        attack_as_all(copy_of(i));
}

/* Every verb, with each body that has been seen, for each purpose; and with none. */
static void cross_all(void)
{
    static struct a_manage empty;
    for (uint32_t verb = 1; verb < MANAGE_VERB_END; verb++) {
        const struct manage_verb *is = manage_verb_find(verb);
        if (!is || is_harmless(verb))
            continue;
        for (size_t i = 0; i < (is->has_body ? captured_count : 0); i++) {
            struct a_manage *ask = copy_of(i);
            ask->verb = verb;
            (void)snprintf(ask->name, sizeof ask->name, "%s", is->named ? "alice" : "");
            attack_as_all(ask);
        }
        fill(&empty, verb, is->named ? "alice" : "", is->has_body ? "{}" : "");
        attack_as_all(&empty);
    }
}

static void mutate_all(void)
{
    for (unsigned i = 0; i < MUTATIONS; i++) {
        struct a_manage *ask = copy_of(next_random() % captured_count);
        for (unsigned flips = 1 + (unsigned)(next_random() % 8); flips; flips--)
            ask->body[next_random() % (ask->body_len ? ask->body_len : 1)] ^=
                (uint8_t)(1U << next_random() % 8);
        ask->caller = next_random() % 2 ? admin : stranger;
        attack(ask);
    }
}

/* Envelopes that open, and answer a fresh challenge, with what the front can know or guess. */
static void guess_all(const uint8_t *digest)
{
    static const struct {
        uint32_t verb;
        const char *purpose;
    } ways[] = {{MANAGE_UNSEAL, "unseal"},
                {MANAGE_APPROVE, "approve"},
                {MANAGE_REHEARSE, "rehearse"},
                {MANAGE_REGISTER, "register"}};
    uint8_t guesses[4][32] = {{0}};
    static const uint8_t next[32] = {42};
    assert_int_equal(random_bytes(guesses[1], 32).code, 0);
    memcpy(guesses[2], people[0].token,
           32); /* tokens of both, from the mail; spent, or not theirs */
    memcpy(guesses[3], people[1].token, 32);
    for (size_t w = 0; w < ARRAY_LEN(ways); w++)
        for (size_t g = 0; g < ARRAY_LEN(guesses); g++)
            for (unsigned p = 0; p < OPERATORS; p++) {
                const bool registers = ways[w].verb == MANAGE_REGISTER;
                if ((registers && g == 2 + p) ||
                    ask_as(&stranger, MANAGE_CHALLENGE, people[p].name, ways[w].purpose))
                    continue; /* his own token would be good; or there is nothing to be answered */
                attack(envelope_for(
                    &(struct giving){ways[w].verb, ways[w].purpose, people[p].name, guesses[g],
                                     ways[w].verb == MANAGE_APPROVE || registers ? digest : NULL,
                                     registers ? next : NULL}));
            }
}

/* A management key of its own. */
static void let_itself_in(void)
{
    static struct a_manage ask;
    char body[128], digits[65] = "";
    uint8_t key[32];
    memset(key, 0x77, sizeof key);
    hex_encode(key, 32, digits);
    (void)snprintf(body, sizeof body, "{\"public_key\":\"%s\"}", digits);
    fill(&ask, MANAGE_ROOT_TOKEN, "", body);
    attack_as_all(&ask);
    fill(&ask, MANAGE_BOOTSTRAP, "", body);
    attack_as_all(&ask);
}

static void barrage(const uint8_t digest[static 32])
{
    let_itself_in();
    replay_all();
    cross_all();
    mutate_all();
    guess_all(digest);
}

/* What he has made for one purpose is brought for another one. */
static void misdirect(const struct person *p, const uint8_t digest[static 32])
{
    uint8_t other[32];
    memset(other, 0x5a, sizeof other);
    struct a_manage *ask = envelope_for(
        &(struct giving){MANAGE_APPROVE, "approve", p->name, p->credential, other, NULL});
    char digits[65] = "", wrong[65] = "";
    hex_encode(digest, 32, digits);
    hex_encode(other, 32, wrong);
    uint8_t *at = memmem(ask->body, ask->body_len, wrong, 64);
    assert_non_null(at);
    memcpy(at, digits, 64); /* another digest in the same envelope */
    attack_as_all(ask);
    ask = envelope_for(
        &(struct giving){MANAGE_UNSEAL, "approve", p->name, p->credential, other, NULL});
    attack_as_all(ask);
}

static void show(const char *words, mode_t mode)
{
    char path[128];
    path_of("auth.proof", path);
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, words, strlen(words)).code, 0);
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static void hide(void)
{
    char path[128];
    path_of("auth.proof", path);
    (void)unlink(path);
}

/* The attacks got as far as to what was to refuse them. */
static void assert_refused(const enum error_code *errors, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!answers[errors[i]])
            fail_msg("no attack was refused with %s", error_name((cc_err){(int)errors[i]}));
}

#define ASSERT_REFUSED(...)                                                                        \
    do {                                                                                           \
        static const enum error_code errors_[] = {__VA_ARGS__};                                    \
        assert_refused(errors_, ARRAY_LEN(errors_));                                               \
    } while (0)

static bool left_out(void)
{
    if (age_tool_present())
        return false;
    core_room_make(&room); /* for down() */
    return true;
}

/* --- the latch ---------------------------------------------------------------------------------------------------------------------- */

static void test_T15_T25_a_captured_front_lifts_no_latch_of_the_quorum(void **state)
{
    (void)state;
    static const uint8_t digest[32] = {1};
    if (left_out())
        return;
    up(SEAL_BEGINS_BY_CEREMONY);
    make_chamber();
    seal();
    assert_latched();
    barrage(digest);
    assert_latched();
    assert_int_equal(unseal(&people[0]), 0); /* alice unseals: one is not enough */
    assert_latched();
    barrage(digest);        /* hers, again and again, and under other names */
    show("unseal\n", 0644); /* the owner thinks that he could */
    barrage(digest);
    hide();
    assert_latched();
    misdirect(&people[1], digest); /* bob approves something else, and rehearses */
    attack_as_all(envelope_for(&(struct giving){MANAGE_UNSEAL, "rehearse", people[1].name,
                                                people[1].credential, NULL, NULL}));
    assert_latched();
    assert_int_equal(unseal(&people[1]), 0); /* and only this */
    assert_status("\"state\":\"unsealed\"");
    assert_signs_again(12);
    ASSERT_REFUSED(ERROR_CREDENTIAL, ERROR_SEAL_STATE, ERROR_NOT_APPROVED, ERROR_NOT_OWNER,
                   ERROR_MALFORMED, ERROR_UNAUTHENTICATED);
}

/* Where there are no operators the latch is the owner's, who shows it by a file. */
static void test_T25_a_captured_front_lifts_no_latch_of_the_owner(void **state)
{
    (void)state;
    static struct a_manage ask;
    static const struct {
        const char *words;
        mode_t mode;
    } files[] = {{"unseal", 0644},
                 {"cancel\n", 0644},
                 {"unseal\nunseal\n", 0644},
                 {"unseal\n", 0666},
                 {"", 0644}};
    up(SEAL_BEGINS_LOCAL);
    fill(&ask, MANAGE_SEAL_LIFT, "", "");
    captured[captured_count++] = ask; /* as the owner has sent it once */
    seal();
    assert_latched();
    replay_all();
    cross_all();
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        show(files[i].words, files[i].mode);
        attack_as_all(&ask);
    }
    assert_latched();
    hide();
    assert_int_equal(ask_as(&admin, MANAGE_SEAL_LIFT, "", ""), ERROR_NOT_OWNER);
    show("unseal\n", 0644);
    assert_int_equal(ask_as(&admin, MANAGE_SEAL_LIFT, "", ""), 0);
    hide();
    assert_signs_again(12);
    ASSERT_REFUSED(ERROR_NOT_OWNER, ERROR_SEAL_STATE);
}

/* --- ceremonies ------------------------------------------------------------------------------------------------------------------------ */

/* It may have a setup token made, and doesn't see it. */
static void test_T13_a_captured_front_makes_no_first_set(void **state)
{
    (void)state;
    static const char *const guesses[] = {"", "cc_setup_",
                                          "cc_setup_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    char before[128], token[128];
    uint8_t fingerprint[32];
    if (left_out())
        return;
    up(SEAL_BEGINS_BY_CEREMONY);
    read_setup_token(before);
    assert_int_equal(ask_as(&admin, MANAGE_SETUP_TOKEN, "", ""), 0);
    read_setup_token(token);
    assert_string_not_equal(before, token);
    assert_null(strstr(text, token));
    attack_as_all(first_set(before)); /* one that it may have seen */
    for (size_t i = 0; i < ARRAY_LEN(guesses); i++)
        attack_as_all(first_set(guesses[i]));
    assert_status("\"state\":\"uninitialized\"");
    init_operators(fingerprint);
    attack_as_all(first_set(token)); /* spent */
    assert_status("\"state\":\"awaiting_registration\"");
    assert_null(strstr(text, "\"generation\":2"));
    await_answers();
    ASSERT_REFUSED(ERROR_CREDENTIAL);
}

static void test_T14_a_captured_front_registers_nobody(void **state)
{
    (void)state;
    uint8_t fingerprint[32];
    if (left_out())
        return;
    up(SEAL_BEGINS_BY_CEREMONY);
    init_operators(fingerprint);
    barrage(fingerprint);
    assert_status("\"state\":\"awaiting_registration\"");
    assert_non_null(strstr(text, "\"pending\":[\"alice\",\"bob\"]"));
    assert_int_equal(register_one(&people[0], fingerprint), 0);
    barrage(fingerprint); /* with her registration, that is spent */
    assert_status("\"pending\":[\"bob\"]");
    assert_int_equal(register_one(&people[1], fingerprint), 0);
    await("\"state\":\"sealed\"");
    barrage(fingerprint);
    assert_status("\"state\":\"sealed\"");
    for (unsigned i = 0; i < OPERATORS; i++)
        assert_int_equal(unseal(&people[i]), 0);
    assert_status("\"state\":\"unsealed\"");
    ASSERT_REFUSED(ERROR_CREDENTIAL, ERROR_SEAL_STATE, ERROR_MALFORMED);
}

static void test_T01_P23_a_captured_front_approves_and_cancels_nothing(void **state)
{
    (void)state;
    uint8_t digest[32], cancel[32];
    char phase[160], digits[65] = "";
    if (left_out())
        return;
    up(SEAL_BEGINS_BY_CEREMONY);
    make_chamber();
    assert_int_equal(ask_as(&local, MANAGE_ROTATE_MASTER, "", "{}"), 0);
    member_bytes("digest", digest);
    hex_encode(digest, 32, digits);
    (void)snprintf(phase, sizeof phase, "\"digest\":\"%s\"", digits);
    assert_status(phase);
    member_bytes("cancel_digest", cancel);
    barrage(digest);
    barrage(cancel);
    assert_status(phase);
    assert_int_equal(approve(&people[0], digest), 0);
    barrage(digest);         /* with her approval */
    show("approve\n", 0644); /* nor with a file of the owner, who is not asked here */
    barrage(cancel);
    show("cancel", 0644);
    barrage(cancel);
    hide();
    misdirect(&people[1], digest);
    misdirect(&people[1], cancel);
    assert_status(phase);
    assert_non_null(strstr(text, "\"phase\":\"proposed\""));
    assert_non_null(strstr(text, "\"generation\":1"));
    assert_int_equal(approve(&people[1], digest), 0); /* and only this */
    await("\"generation\":2");
    await("\"state\":\"unsealed\"");
    may_propose = true;
    barrage(digest);
    assert_status("\"generation\":2");
    assert_non_null(strstr(text, "\"phase\":\"proposed\"")); /* it may, and nothing comes of it */
    assert_non_null(strstr(text, "\"approvals\":{\"have\":0"));
    ASSERT_REFUSED(ERROR_CREDENTIAL, ERROR_SEAL_STATE, ERROR_NOT_APPROVED, ERROR_NOT_OWNER,
                   ERROR_MALFORMED, ERROR_UNAUTHENTICATED);
}

#define T(name) cmocka_unit_test_teardown(name, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_T15_T25_a_captured_front_lifts_no_latch_of_the_quorum),
        T(test_T25_a_captured_front_lifts_no_latch_of_the_owner),
        T(test_T13_a_captured_front_makes_no_first_set),
        T(test_T14_a_captured_front_registers_nobody),
        T(test_T01_P23_a_captured_front_approves_and_cancels_nothing),
    };
    core_room_reserve_metrics();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
