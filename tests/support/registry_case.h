/* support/registry_case.h - for cmocka: an empty registry for each test, with keys that are numbered. */
#ifndef SUPPORT_REGISTRY_CASE_H
#define SUPPORT_REGISTRY_CASE_H

#include "core/registry.h"

extern struct registry *registry;

int registry_setup(void **state);
int registry_teardown(void **state);

/* Of key `n`; they are in no order. */
struct eth_pubkey numbered_pubkey(unsigned n);
struct key_lookup numbered_lookup(unsigned n);
struct registry_counts counts(void);
/* Gives each key that waits for one its protection row. */
void register_all(void);

#endif
