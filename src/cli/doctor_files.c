#include <dirent.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/datadir.h"
#include "cli/doctor.h"
#include "keys/filesystem.h"
#include "slash/sqlite_history.h"

enum {
    FLUSHES = 16,
    FLUSH_LEAST_US = 20, /* no disk that has written answers sooner */
    FLUSH_MOST_US = 20000
};

/* --- where the history is ----------------------------------------------------------------------------------------------- */

/* The directory that the history is in, or will be made in; what is missing at its end is cut off. */
static void directory_of_history(const struct config *config, char ret_path[static CONFIG_PATH_MAX])
{
    char copy[CONFIG_PATH_MAX];
    struct stat st;
    const bool named = config->anti_slashing.path[0] != 0;
    (void)snprintf(copy, sizeof copy, "%s", named ? config->anti_slashing.path : config->data_dir);
    (void)snprintf(ret_path, CONFIG_PATH_MAX, "%s", named ? dirname(copy) : copy);
    while (stat(ret_path, &st) != 0 && strcmp(ret_path, "/") != 0 && strcmp(ret_path, ".") != 0) {
        (void)snprintf(copy, sizeof copy, "%s", ret_path);
        (void)snprintf(ret_path, CONFIG_PATH_MAX, "%s", dirname(copy));
    }
}

/* False, and said, where there is no file of a history. */
static bool has_file(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    if (doctor->config->anti_slashing.backend == HISTORY_SQLITE)
        return true;
    doctor_say(ret_finding, DOCTOR_SKIP, "the history is in no file of this machine");
    return false;
}

void doctor_file_system(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    char path[CONFIG_PATH_MAX];
    if (!has_file(doctor, ret_finding))
        return;
    directory_of_history(doctor->config, path);
    cc_err err = sqlite_filesystem_check(path);
    if (!err.code)
        doctor_say(ret_finding, DOCTOR_OK, "%s is on a local disk's", path);
    else if (config_is_about_money(doctor->config))
        doctor_say_bad(ret_finding, "%s: %s", path, error_detail());
    else
        doctor_say(ret_finding, DOCTOR_WARN, "%s: %s; taken, since this network carries no money",
                   path, error_detail());
}

void doctor_disk_flush(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    char path[CONFIG_PATH_MAX];
    uint64_t ns = 0;
    if (!has_file(doctor, ret_finding))
        return;
    directory_of_history(doctor->config, path);
    if (doctor->host->time_flush(path, FLUSHES, &ns).code) {
        doctor_say(ret_finding, DOCTOR_WARN,
                   "not measured: no file can be written in %s (run this as the signer's user)",
                   path);
        return;
    }
    const double us = (double)ns / 1000;
    if (us < FLUSH_LEAST_US)
        doctor_say_bad(ret_finding, "%.0f us in %s: memory, or a cache that is not flushed", us,
                       path);
    else if (us > FLUSH_MOST_US)
        doctor_say_bad(ret_finding, "%.0f us in %s: slow, each signature waits that long", us,
                       path);
    else
        doctor_say(ret_finding, DOCTOR_OK, "%.0f us in %s", us, path);
}

/* --- who can read what -------------------------------------------------------------------------------------------------- */

void doctor_data_directory(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    enum datadir_state state;
    const char *path = doctor->config->data_dir;
    cc_err err = datadir_state(doctor->config, &state);
    if (!err.code && state == DATADIR_EMPTY) {
        doctor_say(ret_finding, DOCTOR_WARN, "there is no chamber in %s yet", path);
        return;
    }
    if (!err.code)
        err = datadir_check(doctor->config);
    if (err.code)
        doctor_say_bad(ret_finding, "%s: %s", path, error_detail());
    else if (state == DATADIR_PARTIAL)
        doctor_say_bad(ret_finding, "%s holds only a part of a chamber", path);
    else
        doctor_say(ret_finding, DOCTOR_OK, "%s is closed to others", path);
}

void doctor_configuration_file(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    struct stat st;
    const char *path = doctor->config_path;
    if (!path)
        doctor_say(ret_finding, DOCTOR_SKIP, "none is named: -c FILE");
    else if (stat(path, &st) != 0)
        doctor_say_bad(ret_finding, "%s can't be looked at", path);
    else if (st.st_mode & (S_IWGRP | S_IWOTH))
        doctor_say_bad(ret_finding, "%s can be changed by others (mode %04o)", path,
                       (unsigned)(st.st_mode & 07777));
    else if (st.st_uid != 0 && st.st_uid != geteuid())
        doctor_say_bad(ret_finding, "%s belongs to another user, who can change it", path);
    else
        doctor_say(ret_finding, DOCTOR_OK, "%s can't be changed by others", path);
}

struct tally {
    size_t seen;
    size_t open;
    char first[DOCTOR_TEXT_SIZE / 2]; /* that is open to others */
};

static void count(struct tally *tally, const char *path)
{
    struct key_file_facts facts;
    if (key_file_look(path, &facts).code)
        return; /* what is named and not there is the configuration's fault, and listed as that */
    tally->seen++;
    if (facts.open_to_others && tally->open++ == 0)
        (void)snprintf(tally->first, sizeof tally->first, "%s", path);
}

static void say_tally(const struct doctor *doctor,
                      const struct tally *tally,
                      struct doctor_finding *ret_finding)
{
    if (tally->seen == 0)
        doctor_say(ret_finding, DOCTOR_SKIP, "there are none");
    else if (tally->open == 0)
        doctor_say(ret_finding, DOCTOR_OK, "%zu, closed to others", tally->seen);
    else if (doctor->config->key_sources.filesystem.strict_permissions)
        doctor_say_bad(ret_finding, "%zu of %zu open to others, and not used: %s", tally->open,
                       tally->seen, tally->first);
    else
        doctor_say(ret_finding, DOCTOR_WARN, "%zu of %zu open to others: %s", tally->open,
                   tally->seen, tally->first);
}

static void scan(const struct filesystem_config *keys, struct key_files *files)
{
    for (uint32_t i = 0; i < keys->path_count; i++)
        if (key_files_scan(files, keys->paths[i]).code)
            continue; /* as above */
}

void doctor_key_files(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    CC_CLEANUP(key_files_release) struct key_files files = {0};
    struct tally tally = {0};
    scan(&doctor->config->key_sources.filesystem, &files);
    for (size_t i = 0; i < files.count; i++)
        count(&tally, files.items[i].path);
    say_tally(doctor, &tally, ret_finding);
}

/* Where the loader looks for the password of a keystore, in its order. */
static void
count_password(const struct filesystem_config *keys, const char *keystore, struct tally *tally)
{
    static const char *const suffixes[] = {".txt", ".password"};
    char path[KEY_PATH_MAX];
    const char *directory = keys->passwords_path;
    if (directory[0] && !key_path_of_password(keystore, directory, ".txt", path).code)
        count(tally, path);
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
        if (!key_path_of_password(keystore, NULL, suffixes[i], path).code)
            count(tally, path);
}

void doctor_password_files(const struct doctor *doctor, struct doctor_finding *ret_finding)
{
    const struct filesystem_config *keys = &doctor->config->key_sources.filesystem;
    CC_CLEANUP(key_files_release) struct key_files files = {0};
    struct tally tally = {0};
    scan(keys, &files);
    for (size_t i = 0; i < files.count; i++)
        if (files.items[i].kind == KEY_FILE_JSON)
            count_password(keys, files.items[i].path, &tally);
    if (keys->password_file[0])
        count(&tally, keys->password_file);
    say_tally(doctor, &tally, ret_finding);
}
