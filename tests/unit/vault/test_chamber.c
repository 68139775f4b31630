#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/ed25519.h"
#include "support/test.h"
#include "vault/chamber.h"
#include "vault/chamber_key.h"

static struct arena *arena;
static char directory[32];
static char key_path[64];
static char other_path[64];

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(directory, sizeof directory, "/tmp/cc-test-ch-XXXXXX");
    if (!mkdtemp(directory))
        return -1;
    (void)snprintf(key_path, sizeof key_path, "%s/chamber.key", directory);
    (void)snprintf(other_path, sizeof other_path, "%s/other.key", directory);
    return arena_new(1, 32, &arena).code || chamber_key_create(key_path).code ||
           chamber_key_create(other_path).code;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(arena);
    (void)unlink(key_path);
    (void)unlink(other_path);
    return rmdir(directory);
}

static struct chamber *chamber_with_key(const char *path, enum room_mode mode)
{
    struct chamber *chamber = NULL;
    int fd = -1;
    assert_int_equal(chamber_new(arena, &chamber).code, 0);
    assert_int_equal(chamber_key_open(path, &fd).code, 0);
    assert_int_equal(chamber_take_key(chamber, fd).code, 0);
    chamber_set_mode(chamber, mode);
    return chamber;
}

struct made {
    struct b_chamber stored;
    struct b_hello hello;
};

static struct made make(void)
{
    struct made made = {.stored = {.id = 0}};
    struct chamber *chamber = chamber_with_key(key_path, ROOM_MODE_INIT);
    assert_int_equal(chamber_create(chamber, &made.stored).code, 0);
    assert_int_equal(chamber_create(chamber, &made.stored).code, ERROR_EXISTS);
    memset(made.hello.history_id, 3, sizeof made.hello.history_id);
    assert_int_equal(chamber_prove_history(chamber, made.hello.history_id, made.hello.proof).code,
                     0);
    chamber_free(chamber);
    return made;
}

static void test_a_chamber_opens_again(void **state)
{
    (void)state;
    const struct made made = make();
    const uint8_t digest[32] = {1};
    uint8_t signature[ED25519_SIGNATURE_SIZE];
    uint8_t message[sizeof "containment-chamber/state-head/v1" + 32] =
        "containment-chamber/state-head/v1";
    struct chamber *chamber = chamber_with_key(key_path, ROOM_MODE_SERVE);
    assert_int_equal(chamber_sign_head(chamber, digest, signature).code, ERROR_SEALED);
    assert_int_equal(chamber_check_history(chamber, &made.hello).code, ERROR_SEALED);
    assert_int_equal(chamber_open(chamber, &made.stored).code, 0);
    assert_int_equal(chamber_open(chamber, &made.stored).code, 0); /* a new life of the core */
    assert_int_equal(chamber_sign_head(chamber, digest, signature).code, 0);
    memcpy(message + sizeof message - 32, digest, 32);
    assert_int_equal(
        ed25519_verify(made.stored.identity_public, span_of(message, sizeof message), signature)
            .code,
        0);
    assert_int_equal(chamber_check_history(chamber, &made.hello).code, 0);
    chamber_free(chamber);
}

/* Every byte of what is stored is bound: one flipped bit anywhere, and it does not open. */
static void test_T02_a_changed_chamber_does_not_open(void **state)
{
    (void)state;
    struct made made = make();
    uint8_t *bytes = made.stored.chamber_id;
    const size_t len = sizeof made.stored - offsetof(struct b_chamber, chamber_id);
    struct chamber *chamber = chamber_with_key(key_path, ROOM_MODE_SERVE);
    for (size_t i = 0; i < 32 + 32 + 2 * SEALED_KEY_SIZE; i++) {
        assert_true(i < len);
        bytes[i] ^= 0x20;
        assert_int_equal(chamber_open(chamber, &made.stored).code, ERROR_TAMPERED);
        bytes[i] ^= 0x20;
    }
    assert_int_equal(chamber_open(chamber, &made.stored).code, 0);
    chamber_free(chamber);
    chamber = chamber_with_key(other_path, ROOM_MODE_SERVE);
    assert_int_equal(chamber_open(chamber, &made.stored).code, ERROR_TAMPERED);
    chamber_free(chamber);
}

static void test_a_life_has_one_chamber(void **state)
{
    (void)state;
    const struct made first = make();
    const struct made second = make();
    struct chamber *chamber = chamber_with_key(key_path, ROOM_MODE_SERVE);
    assert_int_equal(chamber_open(chamber, &first.stored).code, 0);
    assert_int_equal(chamber_open(chamber, &second.stored).code, ERROR_IDENTITY);
    assert_int_equal(chamber_check_history(chamber, &second.hello).code, ERROR_IDENTITY);
    assert_int_equal(chamber_check_history(chamber, &first.hello).code, 0);
    chamber_free(chamber);
}

/* P3, C9: a core that could have an empty history proved would have a way around the real one. */
static void test_P03_only_init_proves_a_history(void **state)
{
    (void)state;
    const struct made made = make();
    struct b_chamber stored = made.stored;
    struct b_hello forged = made.hello;
    uint8_t proof[MAC_SIZE] = {0};
    struct chamber *chamber = chamber_with_key(key_path, ROOM_MODE_SERVE);
    assert_int_equal(chamber_create(chamber, &stored).code, ERROR_DENIED);
    assert_int_equal(chamber_open(chamber, &made.stored).code, 0);
    assert_int_equal(chamber_prove_history(chamber, forged.history_id, proof).code, ERROR_DENIED);
    forged.history_id[0] ^= 1;
    assert_int_equal(chamber_check_history(chamber, &forged).code, ERROR_IDENTITY);
    forged = made.hello;
    forged.proof[31] ^= 1;
    assert_int_equal(chamber_check_history(chamber, &forged).code, ERROR_IDENTITY);
    chamber_free(chamber);
}

/* Two histories may carry a proof (an old copy restored beside a new one): a life stays with the first. */
static void test_a_life_has_one_history(void **state)
{
    (void)state;
    struct made made = {.stored = {.id = 0}};
    struct b_hello other = {.id = 0};
    struct chamber *chamber = chamber_with_key(key_path, ROOM_MODE_INIT);
    assert_int_equal(chamber_create(chamber, &made.stored).code, 0);
    other.history_id[0] = 1;
    assert_int_equal(chamber_prove_history(chamber, made.hello.history_id, made.hello.proof).code,
                     0);
    assert_int_equal(chamber_prove_history(chamber, other.history_id, other.proof).code, 0);
    chamber_free(chamber);
    chamber = chamber_with_key(key_path, ROOM_MODE_SERVE);
    assert_int_equal(chamber_open(chamber, &made.stored).code, 0);
    assert_int_equal(chamber_check_history(chamber, &made.hello).code, 0);
    assert_int_equal(chamber_check_history(chamber, &other).code, ERROR_IDENTITY);
    assert_int_equal(chamber_check_history(chamber, &made.hello).code, 0);
    chamber_free(chamber);
}

/* The key of the mirror's MACs: each life's is the same, another chamber's is another, and nobody has it before the
 * history was shown.
 */
static void test_the_mirror_key_is_the_chambers(void **state)
{
    (void)state;
    const struct made made = make();
    const struct made other = make();
    uint8_t first[MAC_SIZE] = {0};
    uint8_t again[MAC_SIZE] = {0};
    const uint8_t none[MAC_SIZE] = {0};
    struct chamber *chamber = chamber_with_key(key_path, ROOM_MODE_SERVE);
    assert_int_equal(chamber_mirror_key(chamber, first).code, ERROR_SEALED);
    assert_int_equal(chamber_open(chamber, &made.stored).code, 0);
    assert_int_equal(chamber_mirror_key(chamber, first).code, ERROR_IDENTITY);
    assert_memory_equal(first, none, sizeof first);
    assert_int_equal(chamber_check_history(chamber, &made.hello).code, 0);
    assert_int_equal(chamber_mirror_key(chamber, first).code, 0);
    assert_memory_not_equal(first, none, sizeof first);
    chamber_free(chamber);

    chamber = chamber_with_key(key_path, ROOM_MODE_SERVE);
    assert_int_equal(chamber_open(chamber, &made.stored).code, 0);
    assert_int_equal(chamber_check_history(chamber, &made.hello).code, 0);
    assert_int_equal(chamber_mirror_key(chamber, again).code, 0);
    assert_memory_equal(first, again, sizeof first);
    chamber_seal(chamber);
    memset(again, 0, sizeof again);
    assert_int_equal(chamber_mirror_key(chamber, again).code, ERROR_SEALED);
    assert_memory_equal(again, none, sizeof again);
    chamber_free(chamber);

    chamber = chamber_with_key(key_path, ROOM_MODE_SERVE);
    assert_int_equal(chamber_open(chamber, &other.stored).code, 0);
    assert_int_equal(chamber_check_history(chamber, &other.hello).code, 0);
    assert_int_equal(chamber_mirror_key(chamber, again).code, 0);
    assert_memory_not_equal(first, again, sizeof first);
    chamber_free(chamber);
}

/* A captured core gets no key of a segment that was begun before it was captured, and none of another replica's. */
static void test_T30_no_key_of_the_audit_log_is_given_twice(void **state)
{
    (void)state;
    const struct made made = make();
    static const uint8_t replica[B_CONTEXT_SIZE] = {1};
    static const uint8_t other[B_CONTEXT_SIZE] = {2};
    const uint8_t none[MAC_SIZE] = {0};
    uint8_t fifth[MAC_SIZE] = {0};
    uint8_t key[MAC_SIZE] = {0};
    struct chamber *chamber = chamber_with_key(key_path, ROOM_MODE_SERVE);
    assert_int_equal(chamber_audit_key(chamber, 5, replica, key).code, ERROR_SEALED);
    assert_int_equal(chamber_open(chamber, &made.stored).code, 0);
    assert_int_equal(chamber_audit_key(chamber, 5, replica, key).code, ERROR_IDENTITY);
    assert_int_equal(chamber_check_history(chamber, &made.hello).code, 0);
    assert_int_equal(chamber_audit_key(chamber, 5, replica, fifth).code, 0);
    for (uint64_t index = 0; index <= 5; index++)
        assert_int_equal(chamber_audit_key(chamber, index, replica, key).code, ERROR_EXISTS);
    assert_int_equal(chamber_audit_key(chamber, 6, other, key).code, ERROR_IDENTITY);
    assert_memory_equal(key, none, sizeof key);
    assert_int_equal(chamber_audit_key(chamber, 7, replica, key).code, 0);
    assert_memory_not_equal(key, fifth, sizeof key);
    assert_int_equal(chamber_audit_key(chamber, 6, replica, key).code, ERROR_EXISTS);
    chamber_seal(chamber);
    assert_int_equal(chamber_audit_key(chamber, 8, replica, key).code, ERROR_SEALED);
    chamber_free(chamber);
    /* An order verifies: it gets what was given, as often as it likes. */
    chamber = chamber_with_key(key_path, ROOM_MODE_ORDER);
    assert_int_equal(chamber_open(chamber, &made.stored).code, 0);
    assert_int_equal(chamber_check_history(chamber, &made.hello).code, 0);
    assert_int_equal(chamber_audit_key(chamber, 9, replica, key).code, 0);
    assert_int_equal(chamber_audit_key(chamber, 5, other, key).code, 0);
    assert_memory_not_equal(key, fifth, sizeof key);
    assert_int_equal(chamber_audit_key(chamber, 5, replica, key).code, 0);
    assert_memory_equal(key, fifth, sizeof key);
    chamber_free(chamber);
}

/* A hand-over's signature is none of a state head, and is only given for a history that was shown. */
static void test_T09_a_hand_over_is_signed_for_a_known_history(void **state)
{
    (void)state;
    const struct made made = make();
    const uint8_t digest[32] = {1};
    uint8_t signature[ED25519_SIGNATURE_SIZE];
    uint8_t head[ED25519_SIGNATURE_SIZE];
    uint8_t message[sizeof "containment-chamber/hand-over/v1" + 32] =
        "containment-chamber/hand-over/v1";
    struct chamber *chamber = chamber_with_key(key_path, ROOM_MODE_SERVE);
    assert_int_equal(chamber_sign_hand_over(chamber, digest, signature).code, ERROR_SEALED);
    assert_int_equal(chamber_open(chamber, &made.stored).code, 0);
    assert_int_equal(chamber_sign_hand_over(chamber, digest, signature).code, ERROR_IDENTITY);
    assert_int_equal(chamber_check_history(chamber, &made.hello).code, 0);
    assert_int_equal(chamber_sign_hand_over(chamber, digest, signature).code, 0);
    assert_int_equal(chamber_sign_head(chamber, digest, head).code, 0);
    memcpy(message + sizeof message - 32, digest, 32);
    const struct span signed_ = span_of(message, sizeof message);
    assert_int_equal(ed25519_verify(made.stored.identity_public, signed_, signature).code, 0);
    assert_int_not_equal(ed25519_verify(made.stored.identity_public, signed_, head).code, 0);
    chamber_seal(chamber);
    assert_int_equal(chamber_sign_hand_over(chamber, digest, signature).code, ERROR_SEALED);
    chamber_free(chamber);
}

static void test_T25_sealed_stays_sealed(void **state)
{
    (void)state;
    const struct made made = make();
    struct b_chamber stored = made.stored;
    uint8_t signature[ED25519_SIGNATURE_SIZE];
    int fd = -1;
    struct chamber *chamber = chamber_with_key(key_path, ROOM_MODE_INIT);
    assert_int_equal(chamber_open(chamber, &made.stored).code, 0);
    chamber_seal(chamber);
    assert_int_equal(chamber_sign_head(chamber, stored.chamber_id, signature).code, ERROR_SEALED);
    assert_int_equal(chamber_check_history(chamber, &made.hello).code, ERROR_SEALED);
    assert_int_equal(chamber_key_open(key_path, &fd).code, 0);
    assert_int_equal(chamber_take_key(chamber, fd).code, 0);
    assert_int_equal(chamber_open(chamber, &made.stored).code, ERROR_SEALED);
    assert_int_equal(chamber_create(chamber, &stored).code, ERROR_SEALED);
    chamber_free(chamber);
}

static void test_without_its_key_it_stays_closed(void **state)
{
    (void)state;
    const struct made made = make();
    struct chamber *chamber = NULL;
    assert_int_equal(chamber_new(arena, &chamber).code, 0);
    assert_int_equal(chamber_open(chamber, &made.stored).code, ERROR_SEALED);
    chamber_free(chamber);
}

static void test_key_file_is_made_once_and_private(void **state)
{
    (void)state;
    struct stat st;
    int fd = -1;
    assert_int_equal(chamber_key_create(key_path).code, ERROR_EXISTS);
    assert_int_equal(stat(key_path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    for (mode_t mode = 1; mode < 0100; mode <<= 1) {
        assert_int_equal(chmod(key_path, 0600 | mode), 0);
        assert_int_equal(chamber_key_open(key_path, &fd).code, ERROR_PERMISSIONS);
    }
    assert_int_equal(chmod(key_path, 0400), 0);
    assert_int_equal(chamber_key_open(key_path, &fd).code, 0);
    (void)close(fd);
    assert_int_equal(chamber_key_open(directory, &fd).code, ERROR_PERMISSIONS);
    assert_int_equal(chamber_key_open("/nonexistent/chamber.key", &fd).code, ERROR_IO);
    char link_path[80];
    (void)snprintf(link_path, sizeof link_path, "%s/link", directory);
    assert_int_equal(symlink(key_path, link_path), 0);
    assert_int_equal(chamber_key_open(link_path, &fd).code, ERROR_IO);
    (void)unlink(link_path);
}

static cc_err read_text(const char *text, size_t len, struct secret *slot)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(write(fds[1], text, len), len);
    (void)close(fds[1]);
    return chamber_key_read(fds[0], slot);
}

static void test_key_file_format(void **state)
{
    (void)state;
    static const char good[] = "containment-chamber-key-v1\n"
                               "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF\n";
    const size_t len = sizeof good - 1;
    char text[sizeof good + 8];
    struct secret *slot = NULL;
    assert_int_equal(arena_take(arena, &slot).code, 0);
    assert_int_equal(read_text(good, len, slot).code, 0);
    assert_int_equal(secret_borrow(slot)[1], 0x11);
    assert_int_equal(secret_borrow(slot)[31], 0xff);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(read_text(good, cut, slot).code, ERROR_TAMPERED);
    memcpy(text, good, sizeof good);
    assert_int_equal(read_text(text, len + 1, slot).code, ERROR_TAMPERED);
    for (size_t i = 0; i < len; i++) {
        text[i] = (char)(text[i] ^ 0x08);
        if (i < 27 || i == len - 1 || (text[i] | 0x20) > 'f')
            assert_int_equal(read_text(text, len, slot).code, ERROR_TAMPERED);
        text[i] = good[i];
    }
    arena_release(arena, slot);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_chamber_opens_again),
        CASE(test_T02_a_changed_chamber_does_not_open),
        CASE(test_a_life_has_one_chamber),
        CASE(test_P03_only_init_proves_a_history),
        CASE(test_a_life_has_one_history),
        CASE(test_the_mirror_key_is_the_chambers),
        CASE(test_T30_no_key_of_the_audit_log_is_given_twice),
        CASE(test_T09_a_hand_over_is_signed_for_a_known_history),
        CASE(test_T25_sealed_stays_sealed),
        CASE(test_without_its_key_it_stays_closed),
        CASE(test_key_file_is_made_once_and_private),
        CASE(test_key_file_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
