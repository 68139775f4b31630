/* What goes to people: the real age tool opens it, by the key that the proposal names and by no other. The identities are published with
 * this test.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "codec/hex.h"
#include "crypto/age.h"
#include "support/ceremony_kit.h"
#include "support/folder.h"
#include "support/test.h"

static const char *const recipients[] = {
    "age1854mg9uhmyt0cfxd39emc2z3cvr4k2yu3av7ms36zfejs26lag7q4mj03c",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOtAR7oRXD39fYNGAqa3g++CwrWjOP52a8c233xzqf3F"};
static const char *const identities[] = {
    "AGE-SECRET-KEY-1LS4W6S4JU3L4FA7DNL3QK8AYKKXDJSYPE0NUMVWSH8KYFFUV9GHQL44WA5\n",
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    "QyNTUxOQAAACDrQEe6EVw9/X2DRgKmt4PvgsK1ozj+dmvHNt98c6n9xQAAAJBoOSIQaDki\n"
    "EAAAAAtzc2gtZWQyNTUxOQAAACDrQEe6EVw9/X2DRgKmt4PvgsK1ozj+dmvHNt98c6n9xQ\n"
    "AAAEAsUTIZR62JP+rNJeNMY5ZEGu77HP3FAb3UX7S8mlwTOetAR7oRXD39fYNGAqa3g++C\n"
    "wrWjOP52a8c233xzqf3FAAAADXRlc3QgaWRlbnRpdHk=\n"
    "-----END OPENSSH PRIVATE KEY-----\n"};

static struct folder folder;
static struct rite_chamber chamber;
static struct rite_vault vault;
static struct seal_set set;

/* The plain text in `ret_plain`; the tool's exit status. */
static int decrypt(size_t identity, const struct buf *file, char ret_plain[static 512])
{
    int ends[2];
    int status;
    folder_write(&folder, "identity", identities[identity], strlen(identities[identity]), 0600);
    folder_write(&folder, "file", file->data, file->len, 0600);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (dup2(ends[1], 1) < 0 || !freopen("/dev/null", "w", stderr))
            _exit(126);
        (void)execlp("age", "age", "-d", "-i", folder_at(&folder, "identity"),
                     folder_at(&folder, "file"), (char *)NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    size_t len = 0;
    for (ssize_t n; (n = read(ends[0], ret_plain + len, 511 - len)) > 0;)
        len += (size_t)n;
    ret_plain[len] = '\0';
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static struct buf text(enum b_set_part_kind kind, uint32_t index)
{
    struct buf out = buf_init(SEAL_TEXT_MAX);
    assert_int_equal(sets_text(vault.sets, kind, index, &out).code, 0);
    assert_true(out.len <= SEAL_TEXT_MAX);
    return out;
}

static struct seal_recipient recipient(size_t n)
{
    struct age_recipient parsed;
    struct seal_recipient r;
    const struct span line = span_of(recipients[n], strlen(recipients[n]));
    assert_int_equal(age_recipient_parse(line, &parsed).code, 0);
    r.kind = parsed.kind;
    memcpy(r.key, parsed.key, sizeof r.key);
    return r;
}

static void begin(void)
{
    static const struct rite_plan plan = {.mode = SEAL_QUORUM,
                                          .kms_count = 1,
                                          .kms_threshold = 1,
                                          .operator_count = 2,
                                          .operator_threshold = 2,
                                          .break_glass = true};
    enum b_set_which which;
    rite_make(&chamber, false);
    rite_start(&vault, &chamber);
    struct seal_proposal proposal = rite_proposal(&chamber, NULL, &plan);
    for (size_t i = 0; i < 2; i++) {
        proposal.operators[i].recipient = recipient(i);
        proposal.break_glass[i] = recipient(1 - i);
    }
    assert_int_equal(sets_make(vault.sets, &proposal, &which, &set).code, 0);
}

static void test_T14_a_token_is_for_its_operator(void **state)
{
    (void)state;
    char plain[512];
    char hex[65];
    if (system("age --version >/dev/null 2>&1") != 0)
        skip();
    begin();
    for (uint32_t i = 0; i < 2; i++) {
        struct buf file = text(B_PART_REGISTRATION, i);
        assert_int_equal(decrypt(i, &file, plain), 0);
        hex_encode(vault.sets->secrets->making.tokens[i].bytes, 32, hex);
        assert_int_equal(strlen(plain), 65);
        assert_memory_equal(plain, hex, 64);
        assert_int_equal(plain[64], '\n');
        assert_int_not_equal(decrypt(1 - i, &file, plain), 0);
        buf_release(&file);
    }
    rite_stop(&vault);
}

static void test_P25_a_break_glass_share_says_what_it_is(void **state)
{
    (void)state;
    char plain[512];
    char expected[512];
    char id[65] = "";
    char share[67] = "";
    if (system("age --version >/dev/null 2>&1") != 0)
        skip();
    begin();
    for (uint32_t i = 0; i < 2; i++) {
        struct buf file = text(B_PART_BREAK_GLASS, i);
        assert_int_equal(decrypt(1 - i, &file, plain), 0);
        hex_encode(chamber.stored.chamber_id, 32, id);
        hex_encode(&vault.sets->secrets->making.break_glass[i], SEAL_SHARE_SIZE, share);
        (void)snprintf(expected, sizeof expected, "containment-chamber-break-glass-v1:%s:1:2:%s\n",
                       id, share);
        assert_string_equal(plain, expected);
        buf_release(&file);
    }
    rite_stop(&vault);
}

static int make_folder(void **state)
{
    (void)state;
    folder_make(&folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    folder_remove(&folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_T14_a_token_is_for_its_operator),
        cmocka_unit_test(test_P25_a_break_glass_share_says_what_it_is),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
