/* operator: status, seal. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/operator_proposal.h"
#include "cli/operator_send.h"

enum {
    WORDS_MAX = 64 << 10,
    LABEL = 16
};

static void line(const char *label, struct span text)
{
    if (!text.len)
        return;
    (void)printf("%-*s", LABEL, label);
    operator_print(stdout, text);
    (void)printf("\n");
}

static bool flag(struct jval object, const char *name)
{
    struct jval value;
    bool is = false;
    return jval_member(object, name, &value) && !jval_bool(value, &is).code && is;
}

static void print_kms(struct jval kms)
{
    struct jval keys, key;
    (void)printf("%-*s%" PRIu64 " of %" PRIu64 "%s\n", LABEL, "KMS keys",
                 operator_number(kms, "have"), operator_number(kms, "threshold"),
                 flag(kms, "open") ? ", open" : "");
    if (!jval_member(kms, "keys", &keys) || jval_type(keys) != JVAL_ARRAY)
        return;
    struct jval_iter iter = jval_iterate(keys);
    while (jval_next(&iter, &key)) {
        (void)printf("%*s", LABEL, "");
        operator_print(stdout, operator_text(key, "arn"));
        (void)printf(" ");
        operator_print(stdout, operator_text(key, "state"));
        (void)printf(" ");
        operator_print(stdout, operator_text(key, "error"));
        (void)printf("\n");
    }
}

static void print_names(const char *label, struct jval object, const char *member)
{
    struct jval names, name;
    if (!jval_member(object, member, &names) || jval_type(names) != JVAL_ARRAY ||
        !jval_count(names))
        return;
    (void)printf("%-*s", LABEL, label);
    struct jval_iter iter = jval_iterate(names);
    while (jval_next(&iter, &name)) {
        struct span text;
        if (!jval_text(name, &text).code)
            operator_print(stdout, text);
        (void)printf(" ");
    }
    (void)printf("\n");
}

static void print_set(struct jval set)
{
    struct jval part;
    line("mode", operator_text(set, "mode"));
    (void)printf("%-*s%" PRIu64 "\n", LABEL, "generation", operator_number(set, "generation"));
    line("set", operator_text(set, "fingerprint"));
    if (jval_member(set, "kms", &part))
        print_kms(part);
    if (!jval_member(set, "operators", &part))
        return;
    (void)printf("%-*s%" PRIu64 " of %" PRIu64 "\n", LABEL, "operators",
                 operator_number(part, "have"), operator_number(part, "threshold"));
    print_names("", part, "names");
    if (flag(part, "rehearsed"))
        line("rehearsal", span_str("the last one opened the master key"));
}

static void print_rotation(struct jval rotation)
{
    CC_CLEANUP(buf_release) struct buf words = buf_init(WORDS_MAX);
    struct operator_proposal *proposal = NULL;
    struct jval approvals;
    line("rotation", operator_text(rotation, "kind"));
    line("phase", operator_text(rotation, "phase"));
    if (jval_member(rotation, "approvals", &approvals))
        (void)printf("%-*s%" PRIu64 " of %" PRIu64 "\n", LABEL, "approvals",
                     operator_number(approvals, "have"), operator_number(approvals, "needed"));
    print_names("registered", rotation, "registered");
    print_names("pending", rotation, "pending");
    cc_err err = operator_proposal_read(rotation, &proposal);
    if (!err.code)
        err = operator_proposal_describe(proposal, &words);
    if (err.code)
        (void)operator_say("what is proposed", err);
    else
        (void)printf("%.*s", (int)words.len, (const char *)words.data);
    operator_proposal_free(proposal);
}

static void print_images(struct jval images)
{
    struct jval list, image, part;
    if (jval_member(images, "image", &part))
        line("this image", operator_text(part, "pcr0"));
    if (jval_member(images, "approved", &list) && jval_type(list) == JVAL_ARRAY) {
        struct jval_iter iter = jval_iterate(list);
        while (jval_next(&iter, &image))
            line(flag(image, "own") ? "auto-unseal" : "  of another", operator_text(image, "pcr0"));
    }
    if (jval_member(images, "proposed", &image) && jval_member(image, "proposal", &part))
        line("  proposed", operator_text(part, "pcr0"));
}

static void print_status(struct jval root)
{
    struct jval part;
    line("state", operator_text(root, "state"));
    if (flag(root, "latched"))
        line("latched", span_str("an emergency seal is in force"));
    line("chamber", operator_text(root, "chamber_id"));
    line("identity", operator_text(root, "identity"));
    if (jval_member(root, "seal", &part))
        print_set(part);
    if (jval_member(root, "auto_unseal", &part))
        print_images(part);
    if (jval_member(root, "rotation", &part))
        print_rotation(part);
}

static int get(const struct operator_wanted *w,
               const char *method,
               const char *target,
               struct operator_reply *reply)
{
    const struct operator_request request = {&w->signers.each[0], method, target, {0}};
    int code = operator_needs_one_signer(w);
    return code == EXIT_CODE_DONE ? operator_ask(&request, reply) : code;
}

/* Words for a person at a terminal; for all else what the signer says. */
int operator_status(struct operator_wanted *w)
{
    CC_CLEANUP(operator_reply_release) struct operator_reply reply = {0};
    int code = get(w, "GET", "status", &reply);
    if (code != EXIT_CODE_DONE)
        return code;
    if (!w->json && isatty(STDOUT_FILENO)) {
        print_status(jdoc_root(&reply.doc));
        return code;
    }
    operator_print(stdout, buf_span(&reply.text));
    (void)printf("\n");
    return code;
}

/* A seal that is not complete is said to be so, and fails. */
int operator_seal(struct operator_wanted *w)
{
    CC_CLEANUP(operator_reply_release) struct operator_reply reply = {0};
    struct jval value;
    bool complete = true;
    int code = get(w, "POST", "seal", &reply);
    if (code != EXIT_CODE_DONE)
        return code;
    operator_print(stdout, buf_span(&reply.text));
    (void)printf("\n");
    if (jval_member(jdoc_root(&reply.doc), "complete", &value) && !jval_bool(value, &complete).code)
        return complete ? EXIT_CODE_DONE : EXIT_CODE_FAILED;
    return EXIT_CODE_DONE;
}
