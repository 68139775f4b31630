#include "core/status_page.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/metric.h"
#include "base/num.h"

#include "codec/base64.h"
#include "codec/hex.h"
#include "crypto/sha256.h"

static const char style[] =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#57606a;--edge:#d0d7de;--a:#0a58ca;"
    "--b:#9a3412;--good:#116329;--bad:#a40e26;--warn:#7a4a00}"
    "@media(prefers-color-scheme:dark){:root{--bg:#12161b;--fg:#e6e9ed;--dim:#a6b0bb;--edge:#39424d;"
    "--a:#6cb2ff;--b:#ffb27a}}"
    "body{background:var(--bg);color:var(--fg);font:1rem/1.5 system-ui,sans-serif;margin:0 auto;"
    "max-width:68rem;padding:1rem}"
    "header{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:center}"
    "h1{font-size:1.4rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:0}"
    ".state{border-radius:.4rem;color:#fff;font-weight:600;padding:.15rem .7rem}"
    ".good{background:var(--good)}.bad{background:var(--bad)}.warn{background:var(--warn)}"
    ".dim{color:var(--dim)}button{font:inherit;padding:.2rem .8rem}"
    ":focus-visible{outline:3px solid var(--a);outline-offset:2px}"
    ".charts{display:grid;gap:1rem;grid-template-columns:repeat(auto-fit,minmax(min(19rem,100%),1fr))}"
    ".charts section{border:1px solid var(--edge);border-radius:.4rem;padding:.8rem;min-width:0}"
    "svg{display:block;width:100%;height:auto}.grid{stroke:var(--edge);fill:none}"
    "polyline{fill:none;stroke-width:2;stroke-linejoin:round}.line0{stroke:var(--a)}.line1{stroke:var(--b);"
    "stroke-dasharray:6 3}.key0{color:var(--a)}.key1{color:var(--b)}"
    ".scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}caption{text-align:left;"
    "color:var(--dim)}th,td{border-bottom:1px solid var(--edge);padding:.25rem .6rem;text-align:left;"
    "font-variant-numeric:tabular-nums}thead th{white-space:nowrap}"
    "dl{display:grid;gap:.2rem 1rem;grid-template-columns:fit-content(50%) 1fr}dt{color:var(--dim)}"
    "dd{margin:0;overflow-wrap:anywhere}code{font-size:.9em}td code,tbody th{white-space:nowrap}"
    "tbody th{font-weight:400}";

/* Only fetches the page anew, and not under the hands of who reads it with a keyboard. */
static const char script[] =
    "'use strict';const b=document.getElementById('live'),at=document.getElementById('at');"
    "let on=true;b.hidden=false;b.onclick=()=>{on=!on;b.textContent=on?'Pause updates':"
    "'Resume updates'};"
    "async function turn(){const m=document.querySelector('main');"
    "if(!on||document.hidden||m.contains(document.activeElement))return;"
    "try{const r=await fetch(location.href,{cache:'no-store'});if(!r.ok)throw new Error(r.status);"
    "const d=new DOMParser().parseFromString(await r.text(),'text/html');"
    "const open=[...m.querySelectorAll('details')].map(e=>e.open);"
    "m.replaceWith(document.adoptNode(d.querySelector('main')));"
    "document.querySelectorAll('main details').forEach((e,i)=>{e.open=open[i]});"
    "at.textContent=d.getElementById('at').textContent}"
    "catch(e){at.textContent='The signer did not answer: what stands here is old.'}}"
    "setInterval(turn,5000)";

/* --- pieces --------------------------------------------------------------------------------------------------- */

CC_ERR status_put_text(struct buf *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        const char *entity = *c == '<'    ? "&lt;"
                             : *c == '>'  ? "&gt;"
                             : *c == '&'  ? "&amp;"
                             : *c == '"'  ? "&quot;"
                             : *c == '\'' ? "&#39;"
                                          : NULL;
        if (entity)
            CC_TRY(buf_append_str(out, entity));
        else if (*c >= ' ' && *c <= '~')
            CC_TRY(buf_append(out, c, 1));
        else
            CC_TRY(buf_append_str(out, "?"));
    }
    return CC_OK;
}

CC_ERR status_put_time(struct buf *out, uint64_t seconds)
{
    char text[40] = "";
    struct tm when;
    const time_t at = (time_t)seconds;
    if (!seconds || !gmtime_r(&at, &when) ||
        !strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &when))
        return buf_append_str(out, "never");
    return buf_append_str(out, text);
}

static cc_err put_hex(struct buf *out, const void *bytes, size_t len)
{
    char digits[2 * 48 + 1] = "";
    cc_assert(len <= 48);
    hex_encode(bytes, len, digits);
    digits[2 * len] = 0;
    return buf_printf(out, "<code>0x%s</code>", digits);
}

/* Its first and last bytes: enough to tell keys apart for who has them. */
static cc_err put_key(struct buf *out, const struct eth_pubkey *pubkey)
{
    char digits[2 * sizeof *pubkey + 1];
    hex_encode(pubkey, sizeof *pubkey, digits);
    return buf_printf(out, "<code>0x%.8s\xe2\x80\xa6%.6s</code>", digits,
                      digits + 2 * sizeof *pubkey - 6);
}

static cc_err put_row(struct buf *out, const char *name, const char *text)
{
    CC_TRY(buf_printf(out, "<dt>%s</dt><dd>", name));
    CC_TRY(status_put_text(out, text));
    return buf_append_str(out, "</dd>");
}

static cc_err put_number(struct buf *out, const char *name, uint64_t number)
{
    return buf_printf(out, "<dt>%s</dt><dd>%" PRIu64 "</dd>", name, number);
}

/* --- state ------------------------------------------------------------------------------------------------------ */

struct word {
    const char *word;
    const char *kind; /* class of its colour */
    const char *text;
};

static struct word word_of(const struct status_view *v)
{
    const struct a_health *h = &v->health;
    if (h->sealed)
        return (struct word){"Sealed", "bad",
                             "An emergency seal is in force: nothing is signed. "
                             "operator unseal lifts it."};
    if (v->draining)
        return (struct word){"Ending", "warn", "It was told to end, and takes no new work."};
    if (h->ready)
        return (struct word){"Signing", "good", "A signature would succeed now."};
    if (!h->store_up)
        return (struct word){"Not ready", "bad",
                             "The history, or the state store, can't be used: nothing that needs a "
                             "record is signed."};
    if (h->audit_blocks)
        return (struct word){"Not ready", "bad",
                             "The audit log can't be written, and nothing is answered without."};
    if (h->master == A_MASTER_CLOSED)
        return (struct word){
            "Closed", "warn",
            "The master key is closed: keys in stores sign after operator unseal."};
    return (struct word){"Not ready", "warn",
                         "Keys are still being loaded, or a part of the signer is starting."};
}

struct warning {
    bool there;
    const char *text;
};

static cc_err put_warnings(const struct status_view *v, struct buf *out)
{
    const struct a_health *h = &v->health;
    const struct warning warnings[] = {
        {h->history_noop, "There is no slashing protection: anti_slashing.backend is noop."},
        {h->auth_open, "Routine signing needs no token: auth.mode is not enforce."},
        {h->load_errors != 0, "Some keys could not be loaded."},
        {h->keys_expected > h->keys_loaded, "Fewer keys than expected can sign."},
        {v->clock_disagrees, "No block or attestation of the last minute fits this clock."},
        {v->audit_failing, "The audit log can't be written."}};
    bool any = false;
    for (size_t i = 0; i < ARRAY_LEN(warnings); i++)
        any |= warnings[i].there;
    if (!any)
        return CC_OK;
    CC_TRY(buf_append_str(out, "<h2>Look at this</h2><ul>"));
    for (size_t i = 0; i < ARRAY_LEN(warnings); i++)
        if (warnings[i].there)
            CC_TRY(buf_printf(out, "<li>%s</li>", warnings[i].text));
    return buf_append_str(out, "</ul>");
}

static cc_err put_state(const struct status_view *v, struct buf *out)
{
    const struct word word = word_of(v);
    CC_TRY(buf_printf(out,
                      "<h2>State</h2><p><span class=\"state %s\">%s</span> %s</p>"
                      "<dl>",
                      word.kind, word.word, word.text));
    CC_TRY(put_row(out, "chamber", v->state));
    CC_TRY(put_row(out, "network", v->network));
    if (v->epoch)
        CC_TRY(put_number(out, "epoch by the clock", v->epoch));
    CC_TRY(put_number(out, "requests that wait", v->waiting));
    CC_TRY(buf_append_str(out, "<dt>running since</dt><dd>"));
    CC_TRY(status_put_time(out, v->started));
    CC_TRY(buf_append_str(out, "</dd></dl>"));
    return put_warnings(v, out);
}

/* --- keys and history ---------------------------------------------------------------------------------------------- */

static cc_err put_keys(const struct status_view *v, struct buf *out)
{
    static const char *const names[STATUS_SOURCES] = {[METRIC_SOURCE_FILESYSTEM] = "files",
                                                      [METRIC_SOURCE_SQLITE] = "SQLite store",
                                                      [METRIC_SOURCE_POSTGRES] = "PostgreSQL store",
                                                      [METRIC_SOURCE_DYNAMODB] = "DynamoDB store",
                                                      [METRIC_SOURCE_MEMORY] = "memory"};
    CC_TRY(buf_append_str(out,
                          "<h2>Keys</h2><table><caption>Keys that can sign, by source</caption>"
                          "<thead><tr><th scope=\"col\">source</th><th scope=\"col\">keys</th>"
                          "</tr></thead><tbody>"));
    for (size_t i = 0; i < STATUS_SOURCES; i++)
        if (v->keys[i] || i == METRIC_SOURCE_FILESYSTEM)
            CC_TRY(buf_printf(out, "<tr><th scope=\"row\">%s</th><td>%" PRIu64 "</td></tr>",
                              names[i], v->keys[i]));
    CC_TRY(buf_append_str(out, "</tbody></table><dl>"));
    CC_TRY(put_number(out, "known", v->health.keys_known));
    CC_TRY(put_number(out, "could not be loaded", v->health.load_errors));
    if (v->health.keys_expected)
        CC_TRY(put_number(out, "expected", v->health.keys_expected));
    return buf_append_str(out, "</dl>");
}

static cc_err put_records(struct buf *out, const struct slash_status *s)
{
    static const char *const words[] = {[SLASH_COUNTED_ALL] = "",
                                        [SLASH_COUNTED_ABOUT] = "about ",
                                        [SLASH_COUNTED_SOME] = "at least "};
    const char *word = words[s->counted];
    return buf_printf(out,
                      "<dt>keys with a history</dt><dd>%s%" PRIu64 "</dd>"
                      "<dt>blocks recorded</dt><dd>%s%" PRIu64 "</dd>"
                      "<dt>attestations recorded</dt><dd>%s%" PRIu64 "</dd>",
                      word, s->validators, word, s->blocks, word, s->attestations);
}

static cc_err put_counts(const struct status_view *v, struct buf *out)
{
    const struct slash_status *s = &v->board.history;
    if (!v->board.history_at)
        return put_row(out, "records", "not counted yet");
    CC_TRY(put_records(out, s));
    if (s->high.set)
        CC_TRY(buf_printf(out,
                          "<dt>handed over</dt><dd>nothing is signed from epoch %" PRIu64
                          ", slot %" PRIu64 " on</dd>",
                          s->high.epoch, s->high.slot));
    CC_TRY(buf_append_str(out, "<dt>counted</dt><dd>"));
    CC_TRY(status_put_time(out, v->board.history_at));
    return buf_append_str(out, "</dd>");
}

static cc_err put_history(const struct status_view *v, struct buf *out)
{
    CC_TRY(buf_append_str(out, "<h2>Slashing protection</h2><dl>"));
    CC_TRY(put_row(out, "history in", v->history_backend));
    CC_TRY(put_row(out, "state store in", v->state_backend));
    if (!v->health.history_noop) {
        CC_TRY(buf_append_str(out, "<dt>identity of the history</dt><dd>"));
        CC_TRY(put_hex(out, v->identity.history_id, sizeof v->identity.history_id));
        CC_TRY(buf_append_str(out, "</dd><dt>chamber</dt><dd>"));
        CC_TRY(put_hex(out, v->identity.chamber_id, sizeof v->identity.chamber_id));
        CC_TRY(buf_append_str(out, "</dd>"));
    }
    if (v->identity.has_genesis_validators_root) {
        CC_TRY(buf_append_str(out, "<dt>genesis validators root</dt><dd>"));
        CC_TRY(put_hex(out, &v->identity.genesis_validators_root, sizeof(struct eth_root)));
        CC_TRY(buf_append_str(out, "</dd>"));
    }
    if (v->has_ceiling)
        CC_TRY(put_number(out, "may have recorded up to epoch", v->ceiling));
    if (v->board.has_slot)
        CC_TRY(put_number(out, "newest block signed by this core: slot", v->board.newest_slot));
    if (v->board.has_target)
        CC_TRY(put_number(out, "newest attestation signed by this core: target epoch",
                          v->board.newest_target));
    if (!v->health.history_noop)
        CC_TRY(put_counts(v, out));
    return buf_append_str(out, "</dl>");
}

/* --- charts ----------------------------------------------------------------------------------------------------------- */

static uint64_t per_second(uint64_t count, const struct board_point *p)
{
    return p->span_ms ? count * 10000 / p->span_ms : 0;
}

static uint64_t signed_rate(const struct board_point *p)
{
    return per_second(p->signed_count, p);
}

static uint64_t refused_rate(const struct board_point *p)
{
    return per_second(p->refused_count, p);
}

static uint64_t median(const struct board_point *p)
{
    return p->median_us;
}

static uint64_t p99(const struct board_point *p)
{
    return p->p99_us;
}

static uint64_t batch(const struct board_point *p)
{
    return p->batch_tenths;
}

static cc_err put_charts(const struct status_view *v, struct buf *out)
{
    static const struct status_chart charts[] = {
        {"rates",
         "Requests",
         "a second",
         10,
         2,
         {{"signed", signed_rate}, {"refused", refused_rate}}},
        {"latency", "Latency", "ms", 1000, 2, {{"median", median}, {"99th percentile", p99}}},
        {"batches", "Batch size", "claims a transaction", 10, 1, {{"mean", batch}}}};
    CC_TRY(buf_append_str(out, "<h2>Work</h2><div class=\"charts\">"));
    for (size_t i = 0; i < ARRAY_LEN(charts); i++)
        CC_TRY(status_chart_write(&charts[i], &v->board, out));
    return buf_append_str(out, "</div>");
}

/* --- refusals and replicas ----------------------------------------------------------------------------------------------- */

static cc_err put_refusal(const struct board_refusal *r, struct buf *out)
{
    cc_err err = error_from_number(r->error);
    CC_TRY(buf_append_str(out, "<tr><th scope=\"row\">"));
    CC_TRY(status_put_time(out, r->at));
    CC_TRY(buf_printf(out, "</th><td>%s</td><td>", r->operation));
    CC_TRY(put_key(out, &r->pubkey));
    CC_TRY(buf_printf(out, "</td><td>%d ", error_status(err)));
    CC_TRY(status_put_text(out, error_text(err)));
    CC_TRY(buf_append_str(out, "</td><td>"));
    CC_TRY(status_put_text(out, r->rule));
    CC_TRY(buf_append_str(out, "</td><td>"));
    CC_TRY(status_put_text(out, r->principal));
    return buf_append_str(out, "</td></tr>");
}

static cc_err put_refusals(const struct status_view *v, struct buf *out)
{
    const struct board_view *b = &v->board;
    CC_TRY(buf_append_str(out, "<h2>Recent refusals</h2>"));
    if (b->refusal_count == 0)
        return buf_append_str(out, "<p>None since the core was started.</p>");
    CC_TRY(buf_append_str(
        out,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Recent refusals\"><table>"
        "<caption>Signing requests that were refused, the newest first</caption><thead><tr>"));
    static const char *const heads[] = {"when", "operation", "key", "why", "rule", "who"};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        CC_TRY(buf_printf(out, "<th scope=\"col\">%s</th>", heads[i]));
    CC_TRY(buf_append_str(out, "</tr></thead><tbody>"));
    for (uint32_t i = 0; i < b->refusal_count; i++)
        CC_TRY(put_refusal(&b->refusals[i], out));
    return buf_append_str(out, "</tbody></table></div>");
}

static cc_err
put_replica(const struct status_view *v, const struct board_replica *r, struct buf *out)
{
    const bool own =
        span_equal(span_of(r->id, sizeof r->id), span_of(v->replica, sizeof v->replica));
    CC_TRY(buf_append_str(out, "<tr><th scope=\"row\">"));
    CC_TRY(put_hex(out, r->id, sizeof r->id));
    return buf_printf(out, "</th><td>%s</td><td>%" PRIu64 "</td><td>%" PRIu64 "</td></tr>",
                      own ? "yes" : "", r->segment, r->lines);
}

static cc_err put_replicas(const struct status_view *v, struct buf *out)
{
    const struct board_view *b = &v->board;
    CC_TRY(buf_append_str(out, "<h2>Replicas</h2>"));
    if (b->replica_count == 0)
        return buf_append_str(out,
                              "<p>None has anchored its audit log in the state store yet.</p>");
    CC_TRY(buf_append_str(
        out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Replicas\"><table>"
             "<caption>Replicas of this chamber that have anchored their audit logs, and how far"
             "</caption><thead><tr><th scope=\"col\">replica</th><th scope=\"col\">this one</th>"
             "<th scope=\"col\">segment</th><th scope=\"col\">lines</th></tr></thead><tbody>"));
    for (uint32_t i = 0; i < b->replica_count; i++)
        CC_TRY(put_replica(v, &b->replicas[i], out));
    return buf_append_str(out, "</tbody></table></div>");
}

/* --- the document ------------------------------------------------------------------------------------------------------------ */

typedef cc_err section_fn(const struct status_view *view, struct buf *out);

static section_fn *const sections[] = {put_state,   put_charts,   put_keys,
                                       put_history, put_refusals, put_replicas};

/* Of a style's or a script's text, as a policy names it. */
static cc_err put_digest(const char *text, struct buf *out)
{
    uint8_t digest[SHA256_SIZE];
    sha256(span_str(text), digest);
    CC_TRY(buf_append_str(out, "'sha256-"));
    CC_TRY(base64_append(out, digest, sizeof digest));
    return buf_append_str(out, "'; ");
}

/* Nothing but this page's own style and script is let in, and nothing goes anywhere else. */
static cc_err put_policy(struct buf *out)
{
    CC_TRY(buf_append_str(out, "<meta http-equiv=\"Content-Security-Policy\" "
                               "content=\"default-src 'none'; style-src "));
    CC_TRY(put_digest(style, out));
    CC_TRY(buf_append_str(out, "script-src "));
    CC_TRY(put_digest(script, out));
    return buf_append_str(
        out, "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'\">");
}

static cc_err put_head(const struct status_view *v, struct buf *out)
{
    CC_TRY(buf_append_str(out, "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">"));
    CC_TRY(put_policy(out));
    CC_TRY(buf_printf(
        out,
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
        "<link rel=\"icon\" href=\"data:,\"><title>%s \xe2\x80\x93 Containment Chamber</title>"
        "<style>%s</style></head><body><header><h1>Containment Chamber %s</h1>"
        "<span class=\"dim\" id=\"at\">as of ",
        word_of(v).word, style, CC_VERSION));
    CC_TRY(status_put_time(out, v->now));
    return buf_append_str(out, "</span><button id=\"live\" type=\"button\" hidden>Pause updates"
                               "</button></header><main>");
}

CC_ERR status_page_write(const struct status_view *view, struct buf *out)
{
    CC_TRY(put_head(view, out));
    for (size_t i = 0; i < ARRAY_LEN(sections); i++)
        CC_TRY(sections[i](view, out));
    return buf_printf(out, "</main><script>%s</script></body></html>\n", script);
}
