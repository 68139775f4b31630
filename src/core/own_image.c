#include "core/own_image.h"

#include <string.h>

#include "base/span.h"

enum {
    PCR_IMAGE = 0,
    PCR_SIGNER = 8
};

static bool is_set(const uint8_t pcr[static ATTEST_PCR_SIZE])
{
    static const uint8_t zeros[ATTEST_PCR_SIZE];
    return !span_equal(span_of(pcr, sizeof zeros), span_of(zeros, sizeof zeros));
}

CC_ERR own_image_read(struct documents *documents, struct own_image *ret_image)
{
    CC_CLEANUP(buf_release) struct buf bytes = buf_init(ATTEST_DOCUMENT_MAX);
    struct attest_document document;
    struct own_image image = {.has_pcr8 = false};
    CC_TRY(documents_ask(documents, ATTEST_FOR_CLOCK, NULL, span_of(NULL, 0), &bytes));
    CC_TRY(attest_document_parse(buf_span(&bytes), &document));
    memcpy(image.pcr0, document.pcrs.value[PCR_IMAGE], sizeof image.pcr0);
    image.has_pcr8 = attest_pcr_set(&document.pcrs, PCR_SIGNER);
    if (image.has_pcr8)
        memcpy(image.pcr8, document.pcrs.value[PCR_SIGNER], sizeof image.pcr8);
    *ret_image = image;
    return CC_OK;
}

bool own_image_is_measured(const struct own_image *image)
{
    return is_set(image->pcr0);
}
