#include "crypto/affine.h"

#include "crypto/batch_fault.h"
#include "crypto/random.h"

static const blst_fp2 one = {{FP_ONE}};
static const blst_fp unblinded = FP_ONE;

CC_ERR affine_draw_blinds(blst_fp *ret_blinds, size_t n)
{
    CC_TRY(random_bytes(ret_blinds, n * sizeof *ret_blinds));
    for (size_t i = 0; i < n; i++)
        ret_blinds[i].l[5] >>= 4; /* below the field's prime */
    return CC_OK;
}

uint64_t affine_sum_secret(struct affine_sum *sum)
{
    blst_fp2_sub(&sum->numerator, &sum->add.y, &sum->acc->y);
    blst_fp2_sub(&sum->denominator, &sum->add.x, &sum->acc->x);
    const uint64_t none = sum->add_is_zero | sum->acc_is_zero;
    const uint64_t same_x = fp2_mask_zero(&sum->denominator);
    fp2_select(&sum->denominator, none | same_x, &one, &sum->denominator);
    return same_x & ~none;
}

bool affine_sum_public(struct affine_sum *sum, blst_p2_affine *acc, const blst_p2_affine *add)
{
    sum->acc = acc;
    sum->add = *add;
    sum->add_is_zero = sum->acc_is_zero = 0;
    blst_fp2_sub(&sum->numerator, &add->y, &acc->y);
    blst_fp2_sub(&sum->denominator, &add->x, &acc->x);
    if (!fp2_mask_zero(&sum->denominator))
        return true;
    if (!fp2_mask_zero(&sum->numerator))
        return false;
    blst_fp2_sqr(&sum->numerator, &acc->x);
    blst_fp2_mul_by_3(&sum->numerator, &sum->numerator);
    blst_fp2_add(&sum->denominator, &acc->y, &acc->y);
    return true;
}

/* acc := add where acc is infinity, acc where add is, else the sum. */
static void finish(struct affine_sum *sum, const blst_fp2 *inverse)
{
    blst_fp2 slope;
    blst_p2_affine result;
    blst_fp2_mul(&slope, &sum->numerator, inverse);
    blst_fp2_sqr(&result.x, &slope);
    blst_fp2_sub(&result.x, &result.x, &sum->acc->x);
    blst_fp2_sub(&result.x, &result.x, &sum->add.x);
    blst_fp2_sub(&result.y, &sum->acc->x, &result.x);
    blst_fp2_mul(&result.y, &result.y, &slope);
    blst_fp2_sub(&result.y, &result.y, &sum->acc->y);
    affine_select(&result, sum->acc_is_zero, &sum->add, &result);
    affine_select(sum->acc, sum->add_is_zero, sum->acc, &result);
    sum->acc_is_zero &= sum->add_is_zero;
}

void affine_add(struct affine_sum *sums, size_t n, const blst_fp *blind)
{
    if (n == 0)
        return;
    sums[0].product = sums[0].denominator;
    for (size_t i = 1; i < n; i++)
        blst_fp2_mul(&sums[i].product, &sums[i - 1].product, &sums[i].denominator);
    blst_fp2 inverse; /* of the product up to i */
    fp2_inverse_blinded(&inverse, &sums[n - 1].product, blind ? blind : &unblinded);
    batch_fault(BATCH_FAULT_INVERSE, &inverse, sizeof inverse);
    for (size_t i = n; i-- > 1;) {
        blst_fp2 own;
        blst_fp2_mul(&own, &inverse, &sums[i - 1].product);
        blst_fp2_mul(&inverse, &inverse, &sums[i].denominator);
        finish(&sums[i], &own);
    }
    finish(&sums[0], &inverse);
}
