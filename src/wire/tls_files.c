#include "wire/tls_files.h"

#include "config/config.h"

CC_ERR tls_files_read(struct span bytes, struct tls_files *ret_files)
{
    struct tls_files_head head;
    struct tls_files files = {0};
    if (bytes.len < sizeof head)
        return CC_FAIL(PROTOCOL, "TLS files: too short");
    memcpy(&head, bytes.data, sizeof head);
    if (head.magic != TLS_FILES_MAGIC || head.client_auth > TLS_CLIENT_REQUIRED)
        return CC_FAIL(PROTOCOL, "TLS files: head");
    struct span rest = span_of(bytes.data + sizeof head, bytes.len - sizeof head);
    files.client_auth = head.client_auth;
    for (int i = 0; i < TLS_FILE_END; i++) {
        uint32_t len = head.lengths[i];
        if (len == TLS_FILE_NONE)
            continue;
        if (len > TLS_FILE_MAX || len > rest.len)
            return CC_FAIL(PROTOCOL, "TLS files: length");
        files.has[i] = true;
        files.files[i] = span_of(rest.data, len);
        rest = span_of(rest.data + len, rest.len - len);
    }
    if (rest.len)
        return CC_FAIL(PROTOCOL, "TLS files: trailing bytes");
    *ret_files = files;
    return CC_OK;
}
