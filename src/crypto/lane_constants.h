/* crypto/lane_constants.h - the numbers of the lane code, in limbs of 52 bits, least significant first.
 *
 * WHAT      p, and factors modulo p. R = 2^416 is the Montgomery factor of the lanes; blst's is 2^384.
 * PROMISE   tests/unit/crypto/test_lane.c compares with blst what they do.
 * THREADS   Any.   OWNERSHIP None.   ERRORS None.   SECRETS None.
 */
#ifndef CRYPTO_LANE_CONSTANTS_H
#define CRYPTO_LANE_CONSTANTS_H

#include <stdint.h>

#define LANE_LIMB_MASK     UINT64_C(0xfffffffffffff)
#define LANE_PRIME_INVERSE UINT64_C(0x3fffcfffcfffd) /* -1/p modulo 2^52 */
#define LANE_PRIME_TOP     UINT64_C(0x1a011)         /* limb 7 of p */

/* p */
static const uint64_t lane_prime[8] = {0xeffffffffaaab, 0xfeb153ffffb9f, 0x6b0f6241eabff,
                                       0x12bf6730d2a0f, 0x764774b84f385, 0x1ba7b6434bacd,
                                       0x1ea397fe69a4b, 0x1a011};
/* (LANE_PRIME_INVERSE * p + 1) / 2^52, a fourth of p */
static const uint64_t lane_prime_step[8] = {0x4be07d2027cb,  0xd7786e39002d4, 0xf51047083c4dd,
                                            0x96079a7670223, 0x4ca513044b79,  0x6615d3780ea11,
                                            0xf9a5623d6a279, 0x6803};

/* 1, as R */
static const uint64_t lane_one[8] = {0x6480ea8e9b9af, 0x65766c8fe444f, 0x8b540fea96f7d,
                                     0x3b2ee82efd422, 0xa6723e5f0ade5, 0xff6eb6fdd4230,
                                     0xe06ef23c24a25, 0x14c8e};
/* 2^448: a product with it turns blst's form into ours */
static const uint64_t lane_from_blst[8] = {0x7fde37dba9366, 0x4e27525bc342b, 0x1f5b1e9778489,
                                           0xb872b2b91b9dc, 0xb206f497dfcaf, 0x4137cc89a9b0b,
                                           0xd9d20d7e39959, 0x411c};
/* 2^384: and back */
static const uint64_t lane_to_blst[8] = {0x900000002fffd, 0xbc40c0002760,  0x3c758baebf400,
                                         0x57455f4898575, 0xd77ce58537052, 0x71a97a256ec6,
                                         0xec3fa80e4935c, 0x15f65};

/* psi, the endomorphism of G2 with which blst signs too, takes (x, y) to (conj(x) / (1+i)^((p-1)/3), conj(y) / (1+i)^((p-1)/2)).
 * The first factor is i times a number of Fp, the second (1 - i) times one; those of psi^2 and psi^3 follow.
 */
/* psi: x' = i * this * conj(x) */
static const uint64_t lane_psi_x[8] = {0x18a5500cc654c, 0x2e1c1e9482fe9, 0xd5d532d24a460,
                                       0x23e982695377,  0x36c99171ef509, 0x19b0966cc23e1,
                                       0x44c5fb3cf7304, 0x1227f};
/* psi: y' = (1 - i) * this * conj(y) */
static const uint64_t lane_psi_y[8] = {0x9c1a677c96161, 0xf16c8708fcef3, 0x94977d28093e6,
                                       0xa06b71c927307, 0xb4fa740f70cc7, 0x844ca7b844683,
                                       0x3f2d89b2709bb, 0x917d};
/* psi^2: x' = this * x, and y' = -y */
static const uint64_t lane_psi2_x[8] = {0xa424657e25648, 0xc75706049e739, 0xb59085299e0e2,
                                        0xd9cf17286a964, 0x69ec7cb33aa8,  0x35e995b239c7e,
                                        0x82faa0ff3c329, 0x17601};
/* psi^3: x' = i * this * conj(x), and y' = (i - 1) * lane_psi_y * conj(y) */
static const uint64_t lane_psi3_x[8] = {0x8b7f15715f0fc, 0x993ae7701b750, 0xdfbb525753c82,
                                        0xd7907f01d55ec, 0xcfd536594459f, 0x1c38ff457789c,
                                        0x3e34a5c245025, 0x5382};

#endif
