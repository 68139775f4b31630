#include "core/setup_token.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/log.h"

#include "auth/token.h"
#include "crypto/random.h"
#include "secret/ct.h"
#include "secret/wipe.h"

static const char prefix[] = "cc_setup_";

_Static_assert((int)SETUP_TOKEN_TEXT_SIZE == (int)TOKEN_TEXT_SIZE, "as long as a token");

static cc_err remove_file(const struct setup_token *token)
{
    return unlink(token->path) == 0 || errno == ENOENT
               ? CC_OK
               : CC_FAIL(IO, "the file of the setup token can't be removed");
}

CC_ERR setup_token_begin(struct setup_token *token, const char *data_dir)
{
    *token = (struct setup_token){.there = false};
    const int n = snprintf(token->path, sizeof token->path, "%s/setup-token", data_dir);
    if (n < 0 || n >= (int)sizeof token->path)
        return CC_FAIL(LIMIT, "path too long");
    return remove_file(token);
}

static CC_SENSITIVE cc_err make_text(char ret_text[static SETUP_TOKEN_TEXT_SIZE])
{
    uint8_t random[TOKEN_RANDOM_SIZE];
    cc_err err = random_bytes(random, sizeof random);
    if (!err.code) {
        token_text(random, ret_text);
        memcpy(ret_text, prefix, sizeof prefix - 1);
    }
    wipe(random, sizeof random);
    return err;
}

/* From here on it is good. */
static void begin_life(struct setup_token *token, uint64_t now, const char *text)
{
    sha256(span_of(text, SETUP_TOKEN_TEXT_SIZE - 1), token->digest);
    token->there = true;
    token->expires = now + SETUP_TOKEN_LIFE_S;
}

CC_SENSITIVE CC_ERR setup_token_make(struct setup_token *token, uint64_t now)
{
    char text[SETUP_TOKEN_TEXT_SIZE + 1] = "";
    token->there = false;
    cc_err err = make_text(text);
    if (!err.code) {
        text[SETUP_TOKEN_TEXT_SIZE - 1] = '\n';
        err = file_write_durable(token->path, span_of(text, SETUP_TOKEN_TEXT_SIZE), false);
    }
    if (!err.code)
        begin_life(token, now, text);
    wipe(text, sizeof text);
    if (err.code)
        return err;
    log_warn("a setup token was made: `operator init` takes it from its file, once",
             KV_STR("path", token->path), KV_NUM("good_for_seconds", SETUP_TOKEN_LIFE_S));
    return CC_OK;
}

CC_SENSITIVE CC_ERR setup_token_give(struct setup_token *token,
                                     uint64_t now,
                                     char ret_text[static SETUP_TOKEN_TEXT_SIZE])
{
    setup_token_drop(token);
    CC_TRY(make_text(ret_text));
    begin_life(token, now, ret_text);
    log_warn(
        "a setup token was given to the owner, who has signed for it: `operator init` takes it, once",
        KV_NUM("good_for_seconds", SETUP_TOKEN_LIFE_S));
    return CC_OK;
}

CC_ERR setup_token_check(struct setup_token *token, struct span text, uint64_t now)
{
    uint8_t digest[SHA256_SIZE];
    setup_token_expire(token, now);
    while (text.len && text.data[text.len - 1] == '\n')
        text.len--;
    sha256(text, digest);
    const bool same = ct_equal(digest, token->digest, sizeof digest);
    return same && token->there ? CC_OK : CC_FAIL(CREDENTIAL, NULL);
}

void setup_token_drop(struct setup_token *token)
{
    token->there = false;
    wipe(token->digest, sizeof token->digest);
    cc_err err = remove_file(token);
    if (err.code)
        log_error("the setup token is good no more, yet its file is there",
                  KV_STR("path", token->path), KV_ERR(err));
}

void setup_token_expire(struct setup_token *token, uint64_t now)
{
    if (token->there && now >= token->expires)
        setup_token_drop(token);
}
