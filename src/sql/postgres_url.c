#include "sql/postgres_url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/num.h"

#include "config/egress.h"
#include "sql/postgres_dial.h"

enum {
    POSTGRES_PORT = 5432
};

struct setting {
    const char *key;
    const char *value;
};

/* What holds unless the URL says otherwise. Writes go to a primary only, so a list of hosts finds it; Kerberos would look
 * for tickets in files that a room can't open.
 */
static const struct setting defaults[] = {
    {"application_name", "containment-chamber"},
    {"target_session_attrs", "read-write"},
    {"tcp_user_timeout", "3000"},
    {"gssencmode", "disable"},
    {"client_encoding", "UTF8"},
};

/* Options whose values are lists with one item for each host. */
static const char *const per_host[] = {"host", "hostaddr", "port"};

static const char *const file_options[] = {"passfile",    "sslcert", "sslkey",
                                           "sslrootcert", "sslcrl",  "sslcrldir"};

static void parsed_freep(PQconninfoOption **parsed)
{
    PQconninfoFree(*parsed);
}

static cc_err parse(const char *url, PQconninfoOption **ret_parsed)
{
    char *complaint = NULL; /* may quote the URL */
    *ret_parsed = PQconninfoParse(url, &complaint);
    PQfreemem(complaint);
    return *ret_parsed ? CC_OK : CC_FAIL(CONFIG, "not a PostgreSQL connection string");
}

static const char *value_of(const PQconninfoOption *parsed, const char *key)
{
    for (const PQconninfoOption *o = parsed; o && o->keyword; o++)
        if (strcmp(o->keyword, key) == 0)
            return o->val;
    return NULL;
}

static const char *planned(const struct postgres_dial *plan, const char *key)
{
    const char *value = NULL;
    for (size_t i = 0; i < POSTGRES_DIAL_MAX && plan->keys[i]; i++)
        if (strcmp(plan->keys[i], key) == 0)
            value = plan->values[i]; /* the last one counts, as for libpq */
    return value;
}

/* Where the way out is laid down, the host is reached at the forwarder's address. The certificate stays the host's: libpq checks
 * that of `host`, and connects to `hostaddr`.
 */
static cc_err take_egress(struct postgres_dial *plan, size_t n)
{
    const char *host = planned(plan, "hostaddr");
    const char *port = planned(plan, "port");
    uint64_t number = POSTGRES_PORT;
    if (!host || !host[0])
        host = planned(plan, "host");
    if (!egress_is_on() || !host || !host[0] || host[0] == '/' || host[0] == '@')
        return CC_OK;
    if (port && port[0] && (u64_parse(span_str(port), &number).code || number > UINT16_MAX))
        return CC_FAIL(CONFIG, "a database's port");
    const char *address = egress_find(host, (uint16_t)number);
    if (!address)
        return CC_FAIL(CONFIG, "egress.routes has no row for the database's host and port");
    cc_assert(n + 1 < POSTGRES_DIAL_MAX);
    plan->keys[n] = "hostaddr";
    plan->values[n] = address;
    return CC_OK;
}

static unsigned items_in(const char *list)
{
    unsigned n = 1;
    for (; list && *list; list++)
        n += *list == ',';
    return n;
}

CC_ERR postgres_url_hosts(const char *url, unsigned *ret_count)
{
    CC_CLEANUP(parsed_freep) PQconninfoOption *parsed = NULL;
    CC_TRY(parse(url, &parsed));
    unsigned hosts = items_in(value_of(parsed, "host"));
    unsigned addresses = items_in(value_of(parsed, "hostaddr"));
    *ret_count = hosts > addresses ? hosts : addresses;
    return CC_OK;
}

/* Cuts a list down to its nth item, in place; a list of one is for all. */
static void keep_item(char *list, unsigned n)
{
    if (items_in(list) == 1)
        return;
    char *item = list;
    for (; n > 0 && (item = strchr(item, ',')); n--)
        item++;
    size_t len = item ? strcspn(item, ",") : 0;
    if (len)
        memmove(list, item, len);
    list[len] = 0;
}

CC_ERR postgres_url_dial(const char *url, unsigned host, struct postgres_dial *ret_plan)
{
    size_t n = 0;
    *ret_plan = (struct postgres_dial){0};
    CC_TRY(parse(url, &ret_plan->parsed));
    for (; n < ARRAY_LEN(defaults); n++) {
        ret_plan->keys[n] = defaults[n].key;
        ret_plan->values[n] = defaults[n].value;
    }
    for (PQconninfoOption *o = ret_plan->parsed; o->keyword; o++) {
        if (!o->val)
            continue;
        for (size_t i = 0; i < ARRAY_LEN(per_host); i++)
            if (strcmp(o->keyword, per_host[i]) == 0)
                keep_item(o->val, host);
        cc_assert(n + 1 < POSTGRES_DIAL_MAX);
        ret_plan->keys[n] = o->keyword;
        ret_plan->values[n++] = o->val;
    }
    cc_err err = take_egress(ret_plan, n);
    if (err.code)
        postgres_dial_release(ret_plan);
    return err;
}

void postgres_dial_add(struct postgres_dial *plan, const char *key, const char *value)
{
    size_t n = 0;
    while (plan->keys[n])
        n++;
    cc_assert(n + 1 < POSTGRES_DIAL_MAX);
    plan->keys[n] = key;
    plan->values[n] = value;
}

void postgres_dial_release(struct postgres_dial *plan)
{
    PQconninfoFree(plan->parsed);
    *plan = (struct postgres_dial){0};
}

/* --- for configuration and sandbox ---------------------------------------------------------------------------------- */

CC_ERR postgres_url_check(const char *url)
{
    unsigned hosts = 0;
    return postgres_url_hosts(url, &hosts);
}

static bool is_socket_list(const char *hosts)
{
    for (const char *host = hosts; host; host = strchr(host, ',')) {
        host += *host == ',';
        if (*host && *host != ',' && *host != '/')
            return false;
    }
    return true;
}

static bool has_any(const PQconninfoOption *parsed, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *value = value_of(parsed, keys[i]);
        if (value && value[0])
            return true;
    }
    return false;
}

static bool is_option(const PQconninfoOption *parsed, const char *key, const char *wanted)
{
    const char *value = value_of(parsed, key);
    return value && strcmp(value, wanted) == 0;
}

CC_ERR postgres_url_check_enclave(const char *url)
{
    static const char *const secrets[] = {"password", "passfile", "sslkey", "sslpassword"};
    static const char *const elsewhere[] = {"service"}; /* a file that says all of this anew */
    CC_CLEANUP(parsed_freep) PQconninfoOption *parsed = NULL;
    CC_TRY(parse(url, &parsed));
    const char *roots = value_of(parsed, "sslrootcert");
    const char *gss = value_of(parsed, "gssencmode");
    if (has_any(parsed, secrets, ARRAY_LEN(secrets)))
        return CC_FAIL(CONFIG, "has a password, a passfile or a private key: an enclave's image is "
                               "no secret; url_password_kms is the way");
    if (!is_option(parsed, "sslmode", "verify-full") || !roots || roots[0] != '/')
        return CC_FAIL(CONFIG, "lacks sslmode=verify-full with sslrootcert=/FILE: an enclave's "
                               "parent would be the database");
    if (has_any(parsed, elsewhere, ARRAY_LEN(elsewhere)) ||
        is_socket_list(value_of(parsed, "host")) || (gss && strcmp(gss, "disable") != 0))
        return CC_FAIL(CONFIG, "names no host by TCP, or a service or gssencmode, which take the "
                               "place of TLS");
    return CC_OK;
}

CC_ERR postgres_url_describe(const char *url, struct buf *out)
{
    static const char *const shown[] = {"host", "hostaddr", "port", "dbname", "user"};
    CC_CLEANUP(parsed_freep) PQconninfoOption *parsed = NULL;
    CC_TRY(parse(url, &parsed));
    CC_TRY(buf_append_str(out, "postgresql"));
    for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
        const char *value = value_of(parsed, shown[i]);
        if (value && value[0])
            CC_TRY(buf_printf(out, " %s=%s", shown[i], value));
    }
    return CC_OK;
}

bool postgres_url_is_remote(const char *url)
{
    CC_CLEANUP(parsed_freep) PQconninfoOption *parsed = NULL;
    if (parse(url, &parsed).code)
        return false;
    const char *addresses = value_of(parsed, "hostaddr");
    return (addresses && addresses[0]) || !is_socket_list(value_of(parsed, "host"));
}

const char *postgres_url_file(const char *url, unsigned n, char *ret_path, size_t room)
{
    CC_CLEANUP(parsed_freep) PQconninfoOption *parsed = NULL;
    if (parse(url, &parsed).code)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(file_options); i++) {
        const char *value = value_of(parsed, file_options[i]);
        if (!value || value[0] != '/' || n-- > 0)
            continue;
        (void)snprintf(ret_path, room, "%s", value);
        return ret_path;
    }
    return NULL;
}
