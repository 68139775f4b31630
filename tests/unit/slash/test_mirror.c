#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "slash/mirror.h"
#include "support/slash_kit.h"
#include "support/test.h"

static char directory[KIT_DIRECTORY_MAX], path[KIT_PATH_MAX];
static const uint8_t key[MIRROR_KEY_SIZE] = {1, 2, 3};
static const uint8_t replica[SLASH_REPLICA_SIZE] = {9, 9};
static struct slash_identity identity;

static int setup(void **state)
{
    (void)state;
    assert_true(kit_directory(directory));
    (void)snprintf(path, sizeof path, "%s/history.mirror", directory);
    memset(identity.history_id, 0x11, sizeof identity.history_id);
    memset(identity.chamber_id, 0x22, sizeof identity.chamber_id);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    slash_remove_directory(directory);
    return 0;
}

static struct mirror_settings settings(void)
{
    return (struct mirror_settings){path, key, &identity, replica};
}

static struct mirror *fresh(void)
{
    const struct mirror_settings s = settings();
    struct mirror *m = NULL;
    assert_int_equal(mirror_create(&s, &m).code, 0);
    return m;
}

static cc_err try_open(struct mirror **ret)
{
    const struct mirror_settings s = settings();
    return mirror_open(&s, ret);
}

static struct mirror *reopened(void)
{
    struct mirror *m = NULL;
    cc_err err = try_open(&m);
    if (err.code)
        fail_msg("%s (%s)", error_name(err), error_detail());
    assert_non_null(m);
    return m;
}

static void vote(struct mirror *m, uint64_t who, uint64_t source, uint64_t target)
{
    const struct eth_pubkey pubkey = kit_key(who);
    const struct slash_attestation a = {source, target, true, kit_root(who * 1000 + target)};
    struct slash_key *k = NULL;
    assert_int_equal(mirror_add_key(m, &pubkey, &k).code, 0);
    assert_int_equal(mirror_add_vote(m, k, &a).code, 0);
}

static void block(struct mirror *m, uint64_t who, uint64_t slot)
{
    const struct eth_pubkey pubkey = kit_key(who);
    const struct slash_block b = {slot, true, kit_root(slot)};
    struct slash_key *k = NULL;
    assert_int_equal(mirror_add_key(m, &pubkey, &k).code, 0);
    assert_int_equal(mirror_add_block(m, k, &b).code, 0);
}

static void flush(struct mirror *m)
{
    assert_int_equal(mirror_flush(m).code, 0);
}

/* Votes of key `who` must be 1..n, each with its own root, and blocks 1..blocks. */
static void expect(struct mirror *m, uint64_t who, size_t votes, size_t blocks)
{
    const struct eth_pubkey pubkey = kit_key(who);
    const struct slash_key *k = slash_index_find(mirror_index(m), &pubkey);
    CC_CLEANUP(mirror_records_release) struct mirror_records r = {0};
    assert_non_null(k);
    for (int proven = 0; proven < 2; proven++) {
        uint64_t sum = 0;
        assert_int_equal(mirror_read(m, k, proven, &r).code, 0);
        assert_int_equal(r.vote_count, votes);
        assert_int_equal(r.block_count, blocks);
        for (size_t i = 0; i < votes; i++) {
            const struct signing_root root = kit_root(who * 1000 + r.votes[i].target);
            assert_memory_equal(r.votes[i].root.bytes, root.bytes, sizeof root.bytes);
            assert_int_equal(r.votes[i].source + 1, r.votes[i].target);
            sum += r.votes[i].target;
        }
        assert_int_equal(sum, votes * (votes + 1) / 2);
    }
    assert_int_equal(k->has_attestation, votes > 0);
    assert_true(!votes || k->attestation.target == votes);
    assert_int_equal(k->has_block, blocks > 0);
    assert_true(!blocks || k->block.slot == blocks);
}

static void test_what_was_flushed_is_read_back(void **state)
{
    (void)state;
    struct mirror *m = fresh();
    for (uint64_t epoch = 1; epoch <= 40; epoch++) {
        for (uint64_t who = 1; who <= 300; who++)
            vote(m, who, epoch - 1, epoch);
        block(m, 7, epoch);
        mirror_set_position(m, epoch);
        flush(m);
    }
    const struct slash_watermark low = {true, true, 5, 6, 7}, lower = {true, false, 4, 0, 0};
    struct eth_pubkey seven = kit_key(7);
    assert_int_equal(mirror_raise(m, slash_index_find(mirror_index(m), &seven), &low).code, 0);
    assert_int_equal(mirror_raise(m, slash_index_find(mirror_index(m), &seven), &lower).code, 0);
    vote(m, 8, 40, 41); /* is read before it is flushed too */
    expect(m, 8, 41, 0);
    flush(m);
    uint64_t size = mirror_size(m);
    mirror_close(m);
    m = reopened();
    assert_int_equal(mirror_size(m), size);
    assert_int_equal(mirror_index(m)->count, 300);
    expect(m, 1, 40, 0);
    expect(m, 7, 40, 40);
    expect(m, 8, 41, 0);
    struct slash_watermark found = slash_index_find(mirror_index(m), &seven)->low;
    assert_true(found.has_slot && found.has_epochs);
    assert_true(found.slot == 5 && found.source == 6 && found.target == 7);
    assert_int_equal(mirror_position(m), 40);
    mirror_close(m);
}

static void test_what_was_not_flushed_is_not_there(void **state)
{
    (void)state;
    struct mirror *m = fresh();
    vote(m, 1, 0, 1);
    flush(m);
    vote(m, 1, 1, 2);
    mirror_close(m);
    m = reopened();
    expect(m, 1, 1, 0);
    mirror_close(m);
}

static void test_there_is_none_until_it_is_made(void **state)
{
    (void)state;
    struct mirror *m = (struct mirror *)state;
    uint8_t id[SLASH_REPLICA_SIZE];
    bool found = true;
    assert_int_equal(try_open(&m).code, 0);
    assert_null(m);
    assert_int_equal(mirror_peek_replica(path, &found, id).code, 0);
    assert_false(found);
    mirror_close(fresh());
    assert_int_equal(mirror_peek_replica(path, &found, id).code, 0);
    assert_true(found);
    assert_memory_equal(id, replica, sizeof id);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_another_key_or_history_is_refused(void **state)
{
    (void)state;
    struct mirror *m = fresh();
    vote(m, 1, 0, 1);
    flush(m);
    mirror_close(m);
    static const uint8_t other[MIRROR_KEY_SIZE] = {1, 2, 4};
    struct mirror_settings s = settings();
    s.key = other;
    assert_int_equal(mirror_open(&s, &m).code, ERROR_TAMPERED);
    identity.history_id[5] ^= 1;
    assert_int_equal(try_open(&m).code, ERROR_TAMPERED);
    identity.history_id[5] ^= 1;
    identity.chamber_id[31] ^= 1;
    assert_int_equal(try_open(&m).code, ERROR_TAMPERED);
}

static long file_size(void)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (long)st.st_size;
}

/* Where the last frame begins, and where it ends. */
static void two_frames(long *ret_first, long *ret_second, bool synced)
{
    struct mirror *m = fresh();
    vote(m, 1, 0, 1);
    flush(m);
    *ret_first = file_size();
    if (synced)
        assert_int_equal(mirror_sync(m).code, 0);
    vote(m, 1, 1, 2);
    flush(m);
    *ret_second = file_size();
    mirror_close(m);
}

static void flip(long at)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte = 0;
    assert_true(fd >= 0 && pread(fd, &byte, 1, at) == 1);
    byte ^= 0x10;
    assert_true(pwrite(fd, &byte, 1, at) == 1);
    close(fd);
}

static void test_a_torn_end_is_cut_off_at_every_byte(void **state)
{
    (void)state;
    long first = 0, second = 0;
    two_frames(&first, &second, true);
    for (long cut = second - 1; cut > first; cut--) {
        two_frames(&first, &second, true);
        assert_int_equal(truncate(path, cut), 0);
        struct mirror *m = reopened();
        expect(m, 1, 1, 0);
        assert_int_equal(file_size(), first);
        /* And goes on from there. */
        vote(m, 1, 1, 2);
        flush(m);
        mirror_close(m);
        m = reopened();
        expect(m, 1, 2, 0);
        mirror_close(m);
    }
}

static void test_zeros_and_rubbish_at_the_end_are_torn_too(void **state)
{
    (void)state;
    static const uint8_t fill[] = {0, 0xff, 0x41};
    for (size_t i = 0; i < sizeof fill; i++) {
        long first = 0, second = 0;
        uint8_t bytes[90000];
        two_frames(&first, &second, true);
        memset(bytes, fill[i], sizeof bytes);
        int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
        assert_true(write(fd, bytes, sizeof bytes) == (ssize_t)sizeof bytes);
        close(fd);
        struct mirror *m = reopened();
        expect(m, 1, 2, 0);
        assert_int_equal(file_size(), second);
        mirror_close(m);
    }
}

/* A later frame that knew the changed one to be on the disk: no power cut does that. */
static void test_C08_each_bit_in_the_middle_of_the_mirror_counts(void **state)
{
    (void)state;
    long first = 0, second = 0;
    struct mirror *m = NULL;
    two_frames(&first, &second, true);
    for (long at = 0; at < first; at++) {
        flip(at);
        assert_int_equal(try_open(&m).code, ERROR_TAMPERED);
        flip(at);
    }
    m = reopened();
    expect(m, 1, 2, 0);
    mirror_close(m);
}

static void test_a_hole_in_what_was_never_synced_is_a_power_cut(void **state)
{
    (void)state;
    long first = 0, second = 0;
    two_frames(&first, &second, false);
    flip(first - 3);
    struct mirror *m = reopened();
    assert_int_equal(mirror_index(m)->count, 0);
    mirror_close(m);
}

/* Frames of the same file, or of another under the same key, in each other's place. */
static void test_C08_a_frame_fits_nowhere_else(void **state)
{
    (void)state;
    struct mirror *m = fresh();
    long at[4] = {file_size()};
    uint8_t bytes[3][1024];
    for (uint64_t i = 0; i < 3; i++) {
        vote(m, 1, i, i + 1);
        flush(m);
        assert_int_equal(mirror_sync(m).code, 0);
        at[i + 1] = file_size();
    }
    mirror_close(m);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    for (int i = 0; i < 3; i++)
        assert_true(pread(fd, bytes[i], (size_t)(at[i + 1] - at[i]), at[i]) == at[i + 1] - at[i]);
    assert_true(pwrite(fd, bytes[2], (size_t)(at[3] - at[2]), at[1]) > 0);
    close(fd);
    assert_int_equal(try_open(&m).code, ERROR_TAMPERED);
    /* The same records in another file of this history. */
    m = fresh();
    for (uint64_t i = 0; i < 3; i++) {
        vote(m, 1, i, i + 1);
        flush(m);
        assert_int_equal(mirror_sync(m).code, 0);
    }
    mirror_close(m);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(pwrite(fd, bytes[1], (size_t)(at[2] - at[1]), at[1]) > 0);
    close(fd);
    assert_int_equal(try_open(&m).code, ERROR_TAMPERED);
}

static void test_a_change_after_opening_is_found_by_who_proves(void **state)
{
    (void)state;
    long first = 0, second = 0;
    two_frames(&first, &second, true);
    struct mirror *m = reopened();
    struct eth_pubkey one = kit_key(1);
    struct mirror_records r = {0};
    flip(first - 20);
    assert_int_equal(mirror_read(m, slash_index_find(mirror_index(m), &one), true, &r).code,
                     ERROR_TAMPERED);
    assert_true(mirror_is_stale(m));
    mirror_records_release(&r);
    mirror_close(m);
}

static cc_err count_key(void *context, const struct slash_key *k)
{
    (void)k;
    ++*(int *)context;
    return CC_OK;
}

static int keys_after(struct mirror *m, uint64_t position)
{
    int n = 0;
    assert_int_equal(mirror_visit_after(m, position, count_key, &n).code, 0);
    return n;
}

static void test_T06_the_records_behind_a_position(void **state)
{
    (void)state;
    struct mirror *m = fresh();
    for (uint64_t i = 1; i <= 5; i++) {
        mirror_set_position(m, i * 10);
        vote(m, i, 0, 1);
        flush(m);
    }
    assert_int_equal(keys_after(m, 0), 5);
    assert_int_equal(keys_after(m, 29), 3);
    assert_int_equal(keys_after(m, 30), 2);
    assert_int_equal(keys_after(m, 50), 0);
    mirror_close(m);
}

static void test_a_successor_takes_over_what_comes_meanwhile(void **state)
{
    (void)state;
    struct mirror *m = fresh(), *next = NULL;
    uint64_t from = 0;
    bool level = false;
    for (uint64_t epoch = 1; epoch <= 50; epoch++) {
        vote(m, 1, epoch - 1, epoch);
        vote(m, 2, epoch - 1, epoch);
        flush(m);
    }
    assert_int_equal(mirror_begin_successor(m, &next, &from).code, 0);
    for (uint64_t epoch = 1; epoch <= 50; epoch++)
        vote(next, 1, epoch - 1, epoch);
    flush(next);
    mirror_set_position(m, 77);
    for (uint64_t epoch = 51; epoch <= 60; epoch++) {
        vote(m, 1, epoch - 1, epoch);
        block(m, 3, epoch - 50);
        flush(m);
    }
    int steps = 0;
    for (; !level; steps++)
        assert_int_equal(mirror_follow(next, m, &from, 200, &level).code, 0);
    assert_true(steps > 3);
    assert_int_equal(mirror_succeed(&m, next).code, 0);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(mirror_index(m)->count, 2);
        expect(m, 1, 60, 0);
        expect(m, 3, 0, 10);
        assert_int_equal(mirror_position(m), 77);
        mirror_close(m);
        m = reopened();
    }
    mirror_close(m);
}

static void test_an_abandoned_successor_leaves_nothing(void **state)
{
    (void)state;
    struct mirror *m = fresh(), *next = NULL;
    char beside[KIT_PATH_MAX + 8];
    uint64_t from = 0;
    vote(m, 1, 0, 1);
    flush(m);
    assert_int_equal(mirror_begin_successor(m, &next, &from).code, 0);
    (void)snprintf(beside, sizeof beside, "%s.new", path);
    assert_int_equal(access(beside, F_OK), 0);
    mirror_abandon(next);
    assert_int_not_equal(access(beside, F_OK), 0);
    expect(m, 1, 1, 0);
    mirror_close(m);
}

static cc_err count_pubkey(void *context, const struct eth_pubkey *pubkey)
{
    (void)pubkey;
    ++*(int *)context;
    return CC_OK;
}

static void test_keys_can_be_listed_without_the_secret(void **state)
{
    (void)state;
    int n = 0;
    assert_int_equal(mirror_peek_keys(path, count_pubkey, &n).code, 0);
    assert_int_equal(n, 0);
    struct mirror *m = fresh();
    for (uint64_t i = 1; i <= 700; i++) {
        vote(m, i, 0, 1);
        vote(m, i, 1, 2);
    }
    flush(m);
    mirror_close(m);
    assert_int_equal(mirror_peek_keys(path, count_pubkey, &n).code, 0);
    assert_int_equal(n, 700);
}

static void test_a_full_disk_leaves_what_was_there(void **state)
{
    (void)state;
    struct mirror *m = fresh();
    vote(m, 1, 0, 1);
    flush(m);
    mirror_close(m);
    m = reopened();
    /* A descriptor that takes no writes any more stands for the disk. */
    int closed = open(path, O_RDONLY | O_CLOEXEC), used = -1;
    for (int fd = 3; fd < 64 && used < 0; fd++) {
        struct stat a, b;
        if (fd != closed && fstat(fd, &a) == 0 && fstat(closed, &b) == 0 && a.st_ino == b.st_ino)
            used = fd;
    }
    assert_true(used >= 0 && dup2(closed, used) == used);
    close(closed);
    vote(m, 1, 1, 2);
    assert_int_equal(mirror_flush(m).code, ERROR_IO);
    assert_true(mirror_is_stale(m));
    mirror_close(m);
    m = reopened();
    expect(m, 1, 1, 0);
    mirror_close(m);
}

static void test_P14_numbers_at_all_edges(void **state)
{
    (void)state;
    static const uint64_t edges[] = {0, 1, (1ull << 63) - 1, 1ull << 63, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
        CC_CLEANUP(mirror_records_release) struct mirror_records r = {0};
        struct mirror *m = fresh();
        struct eth_pubkey one = kit_key(1);
        struct slash_key *k = NULL;
        const struct slash_attestation a = {edges[i], edges[i], true, kit_root(1)};
        const struct slash_watermark low = {true, true, edges[i], edges[i], edges[i]};
        assert_int_equal(mirror_add_key(m, &one, &k).code, 0);
        assert_int_equal(mirror_add_vote(m, k, &a).code, 0);
        assert_int_equal(mirror_raise(m, k, &low).code, 0);
        flush(m);
        mirror_close(m);
        m = reopened();
        k = slash_index_find(mirror_index(m), &one);
        assert_int_equal(mirror_read(m, k, true, &r).code, 0);
        assert_true(r.votes[0].source == edges[i] && r.votes[0].target == edges[i]);
        assert_true(k->low.has_slot && k->low.has_epochs && k->low.slot == low.slot);
        assert_true(k->low.source == low.source && k->low.target == low.target);
        mirror_close(m);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_what_was_flushed_is_read_back),
        CASE(test_what_was_not_flushed_is_not_there),
        CASE(test_there_is_none_until_it_is_made),
        CASE(test_another_key_or_history_is_refused),
        CASE(test_a_torn_end_is_cut_off_at_every_byte),
        CASE(test_zeros_and_rubbish_at_the_end_are_torn_too),
        CASE(test_C08_each_bit_in_the_middle_of_the_mirror_counts),
        CASE(test_a_hole_in_what_was_never_synced_is_a_power_cut),
        CASE(test_C08_a_frame_fits_nowhere_else),
        CASE(test_a_change_after_opening_is_found_by_who_proves),
        CASE(test_T06_the_records_behind_a_position),
        CASE(test_a_successor_takes_over_what_comes_meanwhile),
        CASE(test_an_abandoned_successor_leaves_nothing),
        CASE(test_keys_can_be_listed_without_the_secret),
        CASE(test_a_full_disk_leaves_what_was_there),
        CASE(test_P14_numbers_at_all_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
