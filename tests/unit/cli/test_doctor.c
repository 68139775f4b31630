#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "cli/doctor.h"
#include "support/folder.h"
#include "support/test.h"

static struct config config;
static struct doctor_host host;
static struct doctor doctor;
static struct folder folder;

static int set_up(void **state)
{
    (void)state;
    folder_make(&folder);
    config_defaults(&config);
    (void)snprintf(config.data_dir, sizeof config.data_dir, "%s", folder.path);
    host = doctor_this_host;
    host.root = folder.path;
    doctor = (struct doctor){.host = &host, .config = &config, .config_is_valid = true};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    folder_remove(&folder);
    return 0;
}

static struct doctor_finding find(const char *name)
{
    struct doctor_finding finding = {0};
    for (size_t i = 0; i < doctor_row_count; i++) {
        if (strcmp(doctor_rows[i].name, name) != 0)
            continue;
        doctor_look(&doctor, &doctor_rows[i], &finding);
        return finding;
    }
    fail_msg("no check %s", name);
    return finding;
}

static void finds(const char *name, enum doctor_status status, const char *words)
{
    struct doctor_finding finding = find(name);
    if (finding.status != status || !strstr(finding.text, words))
        fail_msg("%s: %s: %s", name, doctor_status_name(finding.status), finding.text);
}

static void makes_folders(const char *path)
{
    char part[256];
    for (size_t len = 1; len <= strlen(path); len++) {
        (void)snprintf(part, sizeof part, "%.*s", (int)len, path);
        if (path[len] == '/' || path[len] == 0)
            (void)mkdir(folder_at(&folder, part), 0755);
    }
}

static void kernel_says(const char *directory, const char *name, const char *text)
{
    char path[256];
    makes_folders(directory);
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    folder_write_text(&folder, path, text);
}

/* --- the table ------------------------------------------------------------------------------------------------------- */

static void each_check_teaches(void **state)
{
    (void)state;
    for (size_t i = 0; i < doctor_row_count; i++) {
        const struct doctor_row *row = &doctor_rows[i];
        assert_true(strlen(row->name) <= 18); /* the column of the table */
        assert_true(row->worst == DOCTOR_WARN || row->worst == DOCTOR_FAIL);
        assert_int_equal(row->why[strlen(row->why) - 1], '.');
        assert_int_equal(row->fix[strlen(row->fix) - 1], '.');
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(row->name, doctor_rows[j].name);
    }
}

static void nothing_is_said_of_a_configuration_that_is_not_valid(void **state)
{
    (void)state;
    doctor.config_is_valid = false;
    finds("configuration", DOCTOR_FAIL, "not valid");
    for (size_t i = 0; i < doctor_row_count; i++)
        if (doctor_rows[i].of_config)
            finds(doctor_rows[i].name, DOCTOR_SKIP, "the configuration is not valid");
}

/* --- what the kernel says ------------------------------------------------------------------------------------------- */

static void debuggers_by_yama(void **state)
{
    (void)state;
    finds("debuggers", DOCTOR_WARN, "no Yama");
    kernel_says("proc/sys/kernel/yama", "ptrace_scope", "0\n");
    finds("debuggers", DOCTOR_WARN, "is 0");
    kernel_says("proc/sys/kernel/yama", "ptrace_scope", "2\n");
    finds("debuggers", DOCTOR_OK, "is 2");
}

#define HEAD "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

static void swap_is_off_or_encrypted(void **state)
{
    struct stat st;
    char device[64], line[512];
    (void)state;
    finds("swap", DOCTOR_WARN, "can't be read");
    kernel_says("proc", "swaps", HEAD);
    finds("swap", DOCTOR_OK, "off");
    kernel_says("proc", "swaps", HEAD "/dev/nothing-of-this-name partition 1024 0 -2\n");
    finds("swap", DOCTOR_WARN, "/dev/nothing-of-this-name is on");

    folder_write_text(&folder, "swapfile", "x");
    assert_int_equal(stat(folder_at(&folder, "swapfile"), &st), 0);
    (void)snprintf(line, sizeof line, HEAD "%s file 1024 0 -2\n", folder_at(&folder, "swapfile"));
    kernel_says("proc", "swaps", line);
    finds("swap", DOCTOR_WARN, "swapfile is on");
    (void)snprintf(device, sizeof device, "sys/dev/block/%u:%u/dm", major(st.st_dev),
                   minor(st.st_dev));
    kernel_says(device, "uuid", "LVM-1234");
    finds("swap", DOCTOR_WARN, "swapfile is on");
    kernel_says(device, "uuid", "CRYPT-PLAIN-cryptswap1");
    finds("swap", DOCTOR_OK, "encrypted");
}

static void compressed_memory_is_no_disk(void **state)
{
    (void)state;
    kernel_says("proc", "swaps", HEAD "/dev/zram0 partition 1024 0 100\n");
    kernel_says("sys/block/zram0", "backing_dev", "none\n");
    finds("swap", DOCTOR_OK, "in memory");
    kernel_says("sys/block/zram0", "backing_dev", "/dev/sdb1\n");
    finds("swap", DOCTOR_WARN, "/dev/zram0");
    kernel_says("sys/block/zram0", "backing_dev", "none\n");
    kernel_says("proc", "swaps",
                HEAD "/dev/zram0 partition 1 0 100\n/dev/no-such-disk partition 1 0 -2\n");
    finds("swap", DOCTOR_WARN, "/dev/no-such-disk");
}

static void a_crash_kernel_is_loaded(void **state)
{
    (void)state;
    finds("crash kernel", DOCTOR_OK, "none");
    kernel_says("sys/kernel", "kexec_crash_loaded", "1\n");
    finds("crash kernel", DOCTOR_WARN, "loaded");
    kernel_says("sys/kernel", "kexec_crash_loaded", "0\n");
    finds("crash kernel", DOCTOR_OK, "none");
}

/* --- what a machine can't be brought to say ------------------------------------------------------------------------- */

static struct timex clock_now;
static int clock_state;

static int ask_clock(struct timex *ret_clock)
{
    *ret_clock = clock_now;
    return clock_state;
}

static void a_clock_by_itself(void **state)
{
    (void)state;
    host.ask_clock = ask_clock;
    clock_now = (struct timex){.maxerror = 3000};
    clock_state = TIME_OK;
    finds("clock", DOCTOR_OK, "3 ms");
    clock_state = TIME_ERROR;
    finds("clock", DOCTOR_WARN, "nothing synchronises it");
    clock_state = TIME_OK;
    clock_now.status = STA_UNSYNC;
    finds("clock", DOCTOR_WARN, "nothing synchronises it");
    clock_now = (struct timex){.maxerror = 700000};
    finds("clock", DOCTOR_WARN, "700 ms");
    clock_state = -1;
    finds("clock", DOCTOR_WARN, "doesn't say");
}

static uint64_t flush_ns;

static cc_err time_flush(const char *directory, unsigned n, uint64_t *ret_ns)
{
    assert_string_equal(directory, folder.path);
    assert_true(n > 8);
    *ret_ns = flush_ns;
    return flush_ns ? CC_OK : CC_FAIL(IO, "a temporary file");
}

static void a_disk_that_answers_too_soon_or_too_late(void **state)
{
    (void)state;
    host.time_flush = time_flush;
    flush_ns = 400000;
    finds("disk flush", DOCTOR_OK, "400 us");
    flush_ns = 19000;
    finds("disk flush", DOCTOR_WARN, "not flushed");
    flush_ns = 30000000;
    finds("disk flush", DOCTOR_WARN, "slow");
    flush_ns = 0;
    finds("disk flush", DOCTOR_WARN, "not measured");
    config.anti_slashing.backend = HISTORY_POSTGRES;
    finds("disk flush", DOCTOR_SKIP, "no file");
    finds("file system", DOCTOR_SKIP, "no file");
}

/* The data directory isn't there yet: the disk that it will be on is asked. */
static void a_directory_that_is_still_to_be_made(void **state)
{
    (void)state;
    host.time_flush = time_flush;
    flush_ns = 400000;
    (void)snprintf(config.data_dir, sizeof config.data_dir, "%s/to/be/made", folder.path);
    finds("disk flush", DOCTOR_OK, folder.path);
    (void)snprintf(config.anti_slashing.path, sizeof config.anti_slashing.path, "%s/h.sqlite",
                   folder.path);
    finds("disk flush", DOCTOR_OK, folder.path);
}

static struct doctor_engine engine;

static cc_err choose_engine(enum signing_engine wanted, struct doctor_engine *ret_engine)
{
    assert_int_equal(wanted, config.signing.engine);
    *ret_engine = engine;
    return engine.used == BATCH_ENGINE_END ? CC_FAIL(NO_MEMORY, "signing engine") : CC_OK;
}

static void a_processor_that_lacks_or_fails(void **state)
{
    (void)state;
    host.choose_engine = choose_engine;
    config.signing.engine = SIGNING_AUTO;
    engine = (struct doctor_engine){.used = BATCH_FIXED_BASE};
    finds("processor", DOCTOR_OK, "fixed_base");
    config.signing.engine = SIGNING_IFMA;
    finds("processor", DOCTOR_WARN, "lacks");
    engine.self_test_failed = true;
    finds("processor", DOCTOR_FAIL, "self-test");
    engine.used = BATCH_ENGINE_END;
    finds("processor", DOCTOR_WARN, "signing engine");
}

static cc_err leaves_it_dumpable(void)
{
    return CC_OK;
}

static cc_err cannot_harden(void)
{
    return CC_FAIL(SYSTEM, "PR_SET_DUMPABLE");
}

static void a_room_that_leaves_a_core(void **state)
{
    (void)state;
    finds("core dumps", DOCTOR_OK, "can");
    host.harden = leaves_it_dumpable;
    finds("core dumps", DOCTOR_FAIL, "can't");
    host.harden = cannot_harden;
    finds("core dumps", DOCTOR_FAIL, "can't");
}

/* --- files ------------------------------------------------------------------------------------------------------------- */

static void a_configuration_that_others_change(void **state)
{
    (void)state;
    finds("configuration file", DOCTOR_SKIP, "-c FILE");
    folder_write(&folder, "config.yaml", "", 0, 0644);
    doctor.config_path = folder_at(&folder, "config.yaml");
    finds("configuration file", DOCTOR_OK, "config.yaml");
    assert_int_equal(chmod(folder_at(&folder, "config.yaml"), 0664), 0);
    doctor.config_path = folder_at(&folder, "config.yaml");
    finds("configuration file", DOCTOR_FAIL, "0664");
    doctor.config_path = folder_at(&folder, "none.yaml");
    finds("configuration file", DOCTOR_FAIL, "can't be looked at");
}

static void keys_and_passwords_that_others_read(void **state)
{
    struct filesystem_config *keys = &config.key_sources.filesystem;
    (void)state;
    keys->path_count = 1;
    folder_mkdir(&folder, "keys");
    (void)snprintf(keys->paths[0], sizeof keys->paths[0], "%s", folder_at(&folder, "keys"));
    finds("key files", DOCTOR_SKIP, "none");
    finds("password files", DOCTOR_SKIP, "none");
    folder_write(&folder, "keys/a.json", "{}", 2, 0600);
    folder_write(&folder, "keys/a.txt", "p", 1, 0600);
    folder_write(&folder, "keys/b.yaml", "x", 1, 0600);
    finds("key files", DOCTOR_OK, "2, closed");
    finds("password files", DOCTOR_OK, "1, closed");
    folder_write(&folder, "keys/c.json", "{}", 2, 0640);
    folder_write(&folder, "keys/c.password", "p", 1, 0604);
    finds("key files", DOCTOR_WARN, "1 of 3 open to others");
    finds("password files", DOCTOR_WARN, "c.password");
    keys->strict_permissions = true;
    finds("key files", DOCTOR_FAIL, "c.json");
    finds("password files", DOCTOR_FAIL, "c.password");
}

static void passwords_where_the_configuration_says(void **state)
{
    struct filesystem_config *keys = &config.key_sources.filesystem;
    (void)state;
    keys->path_count = 1;
    folder_mkdir(&folder, "keys");
    folder_mkdir(&folder, "passwords");
    folder_write(&folder, "keys/a.json", "{}", 2, 0600);
    folder_write(&folder, "passwords/a.txt", "p", 1, 0644);
    folder_write(&folder, "one", "p", 1, 0600);
    (void)snprintf(keys->paths[0], sizeof keys->paths[0], "%s", folder_at(&folder, "keys"));
    (void)snprintf(keys->passwords_path, sizeof keys->passwords_path, "%s",
                   folder_at(&folder, "passwords"));
    (void)snprintf(keys->password_file, sizeof keys->password_file, "%s",
                   folder_at(&folder, "one"));
    finds("password files", DOCTOR_WARN, "1 of 2 open to others");
}

static void a_part_of_a_chamber(void **state)
{
    (void)state;
    finds("data directory", DOCTOR_WARN, "no chamber");
    assert_int_equal(chmod(folder.path, 0700), 0);
    folder_write(&folder, "state.sqlite", "", 0, 0600);
    finds("data directory", DOCTOR_FAIL, "there is no chamber.key");
    folder_write(&folder, "chamber.key", "", 0, 0644);
    finds("data directory", DOCTOR_FAIL, "chamber.key must have mode 0600");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_check_teaches),
        TEST(nothing_is_said_of_a_configuration_that_is_not_valid),
        TEST(debuggers_by_yama),
        TEST(swap_is_off_or_encrypted),
        TEST(compressed_memory_is_no_disk),
        TEST(a_crash_kernel_is_loaded),
        TEST(a_clock_by_itself),
        TEST(a_disk_that_answers_too_soon_or_too_late),
        TEST(a_directory_that_is_still_to_be_made),
        TEST(a_processor_that_lacks_or_fails),
        TEST(a_room_that_leaves_a_core),
        TEST(a_configuration_that_others_change),
        TEST(keys_and_passwords_that_others_read),
        TEST(passwords_where_the_configuration_says),
        TEST(a_part_of_a_chamber),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
