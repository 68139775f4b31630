/* Any text: loaded within its limits or refused, and every node can be walked. */
#include "codec/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(const struct yml_node *node, uint32_t depth)
{
    cc_assert(depth <= YML_DEPTH_MAX && node->line >= 1 && node->column >= 1);
    size_t n = node->text.len;
    cc_assert(node->text.data[n] == 0);
    uint32_t count = 0;
    YML_EACH(child, node)
    {
        cc_assert((child->key != NULL) == (node->kind == YML_MAPPING));
        n += walk(child, depth + 1);
        count++;
    }
    cc_assert(count == node->count);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct yml_limits limits = {1 << 16, YML_DEPTH_MAX, 4096, 64};
    struct yml yml;
    struct yml_fault fault;
    cc_err err = yml_load(span_of(data, size), &limits, &yml, &fault);
    if (err.code) {
        cc_assert(!yml.first && fault.text);
        return 0;
    }
    uint32_t documents = 0;
    for (const struct yml_node *root = yml.first; root; root = root->next, documents++)
        (void)walk(root, 0);
    cc_assert(documents == yml.documents);
    yml_release(&yml);
    return 0;
}
