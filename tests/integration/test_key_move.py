"""Keys that go from one key store to another, and key stores that are given up; with real stores: a file, PostgreSQL, DynamoDB (moto)."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading

import interop
import pytest
import seal_client
from daemon import wait_for
from key_routes import CHAMBER, MANAGER, call, chamber_list, delete_keys, import_body, import_keys, many, sign
from seal_client import Operator, init, register_all, state
from terminal import at_terminal
from test_ceremony import approve, rotate, unseal
from test_key_stores import Database, Table, join, make, statuses

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import aws as aws_module  # noqa: E402  pylint: disable=wrong-import-position
import postgres  # noqa: E402  pylint: disable=wrong-import-position

KEYS = interop.PUBKEYS
POINTS = ["MOVE_MARKED", "MOVE_COPIED", "MOVE_WRITTEN", "MOVE_ENDED"]
# Away from a file at each, and back into it.
KILLS = [(point, there) for there in (False, True) for point in POINTS]
OWN = {"signer_state": {"backend": "sqlite"}, "anti_slashing": {"backend": "sqlite"}}


@pytest.fixture(name="server", scope="module")
def the_server():
    if postgres.bin_dir() is None:
        pytest.skip("left out: PostgreSQL is not installed")
    with postgres.Postgres() as server:
        yield server


@pytest.fixture(name="aws", scope="module")
def the_aws():
    if aws_module.missing():
        pytest.skip("left out: " + aws_module.missing())
    with aws_module.Aws() as aws:
        yield aws


@pytest.fixture(name="place", params=["postgres", "dynamodb"])
def a_place(request):
    if request.param == "postgres":
        return Database(request.getfixturevalue("server"))
    place = Table(request.getfixturevalue("aws"))
    place.aws.clear()
    return place


@pytest.fixture(name="database")
def a_database(server):
    return Database(server)


# --- one signer with its own state ------------------------------------------------------------------------------------------

def use(daemon, keys):
    """Its configuration names this key store from now on; None: its own file."""
    daemon.config["key_sources"] = {"filesystem": daemon.config["key_sources"]["filesystem"], **(keys or {"sqlite": {"enabled": True}})}
    daemon.write_config()


def alone(make_daemon, place):
    """Started, with keys in its own file: one active, one inactive, one deleted; the active one has signed."""
    daemon = make(make_daemon, place, config=OWN)
    use(daemon, None)
    daemon.init()
    daemon.start()
    assert import_keys(daemon, 1, 2, 3) == ["imported"] * 3
    assert sign(daemon, 1, 9, 10) == 200
    assert call(daemon, "PATCH", CHAMBER, {"pubkeys": [KEYS[2]], "status": "inactive"})[0] == 200
    assert delete_keys(daemon, 3)[0] == ["deleted"]
    return daemon


def move(daemon, source, target, *more, **options):
    return daemon.command("keys", "move", "--from", source, *(["--to", target] if target else []), *more, "-c", daemon.config_path, **options)


def stores(daemon):
    lines = daemon.command("keys", "stores", "-c", daemon.config_path).stdout.splitlines()
    said = dict(line.split(" ", 1) for line in lines)
    answer = json.loads(daemon.command("keys", "stores", "--json", "-c", daemon.config_path).stdout)
    words = {"moving": "on their way to ", "moved": "moved to "}
    assert answer["complete"] and said == {one["name"]: words.get(one["state"], one["state"]) + (one["to"] or "") for one in answer["stores"]}
    assert all((one["to"] is None) == (one["state"] not in words) for one in answer["stores"])
    return said


def serves(daemon):
    """As it was before: statuses, the tombstone and the history; asked of a signer that runs."""
    assert statuses(daemon) == {KEYS[1]: "active", KEYS[2]: "inactive"}
    assert [sign(daemon, 1, 8, 10), sign(daemon, 1, 9, 10), sign(daemon, 2), sign(daemon, 3)] == [412, 200, 404, 404]
    assert import_keys(daemon, 3) == ["error"], "the tombstone is kept"


def refuses(daemon):
    """Starts it, and shows that it has none of these keys; then ends it."""
    daemon.start(ready=False)
    assert all(sign(daemon, n) in (404, 503) for n in (1, 2))
    assert [call(daemon, "GET", MANAGER)[0], import_keys(daemon, 4)] == [503, ["error"]]
    assert daemon.status_of("/readyz") == 503
    text = daemon.log_text()
    daemon.kill_all()
    return text


def test_T03_keys_go_to_a_shared_store_and_back(make_daemon, place):
    daemon = alone(make_daemon, place)
    result = move(daemon, "sqlite", place.name, check=False)
    assert result.returncode == 4, result.stderr  # it runs
    assert daemon.stop() == 0
    before = (daemon.data_dir / "history.sqlite").read_bytes()
    result = move(daemon, "sqlite", place.name, check=False)
    assert result.returncode != 0 and "not set" in result.stderr, result.stderr
    use(daemon, place.keys)
    assert "2 keys and 1 tombstones" in move(daemon, "sqlite", place.name).stdout
    assert (daemon.data_dir / "history.sqlite").read_bytes() == before
    assert "moved before" in move(daemon, "sqlite", place.name).stdout
    assert sorted(words.split()[0] for words in stores(daemon).values()) == ["keys", "moved"]
    daemon.start()
    serves(daemon)
    assert chamber_list(daemon)[0][KEYS[1]][1] == place.name
    assert daemon.stop() == 0
    # The old place loads nothing any more.
    use(daemon, None)
    assert "KEYS_MOVED" in refuses(daemon)
    # Back into the file that still has the old rows; what has changed meanwhile counts.
    use(daemon, place.keys)
    daemon.start()
    assert call(daemon, "PATCH", CHAMBER, {"pubkeys": [KEYS[2]], "status": "active"})[0] == 200
    assert import_keys(daemon, 5) == ["imported"]
    assert daemon.stop() == 0
    assert "3 keys and 1 tombstones" in move(daemon, place.name, "sqlite").stdout
    assert refuses(daemon)
    use(daemon, None)
    daemon.start()
    assert statuses(daemon) == {KEYS[n]: "active" for n in (1, 2, 5)}
    assert [sign(daemon, n, 11, 12) for n in (1, 2, 5)] == [200] * 3
    assert sign(daemon, 1, 8, 10) == 412
    assert daemon.stop() == 0
    verified = daemon.command("audit", "verify", "-c", daemon.config_path)
    assert " 0 faults" in verified.stdout, verified.stdout
    lines = [json.loads(line) for path in sorted((daemon.data_dir / "audit").iterdir()) for line in path.read_text().splitlines()]
    moves = [(line["verdict"], line["principal"]) for line in lines if line.get("operation") == "key_store_move"]
    assert moves == [("CONFIG", "owner"), ("OK", "owner"), ("OK", "owner")]


def test_keys_go_from_one_shared_store_to_the_other(make_daemon, server, aws):
    """With neither of them in a file; and there is no way to a store that holds other rows."""
    database, table = Database(server), Table(aws)
    daemon = make(make_daemon, database, config=OWN)
    daemon.environment |= table.environment
    daemon.init()
    daemon.start()
    assert import_keys(daemon, *range(1, 5)) == ["imported"] * 4
    assert daemon.stop() == 0
    assert "4 keys" in move(daemon, "postgres", "dynamodb", "--table", table.keys["dynamodb"]["table"]).stdout
    use(daemon, table.keys)
    daemon.start()
    assert [sign(daemon, n) for n in range(1, 5)] == [200] * 4
    assert daemon.stop() == 0
    # Somebody has put a row in the place that nobody counts on.
    database.sql(f"INSERT INTO containment_keys VALUES ('\\x{'ab' * 48}', 3, 1, 1, NULL)")
    result = daemon.command("keys", "move", "--from", "dynamodb", "--to", "postgres", "--table", table.keys["dynamodb"]["table"], "-c",
                            _with(daemon, database.keys), check=False)
    assert result.returncode != 0 and "other rows" in result.stderr, result.stderr
    cancelled = move(daemon, "dynamodb", None, "--cancel")
    assert "has its keys again" in cancelled.stdout
    daemon.start()
    assert [sign(daemon, n, 2, 3) for n in range(1, 5)] == [200] * 4


def _with(daemon, keys):
    """Another configuration file of the same signer."""
    kept = dict(daemon.config["key_sources"])
    path, daemon.config_path = daemon.config_path, daemon.path / "other.yaml"
    use(daemon, keys)
    other, daemon.config_path, daemon.config["key_sources"] = daemon.config_path, path, kept
    return other


# --- killed on the way ----------------------------------------------------------------------------------------------------------

def killed(daemon, point, source, target):
    daemon.environment["CC_TEST_POINT"] = f"{point}:1"
    result = move(daemon, source, target, check=False)
    del daemon.environment["CC_TEST_POINT"]
    assert result.returncode != 0 and "test point" in result.stderr, result.stderr


def loads(daemon, keys):
    """How many of its keys a signer that is configured like that serves; then it is ended."""
    use(daemon, keys)
    daemon.start(ready=False)
    wait_for("the load's end", lambda: sign(daemon, 1, 9, 10) == 200 or "a key store is refused" in daemon.log_text() or
             "keys are on their way to it" in daemon.log_text() or "another store is configured" in daemon.log_text())
    there = sign(daemon, 1, 9, 10) == 200
    daemon.kill_all()
    daemon.log_path.write_text("")
    return there


@pytest.mark.points
@pytest.mark.parametrize("point, there", KILLS)
def test_T03_a_move_that_is_killed_leaves_one_store_at_most_and_goes_on(make_daemon, database, point, there):
    daemon = alone(make_daemon, database)
    assert daemon.stop() == 0
    use(daemon, database.keys)
    names = ["sqlite", "postgres"]
    places = [None, database.keys]
    if there:
        move(daemon, *names)
        names.reverse()
        places.reverse()
        daemon.start()
        for status in ("active", "inactive"):  # a row that the file has an older state of
            assert call(daemon, "PATCH", CHAMBER, {"pubkeys": [KEYS[2]], "status": status})[0] == 200
        assert daemon.stop() == 0
    daemon.log_path.write_text("")
    killed(daemon, point, *names)
    loaded = [loads(daemon, places[0]), loads(daemon, places[1])]
    assert loaded == [False, point == "MOVE_ENDED"]
    use(daemon, database.keys)
    if point != "MOVE_ENDED" and not there:  # back, and away again
        assert "again" in move(daemon, names[0], None, "--cancel").stdout
        assert [loads(daemon, places[0]), loads(daemon, places[1])] == [True, False]
        use(daemon, database.keys)
    move(daemon, *names)
    assert [loads(daemon, places[0]), loads(daemon, places[1])] == [False, True]
    daemon.start()
    serves(daemon)


@pytest.mark.points
def test_T03_many_keys_are_killed_between_their_batches_and_all_arrive(make_daemon, database):
    daemon = make(make_daemon, database, config=OWN)
    use(daemon, None)
    daemon.init()
    daemon.start()
    made = many(260)
    body = {"keystores": [text for _, text, _ in made], "passwords": [password for _, _, password in made]}
    code, answer = call(daemon, "POST", MANAGER, body)
    assert code == 200 and {item["status"] for item in answer["data"]} == {"imported"}
    assert daemon.stop() == 0
    use(daemon, database.keys)
    killed(daemon, "MOVE_COPIED", "sqlite", "postgres")
    there = int(database.sql("SELECT count(*) FROM containment_keys").splitlines()[-1])
    assert there == 256, there
    # At a terminal, and so slow that it is looked at meanwhile.
    command = [str(daemon.binary), "keys", "move", "--from", "sqlite", "--to", "postgres", "-c", str(daemon.config_path)]
    shown, status = at_terminal(command, [], environment={**daemon.environment, "CC_TEST_SLOW": "MOVE_COPIED:1000"})
    assert status == 0 and re.search(r"moving +\[#{40}\] 100 %", shown) and "260 keys" in shown, shown
    daemon.start()
    assert {key for key, row in chamber_list(daemon)[0].items() if row[0] == "active"} >= {pubkey for pubkey, _, _ in made[:50]}
    wait_for("all of them", lambda: re.search(r'^containment_keys_active\{[^}]*postgres[^}]*\} 260$', daemon.metrics(), re.M))


# --- replicas --------------------------------------------------------------------------------------------------------------------

@pytest.fixture(name="pair")
def a_pair(make_daemon, database):
    """Two of one chamber, each with a key store of its own, started."""
    one, two = make(make_daemon, database), make(make_daemon, database)
    for daemon in (one, two):
        use(daemon, None)
    one.init()
    join(two, one)
    one.start()
    two.start()
    return one, two


def test_a_second_replica_joins_its_keys_to_those_that_are_there(pair, database):
    one, two = pair
    assert import_keys(one, 1, 2, 3) == ["imported"] * 3
    assert import_keys(two, 2, 3, 4, 5) == ["imported"] * 4
    assert call(one, "PATCH", CHAMBER, {"pubkeys": [KEYS[3]], "status": "inactive"})[0] == 200
    assert delete_keys(two, 5)[0] == ["deleted"]
    assert one.stop() == 0
    use(one, database.keys)
    assert "3 keys and 0 tombstones" in move(one, "sqlite", "postgres").stdout
    one.start()
    assert two.stop() == 0
    use(two, database.keys)
    result = move(two, "sqlite", "postgres")  # the other one runs on with the target
    assert "3 keys and 1 tombstones" in result.stdout and "2 of them were there already, 1 with another status" in result.stdout, result.stdout
    two.start()
    wanted = {KEYS[1]: "active", KEYS[2]: "active", KEYS[3]: "inactive", KEYS[4]: "active"}
    wait_for("all keys at both", lambda: statuses(one) == statuses(two) == wanted)
    assert [sign(daemon, n, 20, 21) for daemon in pair for n in (1, 2, 4)] == [200] * 6
    assert import_keys(one, 5) == ["error"], "the tombstone came along"


def test_T03_a_store_that_a_signer_uses_is_not_moved_from(make_daemon, database):
    one, two = make(make_daemon, database), make(make_daemon, database)
    one.init()
    join(two, one)
    one.start()
    assert import_keys(one, 1, 2) == ["imported"] * 2
    two.start()
    assert one.stop() == 0
    result = move(one, "postgres", "sqlite", check=False)
    assert result.returncode != 0 and "a running signer uses" in result.stderr, result.stderr
    assert [sign(two, n) for n in (1, 2)] == [200] * 2
    assert import_keys(two, 3) == ["imported"], "it has lost nothing by being asked"
    assert two.stop() == 0
    assert "3 keys" in move(one, "postgres", "sqlite").stdout
    two.start(ready=False)
    wait_for("the refusal", lambda: "KEYS_MOVED" in two.log_text())
    use(one, None)
    one.start()
    assert [sign(one, n, 2, 3) for n in (1, 2, 3)] == [200] * 3


@pytest.mark.points
def test_T03_what_comes_while_a_move_reads_is_not_lost(make_daemon, database, aws):
    """From a signer that is gone again before the move asks whether there is one."""
    table = Table(aws)
    one, two = make(make_daemon, database), make(make_daemon, database)
    for daemon in (one, two):
        daemon.environment |= table.environment
    use(one, table.keys)  # so the target is in use
    one.init()
    join(two, one)
    one.start()
    assert import_keys(one, 5) == ["imported"]
    assert one.stop() == 0
    two.start()
    assert import_keys(two, 1, 2) == ["imported"] * 2
    use(one, database.keys)
    said = one.path / "move.log"
    order = ["postgres", "dynamodb", "--table", table.keys["dynamodb"]["table"]]
    arguments = [str(one.binary), "keys", "move", "--from", order[0], "--to", *order[1:], "-c", str(one.config_path)]
    with said.open("wb") as log, subprocess.Popen(arguments, env={**one.environment, "CC_TEST_SLOW": "MOVE_READ:10000"},
                                                  stdin=subprocess.DEVNULL, stdout=log, stderr=log) as moving:
        wait_for("its rows", lambda: "held up by a test" in said.read_text())
        assert import_keys(two, 3) == ["imported"] and delete_keys(two, 1)[0] == ["deleted"]
        two.kill_all()
        assert moving.poll() is None
        assert moving.wait(60) != 0, said.read_text()
    assert "move again" in said.read_text(), said.read_text()
    assert "2 keys and 1 tombstones" in move(one, *order).stdout
    use(one, table.keys)
    one.start()
    assert statuses(one) == {KEYS[n]: "active" for n in (2, 3, 5)}


@contextlib.contextmanager
def stands_still(daemon):
    """Its core, and so it answers no question."""
    core = daemon.room("core")
    os.kill(core, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(core, signal.SIGCONT)


def gives_up(daemon, *numbers):
    """Without a restart it signs with none of them, and its vault has none."""
    wait_for("the end of its keys", lambda: all(sign(daemon, n, 50, 51) in (404, 503) for n in numbers))
    wait_for("what it says", lambda: "taken out of use" in daemon.log_text())
    assert daemon.status_of("/readyz") == 503
    assert re.search(r"^containment_keys_active\{[^}]*(sqlite|postgres)[^}]*\} 0$", daemon.metrics(), re.M), daemon.metrics()
    daemon.kill_room("core")  # the next one finds in the vault what is left there
    wait_for("the next core", lambda: daemon.status_of("/upcheck") == 200 and all(sign(daemon, n, 51, 52) in (404, 503) for n in numbers))


def test_T03_a_signer_that_stood_still_while_its_store_was_moved_gives_up_its_keys(make_daemon, database):
    one, two = make(make_daemon, database), make(make_daemon, database)
    one.init()
    join(two, one)
    one.start()
    assert import_keys(one, 1, 2) == ["imported"] * 2
    two.start()
    wait_for("the keys", lambda: [sign(two, n) for n in (1, 2)] == [200] * 2)
    assert one.stop() == 0
    with stands_still(two):
        assert "2 keys" in move(one, "postgres", "sqlite").stdout
    gives_up(two, 1, 2)
    use(one, None)
    one.start()
    assert [sign(one, n, 60, 61) for n in (1, 2)] == [200] * 2


def test_T03_a_signer_that_stood_still_while_its_store_was_forgotten_gives_up_its_keys(pair):
    one, two = pair
    assert import_keys(two, 1) == ["imported"]
    assert sign(two, 1) == 200
    assert one.stop() == 0
    [name] = stores(one)
    with stands_still(two):
        assert "forgotten" in forget(one, name, "--yes").stdout
    gives_up(two, 1)


def test_orders_about_stores_that_are_not_there_say_so_in_a_line(make_daemon, database):
    daemon = make(make_daemon, database, config=OWN)
    daemon.init()
    assert daemon.command("keys", "stores", "-c", daemon.config_path).stdout == "no key store has been used here\n"
    for order in (["sqlite", "postgres"], ["postgres", None, "--cancel"]):
        result = move(daemon, *order, check=False)
        assert result.returncode == 3 and "NAME_UNKNOWN" not in result.stderr and result.stdout == "", result.stderr
        [line] = [line for line in result.stderr.splitlines() if not line.startswith("{")]
        assert line.startswith("nothing to move") and "`keys stores`" in line
        assert '"level":"error"' not in result.stderr


def test_moved_before_is_said_of_the_same_store_alone(make_daemon, server):
    """Not of another one of the same kind: nothing is in that one."""
    first, second = Database(server), Database(server)
    daemon = alone(make_daemon, first)
    assert daemon.stop() == 0
    use(daemon, first.keys)
    report = json.loads(move(daemon, "sqlite", "postgres", "--json").stdout)["report"]
    assert report[0].startswith("2 keys and 1 tombstones of sqlite-"), report
    [there] = [name for name in stores(daemon) if name.startswith("postgres-")]
    use(daemon, second.keys)
    for made in (False, True):
        for table in ("containment_keys", "containment_key_store") if made else ():
            second.sql(f"CREATE TABLE {table} (LIKE {first.schema}.{table} INCLUDING ALL)")
        result = move(daemon, "sqlite", "postgres", check=False)
        assert result.returncode != 0 and "moved before" not in result.stdout and there in result.stderr, result.stderr
        assert "KEYS_MOVED" in result.stderr or not made, result.stderr
    use(daemon, first.keys)
    assert "moved before" in move(daemon, "sqlite", "postgres").stdout


# --- stores that are given up --------------------------------------------------------------------------------------------------------

def forget(daemon, name, *more, **options):
    return daemon.command("keys", "forget-store", name, *more, "-c", daemon.config_path, **options)


def test_T01_T03_only_a_store_that_nobody_uses_is_forgotten(pair):
    one, two = pair
    assert import_keys(one, 1) == ["imported"]
    assert import_keys(two, 2) == ["imported"]
    assert forget(one, "sqlite-00", "--yes", check=False).returncode == 4  # it runs
    assert one.stop() == 0
    names = stores(one)
    assert set(names.values()) == {"keys"} and len(names) == 2
    said = {name: forget(one, name, "--yes", check=False).stderr for name in names}
    assert sorted(["configured here" in text for text in said.values()]) == [False, True], said
    [other] = [name for name, text in said.items() if "a running signer uses this key store" in text]
    assert "no record" in forget(one, "sqlite-" + "00" * 16, "--yes", check=False).stderr
    assert forget(one, "../state", "--yes", check=False).returncode != 0
    assert import_keys(two, 3) == ["imported"], "whoever was asked goes on"
    assert two.stop() == 0
    result = forget(one, other, check=False)  # nobody at a terminal says yes
    assert result.returncode != 0 and "nothing was done" in result.stderr
    assert set(stores(one)) == set(names)
    assert json.loads(forget(one, other, "--yes", "--json").stdout) == {"report": [f"forgotten: {other}"]}
    assert set(stores(one)) == set(names) - {other}
    lines = [json.loads(line) for path in sorted((one.data_dir / "audit").iterdir()) for line in path.read_text().splitlines()]
    said = [(line["subject"], line["verdict"]) for line in lines if line.get("operation") == "key_store_forget"]
    assert said[-1] == (other, "OK") and (other, "CONFLICT") in said
    # Should it come back, it loads none of them.
    two.start(ready=False)
    wait_for("the refusal", lambda: "rows were deleted, replaced, added or rolled back" in two.log_text())
    assert all(sign(two, n) in (404, 503) for n in (2, 3))
    one.start()
    assert sign(one, 1) == 200


def dies_half_done(daemon, operators, number):
    """Killed when the state store names what its key store is about to become."""
    assert daemon.stop() == 0
    daemon.environment["CC_TEST_SLOW"] = "KEYS_NAMED:60000"
    daemon.start(ready=False)
    wait_for("sealed", lambda: state(daemon) == "sealed")
    unseal(daemon, *operators)
    dying = threading.Thread(target=_import_in_vain, args=(daemon, number))
    dying.start()
    wait_for("the middle of the change", lambda: "held up by a test" in daemon.log_text(), 30)
    daemon.kill_all()
    dying.join()


def _import_in_vain(daemon, number):
    with contextlib.suppress(OSError, http.client.HTTPException):
        call(daemon, "POST", MANAGER, import_body(number))


@pytest.mark.points
@pytest.mark.parametrize("half_done", [False, True])
def test_T12_a_rotation_goes_on_when_the_store_that_is_gone_is_forgotten(make_daemon, database, tmp_path, half_done):
    """It may have died in the middle of a change, which nobody can settle now."""
    operators = [Operator(tmp_path, name) for name in ("alice", "bob")]
    pair = [make(make_daemon, database, config={"signer_state": {"seal": "ceremony"}}) for _ in range(2)]
    one, two = pair
    for daemon in pair:
        use(daemon, None)
    one.init()
    join(two, one)
    for daemon in pair:
        daemon.start(ready=False)
        wait_for("the status", lambda daemon=daemon: state(daemon) == "uninitialized")
    code, made = init(one, mode="operators", operators=[o.described() for o in operators], operator_threshold=2)
    assert code == 200, made
    register_all(one, operators, made)
    for number, daemon in enumerate(pair):
        wait_for("sealed", lambda daemon=daemon: state(daemon) == "sealed")
        unseal(daemon, *operators)
        assert import_keys(daemon, 1 + number) == ["imported"]
    code, answer = seal_client.call(one, "POST", seal_client.CHAMBER + "/rotate/master", {})
    assert (code, answer["rule"]) == (409, "SEAL_STATE"), answer
    if half_done:
        dies_half_done(two, operators, 3)
    two.kill_all()  # and never comes back
    shutil.rmtree(two.data_dir)
    assert one.stop() == 0
    [gone] = [name for name in stores(one) if name in one.log_text()]
    forget(one, gone, "--yes")
    one.start(ready=False)
    wait_for("sealed", lambda: state(one) == "sealed")
    unseal(one, *operators)
    digest = rotate(one, "master")
    approve(one, digest, *operators)
    wait_for("the new set", lambda: seal_client.status(one)["seal"]["generation"] == 2 and state(one) == "unsealed", 40)
    assert sign(one, 1) == 200


def test_a_question_is_answered_while_keys_are_imported(pair):
    """The thread that works on keys may be busy for long: it is not the one that answers."""
    one, two = pair
    assert import_keys(two, 1) == ["imported"]
    assert one.stop() == 0
    [name] = stores(one)
    made = many(8, cost=1 << 16)
    body = {"keystores": [text for _, text, _ in made], "passwords": [password for _, _, password in made]}
    answers = []
    importing = threading.Thread(target=lambda: answers.append(call(two, "POST", MANAGER, body)))
    importing.start()
    try:
        result = forget(one, name, "--yes", check=False)
    finally:
        importing.join()
    assert result.returncode != 0, result.stderr
    assert "a running signer uses" in result.stderr, result.stderr
    assert answers[0][0] == 200 and {item["status"] for item in answers[0][1]["data"]} == {"imported"}


def test_a_store_may_be_the_one_that_is_configured_and_has_lost_its_id(make_daemon, database):
    daemon = make(make_daemon, database, config=OWN)
    daemon.init()
    daemon.start()
    assert import_keys(daemon, 1) == ["imported"]
    assert daemon.stop() == 0
    [name] = stores(daemon)
    result = forget(daemon, name, "--yes", check=False)
    assert result.returncode != 0 and "configured here" in result.stderr, result.stderr
    database.sql("TRUNCATE containment_keys; TRUNCATE containment_key_store")
    result = forget(daemon, name, "--yes", check=False)
    assert result.returncode != 0 and "has no id" in result.stderr, result.stderr
    assert list(stores(daemon)) == [name]
    assert f"forgotten: {name}" in forget(daemon, name, "--yes", "--force").stdout


def test_the_file_of_this_signer_is_not_forgotten_while_it_has_keys(make_daemon, place):
    daemon = alone(make_daemon, place)
    assert daemon.stop() == 0
    [name] = stores(daemon)
    use(daemon, place.keys)
    result = forget(daemon, name, "--yes", check=False)
    assert result.returncode != 0 and "keys move --from sqlite" in result.stderr, result.stderr
    move(daemon, "sqlite", place.name)
    with contextlib.suppress(OSError):
        (daemon.data_dir / "keys.sqlite").rename(daemon.data_dir / "keys.old")
    assert f"forgotten: {name}" in forget(daemon, name, "--yes").stdout
    assert list(stores(daemon).values()) == ["keys"]
    daemon.start()
    serves(daemon)


