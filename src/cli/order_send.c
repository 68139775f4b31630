#include "cli/order_send.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"

#include "cli/json_object.h"
#include "core/order.h"
#include "core/order_progress.h"

static int say(cc_err err)
{
    (void)fprintf(stderr, "containment-chamber: order: %s%s%s\n", error_text(err),
                  error_detail()[0] ? ": " : "", error_detail());
    return supervisor_exit_code(err);
}

static cc_err read_answer(int fd, struct buf *ret_answer)
{
    char bytes[ORDER_TEXT_MAX];
    ssize_t n = pread(fd, bytes, sizeof bytes, 0);
    if (n <= 0)
        return CC_FAIL(IO, "no answer");
    return buf_append(ret_answer, bytes, (size_t)n);
}

/* --- how far it is ------------------------------------------------------------------------------------------------------- */

struct watched {
    const struct order_watch *watch;
    int fd;
    bool begun;
    struct progress progress;
};

static void look(void *context)
{
    struct watched *w = context;
    uint64_t done, total;
    if (!order_progress_read(w->fd, &done, &total))
        return;
    if (!w->begun)
        progress_begin(&w->progress, w->watch->what, total, w->watch->how);
    w->begun = true;
    progress_at(&w->progress, done);
}

static int
wait_for(const struct supervisor_source *source, struct config *config, int fd, struct watched *w)
{
    const struct supervisor_watch watch = {look, w};
    w->fd = fd;
    int code = supervisor_order(source, config, fd, w->watch ? &watch : NULL);
    progress_end(&w->progress);
    return code;
}

/* --- sending --------------------------------------------------------------------------------------------------------------- */

static int send(const struct supervisor_source *source,
                struct config *config,
                struct span text,
                const char *when_runs,
                struct watched *w,
                struct buf *ret_answer)
{
    CC_CLEANUP(fd_closep) int fd = memfd_create("order", MFD_CLOEXEC);
    cc_err err = fd < 0 ? CC_FAIL(SYSTEM, "memfd_create") : fd_write_all(fd, text.data, text.len);
    if (err.code)
        return say(err);
    int code = wait_for(source, config, fd, w);
    if (code == EXIT_CODE_LOCKED)
        (void)fprintf(stderr, "containment-chamber: a signer runs with %s: %s\n", config->data_dir,
                      when_runs);
    if (code != EXIT_CODE_DONE)
        return code;
    err = read_answer(fd, ret_answer);
    return err.code ? say(err) : EXIT_CODE_DONE;
}

int order_send(const struct supervisor_source *source,
               struct config *config,
               struct span order,
               const struct order_watch *watch,
               struct buf *ret_answer)
{
    struct watched w = {.watch = watch};
    return send(source, config, order, "stop it first", &w, ret_answer);
}

int order_send_or(const struct supervisor_source *source,
                  struct config *config,
                  struct span order,
                  const char *when_runs,
                  struct buf *ret_answer)
{
    struct watched w = {.watch = NULL};
    return send(source, config, order, when_runs, &w, ret_answer);
}

int order_print(const char *command, const struct buf *answer, bool json)
{
    if (!json) {
        (void)printf("%.*s", (int)answer->len, (const char *)answer->data);
        return EXIT_CODE_DONE;
    }
    struct json_object object = json_object_begin();
    json_object_lines(&object, "report", buf_span(answer));
    return json_object_print(&object, command, EXIT_CODE_DONE);
}
