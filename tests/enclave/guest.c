/* What an image of tests runs in the place of the program: prints what the machine has measured, puts a security module that signs
 * in the place of QEMU's, which doesn't (its documents have no signature), and then becomes the program.
 *
 * The module is a character device that this file serves over /dev/cuse. Every question goes on to QEMU's module but the one for a
 * document: that is made here, about the PCRs of QEMU's module, and signed by the key of a test authority that the image carries.
 *
 *     guest PROGRAM [ARGUMENT]...        with /test/leaf.key (PEM), /test/chain-N.der (root first, the leaf last)
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    REQUEST_MAX = 0x1000,
    RESPONSE_MAX = 0x3000,
    PCR_SIZE = 48,
    PCRS = 32,
    CHAIN_MAX = 8,
    CERTIFICATE_MAX = 2048,
    FRAME_MAX = 64 * 1024
};

struct nsm_raw {
    struct iovec request;
    struct iovec response;
};
#define NSM_IOCTL_RAW _IOWR(0x0A, 0, struct nsm_raw)

static void die(const char *what)
{
    printf("guest: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* --- CBOR ------------------------------------------------------------------------------------------------------------- */

struct out {
    uint8_t bytes[RESPONSE_MAX];
    size_t len;
};

struct in {
    const uint8_t *at;
    const uint8_t *end;
};

static void put(struct out *o, const void *data, size_t len)
{
    if (len > sizeof o->bytes - o->len)
        die("an answer is too long");
    memcpy(o->bytes + o->len, data, len);
    o->len += len;
}

static void head(struct out *o, unsigned major, uint64_t value)
{
    int size = value < 24            ? 0
               : value <= UINT8_MAX  ? 1
               : value <= UINT16_MAX ? 2
               : value <= UINT32_MAX ? 4
                                     : 8;
    uint8_t code = size == 0   ? (uint8_t)value
                   : size == 1 ? 24
                   : size == 2 ? 25
                   : size == 4 ? 26
                               : 27;
    uint8_t first = (uint8_t)(major << 5 | code);
    put(o, &first, 1);
    for (int i = size - 1; i >= 0; i--) {
        uint8_t byte = (uint8_t)(value >> 8 * i);
        put(o, &byte, 1);
    }
}

static void text(struct out *o, const char *value)
{
    head(o, 3, strlen(value));
    put(o, value, strlen(value));
}

static void bytes(struct out *o, const void *data, size_t len)
{
    head(o, 2, len);
    put(o, data, len);
}

static bool take(struct in *in, unsigned *ret_major, uint64_t *ret_value)
{
    if (in->at == in->end)
        return false;
    *ret_major = *in->at >> 5;
    unsigned low = *in->at++ & 31U;
    *ret_value = low;
    if (low < 24)
        return true;
    size_t size = low <= 27 ? (size_t)1 << (low - 24) : 0;
    if (size == 0 || (size_t)(in->end - in->at) < size)
        return false;
    for (*ret_value = 0; size; size--)
        *ret_value = *ret_value << 8 | *in->at++;
    return true;
}

/* A string of `major`, byte or text. */
static bool take_string(struct in *in, unsigned major, struct iovec *ret)
{
    unsigned found;
    uint64_t len;
    if (!take(in, &found, &len) || found != major || len > (uint64_t)(in->end - in->at))
        return false;
    *ret = (struct iovec){(void *)(uintptr_t)in->at, (size_t)len};
    in->at += len;
    return true;
}

static bool is(const struct iovec *name, const char *expected)
{
    return name->iov_len == strlen(expected) &&
           memcmp(name->iov_base, expected, name->iov_len) == 0;
}

/* --- QEMU's module ------------------------------------------------------------------------------------------------------ */

static int module_fd = -1;
static uint8_t pcrs[PCRS][PCR_SIZE];
static bool locked[PCRS];

static size_t ask(const void *request, size_t len, uint8_t response[static RESPONSE_MAX])
{
    struct nsm_raw raw = {{(void *)(uintptr_t)request, len}, {response, RESPONSE_MAX}};
    if (ioctl(module_fd, NSM_IOCTL_RAW, &raw) != 0)
        die("the machine's module");
    return raw.response.iov_len;
}

static bool read_pcr(unsigned index)
{
    static uint8_t response[RESPONSE_MAX];
    static struct out question;
    unsigned major;
    uint64_t value;
    struct iovec name;
    question.len = 0;
    head(&question, 5, 1);
    text(&question, "DescribePCR");
    head(&question, 5, 1);
    text(&question, "index");
    head(&question, 0, index);
    struct in in = {response, response + ask(question.bytes, question.len, response)};
    if (!take(&in, &major, &value) || major != 5 || !take_string(&in, 3, &name) ||
        !is(&name, "DescribePCR"))
        return false;
    if (!take(&in, &major, &value) || major != 5 || value != 2)
        return false;
    for (int i = 0; i < 2; i++) { /* in either order */
        if (!take_string(&in, 3, &name))
            return false;
        if (is(&name, "lock")) {
            if (!take(&in, &major, &value) || major != 7)
                return false;
            locked[index] = value == 21;
        } else if (!take_string(&in, 2, &name) || name.iov_len != PCR_SIZE) {
            return false;
        } else {
            memcpy(pcrs[index], name.iov_base, PCR_SIZE);
        }
    }
    return true;
}

static void read_pcrs(void)
{
    for (unsigned i = 0; i < PCRS; i++)
        if (!read_pcr(i))
            die("a PCR can't be read");
}

static void print_pcrs(void)
{
    for (unsigned i = 0; i < 16; i++) {
        printf("guest: PCR%u ", i);
        for (int n = 0; n < PCR_SIZE; n++)
            printf("%02x", pcrs[i][n]);
        printf("\n");
    }
}

/* --- documents ---------------------------------------------------------------------------------------------------------- */

static EVP_PKEY *leaf_key;
static uint8_t chain[CHAIN_MAX][CERTIFICATE_MAX];
static size_t chain_len[CHAIN_MAX];
static unsigned chain_count;

static void read_authority(void)
{
    char path[64];
    FILE *file = fopen("/test/leaf.key", "re");
    leaf_key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    if (!leaf_key)
        die("/test/leaf.key");
    (void)fclose(file);
    while (chain_count < CHAIN_MAX) {
        (void)snprintf(path, sizeof path, "/test/chain-%u.der", chain_count);
        file = fopen(path, "re");
        if (!file)
            break;
        chain_len[chain_count] = fread(chain[chain_count], 1, CERTIFICATE_MAX, file);
        chain_count++;
        (void)fclose(file);
    }
    if (chain_count < 2)
        die("/test/chain-0.der");
}

static void sign(const struct out *message, uint8_t ret_raw[static 2 * PCR_SIZE])
{
    uint8_t der[256];
    const uint8_t *at = der;
    size_t len = sizeof der;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (EVP_DigestSignInit(context, NULL, EVP_sha384(), NULL, leaf_key) != 1 ||
        EVP_DigestSign(context, der, &len, message->bytes, message->len) != 1)
        die("signing");
    EVP_MD_CTX_free(context);
    ECDSA_SIG *signature = d2i_ECDSA_SIG(NULL, &at, (long)len);
    if (BN_bn2binpad(ECDSA_SIG_get0_r(signature), ret_raw, PCR_SIZE) != PCR_SIZE ||
        BN_bn2binpad(ECDSA_SIG_get0_s(signature), ret_raw + PCR_SIZE, PCR_SIZE) != PCR_SIZE)
        die("signing");
    ECDSA_SIG_free(signature);
}

static void put_pcrs(struct out *payload)
{
    unsigned count = 0;
    for (unsigned i = 0; i < PCRS; i++)
        count += locked[i];
    text(payload, "pcrs");
    head(payload, 5, count);
    for (unsigned i = 0; i < PCRS; i++)
        if (locked[i]) {
            head(payload, 0, i);
            bytes(payload, pcrs[i], PCR_SIZE);
        }
}

/* The three that may be null, in the order of a document: public_key, user_data, nonce. */
static void make_document(const struct iovec optional[static 3], struct out *document)
{
    static const char *const names[] = {"public_key", "user_data", "nonce"};
    static const uint8_t protected_header[] = {0xa1, 0x01, 0x38, 0x22};
    static const uint8_t null = 0xf6;
    static struct out payload;
    static struct out signed_text;
    uint8_t raw[2 * PCR_SIZE];
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    payload.len = signed_text.len = 0;
    head(&payload, 5, 9);
    text(&payload, "module_id");
    text(&payload, "i-0123456789abcdef0-enc0123456789abcdef");
    text(&payload, "digest");
    text(&payload, "SHA384");
    text(&payload, "timestamp");
    head(&payload, 0, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
    put_pcrs(&payload);
    text(&payload, "certificate");
    bytes(&payload, chain[chain_count - 1], chain_len[chain_count - 1]);
    text(&payload, "cabundle");
    head(&payload, 4, chain_count - 1);
    for (unsigned i = 0; i + 1 < chain_count; i++)
        bytes(&payload, chain[i], chain_len[i]);
    for (int i = 0; i < 3; i++) {
        text(&payload, names[i]);
        if (optional[i].iov_base)
            bytes(&payload, optional[i].iov_base, optional[i].iov_len);
        else
            put(&payload, &null, 1);
    }
    head(&signed_text, 4, 4);
    text(&signed_text, "Signature1");
    bytes(&signed_text, protected_header, sizeof protected_header);
    bytes(&signed_text, "", 0);
    bytes(&signed_text, payload.bytes, payload.len);
    sign(&signed_text, raw);
    document->len = 0;
    head(document, 4, 4);
    bytes(document, protected_header, sizeof protected_header);
    head(document, 5, 0);
    bytes(document, payload.bytes, payload.len);
    bytes(document, raw, sizeof raw);
}

/* False for everything but a question for a document. */
static bool take_question(struct in in, struct iovec ret_optional[static 3])
{
    unsigned major;
    uint64_t value;
    struct iovec name;
    if (!take(&in, &major, &value) || major != 5 || value != 1 || !take_string(&in, 3, &name) ||
        !is(&name, "Attestation"))
        return false;
    if (!take(&in, &major, &value) || major != 5 || value != 3)
        return false;
    for (int i = 0; i < 3; i++) {
        if (!take_string(&in, 3, &name))
            return false;
        int which = is(&name, "public_key") ? 0 : is(&name, "user_data") ? 1 : 2;
        if (in.at < in.end && *in.at == 0xf6)
            in.at++;
        else if (!take_string(&in, 2, &ret_optional[which]))
            return false;
    }
    return true;
}

static size_t answer(const uint8_t *request, size_t len, uint8_t response[static RESPONSE_MAX])
{
    static struct out document;
    static struct out whole;
    struct iovec optional[3] = {{0}};
    if (!take_question((struct in){request, request + len}, optional))
        return ask(request, len, response);
    read_pcrs(); /* the program may have extended some */
    make_document(optional, &document);
    whole.len = 0;
    head(&whole, 5, 1);
    text(&whole, "Attestation");
    head(&whole, 5, 1);
    text(&whole, "document");
    bytes(&whole, document.bytes, document.len);
    memcpy(response, whole.bytes, whole.len);
    return whole.len;
}

/* --- the device (linux/fuse.h) ------------------------------------------------------------------------------------------- */

static void reply(int fd, uint64_t unique, int error, const struct iovec *parts, int count)
{
    struct fuse_out_header out = {.len = sizeof out, .error = error, .unique = unique};
    struct iovec all[4] = {{&out, sizeof out}};
    for (int i = 0; i < count; i++) {
        all[i + 1] = parts[i];
        out.len += (uint32_t)parts[i].iov_len;
    }
    if (writev(fd, all, count + 1) < 0 && errno != ENOENT)
        die("/dev/cuse");
}

static void on_init(int fd, uint64_t unique, const struct cuse_init_in *in)
{
    static char name[] = "DEVNAME=nsm-signing";
    struct cuse_init_out out = {
        .major = FUSE_KERNEL_VERSION,
        .minor = in->minor < FUSE_KERNEL_MINOR_VERSION ? in->minor : FUSE_KERNEL_MINOR_VERSION,
        .flags = CUSE_UNRESTRICTED_IOCTL,
        .max_read = FRAME_MAX / 2,
        .max_write = FRAME_MAX / 2};
    const struct iovec parts[] = {{&out, sizeof out}, {name, sizeof name}};
    reply(fd, unique, 0, parts, 2);
}

/* The kernel copies what is asked for: first the struct, then, since that points elsewhere, request and room for the answer. */
static void on_ioctl(int fd, uint64_t unique, const struct fuse_ioctl_in *in)
{
    static uint8_t response[sizeof(struct nsm_raw) + RESPONSE_MAX];
    struct fuse_ioctl_out out = {0};
    struct fuse_ioctl_iovec vectors[4] = {{in->arg, sizeof(struct nsm_raw)}};
    struct nsm_raw raw;
    const uint8_t *data = (const uint8_t *)(in + 1);
    if (in->cmd != NSM_IOCTL_RAW) {
        reply(fd, unique, -EINVAL, NULL, 0);
        return;
    }
    if (in->in_size < sizeof raw) {
        out = (struct fuse_ioctl_out){.flags = FUSE_IOCTL_RETRY, .in_iovs = 1};
        reply(fd, unique, 0,
              (const struct iovec[]){{&out, sizeof out}, {vectors, sizeof vectors[0]}}, 2);
        return;
    }
    memcpy(&raw, data, sizeof raw);
    if (raw.request.iov_len > REQUEST_MAX) {
        reply(fd, unique, -EMSGSIZE, NULL, 0);
        return;
    }
    size_t room = raw.response.iov_len < RESPONSE_MAX ? raw.response.iov_len : RESPONSE_MAX;
    if (in->in_size == sizeof raw) {
        vectors[1] = (struct fuse_ioctl_iovec){(uint64_t)(uintptr_t)raw.request.iov_base,
                                               raw.request.iov_len};
        vectors[2] = vectors[0];
        vectors[3] = (struct fuse_ioctl_iovec){(uint64_t)(uintptr_t)raw.response.iov_base, room};
        out = (struct fuse_ioctl_out){.flags = FUSE_IOCTL_RETRY, .in_iovs = 2, .out_iovs = 2};
        reply(fd, unique, 0, (const struct iovec[]){{&out, sizeof out}, {vectors, sizeof vectors}},
              2);
        return;
    }
    static uint8_t whole[RESPONSE_MAX];
    size_t len = answer(data + sizeof raw, in->in_size - sizeof raw, whole);
    raw.response.iov_len = len < room ? len : room;
    memcpy(response, &raw, sizeof raw);
    memcpy(response + sizeof raw, whole, raw.response.iov_len);
    reply(fd, unique, 0,
          (const struct iovec[]){{&out, sizeof out}, {response, sizeof raw + raw.response.iov_len}},
          2);
}

static void serve(int fd)
{
    static union {
        struct fuse_in_header header;
        uint8_t bytes[FRAME_MAX];
    } frame;
    struct fuse_open_out opened = {0};
    for (;;) {
        ssize_t n = read(fd, frame.bytes, sizeof frame.bytes);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < (ssize_t)sizeof frame.header)
            die("/dev/cuse");
        const void *body = frame.bytes + sizeof frame.header;
        switch (frame.header.opcode) {
        case CUSE_INIT:
            on_init(fd, frame.header.unique, body);
            break;
        case FUSE_OPEN:
            reply(fd, frame.header.unique, 0, (const struct iovec[]){{&opened, sizeof opened}}, 1);
            break;
        case FUSE_IOCTL:
            on_ioctl(fd, frame.header.unique, body);
            break;
        case FUSE_RELEASE:
            reply(fd, frame.header.unique, 0, NULL, 0);
            break;
        case FUSE_INTERRUPT:
        case FUSE_FORGET:
            break;
        default:
            reply(fd, frame.header.unique, -ENOSYS, NULL, 0);
        }
    }
}

static void start_module(void)
{
    struct stat st;
    read_authority();
    int fd = open("/dev/cuse", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        die("/dev/cuse");
    pid_t pid = fork();
    if (pid == 0) {
        serve(fd);
        _exit(1);
    }
    (void)close(fd);
    for (int i = 0; stat("/dev/nsm-signing", &st) != 0; i++) {
        if (pid < 0 || i == 1000)
            die("/dev/nsm-signing");
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL); /* until udev would tell */
    }
    if (rename("/dev/nsm-signing", "/dev/nsm") != 0 || chmod("/dev/nsm", 0666) != 0)
        die("/dev/nsm");
}

int main(int argc, char **argv)
{
    char *const no_environment[] = {NULL};
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 2)
        die("no program");
    module_fd = open("/dev/nsm", O_RDWR | O_CLOEXEC);
    if (module_fd < 0)
        die("/dev/nsm");
    read_pcrs();
    print_pcrs();
    if (access("/test/leaf.key", R_OK) == 0)
        start_module();
    (void)execve(argv[1], argv + 1, no_environment);
    die("the program");
}
