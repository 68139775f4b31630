/* Answers as a server may give them to `bench`: whatever comes, the reader stays inside, and a complete answer's parts fit. */
#include "cli/bench_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    size_t len = bench_answer_length(text);
    cc_assert(bench_answer_status(text) <= 999);
    if (len == 0 || len == SIZE_MAX)
        return 0;
    cc_assert(len <= size);
    struct span answer = span_of(data, len), body = bench_answer_body(answer);
    cc_assert(body.data + body.len == answer.data + answer.len);
    cc_assert(bench_answer_signatures(answer) <= len / 15);
    return 0;
}
