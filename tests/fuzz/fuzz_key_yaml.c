/* Any text as a Web3Signer key file: refused, or documents that are complete. */
#include "keys/web3signer_yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static cc_err take(void *context, const struct key_descriptor *d)
{
    unsigned *count = context;
    ++*count;
    cc_assert(d->line >= 1 && d->detail);
    if (d->error.code)
        return CC_OK;
    cc_assert(d->kind == DESCRIPTOR_RAW || d->kind == DESCRIPTOR_KEYSTORE);
    cc_assert(memchr(d->keystore_file, 0, sizeof d->keystore_file));
    cc_assert(memchr(d->password_file, 0, sizeof d->password_file));
    if (d->kind == DESCRIPTOR_KEYSTORE)
        cc_assert(d->keystore_file[0] && d->password_file[0]);
    return CC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned count = 0;
    struct yml_fault fault;
    cc_err err = key_yaml_parse(span_of(data, size), take, &count, &fault);
    cc_assert(!err.code || (count == 0 && error_is(err, ERROR_YAML_SYNTAX) && fault.text));
    return 0;
}
