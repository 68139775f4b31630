/* core/test_point.h - places where a test may kill the core or slow it down.
 *
 * WHAT      Marks between check and answer. A -DCC_TESTING build can be told to end itself with SIGKILL at the nth
 *           passage of one, or to take its time at each; in every other build the marks are nothing.
 * PROMISE   A release binary holds no trace of them.
 * THREADS   Any; test_point_arm() and test_point_slow() before the core starts.
 * OWNERSHIP None.   ERRORS None.   SECRETS None.
 */
#ifndef CORE_TEST_POINT_H
#define CORE_TEST_POINT_H

enum test_point {
    TEST_POINT_NONE,
    TEST_POINT_RECEIVED,   /* off door A, nothing done */
    TEST_POINT_ENQUEUED,   /* waits for the history writer */
    TEST_POINT_COMMIT,     /* before the transaction */
    TEST_POINT_COMMITTED,  /* durable, not yet with the vault */
    TEST_POINT_TO_VAULT,   /* sent */
    TEST_POINT_SIGNED,     /* the vault's answer has come */
    TEST_POINT_ANSWER,     /* before the answer goes to the front */
    TEST_POINT_ANSWERED,   /* after it */
    TEST_POINT_REGISTER,   /* before protection rows are made */
    TEST_POINT_REGISTERED, /* made; the keys can't sign yet */
    TEST_POINT_END
};

#ifdef CC_TESTING
void test_point_arm(enum test_point point, unsigned nth);
void test_point_slow(enum test_point point, unsigned each_ms);
void test_point_pass(enum test_point point);
#else
static inline void test_point_pass(enum test_point point)
{
    (void)point;
}
#endif

#endif
