#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

#include "cli/web3signer.h"
#include "codec/hex.h"

enum {
    ROOT_TEXT = 66,
    TEXT_FILE_MAX = 256,
    STATE_HEAD = 40 /* of a BeaconState: genesis_time, genesis_validators_root */
};

static cc_err beside(const char *file, const char *name, char ret_path[static PATH_MAX])
{
    const char *slash = strrchr(file, '/');
    int n = snprintf(ret_path, PATH_MAX, "%.*s%s", slash ? (int)(slash + 1 - file) : 0, file, name);
    return n > 0 && n < PATH_MAX ? CC_OK : CC_FAIL(LIMIT, "path");
}

/* Web3Signer takes the root from the first request. Here no request may say it: it is looked for where the tools that make networks
 * put it, in genesis.ssz, the state at the beginning, or in a text file.
 */
static bool
read_state(const char *config, char ret_time[static 24], char ret_root[static ROOT_TEXT + 1])
{
    char path[PATH_MAX];
    uint8_t head[STATE_HEAD];
    uint64_t time = 0;
    if (beside(config, "genesis.ssz", path).code)
        return false;
    CC_CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || pread(fd, head, sizeof head, 0) != (ssize_t)sizeof head)
        return false;
    for (int i = 7; i >= 0; i--)
        time = time << 8 | head[i];
    (void)snprintf(ret_time, 24, "%llu", (unsigned long long)time);
    memcpy(ret_root, "0x", 2);
    hex_encode(head + 8, 32, ret_root + 2);
    ret_root[ROOT_TEXT] = 0;
    return true;
}

static bool read_text(const char *config, char ret_root[static ROOT_TEXT + 1])
{
    char path[PATH_MAX];
    uint8_t root[32];
    CC_CLEANUP(buf_release) struct buf text = buf_init(TEXT_FILE_MAX);
    if (beside(config, "genesis_validators_root.txt", path).code || file_read(path, &text).code)
        return false;
    size_t len = text.len;
    while (len && (text.data[len - 1] == '\n' || text.data[len - 1] == '\r'))
        len--;
    if (len != ROOT_TEXT || hex_decode(span_of(text.data, len), root, sizeof root).code)
        return false;
    memcpy(ret_root, text.data, ROOT_TEXT);
    ret_root[ROOT_TEXT] = 0;
    return true;
}

static cc_err plan_genesis(struct web3signer *w, const char *config)
{
    char time[24] = "", root[ROOT_TEXT + 1];
    if (web3signer_has_own(w, "genesis_validators_root"))
        return CC_OK;
    if (!read_state(config, time, root) && !read_text(config, root))
        return web3signer_fault(
            w, "network",
            "is a file, and neither genesis.ssz nor genesis_validators_root.txt lies beside it: set "
            "CONTAINMENT_GENESIS_VALIDATORS_ROOT. Web3Signer believes the first request instead");
    if (time[0])
        CC_TRY(web3signer_default(w, "network", "genesis_time", time));
    return web3signer_set(w, "network", "genesis_validators_root", root);
}

CC_ERR web3signer_plan_network(struct web3signer *w)
{
    const char *network = web3signer_value(w, "network");
    if (!network)
        return CC_OK;
    if (strncmp(network, "http://", 7) == 0 || strncmp(network, "https://", 8) == 0)
        return web3signer_fault(w, "network",
                                "is not fetched from a URL: download the file, and name it");
    CC_TRY(web3signer_set(w, "network", "network", network));
    size_t len = strlen(network);
    bool file = strchr(network, '/') || (len > 5 && strcmp(network + len - 5, ".yaml") == 0) ||
                (len > 4 && strcmp(network + len - 4, ".yml") == 0);
    return file ? plan_genesis(w, network) : CC_OK;
}
