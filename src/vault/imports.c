#include "vault/imports.h"

#include "base/alloc.h"

#include "secret/arena.h"
#include "secret/wipe.h"

struct import_job {
    struct port_door *door;
    struct b_import request;
};

struct imports {
    struct port *port;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct import_job *jobs; /* in a locked region */
    size_t head;
    size_t count;
    bool closed;
};

size_t imports_locked_memory(void)
{
    return IMPORTS_MAX * sizeof(struct import_job);
}

CC_ERR imports_new(struct port *port, struct imports **ret_imports)
{
    struct imports *imports = cc_alloc(sizeof *imports);
    void *region = NULL;
    if (!imports)
        return CC_FAIL(NO_MEMORY, "imports");
    cc_err err = secret_map(imports_locked_memory(), &region);
    if (err.code) {
        cc_free(imports);
        return err;
    }
    imports->port = port;
    imports->jobs = region;
    cc_assert(pthread_mutex_init(&imports->lock, NULL) == 0);
    cc_assert(pthread_cond_init(&imports->changed, NULL) == 0);
    *ret_imports = imports;
    return CC_OK;
}

static void lock(struct imports *imports)
{
    cc_assert(pthread_mutex_lock(&imports->lock) == 0);
}

static void unlock(struct imports *imports)
{
    cc_assert(pthread_mutex_unlock(&imports->lock) == 0);
}

/* The caller holds the lock; somebody waits. */
static struct port_door *take_first(struct imports *imports, struct b_import *ret_request)
{
    struct import_job *job = &imports->jobs[imports->head];
    struct port_door *door = job->door;
    *ret_request = job->request;
    wipe(job, sizeof *job);
    imports->head = (imports->head + 1) % IMPORTS_MAX;
    imports->count--;
    return door;
}

void imports_free(struct imports *imports)
{
    if (!imports)
        return;
    while (imports->count) {
        port_let_go(imports->port, imports->jobs[imports->head].door);
        imports->head = (imports->head + 1) % IMPORTS_MAX;
        imports->count--;
    }
    secret_unmap(imports->jobs, imports_locked_memory());
    (void)pthread_cond_destroy(&imports->changed);
    (void)pthread_mutex_destroy(&imports->lock);
    cc_free(imports);
}

CC_ERR imports_put(struct imports *imports, struct port_door *door, const struct b_import *request)
{
    port_keep(imports->port, door);
    lock(imports);
    const bool fits = !imports->closed && imports->count < IMPORTS_MAX;
    if (fits) {
        struct import_job *job = &imports->jobs[(imports->head + imports->count++) % IMPORTS_MAX];
        job->door = door;
        job->request = *request;
        cc_assert(pthread_cond_signal(&imports->changed) == 0);
    }
    unlock(imports);
    if (fits)
        return CC_OK;
    port_let_go(imports->port, door);
    return CC_FAIL(BUSY, "too many keystores wait to be opened");
}

struct port_door *imports_take(struct imports *imports, struct b_import *ret_request)
{
    lock(imports);
    while (!imports->count && !imports->closed)
        cc_assert(pthread_cond_wait(&imports->changed, &imports->lock) == 0);
    struct port_door *door = imports->closed ? NULL : take_first(imports, ret_request);
    unlock(imports);
    return door;
}

void imports_close(struct imports *imports)
{
    lock(imports);
    imports->closed = true;
    cc_assert(pthread_cond_broadcast(&imports->changed) == 0);
    unlock(imports);
}
