#include "vault/engine.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/log.h"

_Static_assert((int)SIGNING_BLST == (int)BATCH_BLST && (int)SIGNING_AUTO == (int)BATCH_AUTO &&
                   (int)SIGNING_FIXED_BASE == (int)BATCH_FIXED_BASE &&
                   (int)SIGNING_IFMA == (int)BATCH_IFMA && (int)B_ENGINES == (int)BATCH_ENGINE_END,
               "configuration, door and signer count engines alike");
_Static_assert((int)B_SIGN_MAX == (int)BATCH_MAX, "a message is a batch");

struct engine {
    struct batch_signer *signer;
    pthread_mutex_t lock; /* guards both below */
    struct batch_counts told;
    uint64_t failed_checks_seen;
};

static const char *const names[BATCH_ENGINE_END] = {"blst", "auto", "fixed_base", "ifma"};

static void announce(const struct batch_signer *signer, enum batch_engine wanted)
{
    const enum batch_engine used = batch_signer_engine(signer);
    log_info("signing engine", KV_STR("engine", names[used]), KV_STR("asked_for", names[wanted]));
    if (batch_signer_self_test_failed(signer))
        log_error("a signing engine failed its self-test and is left out; is the processor sound?",
                  KV_STR("asked_for", names[wanted]), KV_STR("engine", names[used]));
    else if (wanted != BATCH_AUTO && used != wanted)
        log_warn("this processor lacks what the signing engine needs",
                 KV_STR("asked_for", names[wanted]), KV_STR("engine", names[used]));
}

CC_ERR engine_new(enum signing_engine wanted, struct engine **ret_engine)
{
    struct engine *engine = cc_alloc(sizeof *engine);
    if (!engine)
        return CC_FAIL(NO_MEMORY, "signing engine");
    cc_assert(pthread_mutex_init(&engine->lock, NULL) == 0);
    cc_err err = batch_signer_new((enum batch_engine)wanted, &engine->signer);
    if (err.code) {
        engine_free(engine);
        return err;
    }
    announce(engine->signer, (enum batch_engine)wanted);
    *ret_engine = engine;
    return CC_OK;
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    batch_signer_free(engine->signer);
    (void)pthread_mutex_destroy(&engine->lock);
    cc_free(engine);
}

struct batch_signer *engine_signer(struct engine *engine)
{
    return engine->signer;
}

void engine_watch(struct engine *engine)
{
    struct batch_counts now;
    cc_assert(pthread_mutex_lock(&engine->lock) == 0);
    batch_signer_counts(engine->signer, &now);
    const uint64_t failed = now.failed_checks - engine->failed_checks_seen;
    engine->failed_checks_seen = now.failed_checks;
    cc_assert(pthread_mutex_unlock(&engine->lock) == 0);
    if (failed)
        log_error("ALARM: signatures failed their check and were made again with blst; a faulty "
                  "processor or memory, or an attack",
                  KV_NUM("checks", failed));
}

void engine_count(struct engine *engine, struct b_counts *ret_counts)
{
    struct batch_counts now;
    cc_assert(pthread_mutex_lock(&engine->lock) == 0);
    batch_signer_counts(engine->signer, &now);
    const struct batch_counts told = engine->told;
    engine->told = now;
    cc_assert(pthread_mutex_unlock(&engine->lock) == 0);
    ret_counts->engine = batch_signer_engine(engine->signer);
    ret_counts->self_test_failed = batch_signer_self_test_failed(engine->signer);
    for (size_t i = 0; i < B_ENGINES; i++)
        ret_counts->signatures[i] = now.by_engine[i] - told.by_engine[i];
    ret_counts->hash_hits = now.hash_hits - told.hash_hits;
    ret_counts->hash_misses = now.hash_misses - told.hash_misses;
    ret_counts->flagged = now.flagged - told.flagged;
    ret_counts->failed_checks = now.failed_checks - told.failed_checks;
}
