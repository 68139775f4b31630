/* support/policy_model.h - a second evaluator of policies, written from docs/access.md alone.
 *
 * It reads the same JSON with cJSON, keeps it as text, and goes through the rules one by one: no sets, no table of keys, none of the
 * code under test but for the table of signing kinds, which is what operations are.
 */
#ifndef SUPPORT_POLICY_MODEL_H
#define SUPPORT_POLICY_MODEL_H

#include <cJSON.h>
#include <stdbool.h>
#include <stdint.h>

/* All as text, as it stands in JSON; NULL: the question has none. */
struct model_question {
    const char *scope;
    const char *kind; /* of a signing request: a name of eth/kind.def */
    const char *key;
    const char *recipient;
    const char *gas_limit; /* decimal */
    const char *address;
};

struct model_answer {
    int effect; /* -1 deny, 0 nothing, 1 allow */
    int policy; /* whose rule decides, from 0 */
    int number; /* of the rule, from 1 */
};

struct model_answer
model_judge(cJSON *const *policies, int count, const struct model_question *question);

#endif
