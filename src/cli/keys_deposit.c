#include "cli/keys_deposit.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/num.h"

#include "app/supervisor.h"
#include "codec/hex.h"
#include "crypto/bls.h"
#include "eth/address.h"
#include "eth/network.h"
#include "eth/signing_root.h"

enum {
    FILE_BYTES_MAX = 64 << 20,
    REQUEST_MAX = 4096,
    PATH_BYTES_MAX = 4096,
    TOKENS_MAX = 1 << 20
};

/* --- terms ---------------------------------------------------------------------------------------------------- */

static int read_amount(struct arguments *arguments, struct deposit_terms *terms)
{
    const char *text = NULL;
    int code = command_take_value(arguments, "--amount", &text);
    terms->amount = DEPOSIT_GWEI_DEFAULT;
    if (code == EXIT_CODE_DONE && text && u64_parse(span_str(text), &terms->amount).code)
        return command_usage(arguments, "an amount is a number of gwei", "--amount");
    return code;
}

int deposit_terms_take(struct arguments *arguments, struct deposit_terms *ret_terms)
{
    const char *address = NULL;
    *ret_terms =
        (struct deposit_terms){.compounding = command_take_switch(arguments, "--compounding")};
    int code = command_take_value(arguments, "--withdrawal-address", &address);
    if (code == EXIT_CODE_DONE)
        code = read_amount(arguments, ret_terms);
    if (code != EXIT_CODE_DONE)
        return code;
    if (!address)
        return ret_terms->compounding || ret_terms->amount != DEPOSIT_GWEI_DEFAULT
                   ? command_usage(arguments, "a deposit needs --withdrawal-address", NULL)
                   : EXIT_CODE_DONE;
    cc_err err = address_parse(span_str(address), &ret_terms->address);
    if (err.code)
        return command_usage(arguments, address_fault(err), "--withdrawal-address");
    ret_terms->is_set = true;
    ret_terms->credentials = deposit_credentials(
        ret_terms->compounding ? DEPOSIT_COMPOUNDING : DEPOSIT_TO_ADDRESS, &ret_terms->address);
    if (deposit_check(&ret_terms->credentials, ret_terms->amount).code)
        return command_usage(arguments, error_detail(), NULL);
    return EXIT_CODE_DONE;
}

/* --- the file --------------------------------------------------------------------------------------------------- */

int deposit_file_begin(struct deposit_file *file, const char *directory)
{
    *file = (struct deposit_file){.directory = directory ? directory : ".",
                                  .text = buf_init(FILE_BYTES_MAX)};
    if (access(file->directory, W_OK | X_OK) != 0)
        return keys_say(file->directory, CC_FAIL(IO, "nothing can be written there"));
    return EXIT_CODE_DONE;
}

void deposit_file_release(struct deposit_file *file)
{
    buf_release(&file->text);
}

CC_ERR deposit_file_path(const struct deposit_file *file,
                         const char *name,
                         size_t number,
                         const char *suffix,
                         struct buf *out)
{
    CC_TRY(buf_printf(out, "%s/%s-%llu", file->directory, name,
                      (unsigned long long)(clock_wall_ms() / 1000)));
    if (number)
        CC_TRY(buf_printf(out, "-%zu", number));
    CC_TRY(buf_append_str(out, suffix));
    return buf_append(out, "", 1);
}

CC_ERR deposit_file_add(struct deposit_file *file, struct span entry)
{
    CC_TRY(buf_append_str(&file->text, file->count ? "," : "["));
    CC_TRY(buf_append(&file->text, entry.data, entry.len));
    file->count++;
    return CC_OK;
}

int deposit_file_write(struct deposit_file *file, bool quiet)
{
    CC_CLEANUP(buf_release) struct buf path = buf_init(PATH_BYTES_MAX);
    if (!file->count)
        return EXIT_CODE_DONE;
    cc_err err = buf_append_str(&file->text, "]");
    if (!err.code)
        err = deposit_file_path(file, "deposit_data", 0, ".json", &path);
    if (!err.code)
        err = file_write_durable((const char *)path.data, buf_span(&file->text), true);
    if (err.code)
        return keys_say("the deposit data", err);
    if (!quiet)
        (void)printf("deposit data: %s\n", (const char *)path.data);
    return EXIT_CODE_DONE;
}

/* --- keys that the signer holds ----------------------------------------------------------------------------------- */

static cc_err
put_request(const struct deposit *deposit, const struct eth_version *version, struct buf *out)
{
    CC_TRY(buf_append_str(out, "{\"type\":\"DEPOSIT\",\"deposit\":{\"pubkey\":\""));
    CC_TRY(hex_append(out, &deposit->pubkey, sizeof deposit->pubkey));
    CC_TRY(buf_append_str(out, "\",\"withdrawal_credentials\":\""));
    CC_TRY(
        hex_append(out, &deposit->withdrawal_credentials, sizeof deposit->withdrawal_credentials));
    CC_TRY(buf_printf(out, "\",\"amount\":\"%llu\",\"genesis_fork_version\":\"",
                      (unsigned long long)deposit->amount));
    CC_TRY(hex_append(out, version, sizeof *version));
    return buf_append_str(out, "\"}}");
}

static cc_err put_target(const struct eth_pubkey *pubkey, struct buf *out)
{
    CC_TRY(buf_append_str(out, "/api/v1/eth2/sign/"));
    CC_TRY(hex_append(out, pubkey, sizeof *pubkey));
    return buf_append(out, "", 1);
}

static cc_err take_signature(const struct keys_reply *reply,
                             const struct deposit *deposit,
                             const struct eth_version *version,
                             struct eth_signature *ret)
{
    struct span text = keys_text(jdoc_root(&reply->doc), "signature");
    if (hex_decode(hex_digits(text), ret->bytes, sizeof ret->bytes).code)
        return CC_FAIL(PROTOCOL, "no signature");
    const struct signing_root root = deposit_signing_root(deposit, version);
    return bls_verify(deposit->pubkey.bytes, root.bytes, ret->bytes);
}

static int ask_one(const struct keys_deposit *d,
                   const struct eth_network *network,
                   const struct deposit *deposit,
                   struct deposit_file *file)
{
    CC_CLEANUP(buf_release) struct buf body = buf_init(REQUEST_MAX);
    CC_CLEANUP(buf_release) struct buf target = buf_init(REQUEST_MAX);
    CC_CLEANUP(buf_release) struct buf entry = buf_init(REQUEST_MAX);
    const struct eth_version *version = &network->forks[FORK_PHASE0].version;
    struct signer signer = *d->signer;
    struct eth_signature signature;
    struct keys_reply reply;
    signer.headers = "Accept: application/json\r\n";
    cc_err err = put_request(deposit, version, &body);
    if (!err.code)
        err = put_target(&deposit->pubkey, &target);
    if (err.code)
        return keys_say("request", err);
    const struct keys_request request = {.signer = &signer,
                                         .method = "POST",
                                         .target = (const char *)target.data,
                                         .body = buf_span(&body)};
    int code = keys_ask(&request, &reply);
    if (code == EXIT_CODE_DONE) {
        err = take_signature(&reply, deposit, version, &signature);
        if (!err.code)
            err = deposit_append_json(deposit, &signature, version, network->name, &entry);
        if (!err.code)
            err = deposit_file_add(file, buf_span(&entry));
        if (err.code)
            code = keys_say("the signer's signature", err);
    }
    keys_reply_release(&reply);
    signer_release(&signer);
    return code;
}

static int ask_each(const struct keys_deposit *d,
                    const struct eth_network *network,
                    const struct jdoc *doc,
                    struct deposit_file *file)
{
    struct jval list;
    struct jval value;
    struct span text;
    struct deposit deposit = {.withdrawal_credentials = d->terms.credentials,
                              .amount = d->terms.amount};
    bool found = jval_member(jdoc_root(doc), "pubkeys", &list);
    cc_assert(found);
    struct jval_iter at = jval_iterate(list);
    int code = EXIT_CODE_DONE;
    while (code == EXIT_CODE_DONE && jval_next(&at, &value)) {
        bool is_key =
            !jval_text(value, &text).code &&
            !hex_decode(hex_digits(text), deposit.pubkey.bytes, sizeof deposit.pubkey.bytes).code;
        cc_assert(is_key);
        code = ask_one(d, network, &deposit, file);
    }
    return code;
}

static void doc_endp(struct jdoc *doc)
{
    jdoc_release(doc);
}

int keys_deposit_data(const struct keys_deposit *deposit, struct buf *pubkeys)
{
    CC_CLEANUP(doc_endp) struct jdoc doc = jdoc_init(TOKENS_MAX);
    CC_CLEANUP(deposit_file_release) struct deposit_file file = {.count = 0};
    struct eth_network network;
    cc_err err = network_load(deposit->network, &network);
    if (err.code)
        return keys_say(deposit->network, err);
    err = jdoc_parse(&doc, pubkeys->data, pubkeys->len);
    if (err.code)
        return keys_say("the public keys", err);
    int code = deposit_file_begin(&file, deposit->directory);
    if (code == EXIT_CODE_DONE)
        code = ask_each(deposit, &network, &doc, &file);
    /* All of them, or nothing: a file with some would pass for one with all. */
    if (code == EXIT_CODE_DONE)
        code = deposit_file_write(&file, deposit->json);
    if (code == EXIT_CODE_DONE && deposit->json)
        (void)printf("%.*s\n", (int)file.text.len, (const char *)file.text.data);
    return code;
}
