/* The files of TLS as the front gets them, and GnuTLS's reading of what is in them: refused, or served with. */
#include "base/log.h"

#include "front/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* GnuTLS 3.7.9 forgets 168 bytes of a certificate that it can't read. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libgnutls";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct config_text_list rows;
    struct tls_files files;
    struct tls *tls = NULL;
    log_set_level(LOG_LEVEL_ERROR);
    if (tls_files_read(span_of(data, size), &files).code)
        return 0;
    size_t total = sizeof(struct tls_files_head);
    for (int i = 0; i < TLS_FILE_END; i++)
        total += files.files[i].len;
    cc_assert(total == size);
    if (tls_new(&rows, false, &tls).code)
        return 0;
    cc_err err = tls_load(tls, &files);
    cc_assert(!err.code || error_is(err, ERROR_CONFIG) || error_is(err, ERROR_NO_MEMORY));
    tls_free(tls);
    return 0;
}
