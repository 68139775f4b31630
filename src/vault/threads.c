#include "vault/threads.h"

#include <errno.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "base/log.h"

#include "crypto/self_test.h"
#include "vault/core_door.h"
#include "vault/key_door.h"
#include "wire/control.h"

enum {
    OPENER_NICE = 5
};

struct thread {
    struct threads *all;
    pthread_t id;
    bool started;
    bool opener;
    struct door_message *in;  /* an opener's lies in a locked region */
    struct door_message *out; /* answers hold no secret */
    struct sign_work *work;   /* a signer's */
};

struct threads {
    struct threads_plan plan;
    struct port core_port;
    struct port key_port;
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

static cc_err serve_core(struct thread *self, struct port_door *door)
{
    CC_TRY(door_receive(door->fd, door->life, door_b_to_vault, self->in));
    core_door_answer(self->all->plan.vault, self->work, &door->greeted, self->in, self->out);
    return send_answer(self, door, ROOM_CORE);
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

static void serve_port(struct thread *self, struct port *port)
{
    for (struct port_door *door; (door = port_take(port)) != NULL;) {
        cc_err err;
        do
            err = self->opener ? serve_loader(self, door) : serve_core(self, door);
        while (!err.code);
        if (error_is(err, ERROR_PROTOCOL))
            log_error("door closed", KV_STR("door", self->opener ? "key" : "B"), KV_ERR(err));
        port_return(port, door);
    }
}

static void *thread_main(void *argument)
{
    struct thread *self = argument;
    if (self->opener) {
        /* Keystores are opened beside the signing of those that are loaded already: duties go first. */
        (void)setpriority(PRIO_PROCESS, 0, OPENER_NICE);
    }
    announce(self->all, warm_up());
    serve_port(self, self->opener ? &self->all->key_port : &self->all->core_port);
    return NULL;
}

static cc_err thread_init(struct thread *self, struct threads *all, bool opener)
{
    void *in = NULL;
    self->all = all;
    self->opener = opener;
    self->out = cc_alloc(sizeof *self->out);
    if (opener) {
        CC_TRY(secret_map(sizeof *self->in, &in));
    } else {
        CC_TRY(sign_work_new(engine_signer(all->plan.engine), &self->work));
        in = cc_alloc(sizeof *self->in);
    }
    self->in = in;
    return self->in && self->out ? CC_OK : CC_FAIL(NO_MEMORY, "a thread's messages");
}

CC_ERR threads_new(const struct threads_plan *plan, struct threads **ret_threads)
{
    struct threads *t = cc_alloc(sizeof *t);
    if (!t)
        return CC_FAIL(NO_MEMORY, "threads");
    t->plan = *plan;
    port_init(&t->core_port);
    port_init(&t->key_port);
    cc_assert(pthread_mutex_init(&t->lock, NULL) == 0);
    cc_assert(pthread_cond_init(&t->began, NULL) == 0);
    t->count = plan->signers + plan->openers;
    t->threads = cc_alloc_array(t->count, sizeof *t->threads);
    cc_err err = t->threads ? CC_OK : CC_FAIL(NO_MEMORY, "threads");
    for (uint32_t i = 0; !err.code && i < t->count; i++)
        err = thread_init(&t->threads[i], t, i >= plan->signers);
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

static void thread_end(struct thread *self)
{
    if (self->started)
        cc_assert(pthread_join(self->id, NULL) == 0);
    if (self->opener)
        secret_unmap(self->in, sizeof *self->in);
    else
        cc_free(self->in);
    cc_free(self->out);
    sign_work_free(self->work);
}

void threads_stop(struct threads *threads)
{
    if (!threads)
        return;
    port_close(&threads->core_port);
    port_close(&threads->key_port);
    for (uint32_t i = 0; threads->threads && i < threads->count; i++)
        thread_end(&threads->threads[i]);
    port_destroy(&threads->core_port);
    port_destroy(&threads->key_port);
    (void)pthread_cond_destroy(&threads->began);
    (void)pthread_mutex_destroy(&threads->lock);
    cc_free(threads->threads);
    cc_free(threads);
}
