#include "front/keys_answer.h"

#include "codec/hex.h"
#include "eth/deposit.h"

/* --- pieces ------------------------------------------------------------------------------------------------------ */

/* A text of ours, or an export's: JSON minds its quotation marks, backslashes and line ends. */
static cc_err put_escaped(struct buf *out, struct span text)
{
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        CC_TRY(buf_append(out, text.data + from, i - from));
        CC_TRY(c < 0x20 ? buf_printf(out, "\\u%04x", c) : buf_printf(out, "\\%c", c));
        from = i + 1;
    }
    return text.len > from ? buf_append(out, text.data + from, text.len - from) : CC_OK;
}

static cc_err put_key(struct buf *out, const char *name, const struct eth_pubkey *key)
{
    CC_TRY(buf_printf(out, "\"%s\":\"", name));
    CC_TRY(hex_append(out, key->bytes, sizeof key->bytes));
    return buf_append_str(out, "\"");
}

static const char *text_of(bool is)
{
    return is ? "true" : "false";
}

/* --- a list ------------------------------------------------------------------------------------------------------ */

static const char *source_name(uint8_t source)
{
    static const char *const names[] = {[A_KEY_FILESYSTEM] = "filesystem",
                                        [A_KEY_SQLITE] = "sqlite",
                                        [A_KEY_POSTGRES] = "postgres",
                                        [A_KEY_DYNAMODB] = "dynamodb",
                                        [A_KEY_MEMORY] = "memory"};
    return source < ARRAY_LEN(names) && names[source] ? names[source] : "unknown";
}

static const char *status_name(uint8_t status)
{
    static const char *const names[] = {
        [A_KEY_LOADING] = "loading",   [A_KEY_ACTIVE] = "active", [A_KEY_INACTIVE] = "inactive",
        [A_KEY_DELETING] = "deleting", [A_KEY_FAILED] = "failed", [A_KEY_SEALED] = "sealed"};
    return status < ARRAY_LEN(names) && names[status] ? names[status] : "unknown";
}

/* The paths of derivation are not kept: the specification lets them be empty. */
static cc_err put_listed(struct buf *out, const struct keys_answer *a, const struct a_key_item *key)
{
    const char *readonly = text_of((key->flags & A_KEY_READONLY) != 0);
    CC_TRY(buf_append_str(out, "{"));
    if (a->is_manager) {
        CC_TRY(put_key(out, "validating_pubkey", &key->pubkey));
        return buf_printf(out, ",\"derivation_path\":\"\",\"readonly\":%s}", readonly);
    }
    CC_TRY(put_key(out, "pubkey", &key->pubkey));
    return buf_printf(out, ",\"status\":\"%s\",\"source\":\"%s\",\"readonly\":%s,\"paused\":%s}",
                      status_name(key->status), source_name(key->source), readonly,
                      text_of((key->flags & A_KEY_PAUSED) != 0));
}

/* The Key Manager API lists what it could delete or has; a file that can't be read is no key of it. */
static bool is_listed(const struct keys_answer *a, const struct a_key_item *key)
{
    return !a->is_manager || key->status != A_KEY_FAILED;
}

static cc_err put_list(struct buf *out, const struct keys_answer *a)
{
    size_t n = 0;
    CC_TRY(buf_append_str(out, "{\"data\":["));
    for (size_t i = 0; i < a->count; i++) {
        if (!is_listed(a, &a->results[i]))
            continue;
        CC_TRY(buf_append_str(out, n++ ? "," : ""));
        CC_TRY(put_listed(out, a, &a->results[i]));
    }
    if (a->is_manager)
        return buf_append_str(out, "]}");
    return buf_printf(out, "],\"paused_all\":%s}", text_of(a->paused_all));
}

/* --- what became of each key ---------------------------------------------------------------------------------------- */

static const char *changed_name(const struct keys_answer *a)
{
    if (a->verb == KEYS_PAUSE)
        return "paused";
    if (a->verb == KEYS_RESUME)
        return "resumed";
    return a->inactive ? "inactive" : "active";
}

/* A key that is not here is not found, whatever is asked of it. */
static uint8_t outcome_of(const struct keys_answer *a, size_t i)
{
    if (!a->answered[i])
        return A_KEY_ERROR;
    bool unknown = a->results[i].outcome == A_KEY_ERROR && a->results[i].error == ERROR_KEY_UNKNOWN;
    return unknown && a->verb != KEYS_IMPORT ? A_KEY_NOT_FOUND : a->results[i].outcome;
}

static const char *outcome_name(const struct keys_answer *a, size_t i)
{
    static const char *const names[] = {
        [A_KEY_ERROR] = "error",           [A_KEY_IMPORTED] = "imported",
        [A_KEY_DUPLICATE] = "duplicate",   [A_KEY_DELETED] = "deleted",
        [A_KEY_NOT_ACTIVE] = "not_active", [A_KEY_NOT_FOUND] = "not_found",
        [A_KEY_GENERATED] = "generated",
    };
    uint8_t outcome = outcome_of(a, i);
    if (outcome == A_KEY_CHANGED || outcome == A_KEY_UNCHANGED)
        return changed_name(a);
    return outcome < ARRAY_LEN(names) && names[outcome] ? names[outcome] : "error";
}

static cc_err put_error_text(struct buf *out, const char *before, cc_err err, const char *detail)
{
    CC_TRY(put_escaped(out, span_str(before)));
    CC_TRY(put_escaped(out, span_str(error_text(err))));
    if (!detail || !detail[0])
        return CC_OK;
    CC_TRY(buf_append_str(out, ": "));
    return put_escaped(out, span_str(detail));
}

static bool is_of_decryption(cc_err err)
{
    return error_is(err, ERROR_KEYSTORE) || error_is(err, ERROR_KEYSTORE_PASSWORD) ||
           error_is(err, ERROR_PASSWORD_TEXT) || error_is(err, ERROR_JSON_SYNTAX) ||
           error_is(err, ERROR_JSON_DUPLICATE_KEY) || error_is(err, ERROR_JSON_TOO_DEEP) ||
           error_is(err, ERROR_JSON_TOO_LARGE) || error_is(err, ERROR_JSON_UTF8);
}

/* Web3Signer's own words, where it has some. */
static cc_err put_import_error(struct buf *out, cc_err err, const char *detail)
{
    if (error_is(err, ERROR_KEYSTORE_PUBKEY))
        return buf_append_str(out, "Keystore pubkey does not match decrypted key");
    return put_error_text(
        out,
        is_of_decryption(err) ? "Failed to decrypt keystore: " : "Error importing keystore: ", err,
        detail);
}

static cc_err put_message(struct buf *out, const struct keys_answer *a, size_t i)
{
    const struct a_key_item *result = &a->results[i];
    const struct keys_item *item = &a->items[i];
    if (outcome_of(a, i) != A_KEY_ERROR)
        return CC_OK;
    if (!a->answered[i] && !item->err.code && !result->error)
        return buf_append_str(out, "The request's time was over: ask again");
    cc_err err = item->err.code ? item->err : error_from_number(result->error);
    if (a->verb == KEYS_IMPORT)
        return put_import_error(out, err, item->err.code ? item->static_detail : NULL);
    bool readonly = (result->flags & A_KEY_READONLY) != 0;
    if (readonly && a->verb == KEYS_DELETE) {
        CC_TRY(buf_append_str(out, "Unable to delete readonly key: "));
        return hex_append(out, item->pubkey.bytes, sizeof item->pubkey.bytes);
    }
    return put_error_text(out, "", err, readonly ? "the key is read-only" : NULL);
}

static bool names_key(const struct eth_pubkey *key)
{
    for (size_t i = 0; i < sizeof key->bytes; i++)
        if (key->bytes[i])
            return true;
    return false;
}

/* A key that is here, its place in the mnemonic's tree, and its deposit where one was asked for. */
static cc_err put_generated(struct buf *out, const struct keys_answer *a, size_t i)
{
    const struct keys_made *made = a->made;
    const struct deposit deposit = {.pubkey = a->results[i].pubkey,
                                    .withdrawal_credentials = a->generate->withdrawal_credentials,
                                    .amount = a->generate->amount};
    CC_TRY(buf_printf(out, ",\"path\":\"m/12381/3600/%zu/0/0\"", i));
    if (!a->generate->has_deposit || outcome_of(a, i) != A_KEY_GENERATED)
        return CC_OK;
    CC_TRY(buf_append_str(out, ",\"deposit_data\":"));
    return deposit_append_json(&deposit, &made->deposits[i], &made->genesis_fork_version,
                               made->network, out);
}

static cc_err put_item(struct buf *out, const struct keys_answer *a, size_t i)
{
    CC_TRY(buf_append_str(out, "{"));
    if (!a->is_manager && names_key(&a->results[i].pubkey)) {
        CC_TRY(put_key(out, "pubkey", &a->results[i].pubkey));
        CC_TRY(buf_append_str(out, ","));
    }
    CC_TRY(buf_printf(out, "\"status\":\"%s\",\"message\":\"", outcome_name(a, i)));
    CC_TRY(put_message(out, a, i));
    CC_TRY(buf_append_str(out, "\""));
    if (a->made)
        CC_TRY(put_generated(out, a, i));
    return buf_append_str(out, "}");
}

static cc_err put_items(struct buf *out, const struct keys_answer *a)
{
    CC_TRY(buf_append_str(out, "{\"data\":["));
    for (size_t i = 0; i < a->count; i++) {
        CC_TRY(buf_append_str(out, i ? "," : ""));
        CC_TRY(put_item(out, a, i));
    }
    CC_TRY(buf_append_str(out, "]"));
    if (a->verb == KEYS_DELETE) {
        CC_TRY(buf_append_str(out, ",\"slashing_protection\":\""));
        CC_TRY(put_escaped(out, a->history));
        CC_TRY(buf_append_str(out, "\""));
    }
    if (a->made) {
        CC_TRY(buf_append_str(out, ",\"backup\":\""));
        CC_TRY(put_escaped(out, span_of(a->made->backup, a->made->backup_len)));
        CC_TRY(buf_append_str(out, "\""));
    }
    if (a->all)
        CC_TRY(buf_printf(out, ",\"paused_all\":%s", text_of(a->verb == KEYS_PAUSE)));
    return buf_append_str(out, "}");
}

CC_ERR keys_answer_put(struct buf *out, const struct keys_answer *answer)
{
    return answer->verb == KEYS_LIST ? put_list(out, answer) : put_items(out, answer);
}
