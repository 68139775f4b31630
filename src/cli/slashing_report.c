#include "cli/slashing_report.h"

#include <stdio.h>

#include "app/supervisor.h"
#include "codec/json.h"

enum {
    TOKENS_MAX = 1 << 18 /* of a MiB of notes */
};

int slashing_exit_code(cc_err err)
{
    if (err.code == 0)
        return EXIT_CODE_DONE;
    if (error_is(err, ERROR_LOCKED))
        return EXIT_CODE_LOCKED;
    return error_class(err) == CLASS_INPUT || error_is(err, ERROR_WRONG_NETWORK) ? EXIT_CODE_REFUSED
                                                                                 : EXIT_CODE_FAILED;
}

int slashing_say_error(const char *what, cc_err err)
{
    (void)fprintf(stderr, "containment-chamber slashing: %s: %s%s%s\n", what, error_text(err),
                  error_detail()[0] ? ": " : "", error_detail());
    return slashing_exit_code(err);
}

void slashing_print_import(const struct slash_import_report *r, bool json)
{
    (void)printf(json ? "{\"validators\": %llu, \"blocks\": %llu, \"attestations\": %llu, "
                        "\"known\": %llu, \"contradictory\": %llu}\n"
                      : "%llu validators: %llu blocks and %llu attestations added, %llu known "
                        "before; %llu validators contradict themselves and were reduced to "
                        "watermarks\n",
                 (unsigned long long)r->validators, (unsigned long long)r->blocks,
                 (unsigned long long)r->attestations, (unsigned long long)r->known,
                 (unsigned long long)r->contradictory);
}

/* --- reading an answer: what is not there is empty, or 0 ------------------------------------------------------------- */

static struct span text_of(struct jval object, const char *name)
{
    struct jval value;
    struct span text;
    if (!jval_member(object, name, &value) || jval_text(value, &text).code)
        return span_str("");
    return text;
}

static unsigned long long number_of(struct jval object, const char *name)
{
    struct jval value;
    uint64_t number = 0;
    if (!jval_member(object, name, &value) || jval_u64(value, &number).code)
        return 0;
    return number;
}

static struct jval_iter list_of(struct jval object, const char *name)
{
    struct jval value;
    if (!jval_member(object, name, &value) || jval_type(value) != JVAL_ARRAY)
        return (struct jval_iter){0};
    return jval_iterate(value);
}

static void print_text(FILE *out, const char *before, struct span text, const char *after)
{
    (void)fprintf(out, "%s%.*s%s", before, (int)text.len, (const char *)text.data, after);
}

/* "slot 7", "source 5, target 6": what of it there is. */
static void print_place(FILE *out, struct jval note)
{
    struct span slot = text_of(note, "slot"), source = text_of(note, "source_epoch"),
                target = text_of(note, "target_epoch");
    if (slot.len)
        print_text(out, " slot ", slot, "");
    if (target.len) {
        print_text(out, " source ", source, ",");
        print_text(out, " target ", target, "");
    }
}

/* --- in words ----------------------------------------------------------------------------------------------------------- */

static void print_high(struct jval root)
{
    struct jval high;
    if (!jval_member(root, "high_watermark", &high) || jval_type(high) != JVAL_OBJECT)
        return;
    print_text(stdout, "high watermark          slot ", text_of(high, "slot"), ", ");
    print_text(stdout, "epoch ", text_of(high, "epoch"), "\n");
}

static int print_status(struct jval root)
{
    struct span genesis = text_of(root, "genesis_validators_root"),
                ceiling = text_of(root, "ceiling");
    print_text(stdout, "backend                 ", text_of(root, "backend"), "\n");
    print_text(stdout, "history id              ", text_of(root, "history_id"), "\n");
    print_text(stdout, "chamber id              ", text_of(root, "chamber_id"), "\n");
    print_text(stdout, "genesis validators root ",
               genesis.len ? genesis : span_str("not fixed yet"), "\n");
    (void)printf("validators              %llu\nblocks                  %llu\n"
                 "attestations            %llu\n",
                 number_of(root, "validators"), number_of(root, "blocks"),
                 number_of(root, "attestations"));
    if (ceiling.len)
        print_text(stdout, "ceiling                 epoch ", ceiling, "\n");
    print_high(root);
    return EXIT_CODE_DONE;
}

static void print_mirror(struct jval root)
{
    struct jval mirror;
    if (!jval_member(root, "mirror", &mirror))
        return;
    (void)printf("mirror: %llu records of %llu keys looked for: %llu missing, %llu changed\n",
                 number_of(mirror, "records"), number_of(mirror, "keys"),
                 number_of(mirror, "missing"), number_of(mirror, "changed"));
}

static void print_range(const char *what, struct jval root, const char *name)
{
    struct jval range;
    if (!jval_member(root, name, &range))
        return;
    print_text(stdout, what, text_of(range, "oldest"), " to ");
    print_text(stdout, "", text_of(range, "newest"), "\n");
}

static int print_verify(struct jval root)
{
    struct jval fault;
    struct jval_iter faults = list_of(root, "faults");
    unsigned long long count = number_of(root, "faulty");
    while (jval_next(&faults, &fault)) {
        print_text(stdout, "", text_of(fault, "pubkey"), ": ");
        print_text(stdout, "", text_of(fault, "fault"), ":");
        print_place(stdout, fault);
        (void)printf("\n");
    }
    print_range("blocks of slots ", root, "slots");
    print_range("attestations of target epochs ", root, "target_epochs");
    print_mirror(root);
    (void)printf("%llu validators, %llu blocks and %llu attestations looked at: %llu faults\n",
                 number_of(root, "validators"), number_of(root, "blocks"),
                 number_of(root, "attestations"), count);
    return count ? EXIT_CODE_FAILED : EXIT_CODE_DONE;
}

static int print_prune(struct jval root)
{
    (void)printf("%llu records removed, all but the newest ", number_of(root, "removed"));
    print_text(stdout, "", text_of(root, "keep_epochs"), " epochs of each key\n");
    return EXIT_CODE_DONE;
}

static int print_hand_over(struct jval root)
{
    struct jval high;
    if (!jval_member(root, "high_watermark", &high) || jval_type(high) != JVAL_OBJECT) {
        (void)printf("no high watermark: this history signs on\n");
        return EXIT_CODE_DONE;
    }
    print_text(stdout, "this history signs nothing from epoch ", text_of(high, "epoch"), ", ");
    print_text(stdout, "slot ", text_of(high, "slot"), " on;\n");
    (void)printf(
        "the other imports an export of this one, and then: containment-chamber slashing repair-watermark "
        "--epoch %llu\n",
        number_of(high, "epoch") - 1);
    return EXIT_CODE_DONE;
}

static int print_repair(struct jval root)
{
    (void)printf("%llu validators sign nothing up to ", number_of(root, "validators"));
    print_text(stdout, "epoch ", text_of(root, "epoch"), ", ");
    print_text(stdout, "slot ", text_of(root, "slot"), "\n");
    return EXIT_CODE_DONE;
}

static int print_enable(struct jval root)
{
    (void)root;
    (void)printf("enabled; its records and watermarks are what they were\n");
    return EXIT_CODE_DONE;
}

static int say_unreadable(void)
{
    (void)fprintf(stderr, "containment-chamber slashing: the signer's answer can't be read\n");
    return EXIT_CODE_FAILED;
}

int slashing_print(enum a_slashing_verb verb, struct buf *answer, bool json)
{
    static int (*const words[SLASHING_VERB_END])(struct jval root) = {
        [SLASHING_STATUS] = print_status,       [SLASHING_VERIFY] = print_verify,
        [SLASHING_PRUNE] = print_prune,         [SLASHING_ENABLE] = print_enable,
        [SLASHING_HAND_OVER] = print_hand_over, [SLASHING_REPAIR] = print_repair,
    };
    struct jdoc doc = jdoc_init(TOKENS_MAX);
    cc_assert(verb < SLASHING_VERB_END && words[verb]);
    if (json)
        (void)printf("%.*s\n", (int)answer->len, (const char *)answer->data);
    if (jdoc_parse(&doc, answer->data, answer->len).code) {
        jdoc_release(&doc);
        return say_unreadable();
    }
    int code = json ? (number_of(jdoc_root(&doc), "faulty") ? EXIT_CODE_FAILED : EXIT_CODE_DONE)
                    : words[verb](jdoc_root(&doc));
    jdoc_release(&doc);
    return code;
}

/* --- import -------------------------------------------------------------------------------------------------------------- */

static void print_note(struct jval note)
{
    print_text(stderr, "note: ", text_of(note, "pubkey"),
               ": its history is slashable in itself; it signs again what is beyond");
    print_place(stderr, note);
    (void)fprintf(stderr, "\n");
}

CC_ERR slashing_take_import(struct buf *answer, struct slash_import_report *sum)
{
    struct jdoc doc = jdoc_init(TOKENS_MAX);
    struct jval note;
    cc_err err = jdoc_parse(&doc, answer->data, answer->len);
    if (!err.code) {
        struct jval root = jdoc_root(&doc);
        const struct slash_import_report report = {
            .validators = number_of(root, "validators"),
            .blocks = number_of(root, "blocks"),
            .attestations = number_of(root, "attestations"),
            .known = number_of(root, "known"),
            .contradictory = number_of(root, "contradictory"),
        };
        slash_import_report_add(sum, &report);
        struct jval_iter notes = list_of(root, "notes");
        while (jval_next(&notes, &note))
            print_note(note);
    }
    jdoc_release(&doc);
    return err;
}

/* --- refusals --------------------------------------------------------------------------------------------------------------- */

static int code_of_status(int status)
{
    return status == 400 || status == 401 || status == 403 || status == 413 ? EXIT_CODE_REFUSED
                                                                            : EXIT_CODE_FAILED;
}

void slashing_print_begun(unsigned long long epoch)
{
    (void)fprintf(
        stderr,
        "another signer may have begun at epoch %llu: the high watermark is neither raised "
        "nor removed; --force when it has not\n",
        epoch);
}

int slashing_print_refusal(int status, struct buf *answer)
{
    struct jdoc doc = jdoc_init(TOKENS_MAX);
    struct jval line;
    struct span text;
    unsigned long long begun = 0;
    (void)fprintf(stderr, "containment-chamber slashing: the signer answers %d", status);
    if (answer->len && !jdoc_parse(&doc, answer->data, answer->len).code) {
        struct jval root = jdoc_root(&doc);
        struct jval_iter faults = list_of(root, "faults");
        print_text(stderr, ": ", text_of(root, "error"), "");
        while (jval_next(&faults, &line))
            if (!jval_text(line, &text).code)
                print_text(stderr, "\n", text, "");
        if (jval_member(root, "high_watermark", &line) && jval_type(line) == JVAL_OBJECT)
            begun = number_of(line, "epoch");
    }
    (void)fprintf(stderr, "\n");
    if (begun)
        slashing_print_begun(begun);
    jdoc_release(&doc);
    return code_of_status(status);
}
