/* Web3Signer's configuration file, then the URL that it names. What is taken sets options of the table alone; a URL that is made
 * has one '@' at most before its host, and the one for people no password.
 */
#include <string.h>

#include "cli/web3signer.h"
#include "config/config_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_url(const char *password)
{
    struct buf url = buf_init(8192), shown = buf_init(8192);
    char jdbc[256] = "jdbc:postgresql://h/d?password=";
    (void)strncat(jdbc, password, 128);
    if (!web3signer_database_url(jdbc, NULL, password, &url, &shown).code) {
        const char *host = strchr((const char *)url.data, '@');
        cc_assert(!host || !strchr(host + 1, '@') || strchr(host + 1, '?') < strchr(host + 1, '@'));
        cc_assert(strncmp((const char *)shown.data, "postgresql://h/d", 16) == 0);
    }
    buf_release(&url);
    buf_release(&shown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct web3signer w;
    w = (struct web3signer){.notes = buf_init(1 << 16), .faults = buf_init(1 << 16)};
    cc_err err = web3signer_take_file(&w, "file", span_of(data, size));
    if (!err.code)
        err = web3signer_plan(&w, "/");
    for (size_t i = 0; i < w.override_count && !err.code; i++)
        cc_assert(config_row_find(w.overrides[i].path) ||
                  strncmp(w.overrides[i].path, "network_overrides.", 18) == 0);
    const char *password =
        err.code ? NULL : web3signer_value(&w, "slashing-protection-db-password");
    if (password)
        check_url(password);
    web3signer_release(&w);
    return 0;
}
