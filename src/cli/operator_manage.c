/* operator: what needs a token, or the owner: init, rotations, root token. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"

#include "auth/manager.h"
#include "cli/auth_proof.h"
#include "cli/json_object.h"
#include "cli/operator_body.h"
#include "cli/operator_proposal.h"
#include "cli/operator_send.h"
#include "cli/secret_source.h"
#include "codec/hex.h"
#include "crypto/random.h"
#include "seal/proposal.h"

enum {
    BODY_MAX = 48 << 10,
    WORDS_MAX = 64 << 10,
    PATH_SIZE = 512,
    DIGITS = 2 * 32 + 1
};

/* Room for all of it at once: a setup token may be in it. */
static int begin_body(struct buf *body)
{
    uint8_t *room;
    cc_err err = buf_grow(body, BODY_MAX, &room);
    body->len = 0;
    return err.code ? operator_say("the request", err) : EXIT_CODE_DONE;
}

static int end_body(cc_err err)
{
    return err.code ? operator_say("the request", err) : EXIT_CODE_DONE;
}

int operator_ask_and_print(const struct operator_wanted *w,
                           const char *method,
                           const char *target,
                           struct span body,
                           struct operator_reply *reply)
{
    const struct operator_request request = {&w->signers.each[0], method, target, body};
    int code = operator_ask(&request, reply);
    if (code == EXIT_CODE_DONE && w->json) {
        operator_print(stdout, buf_span(&reply->text));
        (void)printf("\n");
    }
    return code;
}

static void wiping_reply_release(struct operator_reply *reply)
{
    if (reply->text.data)
        wipe(reply->text.data, reply->text.cap);
    if (reply->copy.data)
        wipe(reply->copy.data, reply->copy.cap);
    operator_reply_release(reply);
}

/* --- setup token ---------------------------------------------------------------------------------------------------------------- */

CC_SENSITIVE int operator_setup_token(struct operator_wanted *w)
{
    CC_CLEANUP(wiping_reply_release) struct operator_reply reply = {0};
    int code = operator_needs_one_signer(w);
    if (code == EXIT_CODE_DONE)
        code = operator_ask_and_print(w, "POST", "setup-token", span_str(""), &reply);
    if (code != EXIT_CODE_DONE || w->json)
        return code;
    operator_print(stdout,
                   operator_text(jdoc_root(&reply.doc), w->owner.source ? "token" : "path"));
    (void)printf("\n");
    (void)fprintf(stderr, w->owner.source
                              ? "It is good for 15 minutes and one `operator init`.\n"
                              : "It is in that file, for 15 minutes and one `operator init`.\n");
    return EXIT_CODE_DONE;
}

/* --- age files ------------------------------------------------------------------------------------------------------------------ */

static int give_file(const struct operator_wanted *w, const char *name, struct span text)
{
    char path[PATH_SIZE];
    if (!w->out) {
        (void)printf("%s:\n", name);
        operator_print(stdout, text);
        (void)printf("\n");
        return EXIT_CODE_DONE;
    }
    const int n = snprintf(path, sizeof path, "%s/%s", w->out, name);
    if (n < 0 || (size_t)n >= sizeof path)
        return operator_say(w->out, CC_FAIL(LIMIT, "the path is too long"));
    cc_err err = file_write_durable(path, text, true);
    if (err.code)
        return operator_say(path, err);
    /* --json: standard output has the signer's answer. */
    (void)fprintf(w->json ? stderr : stdout, "%s\n", path);
    return EXIT_CODE_DONE;
}

static bool ends_in(const char *name, const char *end)
{
    const size_t len = strlen(name), end_len = strlen(end);
    return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

static bool is_ours(const char *name)
{
    return ends_in(name, ".registration.age") ||
           (strncmp(name, "break-glass-", strlen("break-glass-")) == 0 && ends_in(name, ".age"));
}

/* Files of an earlier set are not overwritten, and half of a new one beside them would be worse. */
static int refuse_old_files(const struct operator_wanted *w, DIR *directory)
{
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        if (!is_ours(entry->d_name))
            continue;
        (void)fprintf(
            stderr,
            "containment-chamber operator: %s/%s exists already, nothing was asked for or written: give an empty directory\n",
            w->out, entry->d_name);
        return EXIT_CODE_FAILED;
    }
    return EXIT_CODE_DONE;
}

/* Before anything is asked for: an init is good for once. */
static int make_room(const struct operator_wanted *w)
{
    if (!w->out)
        return EXIT_CODE_DONE;
    if (mkdir(w->out, 0700) != 0 && errno != EEXIST)
        return operator_say(w->out, CC_FAIL(IO, "the directory can't be made"));
    if (access(w->out, W_OK | X_OK) != 0)
        return operator_say(w->out, CC_FAIL(IO, "nothing can be written there"));
    DIR *directory = opendir(w->out);
    if (!directory)
        return operator_say(w->out, CC_FAIL(IO, "not a directory that can be read"));
    const int code = refuse_old_files(w, directory);
    (void)closedir(directory);
    return code;
}

/* Of one list; files are named after the operator, or numbered. */
static int
give_list(const struct operator_wanted *w, struct jval root, const char *list, bool named)
{
    struct jval value, each;
    if (!jval_member(root, list, &value) || jval_type(value) != JVAL_ARRAY)
        return EXIT_CODE_DONE;
    struct jval_iter iter = jval_iterate(value);
    int code = EXIT_CODE_DONE;
    for (unsigned i = 1; code == EXIT_CODE_DONE && jval_next(&iter, &each); i++) {
        const struct span name = operator_text(each, "name");
        char file[PATH_SIZE];
        if (named && !seal_is_operator_name(name))
            return operator_say("the signer's answer",
                                CC_FAIL(PROTOCOL, "the name of an operator"));
        if (named)
            (void)snprintf(file, sizeof file, "%.*s.registration.age", (int)name.len,
                           (const char *)name.data);
        else
            (void)snprintf(file, sizeof file, "break-glass-%u.age", i);
        code = give_file(w, file, operator_text(each, "age"));
    }
    return code;
}

static int give_files(const struct operator_wanted *w, const struct operator_reply *reply)
{
    const struct jval root = jdoc_root(&reply->doc);
    int code = give_list(w, root, "registration_tokens", true);
    if (code == EXIT_CODE_DONE)
        code = give_list(w, root, "break_glass", false);
    (void)fprintf(stderr, "The fingerprint of the set is ");
    operator_print(stderr, operator_text(root, "set_fingerprint"));
    (void)fprintf(stderr, "\n");
    return code;
}

int operator_tokens(struct operator_wanted *w)
{
    CC_CLEANUP(operator_reply_release) struct operator_reply reply = {0};
    int code = operator_needs_one_signer(w);
    if (code == EXIT_CODE_DONE)
        code = make_room(w);
    if (code == EXIT_CODE_DONE)
        code = operator_ask_and_print(w, "GET", "rotate/tokens", span_str(""), &reply);
    return code == EXIT_CODE_DONE && (!w->json || w->out) ? give_files(w, &reply) : code;
}

/* --- init ------------------------------------------------------------------------------------------------------------------------ */

static bool is_plain(const char *text)
{
    for (; *text; text++)
        if (*text < 0x21 || *text > 0x7e || *text == '"' || *text == '\\')
            return false;
    return true;
}

/* The owner's signature says who may, and over all of it. */
static int begin_as_owner(const struct operator_wanted *w, struct buf *body)
{
    if (w->setup_token)
        return operator_refuse(w, "takes the place of --setup-token", "--owner-key");
    return end_body(buf_printf(body, "{\"mode\":\"%s\"", w->mode));
}

static CC_SENSITIVE int begin_init(const struct operator_wanted *w, struct buf *body)
{
    CC_CLEANUP(secret_text_wipep) struct secret_text token;
    if (w->owner.source)
        return begin_as_owner(w, body);
    if (!w->setup_token)
        return operator_refuse(w, "needs --setup-token env:NAME, file:PATH or fd:N, or --owner-key",
                               NULL);
    cc_err err = secret_read(w->setup_token, w->arguments->environment, &token);
    if (!err.code && !is_plain(token.text))
        err = CC_FAIL(MALFORMED, "there is something else than a token");
    if (err.code)
        return operator_say("--setup-token", err);
    return end_body(
        buf_printf(body, "{\"setup_token\":\"%s\",\"mode\":\"%s\"", token.text, w->mode));
}

static void wiping_release(struct buf *body)
{
    if (body->data)
        wipe(body->data, body->cap);
    buf_release(body);
}

static int check_mode(const struct operator_wanted *w, bool local)
{
    uint32_t mode = 0;
    if (w->mode && seal_mode_of(span_str(w->mode), &mode) && (local || mode != SEAL_LOCAL))
        return EXIT_CODE_DONE;
    return operator_refuse(w,
                           local ? "--mode is local, kms, quorum or operators"
                                 : "--mode is kms, quorum or operators",
                           w->mode);
}

int operator_init(struct operator_wanted *w)
{
    CC_CLEANUP(wiping_release) struct buf body = buf_init(BODY_MAX);
    CC_CLEANUP(operator_reply_release) struct operator_reply reply = {0};
    int code = operator_needs_one_signer(w);
    if (code == EXIT_CODE_DONE)
        code = check_mode(w, false);
    if (code == EXIT_CODE_DONE)
        code = begin_body(&body);
    if (code == EXIT_CODE_DONE)
        code = begin_init(w, &body);
    if (code == EXIT_CODE_DONE)
        code = operator_put_kms(w, &body);
    if (code == EXIT_CODE_DONE)
        code = operator_put_quorum(w, &body);
    if (code == EXIT_CODE_DONE)
        code = end_body(buf_append_str(&body, "}"));
    if (code == EXIT_CODE_DONE)
        code = make_room(w);
    if (code == EXIT_CODE_DONE)
        code = operator_ask_and_print(w, "POST", "init", buf_span(&body), &reply);
    if (code != EXIT_CODE_DONE || (w->json && !w->out))
        return code;
    (void)fprintf(stderr, "state: ");
    operator_print(stderr, operator_text(jdoc_root(&reply.doc), "state"));
    (void)fprintf(stderr, "\n");
    return give_files(w, &reply);
}

/* --- rotations ------------------------------------------------------------------------------------------------------------------- */

static int print_rotation(const struct operator_reply *reply)
{
    CC_CLEANUP(buf_release) struct buf words = buf_init(WORDS_MAX);
    struct operator_proposal *proposal = NULL;
    cc_err err = operator_proposal_read(jdoc_root(&reply->doc), &proposal);
    if (!err.code)
        err = operator_proposal_describe(proposal, &words);
    operator_proposal_free(proposal);
    if (err.code)
        return operator_say("what is proposed", err);
    (void)printf("%.*s", (int)words.len, (const char *)words.data);
    (void)fprintf(stderr, "It does nothing before it is approved: `operator approve`.\n");
    return EXIT_CODE_DONE;
}

/* The file is there before anything is proposed: what is proposed is then in it, and in no older one. */
static int reserve_out(const struct operator_wanted *w)
{
    if (!w->out)
        return EXIT_CODE_DONE;
    CC_CLEANUP(fd_closep)
    int fd = open(w->out, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0)
        return EXIT_CODE_DONE;
    return operator_say(
        w->out, errno == EEXIST ? CC_FAIL(EXISTS, "nothing was proposed: --out takes a new file")
                                : CC_FAIL(IO, "nothing was proposed: the file can't be made"));
}

int operator_propose_into(const struct operator_wanted *w,
                          const char *target,
                          struct span body,
                          struct operator_reply *reply)
{
    int code = reserve_out(w);
    if (code != EXIT_CODE_DONE)
        return code;
    code = operator_ask_and_print(w, "POST", target, body, reply);
    if (!w->out)
        return code;
    if (code != EXIT_CODE_DONE) {
        (void)unlink(w->out);
        return code;
    }
    cc_err err = file_write_durable(w->out, buf_span(&reply->text), false);
    return err.code ? operator_say(w->out, err) : EXIT_CODE_DONE;
}

/* `members`: with a comma before each, behind an opening brace. */
static int propose(const struct operator_wanted *w, const char *target, struct buf *members)
{
    CC_CLEANUP(operator_reply_release) struct operator_reply reply = {0};
    CC_CLEANUP(buf_release) struct buf body = buf_init(BODY_MAX);
    cc_err err = buf_append_str(&body, "{");
    if (!err.code && members->len)
        err = buf_append(&body, members->data + 1, members->len - 1);
    if (!err.code)
        err = buf_append_str(&body, "}");
    int code = end_body(err);
    if (code == EXIT_CODE_DONE)
        code = operator_propose_into(w, target, buf_span(&body), &reply);
    if (code != EXIT_CODE_DONE)
        return code;
    return w->json ? EXIT_CODE_DONE : print_rotation(&reply);
}

int operator_rotate_kms(struct operator_wanted *w)
{
    CC_CLEANUP(buf_release) struct buf members = buf_init(BODY_MAX);
    int code = operator_needs_one_signer(w);
    if (code == EXIT_CODE_DONE && !w->kms_keys)
        code = operator_refuse(w, "needs --kms-key-arns and --kms-threshold", NULL);
    if (code == EXIT_CODE_DONE)
        code = operator_put_kms(w, &members);
    return code == EXIT_CODE_DONE ? propose(w, "rotate/kms", &members) : code;
}

int operator_rotate_quorum(struct operator_wanted *w)
{
    CC_CLEANUP(buf_release) struct buf members = buf_init(BODY_MAX);
    int code = operator_needs_one_signer(w);
    if (code == EXIT_CODE_DONE && w->operators.count == 0)
        code =
            operator_refuse(w, "needs --operator NAME=PUBLIC_KEY and --operator-threshold", NULL);
    if (code == EXIT_CODE_DONE)
        code = operator_put_quorum(w, &members);
    return code == EXIT_CODE_DONE ? propose(w, "rotate/quorum", &members) : code;
}

int operator_rotate_mode(struct operator_wanted *w)
{
    CC_CLEANUP(buf_release) struct buf members = buf_init(BODY_MAX);
    int code = operator_needs_one_signer(w);
    if (code == EXIT_CODE_DONE)
        code = check_mode(w, true);
    if (code == EXIT_CODE_DONE)
        code = end_body(buf_printf(&members, ",\"mode\":\"%s\"", w->mode));
    if (code == EXIT_CODE_DONE)
        code = operator_put_kms(w, &members);
    if (code == EXIT_CODE_DONE)
        code = operator_put_quorum(w, &members);
    return code == EXIT_CODE_DONE ? propose(w, "rotate/mode", &members) : code;
}

int operator_rotate_master(struct operator_wanted *w)
{
    CC_CLEANUP(buf_release) struct buf members = buf_init(BODY_MAX);
    int code = operator_needs_one_signer(w);
    return code == EXIT_CODE_DONE ? propose(w, "rotate/master", &members) : code;
}

int operator_cancel(struct operator_wanted *w)
{
    CC_CLEANUP(operator_reply_release) struct operator_reply reply = {0};
    int code = operator_needs_one_signer(w);
    if (code != EXIT_CODE_DONE)
        return code;
    /* The owner at the admin socket shows that the directory is his. */
    if (w->data_dir) {
        cc_err err = auth_proof_write(w->data_dir, "cancel\n");
        if (err.code)
            return operator_say(w->data_dir, err);
    }
    code = operator_ask_and_print(w, "DELETE", "rotate", span_str(""), &reply);
    if (w->data_dir)
        auth_proof_remove(w->data_dir);
    if (code == EXIT_CODE_DONE && !w->json)
        (void)printf("cancelled\n");
    return code;
}

/* --- root token ------------------------------------------------------------------------------------------------------------------- */

/* As a management key's public half is written everywhere: without 0x. */
static int print_made(const struct operator_wanted *w, const char *digits)
{
    struct json_object object = json_object_begin();
    json_object_text(&object, "to", w->to);
    json_object_text(&object, "public_key", digits);
    return json_object_print(&object, "operator", EXIT_CODE_DONE);
}

static int print_key(const struct operator_wanted *w, const uint8_t *public_key)
{
    struct pinned pinned;
    char digits[DIGITS] = "";
    uint8_t digest[32];
    int code = EXIT_CODE_DONE;
    hex_encode(public_key, 32, digits);
    if (w->json)
        code = print_made(w, digits);
    else
        (void)printf("%s\n", digits);
    (void)fprintf(stderr, "The quorum lets it in: operator approve --management-key %s\n", digits);
    if (!w->identity || pinned_read(w->identity, &pinned).code || !pinned.names_chamber)
        return code;
    proposal_manager_digest(pinned.chamber_id, public_key, digest);
    hex_encode(digest, sizeof digest, digits);
    (void)fprintf(stderr, "Its digest is %s\n", digits);
    return code;
}

static CC_SENSITIVE int make_key(const struct operator_wanted *w)
{
    WIPED32 struct secret32 seed;
    CC_CLEANUP(secret_text_wipep) struct secret_text text;
    uint8_t public_key[ED25519_PUBLIC_SIZE];
    cc_err err = random_bytes(seed.bytes, sizeof seed.bytes);
    if (!err.code) {
        manager_text(seed.bytes, text.text);
        text.text[MANAGER_TEXT_SIZE - 1] = '\n';
        err = file_write_durable(w->to, span_of(text.text, MANAGER_TEXT_SIZE), true);
    }
    if (err.code)
        return operator_say(w->to, err);
    ed25519_public(seed.bytes, public_key);
    return print_key(w, public_key);
}

static CC_SENSITIVE cc_err read_key(const struct operator_wanted *w, uint8_t ret_public[static 32])
{
    WIPED32 struct secret32 seed;
    CC_CLEANUP(secret_text_wipep) struct secret_text text;
    CC_TRY(secret_read(w->from, w->arguments->environment, &text));
    CC_TRY(manager_text_parse(span_of(text.text, text.len), seed.bytes));
    ed25519_public(seed.bytes, ret_public);
    return CC_OK;
}

static int put_in_place(const struct operator_wanted *w)
{
    CC_CLEANUP(operator_reply_release) struct operator_reply reply = {0};
    uint8_t public_key[32];
    char digits[DIGITS] = "", body[DIGITS + 32];
    cc_err err = read_key(w, public_key);
    if (err.code)
        return operator_say("--from", err);
    hex_encode(public_key, sizeof public_key, digits);
    (void)snprintf(body, sizeof body, "{\"public_key\":\"%s\"}", digits);
    int code = operator_ask_and_print(w, "POST", "root-token", span_str(body), &reply);
    if (code != EXIT_CODE_DONE || w->json)
        return code;
    (void)printf("in place: ");
    operator_print(stdout, operator_text(jdoc_root(&reply.doc), "keyid"));
    (void)printf("\n");
    return EXIT_CODE_DONE;
}

int operator_root_token(struct operator_wanted *w)
{
    if (!w->to == !w->from)
        return operator_refuse(
            w,
            "--to FILE makes the key; --from file:FILE puts it in place, once the quorum has approved it",
            NULL);
    if (w->to)
        return make_key(w);
    int code = operator_needs_one_signer(w);
    return code == EXIT_CODE_DONE ? put_in_place(w) : code;
}
