#include "vault/threads.h"

#include <errno.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/log.h"

#include "crypto/self_test.h"
#include "secret/wipe.h"
#include "vault/core_door.h"
#include "vault/document_door.h"
#include "vault/imports.h"
#include "vault/key_door.h"
#include "wire/control.h"

enum {
    OPENER_NICE = 5
};

enum duty {
    DUTY_SIGN, /* and all else that the core asks */
    DUTY_OPEN, /* for the loader */
    DUTY_IMPORT,
    DUTY_DOCUMENTS
};

struct thread {
    struct threads *all;
    pthread_t id;
    bool started;
    enum duty duty;
    struct door_message *in;  /* in a locked region: passwords and shares pass through */
    struct door_message *out; /* answers hold no secret but those that are wiped below */
    struct sign_work *work;   /* a signer's */
};

struct threads {
    struct threads_plan plan;
    struct port core_port;
    struct port key_port;
    struct port documents_port;
    struct imports *imports;
    pthread_mutex_t lock; /* guards running and failed */
    pthread_cond_t began;
    uint32_t running;
    cc_err failed; /* the last warm-up that did not succeed */
    uint32_t count;
    struct thread *threads;
};

/* What a thread does for the first time may need calls that are forbidden later: malloc() asks for the processors when
 * it makes a thread's arena, OpenSSL makes its state of the thread.
 */
static cc_err warm_up(void)
{
    return crypto_self_test();
}

static void announce(struct threads *t, cc_err warm)
{
    cc_assert(pthread_mutex_lock(&t->lock) == 0);
    t->running++;
    if (warm.code)
        t->failed = warm;
    cc_assert(pthread_cond_signal(&t->began) == 0);
    cc_assert(pthread_mutex_unlock(&t->lock) == 0);
}

/* The supervisor ends a peer that does not read; a door that merely closed needs no report. */
static void report_stall(const struct threads *t, enum room peer, uint32_t life)
{
    if (errno != EAGAIN)
        return;
    log_error("a room does not read its answers", KV_STR("room", room_name(peer)));
    cc_err err = control_send(t->plan.control_fd, CONTROL_PEER_STALLED, life, peer, -1);
    (void)err; /* without a supervisor the main thread is ending already */
}

static cc_err send_answer(struct thread *self, const struct port_door *door, enum room peer)
{
    const struct door_head *head = &self->out->head;
    cc_err err =
        door_send(door->fd, door->life, head->type, self->out->items, head->item_size, head->count);
    if (err.code)
        report_stall(self->all, peer, door->life);
    return err;
}

/* Hands the keystore on; what finds no room is answered here. */
static cc_err hand_on(struct thread *self, struct port_door *door)
{
    const struct b_import *request = (const void *)self->in->items;
    cc_err err = imports_put(self->all->imports, door, request);
    const struct b_row answer = {.id = request->id, .error = (uint32_t)err.code};
    door_message_wipe(self->in);
    return err.code ? door_send(door->fd, door->life, B_ROW, &answer, sizeof answer, 1) : CC_OK;
}

static cc_err serve_core(struct thread *self, struct port_door *door)
{
    CC_TRY(door_receive(door->fd, door->life, door_b_to_vault, self->in));
    if (self->in->head.type == B_IMPORT)
        return hand_on(self, door);
    core_door_answer(self->all->plan.vault, self->work, &door->greeted, self->in, self->out);
    cc_err err = send_answer(self, door, ROOM_CORE);
    if (self->in->head.type == B_SET_UNWRAP)
        door_message_wipe(self->in);
    if (self->out->head.type == B_SUBKEY_IS || self->out->head.type == B_SHARE ||
        self->out->head.type == B_ROOT_MADE)
        door_message_wipe(self->out);
    return err;
}

static cc_err serve_loader(struct thread *self, struct port_door *door)
{
    cc_err err = door_receive(door->fd, door->life, door_key_to_vault, self->in);
    if (!err.code)
        key_door_answer(self->all->plan.vault, self->in, self->out);
    door_message_wipe(self->in);
    CC_TRY(err);
    return send_answer(self, door, ROOM_LOADER);
}

static cc_err serve_documents(struct thread *self, struct port_door *door)
{
    CC_TRY(door_receive(door->fd, door->life, door_documents_to_vault, self->in));
    document_door_answer(self->all->plan.vault, self->in, self->out);
    cc_err err = send_answer(self, door, ROOM_CORE);
    if (self->out->head.type == D_TEXT)
        door_message_wipe(self->out);
    return err;
}

static void serve_port(struct thread *self)
{
    struct threads *all = self->all;
    const struct {
        struct port *port;
        const char *name;
        cc_err (*serve)(struct thread *self, struct port_door *door);
    } ports[] = {
        [DUTY_SIGN] = {&all->core_port, "B", serve_core},
        [DUTY_OPEN] = {&all->key_port, "key", serve_loader},
        [DUTY_DOCUMENTS] = {&all->documents_port, "documents", serve_documents},
    };
    struct port *port = ports[self->duty].port;
    for (struct port_door *door; (door = port_take(port)) != NULL;) {
        cc_err err;
        do
            err = ports[self->duty].serve(self, door);
        while (!err.code);
        if (error_is(err, ERROR_PROTOCOL))
            log_error("door closed", KV_STR("door", ports[self->duty].name), KV_ERR(err));
        port_return(port, door);
    }
}

/* A door that has ended meanwhile is not read from here: its other holders notice. */
static void serve_imports(struct thread *self)
{
    struct threads *all = self->all;
    struct b_import *request = (void *)self->in->items;
    for (struct port_door *door; (door = imports_take(all->imports, request)) != NULL;) {
        self->in->head =
            (struct door_head){.type = B_IMPORT, .count = 1, .item_size = sizeof *request};
        core_door_answer(all->plan.vault, NULL, &door->greeted, self->in, self->out);
        wipe(request, sizeof *request);
        (void)send_answer(self, door, ROOM_CORE).code;
        port_let_go(&all->core_port, door);
    }
}

static void *thread_main(void *argument)
{
    struct thread *self = argument;
    if (self->duty != DUTY_SIGN) {
        /* Keystores are opened, and documents made, beside the signing of keys that are loaded already: duties go first. */
        (void)setpriority(PRIO_PROCESS, 0, OPENER_NICE);
    }
    announce(self->all, warm_up());
    if (self->duty == DUTY_IMPORT)
        serve_imports(self);
    else
        serve_port(self);
    return NULL;
}

static cc_err thread_init(struct thread *self, struct threads *all, enum duty duty)
{
    void *in = NULL;
    self->all = all;
    self->duty = duty;
    self->out = cc_alloc(sizeof *self->out);
    CC_TRY(secret_map(sizeof *self->in, &in));
    self->in = in;
    if (duty == DUTY_SIGN)
        CC_TRY(sign_work_new(engine_signer(all->plan.engine), &self->work));
    return self->out ? CC_OK : CC_FAIL(NO_MEMORY, "a thread's messages");
}

static uint32_t count_of(const struct threads_plan *plan)
{
    return plan->signers + 2 * plan->openers + plan->documents;
}

size_t threads_locked_memory(const struct threads_plan *plan)
{
    const size_t messages = count_of(plan);
    return plan->signers * (size_t)SIGN_WORK_LOCKED_MAX +
           messages * sizeof(struct door_message) * 2 + imports_locked_memory() * 2;
}

/* Signers first, then openers, then importers, then who makes documents. */
static enum duty duty_of(const struct threads_plan *plan, uint32_t number)
{
    if (number < plan->signers)
        return DUTY_SIGN;
    if (number < plan->signers + plan->openers)
        return DUTY_OPEN;
    return number < plan->signers + 2 * plan->openers ? DUTY_IMPORT : DUTY_DOCUMENTS;
}

CC_ERR threads_new(const struct threads_plan *plan, struct threads **ret_threads)
{
    struct threads *t = cc_alloc(sizeof *t);
    if (!t)
        return CC_FAIL(NO_MEMORY, "threads");
    t->plan = *plan;
    port_init(&t->core_port);
    port_init(&t->key_port);
    port_init(&t->documents_port);
    cc_assert(pthread_mutex_init(&t->lock, NULL) == 0);
    cc_assert(pthread_cond_init(&t->began, NULL) == 0);
    t->count = count_of(plan);
    t->threads = cc_alloc_array(t->count, sizeof *t->threads);
    cc_err err =
        t->threads ? imports_new(&t->core_port, &t->imports) : CC_FAIL(NO_MEMORY, "threads");
    for (uint32_t i = 0; !err.code && i < t->count; i++)
        err = thread_init(&t->threads[i], t, duty_of(plan, i));
    if (err.code) {
        threads_stop(t);
        return err;
    }
    *ret_threads = t;
    return CC_OK;
}

CC_ERR threads_start(struct threads *threads)
{
    for (uint32_t i = 0; i < threads->count; i++) {
        struct thread *self = &threads->threads[i];
        if (pthread_create(&self->id, NULL, thread_main, self) != 0)
            return CC_FAIL(SYSTEM, "a thread can't be started");
        self->started = true;
    }
    cc_assert(pthread_mutex_lock(&threads->lock) == 0);
    while (threads->running < threads->count)
        cc_assert(pthread_cond_wait(&threads->began, &threads->lock) == 0);
    cc_err err = threads->failed;
    cc_assert(pthread_mutex_unlock(&threads->lock) == 0);
    return err;
}

struct port *threads_core_port(struct threads *threads)
{
    return &threads->core_port;
}

struct port *threads_key_port(struct threads *threads)
{
    return &threads->key_port;
}

struct port *threads_documents_port(struct threads *threads)
{
    return &threads->documents_port;
}

static void thread_end(struct thread *self)
{
    if (self->started)
        cc_assert(pthread_join(self->id, NULL) == 0);
    if (self->in)
        secret_unmap(self->in, sizeof *self->in);
    cc_free(self->out);
    sign_work_free(self->work);
}

void threads_stop(struct threads *threads)
{
    if (!threads)
        return;
    port_close(&threads->core_port);
    port_close(&threads->key_port);
    port_close(&threads->documents_port);
    if (threads->imports)
        imports_close(threads->imports);
    for (uint32_t i = 0; threads->threads && i < threads->count; i++)
        thread_end(&threads->threads[i]);
    imports_free(threads->imports);
    port_destroy(&threads->core_port);
    port_destroy(&threads->key_port);
    port_destroy(&threads->documents_port);
    (void)pthread_cond_destroy(&threads->began);
    (void)pthread_mutex_destroy(&threads->lock);
    cc_free(threads->threads);
    cc_free(threads);
}
