/* Lines over the last half hour: a picture, what it says in words, and its numbers. */
#include <inttypes.h>

#include "base/num.h"

#include "core/status_page.h"

enum {
    WIDTH = 600,
    HEIGHT = 150,
    LEFT = 8,
    TOP = 8,
    SHOWN = 12,     /* numbers in the table: the newest */
    POINTS_MIN = 19 /* three minutes fill the width at least */
};

static cc_err put_value(const struct status_chart *c, uint64_t value, struct buf *out)
{
    return c->scale == 1 ? buf_printf(out, "%" PRIu64, value)
                         : buf_printf(out, "%" PRIu64 ".%" PRIu64, value / c->scale,
                                      value % c->scale * 10 / c->scale);
}

static uint64_t highest(const struct status_chart *c, const struct board_view *b)
{
    uint64_t high = 0;
    for (size_t line = 0; line < c->count; line++)
        for (uint32_t i = 0; i < b->point_count; i++)
            high = u64_max(high, c->lines[line].value(&b->points[i]));
    return high;
}

/* A straight line has nothing to divide by. */
static cc_err put_line(const struct status_chart *c,
                       const struct board_view *b,
                       size_t line,
                       uint64_t high,
                       struct buf *out)
{
    const uint64_t across = u64_max(b->point_count, POINTS_MIN);
    CC_TRY(buf_printf(out, "<polyline class=\"line%zu\" points=\"", line));
    /* The first one twice, at both ends of its interval. */
    for (uint32_t i = 0; i <= b->point_count; i++) {
        const uint64_t value = c->lines[line].value(&b->points[i ? i - 1 : 0]);
        CC_TRY(buf_printf(out, "%s%" PRIu64 ",%" PRIu64, i ? " " : "",
                          LEFT + (across - b->point_count + i) * (WIDTH - 2 * LEFT) / across,
                          HEIGHT - TOP - value * (HEIGHT - 2 * TOP) / (high ? high : 1)));
    }
    return buf_append_str(out, "\"/>");
}

static cc_err put_words(const struct status_chart *c, const struct board_view *b, struct buf *out)
{
    for (size_t line = 0; line < c->count; line++) {
        CC_TRY(buf_printf(out, "%s<span class=\"key%zu\">%s</span> ", line ? "; " : "", line,
                          c->lines[line].name));
        CC_TRY(put_value(c, c->lines[line].value(&b->points[b->point_count - 1]), out));
    }
    CC_TRY(buf_printf(out, " %s now; at most ", c->unit));
    CC_TRY(put_value(c, highest(c, b), out));
    return buf_append_str(out, " in the last half hour.");
}

static cc_err put_picture(const struct status_chart *c, const struct board_view *b, struct buf *out)
{
    const uint64_t high = highest(c, b);
    CC_TRY(buf_printf(out,
                      "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"%s-t\">"
                      "<title id=\"%s-t\">%s, the last half hour</title>"
                      "<path class=\"grid\" d=\"M%d %dH%dM%d %dH%dM%d %dH%d\"/>",
                      WIDTH, HEIGHT, c->id, c->id, c->title, LEFT, TOP, WIDTH - LEFT, LEFT,
                      HEIGHT / 2, WIDTH - LEFT, LEFT, HEIGHT - TOP, WIDTH - LEFT));
    for (size_t line = 0; line < c->count; line++)
        CC_TRY(put_line(c, b, line, high, out));
    return buf_append_str(out, "</svg>");
}

static cc_err put_table(const struct status_chart *c, const struct board_view *b, struct buf *out)
{
    CC_TRY(buf_printf(out,
                      "<details><summary>Numbers: %s</summary><table><caption>%s, the newest "
                      "intervals of %d s</caption><thead><tr><th scope=\"col\">until</th>",
                      c->title, c->title, BOARD_POINT_S));
    for (size_t line = 0; line < c->count; line++)
        CC_TRY(buf_printf(out, "<th scope=\"col\">%s (%s)</th>", c->lines[line].name, c->unit));
    CC_TRY(buf_append_str(out, "</tr></thead><tbody>"));
    for (uint32_t i = 0; i < b->point_count && i < SHOWN; i++) {
        const struct board_point *point = &b->points[b->point_count - 1 - i];
        CC_TRY(buf_append_str(out, "<tr><th scope=\"row\">"));
        CC_TRY(status_put_time(out, point->at));
        CC_TRY(buf_append_str(out, "</th>"));
        for (size_t line = 0; line < c->count; line++) {
            CC_TRY(buf_append_str(out, "<td>"));
            CC_TRY(put_value(c, c->lines[line].value(point), out));
            CC_TRY(buf_append_str(out, "</td>"));
        }
        CC_TRY(buf_append_str(out, "</tr>"));
    }
    return buf_append_str(out, "</tbody></table></details>");
}

CC_ERR
status_chart_write(const struct status_chart *chart,
                   const struct board_view *board,
                   struct buf *out)
{
    CC_TRY(buf_printf(out, "<section><h3>%s</h3><p>", chart->title));
    if (board->point_count == 0)
        return buf_printf(out, "The first %d seconds are not over yet.</p></section>",
                          BOARD_POINT_S);
    CC_TRY(put_words(chart, board, out));
    CC_TRY(buf_append_str(out, "</p>"));
    CC_TRY(put_picture(chart, board, out));
    CC_TRY(put_table(chart, board, out));
    return buf_append_str(out, "</section>");
}
