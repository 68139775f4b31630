#include "front/peer.h"

#include <linux/vm_sockets.h>
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

void peer_address(const struct sockaddr_storage *address,
                  uint8_t ret_address[static CIDR_ADDRESS_SIZE])
{
    memset(ret_address, 0, CIDR_ADDRESS_SIZE);
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *four = (const void *)address;
        cidr_map_v4((const void *)&four->sin_addr, ret_address);
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)address;
        memcpy(ret_address, &six->sin6_addr, CIDR_ADDRESS_SIZE);
    }
}

uint32_t peer_number_of_address(uint64_t key, const uint8_t address[static CIDR_ADDRESS_SIZE])
{
    uint64_t words[2];
    memcpy(words, address, sizeof words);
    return keyed(key, words);
}

uint32_t peer_number(uint64_t key, int fd, const struct sockaddr_storage *address)
{
    uint8_t bytes[CIDR_ADDRESS_SIZE];
    if (address->ss_family == AF_VSOCK)
        return keyed(
            key, (const uint64_t[2]){UINT64_MAX - 1,
                                     ((const struct sockaddr_vm *)(const void *)address)->svm_cid});
    if (address->ss_family != AF_INET && address->ss_family != AF_INET6)
        return keyed(key, (const uint64_t[2]){UINT64_MAX, user_of(fd)});
    peer_address(address, bytes);
    return peer_number_of_address(key, bytes);
}

/* What the kernel says of users that a namespace does not know (/proc/sys/kernel/overflowuid). */
static const uint32_t unknown_user = 65534;

bool peer_is_owner(int fd, const struct sockaddr_storage *address, uint32_t own)
{
    if (address->ss_family != AF_UNIX)
        return false;
    uint64_t user = user_of(fd);
    return user == 0 || (user == own && user != unknown_user);
}
