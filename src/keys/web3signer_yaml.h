/* keys/web3signer_yaml.h - Web3Signer's key configuration files.
 *
 * WHAT      Reads the documents of one file: type file-raw (a key in hex) and file-keystore (names of an EIP-2335
 *           keystore and of its password file).
 * PROMISE   Each document is judged by itself: one that is refused does not stop the others. Types that need another
 *           service, and SECP256K1 keys, are refused by name with what to do instead. Unknown properties are passed
 *           over; type and keyType are read in any case.
 * THREADS   Any: pure.
 * OWNERSHIP Borrows the text; what the callback gets lives for that call and is wiped after it.
 * ERRORS    Of the file: YAML_SYNTAX, NO_MEMORY. Of a document: KEY_TYPE, KEY_INVALID, FIELD_MISSING, FIELD_TYPE,
 *           NUMBER_RANGE.
 * SECRETS   The raw key. libyaml can't wipe its buffers, so it gets a copy of the text in which every long run of hex
 *           digits is replaced by a place-holder, which is put back when a value is read.
 */
#ifndef KEYS_WEB3SIGNER_YAML_H
#define KEYS_WEB3SIGNER_YAML_H

#include "base/error.h"
#include "base/span.h"

#include "codec/yaml.h"

enum {
    KEY_YAML_TEXT_MAX = 16 << 20,
    KEY_YAML_DOCUMENTS_MAX = 65536,
    KEY_YAML_PATH_MAX = 1024
};

enum key_descriptor_kind {
    DESCRIPTOR_RAW = 1,
    DESCRIPTOR_KEYSTORE
};

struct key_descriptor {
    cc_err error; /* why this document is refused; the rest is not set then, but for the line */
    const char *detail; /* static */
    uint32_t line;
    enum key_descriptor_kind kind;
    uint8_t secret[32];                    /* raw: big-endian scalar, not yet checked to be one */
    char keystore_file[KEY_YAML_PATH_MAX]; /* as written: relative to the file's directory */
    char password_file[KEY_YAML_PATH_MAX];
};

/* Gets each document in turn; an error ends the walk and is what key_yaml_parse() returns. */
typedef cc_err key_descriptor_fn(void *context, const struct key_descriptor *descriptor);

/* *ret_fault tells where when the error is YAML_SYNTAX. An empty document is passed over. */
CC_ERR key_yaml_parse(struct span text,
                      key_descriptor_fn *take,
                      void *context,
                      struct yml_fault *ret_fault);

#endif
