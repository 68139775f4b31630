#include "core/audit_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "secret/ct.h"

void audit_check_init(struct audit_check *check)
{
    *check = (struct audit_check){.report = buf_init(AUDIT_REPORT_MAX)};
}

void audit_check_release(struct audit_check *check)
{
    audit_chain_wipe(&check->chain);
    buf_release(&check->report);
}

/* --- findings --------------------------------------------------------------------------------------------------------- */

static cc_err say(struct audit_check *check, const char *what, const char *more)
{
    char line[160];
    int n = snprintf(line, sizeof line, "segment %" PRIu64 ": %s%s\n", check->chain.at.segment,
                     what, more);
    if (n < 0 || (size_t)n >= sizeof line || check->report.len + (size_t)n > check->report.max)
        return CC_OK; /* the counts tell that there is more */
    return buf_append(&check->report, line, (size_t)n);
}

static cc_err fault(struct audit_check *check, const char *fmt, ...) CC_PRINTF(2, 3);
static cc_err fault(struct audit_check *check, const char *fmt, ...)
{
    char text[128];
    va_list arguments;
    va_start(arguments, fmt);
    (void)vsnprintf(text, sizeof text, fmt, arguments);
    va_end(arguments);
    return ++check->faults > AUDIT_FAULTS_SHOWN ? CC_OK : say(check, text, "");
}

static cc_err note(struct audit_check *check, const char *text)
{
    check->notes++;
    return say(check, "note: ", text);
}

/* --- a segment -------------------------------------------------------------------------------------------------------- */

void audit_check_segment(struct audit_check *check,
                         uint64_t segment,
                         const uint8_t key[static AUDIT_KEY_SIZE])
{
    audit_chain_begin(&check->chain, segment, key);
    check->header = (struct audit_header){0};
    check->has_header = check->ended = check->torn = check->lost = false;
    check->expected_count = 0;
    check->skipped = 0;
    check->segments++;
}

void audit_check_expect(struct audit_check *check,
                        const struct audit_position *position,
                        const char *whose)
{
    if (position->segment != check->chain.at.segment || position->lines == 0)
        return;
    cc_assert(check->expected_count < AUDIT_EXPECTED_MAX);
    check->expected[check->expected_count++] =
        (struct audit_expected){.at = *position, .whose = whose};
}

static void look_at_expected(struct audit_check *check)
{
    for (size_t i = 0; i < check->expected_count; i++) {
        struct audit_expected *e = &check->expected[i];
        if (e->at.lines != check->chain.at.lines)
            continue;
        e->met = true;
        e->differs = !ct_equal(e->at.mac, check->chain.at.mac, AUDIT_MAC_SIZE);
    }
}

static bool same_place(const struct audit_position *a, const struct audit_position *b)
{
    return a->segment == b->segment && a->lines == b->lines &&
           ct_equal(a->mac, b->mac, AUDIT_MAC_SIZE);
}

/* The first line names the end of the segment before. */
static cc_err take_header(struct audit_check *check, struct span line)
{
    check->has_header = true;
    if (audit_header_read(line, &check->header).code)
        return fault(check, "line 1 is not the first line of a segment");
    if (check->has_before && check->before.lines &&
        !same_place(&check->header.previous, &check->before))
        return fault(check, "the end of the segment before was changed after this one had begun");
    return CC_OK;
}

/* Lines are missing: their keys are passed over, and the next line's word for the MAC before it can't be checked. */
static cc_err pass_gap(struct audit_check *check, const struct audit_parts *parts)
{
    const uint64_t first = check->chain.at.lines + 1;
    CC_TRY(fault(check, "lines %" PRIu64 " to %" PRIu64 " were removed", first, parts->line - 1));
    if (parts->line - first > AUDIT_SKIP_MAX - check->skipped) {
        check->lost = true;
        return CC_OK;
    }
    check->skipped += parts->line - first;
    while (check->chain.at.lines < parts->line)
        audit_chain_skip(&check->chain);
    memcpy(check->chain.at.mac, parts->mac, AUDIT_MAC_SIZE);
    check->ended = span_is(parts->event, "end");
    return CC_OK;
}

static cc_err
take_in_order(struct audit_check *check, const struct audit_parts *parts, struct span line)
{
    audit_chain_next(&check->chain, parts->prefix);
    if (!ct_equal(check->chain.at.mac, parts->mac, AUDIT_MAC_SIZE)) {
        /* What follows was chained to what stood here. */
        memcpy(check->chain.at.mac, parts->mac, AUDIT_MAC_SIZE);
        CC_TRY(fault(check, "line %" PRIu64 " was changed", parts->line));
    }
    look_at_expected(check);
    check->lines++;
    if (check->ended)
        CC_TRY(fault(check, "line %" PRIu64 " stands behind the end", parts->line));
    check->ended = span_is(parts->event, "end");
    return parts->line == 1 ? take_header(check, line) : CC_OK;
}

CC_ERR audit_check_line(struct audit_check *check, struct span line, bool whole)
{
    struct audit_parts parts;
    if (check->lost)
        return CC_OK;
    if (!whole) {
        check->torn = true;
        return CC_OK;
    }
    if (audit_line_read(line, &parts).code) {
        /* Which line it was is its place: the next one is the one after it, or there is a gap. */
        return fault(check, "line %" PRIu64 " is no line of an audit log",
                     check->chain.at.lines + 1);
    }
    if (parts.segment != check->chain.at.segment)
        return fault(check, "a line of segment %" PRIu64 " was put behind line %" PRIu64,
                     parts.segment, check->chain.at.lines);
    if (parts.line <= check->chain.at.lines)
        return fault(check, "line %" PRIu64 " stands behind line %" PRIu64 ": moved or repeated",
                     parts.line, check->chain.at.lines);
    if (parts.line > check->chain.at.lines + 1)
        return pass_gap(check, &parts);
    return take_in_order(check, &parts, line);
}

CC_ERR audit_check_segment_end(struct audit_check *check)
{
    const uint64_t lines = check->chain.at.lines;
    for (size_t i = 0; i < check->expected_count && !check->lost; i++) {
        const struct audit_expected *e = &check->expected[i];
        if (!e->met && e->at.lines > lines)
            CC_TRY(fault(check, "its end was cut: there are %" PRIu64 " lines, and by %s %" PRIu64,
                         lines, e->whose, e->at.lines));
        else if (e->differs)
            CC_TRY(
                fault(check, "line %" PRIu64 " is another one than by %s", e->at.lines, e->whose));
    }
    if (!check->has_header && lines)
        CC_TRY(fault(check, "its first line is missing"));
    if (!check->ended && !check->lost)
        CC_TRY(note(
            check,
            "no last line: the signer runs, or was killed, or lost power; what it wrote in the "
            "second before may be missing"));
    if (check->torn)
        CC_TRY(note(check, "the last line is incomplete, as a power cut leaves it"));
    check->before = check->chain.at;
    check->has_before = !check->lost;
    return CC_OK;
}

CC_ERR audit_check_missing(struct audit_check *check, uint64_t segment)
{
    check->chain.at.segment = segment;
    check->has_before = false;
    return fault(check, "is missing");
}
