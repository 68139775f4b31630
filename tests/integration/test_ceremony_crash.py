"""Rotations of every kind, and first sets, that are killed at each write: the old or the new set works, and the rotation comes to its end.

In one chain each core that is started is killed at the next point of the list: so a rotation is cut short at all of them, one after the
other, and each life begins with what the last one has left. With CC_FULL=1 each point is the only one of a rotation too.
"""
import concurrent.futures
import contextlib

import pytest
from daemon import wait_for
from forms import FULL, some
from key_routes import sign
from rotations import ALL_KINDS, KINDS, MODES, Dead, FirstSet, Rotation
from test_ceremony_kms import _kms  # noqa: F401  pylint: disable=unused-import
from test_latch import lift, seal

pytestmark = pytest.mark.points
WRITE = ["SEAL_COMMIT", "SEAL_COMMITTED"]
ROWS = ["SEAL_ROWS", "KEYS_NAMED"]  # then they are written, and settled: a core that is killed between is settled by the next one's start


def by_people(kind):
    """Proposed, made, staged, registered: people bring each of these."""
    return [*WRITE, "SEAL_MADE", *WRITE, *(WRITE * ALL_KINDS[kind].registers)]


def by_itself(last):
    """Ready, rewriting, in force."""
    return [*WRITE, *WRITE, *ROWS, last, *WRITE]


def chain(kind, last):
    return [f"{point}:1" for point in by_people(kind) + by_itself(last)]


def kills(daemon):
    return daemon.log_text().count("test point reached")


def until_killed(rotation, done, point):
    """Goes on until more than `done` cores were killed."""

    def killed():
        if kills(rotation.daemon) > done:
            return True
        try:
            rotation.go_on()
        except Dead:
            return False
        assert kills(rotation.daemon) > done, f"never passed: {point}"
        return True

    wait_for("the kill", killed, 60)
    return kills(rotation.daemon)


def kill_all_with(rotation, done):
    """Everything, as soon as one more core was killed: who waits for an answer has none."""
    wait_for("the kill", lambda: kills(rotation.daemon) > done, 60)
    rotation.daemon.kill_all()


def live(rotation, killer):
    """A life of all rooms that ends somewhere in here."""
    try:
        rotation.daemon.wait_started(ready=False)
        rotation.open()
        rotation.signs(unless=killer.done)
        while not killer.done():
            with contextlib.suppress(Dead):
                rotation.go_on()
                break
    except (Dead, AssertionError) as fault:
        if not killer.done():
            print("ended by", repr(fault))
    killer.result()  # it was killed, or was not


def armed(rotation, points):
    """Restarts it, with one of the points for each core from now on."""
    rotation.daemon.environment["CC_TEST_POINT"] = ",".join(points)
    rotation.restart()


def killed_at_each(rotation, points):
    """The core alone: the vault lives, and signs."""
    armed(rotation, points)
    done = 0
    while done < len(points):
        done = until_killed(rotation, done, points[done])
        rotation.signs()
    rotation.wait_status()
    rotation.go_on()
    rotation.check_end()


def killed_whole_at_each(rotation, points):
    daemon = rotation.daemon
    assert daemon.stop() == 0
    daemon.environment["CC_TEST_SLOW"] = "BEGIN:60000"  # the core after the one that is killed does nothing until it is killed too
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        for done, point in enumerate(points):
            daemon.environment["CC_TEST_POINT"] = point
            daemon.spawn()
            live(rotation, pool.submit(kill_all_with, rotation, done))
    del daemon.environment["CC_TEST_POINT"], daemon.environment["CC_TEST_SLOW"]
    daemon.start(ready=False)
    rotation.open()
    rotation.signs()
    rotation.go_on()
    rotation.check_end()


@pytest.mark.parametrize("kind", ALL_KINDS if FULL else KINDS)
def test_P25_a_rotation_whose_core_is_killed_at_each_write_goes_on(make_daemon, kms, tmp_path, kind):
    killed_at_each(Rotation(make_daemon, kms, tmp_path, kind).begin(), chain(kind, "KEYS_WRITTEN"))


@pytest.mark.parametrize("kind", ALL_KINDS if FULL else ["mode"])
def test_P25_a_rotation_that_is_killed_whole_at_each_write_goes_on(make_daemon, kms, tmp_path, kind):
    killed_whole_at_each(Rotation(make_daemon, kms, tmp_path, kind).begin(), chain(kind, "KEYS_SETTLED"))


# Staged, registered, ready, in force.
FIRST = [f"{point}:1" for point in ["SEAL_MADE", *(WRITE * 6)]]


@pytest.mark.parametrize("whole", some([False, True], 1))
def test_P25_a_first_set_that_is_killed_at_each_write_goes_on(make_daemon, kms, tmp_path, whole):
    rotation = FirstSet(make_daemon, kms, tmp_path).begin()
    (killed_whole_at_each if whole else killed_at_each)(rotation, FIRST)


def each_alone(kind):
    """What passes once or more often, each by its number."""
    writes = range(1, 6 + ALL_KINDS[kind].registers)
    return ["SEAL_MADE:1", *(f"{point}:{n}" for n in writes for point in WRITE), *(f"{point}:1" for point in ROWS), "KEYS_WRITTEN:1", "KEYS_SETTLED:1"]


@pytest.mark.skipif(not FULL, reason="the long form: CC_FULL=1")
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("kind,point", [(kind, point) for kind in KINDS for point in each_alone(kind)])
def test_P25_a_rotation_that_is_killed_once_goes_on(make_daemon, kms, tmp_path, kind, point, whole):
    (killed_whole_at_each if whole else killed_at_each)(Rotation(make_daemon, kms, tmp_path, kind).begin(), [point])


# --- an emergency seal instead of a kill ---------------------------------------------------------------------------------------


def phase_of(said):
    return said.get("rotation", {}).get("phase")


def sealed_and_lifted(rotation):
    """T25: with the latch nothing signs; by who takes it away, all goes on, from where it was."""
    before = phase_of(rotation.status())
    seal(rotation.daemon)
    now = rotation.status()
    assert (now["state"], now["latched"]) == ("sealed", True), now
    assert phase_of(now) == before or before == "rewriting"  # what was under way may have come to its end
    assert sign(rotation.daemon, 1, 900, 901) == 503
    if MODES[now["seal"]["mode"]][1]:
        people = rotation.new if now["seal"]["generation"] == 2 else rotation.old
        for one in people[:2]:
            code, answer = one.unseal(rotation.daemon)
            assert code == 200, answer
    else:
        assert lift(rotation.daemon) == (200, {"latched": False})
    rotation.signs()


def vault_dies(rotation):
    """Everything is started again by the supervisor, and what was open is not any more."""
    rotation.daemon.kill_room("vault")
    rotation.open()
    rotation.signs()


def in_each_phase(make_daemon, kms, path, kind, interrupt):
    rotation = Rotation(make_daemon, kms, path, kind).begin()
    digest = rotation.propose()
    interrupt(rotation)
    rotation.daemon.environment["CC_TEST_SLOW"] = "SEAL_ROWS:2000"
    rotation.restart()
    rotation.approve(digest)
    if rotation.kind.registers:
        interrupt(rotation)
        rotation.register_one(rotation.new[1])
        interrupt(rotation)
        rotation.register()
    wait_for("the rows' turn", lambda: phase_of(rotation.status()) in ("rewriting", None))
    interrupt(rotation)
    rotation.go_on()
    rotation.check_end()


@pytest.mark.parametrize("kind", ALL_KINDS if FULL else ["mode"])
def test_T25_a_rotation_that_is_sealed_in_each_phase_goes_on(make_daemon, kms, tmp_path, kind):
    in_each_phase(make_daemon, kms, tmp_path, kind, sealed_and_lifted)


@pytest.mark.parametrize("kind", ALL_KINDS if FULL else ["quorum"])
def test_P25_a_rotation_whose_vault_dies_in_each_phase_goes_on(make_daemon, kms, tmp_path, kind):
    in_each_phase(make_daemon, kms, tmp_path, kind, vault_dies)
