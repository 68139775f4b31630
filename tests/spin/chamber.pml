/* The sealed chamber: two replicas on one state store, its operators, its owner, and a thief who has the token that proposes, one
 * operator's credential, and the emergency token. "table.pml" is src/seal/machine.def (tools/seal-machine --promela).
 *
 * A step of a process is atomic; between any two of them a replica may end and begin anew (CRASHES times), which loses all that its
 * core and vault have in memory, or anybody else may come. What is stored is changed by compare-and-swap: where reading and
 * writing are two steps, `stale` says that somebody has written between them.
 *
 * What happens is bounded (one proposal of each, one seal, one expiry, CRASHES), so every run ends; the last process, which moves when
 * nothing else can, asserts that it has ended well.
 */
#ifndef MODE_OLD
#define MODE_OLD M_QUORUM
#endif
#ifndef MODE_NEW
#define MODE_NEW M_QUORUM
#endif
/* Mutant of the model: what is stored is written over, whatever has come since it was read. */
#ifndef BLIND
#define BLIND false
#endif
/* Operators approve an image too, which opens the chamber without them (auto-unseal). Looked at in a search of its own, where there is no
 * thief, nothing expires, and the owner doesn't change his mind: all together are too many states.
 */
#ifndef IMAGES
#define IMAGES false
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#define M_NO_SET 0
#define M_LOCAL 1
#define M_KMS 2
#define M_QUORUM 3
#define M_OPERATORS 4

/* Sets: the present one at the beginning, the owner's proposal, the thief's, and none. */
#define OLD 0
#define NEW 1
#define EVIL 2
#define NOTHING 3
#define MODE_OF(set) ((set) == OLD -> MODE_OLD : ((set) == NEW -> MODE_NEW : ((set) == EVIL -> M_KMS : M_NO_SET)))
#define HAS_OPERATORS(set) (MODE_OF(set) == M_QUORUM || MODE_OF(set) == M_OPERATORS)

/* Operators: 1 and 2 are honest, 4 is the thief's friend in the old set. Two are needed. */
#define TWO(mask) ((mask) == 3 || (mask) == 5 || (mask) == 6 || (mask) == 7)
#define ALL_OF_NEW 3

/* Who acts, for the needs that ask for it. */
#define OWNER 0
#define THIEF 1
#define PEOPLE 2
#define CORE 3

/* --- stored ---------------------------------------------------------------------------------------------------------------- */
byte phase;               /* of seal/next */
byte next = NOTHING;      /* which set it is about */
byte current;             /* seal/current */
byte registered;          /* operators of the next set */
byte row[2];              /* under which set's key each row is sealed */
bool latch;
byte image = NOTHING;     /* whose keys the approved image's blob holds; NOTHING: there is none */
byte acknowledged[2];     /* what replicas say of themselves: the staged set they have; NOTHING: none */

/* --- in memory of a replica ------------------------------------------------------------------------------------------------ */
byte st[2];
byte have[2];             /* the present set, as its vault has it */
byte staged[2];           /* the staged one; NOTHING: none */
bool staged_open[2];
byte shares[2];           /* operators whose credentials have come */
byte approvals[2];
byte approving[2];
byte made[2];             /* made and not stored yet; NOTHING: none */
bool stale[2];            /* seal/next has changed since then */

/* --- what has really happened: the properties are about these ---------------------------------------------------------------- */
bool lawful[2];           /* this replica's master key was opened by the configured quorum, or handed on from one so opened */
bool approved[4];         /* the present quorum has approved that set */
bool cancelled[4];
bool owner_said[4];
bool unlatched_lawfully = true;
bool committed_whole = true;
bool left_behind;         /* rows were rewritten while a replica signed that had not the new set */

byte asker = CORE;
byte crashes = CRASHES;
bool proposals[2];        /* made: the owner's, the thief's */
bool sealed_once;
bool owner_gives_up;
bool image_proposed = !IMAGES;
byte expiries = (IMAGES -> 0 : 1);

#define MODE(r) MODE_OF(have[r])
#define ALIVE_AND_WELL(q) (acknowledged[q] == next && (!SIGNS(st[q]) || staged_open[q]))

/* --- needs ----------------------------------------------------------------------------------------------------------------- */
#define NEED_NOTHING(r) true
#define NEED_SETUP_TOKEN(r) (asker == OWNER && current == NOTHING)
#define NEED_PROPOSER(r) (asker == OWNER || asker == THIEF)
#define NEED_APPROVAL(r) (HAS_OPERATORS(current) -> TWO(approvals[r]) && approving[r] == next : owner_said[next])
#define NEED_CREDENTIAL(r) (asker == PEOPLE)
#define NEED_ALL_REGISTERED(r) (!HAS_OPERATORS(next) || registered == ALL_OF_NEW)
#define NEED_ALL_REPLICAS(r) (ALIVE_AND_WELL(0) && ALIVE_AND_WELL(1))
#define NEED_FIRST_SET(r) (current == NOTHING)
#define NEED_REWRITTEN(r) (row[0] == next && row[1] == next)
#define NEED_CANCEL(r) ((asker == OWNER && next == NEW) || (asker == THIEF && next == EVIL) || (asker == PEOPLE && HAS_OPERATORS(current)))
#define NEED_SET_IS_THERE(r) true
#define NEED_STAGED_OPEN(r) (staged_open[r])
#define NEED_KMS(r) true /* N-M keys may fail: enough are there */
#define NEED_KMS_NO_LATCH(r) (!latch)
#define NEED_QUORUM(r) TWO(shares[r])
#define NEED_IMAGE(r) (!latch && image == have[r])
#define NEED_OWNER(r) (asker == OWNER)

#include "table.pml"

/* --- properties at every moment ------------------------------------------------------------------------------------------- */
#define SIGNING(r) (SIGNS(st[r]) && !latch && current != NOTHING)
#define OPENS(set) ((set) == NOTHING || (set) == current || (phase == P_REWRITING && (set) == next))
#define NEVER_WITHOUT_QUORUM (!SIGNING(0) || lawful[0]) && (!SIGNING(1) || lawful[1])
#define APPROVED_BY_THE_OLD (current == OLD || current == NOTHING || (approved[current] && current == NEW))
#define CAN_ALWAYS_SEAL (CAN_SEAL(0) && CAN_SEAL(1))
#define ROWS_CAN_BE_OPENED (OPENS(row[0]) && OPENS(row[1]))
#define THE_CANCELLED_STAYS_SO (!cancelled[current] && !cancelled[next])

inline written()
{
    stale[0] = (made[0] != NOTHING);
    stale[1] = (made[1] != NOTHING)
}

/* --- a replica ------------------------------------------------------------------------------------------------------------- */
inline forget(r)
{
    shares[r] = 0;
    approvals[r] = 0;
    approving[r] = NOTHING;
    staged[r] = NOTHING;
    staged_open[r] = false;
    made[r] = NOTHING;
    stale[r] = false;
    lawful[r] = false;
}

/* The first set, made by the replica that was asked, goes from there: nothing is approved but by the setup token. */
inline take_current(r)
{
    have[r] = current;
    if
    :: CAN_COMMITTED(r) ->
        if
        :: SIGNS(st[r]) && staged[r] == current && staged_open[r] -> STEP_COMMITTED(r) /* as lawful as before */
        :: else -> STEP_COMMITTED(r); lawful[r] = (MODE(r) == M_KMS && SIGNS(st[r]))
        fi
    :: else -> /* it has not got the bridge: closed */
        STEP_DROPPED(r); lawful[r] = false
    fi;
    shares[r] = 0;
    approvals[r] = 0;
    approving[r] = NOTHING;
    staged[r] = NOTHING;
    staged_open[r] = false;
    made[r] = NOTHING;
    stale[r] = false
}

proctype core(byte r)
{
end:
    do
    /* follows the records */
    :: atomic { have[r] != current && !CAN_PROPOSED(r) -> take_current(r) }
    :: atomic { have[r] != current && CAN_PROPOSED(r) -> STEP_PROPOSED(r); take_current(r) } /* it has missed all between */
    :: atomic { have[r] == current && phase != P_NONE && CAN_PROPOSED(r) -> STEP_PROPOSED(r) }
    :: atomic { have[r] == current && phase > P_PROPOSED && CAN_INIT(r) -> STEP_INIT(r) }
    :: atomic { have[r] == current && phase == P_NONE && CAN_CANCELLED(r) -> STEP_CANCELLED(r) }
    :: atomic { staged[r] != NOTHING && staged[r] != next && have[r] == current -> staged[r] = NOTHING; staged_open[r] = false }
    :: atomic { phase > P_PROPOSED && (staged[r] != next || (!staged_open[r] && SIGNS(st[r]))) ->
            staged[r] = next; staged_open[r] = SIGNS(st[r]) }
    :: atomic { staged[r] != NOTHING && staged[r] == next && acknowledged[r] != next && (staged_open[r] || !SIGNS(st[r])) ->
            acknowledged[r] = next }
    /* opens */
    :: atomic { have[r] == current && (phase <= P_PROPOSED || staged[r] == next) && CAN_KMS_OPENED(r) ->
            STEP_KMS_OPENED(r);
            lawful[r] = (MODE(r) == M_KMS && !latch) }
    :: atomic { have[r] == current && (phase <= P_PROPOSED || staged[r] == next) && CAN_QUORUM_OPENED(r) ->
            lawful[r] = TWO(shares[r]); STEP_QUORUM_OPENED(r) }
    /* An image opens by what the quorum has approved, and never what was sealed since. */
    :: atomic { IMAGES && image != NOTHING && have[r] == current && (phase <= P_PROPOSED || staged[r] == next) && CAN_IMAGE_OPENED(r) ->
            STEP_IMAGE_OPENED(r);
            lawful[r] = (!latch && image == current) }
    /* The blob follows the generation, made by whoever has that open. */
    :: atomic { IMAGES && image != NOTHING && image != current && have[r] == current && SIGNS(st[r]) && !latch ->
            image = (HAS_OPERATORS(current) -> current : NOTHING) }
    :: atomic { latch && SIGNS(st[r]) && CAN_UNLATCHED(r) ->
            unlatched_lawfully = unlatched_lawfully && lawful[r] && TWO(shares[r]);
            STEP_UNLATCHED(r); latch = false }
    :: atomic { expiries && shares[r] && CAN_EXPIRED(r) -> expiries--; STEP_EXPIRED(r); shares[r] = 0 }
    /* carries the next set on */
    :: atomic { !latch && SIGNS(st[r]) && made[r] == NOTHING && MAY_STAGED(r) -> made[r] = next; stale[r] = false }
    :: atomic { made[r] != NOTHING ->
            if
            :: !stale[r] || BLIND ->
                next = made[r]; phase = P_PROPOSED; NEXT_STAGED(r); written()
            :: else
            fi;
            made[r] = NOTHING; stale[r] = false }
    :: atomic { !latch && MAY_REGISTERED_ALL(r) -> NEXT_REGISTERED_ALL(r); written() }
    :: atomic { !latch && SIGNS(st[r]) && staged[r] == next && MAY_REWRITE(r) ->
            left_behind = (SIGNS(st[0]) && staged[0] != next) || (SIGNS(st[1]) && staged[1] != next);
            NEXT_REWRITE(r); written() }
    :: atomic { !latch && phase == P_REWRITING && staged_open[r] && SIGNS(st[r]) && have[r] == current && row[0] == current && row[0] != NOTHING ->
            row[0] = next }
    :: atomic { !latch && phase == P_REWRITING && staged_open[r] && SIGNS(st[r]) && have[r] == current && row[1] == current && row[1] != NOTHING ->
            row[1] = next }
    :: atomic { !latch && (staged_open[r] || current == NOTHING) && staged[r] == next && have[r] == current && MAY_COMMITTED(r) ->
            committed_whole = committed_whole && (!HAS_OPERATORS(next) || registered == ALL_OF_NEW) &&
                (row[0] == next || row[0] == NOTHING) && (row[1] == next || row[1] == NOTHING);
            NEXT_COMMITTED(r);
            if
            :: row[0] == NOTHING -> row[0] = next; row[1] = next /* keys may come now */
            :: else
            fi;
            current = next; next = NOTHING; registered = 0; written() }
    od
}

/* Any replica at any moment; what was said of it in the store is said anew before it opens anything. */
proctype end_of_a_replica()
{
    byte r;
end:
    do
    :: atomic { crashes ->
            crashes--;
            if
            :: r = 0
            :: r = 1
            fi;
            have[r] = current;
            STEP_RESTARTED(r);
            forget(r);
            acknowledged[r] = NOTHING;
            lawful[r] = (MODE(r) == M_LOCAL) }
    od
}

/* --- people ---------------------------------------------------------------------------------------------------------------- */
#define UNSEALS(r) (HAS_OPERATORS(have[r]) && have[r] == current && !SIGNS(st[r]))

proctype operators()
{
end:
    do
    :: atomic { UNSEALS(0) && !(shares[0] & 1) -> shares[0] = shares[0] | 1 }
    :: atomic { UNSEALS(0) && !(shares[0] & 2) -> shares[0] = shares[0] | 2 }
    :: atomic { UNSEALS(1) && !(shares[1] & 1) -> shares[1] = shares[1] | 1 }
    :: atomic { UNSEALS(1) && !(shares[1] & 2) -> shares[1] = shares[1] | 2 }
    /* They approve what the owner has told them of, at the first replica. */
    :: atomic { phase == P_PROPOSED && next == NEW && HAS_OPERATORS(current) && have[0] == current && SIGNS(st[0]) && approving[0] != NEW ->
            approving[0] = NEW; approvals[0] = 1 }
    :: atomic { phase == P_PROPOSED && next == NEW && HAS_OPERATORS(current) && have[0] == current && SIGNS(st[0]) && approving[0] == NEW && !(approvals[0] & 2) ->
            approvals[0] = approvals[0] | 2; approved[NEW] = TWO(approvals[0]) }
    /* And an image, once: both of them, at the first replica. */
    :: atomic { !image_proposed && HAS_OPERATORS(current) && have[0] == current && SIGNS(st[0]) && !latch ->
            image_proposed = true; image = current }
    :: atomic { HAS_OPERATORS(next) && next == NEW && (phase == P_STAGED || phase == P_REGISTERING) && !owner_gives_up && registered != ALL_OF_NEW ->
            asker = PEOPLE;
            if
            :: !(registered & 1) -> registered = registered | 1
            :: !(registered & 2) -> registered = registered | 2
            fi;
            if
            :: MAY_REGISTERED(0) -> NEXT_REGISTERED(0); written()
            :: else -> assert(false) /* nobody can register */
            fi;
            asker = CORE }
    /* What the thief proposes they cancel, where they are the quorum. */
    :: atomic { next == EVIL && HAS_OPERATORS(current) ->
            asker = PEOPLE;
            if
            :: MAY_CANCELLED(0) -> cancelled[EVIL] = true; NEXT_CANCELLED(0); next = NOTHING; registered = 0; written()
            :: else -> assert(false)
            fi;
            asker = CORE }
    od
}

proctype owner()
{
end:
    do
    :: atomic { phase == P_NONE && !proposals[0] && current != NOTHING && !latch ->
            proposals[0] = true;
            asker = OWNER;
            if
            :: MAY_PROPOSED(0) -> next = NEW; NEXT_PROPOSED(0); written()
            :: else -> assert(false)
            fi;
            asker = CORE;
            if
            :: !HAS_OPERATORS(current) -> owner_said[NEW] = true; approved[NEW] = true
            :: else
            fi }
    :: atomic { phase == P_NONE && !proposals[0] && current == NOTHING && st[0] == S_UNINITIALIZED && !latch ->
            proposals[0] = true;
            asker = OWNER;
            if
            :: MAY_INIT(0) -> next = NEW; NEXT_INIT(0); approved[NEW] = true; written()
            :: else -> assert(false)
            fi;
            asker = CORE }
    /* May change his mind, once, and then has to be able to. */
    :: atomic { !IMAGES && next == NEW && phase != P_REWRITING && !owner_gives_up -> owner_gives_up = true }
    :: atomic { owner_gives_up && next == NEW && (phase != P_REWRITING || MAY_CANCELLED_BUT_FOR_NEED(0)) ->
            asker = OWNER;
            if
            :: MAY_CANCELLED(0) -> cancelled[NEW] = true; NEXT_CANCELLED(0); next = NOTHING; registered = 0; written()
            :: else -> assert(false) /* no way back */
            fi;
            asker = CORE }
    /* Where there is no quorum he cancels the thief's: by the offline command the store is his. */
    :: atomic { next == EVIL && !HAS_OPERATORS(current) && phase == P_PROPOSED ->
            asker = THIEF; cancelled[EVIL] = true; NEXT_CANCELLED(0); next = NOTHING; written(); asker = CORE }
    :: atomic { !sealed_once ->
            sealed_once = true; latch = true; image = NOTHING;
            assert(CAN_SEAL(0) && CAN_SEAL(1));
            STEP_SEAL(0); STEP_SEAL(1);
            forget(0); forget(1) }
    :: atomic { latch && !HAS_OPERATORS(current) && st[0] == S_SEALED && st[1] == S_SEALED && have[0] == current && have[1] == current ->
            asker = OWNER;
            assert(CAN_UNLATCHED(0) && CAN_UNLATCHED(1));
            STEP_UNLATCHED(0); STEP_UNLATCHED(1); latch = false; asker = CORE;
            lawful[0] = (MODE(0) == M_LOCAL); lawful[1] = (MODE(1) == M_LOCAL) }
    od
}

proctype thief()
{
end:
    do
    :: atomic { phase == P_NONE && !proposals[1] && current != NOTHING ->
            proposals[1] = true;
            asker = THIEF;
            if
            :: MAY_PROPOSED(1) -> next = EVIL; NEXT_PROPOSED(1); written()
            :: else
            fi;
            asker = CORE }
    :: atomic { phase == P_NONE && !proposals[1] && current == NOTHING ->
            proposals[1] = true;
            asker = THIEF;
            if
            :: MAY_INIT(1) -> next = EVIL; NEXT_INIT(1); written()
            :: else
            fi;
            asker = CORE }
    :: atomic { next == EVIL && phase == P_PROPOSED && have[1] == OLD && HAS_OPERATORS(OLD) && SIGNS(st[1]) && approving[1] != EVIL ->
            approving[1] = EVIL; approvals[1] = 4 }
    :: atomic { have[1] == OLD && HAS_OPERATORS(OLD) && !SIGNS(st[1]) && !(shares[1] & 4) -> shares[1] = shares[1] | 4 }
    :: atomic { next == NEW && phase != P_NONE && !cancelled[NEW] ->
            asker = THIEF;
            if
            :: MAY_CANCELLED(1) -> assert(false) /* he has cancelled what he has not proposed (P23) */
            :: else
            fi;
            asker = CORE;
            break }
    od
}

/* Moves when one of the properties does not hold, and never otherwise. */
proctype monitor()
{
end:
    if
    :: atomic { !(NEVER_WITHOUT_QUORUM) -> assert(NEVER_WITHOUT_QUORUM) }
    :: atomic { !(APPROVED_BY_THE_OLD) -> assert(APPROVED_BY_THE_OLD) }
    :: atomic { !(CAN_ALWAYS_SEAL) -> assert(CAN_ALWAYS_SEAL) }
    :: atomic { !(ROWS_CAN_BE_OPENED) -> assert(ROWS_CAN_BE_OPENED) }
    :: atomic { !(THE_CANCELLED_STAYS_SO) -> assert(THE_CANCELLED_STAYS_SO) }
    :: atomic { !unlatched_lawfully -> assert(unlatched_lawfully) }
    :: atomic { !committed_whole -> assert(committed_whole) }
    :: atomic { left_behind -> assert(!left_behind) }
    fi
}

/* When nothing else moves: what was begun has ended, one way or the other, and the chamber signs. */
proctype the_end()
{
    timeout;
    assert(phase == P_NONE);
    assert(!latch);
    assert(row[0] == current && row[1] == current);
    assert(current == NOTHING || (SIGNS(st[0]) && SIGNS(st[1])));
    assert(current == NOTHING || (have[0] == current && have[1] == current))
}

init
{
    byte i;
    atomic {
        current = (MODE_OLD == M_NO_SET -> NOTHING : OLD);
        i = 0;
        do
        :: i < 2 ->
            row[i] = current;
            acknowledged[i] = NOTHING;
            have[i] = current;
            forget(i);
            st[i] = (MODE_OLD == M_NO_SET -> S_UNINITIALIZED : (MODE_OLD == M_LOCAL -> S_NOT_CONFIGURED : S_SEALED));
            lawful[i] = (MODE_OLD == M_LOCAL);
            i++
        :: else -> break
        od;
        i = 0;
        run core(0);
        run core(1);
        run end_of_a_replica();
        run operators();
        run owner();
        if
        :: IMAGES
        :: else -> run thief()
        fi;
        run monitor();
        run the_end()
    }
}
