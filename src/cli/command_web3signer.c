#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/web3signer.h"

static struct supervisor_source source;
static struct web3signer w;

static void print(const char *what, const struct buf *text)
{
    for (size_t at = 0; at < text->len;) {
        const uint8_t *end = memchr(text->data + at, '\n', text->len - at);
        size_t len = end ? (size_t)(end - text->data) - at : text->len - at;
        (void)fprintf(stderr, "containment-chamber web3signer: %s%.*s\n", what, (int)len,
                      (const char *)text->data + at);
        at += len + 1;
    }
}

/* A task's own options are those of `slashing`, but for their names. */
static int run_task(struct arguments *arguments)
{
    if (strcmp(w.task, "watermark-repair") != 0)
        return command_slashing_on(arguments, w.task, &source);
    (void)fprintf(stderr,
                  "containment-chamber web3signer: watermark-repair raises the watermarks of all "
                  "keys. Here that is `containment-chamber slashing repair-watermark --epoch N -c "
                  "FILE`; `containment-chamber migrate web3signer` writes FILE.\n");
    return EXIT_CODE_USAGE;
}

static int run(struct arguments *arguments)
{
    char directory[PATH_MAX];
    if (!getcwd(directory, sizeof directory))
        return EXIT_CODE_FAILED;
    cc_err err = web3signer_take(arguments, &w);
    if (!err.code)
        err = web3signer_plan(&w, directory);
    if (err.code) {
        (void)fprintf(stderr, "containment-chamber web3signer: %s: %s\n", error_text(err),
                      error_detail());
        return EXIT_CODE_FAILED;
    }
    print("", &w.faults);
    print("note: ", &w.notes);
    if (w.fault_count)
        return EXIT_CODE_REFUSED;
    source = (struct supervisor_source){.environment = arguments->environment,
                                        .overrides = w.overrides,
                                        .override_count = w.override_count};
    return w.task ? run_task(arguments) : command_serve(&source);
}

int command_web3signer(struct arguments *arguments)
{
    int code = run(arguments);
    web3signer_release(&w);
    return code;
}
