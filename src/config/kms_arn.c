#include "config/kms_arn.h"

static bool all_of(struct span text, const char *set)
{
    for (size_t i = 0; i < text.len; i++)
        if (!text.data[i] || !strchr(set, text.data[i]))
            return false;
    return text.len > 0;
}

/* Cuts `text` at its first colon. */
static struct span cut(struct span *text)
{
    const uint8_t *colon = text->len ? memchr(text->data, ':', text->len) : NULL;
    const struct span part = span_of(text->data, colon ? (size_t)(colon - text->data) : text->len);
    const size_t gone = colon ? part.len + 1 : part.len;
    *text = span_of(text->data + gone, text->len - gone);
    return part;
}

bool kms_arn_check(struct span text)
{
    static const char names[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    if (text.len == 0 || text.len >= KMS_ARN_SIZE || !span_is(cut(&text), "arn") ||
        !all_of(cut(&text), names) || !span_is(cut(&text), "kms"))
        return false;
    const struct span region = cut(&text);
    const struct span account = cut(&text);
    if (!all_of(region, names) || region.len >= KMS_REGION_SIZE || !all_of(account, "0123456789") ||
        account.len != KMS_ACCOUNT_SIZE - 1)
        return false;
    if (text.len <= 4 || !span_is(span_of(text.data, 4), "key/"))
        return false;
    return all_of(span_of(text.data + 4, text.len - 4), names);
}

static struct span part_of(struct span arn, int index)
{
    struct span part = cut(&arn);
    for (int i = 0; i < index; i++)
        part = cut(&arn);
    return part;
}

struct span kms_arn_region(struct span arn)
{
    return part_of(arn, 3);
}

struct span kms_arn_account(struct span arn)
{
    return part_of(arn, 4);
}
