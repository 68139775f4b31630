#include "crypto/keccak.h"

#include <string.h>

/* FIPS 202, sections 3.2 and 5: Keccak-f[1600], capacity 512. */
enum {
    LANES = 25,
    ROUNDS = 24,
    RATE = 136 /* bytes of a block */
};

static const uint64_t round_constants[ROUNDS] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
    0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
    0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};
/* Of rho and pi, along the path of lanes that begins at (1, 0). */
static const uint8_t path_turns[LANES - 1] = {1,  3,  6,  10, 15, 21, 28, 36, 45, 55, 2,  14,
                                              27, 41, 56, 8,  25, 43, 62, 18, 39, 61, 20, 44};
static const uint8_t path_lanes[LANES - 1] = {10, 7,  11, 17, 18, 3, 5,  16, 8,  21, 24, 4,
                                              15, 23, 19, 13, 12, 2, 20, 14, 22, 9,  6,  1};

static uint64_t turn(uint64_t lane, unsigned by)
{
    return lane << by | lane >> (64 - by);
}

static void theta(uint64_t a[static LANES])
{
    uint64_t c[5];
    for (size_t x = 0; x < 5; x++)
        c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
    for (size_t i = 0; i < LANES; i++)
        a[i] ^= c[(i + 4) % 5] ^ turn(c[(i + 1) % 5], 1);
}

static void rho_and_pi(uint64_t a[static LANES])
{
    uint64_t moves = a[1];
    for (size_t i = 0; i < LANES - 1; i++) {
        const uint64_t next = a[path_lanes[i]];
        a[path_lanes[i]] = turn(moves, path_turns[i]);
        moves = next;
    }
}

static void chi(uint64_t a[static LANES])
{
    for (size_t y = 0; y < LANES; y += 5) {
        const uint64_t row[5] = {a[y], a[y + 1], a[y + 2], a[y + 3], a[y + 4]};
        for (size_t x = 0; x < 5; x++)
            a[y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
    }
}

static void permute(uint64_t a[static LANES])
{
    for (size_t round = 0; round < ROUNDS; round++) {
        theta(a);
        rho_and_pi(a);
        chi(a);
        a[0] ^= round_constants[round];
    }
}

static void take_byte(uint64_t a[static LANES], size_t at, uint8_t byte)
{
    a[at / 8] ^= (uint64_t)byte << (8 * (at % 8));
}

void keccak_padded(struct span data, uint8_t pad, uint8_t ret_digest[static KECCAK_SIZE])
{
    uint64_t a[LANES] = {0};
    size_t at = 0;
    for (size_t i = 0; i < data.len; i++) {
        take_byte(a, at++, data.data[i]);
        if (at == RATE) {
            permute(a);
            at = 0;
        }
    }
    take_byte(a, at, pad);
    take_byte(a, RATE - 1, 0x80);
    permute(a);
    for (size_t i = 0; i < KECCAK_SIZE; i++)
        ret_digest[i] = (uint8_t)(a[i / 8] >> (8 * (i % 8)));
}

void keccak_256(struct span data, uint8_t ret_digest[static KECCAK_SIZE])
{
    keccak_padded(data, KECCAK_PAD, ret_digest);
}
