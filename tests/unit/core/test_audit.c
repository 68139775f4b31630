/* T30: what was decided is in the log before it is told, and what is done to the log afterwards shows. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"

#include "codec/json.h"
#include "core/audit.h"
#include "core/audit_file.h"
#include "core/audit_verify.h"
#include "crypto/mac.h"
#include "support/folder.h"
#include "support/test.h"

static struct folder folder;
static struct audit_position anchor; /* what the state store holds */
static atomic_uint anchored;
static atomic_bool state_is_away;
static const uint8_t replica[AUDIT_REPLICA_SIZE] = {1, 2, 3};

/* --- a disk that can fail, and that forgets what was not synced ------------------------------------------------------- */

static atomic_bool sync_fails;
static _Atomic int64_t synced_size; /* of the file that was synced last */
static atomic_uint syncs;

int fdatasync(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    if (atomic_load(&sync_fails)) {
        errno = EIO;
        return -1;
    }
    const int rc = (int)syscall(SYS_fdatasync, fd);
    atomic_store(&synced_size, st.st_size);
    (void)atomic_fetch_add(&syncs, 1);
    return rc;
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* --- the rig ---------------------------------------------------------------------------------------------------------- */

static cc_err key_of(void *context,
                     const uint8_t of[static AUDIT_REPLICA_SIZE],
                     uint64_t segment,
                     uint8_t ret_key[static AUDIT_KEY_SIZE])
{
    uint8_t number[8];
    (void)context;
    u64_store_be(number, segment);
    const struct span parts[] = {span_of(of, AUDIT_REPLICA_SIZE), span_of(number, sizeof number)};
    mac_hmac_sha256(span_str("a key of the vault"), parts, ARRAY_LEN(parts), ret_key);
    return CC_OK;
}

/* As the vault: no number twice. */
static _Atomic uint64_t last_given;
static cc_err next_key(void *context, uint64_t segment, uint8_t ret_key[static AUDIT_KEY_SIZE])
{
    assert_true(segment > last_given);
    last_given = segment;
    return key_of(context, replica, segment, ret_key);
}

static cc_err put_anchor(void *context, const struct audit_position *position)
{
    (void)context;
    if (atomic_load(&state_is_away))
        return CC_FAIL(STATE, NULL);
    anchor = *position;
    (void)atomic_fetch_add(&anchored, 1);
    return CC_OK;
}

static struct audit_settings settings;

static int up(void **state)
{
    (void)state;
    folder_make(&folder);
    anchor = (struct audit_position){0};
    last_given = 0;
    atomic_store(&anchored, 0);
    atomic_store(&state_is_away, false);
    atomic_store(&sync_fails, false);
    settings = (struct audit_settings){.level = AUDIT_ALL,
                                       .sink = AUDIT_FILE,
                                       .on_failure = AUDIT_REFUSE,
                                       .segment_bytes = 1 << 20,
                                       .directory = folder.path};
    memcpy(settings.replica, replica, sizeof replica);
    return 0;
}

static int down(void **state)
{
    (void)state;
    limit_file_size(RLIM_INFINITY);
    folder_remove(&folder);
    return 0;
}

static struct audit *open_log(void)
{
    uint64_t segment = 0;
    uint8_t key[AUDIT_KEY_SIZE];
    struct audit *audit = NULL;
    settings.anchor = anchor;
    assert_int_equal(audit_next_segment(&settings, &segment).code, 0);
    assert_int_equal(next_key(NULL, segment, key).code, 0);
    assert_int_equal(audit_open(&settings, segment, key, &audit).code, 0);
    return audit;
}

static struct audit *start_log(void)
{
    const struct audit_helpers helpers = {
        .key = next_key, .anchor = put_anchor, .anchor_ms = 3600 * 1000};
    struct audit *audit = open_log();
    assert_int_equal(audit_start(audit, &helpers).code, 0);
    return audit;
}

static void end_log(struct audit *audit)
{
    audit_finish(audit);
    audit_close(audit);
}

static struct audit_entry signed_entry(uint64_t n)
{
    struct audit_entry entry = {.event = "sign",
                                .operation = "ATTESTATION",
                                .claim = AUDIT_CLAIM_EPOCHS,
                                .source = n,
                                .target = n + 1,
                                .has_pubkey = true,
                                .principal = "token:vc"};
    memset(entry.pubkey.bytes, (int)n, sizeof entry.pubkey);
    return entry;
}

static void write_lines(struct audit *audit, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        const struct audit_entry entry = signed_entry(i);
        assert_int_equal(audit_write(audit, &entry, 1).code, 0);
    }
}

/* A log of segments with these numbers of lines, besides their first and last. */
static void make_log(const unsigned *lines, size_t segments)
{
    for (size_t i = 0; i < segments; i++) {
        struct audit *audit = start_log();
        write_lines(audit, lines[i]);
        end_log(audit);
    }
}

static struct audit_check check;

static uint64_t verify(uint64_t first)
{
    struct audit_source source = {.directory = folder.path, .anchor = anchor, .key = key_of};
    memcpy(source.replica, replica, sizeof replica);
    audit_check_init(&check);
    assert_int_equal(audit_verify(&source, first, &check).code, 0);
    const uint64_t faults = check.faults;
    audit_check_release(&check);
    return faults;
}

/* True when the report of a verification holds `text`. */
static bool report_says(const char *text)
{
    struct audit_source source = {.directory = folder.path, .anchor = anchor, .key = key_of};
    memcpy(source.replica, replica, sizeof replica);
    audit_check_init(&check);
    assert_int_equal(audit_verify(&source, 1, &check).code, 0);
    assert_int_equal(buf_append(&check.report, "", 1).code, 0);
    const bool says = strstr((const char *)check.report.data, text) != NULL;
    if (!says)
        print_message("%s", (const char *)check.report.data);
    audit_check_release(&check);
    return says;
}

static const char *segment_path(uint64_t segment)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%08u.jsonl", (unsigned)segment);
    return folder_at(&folder, name);
}

static struct buf read_segment(uint64_t segment)
{
    struct buf text = buf_init(1 << 22);
    assert_int_equal(file_read(segment_path(segment), &text).code, 0);
    return text;
}

static void write_segment(uint64_t segment, const void *bytes, size_t len)
{
    char name[32];
    (void)snprintf(name, sizeof name, "%08u.jsonl", (unsigned)segment);
    folder_write(&folder, name, bytes, len, 0600);
}

/* Where lines begin; the last one is the end. */
static size_t split(const struct buf *text, size_t *starts, size_t max)
{
    size_t count = 0;
    starts[0] = 0;
    for (size_t i = 0; i < text->len; i++)
        if (text->data[i] == '\n' && count + 1 < max)
            starts[++count] = i + 1;
    return count;
}

static uint64_t count_lines(uint64_t segment, const char *holding)
{
    struct buf text = read_segment(segment);
    uint64_t count = 0;
    assert_int_equal(buf_append(&text, "", 1).code, 0);
    for (char *line = strtok((char *)text.data, "\n"); line; line = strtok(NULL, "\n"))
        count += strstr(line, holding) != NULL;
    buf_release(&text);
    return count;
}

/* --- intact --------------------------------------------------------------------------------------------------------------- */

static void test_T30_a_log_as_it_was_written_is_intact(void **state)
{
    static const unsigned lines[] = {0, 7, 300, 1};
    (void)state;
    make_log(lines, ARRAY_LEN(lines));
    assert_int_equal(verify(1), 0);
    assert_int_equal(check.segments, 4);
    assert_int_equal(check.lines, 308 + 4 * 2);
    assert_int_equal(check.notes, 0);
    assert_int_equal(anchor.segment, 4);
    assert_int_equal(anchor.lines, 3);
}

/* Asked for at the begin of a segment: how far it is, is what the segments before it say. */
static cc_err key_and_look(void *context,
                           const uint8_t of[static AUDIT_REPLICA_SIZE],
                           uint64_t segment,
                           uint8_t ret_key[static AUDIT_KEY_SIZE])
{
    const struct order_progress *progress = context;
    uint64_t done = 0, total = 0;
    assert_int_equal(order_progress_read(progress->fd, &done, &total), segment > 2);
    assert_int_equal(done, segment > 2 ? (segment - 2) * 1000 : 0);
    assert_int_equal(total, segment > 2 ? 3000 : 0);
    return key_of(NULL, of, segment, ret_key);
}

static void test_how_far_a_verification_is_can_be_told(void **state)
{
    static const unsigned lines[] = {5, 7, 300, 1};
    CC_CLEANUP(fd_closep) int fd = memfd_create("order", MFD_CLOEXEC);
    const struct order_progress progress = {fd};
    struct audit_source source = {.directory = folder.path,
                                  .anchor = anchor,
                                  .key = key_and_look,
                                  .context = (void *)(uintptr_t)&progress,
                                  .progress = &progress};
    uint64_t done = 0, total = 0;
    (void)state;
    assert_true(fd >= 0);
    make_log(lines, ARRAY_LEN(lines));
    memcpy(source.replica, replica, sizeof replica);
    source.anchor = anchor;
    audit_check_init(&check);
    assert_int_equal(audit_verify(&source, 2, &check).code, 0);
    audit_check_release(&check);
    assert_true(order_progress_read(fd, &done, &total));
    assert_int_equal(done, 3000);
    assert_int_equal(total, 3000);
    /* An answer in its place ends that. */
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_false(order_progress_read(fd, &done, &total));
}

static void test_T30_a_segment_that_is_full_is_followed_by_the_next(void **state)
{
    (void)state;
    settings.segment_bytes = 4096;
    struct audit *audit = start_log();
    for (unsigned i = 0; last_given < 4 && i < 1000; i++) {
        write_lines(audit, 20);
        (void)usleep(20000);
    }
    assert_int_equal(last_given, 4);
    end_log(audit);
    assert_int_equal(verify(1), 0);
    assert_true(check.segments >= 4);
    assert_int_equal(count_lines(1, "\"event\":\"end\""), 1);
}

/* --- tampering ------------------------------------------------------------------------------------------------------------ */

enum tampering {
    EDIT_BYTE,
    REMOVE_LINE,
    SWAP_LINES,
    REPEAT_LINE,
    INSERT_FOREIGN_LINE,
    CUT_TAIL,
    REMOVE_SEGMENT,
    SWAP_SEGMENTS,
    EMPTY_SEGMENT,
    JOIN_LINES,
    TAMPERING_END
};

static uint32_t seed;

static uint32_t below(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)seed * n) >> 32);
}

/* Writes the segment anew: [0, a), then `middle`, then [b, end). */
static void
splice_in(uint64_t segment, const struct buf *text, size_t a, size_t b, struct span middle)
{
    struct buf out = buf_init(1 << 22);
    assert_int_equal(buf_append(&out, text->data, a).code, 0);
    assert_int_equal(buf_append(&out, middle.data, middle.len).code, 0);
    assert_int_equal(buf_append(&out, text->data + b, text->len - b).code, 0);
    write_segment(segment, out.data, out.len);
    buf_release(&out);
}

static void swap_segments(uint64_t a, uint64_t b)
{
    struct buf first = read_segment(a);
    struct buf second = read_segment(b);
    write_segment(a, second.data, second.len);
    write_segment(b, first.data, first.len);
    buf_release(&first);
    buf_release(&second);
}

static void tamper(enum tampering how, uint64_t segment, uint64_t other)
{
    size_t at[512];
    size_t of_other[512];
    struct buf text = read_segment(segment);
    struct buf foreign = read_segment(other);
    const size_t n = split(&text, at, ARRAY_LEN(at));
    const size_t m = split(&foreign, of_other, ARRAY_LEN(of_other));
    const size_t i = below((uint32_t)n);
    const size_t j = below((uint32_t)(n - 1));
    const size_t k = below((uint32_t)m);
    const struct span line = span_of(text.data + at[i], at[i + 1] - at[i]);
    const struct span none = {0};
    struct buf swapped = buf_init(1 << 16);
    switch (how) {
    case EDIT_BYTE:
        text.data[below((uint32_t)text.len)] ^= (uint8_t)(1 + below(255));
        write_segment(segment, text.data, text.len);
        break;
    case REMOVE_LINE:
        splice_in(segment, &text, at[i], at[i + 1], none);
        break;
    case SWAP_LINES:
        assert_int_equal(buf_append(&swapped, text.data + at[j + 1], at[j + 2] - at[j + 1]).code,
                         0);
        assert_int_equal(buf_append(&swapped, text.data + at[j], at[j + 1] - at[j]).code, 0);
        splice_in(segment, &text, at[j], at[j + 2], buf_span(&swapped));
        break;
    case REPEAT_LINE:
        splice_in(segment, &text, at[j], at[j], line);
        break;
    case INSERT_FOREIGN_LINE:
        splice_in(segment, &text, at[i], at[i],
                  span_of(foreign.data + of_other[k], of_other[k + 1] - of_other[k]));
        break;
    case CUT_TAIL:
        write_segment(segment, text.data, below((uint32_t)text.len));
        break;
    case REMOVE_SEGMENT:
        assert_int_equal(unlink(segment_path(segment)), 0);
        break;
    case SWAP_SEGMENTS:
        swap_segments(segment, other);
        break;
    case EMPTY_SEGMENT:
        write_segment(segment, "", 0);
        break;
    case JOIN_LINES:
        splice_in(segment, &text, at[j + 1] - 1, at[j + 1], none);
        break;
    case TAMPERING_END:
        break;
    }
    buf_release(&swapped);
    buf_release(&text);
    buf_release(&foreign);
}

static void test_T30_whatever_is_done_to_a_log_shows(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 400; round++) {
        seed = round * 2654435761U + 7;
        folder_remove(&folder);
        assert_int_equal(up(NULL), 0);
        const unsigned lines[] = {1 + below(30), 1 + below(30), 1 + below(30)};
        for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
            struct audit *audit = start_log();
            write_lines(audit, lines[i]);
            end_log(audit);
        }
        assert_int_equal(verify(1), 0);
        const enum tampering how = (enum tampering)(round % TAMPERING_END);
        const uint64_t segment = 1 + below(3);
        tamper(how, segment, 1 + segment % 3);
        if (verify(1) == 0) {
            print_error("round %u: tampering %d of segment %u was not seen\n", round, (int)how,
                        (unsigned)segment);
            fail();
        }
    }
}

static void test_T30_what_was_done_is_said_with_its_place(void **state)
{
    static const unsigned lines[] = {20, 20};
    size_t at[64];
    (void)state;
    make_log(lines, ARRAY_LEN(lines));
    struct buf text = read_segment(1);
    (void)split(&text, at, ARRAY_LEN(at));
    splice_in(1, &text, at[4], at[6], (struct span){0});
    assert_true(report_says("segment 1: lines 5 to 6 were removed\n"));
    assert_int_equal(verify(1), 1);
    struct buf changed = buf_init(1 << 20);
    assert_int_equal(buf_append(&changed, text.data, text.len).code, 0);
    uint8_t *target = memmem(changed.data + at[9], changed.len - at[9], "\"target\":", 9);
    assert_non_null(target);
    target[9] = '7';
    write_segment(1, changed.data, changed.len);
    assert_true(report_says("segment 1: line 10 was changed\n"));
    assert_int_equal(verify(1), 1);
    write_segment(1, text.data, at[3]);
    assert_true(report_says(
        "segment 1: its end was cut: there are 3 lines, and by the segment after it 22\n"));
    write_segment(1, text.data, text.len);
    assert_int_equal(verify(1), 0);
    struct buf second = read_segment(2);
    write_segment(2, second.data, second.len / 2);
    assert_true(report_says("by the state store 22\n"));
    assert_int_equal(unlink(segment_path(2)), 0);
    assert_true(report_says("segment 2: is missing\n"));
    write_segment(2, second.data, second.len);
    assert_int_equal(unlink(segment_path(1)), 0);
    assert_true(report_says("segment 1: is missing\n"));
    assert_int_equal(verify(2), 0); /* segments before it are kept elsewhere */
    buf_release(&second);
    buf_release(&changed);
    buf_release(&text);
}

static void gap_to(uint64_t line)
{
    char text[200];
    const int n =
        snprintf(text, sizeof text,
                 "{\"time\":\"2026-11-26T15:00:00.000Z\",\"event\":\"sign\",\"segment\":1,"
                 "\"line\":%llu,\"mac\":\"%032d\"}",
                 (unsigned long long)line, 0);
    assert_int_equal(audit_check_line(&check, span_of(text, (size_t)n), true).code, 0);
}

/* Each missing line costs the verification a key, so a few forged lines must not send it on for hours. */
static void test_T30_gaps_hold_a_verification_up_only_so_long(void **state)
{
    static const uint8_t key[AUDIT_KEY_SIZE];
    (void)state;
    audit_check_init(&check);
    audit_check_segment(&check, 1, key);
    gap_to(5);
    gap_to(7);
    assert_int_equal(check.skipped, 5); /* 1 to 4, and 6 */
    gap_to(7 + AUDIT_SKIP_MAX);
    assert_true(check.lost);
    assert_int_equal(check.chain.at.lines, 7);
    assert_int_equal(check.faults, 3);
    assert_int_equal(buf_append(&check.report, "", 1).code, 0);
    assert_non_null(strstr((const char *)check.report.data, "lines 8 to 10000006 were removed\n"));
    audit_check_segment(&check, 2, key); /* each has its own */
    assert_int_equal(check.skipped, 0);
    assert_false(check.lost);
    audit_check_release(&check);
}

/* Who has captured a core has the key of the next line: it makes the lines that come, and none that came. */
static void test_T30_the_key_of_a_later_line_rewrites_no_earlier_one(void **state)
{
    static const unsigned lines[] = {10};
    struct audit_chain chain;
    char line[AUDIT_LINE_MAX];
    size_t at[64];
    uint8_t key[AUDIT_KEY_SIZE];
    (void)state;
    make_log(lines, ARRAY_LEN(lines));
    struct buf text = read_segment(1);
    (void)split(&text, at, ARRAY_LEN(at));
    assert_int_equal(key_of(NULL, replica, 1, key).code, 0);
    audit_chain_begin(&chain, 1, key);
    for (unsigned i = 0; i < 8; i++)
        audit_chain_skip(&chain);
    struct audit_parts parts;
    assert_int_equal(audit_line_read(span_of(text.data + at[3], at[4] - at[3] - 1), &parts).code,
                     0);
    memcpy(chain.at.mac, parts.mac, sizeof chain.at.mac);
    chain.at.lines = 4; /* the forger's fifth line, with the key of the ninth */
    const struct audit_entry forged = signed_entry(99);
    const size_t len = audit_line_write(&chain, &forged, 1700000000000, line);
    splice_in(1, &text, at[4], at[5], span_of(line, len));
    assert_true(report_says("segment 1: line 5 was changed\n"));
    buf_release(&text);
}

static void test_T30_a_tail_beyond_the_anchor_may_be_a_power_cut(void **state)
{
    size_t at[64];
    (void)state;
    struct audit *audit = start_log();
    write_lines(audit, 20);
    audit_close(audit); /* killed: no last line, and no anchor but perhaps the first */
    anchor = (struct audit_position){0};
    struct buf text = read_segment(1);
    (void)split(&text, at, ARRAY_LEN(at));
    assert_int_equal(verify(1), 0);
    assert_int_equal(check.notes, 1);
    write_segment(1, text.data, at[15] + 9);
    assert_int_equal(verify(1), 0);
    assert_int_equal(check.notes, 2);
    assert_true(report_says("incomplete"));
    /* The next start has seen the cut: from now on this is the end. */
    end_log(start_log());
    assert_int_equal(verify(1), 0);
    write_segment(1, text.data, at[14]);
    assert_true(verify(1) > 0);
    write_segment(1, text.data, text.len); /* and it can't come back unseen */
    assert_true(verify(1) > 0);
    buf_release(&text);
}

/* --- what can go wrong with the disk ------------------------------------------------------------------------------------------- */

static void await(bool (*is)(struct audit *audit), struct audit *audit, bool wanted)
{
    const uint64_t until = clock_mono_ms() + 20000;
    while (is(audit) != wanted) {
        assert_true(clock_mono_ms() < until);
        (void)usleep(5000);
    }
}

static void fill_disk(void)
{
    struct stat st;
    assert_int_equal(stat(segment_path(1), &st), 0);
    limit_file_size((rlim_t)st.st_size + 100); /* within a line */
}

static void test_C07_a_full_disk_refuses_and_recovers_without_a_restart(void **state)
{
    const struct audit_entry entry = signed_entry(5);
    (void)state;
    struct audit *audit = start_log();
    write_lines(audit, 10);
    fill_disk();
    assert_int_equal(audit_write(audit, &entry, 1).code, ERROR_AUDIT);
    assert_int_equal(audit_write(audit, &entry, 1).code, ERROR_AUDIT);
    assert_true(audit_blocks(audit));
    limit_file_size(RLIM_INFINITY);
    await(audit_blocks, audit, false); /* by itself: nobody asks a signer that is not ready */
    assert_int_equal(audit_write(audit, &entry, 1).code, 0);
    end_log(audit);
    assert_int_equal(verify(1), 0);
    assert_int_equal(check.lines, 1 + 10 + 1 + 1 + 1);
    assert_int_equal(count_lines(1, "\"event\":\"gap\",\"count\":2,\"verdict\":\"AUDIT\""), 1);
}

static void test_C07_a_full_disk_goes_on_and_counts_where_that_is_wanted(void **state)
{
    const struct audit_entry entry = signed_entry(5);
    (void)state;
    settings.on_failure = AUDIT_CONTINUE;
    struct audit *audit = start_log();
    write_lines(audit, 10);
    fill_disk();
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(audit_write(audit, &entry, 1).code, 0);
    assert_false(audit_blocks(audit));
    limit_file_size(RLIM_INFINITY);
    assert_int_equal(audit_write(audit, &entry, 1).code, 0);
    end_log(audit);
    assert_int_equal(verify(1), 0);
    assert_int_equal(count_lines(1, "\"event\":\"gap\",\"count\":7"), 1);
}

static void test_C07_a_disk_that_is_full_at_the_start_is_waited_for(void **state)
{
    const struct audit_entry entry = signed_entry(5);
    (void)state;
    limit_file_size(10);
    struct audit *audit = start_log();
    assert_true(audit_blocks(audit));
    assert_int_equal(audit_write(audit, &entry, 1).code, ERROR_AUDIT);
    limit_file_size(RLIM_INFINITY);
    await(audit_blocks, audit, false);
    end_log(audit);
    assert_int_equal(verify(1), 0);
    assert_int_equal(check.segments, 1);
}

static bool has_next_segment(struct audit *audit)
{
    (void)audit;
    return access(segment_path(2), F_OK) == 0;
}

/* After a failed sync nobody knows what is on the disk: another segment is begun, and nothing is answered before. */
static void test_C07_a_failed_sync_ends_the_segment(void **state)
{
    const struct audit_entry entry = signed_entry(5);
    (void)state;
    struct audit *audit = start_log();
    atomic_store(&sync_fails, true);
    write_lines(audit, 3);
    await(audit_blocks, audit, true);
    const cc_err err = audit_write(audit, &entry, 1);
    assert_true(err.code == ERROR_AUDIT || has_next_segment(audit));
    atomic_store(&sync_fails, false);
    await(has_next_segment, audit, true);
    await(audit_blocks, audit, false);
    assert_int_equal(audit_write(audit, &entry, 1).code, 0);
    end_log(audit);
    assert_int_equal(verify(1), 0);
    assert_true(check.segments >= 2);
}

/* What was written more than a second ago is there after a power cut, and what is there is intact. */
static void test_T30_a_power_cut_takes_the_last_second_at_most(void **state)
{
    (void)state;
    struct audit *audit = start_log();
    write_lines(audit, 25);
    const uint64_t written_ms = clock_mono_ms();
    const uint64_t until = written_ms + 20000;
    while (audit_durable(audit).lines < 26) {
        assert_true(clock_mono_ms() < until);
        (void)usleep(2000);
    }
    const int64_t size = atomic_load(&synced_size);
    const struct audit_position durable = audit_durable(audit);
    write_lines(audit, 1);
    audit_close(audit);
    assert_true(durable.lines >= 26);
    assert_int_equal(truncate(segment_path(1), size), 0); /* the disk forgets what was not synced */
    anchor = durable;
    assert_int_equal(verify(1), 0);
    assert_int_equal(check.lines, 26);
    _Static_assert(AUDIT_SYNC_MS < 1000, "and the time for the sync itself");
}

static void test_the_lag_is_the_age_of_what_is_not_on_the_disk(void **state)
{
    (void)state;
    struct audit *audit = open_log(); /* no thread makes anything durable */
    assert_int_equal(audit_lag_ns(NULL), 0);
    assert_int_equal(audit_lag_ns(audit), 0);
    write_lines(audit, 1);
    const uint64_t first = audit_lag_ns(audit);
    write_lines(audit, 1);
    assert_true(first > 0 && audit_lag_ns(audit) > first);
    audit_finish(audit);
    assert_int_equal(audit_lag_ns(audit), 0);
    audit_close(audit);
}

/* Only what is on the disk is anchored: else a power cut would look like an attack. */
static void test_T30_an_anchor_is_never_ahead_of_the_disk(void **state)
{
    (void)state;
    struct audit *audit = start_log();
    atomic_store(&sync_fails, true);
    settings.on_failure = AUDIT_CONTINUE;
    write_lines(audit, 5);
    await(audit_blocks, audit, true);
    end_log(audit);
    assert_true(anchor.lines <= 1);
}

static void test_the_anchor_follows_when_the_state_store_is_back(void **state)
{
    (void)state;
    atomic_store(&state_is_away, true);
    struct audit *audit = start_log();
    write_lines(audit, 5);
    end_log(audit);
    assert_int_equal(anchor.lines, 0);
    assert_int_equal(verify(1), 0);
    atomic_store(&state_is_away, false);
    audit = start_log();
    end_log(audit);
    assert_int_equal(anchor.segment, 2);
    assert_int_equal(anchor.lines, 2);
    assert_int_equal(verify(1), 0);
}

/* --- what is written ------------------------------------------------------------------------------------------------------------ */

/* How many of this verdict a segment tells of: by a line each, few enough of anybody's, or by a number. */
static uint64_t told(uint64_t segment, const char *verdict)
{
    struct buf text = read_segment(segment);
    uint64_t lines = 0, anybody = 0, held_back = 0;
    assert_int_equal(buf_append(&text, "", 1).code, 0);
    char *rest = (char *)text.data;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        const char *count = strstr(line, "\"count\":");
        if (!strstr(line, verdict))
            continue;
        if (!strstr(line, "\"held_back\"")) {
            lines++;
            anybody += strstr(line, "\"anonymous\"") != NULL;
            continue;
        }
        assert_non_null(count);
        held_back += strtoull(count + 8, NULL, 10);
    }
    buf_release(&text);
    assert_in_range(anybody, 1, 10 * AUDIT_ANYBODY_PER_SECOND);
    return lines + held_back;
}

static void test_T30_a_flood_of_strangers_is_a_number(void **state)
{
    struct audit_entry entry = {
        .event = "sign", .error = ERROR_UNAUTHENTICATED, .anybody = true, .principal = "anonymous"};
    (void)state;
    struct audit *audit = start_log();
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(audit_write(audit, &entry, 1).code, 0);
    struct audit_entry refused[50];
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        refused[i] = i % 2 ? signed_entry(i) : entry;
    assert_int_equal(audit_write(audit, refused, ARRAY_LEN(refused)).code, 0);
    end_log(audit);
    assert_int_equal(verify(1), 0);
    assert_int_equal(count_lines(1, "token:vc"), 25);
    assert_int_equal(told(1, "UNAUTHENTICATED"), 5025);
}

/* In open mode a stranger can ask for what was signed already, in another form, as often as he likes. */
static void test_T30_a_flood_of_refused_claims_is_a_number_of_its_own(void **state)
{
    struct audit_entry entry = {
        .event = "sign", .error = ERROR_UNAUTHENTICATED, .anybody = true, .principal = "anonymous"};
    struct audit_entry known = signed_entry(1);
    (void)state;
    struct audit *audit = start_log();
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(audit_write(audit, &entry, 1).code, 0);
    /* Other failures have not used up its lines. */
    const uint64_t before = count_lines(1, "SLASHABLE");
    entry.error = ERROR_SLASHABLE;
    assert_int_equal(audit_write(audit, &entry, 1).code, 0);
    assert_int_equal(count_lines(1, "SLASHABLE"), before + 1);
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(audit_write(audit, &entry, 1).code, 0);
    /* Of a caller who is known each is worth its line. */
    known.error = ERROR_SLASHABLE;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(audit_write(audit, &known, 1).code, 0);
    end_log(audit);
    assert_int_equal(verify(1), 0);
    assert_int_equal(told(1, "UNAUTHENTICATED"), 5000);
    assert_int_equal(told(1, "SLASHABLE"), 5101);
    assert_true(count_lines(1, "SLASHABLE") >= 101);
}

static void test_levels_choose(void **state)
{
    (void)state;
    struct audit *audit = open_log();
    assert_true(audit_wants(audit, 0));
    assert_true(audit_wants(audit, ERROR_DENIED));
    audit_close(audit);
    settings.level = AUDIT_REFUSALS;
    audit = open_log();
    assert_false(audit_wants(audit, 0));
    assert_true(audit_wants(audit, ERROR_DENIED));
    audit_close(audit);
    settings.level = AUDIT_ADMIN;
    audit = open_log();
    assert_false(audit_wants(audit, 0));
    assert_false(audit_wants(audit, ERROR_DENIED));
    audit_close(audit);
    assert_false(audit_wants(NULL, ERROR_DENIED));
    assert_int_equal(audit_write(NULL, NULL, 0).code, 0);
}

static struct jval member(struct jval object, const char *name)
{
    struct jval value;
    assert_true(jval_member(object, name, &value));
    return value;
}

static void assert_member(struct jval object, const char *name, const char *text)
{
    struct span found;
    assert_int_equal(jval_text(member(object, name), &found).code, 0);
    if (!span_is(found, text))
        print_error("%s is %.*s\n", name, (int)found.len, (const char *)found.data);
    assert_true(span_is(found, text));
}

/* Names come from people: none of them ends a line, a string, or goes beyond its room. */
static void test_names_are_escaped(void **state)
{
    struct audit_chain chain;
    char line[AUDIT_LINE_MAX];
    static const uint8_t key[AUDIT_KEY_SIZE] = {9};
    struct audit_entry entry = {.event = "manage",
                                .operation = "token_create",
                                .has_address = true,
                                .address = {[10] = 0xff, [11] = 0xff, 192, 0, 2, 33},
                                .subject = "a\"b\\c\nd\x01\x7f\xc3\xa9"};
    (void)state;
    memset(entry.principal, '"', sizeof entry.principal); /* not even ended */
    memset(entry.reason.policy, '\n', sizeof entry.reason.policy);
    audit_chain_begin(&chain, 3, key);
    const size_t len = audit_line_write(&chain, &entry, 1764169200123, line);
    assert_ptr_equal(memchr(line, '\n', len), line + len - 1);
    struct audit_parts parts;
    assert_int_equal(audit_line_read(span_of(line, len - 1), &parts).code, 0);
    assert_int_equal(parts.segment, 3);
    assert_int_equal(parts.line, 1);
    assert_true(span_is(parts.event, "manage"));
    assert_true(span_is(parts.time, "2025-11-26T15:00:00.123Z"));
    struct jdoc doc = jdoc_init(64);
    assert_int_equal(jdoc_parse(&doc, (uint8_t *)line, len - 1).code, 0);
    assert_member(jdoc_root(&doc), "subject", "a\"b\\c\nd\x01\x7f\xc3\x83\xc2\xa9");
    assert_member(jdoc_root(&doc), "address", "192.0.2.33");
    assert_member(jdoc_root(&doc), "verdict", "OK");
    jdoc_release(&doc);
}

static void test_dates_are_those_of_the_calendar(void **state)
{
    static const uint8_t key[AUDIT_KEY_SIZE] = {9};
    const struct audit_entry entry = {.event = "x"};
    struct audit_chain chain;
    char line[AUDIT_LINE_MAX];
    (void)state;
    for (uint64_t days = 0; days < 60000; days += 13) {
        const time_t seconds = (time_t)(days * 86400 + days % 86400);
        struct tm tm;
        char text[AUDIT_TIME_LEN + 1];
        assert_non_null(gmtime_r(&seconds, &tm));
        assert_true(strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.007Z", &tm) == AUDIT_TIME_LEN);
        audit_chain_begin(&chain, 1, key);
        (void)audit_line_write(&chain, &entry, (uint64_t)seconds * 1000 + 7, line);
        assert_memory_equal(line + 9, text, AUDIT_TIME_LEN);
    }
}

static void test_an_anchor_is_read_as_it_was_written_and_no_other_way(void **state)
{
    const struct audit_position position = {12, 345, {0xab, 1}};
    struct audit_position again;
    struct buf text = buf_init(AUDIT_ANCHOR_MAX);
    (void)state;
    assert_int_equal(audit_anchor_write(&position, &text).code, 0);
    assert_int_equal(audit_anchor_read(buf_span(&text), &again).code, 0);
    assert_memory_equal(&again, &position, sizeof position);
    for (size_t len = 0; len < text.len; len++)
        assert_int_not_equal(audit_anchor_read(span_of(text.data, len), &again).code, 0);
    assert_int_not_equal(
        audit_anchor_read(
            span_str("{\"segment\": 1,\"lines\":1,\"mac\":\"00000000000000000000000000000000\"}"),
            &again)
            .code,
        0);
    buf_release(&text);
}

/* Standard output has the same lines. */
static void test_standard_output_gets_whole_lines(void **state)
{
    int pipe_ends[2];
    char text[8192];
    (void)state;
    (void)fflush(stdout);
    assert_int_equal(pipe(pipe_ends), 0);
    const int saved = dup(STDOUT_FILENO);
    assert_int_equal(dup2(pipe_ends[1], STDOUT_FILENO), STDOUT_FILENO);
    settings.sink = AUDIT_STDOUT;
    struct audit *audit = start_log();
    const struct audit_entry entry = signed_entry(5);
    const cc_err written = audit_write(audit, &entry, 1);
    end_log(audit);
    assert_int_equal(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
    (void)close(saved);
    (void)close(pipe_ends[1]);
    assert_int_equal(written.code, 0);
    const ssize_t n = read(pipe_ends[0], text, sizeof text - 1);
    (void)close(pipe_ends[0]);
    assert_true(n > 0);
    settings.sink = AUDIT_FILE;
    write_segment(1, text, (size_t)n);
    assert_int_equal(verify(1), 0);
    assert_int_equal(check.lines, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, up, down)
        T(test_T30_a_log_as_it_was_written_is_intact),
        T(test_how_far_a_verification_is_can_be_told),
        T(test_T30_a_segment_that_is_full_is_followed_by_the_next),
        T(test_T30_whatever_is_done_to_a_log_shows),
        T(test_T30_what_was_done_is_said_with_its_place),
        T(test_T30_gaps_hold_a_verification_up_only_so_long),
        T(test_T30_the_key_of_a_later_line_rewrites_no_earlier_one),
        T(test_T30_a_tail_beyond_the_anchor_may_be_a_power_cut),
        T(test_C07_a_full_disk_refuses_and_recovers_without_a_restart),
        T(test_C07_a_full_disk_goes_on_and_counts_where_that_is_wanted),
        T(test_C07_a_disk_that_is_full_at_the_start_is_waited_for),
        T(test_C07_a_failed_sync_ends_the_segment),
        T(test_T30_a_power_cut_takes_the_last_second_at_most),
        T(test_the_lag_is_the_age_of_what_is_not_on_the_disk),
        T(test_T30_an_anchor_is_never_ahead_of_the_disk),
        T(test_the_anchor_follows_when_the_state_store_is_back),
        T(test_T30_a_flood_of_strangers_is_a_number),
        T(test_T30_a_flood_of_refused_claims_is_a_number_of_its_own),
        T(test_levels_choose),
        T(test_names_are_escaped),
        T(test_dates_are_those_of_the_calendar),
        T(test_an_anchor_is_read_as_it_was_written_and_no_other_way),
        T(test_standard_output_gets_whole_lines),
#undef T
    };
    (void)signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
