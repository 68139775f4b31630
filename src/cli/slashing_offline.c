#include "cli/slashing_offline.h"

#include <string.h>

#include "codec/json.h"
#include "core/slashing_step.h"
#include "front/slashing.h"
#include "slash/backend.h"

enum {
    TOKENS_MAX = 64,
    RECORDS_MAX = 64 << 20
};

static cc_err keep_record(void *context, const struct a_record *record)
{
    return buf_append(context, record, sizeof *record);
}

/* --- how far it is ------------------------------------------------------------------------------------------------------- */

struct far {
    struct progress progress;
    uint64_t done;
};

static cc_err begin(const struct slashing_offline *o, enum a_slashing_verb verb, struct far *far)
{
    struct slash_status status = {0};
    *far = (struct far){.done = 0};
    if (verb == SLASHING_PRUNE)
        progress_begin(&far->progress, "pruning", 0, o->progress);
    if (verb != SLASHING_VERIFY)
        return CC_OK;
    CC_TRY(slash_status(o->store, &status));
    progress_begin(&far->progress, "verifying", status.validators, o->progress);
    return CC_OK;
}

/* Of a prune: records. Of a verification: validators; the mirror, which follows, tells nothing before its end. */
static void go_on(struct far *far, const struct a_slashing *ask, const struct a_slashing_head *head)
{
    far->done += head->verb == SLASHING_PRUNE ? head->removed : head->validators;
    if (ask->head.has_mirror)
        progress_end(&far->progress);
    else
        progress_at(&far->progress, far->done);
}

/* --- the steps ----------------------------------------------------------------------------------------------------------- */

static cc_err do_steps(const struct slashing_offline *o, struct slashing *work, struct far *far)
{
    CC_CLEANUP(buf_release) struct buf records = buf_init(RECORDS_MAX);
    const struct slashing_step step = {
        .history = o->store,
        .backend = o->store->ops->name,
        .slots_per_epoch = o->slots_per_epoch,
        .keep_epochs = o->keep_epochs,
        .put = keep_record,
        .context = &records,
    };
    const struct a_slashing *ask;
    while ((ask = slashing_next(work))) {
        struct a_slashing_head head = {.verb = ask->head.verb};
        records.len = 0;
        CC_TRY(slashing_step_do(&step, ask, &head));
        go_on(far, ask, &head);
        CC_TRY(slashing_took(work, &head, &records));
    }
    return CC_OK;
}

static cc_err answer(const struct slashing_offline *o,
                     enum a_slashing_verb verb,
                     struct slashing *work,
                     struct buf *ret_answer)
{
    struct far far;
    cc_err err = begin(o, verb, &far);
    if (!err.code)
        err = do_steps(o, work, &far);
    progress_end(&far.progress);
    return err.code ? err : slashing_answer(work, ret_answer);
}

CC_ERR slashing_offline(const struct slashing_offline *offline,
                        enum a_slashing_verb verb,
                        char *request,
                        struct buf *ret_answer)
{
    struct jdoc doc = jdoc_init(TOKENS_MAX);
    struct slashing *work = NULL;
    CC_TRY(slashing_new(verb, &work));
    cc_err err = slashing_read(work, &doc, (uint8_t *)request, strlen(request));
    if (!err.code)
        err = answer(offline, verb, work, ret_answer);
    jdoc_release(&doc);
    slashing_free(work);
    return err;
}
