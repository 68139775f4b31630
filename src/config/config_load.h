/* config/config_load.h - one loading of the configuration, layer by layer.
 *
 * WHAT      What config.c (order of the layers), config_file.c (YAML) and config_check.c (rules over several
 *           options) share: the config in the making, where each value came from, and the faults found.
 * PROMISE   A fault never ends a loading: all are collected. No fault shows a value.
 * THREADS   One per loading.   OWNERSHIP Borrows everything.   ERRORS Counted in the faults.   SECRETS None.
 */
#ifndef CONFIG_CONFIG_LOAD_H
#define CONFIG_CONFIG_LOAD_H

#include "config/config_table.h"

struct config_loading {
    struct config *config;
    struct config_faults *faults;
};

/* Notes a fault of the option `path` ("": none) at `place`. */
void config_fault(struct config_loading *loading,
                  struct config_place place,
                  const char *path,
                  const char *fmt,
                  ...) CC_PRINTF(4, 5);
/* The fault of `row` when setting it failed: the detail of the last error, and what the row takes. */
void config_fault_value(struct config_loading *loading,
                        struct config_place place,
                        const struct config_row *row,
                        cc_err err);
/* The fault or warning of a path that no row has. */
void config_fault_unknown(struct config_loading *loading,
                          struct config_place place,
                          const char *path);

/* Sets what a word in the place of the section `path` stands for; false when it is none. */
bool config_set_word(struct config_loading *loading,
                     struct config_place place,
                     const char *path,
                     struct span word);
/* The fault of a section that was given a value. */
void config_fault_section(struct config_loading *loading,
                          struct config_place place,
                          const char *path);

/* `name` stands for the file in messages. */
void config_load_text(struct config_loading *loading, const char *name, struct span text);
void config_load_file(struct config_loading *loading, const char *path);
void config_check_rules(struct config_loading *loading);
/* env:NAME or file:PATH: where the value of a secret option is, instead of it. */
bool config_is_reference(const char *text);
/* Reads what such a reference names. */
CC_ERR
config_read_reference(const char *reference, char *const *environment, struct buf *ret_text);
/* Puts the values in the place of references; after the rules, which look at what was written. */
void config_resolve_secrets(struct config_loading *loading, char *const *environment);

#endif
