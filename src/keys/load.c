#include "keys/load.h"

#include "base/alloc.h"
#include "base/log.h"

#include "keys/eip2335.h"
#include "keys/fence.h"
#include "keys/load_vault.h"
#include "keys/web3signer_yaml.h"
#include "secret/arena.h"
#include "secret/wipe.h"

/* --- items ------------------------------------------------------------------------------------------- */

static cc_err item_add(struct load *load, const char *path, size_t *ret_index)
{
    if (load->count >= KEY_FILES_MAX)
        return CC_FAIL(LIMIT, "too many keys");
    struct load_item *items =
        cc_grow_array(load->items, load->count, &load->capacity, sizeof *items);
    if (!items)
        return CC_FAIL(NO_MEMORY, "list of keys");
    load->items = items;
    char *copy = cc_strdup(path);
    if (!copy)
        return CC_FAIL(NO_MEMORY, "path");
    load->items[load->count] = (struct load_item){.path = copy, .state = ITEM_WAITS};
    *ret_index = load->count++;
    return CC_OK;
}

static cc_err copy_path(const char *path, char **ret_copy)
{
    *ret_copy = cc_strdup(path);
    return *ret_copy ? CC_OK : CC_FAIL(NO_MEMORY, "path");
}

/* An error that concerns this load, not the file that was being read. */
static bool is_ours(cc_err err)
{
    return error_is(err, ERROR_NO_MEMORY) || error_is(err, ERROR_DOOR_CLOSED) ||
           error_is(err, ERROR_PROTOCOL);
}

/* Ends the load for an error of ours; else reports the file and goes on. */
static cc_err
refuse(struct load *load, const char *path, cc_err why, const struct eth_pubkey *pubkey)
{
    if (is_ours(why))
        return why;
    return report_failed(&load->report, path, why, error_detail(), pubkey);
}

static cc_err refuse_item(struct load *load, struct load_item *item, cc_err why)
{
    item->state = ITEM_ENDED;
    return refuse(load, item->path, why, item->has_pubkey ? &item->pubkey : NULL);
}

/* --- the first phase --------------------------------------------------------------------------------- */

/* Reads and parses a keystore into load->secrets->keystore. */
static cc_err read_keystore(struct load *load, const char *path, struct key_file_facts *ret_facts)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(EIP2335_TEXT_MAX);
    CC_TRY(key_file_read(path, load->config->strict_permissions, &text, ret_facts));
    return eip2335_parse(text.data, text.len, &load->secrets->keystore);
}

/* A keystore was read: takes its public key, and tells the core of a key that it has not heard of. */
static cc_err take_found(struct load *load, size_t index)
{
    struct load_item *item = &load->items[index];
    const struct k_keystore *keystore = &load->secrets->keystore;
    if (!keystore->has_pubkey)
        return report_found(&load->report, item->path, NULL);
    item->has_pubkey = true;
    item->pubkey = keystore->pubkey;
    if (key_map_find(&load->keys, &item->pubkey))
        return CC_OK;
    CC_TRY(key_map_put(&load->keys, &item->pubkey, (uint32_t)index));
    return report_found(&load->report, item->path, &item->pubkey);
}

static cc_err look_at_keystore(struct load *load, size_t index)
{
    struct load_item *item = &load->items[index];
    const char *path = item->keystore_path ? item->keystore_path : item->path;
    struct key_file_facts facts;
    cc_err err = read_keystore(load, path, &facts);
    if (facts.open_to_others && !load->config->strict_permissions)
        report_open_file(&load->report, path);
    /* Named by a description: so the keystore is not one of its own as well. */
    if (item->keystore_path && facts.opened)
        CC_TRY(key_map_put(&load->files, &facts.identity, 0));
    return err.code ? refuse_item(load, item, err) : take_found(load, index);
}

struct description {
    struct load *load;
    const char *path;
};

static cc_err take_raw(struct load *load, const char *path, const struct key_descriptor *d)
{
    size_t index;
    CC_TRY(item_add(load, path, &index));
    return load_vault_add_raw(load, index, d->secret);
}

static cc_err take_keystore(struct load *load, const char *path, const struct key_descriptor *d)
{
    char named[KEY_PATH_MAX];
    size_t index;
    CC_TRY(item_add(load, path, &index));
    struct load_item *item = &load->items[index];
    cc_err err = key_path_beside(path, d->keystore_file, named);
    if (err.code)
        return refuse_item(load, item, err);
    CC_TRY(copy_path(named, &item->keystore_path));
    err = key_path_beside(path, d->password_file, named);
    if (err.code)
        return refuse_item(load, item, err);
    CC_TRY(copy_path(named, &item->password_path));
    return look_at_keystore(load, index);
}

static cc_err take_description(void *context, const struct key_descriptor *d)
{
    const struct description *from = context;
    if (d->error.code)
        return report_failed(&from->load->report, from->path, d->error, d->detail, NULL);
    if (d->kind == DESCRIPTOR_RAW)
        return take_raw(from->load, from->path, d);
    return take_keystore(from->load, from->path, d);
}

static cc_err look_at_yaml(struct load *load, const char *path)
{
    struct description from = {load, path};
    struct key_file_facts facts;
    struct yml_fault fault;
    CC_CLEANUP(buf_release) struct buf text = buf_init(KEY_YAML_TEXT_MAX);
    cc_err err = key_file_read(path, load->config->strict_permissions, &text, &facts);
    if (err.code)
        return refuse(load, path, err, NULL);
    if (facts.open_to_others)
        report_open_file(&load->report, path);
    err = key_yaml_parse(buf_span(&text), take_description, &from, &fault);
    if (!error_is(err, ERROR_YAML_SYNTAX))
        return err;
    log_warn("not valid YAML", KV_STR("path", path), KV_NUM("line", fault.line));
    return report_failed(&load->report, path, err, fault.text, NULL);
}

/* staking-deposit-cli writes deposit_data-*.json among the keystores: no key, and no fault. */
static bool is_deposit_data(const char *path)
{
    static const char prefix[] = "deposit_data";
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    return strncmp(name, prefix, sizeof prefix - 1) == 0;
}

static cc_err look_at_json(struct load *load, const char *path)
{
    struct key_file_facts facts;
    size_t index;
    cc_err err = read_keystore(load, path, &facts);
    if (facts.opened && key_map_find(&load->files, &facts.identity))
        return CC_OK;
    if (error_is(err, ERROR_KEYSTORE) && is_deposit_data(path)) {
        log_info("deposit data is no keystore, passing it over", KV_STR("path", path));
        return CC_OK;
    }
    if (facts.open_to_others && !load->config->strict_permissions)
        report_open_file(&load->report, path);
    if (err.code)
        return refuse(load, path, err, NULL);
    CC_TRY(item_add(load, path, &index));
    return take_found(load, index);
}

/* Each of its files is refused, so that what is not loaded has a name and a number. */
static cc_err refuse_all(struct load *load, const char *path, cc_err why)
{
    CC_CLEANUP(key_files_release) struct key_files fenced = {0};
    const char *detail = error_detail();
    log_error("a key directory is fenced off: none of its keys is loaded", KV_STR("path", path),
              KV_STR("reason", detail),
              KV_STR("hint", "whose keys are these? Two signers with two histories slash them"));
    CC_TRY(report_failed(&load->report, path, why, detail, NULL));
    cc_err err = key_files_scan(&fenced, path);
    if (err.code)
        return refuse(load, path, err, NULL);
    for (size_t i = 0; i < fenced.count; i++)
        CC_TRY(report_failed(&load->report, fenced.items[i].path, why, "fenced off", NULL));
    load->report.files += fenced.count;
    return CC_OK;
}

static cc_err list_path(struct load *load, const char *path, struct key_files *files)
{
    bool there = false;
    cc_err err =
        load->doors.knows_history ? fence_check(path, load->doors.history_id, &there) : CC_OK;
    if (error_is(err, ERROR_KEY_FENCED))
        return refuse_all(load, path, err);
    if (!err.code)
        err = key_files_scan(files, path);
    if (!err.code)
        return CC_OK;
    load->report.incomplete = true;
    return refuse(load, path, err, NULL);
}

static cc_err list_files(struct load *load, struct key_files *files)
{
    for (uint32_t i = 0; i < load->config->path_count; i++)
        CC_TRY(list_path(load, load->config->paths[i], files));
    load->report.files += files->count;
    return CC_OK;
}

/* Descriptions first: they say which keystores are not files of their own. */
static cc_err look_at_all(struct load *load)
{
    CC_CLEANUP(key_files_release) struct key_files files = {0};
    CC_TRY(list_files(load, &files));
    for (size_t i = 0; i < files.count; i++)
        if (files.items[i].kind == KEY_FILE_YAML)
            CC_TRY(look_at_yaml(load, files.items[i].path));
    for (size_t i = 0; i < files.count; i++)
        if (files.items[i].kind == KEY_FILE_JSON)
            CC_TRY(look_at_json(load, files.items[i].path));
    CC_TRY(load_vault_drain(load)); /* the raw keys' public keys */
    return report_done(&load->report, true);
}

/* --- the second phase -------------------------------------------------------------------------------- */

static cc_err try_password(struct load *load, const char *path, bool *ret_missing)
{
    struct key_file_facts facts;
    bool strict = load->config->strict_permissions;
    cc_err err = key_password_read(path, strict, &load->secrets->password, &facts);
    *ret_missing = facts.missing;
    if (!err.code && facts.open_to_others)
        report_open_file(&load->report, path);
    return err;
}

/* The keystore's own password file in the directory for them or beside the keystore, then the one for all. */
static cc_err find_password(struct load *load, const char *keystore_path)
{
    const struct filesystem_config *config = load->config;
    const struct {
        const char *directory;
        const char *suffix;
        bool wanted;
    } places[] = {
        {config->passwords_path, ".txt", config->passwords_path[0] != 0},
        {NULL, ".txt", true},
        {NULL, ".password", true},
    };
    char path[KEY_PATH_MAX];
    bool missing = false;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (!places[i].wanted)
            continue;
        CC_TRY(key_path_of_password(keystore_path, places[i].directory, places[i].suffix, path));
        cc_err err = try_password(load, path, &missing);
        if (!missing)
            return err;
    }
    if (config->password_file[0])
        return try_password(load, config->password_file, &missing);
    return CC_FAIL(PASSWORD_FILE, "there is no password file");
}

static CC_SENSITIVE cc_err prepare(struct load *load, const struct load_item *item)
{
    struct load_secrets *s = load->secrets;
    struct key_file_facts facts;
    const char *path = item->keystore_path ? item->keystore_path : item->path;
    CC_TRY(read_keystore(load, path, &facts));
    bool missing;
    CC_TRY(item->password_path ? try_password(load, item->password_path, &missing)
                               : find_password(load, path));
    memcpy(s->keystore.password, s->password.bytes, s->password.len);
    s->keystore.password_len = (uint32_t)s->password.len;
    wipe(&s->password, sizeof s->password);
    return CC_OK;
}

static cc_err send_keystore(struct load *load, size_t index)
{
    CC_TRY(load_vault_room(load));
    struct load_item *item = &load->items[index];
    if (item->has_pubkey && load_is_duplicate(load, item, &item->pubkey))
        return CC_OK;
    cc_err err = prepare(load, item);
    if (!err.code)
        return load_vault_send_keystore(load, index);
    wipe(load->secrets, sizeof *load->secrets);
    return refuse_item(load, item, err);
}

static cc_err send_all(struct load *load)
{
    CC_TRY(load_vault_ask_held(load));
    for (size_t i = 0; i < load->count; i++)
        if (load->items[i].state == ITEM_WAITS)
            CC_TRY(send_keystore(load, i));
    CC_TRY(load_vault_drain(load));
    return report_done(&load->report, false);
}

/* --- all of it --------------------------------------------------------------------------------------- */

static cc_err run(struct load *load)
{
    CC_TRY(look_at_all(load));
    CC_TRY(send_all(load));
    const struct report *r = &load->report;
    log_info("key files read", KV_NUM("files", r->files), KV_NUM("loaded", r->loaded),
             KV_NUM("failed", r->failed), KV_NUM("duplicates", r->duplicates),
             KV_NUM("open_to_others", r->open_files));
    return CC_OK;
}

static void load_freep(struct load **at)
{
    struct load *load = *at;
    if (!load)
        return;
    for (size_t i = 0; i < load->count; i++) {
        cc_free(load->items[i].path);
        cc_free(load->items[i].keystore_path);
        cc_free(load->items[i].password_path);
    }
    cc_free(load->items);
    cc_free(load->message);
    key_map_release(&load->keys);
    key_map_release(&load->files);
    if (load->secrets) {
        wipe(load->secrets, sizeof *load->secrets);
        secret_unmap(load->secrets, sizeof *load->secrets);
    }
    cc_free(load);
}

CC_ERR load_run(const struct filesystem_config *config, const struct load_doors *doors)
{
    CC_CLEANUP(load_freep) struct load *load = cc_alloc(sizeof *load);
    if (!load)
        return CC_FAIL(NO_MEMORY, "load");
    load->config = config;
    load->doors = *doors;
    load->report.fd = doors->load_fd;
    load->report.life = doors->load_life;
    load->window = config->keystore_load_concurrency ? config->keystore_load_concurrency : 1;
    load->message = cc_alloc(sizeof *load->message);
    if (!load->message)
        return CC_FAIL(NO_MEMORY, "door message");
    void *secrets;
    CC_TRY(secret_map(sizeof *load->secrets, &secrets));
    load->secrets = secrets;
    return run(load);
}
