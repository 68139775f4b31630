#include <string.h>

#include "front/http_inside.h"

/* What is wrong with it is nobody's error: the request just begins a trace of its own. */
void trace_take_header(struct request *r, struct span value)
{
    struct traceparent parent;
    memset(r->trace.trace_id, 0, sizeof r->trace.trace_id);
    if (++r->traceparents > 1 || !value.data || traceparent_parse(value, &parent).code)
        return;
    memcpy(r->trace.trace_id, parent.trace_id, sizeof r->trace.trace_id);
    memcpy(r->trace.parent_id, parent.parent_id, sizeof r->trace.parent_id);
    r->trace.sampled = parent.sampled;
}
