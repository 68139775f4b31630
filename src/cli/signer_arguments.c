#include "cli/signer_arguments.h"

#include "cli/attest_options.h"
#include "cli/secret_source.h"

static cc_err read_token(const char *source, char *const *environment, struct signer *signer)
{
    CC_CLEANUP(secret_text_wipep) struct secret_text text;
    CC_TRY(secret_read(source, environment, &text));
    for (size_t i = 0; i < text.len; i++)
        if (text.text[i] < 0x21 || text.text[i] > 0x7e)
            return CC_FAIL(MALFORMED, "there is something else than a token");
    memcpy(signer->token, text.text, text.len + 1);
    return CC_OK;
}

_Static_assert((int)SIGNER_TOKEN_MAX == (int)SECRET_TEXT_MAX, "a token has room");

/* The options of TLS; what each of them needs. */
static int take_tls(struct arguments *arguments, struct signer *signer)
{
    int code = command_take_value(arguments, "--ca", &signer->ca);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(arguments, "--client-cert", &signer->certificate);
    if (code == EXIT_CODE_DONE)
        code = command_take_value(arguments, "--client-key", &signer->key);
    return code;
}

/* One policy for all signers of a process: it is large, and borrowed by them. */
static struct attest_options attest;

static int take_attested(struct arguments *arguments, struct signer *signer)
{
    bool wanted = command_take_switch(arguments, "--attested");
    int code = command_take_attest(arguments, &attest);
    if (code != EXIT_CODE_DONE || (!wanted && !attest.given))
        return code;
    if (!wanted)
        return command_usage(arguments, "needs --attested", attest.given);
    code = command_need_attest(arguments, &attest);
    signer->attested = &attest.policy;
    return code;
}

static int check_tls(const struct arguments *arguments, const struct signer *signer)
{
    if (signer->attested && (signer->ca || signer->certificate))
        return command_usage(arguments, "has no use for an authority or a client certificate",
                             "--attested");
    if (signer->attested && !signer->tls)
        return command_usage(arguments, "needs a --signer-url that begins with https://",
                             "--attested");
    if (!signer->certificate != !signer->key)
        return command_usage(arguments, "go together", "--client-cert and --client-key");
    if (!signer->tls && (signer->ca || signer->certificate))
        return command_usage(arguments, "needs a --signer-url that begins with https://",
                             signer->ca ? "--ca" : "--client-cert");
    return EXIT_CODE_DONE;
}

static int take_all(struct arguments *arguments, struct signer *signer, const char **ret_source)
{
    int code = command_take_value(arguments, "--auth-token", ret_source);
    if (code == EXIT_CODE_DONE)
        code = take_tls(arguments, signer);
    if (code == EXIT_CODE_DONE)
        code = take_attested(arguments, signer);
    signer->allow_plaintext = command_take_switch(arguments, "--allow-plaintext-signer");
    return code;
}

/* The first that makes no sense without a signer; NULL: none was given. */
static const char *given_without_url(const struct signer *taken, const char *source)
{
    if (source)
        return "--auth-token";
    if (taken->ca)
        return "--ca";
    if (taken->certificate || taken->key)
        return taken->certificate ? "--client-cert" : "--client-key";
    if (taken->attested)
        return "--attested";
    return taken->allow_plaintext ? "--allow-plaintext-signer" : NULL;
}

static int take_urls(struct arguments *arguments, struct signers *signers)
{
    const char *url = NULL;
    do {
        int code = command_take_value(arguments, "--signer-url", &url);
        if (code != EXIT_CODE_DONE)
            return code;
        if (url && signers->count == SIGNERS_MAX)
            return command_usage(arguments, "too many of them", "--signer-url");
        if (url && signer_of_url(url, &signers->each[signers->count]).code)
            return command_usage(arguments, "--signer-url", error_detail());
        signers->count += url != NULL;
    } while (url);
    return EXIT_CODE_DONE;
}

/* What was given once is each one's. */
static int
complete(const struct arguments *arguments, const struct signer *taken, struct signer *signer)
{
    signer->allow_plaintext = taken->allow_plaintext;
    signer->ca = taken->ca;
    signer->attested = taken->attested;
    signer->certificate = taken->certificate;
    signer->key = taken->key;
    memcpy(signer->token, taken->token, sizeof signer->token);
    return check_tls(arguments, signer);
}

int command_take_signers(struct arguments *arguments, struct signers *ret_signers)
{
    const char *source = NULL;
    CC_CLEANUP(signer_release) struct signer taken = {0};
    *ret_signers = (struct signers){0};
    int code = take_urls(arguments, ret_signers);
    if (code == EXIT_CODE_DONE)
        code = take_all(arguments, &taken, &source);
    if (code != EXIT_CODE_DONE)
        return code;
    if (ret_signers->count == 0) {
        const char *given = given_without_url(&taken, source);
        return given ? command_usage(arguments, "needs --signer-url", given) : EXIT_CODE_DONE;
    }
    if (source && read_token(source, arguments->environment, &taken).code)
        return command_usage(arguments, "--auth-token", error_detail());
    for (size_t i = 0; i < ret_signers->count && code == EXIT_CODE_DONE; i++)
        code = complete(arguments, &taken, &ret_signers->each[i]);
    return code;
}

void signers_release(struct signers *signers)
{
    for (size_t i = 0; i < signers->count; i++)
        signer_release(&signers->each[i]);
}

int command_take_signer(struct arguments *arguments, struct signer *ret_signer)
{
    static struct signers signers;
    *ret_signer = (struct signer){0};
    int code = command_take_signers(arguments, &signers);
    if (code == EXIT_CODE_DONE && signers.count > 1)
        code = command_usage(arguments, "once", "--signer-url");
    if (signers.count)
        *ret_signer = signers.each[0];
    signers_release(&signers);
    return code;
}
