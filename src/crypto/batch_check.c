#include "crypto/batch_check.h"

#include "base/span.h"

#include "crypto/weighted_sum.h"

bool batch_check_on_curve(const blst_p2_affine *point)
{
    return blst_p2_affine_on_curve(point) && !blst_p2_affine_is_inf(point);
}

static bool all_on_curve(const struct batch_made *made)
{
    bool all = true;
    for (size_t i = 0; i < made->n; i++)
        all &= batch_check_on_curve(&made->points[i]);
    return all;
}

/* The sum of r_i sk_i. It may be zero, with keys k and r-k: then the sum of the points has to be infinity. */
CC_SENSITIVE static void weighted_scalar(const struct batch_item *items,
                                         const struct batch_made *made,
                                         blst_scalar *ret_scalar)
{
    blst_fr sum = {{0}};
    blst_fr scalar;
    for (size_t i = 0; i < made->n; i++) {
        blst_fr weight;
        blst_fr_from_uint64(&weight, (const uint64_t[4]){made->weights[i]});
        blst_fr_from_scalar(&scalar, secret_scalar(items[made->item[i]].secret));
        blst_fr_mul(&scalar, &scalar, &weight);
        blst_fr_add(&sum, &sum, &scalar);
    }
    blst_scalar_from_fr(ret_scalar, &sum);
    wipe(&sum, sizeof sum);
    wipe(&scalar, sizeof scalar);
}

bool batch_check_same_root(const struct batch_kernel *kernel,
                           void *scratch,
                           const struct batch_item *items,
                           struct batch_made *made,
                           const struct bls_hash *fresh)
{
    blst_scalar scalar;
    blst_p2 want;
    blst_p2 got;
    if (!all_on_curve(made) || weights_draw(made->weights, made->n).code)
        return false;
    kernel->weighted_sum(scratch, made->points, made->weights, made->n, &got);
    weighted_scalar(items, made, &scalar);
    /* Signing is what blst has in constant time: blst_p2_mult() looks at its scalar. */
    blst_sign_pk_in_g1(&want, hash_point(fresh), &scalar);
    wipe(&scalar, sizeof scalar);
    CT_DECLASSIFY(&want, sizeof want);
    wipe(made->weights, sizeof made->weights);
    return blst_p2_is_equal(&got, &want);
}

/* Is y the larger of y and -y, by the order of the encoding: the imaginary part decides, or the real one where that is
 * zero? The larger one is above (p - 1) / 2.
 */
static bool is_larger(const blst_fp2 *y)
{
    static const uint64_t half[6] = {0xdcff7fffffffd555, 0x0f55ffff58a9ffff, 0xb39869507b587b12,
                                     0xb23ba5c279c2895f, 0x258dd3db21a5d66b, 0x0d0088f51cbff34d};
    uint64_t limbs[6];
    blst_uint64_from_fp(limbs, fp_or(&y->fp[1]) ? &y->fp[1] : &y->fp[0]);
    size_t i = 5;
    while (i > 0 && limbs[i] == half[i])
        i--;
    return limbs[i] > half[i];
}

/* No two points have one encoding, so comparing with the right one is as good as decoding, and a hundred times cheaper. It
 * is written here once more so that not one piece of code both makes and checks it.
 */
bool batch_check_output(const uint8_t bytes[static BLS_SIGNATURE_SIZE], const blst_p2_affine *point)
{
    uint8_t want[BLS_SIGNATURE_SIZE];
    blst_bendian_from_fp(want, &point->x.fp[1]);
    blst_bendian_from_fp(want + BLS_SIGNATURE_SIZE / 2, &point->x.fp[0]);
    want[0] |= is_larger(&point->y) ? 0xa0 : 0x80;
    return span_equal(span_of(bytes, sizeof want), span_of(want, sizeof want));
}
