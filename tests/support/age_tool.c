#include "support/age_tool.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/folder.h"
#include "support/test.h"

static const char age_identity[] =
    "AGE-SECRET-KEY-1LS4W6S4JU3L4FA7DNL3QK8AYKKXDJSYPE0NUMVWSH8KYFFUV9GHQL44WA5\n";
static const char ssh_identity[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    "QyNTUxOQAAACDrQEe6EVw9/X2DRgKmt4PvgsK1ozj+dmvHNt98c6n9xQAAAJBoOSIQaDki\n"
    "EAAAAAtzc2gtZWQyNTUxOQAAACDrQEe6EVw9/X2DRgKmt4PvgsK1ozj+dmvHNt98c6n9xQ\n"
    "AAAEAsUTIZR62JP+rNJeNMY5ZEGu77HP3FAb3UX7S8mlwTOetAR7oRXD39fYNGAqa3g++C\n"
    "wrWjOP52a8c233xzqf3FAAAADXRlc3QgaWRlbnRpdHk=\n"
    "-----END OPENSSH PRIVATE KEY-----\n";

bool age_tool_present(void)
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stdout))
            _exit(126);
        (void)execlp("age", "age", "--version", (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status == 0)
        return true;
    print_message("age is not installed: what needs it is left out\n");
    return false;
}

/* Its exit status. */
static int run(const struct folder *folder)
{
    int status;
    char identity[300], out[300], file[300];
    (void)snprintf(identity, sizeof identity, "%s", folder_at(folder, "identity"));
    (void)snprintf(out, sizeof out, "%s", folder_at(folder, "out"));
    (void)snprintf(file, sizeof file, "%s", folder_at(folder, "file.age"));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(126);
        (void)execlp("age", "age", "-d", "-i", identity, "-o", out, file, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

long age_tool_decrypt(
    enum age_tool_identity identity, const void *file, size_t len, char *ret_plain, size_t room)
{
    struct folder folder;
    long got = -1;
    folder_make(&folder);
    if (identity == AGE_TOOL_SSH)
        folder_write(&folder, "identity", ssh_identity, sizeof ssh_identity - 1, 0600);
    else
        folder_write(&folder, "identity", age_identity, sizeof age_identity - 1, 0600);
    folder_write(&folder, "file.age", file, len, 0600);
    if (run(&folder) == 0) {
        FILE *out = fopen(folder_at(&folder, "out"), "rb");
        /* age 1.1 makes no file of nothing */
        got = out ? (long)fread(ret_plain, 1, room, out) : 0;
        if (out)
            (void)fclose(out);
    }
    folder_remove(&folder);
    return got;
}
