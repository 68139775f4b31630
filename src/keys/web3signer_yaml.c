#include "keys/web3signer_yaml.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/num.h"

#include "secret/ct.h"
#include "secret/wipe.h"

/* --- the mask: libyaml never sees a key ------------------------------------------------------------ */

/* A run of hex digits at least this long may be (a part of) a key. */
enum {
    RUN_MIN = 32,
    INDEX_DIGITS = 8
};

/* Eight of these, the index of the run, and more of these up to the run's own length, so that columns stay. */
static const char mark = 'Z';
static const char mark_head[] = "ZZZZZZZZ";

struct masked {
    struct buf text;
    struct span original;
    size_t *starts; /* of the runs, in the original */
    size_t count;
};

static void masked_release(struct masked *m)
{
    buf_release(&m->text);
    cc_free(m->starts);
}

static bool is_hex_digit(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static size_t run_length(struct span text, size_t at)
{
    size_t end = at;
    while (end < text.len && is_hex_digit(text.data[end]))
        end++;
    return end - at;
}

static void write_placeholder(uint8_t *at, size_t len, size_t index)
{
    char head[sizeof mark_head + INDEX_DIGITS];
    (void)snprintf(head, sizeof head, "%s%08u", mark_head, (unsigned)(index % 100000000));
    memset(at, mark, len);
    memcpy(at, head, sizeof head - 1);
}

static cc_err mask_runs(struct span text, struct masked *m)
{
    *m = (struct masked){.text = buf_init(text.len), .original = text};
    if (text.len == 0)
        return CC_OK;
    CC_TRY(buf_append(&m->text, text.data, text.len));
    m->starts = cc_alloc_array(text.len / (RUN_MIN + 1) + 1, sizeof *m->starts);
    if (!m->starts)
        return CC_FAIL(NO_MEMORY, "runs of hex digits");
    for (size_t at = 0; at < text.len;) {
        size_t len = run_length(text, at);
        if (len >= RUN_MIN) {
            write_placeholder(m->text.data + at, len, m->count);
            m->starts[m->count++] = at;
        }
        at += len ? len : 1;
    }
    return CC_OK;
}

/* When a place-holder begins at `in`, returns the run that it stands for. */
static struct span unmasked_run(const struct masked *m, struct span in)
{
    uint64_t index = 0;
    size_t head = sizeof mark_head - 1;
    if (in.len < RUN_MIN || !span_equal(span_of(in.data, head), span_str(mark_head)) ||
        u64_parse(span_of(in.data + head, INDEX_DIGITS), &index).code || index >= m->count)
        return (struct span){0};
    struct span rest =
        span_of(m->original.data + m->starts[index], m->original.len - m->starts[index]);
    size_t len = run_length(rest, 0);
    return len <= in.len ? span_of(rest.data, len) : (struct span){0};
}

/* The text of a scalar as it was written, with a zero byte after it. */
static cc_err
unmask(const struct masked *m, const struct yml_node *node, char *ret_text, size_t size)
{
    if (node->kind != YML_SCALAR || memchr(node->text.data, 0, node->text.len))
        return CC_FAIL(FIELD_TYPE, "text expected");
    if (node->text.len >= size)
        return CC_FAIL(NUMBER_RANGE, "text too long");
    for (size_t at = 0; at < node->text.len;) {
        struct span run = unmasked_run(m, span_of(node->text.data + at, node->text.len - at));
        if (run.len)
            memcpy(ret_text + at, run.data, run.len);
        else
            ret_text[at] = (char)node->text.data[at];
        at += run.len ? run.len : 1;
    }
    ret_text[node->text.len] = 0;
    return CC_OK;
}

/* --- one document ------------------------------------------------------------------------------------ */

#define EXPORT_IT "; export the key as an EIP-2335 keystore and describe it as file-keystore"
#define IMPORT_IT "; `keys import --from "

/* Every type that Web3Signer knows and this signer does not serve. */
static const struct {
    const char *type;
    const char *detail;
} refused_types[] = {
    {"hashicorp",
     "type hashicorp: keys in HashiCorp Vault are not read at a start" IMPORT_IT "hashicorp`"},
    {"azure-secret",
     "type azure-secret: keys in Azure Key Vault are not read at a start" IMPORT_IT "azure`"},
    {"aws-secret", "type aws-secret: keys in AWS Secrets Manager are not read at a start" IMPORT_IT
                   "aws-secrets`"},
    {"gcp-secret",
     "type gcp-secret: keys in GCP Secret Manager are not read at a start" IMPORT_IT "gcp`"},
    {"yubihsm", "type yubihsm: keys in a YubiHSM are not supported" EXPORT_IT},
    {"interlock", "type interlock: keys in USB Armory Interlock are not supported" EXPORT_IT},
    {"azure-key",
     "type azure-key: SECP256K1 keys are for the execution layer, which is not served"},
    {"aws-kms", "type aws-kms: SECP256K1 keys are for the execution layer, which is not served"},
};

struct raw_text {
    char text[2 + 64 + 1];
};

static void raw_text_wipep(struct raw_text *raw)
{
    wipe(raw, sizeof *raw);
}

static CC_SENSITIVE cc_err read_raw(const struct masked *m,
                                    const struct yml_node *root,
                                    struct key_descriptor *d)
{
    const struct yml_node *node = yml_get(root, "privateKey");
    if (!node || yml_is_null(node))
        return CC_FAIL(FIELD_MISSING, "privateKey is missing");
    CC_CLEANUP(raw_text_wipep) struct raw_text raw;
    if (unmask(m, node, raw.text, sizeof raw.text).code)
        return CC_FAIL(KEY_INVALID, "privateKey: 32 bytes of hex expected");
    const char *digits =
        raw.text[0] == '0' && (raw.text[1] | 0x20) == 'x' ? raw.text + 2 : raw.text;
    if (strlen(digits) != 64 || ct_hex_decode(digits, d->secret, sizeof d->secret).code)
        return CC_FAIL(KEY_INVALID, "privateKey: 32 bytes of hex expected");
    d->kind = DESCRIPTOR_RAW;
    return CC_OK;
}

static cc_err
read_path(const struct masked *m, const struct yml_node *root, const char *name, char *ret_path)
{
    const struct yml_node *node = yml_get(root, name);
    if (!node || yml_is_null(node) || (node->kind == YML_SCALAR && node->text.len == 0))
        return CC_FAIL(FIELD_MISSING, "keystoreFile or keystorePasswordFile is missing");
    return unmask(m, node, ret_path, KEY_YAML_PATH_MAX);
}

static cc_err
read_keystore(const struct masked *m, const struct yml_node *root, struct key_descriptor *d)
{
    CC_TRY(read_path(m, root, "keystoreFile", d->keystore_file));
    CC_TRY(read_path(m, root, "keystorePasswordFile", d->password_file));
    d->kind = DESCRIPTOR_KEYSTORE;
    return CC_OK;
}

static cc_err check_key_type(const struct yml_node *root)
{
    const struct yml_node *node = yml_get(root, "keyType");
    if (!node || yml_is_null(node))
        return CC_OK;
    if (node->kind != YML_SCALAR)
        return CC_FAIL(FIELD_TYPE, "keyType: text expected");
    if (span_is_nocase(node->text, "SECP256K1"))
        return CC_FAIL(KEY_TYPE,
                       "keyType SECP256K1: such keys are for the execution layer, which is not "
                       "served; remove the file");
    if (!span_is_nocase(node->text, "BLS"))
        return CC_FAIL(KEY_TYPE, "keyType: BLS expected");
    return CC_OK;
}

static cc_err
read_document(const struct masked *m, const struct yml_node *root, struct key_descriptor *d)
{
    if (root->kind != YML_MAPPING)
        return CC_FAIL(FIELD_TYPE, "not a key description: a mapping with a type expected");
    const struct yml_node *type = yml_get(root, "type");
    if (!type || yml_is_null(type))
        return CC_FAIL(FIELD_MISSING, "type is missing");
    if (type->kind != YML_SCALAR)
        return CC_FAIL(FIELD_TYPE, "type: text expected");
    for (size_t i = 0; i < ARRAY_LEN(refused_types); i++)
        if (span_is_nocase(type->text, refused_types[i].type))
            return CC_FAIL(KEY_TYPE, refused_types[i].detail);
    bool raw = span_is_nocase(type->text, "file-raw");
    if (!raw && !span_is_nocase(type->text, "file-keystore"))
        return CC_FAIL(KEY_TYPE, "type: file-raw or file-keystore expected");
    CC_TRY(check_key_type(root));
    return raw ? read_raw(m, root, d) : read_keystore(m, root, d);
}

/* --- the file ---------------------------------------------------------------------------------------- */

static const struct yml_limits limits = {
    .max_bytes = KEY_YAML_TEXT_MAX,
    .max_depth = YML_DEPTH_MAX,
    .max_nodes = KEY_YAML_DOCUMENTS_MAX * 16,
    .max_documents = KEY_YAML_DOCUMENTS_MAX,
};

static CC_SENSITIVE cc_err take_documents(const struct masked *m,
                                          const struct yml *yml,
                                          key_descriptor_fn *take,
                                          void *context)
{
    struct key_descriptor d;
    cc_err err = CC_OK;
    for (const struct yml_node *root = yml->first; root && !err.code; root = root->next) {
        if (yml_is_null(root))
            continue;
        d = (struct key_descriptor){.line = root->line};
        d.error = read_document(m, root, &d);
        d.detail = d.error.code ? error_detail() : "";
        err = take(context, &d);
        wipe(&d, sizeof d);
    }
    return err;
}

CC_ERR key_yaml_parse(struct span text,
                      key_descriptor_fn *take,
                      void *context,
                      struct yml_fault *ret_fault)
{
    *ret_fault = (struct yml_fault){.text = ""};
    if (text.len > KEY_YAML_TEXT_MAX) {
        *ret_fault = (struct yml_fault){.text = "larger than allowed"};
        return CC_FAIL(YAML_SYNTAX, "larger than allowed");
    }
    struct yml yml = {0};
    CC_CLEANUP(masked_release) struct masked m;
    CC_TRY(mask_runs(text, &m));
    CC_TRY(yml_load(buf_span(&m.text), &limits, &yml, ret_fault));
    cc_err err = take_documents(&m, &yml, take, context);
    yml_release(&yml);
    return err;
}
