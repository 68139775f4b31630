#include "cli/auth_print.h"

#include <stdio.h>
#include <time.h>

#include "app/supervisor.h"
#include "codec/json.h"
#include "secret/wipe.h"

enum {
    TOKENS_MAX = 65536
};

static int odd(void)
{
    (void)fprintf(stderr, "containment-chamber auth: the signer's answer is not understood\n");
    return EXIT_CODE_FAILED;
}

static int done(void)
{
    return fflush(stdout) == 0 ? EXIT_CODE_DONE : EXIT_CODE_FAILED;
}

static void put_text(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        (void)putchar(text.data[i] >= 0x20 && text.data[i] <= 0x7e ? text.data[i] : '?');
}

int auth_print_json(struct buf *answer)
{
    (void)fwrite(answer->data, 1, answer->len, stdout);
    (void)putchar('\n');
    return done();
}

int auth_print_changed(struct buf *answer)
{
    (void)answer;
    (void)fprintf(
        stderr,
        "Done. Other replicas follow within their signer_state.refresh_interval_seconds.\n");
    return EXIT_CODE_DONE;
}

int auth_print_unlatched(struct buf *answer)
{
    (void)answer;
    (void)fprintf(
        stderr,
        "The latch is open: auth.mode is what the configuration says. Other replicas have a latch file each: run "
        "this on every machine.\n");
    return EXIT_CODE_DONE;
}

static bool
list_of(struct jdoc *doc, struct buf *answer, const char *name, struct jval_iter *ret_list)
{
    struct jval list;
    if (jdoc_parse(doc, answer->data, answer->len).code ||
        !jval_member(jdoc_root(doc), name, &list) || jval_type(list) != JVAL_ARRAY)
        return false;
    *ret_list = jval_iterate(list);
    return true;
}

int auth_print_names(struct buf *answer)
{
    struct jdoc doc = jdoc_init(TOKENS_MAX);
    struct jval_iter list;
    struct jval value;
    struct span name;
    bool good = list_of(&doc, answer, "policies", &list);
    while (good && jval_next(&list, &value)) {
        if (jval_text(value, &name).code)
            continue;
        put_text(name);
        (void)putchar('\n');
    }
    jdoc_release(&doc);
    return good ? done() : odd();
}

/* --- tokens ------------------------------------------------------------------------------------------------------------------ */

static void put_member(struct jval token, const char *name, const char *before)
{
    struct jval value;
    struct span text;
    if (!jval_member(token, name, &value) || jval_text(value, &text).code)
        return;
    (void)fputs(before, stdout);
    put_text(text);
}

static void put_items(struct jval token, const char *name, const char *before)
{
    struct jval list, value;
    struct span text;
    if (!jval_member(token, name, &list))
        return;
    (void)fputs(before, stdout);
    struct jval_iter iter = jval_iterate(list);
    for (bool first = true; jval_next(&iter, &value); first = false) {
        if (!first)
            (void)putchar(',');
        if (!jval_text(value, &text).code)
            put_text(text);
    }
}

static void put_time(struct jval token, const char *name, const char *before)
{
    struct jval value;
    struct tm tm;
    uint64_t seconds = 0;
    char stamp[32];
    if (!jval_member(token, name, &value) || jval_u64(value, &seconds).code ||
        seconds > INT32_MAX * 64ULL)
        return;
    const time_t when = (time_t)seconds;
    (void)gmtime_r(&when, &tm);
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &tm);
    (void)printf("%s%s", before, stamp);
}

int auth_print_tokens(struct buf *answer)
{
    struct jdoc doc = jdoc_init(TOKENS_MAX);
    struct jval_iter list;
    struct jval token;
    bool good = list_of(&doc, answer, "tokens", &list);
    while (good && jval_next(&list, &token)) {
        put_member(token, "name", "");
        put_items(token, "policies", "  policies=");
        put_time(token, "created", "  created=");
        put_time(token, "expires", "  expires=");
        put_time(token, "last_used", "  last_used=");
        put_items(token, "cidrs", "  cidrs=");
        put_member(token, "certificate", "  certificate=");
        (void)putchar('\n');
    }
    jdoc_release(&doc);
    return good ? done() : odd();
}

int auth_print_new_token(struct buf *answer)
{
    struct jdoc doc = jdoc_init(TOKENS_MAX);
    struct jval value;
    struct span text = {0};
    bool good = !jdoc_parse(&doc, answer->data, answer->len).code &&
                jval_member(jdoc_root(&doc), "token", &value) && !jval_text(value, &text).code;
    if (good) {
        (void)fprintf(
            stderr,
            "The token is shown once; the signer keeps nothing that it could be made from.\n");
        put_text(text);
        (void)putchar('\n');
    }
    jdoc_release(&doc);
    return good ? done() : odd();
}
