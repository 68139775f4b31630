/* Any text as the AWS CLI's files: what is found lies in the text, and chains of profiles end. */
#include "aws/ini.h"
#include "aws/process.h"
#include "aws/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct span part, struct span whole)
{
    cc_assert(part.len == 0 ||
              (part.data >= whole.data && part.data + part.len <= whole.data + whole.len));
}

static void walk(struct span text)
{
    struct aws_ini ini = aws_ini_walk(text);
    struct aws_ini_line line;
    size_t lines = 0;
    while (aws_ini_next(&ini, &line)) {
        bool found = false;
        cc_assert(line.key.len > 0 && ++lines <= text.len);
        inside(line.section, text);
        inside(line.key, text);
        inside(line.below, text);
        inside(line.value, text);
        /* One value of this name is there: this one, or a later one. */
        inside(aws_ini_get(text, "", line.section, "region", "", &found), text);
    }
}

static void run(struct span command)
{
    struct aws_command words;
    if (aws_command_split(command, &words).code)
        return;
    cc_assert(words.words[0] && words.words[0][0] == '/');
    for (size_t i = 0; words.words[i]; i++)
        inside(span_str(words.words[i]), span_of(words.text, sizeof words.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    struct span base;
    if (size > 4096)
        return 0;
    struct aws_files files = {.environment = text, .config = text, .credentials = text};
    walk(text);
    aws_files_choose(&files, "");
    cc_assert(files.profile.len > 0);
    if (!aws_profile_base(&files, files.profile, &base).code)
        cc_assert(!aws_profile_source(&files, base).len);
    inside(aws_profile_endpoint(&files, "kms"), text);
    inside(aws_sso_session_get(&files, span_str("work"), "sso_region"), text);
    run(aws_profile_get(&files, files.profile, "credential_process"));
    run(text);
    return 0;
}
