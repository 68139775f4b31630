/* bench_pieces.h - the pieces of the hot path, one by one, over messages that were never seen before.
 *
 * What the rooms do with a batch of attestations, without rooms, doors and HTTP: each piece takes what the one before it made.
 *
 *     bench_pieces_open(directory, keys, engine);
 *     bench_pieces_begin(n);              the next n messages (at most PIECE_BATCH_MAX, and at most the keys)
 *     bench_piece_run(PIECE_PARSE); ...   in order
 *
 * A step that fails ends the program.
 */
#ifndef BENCH_PIECES_H
#define BENCH_PIECES_H

#include <stddef.h>

#include "crypto/batch.h"

enum bench_piece {
    PIECE_PARSE,  /* front: JSON to struct sign_request */
    PIECE_ROOT,   /* the signing root alone, which judging and signing compute once each */
    PIECE_JUDGE,  /* core: fields, policy, network, root */
    PIECE_RECORD, /* core: the history's check and durable record, one transaction */
    PIECE_SIGN,   /* vault: root again, floor, signature */
    PIECE_ANSWER, /* front: the answer's body */
    PIECE_END
};

enum {
    PIECE_BATCH_MAX = 256
};

const char *bench_piece_name(enum bench_piece piece);
/* `directory` is on a disk and gets the history. */
void bench_pieces_open(const char *directory, size_t keys, enum batch_engine engine);
void bench_pieces_begin(size_t n);
void bench_piece_run(enum bench_piece piece);
void bench_pieces_close(void);

/* Ends the program when `err` is one. */
void bench_must(cc_err err);

#endif
