#include "support/front_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metric.h"

#include "auth/scope.h"
#include "crypto/sha256.h"
#include "front/front.h"
#include "support/test.h"

const char rig_key[] =
    "0x93247f2209abcacf57b75a51dafae777f9dd38bc7053d1af526f220a7489a6d3a2753e5f3e8b1cfe39b56f43611df74a";

void rig_defaults(struct rig *rig)
{
    memset(rig, 0, sizeof *rig);
    rig->last_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    config_defaults(&rig->config);
    strcpy(rig->config.network.network, "minimal");
    rig->config.server.max_connections = 512;
    rig->core = rig_good_core;
}

int rig_listen_tcp(int *ret_port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&addr, len) == 0 && listen(fd, 512) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    *ret_port = ntohs(addr.sin_port);
    return fd;
}

static struct sockaddr_un unix_address(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    strncpy(addr.sun_path, path, sizeof addr.sun_path - 1);
    return addr;
}

static int listen_unix(const char *path)
{
    struct sockaddr_un addr = unix_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0 &&
                listen(fd, 64) == 0);
    return fd;
}

static struct rig *current;

static cc_err note_lock(enum room room)
{
    (void)atomic_fetch_add(&current->locked, room == ROOM_FRONT ? 1 : 100);
    return CC_OK;
}

static void *front_thread(void *arg)
{
    struct rig *rig = arg;
    rig->result = front_main(&rig->room);
    /* As the end of the process would. */
    (void)shutdown(rig->front_control, SHUT_RDWR);
    return NULL;
}

static void *core_thread(void *arg)
{
    struct rig *rig = arg;
    struct door_message *message = calloc(1, sizeof *message); /* as in rig_read() */
    assert_non_null(message);
    while (!door_receive(rig->door, RIG_LIFE, door_a_to_core, message).code)
        rig->core(rig, message);
    free(message);
    return NULL;
}

void rig_start_core(struct rig *rig)
{
    assert_int_equal(pthread_create(&rig->core_thread, NULL, core_thread, rig), 0);
}

static void send_fd(struct rig *rig, uint32_t type, uint64_t value, int fd)
{
    assert_int_equal(control_send(rig->control, type, RIG_LIFE, value, fd).code, 0);
    (void)close(fd);
}

static void send_api(struct rig *rig)
{
    int fd = rig_listen_tcp(&rig->api_port);
    if (rig->held)
        rig->kept_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    send_fd(rig, CONTROL_LISTENER, LISTENER_API | (rig->held ? LISTENER_HELD : 0), fd);
}

void rig_open(struct rig *rig)
{
    int control[2];
    int door[2];
    int readable = -1;
    current = rig;
    assert_int_equal(metric_create(&rig->metrics, &readable).code, 0);
    if (readable != ROOM_FD_METRICS) {
        assert_int_equal(dup2(readable, ROOM_FD_METRICS), ROOM_FD_METRICS);
        (void)close(readable);
    }
    assert_int_equal(control_pair(control).code, 0);
    assert_int_equal(door_pair(door).code, 0);
    rig->control = control[0];
    rig->front_control = control[1];
    rig->door = door[0];
    rig->room = (struct room_context){&rig->config, control[1], note_lock};
    (void)snprintf(rig->unix_path, sizeof rig->unix_path, "/tmp/front-rig-%d.sock", (int)getpid());
    (void)snprintf(rig->admin_path, sizeof rig->admin_path, "/tmp/front-rig-%d.admin",
                   (int)getpid());
    (void)snprintf(rig->tls_path, sizeof rig->tls_path, "/tmp/front-rig-%d.tls", (int)getpid());
    (void)unlink(rig->unix_path);
    (void)unlink(rig->admin_path);
    (void)unlink(rig->tls_path);
    send_fd(rig, CONTROL_LISTENER, LISTENER_ADMIN, listen_unix(rig->admin_path));
    send_api(rig);
    send_fd(rig, CONTROL_LISTENER, LISTENER_METRICS, rig_listen_tcp(&rig->metrics_port));
    send_fd(rig, CONTROL_LISTENER, LISTENER_UNIX, listen_unix(rig->unix_path));
    if (rig->config.tls.mode == TLS_ATTESTED)
        send_fd(rig, CONTROL_LISTENER, LISTENER_TLS,
                rig->tls_by_unix ? listen_unix(rig->tls_path) : rig_listen_tcp(&rig->tls_port));
    send_fd(rig, CONTROL_DOOR_FRONT, 0, door[1]);
    assert_int_equal(control_send(rig->control, CONTROL_START, RIG_LIFE, ROOM_MODE_SERVE, -1).code,
                     0);
    assert_int_equal(pthread_create(&rig->front, NULL, front_thread, rig), 0);
    if (rig->core && !rig->core_comes_late)
        rig_start_core(rig);
    (void)rig_expect(rig, CONTROL_READY);
    assert_int_equal(atomic_load(&rig->locked), 1);
}

struct control rig_expect(struct rig *rig, uint32_t type)
{
    struct control message = {0};
    int fd = -1;
    do {
        assert_int_equal(control_receive(rig->control, &message, &fd).code, 0);
        assert_int_equal(fd, -1);
    } while (message.type != type);
    return message;
}

void rig_kill_core(struct rig *rig)
{
    (void)shutdown(rig->door, SHUT_RDWR);
    if (rig->core_thread)
        (void)pthread_join(rig->core_thread, NULL);
    rig->core_thread = 0;
}

cc_err rig_wait_end(struct rig *rig)
{
    if (rig->front)
        (void)pthread_join(rig->front, NULL);
    rig->front = 0;
    return rig->result;
}

cc_err rig_close(struct rig *rig)
{
    (void)shutdown(rig->control, SHUT_RDWR);
    cc_err result = rig_wait_end(rig);
    rig_kill_core(rig);
    (void)close(rig->control);
    (void)close(rig->front_control);
    (void)close(rig->door);
    (void)close(rig->metrics);
    (void)close(ROOM_FD_METRICS);
    (void)unlink(rig->unix_path);
    (void)unlink(rig->admin_path);
    (void)unlink(rig->tls_path);
    return result;
}

/* --- the core that says yes --------------------------------------------------------------------------------------- */

static bool has_token(const struct caller *caller)
{
    uint8_t digest[SHA256_SIZE];
    sha256(span_str(RIG_TOKEN), digest);
    return (caller->token_kind == CALLER_BEARER || caller->token_kind == CALLER_BASIC) &&
           memcmp(digest, caller->token, sizeof digest) == 0;
}

static void set_last(struct rig *rig, const struct caller *caller)
{
    assert_int_equal(pthread_mutex_lock(&rig->last_lock), 0);
    rig->last = *caller;
    assert_int_equal(pthread_mutex_unlock(&rig->last_lock), 0);
}

struct caller rig_last(struct rig *rig)
{
    assert_int_equal(pthread_mutex_lock(&rig->last_lock), 0);
    const struct caller last = rig->last;
    assert_int_equal(pthread_mutex_unlock(&rig->last_lock), 0);
    return last;
}

void rig_forget_last(struct rig *rig)
{
    set_last(rig, &(struct caller){0});
}

static bool is_allowed(struct rig *rig, const struct caller *caller, enum auth_scope scope)
{
    bool routine = scope == SCOPE_SIGN || scope == SCOPE_PUBLIC_KEYS;
    set_last(rig, caller);
    if (has_token(caller))
        return true;
    return routine ? !atomic_load(&rig->closed) : (caller->flags & CALLER_OWNER) != 0;
}

static void deny(struct rig *rig, uint64_t id, uint32_t error)
{
    const struct a_denied answer = {.id = id, .error = error};
    (void)door_send(rig->door, RIG_LIFE, A_DENIED, &answer, sizeof answer, 1).code;
}

void rig_answer_sign(struct rig *rig, const struct a_sign *request)
{
    struct a_signed answer = {.id = request->id};
    if (!is_allowed(rig, &request->caller, SCOPE_SIGN))
        answer.error = ERROR_UNAUTHENTICATED;
    uint64_t slot = request->request.claim.attestation.slot;
    memcpy(answer.signature.bytes, &slot, sizeof slot);
    (void)door_send(rig->door, RIG_LIFE, A_SIGNED, &answer, sizeof answer, 1).code;
}

static void answer_query(struct rig *rig, const struct a_query *query)
{
    struct a_public_keys keys = {.id = query->id, .count = 1};
    struct a_health health = {
        .id = query->id, .ready = 1, .store_up = 1, .keys_complete = 1, .keys_loaded = 2};
    struct a_reload reload = {.id = query->id, .state = RELOAD_COMPLETED, .ended_wall_ms = 5000};
    struct a_high_watermark mark = {.id = query->id, .present = 1, .epoch = 3, .slot = 99};
    cc_err err = CC_OK;
    enum auth_scope scope = query->question == ASK_RELOAD_START  ? SCOPE_RELOAD
                            : query->question == ASK_PUBLIC_KEYS ? SCOPE_PUBLIC_KEYS
                            : query->question == ASK_ALLOWED     ? (enum auth_scope)query->scope
                                                                 : SCOPE_END;
    assert_true(query->question <= ASK_ALLOWED);
    (void)atomic_fetch_add(&rig->asked[query->question], 1);
    bool allowed = scope == SCOPE_END || is_allowed(rig, &query->caller, scope);
    if (!allowed || query->question == ASK_ALLOWED) {
        deny(rig, query->id, allowed ? 0 : ERROR_UNAUTHENTICATED);
        return;
    }
    switch ((enum a_question)query->question) {
    case ASK_ALLOWED:
        break;
    case ASK_PUBLIC_KEYS:
        for (uint32_t chunk = 0; chunk < 2 && !err.code; chunk++) {
            keys.chunk = chunk;
            keys.last = chunk == 1;
            keys.keys[0].bytes[0] = (uint8_t)(0xa0 + chunk);
            err = door_send(rig->door, RIG_LIFE, A_PUBLIC_KEYS, &keys, sizeof keys, 1);
        }
        break;
    case ASK_HEALTH:
        err = door_send(rig->door, RIG_LIFE, A_HEALTH, &health, sizeof health, 1);
        break;
    case ASK_RELOAD_START:
    case ASK_RELOAD_STATUS:
        err = door_send(rig->door, RIG_LIFE, A_RELOAD, &reload, sizeof reload, 1);
        break;
    case ASK_HIGH_WATERMARK:
        err = door_send(rig->door, RIG_LIFE, A_HIGH_WATERMARK, &mark, sizeof mark, 1);
        break;
    }
    (void)err; /* a front that is gone is the test's business */
}

/* Of the history it has nothing; who may ask, is told so. */
static void answer_slashing(struct rig *rig, const struct door_message *message)
{
    struct a_slashing *ask = calloc(1, sizeof *ask);
    assert_non_null(ask);
    memcpy(ask, message->items, sizeof *ask);
    enum auth_scope scope =
        ask->head.verb == SLASHING_IMPORT ? SCOPE_SLASHING_IMPORT : SCOPE_SLASHING_EXPORT;
    if (!is_allowed(rig, &ask->head.caller, scope)) {
        deny(rig, ask->head.id, ERROR_UNAUTHENTICATED);
    } else {
        ask->head = (struct a_slashing_head){
            .id = ask->head.id, .verb = ask->head.verb, .last = true, .backend = "rig"};
        (void)door_send(rig->door, RIG_LIFE, A_SLASHED, ask, sizeof *ask, 1).code;
    }
    free(ask);
}

void rig_good_core(struct rig *rig, const struct door_message *message)
{
    if (message->head.type == A_SLASHING) {
        answer_slashing(rig, message);
        return;
    }
    for (uint32_t i = 0; i < message->head.count; i++) {
        const uint8_t *item = message->items + (size_t)i * message->head.item_size;
        struct a_sign request;
        struct a_query query;
        if (message->head.type == A_SIGN) {
            memcpy(&request, item, sizeof request);
            rig_answer_sign(rig, &request);
        } else {
            memcpy(&query, item, sizeof query);
            answer_query(rig, &query);
        }
    }
}

/* --- the client --------------------------------------------------------------------------------------------------- */

int rig_connect(int port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons((uint16_t)port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0);
    return fd;
}

int rig_connect_unix(const char *path)
{
    struct sockaddr_un addr = unix_address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0);
    return fd;
}

/* A server that has closed already is no fault of the test: what it sent is read afterwards. */
void rig_send(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        p += n;
        len -= (size_t)n;
    }
}

void rig_say(int fd, const char *text)
{
    rig_send(fd, text, strlen(text));
}

static bool readable(int fd, uint64_t deadline_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint64_t now = clock_mono_ms();
    return now < deadline_ms && poll(&p, 1, (int)(deadline_ms - now)) == 1;
}

/* Reads up to and with the empty line, byte by byte so that nothing of the next answer is taken. */
static bool read_head(int fd, struct reply *reply, uint64_t deadline_ms)
{
    size_t n = 0;
    while (n + 1 < sizeof reply->head && readable(fd, deadline_ms)) {
        if (read(fd, reply->head + n, 1) != 1) {
            reply->closed = true;
            return false;
        }
        reply->head[++n] = '\0';
        if (n >= 4 && strcmp(reply->head + n - 4, "\r\n\r\n") == 0)
            return true;
    }
    return false;
}

struct reply rig_read(int fd, int timeout_ms)
{
    struct reply reply = {0};
    uint64_t deadline = clock_mono_ms() + (uint64_t)timeout_ms;
    do {
        if (!read_head(fd, &reply, deadline))
            return reply;
        reply.status = atoi(reply.head + 9);
    } while (reply.status == 100);
    const char *length = strcasestr(reply.head, "\r\nContent-Length: ");
    reply.len = length ? strtoul(length + 18, NULL, 10) : 0;
    reply.body = calloc(1, reply.len + 1); /* not base/alloc: a test may make that fail */
    assert_non_null(reply.body);
    for (size_t got = 0; got < reply.len;) {
        if (!readable(fd, deadline))
            break;
        ssize_t n = read(fd, reply.body + got, reply.len - got);
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    reply.closed = strcasestr(reply.head, "\r\nConnection: close") != NULL;
    return reply;
}

void reply_release(struct reply *reply)
{
    free(reply->body);
    reply->body = NULL;
}

struct reply
rig_ask(int port, const char *method, const char *target, const char *headers, const char *body)
{
    char head[2048];
    int fd = rig_connect(port);
    int n = body ? snprintf(head, sizeof head,
                            "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n%s\r\n",
                            method, target, strlen(body), headers)
                 : snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n",
                            method, target, headers);
    assert_true(n > 0 && (size_t)n < sizeof head);
    rig_send(fd, head, (size_t)n);
    if (body)
        rig_send(fd, body, strlen(body));
    struct reply reply = rig_read(fd, 20000);
    (void)close(fd);
    return reply;
}

bool rig_is_closed(int fd, int timeout_ms)
{
    uint64_t deadline = clock_mono_ms() + (uint64_t)timeout_ms;
    char c;
    while (readable(fd, deadline))
        if (read(fd, &c, 1) <= 0)
            return true;
    return false;
}

void rig_attestation(char *out, size_t size, uint64_t slot)
{
    static const char zeros[] =
        "0x0000000000000000000000000000000000000000000000000000000000000000";
    int n = snprintf(
        out, size,
        "{\"type\":\"ATTESTATION\",\"fork_info\":{\"fork\":{\"previous_version\":\"0x00000001\","
        "\"current_version\":\"0x00000001\",\"epoch\":\"1\"},\"genesis_validators_root\":\"%s\"},"
        "\"attestation\":{\"slot\":\"%" PRIu64 "\",\"index\":\"0\",\"beacon_block_root\":\"%s\","
        "\"source\":{\"epoch\":\"0\",\"root\":\"%s\"},\"target\":{\"epoch\":\"%" PRIu64
        "\",\"root\":\"%s\"}}}",
        zeros, slot, zeros, zeros, slot / 8, zeros);
    assert_true(n > 0 && (size_t)n < size);
}
