#include "core/audit_order.h"

#include <inttypes.h>

#include "core/audit_answer.h"
#include "core/audit_verify.h"

static cc_err answer(const struct audit_check *check, struct buf *ret_answer)
{
    CC_TRY(buf_printf(ret_answer,
                      "%s: %" PRIu64 " segments, %" PRIu64 " lines, %" PRIu64 " faults, %" PRIu64
                      " notes\n",
                      check->faults ? AUDIT_TAMPERED : AUDIT_INTACT, check->segments, check->lines,
                      check->faults, check->notes));
    return buf_append(ret_answer, check->report.data, check->report.len);
}

static cc_err get_key(void *context,
                      const uint8_t replica[static AUDIT_REPLICA_SIZE],
                      uint64_t segment,
                      uint8_t ret_key[static AUDIT_KEY_SIZE])
{
    return vault_call_audit_key(context, replica, segment, ret_key);
}

CC_ERR audit_order_verify(const struct config *config,
                          uint64_t first,
                          struct vault_call *vault,
                          struct stores *stores,
                          const struct order_progress *progress,
                          struct buf *ret_answer)
{
    char directory[AUDIT_DIRECTORY_MAX];
    struct audit_source source = {
        .directory = directory, .key = get_key, .context = vault, .progress = progress};
    struct audit_check check;
    audit_directory(config, directory);
    audit_replica(config, stores, source.replica);
    CC_TRY(audit_find_anchor(stores->state, source.replica, &source.anchor));
    audit_check_init(&check);
    cc_err err = audit_verify(&source, first, &check);
    if (!err.code)
        err = answer(&check, ret_answer);
    audit_check_release(&check);
    return err;
}
