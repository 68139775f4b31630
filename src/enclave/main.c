/* PID 1 of an enclave image: prepares the ground, tells the parent that the enclave lives, runs the one program of the plan,
 * and ends the enclave when that ends: keys never outlive what watches over them.
 */
#include <stdio.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"

#include "enclave/ground.h"
#include "enclave/serve.h"

#define PLAN_PATH       "/etc/enclave-init"
#define SECURITY_MODULE "/dev/nsm"

static cc_err read_plan(struct enclave_plan *ret_plan)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(ENCLAVE_PLAN_MAX);
    CC_TRY(file_read(PLAN_PATH, &text));
    return enclave_plan_parse(buf_span(&text), ret_plan);
}

/* Amazon's tools call a start failed without this; the enclave itself works as well without a parent that knows. */
static void tell_parent(const struct enclave_plan *plan)
{
    CC_CLEANUP(fd_closep) int fd = -1;
    cc_err err = ground_connect(plan->parent_cid, plan->heartbeat_port, &fd);
    if (!err.code)
        err = ground_heartbeat(fd, GROUND_HEARTBEAT_MS);
    if (err.code)
        log_warn("the parent does not answer the sign of life, going on", KV_ERR(err));
    else
        log_notice("the parent knows that the enclave lives");
}

static cc_err run(void)
{
    static struct enclave_plan plan;
    int status = 0;
    CC_TRY(ground_mount());
    log_notice("enclave init");
    CC_TRY(ground_loopback());
    CC_TRY(ground_limits());
    CC_TRY(read_plan(&plan));
    CC_TRY(ground_entropy(SECURITY_MODULE));
    tell_parent(&plan);
    const struct serve serve = {&plan, ground_connect, STDERR_FILENO};
    CC_TRY(serve_run(&serve, &status));
    if (WIFEXITED(status))
        log_error("the program has ended", KV_NUM("code", WEXITSTATUS(status)));
    else
        log_error("the program was ended", KV_NUM("signal", WTERMSIG(status)));
    return CC_OK;
}

int main(void)
{
    if (getpid() != 1) {
        (void)fprintf(
            stderr,
            "enclave-init is PID 1 of an enclave image (docs/enclave.md), and nothing else\n");
        return 2;
    }
    cc_err err = run();
    if (err.code)
        log_error("the enclave can't go on", KV_ERR(err));
    log_notice("the enclave ends");
    sync();
    (void)reboot(RB_AUTOBOOT);
    return 1;
}
