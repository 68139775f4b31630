#include "front/peer.h"

#include <netinet/in.h>
#include <string.h>

/* The finalizer of splitmix64: a bijection, so two inputs differ in its output as they differ before. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
}

static uint32_t keyed(uint64_t key, const uint64_t words[static 2])
{
    uint64_t hash = mix(key ^ words[0]);
    hash = mix((hash + key) ^ words[1]);
    return (uint32_t)(hash >> 32);
}

/* A room without root sees other users than its own as one (its user namespace knows no more). */
static uint64_t user_of(int fd)
{
    struct ucred who = {0};
    socklen_t len = sizeof who;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 ? who.uid : UINT32_MAX;
}

uint32_t peer_number(uint64_t key, int fd, const struct sockaddr_storage *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t bytes[16];
    uint64_t words[2];
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const void *)address;
        memcpy(bytes, mapped, sizeof mapped);
        memcpy(bytes + sizeof mapped, &four->sin_addr, 4);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)address;
        memcpy(bytes, &six->sin6_addr, sizeof bytes);
    } else {
        return keyed(key, (const uint64_t[2]){UINT64_MAX, user_of(fd)});
    }
    memcpy(words, bytes, sizeof words);
    return keyed(key, words);
}
