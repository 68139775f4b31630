/* Runs each piece of the hot path for the instruction-count gate (tests/bench/instructions): under callgrind, which counts only
 * between START and STOP and writes one file a piece.
 *
 * usage: bench_instructions DIRECTORY DIRECTORY [twice]     prints "NAME SIGNATURES" for each
 *
 * twice: does the work of one piece twice, for the test that the gate can fail.
 */
#include <stdio.h>
#include <string.h>
#include <valgrind/callgrind.h>

#include "bench_pieces.h"

enum {
    BATCH = 64, /* also how many keys there are */
    ROUNDS = 6  /* the first one warms up and is not counted */
};

static bool twice;

static void run(enum bench_piece piece, bool counted)
{
    if (counted)
        CALLGRIND_START_INSTRUMENTATION;
    bench_piece_run(piece);
    if (twice && piece == PIECE_ANSWER)
        bench_piece_run(piece);
    if (counted)
        CALLGRIND_STOP_INSTRUMENTATION;
}

/* Every piece of every round runs, since each needs what the one before made; those of `counted` are counted. */
static void count(enum bench_piece counted, const char *name)
{
    CALLGRIND_ZERO_STATS;
    for (int round = 0; round < ROUNDS; round++) {
        bench_pieces_begin(BATCH);
        for (int piece = 0; piece < PIECE_END; piece++)
            run((enum bench_piece)piece, piece == (int)counted && round > 0);
    }
    CALLGRIND_DUMP_STATS_AT(name);
    (void)printf("%s %d\n", name, (ROUNDS - 1) * BATCH);
}

int main(int argc, char **argv)
{
    twice = argc == 4 && strcmp(argv[3], "twice") == 0;
    if (argc != 3 && !twice) {
        (void)fprintf(stderr, "usage: bench_instructions DIRECTORY DIRECTORY [twice]\n");
        return 2;
    }
    bench_pieces_open(argv[1], BATCH, BATCH_BLST);
    for (int piece = twice ? PIECE_ANSWER : 0; piece < PIECE_END; piece++)
        count((enum bench_piece)piece, bench_piece_name((enum bench_piece)piece));
    bench_pieces_close();
    if (twice)
        return 0;
    bench_pieces_open(argv[2], BATCH, BATCH_FIXED_BASE);
    count(PIECE_SIGN, "sign_fixed_base");
    bench_pieces_close();
    return 0;
}
