#include "eth/field.h"

#include "codec/hex.h"

cc_err field_error(cc_err err, const char *detail)
{
    if (cc_likely(!err.code))
        return err;
    return error_make((enum error_code)err.code, detail, __FILE__, __LINE__);
}

bool field_find(struct jval object, const char *key, struct jval *ret_value)
{
    struct jval value;
    if (!jval_member(object, key, &value) || jval_type(value) == JVAL_NULL)
        return false;
    *ret_value = value;
    return true;
}

CC_ERR field_get(struct jval object, const char *key, struct jval *ret_value)
{
    return field_find(object, key, ret_value) ? CC_OK : CC_FAIL(FIELD_MISSING, key);
}

CC_ERR field_object(struct jval object, const char *key, struct jval *ret_value)
{
    CC_TRY(field_get(object, key, ret_value));
    return jval_type(*ret_value) == JVAL_OBJECT ? CC_OK : CC_FAIL(FIELD_TYPE, key);
}

CC_ERR field_text(struct jval object, const char *key, struct span *ret_text)
{
    struct jval value;
    CC_TRY(field_get(object, key, &value));
    return field_error(jval_text(value, ret_text), key);
}

CC_ERR field_u64(struct jval object, const char *key, uint64_t *ret_number)
{
    struct jval value;
    CC_TRY(field_get(object, key, &value));
    return field_error(jval_u64(value, ret_number), key);
}

CC_ERR field_root(struct jval object, const char *key, struct eth_root *ret_root)
{
    struct span text;
    CC_TRY(field_text(object, key, &text));
    return field_error(hex_decode_padded(text, ret_root->bytes, sizeof(ret_root->bytes)), key);
}

CC_ERR field_bytes(struct jval object, const char *key, void *ret_bytes, size_t len)
{
    struct span text;
    CC_TRY(field_text(object, key, &text));
    return field_error(hex_decode(text, ret_bytes, len), key);
}
