#include "slash/index.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/num.h"

enum {
    TABLE_MIN = 64,
    TAIL_MIN = 256
};

void slash_index_init(struct slash_index *index)
{
    *index = (struct slash_index){.first = 1, .next = 1};
    /* Without entropy the table is only easier to slow down, by someone who chooses the keys. */
    if (getrandom(&index->seed, sizeof index->seed, GRND_NONBLOCK) < 0)
        index->seed = (uint64_t)(uintptr_t)index;
}

void slash_index_release(struct slash_index *index)
{
    cc_free(index->keys);
    cc_free(index->table);
    cc_free(index->tail);
    *index = (struct slash_index){.first = 1, .next = 1};
}

/* --- keys --------------------------------------------------------------------------------------- */

static size_t slot_of(const struct slash_index *index, const struct eth_pubkey *pubkey)
{
    uint64_t h = index->seed;
    for (size_t i = 0; i < sizeof pubkey->bytes; i += 8) {
        h = (h ^ u64_load_le(pubkey->bytes + i)) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return (size_t)h & (index->table_size - 1);
}

static bool same_key(const struct eth_pubkey *a, const struct eth_pubkey *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

struct slash_key *slash_index_find(const struct slash_index *index, const struct eth_pubkey *pubkey)
{
    if (index->table_size == 0)
        return NULL;
    size_t at = slot_of(index, pubkey);
    for (; index->table[at]; at = (at + 1) & (index->table_size - 1)) {
        struct slash_key *key = &index->keys[index->table[at] - 1];
        if (same_key(&key->pubkey, pubkey))
            return key;
    }
    return NULL;
}

static int row_order(const void *wanted, const void *element)
{
    int64_t row = *(const int64_t *)wanted;
    const struct slash_key *key = element;
    return (row > key->row) - (row < key->row);
}

struct slash_key *slash_index_find_row(const struct slash_index *index, int64_t row)
{
    if (index->count == 0)
        return NULL;
    return bsearch(&row, index->keys, index->count, sizeof *index->keys, row_order);
}

static void insert(struct slash_index *index, size_t position)
{
    size_t at = slot_of(index, &index->keys[position].pubkey);
    while (index->table[at])
        at = (at + 1) & (index->table_size - 1);
    index->table[at] = (uint32_t)position + 1;
}

static cc_err grow_table(struct slash_index *index)
{
    size_t size = index->table_size ? index->table_size * 2 : TABLE_MIN;
    uint32_t *table = cc_alloc_array(size, sizeof *table);
    if (!table)
        return CC_FAIL(NO_MEMORY, "key table");
    cc_free(index->table);
    index->table = table;
    index->table_size = size;
    for (size_t i = 0; i < index->count; i++)
        insert(index, i);
    return CC_OK;
}

CC_ERR slash_index_add(struct slash_index *index,
                       const struct eth_pubkey *pubkey,
                       int64_t row,
                       struct slash_key **ret_key)
{
    if (slash_index_find(index, pubkey))
        return CC_FAIL(TAMPERED, "a key has two rows");
    if (index->count && index->keys[index->count - 1].row >= row)
        return CC_FAIL(TAMPERED, "rows out of order");
    if (index->count >= UINT32_MAX - 1)
        return CC_FAIL(LIMIT, "keys");
    struct slash_key *keys = cc_grow_array(index->keys, index->count, &index->room, sizeof *keys);
    if (!keys)
        return CC_FAIL(NO_MEMORY, "keys");
    index->keys = keys;
    if ((index->count + 1) * 2 > index->table_size)
        CC_TRY(grow_table(index));
    index->keys[index->count] = (struct slash_key){.pubkey = *pubkey, .row = row};
    *ret_key = &index->keys[index->count];
    insert(index, index->count++);
    return CC_OK;
}

/* --- tail --------------------------------------------------------------------------------------- */

CC_ERR slash_index_reserve(struct slash_index *index, size_t n)
{
    size_t used = (size_t)(index->next - index->first);
    if (index->tail_start && index->tail_start + used + n > index->tail_room) {
        memmove(index->tail, index->tail + index->tail_start, used * sizeof *index->tail);
        index->tail_start = 0;
    }
    if (used + n <= index->tail_room)
        return CC_OK;
    size_t room = index->tail_room ? index->tail_room : TAIL_MIN;
    while (room < used + n)
        room *= 2;
    struct slash_tail_record *tail = cc_realloc_array(index->tail, room, sizeof *tail);
    if (!tail)
        return CC_FAIL(NO_MEMORY, "tail");
    index->tail = tail;
    index->tail_room = room;
    return CC_OK;
}

const struct slash_tail_record *slash_index_tail(const struct slash_index *index, uint64_t number)
{
    cc_assert(number >= index->first && number < index->next);
    return &index->tail[index->tail_start + (size_t)(number - index->first)];
}

static struct slash_tail_record *append(struct slash_index *index, struct slash_key *key)
{
    size_t at = index->tail_start + (size_t)(index->next - index->first);
    cc_assert(at < index->tail_room);
    struct slash_tail_record *record = &index->tail[at];
    *record = (struct slash_tail_record){.older = key->newest_tail, .row = key->row};
    key->newest_tail = index->next++;
    return record;
}

void slash_index_append_block(struct slash_index *index,
                              struct slash_key *key,
                              const struct slash_block *block)
{
    struct slash_tail_record *record = append(index, key);
    record->kind = SLASH_CLAIM_BLOCK;
    record->block = *block;
    slash_key_saw_block(key, block);
    if (!key->low.has_slot) {
        key->low.has_slot = true;
        key->low.slot = block->slot;
    }
}

void slash_index_append_attestation(struct slash_index *index,
                                    struct slash_key *key,
                                    const struct slash_attestation *attestation)
{
    struct slash_tail_record *record = append(index, key);
    record->kind = SLASH_CLAIM_ATTESTATION;
    record->attestation = *attestation;
    slash_key_saw_attestation(key, attestation);
    if (!key->low.has_epochs) {
        key->low.has_epochs = true;
        key->low.source = attestation->source;
        key->low.target = attestation->target;
    }
}

void slash_index_append_folded(struct slash_index *index, int64_t row)
{
    struct slash_key nobody = {.row = row};
    struct slash_tail_record *record = append(index, &nobody);
    record->kind = SLASH_CLAIM_ATTESTATION;
}

bool slash_index_is_folded(const struct slash_index *index, uint64_t number, int64_t row)
{
    return number < index->first || (number < index->fold_below && row < index->fold_row);
}

const struct slash_tail_record *slash_index_older(const struct slash_index *index,
                                                  const struct slash_key *key,
                                                  uint64_t number,
                                                  uint64_t *ret_number)
{
    uint64_t at = number ? slash_index_tail(index, number)->older : key->newest_tail;
    if (slash_index_is_folded(index, at, key->row))
        return NULL;
    *ret_number = at;
    return slash_index_tail(index, at);
}

void slash_index_fold_keys(struct slash_index *index, uint64_t below, int64_t row)
{
    cc_assert(below > index->first && below <= index->next);
    index->fold_below = below;
    index->fold_row = row;
}

void slash_index_folded(struct slash_index *index, uint64_t first)
{
    cc_assert(first >= index->first && first <= index->next);
    index->tail_start += (size_t)(first - index->first);
    index->first = first;
    if (first < index->fold_below)
        return;
    index->fold_below = 0;
    index->fold_row = 0;
}

/* --- the newest records --------------------------------------------------------------------------- */

void slash_key_saw_block(struct slash_key *key, const struct slash_block *block)
{
    if (key->has_block && block->slot < key->block.slot)
        return;
    key->has_block = true;
    key->block = *block;
}

void slash_key_saw_attestation(struct slash_key *key, const struct slash_attestation *attestation)
{
    if (key->has_attestation && attestation->target < key->attestation.target)
        return;
    key->has_attestation = true;
    key->attestation = *attestation;
}

bool slash_key_covers_block(const struct slash_key *key, uint64_t slot)
{
    return !key->has_block || slot >= key->block.slot;
}

/* At the newest target only the newest record decides. Beyond it, a record conflicts when its source is later than
 * the claim's. Kept records never contradict one another (slash/merge.h), so none has a later source than the
 * newest: if any conflicts, that one does, and it is the one that a judge would report.
 */
bool slash_key_covers_attestation(const struct slash_key *key, uint64_t target)
{
    return !key->has_attestation || target >= key->attestation.target;
}
