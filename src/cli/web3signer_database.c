#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#include "cli/web3signer.h"

enum {
    URL_MAX = 4096
};

static const char scheme[] = "jdbc:postgresql://";

/* Parameters of a JDBC URL. */
static const struct parameter {
    const char *name;
    const char *
        libpq; /* its name there; NULL: it has no meaning for one connection that carries batches */
} parameters[] = {
    {"sslmode", "sslmode"},
    {"sslrootcert", "sslrootcert"},
    {"sslcert", "sslcert"},
    {"ApplicationName", "application_name"},
    {"targetServerType", NULL},
    {"loadBalanceHosts", NULL},
    {"hostRecheckSeconds", NULL},
    {"connectTimeout", NULL},
    {"loginTimeout", NULL},
    {"socketTimeout", NULL},
    {"cancelSignalTimeout", NULL},
    {"tcpKeepAlive", NULL},
    {"reWriteBatchedInserts", NULL},
    {"prepareThreshold", NULL},
    {"preparedStatementCacheQueries", NULL},
    {"preparedStatementCacheSizeMiB", NULL},
    {"defaultRowFetchSize", NULL},
    {"stringtype", NULL},
};

/* The parts of a JDBC URL. */
struct jdbc {
    struct span hosts, database, user, password;
    struct buf query; /* libpq's, behind '?' */
};

static bool is_unreserved(uint8_t c)
{
    return isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

/* `text` is as people write it, not percent-encoded. */
static cc_err put_encoded(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        CC_TRY(is_unreserved(text.data[i]) ? buf_append(out, &text.data[i], 1)
                                           : buf_printf(out, "%%%02X", text.data[i]));
    return CC_OK;
}

static struct span cut(struct span *text, char at)
{
    const uint8_t *found = text->len ? memchr(text->data, at, text->len) : NULL;
    size_t len = found ? (size_t)(found - text->data) : text->len;
    struct span head = span_of(text->data, len);
    *text = span_of(text->data + len + (found ? 1 : 0), text->len - len - (found ? 1 : 0));
    return head;
}

static cc_err put_parameter(struct jdbc *url, const char *name, struct span value)
{
    CC_TRY(buf_printf(&url->query, "%c%s=", url->query.len ? '&' : '?', name));
    return buf_append(&url->query, value.data, value.len);
}

static cc_err take_parameter(struct jdbc *url, struct span name, struct span value)
{
    for (size_t i = 0; i < value.len; i++)
        if (value.data[i] == '+') /* JDBC reads it as a blank, libpq as itself */
            return CC_FAIL(CONFIG, "has a `+` in a parameter: write %20 or %2B");
    if (span_is(name, "user")) {
        url->user = value;
        return CC_OK;
    }
    if (span_is(name, "password")) {
        url->password = value;
        return CC_OK;
    }
    if (span_is(name, "ssl")) /* the driver checks the name then */
        return span_is(value, "true") ? put_parameter(url, "sslmode", span_str("verify-full"))
                                      : CC_OK;
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
        if (span_is(name, parameters[i].name))
            return parameters[i].libpq ? put_parameter(url, parameters[i].libpq, value) : CC_OK;
    return CC_FAIL(CONFIG,
                   "has a parameter that is not known here: give the URL as libpq takes it in "
                   "CONTAINMENT_ANTI_SLASHING__URL");
}

static bool is_plain(struct span text, const char *more)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_unreserved(text.data[i]) && !strchr(more, text.data[i]))
            return false;
    return text.len > 0;
}

static cc_err parse(const char *text, struct jdbc *url)
{
    if (strncmp(text, scheme, sizeof scheme - 1) != 0)
        return CC_FAIL(CONFIG, "is not jdbc:postgresql://HOST[:PORT]/DATABASE");
    struct span rest = span_str(text + sizeof scheme - 1);
    struct span place = cut(&rest, '?');
    url->hosts = cut(&place, '/');
    url->database = place;
    if (!is_plain(url->hosts, ":,[]") || !is_plain(url->database, "%"))
        return CC_FAIL(CONFIG, "is not jdbc:postgresql://HOST[:PORT]/DATABASE");
    while (rest.len) {
        struct span value = cut(&rest, '&');
        struct span name = cut(&value, '=');
        CC_TRY(take_parameter(url, name, value));
    }
    return CC_OK;
}

/* What the options say counts before what the URL says. Of a URL's it is percent-encoded already. */
static cc_err put_user(struct buf *out, const char *option, struct span of_url)
{
    return option ? put_encoded(out, span_str(option)) : buf_append(out, of_url.data, of_url.len);
}

static cc_err put_url(struct buf *out,
                      const struct jdbc *url,
                      const char *user,
                      const char *password,
                      bool with_password)
{
    bool has_user = user || url->user.len;
    bool has_password = (password || url->password.len) && with_password;
    CC_TRY(buf_append_str(out, "postgresql://"));
    if (has_user)
        CC_TRY(put_user(out, user, url->user));
    if (has_password) {
        CC_TRY(buf_append_str(out, ":"));
        CC_TRY(put_user(out, password, url->password));
    }
    if (has_user || has_password)
        CC_TRY(buf_append_str(out, "@"));
    CC_TRY(buf_append(out, url->hosts.data, url->hosts.len));
    CC_TRY(buf_append_str(out, "/"));
    CC_TRY(buf_append(out, url->database.data, url->database.len));
    CC_TRY(buf_append(out, url->query.data, url->query.len));
    return buf_append(out, "", 1);
}

CC_ERR web3signer_database_url(const char *jdbc,
                               const char *user,
                               const char *password,
                               struct buf *ret_url,
                               struct buf *ret_shown)
{
    struct jdbc url = {.query = buf_init(URL_MAX)};
    cc_err err = parse(jdbc, &url);
    if (!err.code)
        err = put_url(ret_url, &url, user, password, true);
    if (!err.code)
        err = put_url(ret_shown, &url, user, password, false);
    buf_release(&url.query);
    return err;
}

static cc_err plan_url(struct web3signer *w, const char *jdbc)
{
    CC_CLEANUP(buf_release) struct buf url = buf_init(URL_MAX);
    CC_CLEANUP(buf_release) struct buf shown = buf_init(URL_MAX);
    cc_err err = web3signer_database_url(
        jdbc, web3signer_value(w, "slashing-protection-db-username"),
        web3signer_value(w, "slashing-protection-db-password"), &url, &shown);
    if (error_is(err, ERROR_CONFIG))
        return web3signer_fault(w, "slashing-protection-db-url", error_detail());
    CC_TRY(err);
    CC_TRY(web3signer_set(w, "slashing-protection-db-url", "anti_slashing.backend", "postgres"));
    w->database = cc_strdup((const char *)shown.data);
    if (!w->database)
        return CC_FAIL(NO_MEMORY, "the database's URL");
    return web3signer_set(w, "slashing-protection-db-url", "anti_slashing.url",
                          (const char *)url.data);
}

/* Who had no protection waits for none: a key signs at once, as it did, at the start after a lost data directory as well. What it
 * signs from then on is protected as long as that directory lasts.
 */
static cc_err plan_own_history(struct web3signer *w)
{
    static const char name[] = "slashing-protection-enabled";
    CC_TRY(web3signer_note(
        w, name,
        "is never off here: this signer keeps a history of its own in its data "
        "directory, which has to outlive restarts: a start without it makes an empty one and "
        "signs at once. What keys signed before, it doesn't know"));
    return web3signer_default(w, name, "anti_slashing.new_key_policy.quarantine_epochs", "0");
}

CC_ERR web3signer_plan_database(struct web3signer *w)
{
    const char *jdbc = web3signer_value(w, "slashing-protection-db-url");
    const char *enabled = web3signer_value(w, "slashing-protection-enabled");
    bool off = enabled && strcmp(enabled, "false") == 0;
    if (jdbc && !off)
        return plan_url(w, jdbc);
    if (web3signer_has_own(w, "anti_slashing.backend"))
        return CC_OK;
    if (off)
        return plan_own_history(w);
    return web3signer_fault(
        w, "slashing-protection-db-url",
        "is missing. --slashing-protection-enabled=false stands for a history of "
        "this signer's own");
}
