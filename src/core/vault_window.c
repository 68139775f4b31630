#include "core/vault_window.h"

#include <string.h>

#include "base/macros.h"
#include "base/num.h"

/* share     from how many claims on an engine is within a fifth of its best rate. fixed_base: 35 us a key and some 400 us a
 *           batch (52 us a key with 24, 42 with 48, 36 with 256); ifma: 32 us a key with 16, 20 with 96, 17 with 256. blst
 *           shares nothing but the kept hash: 4, so that a message's own cost (some 15 us) does not matter.
 * most      claims of a message. Of blst's no more than a millisecond's: what has been signed is answered, and asked anew,
 *           while the thread signs on.
 * messages  out for each thread: blst has its next one at hand, since a small message is as good as a large one; the others'
 *           next batch is better the more it has gathered.
 */
static const struct window_shape shapes[B_ENGINES] = {
    [SIGNING_BLST] = {.share = 4, .most = WINDOW_BLST_CLAIMS, .messages = WINDOW_BLST_MESSAGES},
    [SIGNING_AUTO] = {.share = 4, .most = WINDOW_BLST_CLAIMS, .messages = WINDOW_BLST_MESSAGES},
    [SIGNING_FIXED_BASE] = {.share = 48, .most = B_SIGN_MAX, .messages = 1},
    [SIGNING_IFMA] = {.share = 96, .most = B_SIGN_MAX, .messages = 1},
};

static void take_lock(struct vault_window *w)
{
    cc_assert(pthread_mutex_lock(&w->lock) == 0);
}

static void drop_lock(struct vault_window *w)
{
    cc_assert(pthread_mutex_unlock(&w->lock) == 0);
}

static void wait_for_move(struct vault_window *w)
{
    cc_assert(pthread_cond_wait(&w->moved, &w->lock) == 0);
}

void vault_window_init(struct vault_window *window, uint32_t threads)
{
    memset(window, 0, sizeof *window);
    cc_assert(pthread_mutex_init(&window->lock, NULL) == 0);
    cc_assert(pthread_cond_init(&window->moved, NULL) == 0);
    window->threads = (uint32_t)u64_max(1, u64_min(threads, WINDOW_THREADS_MAX));
    window->shape = shapes[SIGNING_BLST];
    window->claim_ns = WINDOW_CLAIM_NS;
}

void vault_window_release(struct vault_window *window)
{
    (void)pthread_cond_destroy(&window->moved);
    (void)pthread_mutex_destroy(&window->lock);
}

void vault_window_set_engine(struct vault_window *window, enum signing_engine engine)
{
    if ((size_t)engine >= ARRAY_LEN(shapes))
        return;
    take_lock(window);
    window->shape = shapes[engine];
    drop_lock(window);
}

/* Claims of one message. */
static size_t limit_of(const struct vault_window *w)
{
    uint64_t in_time = WINDOW_BLOCK_WAIT_NS / u64_max(1, w->claim_ns);
    return (size_t)u64_min(w->shape.most,
                           u64_max(in_time, u64_max(w->shape.share, WINDOW_CLAIMS_MIN)));
}

static size_t free_turns(const struct vault_window *w)
{
    uint32_t turns = w->threads * w->shape.messages;
    return w->out < turns ? turns - w->out : 0;
}

size_t vault_window_room(struct vault_window *window)
{
    take_lock(window);
    size_t room = free_turns(window) * limit_of(window);
    drop_lock(window);
    return room;
}

size_t vault_window_piece(struct vault_window *window, size_t waiting, bool blocks)
{
    take_lock(window);
    const size_t share = blocks ? 1 : window->shape.share;
    const size_t limit = blocks ? WINDOW_CLAIMS_MIN : limit_of(window);
    const uint64_t parts = u64_max(1, u64_min(waiting / share, free_turns(window)));
    drop_lock(window);
    return (size_t)u64_min((waiting + parts - 1) / parts, limit);
}

static uint32_t free_place(const struct vault_window *w)
{
    uint32_t i = 0;
    while (i < WINDOW_MESSAGES_MAX && w->messages[i].left)
        i++;
    return i;
}

uint32_t vault_window_send(struct vault_window *window, size_t claims, uint64_t now_ns)
{
    uint32_t i;
    take_lock(window);
    while ((i = free_place(window)) == WINDOW_MESSAGES_MAX)
        wait_for_move(window);
    window->messages[i] = (struct window_message){now_ns, (uint32_t)claims, (uint32_t)claims};
    window->out++;
    drop_lock(window);
    return i;
}

/* A running mean in which a claim counts as one: a full message moves it by half, a lonely request by hardly anything,
 * although the time that it took is mostly not its signature's.
 */
static void measure(struct vault_window *w, const struct window_message *m, uint64_t now_ns)
{
    const uint64_t each = u64_min((now_ns - m->sent_ns) / m->claims, WINDOW_BLOCK_WAIT_NS);
    w->claim_ns = (w->claim_ns * B_SIGN_MAX + each * m->claims) / (B_SIGN_MAX + m->claims);
}

void vault_window_back(struct vault_window *window,
                       uint32_t message,
                       size_t claims,
                       uint64_t now_ns)
{
    struct window_message *m = &window->messages[message];
    take_lock(window);
    cc_assert(claims >= 1 && claims <= m->left);
    m->left -= (uint32_t)claims;
    if (m->left == 0) {
        measure(window, m, now_ns);
        window->out--;
        (void)pthread_cond_signal(&window->moved);
    }
    drop_lock(window);
}
