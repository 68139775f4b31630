#include "support/manage_rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#include "codec/hex.h"
#include "core/status_page.h"
#include "support/test.h"
#include "wire/control.h"

enum {
    LIFE = 1
};

struct shared_state mrig_shared;
struct config mrig_config;
struct side mrig_a, mrig_b;
_Atomic uint64_t mrig_now = 1700000000;
static const uint8_t token_key[32] = {7};
const uint8_t mrig_seed[ED25519_SEED_SIZE] = {1};
const uint8_t mrig_other_seed[ED25519_SEED_SIZE] = {2};

static uint64_t wall_ms(void)
{
    return mrig_now * 1000;
}

static void tell(void *context)
{
    (void)context;
}

static void changed(void *context, const struct state_store *state)
{
    const struct side *side = context;
    assert_int_equal(authority_take_records(side->authority, state).code, 0);
}

static void start_parts(struct side *side, const char *name)
{
    const struct authority_settings authority = {.auth = &mrig_config.auth,
                                                 .data_dir = mrig_config.data_dir,
                                                 .token_key = token_key,
                                                 .wall_ms = wall_ms};
    side->state = shared_state_open(&mrig_shared, name);
    assert_int_equal(authority_new(&authority, &side->authority).code, 0);
    const struct keeper_settings keeper = {.state = side->state,
                                           .signer = shared_state_signer,
                                           .refresh_seconds = 1,
                                           .tell = tell,
                                           .changed = changed,
                                           .changed_context = side};
    assert_int_equal(keeper_start(&keeper, &side->keeper).code, 0);
}

/* A page about nothing. */
static void show(void *context, struct status_view *ret_view)
{
    (void)context;
    ret_view->network = ret_view->state = "none";
    ret_view->history_backend = ret_view->state_backend = "none";
}

static void start_side(struct side *side, const char *name)
{
    int ends[2];
    start_parts(side, name);
    assert_int_equal(control_pair(side->control).code, 0);
    assert_int_equal(door_pair(ends).code, 0);
    side->front = ends[1];
    assert_int_equal(pending_table_new(&side->table).code, 0);
    assert_int_equal(front_link_new(side->table, side->control[1], &side->link).code, 0);
    front_link_offer(side->link, ends[0], LIFE);
    assert_int_equal(front_link_accept(side->link, &side->door).code, 0);
    const struct manage_settings settings = {.link = side->link,
                                             .keeper = side->keeper,
                                             .authority = side->authority,
                                             .config = &mrig_config,
                                             .wall_ms = wall_ms,
                                             .look = show};
    assert_int_equal(manage_start(&settings, &side->manage).code, 0);
}

static void stop_side(struct side *side)
{
    manage_stop(side->manage);
    keeper_stop(side->keeper);
    front_link_stop(side->link);
    front_link_drop(side->link);
    front_link_free(side->link);
    pending_table_free(side->table);
    authority_free(side->authority);
    state_store_close(side->state);
    (void)close(side->front);
    (void)close(side->control[0]);
    (void)close(side->control[1]);
}

int mrig_up(void **state)
{
    (void)state;
    shared_state_make(&mrig_shared);
    config_defaults(&mrig_config);
    (void)snprintf(mrig_config.data_dir, sizeof mrig_config.data_dir, "%s", mrig_shared.directory);
    mrig_now = 1700000000;
    start_side(&mrig_a, "a");
    start_side(&mrig_b, "b");
    return 0;
}

int mrig_down(void **state)
{
    (void)state;
    stop_side(&mrig_a);
    stop_side(&mrig_b);
    shared_state_remove(&mrig_shared);
    return 0;
}

/* --- asking ------------------------------------------------------------------------------------------------------------- */

struct mrig_answer mrig_answer; /* to the last question */

const struct caller mrig_admin = {.listener = LISTENER_ADMIN, .flags = CALLER_OWNER};
const struct caller mrig_unix_owner = {.listener = LISTENER_UNIX, .flags = CALLER_OWNER};
const struct caller mrig_stranger = {.listener = LISTENER_API, .address = {[15] = 1}};

void mrig_fill(struct a_manage *ask, enum a_manage_verb verb, const char *name, const char *body)
{
    static uint64_t id;
    memset(ask, 0, sizeof *ask);
    ask->id = ++id;
    ask->verb = verb;
    ask->caller = mrig_stranger;
    (void)snprintf(ask->name, sizeof ask->name, "%s", name);
    ask->body_len = (uint32_t)strlen(body);
    memcpy(ask->body, body, ask->body_len);
}

void mrig_sign(struct a_manage *ask, const uint8_t *key, uint64_t created)
{
    char path[160];
    struct manager_signed headers;
    const struct manage_verb *verb = manage_verb_find(ask->verb);
    (void)snprintf(path, sizeof path, "%s%s", verb->path, ask->name);
    const struct manager_request request = {
        .method = verb->method, .path = path, .body = span_of(ask->body, ask->body_len)};
    assert_int_equal(manager_sign(key, &request, created, "n", &headers).code, 0);
    ask->input_len = (uint16_t)strlen(headers.input);
    memcpy(ask->input, headers.input, ask->input_len);
    ask->signature_len = (uint16_t)strlen(headers.signature);
    memcpy(ask->signature, headers.signature, ask->signature_len);
    ask->digest_len = (uint16_t)strlen(headers.digest);
    memcpy(ask->digest, headers.digest, ask->digest_len);
}

uint64_t mrig_next_id(struct side *side)
{
    static struct door_message message;
    static struct a_managed part;
    size_t len = 0;
    do {
        assert_int_equal(door_receive(side->front, LIFE, door_a_to_front, &message).code, 0);
        assert_int_equal(message.head.type, A_MANAGED);
        memcpy(&part, message.items, sizeof part);
        assert_true(len + part.len < sizeof mrig_answer.text);
        memcpy(mrig_answer.text + len, part.body, part.len);
        len += part.len;
    } while (!part.last);
    mrig_answer.text[len] = 0;
    mrig_answer.error = (enum error_code)part.error;
    mrig_answer.status = part.status;
    memcpy(mrig_answer.detail, part.detail, sizeof mrig_answer.detail);
    return part.id;
}

void mrig_receive(struct side *side, uint64_t id)
{
    assert_int_equal(mrig_next_id(side), id);
}

/* A look at the store by the replica's own thread, which takes over what the other one has done. */
static cc_err look(void *context, struct state_store *state, const struct state_signer *signer)
{
    struct state_fault *fault = context;
    bool news = false;
    (void)signer;
    return state_refresh(state, &news, fault);
}

cc_err mrig_refresh(struct side *side, struct state_fault *ret_fault)
{
    *ret_fault = (struct state_fault){0};
    return keeper_run(side->keeper, look, ret_fault, 5000);
}

enum error_code mrig_put(struct side *side, const struct a_manage *ask)
{
    assert_int_equal(manage_put(side->manage, side->door.epoch, ask).code, 0);
    mrig_receive(side, ask->id);
    return mrig_answer.error;
}

enum error_code mrig_by(const struct caller *caller,
                        struct side *side,
                        enum a_manage_verb verb,
                        const char *name,
                        const char *body)
{
    static struct a_manage ask;
    mrig_fill(&ask, verb, name, body);
    ask.caller = *caller;
    return mrig_put(side, &ask);
}

/* Signed by the key of `seed`, a second after the last one. */
enum error_code
mrig_signed(struct side *side, enum a_manage_verb verb, const char *name, const char *body)
{
    static struct a_manage ask;
    mrig_fill(&ask, verb, name, body);
    mrig_now++;
    mrig_sign(&ask, mrig_seed, mrig_now);
    return mrig_put(side, &ask);
}

void mrig_show(const char *text)
{
    char path[128];
    const struct timespec then[2] = {{.tv_sec = (time_t)mrig_now}, {.tv_sec = (time_t)mrig_now}};
    (void)snprintf(path, sizeof path, "%s/auth.proof", mrig_shared.directory);
    (void)unlink(path);
    if (!text)
        return;
    assert_int_equal(file_write_durable(path, span_str(text), false).code, 0);
    assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
}

void mrig_bootstrap(const uint8_t *key, bool replace, enum error_code expected)
{
    uint8_t public_key[ED25519_PUBLIC_SIZE];
    char digits[2 * ED25519_PUBLIC_SIZE + 1] = "";
    char body[160], proof[96];
    ed25519_public(key, public_key);
    hex_encode(public_key, sizeof public_key, digits);
    (void)snprintf(body, sizeof body, "{\"public_key\":\"%s\"%s}", digits,
                   replace ? ",\"replace\":true" : "");
    (void)snprintf(proof, sizeof proof, "bootstrap %s\n", digits);
    mrig_show(proof);
    assert_int_equal(mrig_by(&mrig_admin, &mrig_a, MANAGE_BOOTSTRAP, "", body), expected);
    mrig_show(NULL);
    mrig_now++;
}

const char *const mrig_allow_export =
    "{\"rules\":[{\"effect\":\"allow\",\"scopes\":[\"slashing_export\"]}]}";

void mrig_assert_more_changes(unsigned *swaps, unsigned more)
{
    const unsigned now = shared_state_swaps(&mrig_shared);
    assert_int_equal(now, *swaps + more);
    *swaps = now;
}

struct caller mrig_with_token(const char *text)
{
    struct caller caller = mrig_stranger;
    caller.token_kind = CALLER_BEARER;
    token_digest(span_str(text), caller.token);
    return caller;
}

enum error_code mrig_may_export(struct side *side, const char *token)
{
    const struct caller caller = mrig_with_token(token);
    const struct auth_question question = {.scope = SCOPE_SLASHING_EXPORT, .kind = KIND_END};
    struct auth_verdict verdict;
    authority_judge(side->authority, &caller, &question, &verdict);
    return (enum error_code)verdict.error;
}

/* The token of the last answer. */
void mrig_take_token(char text[static TOKEN_TEXT_SIZE])
{
    const char *at = strstr(mrig_answer.text, "cc_token_");
    assert_non_null(at);
    memcpy(text, at, TOKEN_TEXT_SIZE - 1);
    text[TOKEN_TEXT_SIZE - 1] = 0;
    assert_int_equal(text[0], 'c');
    assert_int_equal(at[TOKEN_TEXT_SIZE - 1], '"');
}

void mrig_make_token(char text[static TOKEN_TEXT_SIZE])
{
    mrig_bootstrap(mrig_seed, false, ERROR_NONE);
    assert_int_equal(mrig_signed(&mrig_a, MANAGE_POLICY_PUT, "p", mrig_allow_export), 0);
    assert_int_equal(
        mrig_signed(&mrig_a, MANAGE_TOKEN_CREATE, "", "{\"name\":\"t\",\"policies\":[\"p\"]}"), 0);
    assert_int_equal(mrig_answer.status, 201);
    mrig_take_token(text);
}
