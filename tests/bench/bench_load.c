/* A closed-loop load: C connections, each with one request outstanding, every request a message that was never sent
 * before. Bodies are made before the clock starts. Prints one line of JSON.
 *
 * usage: bench_load PORT CONNECTIONS WARM_SECONDS SECONDS FIRST_EPOCH shared|distinct < PUBKEYS
 *
 * PUBKEYS: one 0x-hex public key a line, an empty line; then it waits for the end of its input. Request i
 * votes with key i % keys for epoch FIRST_EPOCH + i / keys. "shared": keys of one epoch vote for one root, as
 * validators of one client do; "distinct": every root differs.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    KEYS_MAX = 16384,
    CONNECTIONS_MAX = 1024,
    REQUEST_SIZE = 1400,
    REQUESTS_MAX = 400000,
    ANSWER_SIZE = 2048
};

struct connection {
    int fd;
    uint64_t sent_ns;
    size_t have;
    char answer[ANSWER_SIZE];
};

struct load {
    uint16_t port;
    unsigned connections;
    uint64_t warm_ns;
    uint64_t run_ns;
    uint64_t first_epoch;
    bool shared;
    size_t keys;
    size_t requests;
    size_t next;
    uint64_t signatures; /* all that were received, warm-up included */
    uint64_t failures;
    uint64_t begun_ns;
    uint64_t last_ns;
    size_t samples;
    uint32_t *latency_ns; /* of the counted part */
    char (*pubkeys)[100];
    char *text; /* REQUEST_SIZE bytes each */
    uint16_t *length;
};

static void die(const char *what)
{
    (void)fprintf(stderr, "bench_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void read_pubkeys(struct load *load)
{
    load->pubkeys = calloc(KEYS_MAX, sizeof *load->pubkeys);
    char line[128];
    while (load->keys < KEYS_MAX && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] == 0)
            break;
        if (strlen(line) != 98)
            continue;
        memcpy(load->pubkeys[load->keys++], line, 99);
    }
    if (load->keys == 0)
        die("no public keys on standard input");
}

static void make_request(struct load *load, size_t i)
{
    const char *zero_version = "0x00000001";
    uint64_t epoch = load->first_epoch + i / load->keys;
    uint64_t root = load->shared ? epoch : load->first_epoch * REQUESTS_MAX + i;
    char body[1024];
    int body_len = snprintf(
        body, sizeof body,
        "{\"type\":\"ATTESTATION\",\"fork_info\":{\"fork\":{\"previous_version\":\"%s\",\"current_version\":\"%s\","
        "\"epoch\":\"0\"},\"genesis_validators_root\":"
        "\"0x04700007fabc8282644aed6d1c7c9e21d38a03a0c4ba193f3afe428824b3a673\"},"
        "\"attestation\":{\"slot\":\"%" PRIu64
        "\",\"index\":\"0\",\"beacon_block_root\":\"0x%064" PRIx64 "\","
        "\"source\":{\"epoch\":\"%" PRIu64 "\",\"root\":\"0x%064x\"},"
        "\"target\":{\"epoch\":\"%" PRIu64 "\",\"root\":\"0x%064x\"}}}",
        zero_version, zero_version, epoch * 8, root, epoch - 1, 0x11u, epoch, 0x22u);
    int len = snprintf(
        load->text + i * REQUEST_SIZE, REQUEST_SIZE,
        "POST /api/v1/eth2/sign/%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        "Accept: application/json\r\nContent-Length: %d\r\n\r\n%s",
        load->pubkeys[i % load->keys], body_len, body);
    load->length[i] = (uint16_t)len;
}

static void prepare(struct load *load)
{
    load->requests = REQUESTS_MAX / load->keys * load->keys;
    load->text = malloc(load->requests * REQUEST_SIZE);
    load->length = calloc(load->requests, sizeof *load->length);
    load->latency_ns = calloc(load->requests, sizeof *load->latency_ns);
    if (!load->text || !load->length || !load->latency_ns)
        die("memory");
    for (size_t i = 0; i < load->requests; i++)
        make_request(load, i);
}

static void connect_to(struct load *load, struct connection *c)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons(load->port),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

static bool send_next(struct load *load, struct connection *c)
{
    if (load->next == load->requests)
        return false;
    size_t i = load->next++;
    c->have = 0;
    c->sent_ns = now_ns();
    if (send(c->fd, load->text + i * REQUEST_SIZE, load->length[i], MSG_NOSIGNAL) !=
        load->length[i])
        die("send");
    return true;
}

/* True when the whole answer is there. */
static bool answer_complete(const struct connection *c)
{
    const char *end = memmem(c->answer, c->have, "\r\n\r\n", 4);
    if (!end)
        return false;
    const char *field = strcasestr(c->answer, "content-length:");
    if (!field || field > end)
        die("an answer without Content-Length");
    return c->have >= (size_t)(end + 4 - c->answer) + strtoul(field + 15, NULL, 10);
}

static void count_answer(struct load *load, const struct connection *c)
{
    uint64_t now = now_ns();
    if (strncmp(c->answer, "HTTP/1.1 200", 12) != 0) {
        if (load->failures++ == 0)
            (void)fprintf(stderr, "bench_load: first failure: %.400s\n", c->answer);
        return;
    }
    load->signatures++;
    if (now >= load->begun_ns + load->warm_ns) {
        load->latency_ns[load->samples++] = (uint32_t)(now - c->sent_ns);
        load->last_ns = now;
    }
}

static bool receive(struct connection *c)
{
    ssize_t n = recv(c->fd, c->answer + c->have, sizeof c->answer - 1 - c->have, 0);
    if (n <= 0)
        die("the server closed a connection");
    c->have += (size_t)n;
    c->answer[c->have] = 0;
    return answer_complete(c);
}

static void run(struct load *load, struct connection *connections)
{
    int poll = epoll_create1(EPOLL_CLOEXEC);
    unsigned open = 0;
    load->begun_ns = now_ns();
    for (unsigned i = 0; i < load->connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        connect_to(load, &connections[i]);
        (void)epoll_ctl(poll, EPOLL_CTL_ADD, connections[i].fd, &event);
        open += send_next(load, &connections[i]);
    }
    while (open) {
        struct epoll_event events[64];
        int n = epoll_wait(poll, events, 64, 10000);
        if (n == 0)
            die("no answer for ten seconds");
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!receive(c))
                continue;
            count_answer(load, c);
            if (now_ns() > load->begun_ns + load->warm_ns + load->run_ns || !send_next(load, c))
                open--;
        }
    }
    (void)close(poll);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double percentile_us(const struct load *load, double p)
{
    return load->samples ? load->latency_ns[(size_t)(p * (double)(load->samples - 1))] / 1000.0 : 0;
}

static void print_result(struct load *load)
{
    double seconds = (double)(load->last_ns - load->begun_ns - load->warm_ns) / 1e9;
    qsort(load->latency_ns, load->samples, sizeof *load->latency_ns, by_value);
    printf(
        "{\"signatures\": %" PRIu64 ", \"counted\": %zu, \"failures\": %" PRIu64
        ", \"seconds\": %.3f, "
        "\"per_second\": %.1f, \"p50_us\": %.0f, \"p99_us\": %.0f, \"max_us\": %.0f, \"exhausted\": %s, "
        "\"next_epoch\": %" PRIu64 "}\n",
        load->signatures, load->samples, load->failures, seconds, (double)load->samples / seconds,
        percentile_us(load, 0.50), percentile_us(load, 0.99), percentile_us(load, 1.0),
        load->next == load->requests ? "true" : "false",
        load->first_epoch + load->next / load->keys + 1);
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        (void)fprintf(
            stderr,
            "usage: bench_load PORT CONNECTIONS WARM SECONDS FIRST_EPOCH shared|distinct\n");
        return 2;
    }
    struct load load = {
        .port = (uint16_t)strtoul(argv[1], NULL, 10),
        .connections = (unsigned)strtoul(argv[2], NULL, 10),
        .warm_ns = strtoull(argv[3], NULL, 10) * 1000000000u,
        .run_ns = strtoull(argv[4], NULL, 10) * 1000000000u,
        .first_epoch = strtoull(argv[5], NULL, 10),
        .shared = strcmp(argv[6], "shared") == 0,
    };
    static struct connection connections[CONNECTIONS_MAX];
    if (load.connections == 0 || load.connections > CONNECTIONS_MAX)
        return 2;
    read_pubkeys(&load);
    prepare(&load);
    (void)printf("{\"prepared\": %zu}\n", load.requests);
    (void)fflush(stdout);
    (void)getc(stdin); /* the driver reads the rooms' CPU times, then closes our input */
    run(&load, connections);
    print_result(&load);
    return load.failures ? 1 : 0;
}
