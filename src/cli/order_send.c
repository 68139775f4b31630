#include "cli/order_send.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"

#include "cli/json_object.h"
#include "core/order.h"

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

int order_send(const struct supervisor_source *source,
               struct config *config,
               struct span order,
               struct buf *ret_answer)
{
    return order_send_or(source, config, order, "stop it first", ret_answer);
}

int order_send_or(const struct supervisor_source *source,
                  struct config *config,
                  struct span order,
                  const char *when_runs,
                  struct buf *ret_answer)
{
    CC_CLEANUP(fd_closep) int fd = memfd_create("order", MFD_CLOEXEC);
    cc_err err = fd < 0 ? CC_FAIL(SYSTEM, "memfd_create") : fd_write_all(fd, order.data, order.len);
    if (err.code)
        return say(err);
    int code = supervisor_order(source, config, fd);
    if (code == EXIT_CODE_LOCKED)
        (void)fprintf(stderr, "containment-chamber: a signer runs with %s: %s\n", config->data_dir,
                      when_runs);
    if (code != EXIT_CODE_DONE)
        return code;
    err = read_answer(fd, ret_answer);
    return err.code ? say(err) : EXIT_CODE_DONE;
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
