#include "core/key_audit.h"

#include <stdio.h>
#include <string.h>

#include "auth/policy.h"

static const char *operation_of(const struct a_keys_head *head)
{
    switch ((enum a_keys_verb)head->verb) {
    case KEYS_LIST:
        return "list";
    case KEYS_IMPORT:
    case KEYS_TAKE:
        return "import";
    case KEYS_DELETE:
        return "delete";
    case KEYS_SET:
        return head->flags & KEYS_INACTIVE ? "deactivate" : "activate";
    case KEYS_PAUSE:
        return "pause";
    case KEYS_RESUME:
        return "resume";
    case KEYS_GENERATE:
        return "generate";
    case KEYS_VERB_END:
        break;
    }
    return "UNKNOWN";
}

static const char *outcome_name(uint8_t outcome)
{
    static const char *const names[] = {
        [A_KEY_IMPORTED] = "imported",   [A_KEY_DUPLICATE] = "duplicate",
        [A_KEY_DELETED] = "deleted",     [A_KEY_NOT_ACTIVE] = "not_active",
        [A_KEY_NOT_FOUND] = "not_found", [A_KEY_CHANGED] = "changed",
        [A_KEY_UNCHANGED] = "unchanged", [A_KEY_GENERATED] = "generated",
    };
    return outcome < sizeof names / sizeof *names ? names[outcome] : NULL;
}

static struct audit_entry
entry_of(const struct a_keys *ask, const struct auth_verdict *verdict, uint32_t error)
{
    struct audit_entry entry = {
        .event = "keys", .operation = operation_of(&ask->head), .error = error};
    audit_entry_who(&entry, &ask->head.caller, verdict->principal);
    if (ask->head.flags & KEYS_ALL)
        (void)snprintf(entry.subject, sizeof entry.subject, "all keys");
    return entry;
}

static void set_rule(struct audit_entry *entry, const struct auth_verdict *verdict)
{
    entry->rule = policy_rule_name((enum policy_rule)verdict->rule);
    entry->reason = verdict->reason;
}

static void peek(struct authority *authority,
                 const struct a_keys *ask,
                 const struct eth_pubkey *pubkey,
                 struct auth_verdict *ret_verdict)
{
    const struct auth_question question = {
        .scope = (enum auth_scope)ask->head.scope, .kind = KIND_END, .pubkey = pubkey};
    authority_peek(authority, &ask->head.caller, &question, ret_verdict);
}

/* Zeros where a keystore could not be opened and named none. */
static bool is_known(const struct eth_pubkey *pubkey)
{
    static const struct eth_pubkey none;
    return !span_equal(span_of(pubkey, sizeof none), span_of(&none, sizeof none));
}

static void set_item(struct authority *authority,
                     const struct a_keys *ask,
                     const struct a_key_item *item,
                     struct audit_entry *entry)
{
    entry->pubkey = item->pubkey;
    entry->has_pubkey = is_known(&item->pubkey);
    entry->outcome = outcome_name(item->outcome);
    entry->error = item->outcome == A_KEY_ERROR ? item->error : 0;
    if (entry->error == ERROR_DENIED || entry->error == ERROR_UNAUTHENTICATED) {
        struct auth_verdict verdict; /* by the policy's rule for this key */
        peek(authority, ask, &item->pubkey, &verdict);
        set_rule(entry, &verdict);
    }
}

CC_ERR key_audit_admit(struct audit *audit, const struct a_keys *ask)
{
    const bool needs_none = ask->head.verb == KEYS_LIST || ask->head.verb == KEYS_PAUSE;
    return !needs_none && audit_blocks(audit) ? CC_FAIL(AUDIT, "the audit log can't be written")
                                              : CC_OK;
}

void key_audit_write(struct audit *audit,
                     struct authority *authority,
                     const struct a_keys *ask,
                     struct audit_entry entries[static A_KEYS_MAX],
                     struct a_keys_done *done)
{
    struct auth_verdict verdict;
    if (!audit || ask->head.verb == KEYS_LIST)
        return;
    peek(authority, ask, NULL, &verdict);
    const bool is_mnemonic = ask->head.verb == KEYS_GENERATE && ask->head.count == 0;
    struct audit_entry common = entry_of(ask, &verdict, done->head.error);
    if (is_mnemonic)
        (void)snprintf(common.subject, sizeof common.subject, "a mnemonic for %u keys",
                       ask->is.generate.total);
    size_t n = 0;
    for (uint32_t i = 0; !done->head.error && i < done->head.count; i++) {
        if (done->items[i].outcome == A_KEY_OPENED) /* what becomes of it is yet to come */
            continue;
        entries[n] = common;
        set_item(authority, ask, &done->items[i], &entries[n++]);
    }
    /* A new mnemonic is told of by itself: it has no key yet. */
    if (done->head.error || (ask->head.flags & KEYS_ALL) || is_mnemonic)
        entries[n++] = common;
    if (!audit_write(audit, entries, n).code)
        return;
    memset(done->items, 0, sizeof done->items); /* a backup too */
    done->head.count = 0;
    done->head.paused_all = 0;
    done->head.error = ERROR_AUDIT;
}

void key_audit_refused(struct audit *audit,
                       const struct a_keys *ask,
                       const struct auth_verdict *verdict)
{
    struct audit_entry entry = entry_of(ask, verdict, verdict->error);
    set_rule(&entry, verdict);
    if (ask->head.verb != KEYS_LIST || audit_wants(audit, entry.error))
        (void)audit_event(audit, &entry).code;
}
