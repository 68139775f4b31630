/* Any body: refused as the client's fault, or a request whose signing root can be computed. The first byte picks the
 * network, so that preset sizes are covered.
 */
#include <stdlib.h>
#include <string.h>

#include "eth/request_json.h"
#include "eth/signing_root.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"mainnet", "minimal", "sepolia", "gnosis"};
    static struct eth_network networks[ARRAY_LEN(names)];
    static struct jdoc doc = {.max = SIGN_TOKENS_MAX};
    static const struct eth_pubkey pubkey;
    struct sign_request request;
    struct signing_parts parts;
    struct signing_root root;
    if (size == 0)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(names) && !networks[i].name[0]; i++)
        cc_assert(!network_load(names[i], &networks[i]).code);
    const struct eth_network *network = &networks[data[0] % ARRAY_LEN(names)];
    uint8_t *body = malloc(size);
    if (!body)
        return 0;
    memcpy(body, data + 1, size - 1);
    cc_err err = sign_request_parse(&doc, network, body, size - 1, &pubkey, &request);
    if (err.code) {
        cc_assert(error_class(err) == CLASS_INPUT);
    } else {
        err = signing_root_compute(network, &request, &parts, &root);
        cc_assert(!err.code || error_is(err, ERROR_ROOT_MISMATCH) ||
                  error_is(err, ERROR_FIELD_MISSING));
    }
    jdoc_wipe(&doc);
    free(body);
    return 0;
}
