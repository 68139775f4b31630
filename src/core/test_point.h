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
    TEST_POINT_BEGIN,             /* a core begins, and has asked nobody for anything */
    TEST_POINT_RECEIVED,          /* off door A, nothing done */
    TEST_POINT_ENQUEUED,          /* waits for the history writer */
    TEST_POINT_COMMIT,            /* before the transaction */
    TEST_POINT_COMMITTED,         /* durable, not yet with the vault */
    TEST_POINT_TO_VAULT,          /* sent */
    TEST_POINT_SIGNED,            /* the vault's answer has come */
    TEST_POINT_ANSWER,            /* before the answer goes to the front */
    TEST_POINT_ANSWERED,          /* after it */
    TEST_POINT_REGISTER,          /* before protection rows are made */
    TEST_POINT_REGISTERED,        /* made; the keys can't sign yet */
    TEST_POINT_FLOORS_RAISED,     /* of a history that was rolled back; no record says so yet */
    TEST_POINT_CEILING_PENDING,   /* named in the state store */
    TEST_POINT_CEILING_RECORDED,  /* the history has it */
    TEST_POINT_CEILING_CONFIRMED, /* and the state store says so */
    TEST_POINT_KEYS_NAMED,        /* a key store's next digest stands in the state store */
    TEST_POINT_KEYS_WRITTEN,      /* and the store has changed */
    TEST_POINT_KEYS_SETTLED,      /* and the state store has taken it over */
    TEST_POINT_IMPORT_OPENED,     /* keystores are sealed rows; nothing is stored */
    TEST_POINT_IMPORT_MERGED,     /* their slashing-protection data is in the history */
    TEST_POINT_IMPORT_PROTECTED,  /* they have protection rows */
    TEST_POINT_IMPORT_LOADED,     /* stored, and in the vault; the registry does not know them */
    TEST_POINT_IMPORT_ACTIVE,     /* nothing left but the answer */
    TEST_POINT_DELETE_STOPPED,    /* held back in the registry */
    TEST_POINT_DELETE_DISABLED,   /* the history has the tombstone */
    TEST_POINT_DELETE_ERASED,     /* so has the key store */
    TEST_POINT_DELETE_FORGOTTEN,  /* out of the vault; nothing left but the answer */
    TEST_POINT_SEAL_MADE,         /* the vault has made a set, nothing of it is stored */
    TEST_POINT_SEAL_ROWS, /* a batch of rows is sealed under the next master key, and not stored */
    TEST_POINT_SEAL_COMMIT,    /* before a change of the records of the sealed chamber */
    TEST_POINT_SEAL_COMMITTED, /* after it */
    TEST_POINT_SEALED_FILE,    /* an emergency seal has its file */
    TEST_POINT_SEALED_RECORD,  /* and its record; the vault is not wiped yet */
    TEST_POINT_SEALED_WIPED,   /* the vault is; the rooms are not started anew yet */
    TEST_POINT_LIFTED_RECORD,  /* the latch's record is gone, its file is not */
    TEST_POINT_LIFTED_FILE,    /* nor is that there; nothing signs yet */
    TEST_POINT_MOVE_READ,      /* a move has read the rows; no record says so */
    TEST_POINT_MOVE_MARKED,    /* keys are on their way to another store: nobody loads them */
    TEST_POINT_MOVE_COPIED,    /* a batch of their rows is there */
    TEST_POINT_MOVE_WRITTEN,   /* all of them are; no record says so */
    TEST_POINT_MOVE_ENDED,     /* the records do */
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
