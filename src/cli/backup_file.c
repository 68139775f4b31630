#include "cli/backup_file.h"

#include <inttypes.h>
#include <string.h>

#include "base/io.h"
#include "base/num.h"

#include "codec/hex.h"

enum {
    TEXT_MAX = 4096
};

static const char title[] = "containment-chamber-backup-v1\n";
static const char *const names[BACKUP_PARTS] = {"identity",   "state",  "keys",     "auth-enforced",
                                                "seal-latch", "mirror", "disabled", "history"};
static const bool may_be_missing[BACKUP_PARTS] = {
    [BACKUP_KEYS] = true, [BACKUP_ENFORCED] = true, [BACKUP_LATCH] = true, [BACKUP_MIRROR] = true};

/* What the text says of one part. */
struct line {
    uint64_t size;
    uint8_t digest[SHA256_SIZE];
};

static void hex_of(const uint8_t digest[static SHA256_SIZE],
                   char ret_hex[static 2 * SHA256_SIZE + 1])
{
    hex_encode(digest, SHA256_SIZE, ret_hex);
    ret_hex[2 * SHA256_SIZE] = 0;
}

static cc_err put_high(const struct slash_high *high, struct buf *out)
{
    return high->set ? buf_printf(out, "high %" PRIu64 " %" PRIu64 "\n", high->epoch, high->slot)
                     : buf_append_str(out, "high none\n");
}

static cc_err put_text(const struct backup *b, const struct line *lines, struct buf *out)
{
    char hex[2 * SHA256_SIZE + 1];
    CC_TRY(buf_append_str(out, title));
    CC_TRY(buf_printf(out, "made %" PRIu64 "\n", b->made));
    CC_TRY(put_high(&b->high, out));
    for (size_t i = 0; i < BACKUP_PARTS; i++) {
        if (!b->has[i])
            continue;
        hex_of(lines[i].digest, hex);
        CC_TRY(buf_printf(out, "part %s %" PRIu64 " 0x%s\n", names[i], lines[i].size, hex));
    }
    return CC_OK;
}

static cc_err put_end(struct backup *b, struct buf *out)
{
    char hex[2 * SHA256_SIZE + 1];
    sha256(buf_span(out), b->digest);
    hex_of(b->digest, hex);
    return buf_printf(out, "end 0x%s\n", hex);
}

CC_ERR backup_write(int fd, struct backup *b)
{
    CC_CLEANUP(buf_release) struct buf text = buf_init(TEXT_MAX);
    struct line lines[BACKUP_PARTS] = {0};
    for (size_t i = 0; i < BACKUP_PARTS; i++) {
        lines[i].size = b->parts[i].len;
        if (b->has[i])
            sha256(b->parts[i], lines[i].digest);
    }
    CC_TRY(put_text(b, lines, &text));
    CC_TRY(put_end(b, &text));
    CC_TRY(fd_write_all(fd, text.data, text.len));
    for (size_t i = 0; i < BACKUP_PARTS; i++)
        if (b->has[i])
            CC_TRY(fd_write_all(fd, b->parts[i].data, b->parts[i].len));
    return CC_OK;
}

/* --- reading ----------------------------------------------------------------------------------------------------------- */

static cc_err none(void)
{
    return CC_FAIL(MALFORMED, "not a backup of this program, or its beginning was changed");
}

/* Takes one word, which ends with `end`. */
static cc_err take(struct span *rest, char end, struct span *ret_word)
{
    const uint8_t *at = rest->len ? memchr(rest->data, end, rest->len) : NULL;
    if (!at)
        return none();
    *ret_word = span_of(rest->data, (size_t)(at - rest->data));
    *rest = span_of(at + 1, rest->len - ret_word->len - 1);
    return CC_OK;
}

static cc_err take_word(struct span *rest, char end, const char *word)
{
    struct span found;
    CC_TRY(take(rest, end, &found));
    return span_is(found, word) ? CC_OK : none();
}

static cc_err take_number(struct span *rest, char end, uint64_t *ret_number)
{
    struct span word;
    CC_TRY(take(rest, end, &word));
    return u64_parse(word, ret_number).code ? none() : CC_OK;
}

static cc_err take_digest(struct span *rest, uint8_t ret_digest[static SHA256_SIZE])
{
    struct span word;
    CC_TRY(take(rest, '\n', &word));
    if (word.len != 2 + 2 * SHA256_SIZE || word.data[0] != '0' || word.data[1] != 'x' ||
        hex_decode(span_of(word.data + 2, word.len - 2), ret_digest, SHA256_SIZE).code)
        return none();
    return CC_OK;
}

static cc_err take_head(struct span *rest, struct backup *b)
{
    const struct span head = span_str(title);
    struct span probe;
    if (rest->len < head.len || !span_equal(span_of(rest->data, head.len), head))
        return none();
    *rest = span_of(rest->data + head.len, rest->len - head.len);
    CC_TRY(take_word(rest, ' ', "made"));
    CC_TRY(take_number(rest, '\n', &b->made));
    CC_TRY(take_word(rest, ' ', "high"));
    probe = *rest;
    if (!take_word(&probe, '\n', "none").code) {
        *rest = probe;
        return CC_OK;
    }
    b->high.set = true;
    CC_TRY(take_number(rest, ' ', &b->high.epoch));
    return take_number(rest, '\n', &b->high.slot);
}

static cc_err take_lines(struct span *rest, struct backup *b, struct line *lines)
{
    for (size_t i = 0; i < BACKUP_PARTS; i++) {
        struct span probe = *rest;
        b->has[i] = !take_word(&probe, ' ', "part").code && !take_word(&probe, ' ', names[i]).code;
        if (!b->has[i] && !may_be_missing[i])
            return none();
        if (!b->has[i])
            continue;
        *rest = probe;
        CC_TRY(take_number(rest, ' ', &lines[i].size));
        CC_TRY(take_digest(rest, lines[i].digest));
    }
    return CC_OK;
}

static cc_err take_parts(struct span rest, struct backup *b, const struct line *lines)
{
    for (size_t i = 0; i < BACKUP_PARTS; i++) {
        uint8_t digest[SHA256_SIZE];
        if (!b->has[i])
            continue;
        if (lines[i].size > rest.len)
            return CC_FAIL(TAMPERED, "the backup was cut short");
        b->parts[i] = span_of(rest.data, (size_t)lines[i].size);
        rest = span_of(rest.data + lines[i].size, rest.len - (size_t)lines[i].size);
        sha256(b->parts[i], digest);
        if (!span_equal(span_of(digest, sizeof digest), span_of(lines[i].digest, sizeof digest)))
            return CC_FAIL(TAMPERED, "a part of the backup was changed");
    }
    return rest.len ? CC_FAIL(TAMPERED, "something stands behind the backup's end") : CC_OK;
}

/* One text has one spelling: it is written again, and compared. */
CC_ERR backup_read(struct span bytes, struct backup *ret_backup)
{
    CC_CLEANUP(buf_release) struct buf again = buf_init(TEXT_MAX);
    struct backup b = {0};
    struct line lines[BACKUP_PARTS] = {0};
    uint8_t digest[SHA256_SIZE];
    struct span rest = bytes;
    CC_TRY(take_head(&rest, &b));
    CC_TRY(take_lines(&rest, &b, lines));
    CC_TRY(take_word(&rest, ' ', "end"));
    CC_TRY(take_digest(&rest, digest));
    CC_TRY(put_text(&b, lines, &again));
    CC_TRY(put_end(&b, &again));
    if (!span_equal(buf_span(&again), span_of(bytes.data, bytes.len - rest.len)))
        return CC_FAIL(TAMPERED, "the beginning of the backup was changed");
    CC_TRY(take_parts(rest, &b, lines));
    *ret_backup = b;
    return CC_OK;
}

/* --- disabled keys ---------------------------------------------------------------------------------------------------- */

CC_ERR backup_put_disabled(struct buf *part, const struct eth_pubkey *pubkey)
{
    CC_TRY(hex_append(part, pubkey->bytes, sizeof pubkey->bytes));
    return buf_append_str(part, "\n");
}

CC_ERR backup_take_disabled(struct span *part, struct eth_pubkey *ret_pubkey)
{
    struct span line;
    const size_t digits = 2 * sizeof ret_pubkey->bytes;
    if (take(part, '\n', &line).code || line.len != 2 + digits || line.data[0] != '0' ||
        line.data[1] != 'x' ||
        hex_decode(span_of(line.data + 2, digits), ret_pubkey->bytes, sizeof ret_pubkey->bytes)
            .code)
        return CC_FAIL(TAMPERED, "the list of disabled keys");
    return CC_OK;
}
