"""Two signers with one key store, in a real PostgreSQL and in DynamoDB (moto): what one does with a key the other does too."""
import atexit
import concurrent.futures
import contextlib
import http.client
import itertools
import os
import pathlib
import re
import socket
import sys
import time

import pytest

import interop
from daemon import merge, wait_for
from forms import some
from key_routes import CHAMBER, MANAGER, call, chamber_list, delete_keys, import_body, import_keys, listed, sign

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "support"))
sys.path.insert(0, str(TESTS / "torture"))
import aws as aws_module  # noqa: E402  pylint: disable=wrong-import-position
import postgres  # noqa: E402  pylint: disable=wrong-import-position
from proxy import Proxy  # noqa: E402  pylint: disable=wrong-import-position

KEYS = interop.PUBKEYS
INTERVAL = 1.0
FOLLOWS = 3 * INTERVAL  # with the time of a machine that is busy; measured below
_numbers = itertools.count()


# --- places ------------------------------------------------------------------------------------------------------------

class Database:
    """A schema of its own in one PostgreSQL."""
    name = "postgres"

    def __init__(self, server):
        self.server = server
        self.schema = f"keys_{next(_numbers)}"
        self.sql_at_large(f"CREATE SCHEMA {self.schema}")
        self.environment = {}
        url = server.url(options=f"-csearch_path={self.schema}")
        self.keys = {"postgres": {"url": url}}
        self.shared = {"backend": "postgres", "url": url}

    def sql_at_large(self, text):
        return self.server.sql(text)

    def sql(self, text):
        return self.server.sql(f"SET search_path = {self.schema}; {text}")


class Table:
    """A table of its own in one AWS."""
    name = "dynamodb"

    def __init__(self, aws):
        self.aws = aws
        table = f"keys-{next(_numbers)}"
        self.environment = aws.environment()
        self.keys = {"dynamodb": {"table": table}}
        self.shared = {"backend": "dynamodb", "table": table}


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


@pytest.fixture(name="place", params=some(["postgres", "dynamodb"], 1))
def a_place(request):
    if request.param == "postgres":
        return Database(request.getfixturevalue("server"))
    place = Table(request.getfixturevalue("aws"))
    place.aws.clear()
    return place


@pytest.fixture(name="database")
def a_database(server):
    return Database(server)


# --- signers -------------------------------------------------------------------------------------------------------------

def make(make_daemon, place, **more):
    """One with state, history and keys in the same place; neither made nor started."""
    config = merge({"key_sources": place.keys, "signer_state": place.shared, "http": {"key_manager_api": {"enabled": True}},
                    "anti_slashing": {**place.shared, "new_key_policy": {"quarantine_epochs": 0}}}, more.pop("config", {}))
    daemon = make_daemon(config=config, environment=dict(place.environment), **more)
    daemon.unix = f"/tmp/cc-stores-{os.getpid()}-{next(_numbers)}.sock"
    atexit.register(_remove, daemon.unix)
    daemon.config["server"]["unix_socket"] = daemon.unix
    daemon.write_config()
    return daemon


def _remove(path):
    with contextlib.suppress(OSError):
        os.unlink(path)


def join(daemon, of):
    daemon.command("init", "--join", "--chamber-key", of.data_dir / "chamber.key", "--identity",
                   of.data_dir / "identity.pub", "-c", daemon.config_path)


@pytest.fixture(name="pair")
def a_pair(make_daemon, place):
    """Two that belong together, started."""
    one, two = make(make_daemon, place), make(make_daemon, place)
    one.init()
    join(two, one)
    one.start()
    two.start()
    return one, two


def statuses(daemon):
    return {key: row[0] for key, row in chamber_list(daemon)[0].items()}


def follows(what, condition, seconds=FOLLOWS):
    """Waits for what another replica has done; how long it took."""
    began = time.monotonic()
    wait_for(what, condition, seconds)
    return time.monotonic() - began


def same_keys(one, two):
    return statuses(one) == statuses(two)


# --- what one does the other does ---------------------------------------------------------------------------------------------

def test_what_one_replica_does_with_a_key_the_other_does_too(pair, place):
    one, two = pair
    assert import_keys(one, 1, 2, 3) == ["imported"] * 3
    assert chamber_list(one)[0][KEYS[1]][1] == place.name
    took = [follows("the new keys", lambda: [sign(two, n) for n in (1, 2, 3)] == [200] * 3)]
    assert listed(two) == listed(one)
    assert import_keys(two, 2) == ["duplicate"]
    # One history: what one has signed the other does not contradict.
    assert [sign(two, 1, 4, 5), sign(one, 1, 3, 6)] == [200, 412]
    code, answer = call(one, "PATCH", CHAMBER, {"pubkeys": [KEYS[2]], "status": "inactive"})
    assert code == 200, answer
    took.append(follows("the status", lambda: sign(two, 2, 5, 6) == 404))
    assert statuses(two)[KEYS[2]] == "inactive"
    code, answer = call(two, "PATCH", CHAMBER, {"pubkeys": [KEYS[2]], "status": "active"})
    assert code == 200, answer
    took.append(follows("the status", lambda: sign(one, 2, 6, 7) == 200))
    deleted, history = delete_keys(one, 1)
    assert deleted == ["deleted"]
    took.append(follows("the delete", lambda: sign(two, 1, 7, 8) == 404))
    assert set(listed(two)) == {KEYS[2], KEYS[3]}
    assert delete_keys(two, 1)[0] == ["not_active"]
    assert import_keys(two, 1) == ["error"], "its history is closed everywhere"
    assert import_keys(two, 1, history=history) == ["imported"]
    took.append(follows("the key again", lambda: sign(one, 1, 8, 9) == 200))
    code, answer = call(two, "POST", CHAMBER + "/pause", {"all": True})
    assert code == 200, answer
    took.append(follows("the pause", lambda: sign(one, 3, 9, 10) == 503))
    assert call(one, "POST", CHAMBER + "/resume", {"all": True})[0] == 200
    follows("the end of it", lambda: sign(two, 3, 9, 10) == 200)
    print("seconds until the other replica followed:", [round(t, 2) for t in took])
    before = statuses(one)
    assert one.stop() == 0 and two.stop() == 0
    two.start()
    one.start()
    assert statuses(one) == statuses(two) == before
    assert [sign(two, n, 10, 11) for n in (1, 2, 3)] == [200] * 3


def test_both_replicas_change_keys_at_the_same_time(pair):
    one, two = pair
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(import_keys, daemon, *numbers) for daemon, numbers in
                ((one, (1, 2, 3)), (two, (4, 5, 6)), (one, (7, 8)), (two, (7, 8)))]
        said = [job.result() for job in jobs]
    assert said[:2] == [["imported"] * 3] * 2, said
    assert all(status in ("imported", "duplicate", "error") for status in said[2] + said[3]), said
    assert "imported" in said[2] + said[3]
    for daemon in (one, two):
        assert set(import_keys(daemon, 7, 8)) <= {"imported", "duplicate"}
    follows("one set of keys", lambda: len(statuses(one)) == 8 and same_keys(one, two))
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(delete_keys, daemon, *numbers) for daemon, numbers in ((one, (1, 2)), (two, (4, 5)))]
        assert [job.result()[0] for job in jobs] == [["deleted"] * 2] * 2
    follows("the rest of them", lambda: set(statuses(one)) == {KEYS[n] for n in (3, 6, 7, 8)} and same_keys(one, two))
    assert [sign(daemon, n, 20, 21) for daemon in (one, two) for n in (3, 6, 7, 8)] == [200] * 8
    assert one.stop() == 0 and two.stop() == 0


def test_a_signer_alone_with_its_own_state_keeps_its_keys_there(make_daemon, place):
    """Replicas need one state store; a shared key store does not."""
    daemon = make(make_daemon, place, config={"signer_state": {"backend": "sqlite"}, "anti_slashing": {"backend": "sqlite"}})
    daemon.init()
    daemon.start()
    assert import_keys(daemon, 1, 2) == ["imported"] * 2
    assert not (daemon.data_dir / "keys.sqlite").exists()
    daemon.kill_all()
    daemon.start()
    assert [sign(daemon, n) for n in (1, 2)] == [200] * 2
    assert delete_keys(daemon, 1)[0] == ["deleted"]
    daemon.kill_room("core")
    daemon.wait_ready()
    assert [sign(daemon, n, 2, 3) for n in (1, 2)] == [404, 200]
    # Another chamber finds a store that is not its own.
    other = make(make_daemon, place, config={"signer_state": {"backend": "sqlite"}, "anti_slashing": {"backend": "sqlite"}})
    other.init()
    other.start(ready=False)
    wait_for("the refusal", lambda: "another chamber's" in other.log_text())
    assert call(other, "GET", MANAGER)[0] == 503
    assert import_keys(other, 3) == ["error"]


# --- killed on the way ----------------------------------------------------------------------------------------------------------

STORE = ["KEYS_NAMED", "KEYS_WRITTEN", "KEYS_SETTLED"]
IMPORT = ["IMPORT_OPENED", "IMPORT_PROTECTED", *STORE, "IMPORT_LOADED", "IMPORT_ACTIVE"]
DELETE = ["DELETE_STOPPED", "DELETE_DISABLED", *STORE, "DELETE_ERASED", "DELETE_FORGOTTEN"]


def died(daemon, point, method, body):
    """The request whose core dies at that point, and the whole signer with it; its answer is no success."""
    assert daemon.stop() == 0
    daemon.environment["CC_TEST_POINT"] = f"{point}:1"
    daemon.start()
    code, answer = None, None
    with contextlib.suppress(OSError, http.client.HTTPException):
        code, answer = call(daemon, method, MANAGER, body)
    wait_for("the kill", lambda: "test point" in daemon.log_text(), 30)
    if daemon.process.poll() is None:
        daemon.kill_all()
    del daemon.environment["CC_TEST_POINT"]
    assert code != 200 or all(item["status"] == "error" for item in answer["data"]), answer


@pytest.mark.points
@pytest.mark.parametrize("point", some(IMPORT, 1))
def test_P05_P15_the_other_replica_settles_an_import_that_died(pair, point):
    one, two = pair
    assert import_keys(one, 7) == ["imported"]
    died(one, point, "POST", import_body(1, 2))
    # The other goes on, at once or after what was left half done; and what it says is what the first one finds.
    assert import_keys(two, 3) == ["imported"]
    there = set(statuses(two))
    assert there - {KEYS[1], KEYS[2]} == {KEYS[7], KEYS[3]}
    assert len(there) in (2, 4), "whole or not at all"
    one.start()
    assert set(statuses(one)) == there
    assert set(import_keys(one, 1, 2)) <= {"imported", "duplicate"}
    follows("all of them", lambda: len(statuses(two)) == 4 and same_keys(one, two))
    assert [sign(daemon, n, 30, 31) for daemon in (one, two) for n in (1, 2, 3, 7)] == [200] * 8
    assert one.stop() == 0 and two.stop() == 0


@pytest.mark.points
@pytest.mark.parametrize("point", some(DELETE, 1))
def test_P05_the_other_replica_settles_a_delete_that_died(pair, point):
    one, two = pair
    assert import_keys(one, 1, 2) == ["imported"] * 2
    follows("the keys", lambda: [sign(two, n) for n in (1, 2)] == [200] * 2)
    died(one, point, "DELETE", {"pubkeys": [KEYS[1]]})
    erased = DELETE.index(point) >= DELETE.index("KEYS_WRITTEN")
    if erased:  # without anybody's asking: the store says so, and the change is settled by who is left
        follows("the delete", lambda: KEYS[1] not in statuses(two), 10)
    keys = statuses(two)
    assert delete_keys(two, 1)[0] == (["deleted"] if KEYS[1] in keys else ["not_active"])
    one.start()
    assert set(statuses(one)) == set(statuses(two)) == {KEYS[2]}
    assert [sign(daemon, 1, 40, 41) for daemon in (one, two)] == [404] * 2
    assert [sign(daemon, 2, 40, 41) for daemon in (one, two)] == [200] * 2
    assert one.stop() == 0 and two.stop() == 0


@pytest.mark.points
@pytest.mark.parametrize("point", some(["KEYS_WRITTEN", "KEYS_NAMED"], 1))
def test_a_replica_that_is_slower_than_the_others_wait_loses_nothing(make_daemon, place, point):
    """It is taken for dead in the middle of its change: what it had not written is shut out, and it does it again."""
    one, two = make(make_daemon, place), make(make_daemon, place)
    one.init()
    join(two, one)
    one.environment["CC_TEST_SLOW"] = f"{point}:5000"
    one.start()
    two.start()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        slow = pool.submit(import_keys, one, 1, 2)
        wait_for("its turn", lambda: "half done" in two.log_text() or slow.done(), 20)
        assert not slow.done()
        assert import_keys(two, 3) == ["imported"]
        assert slow.result() == (["imported"] * 2 if point == "KEYS_WRITTEN" else ["error"] * 2)
    if point == "KEYS_NAMED":  # as slow at each of its tries; so nothing of it came, and nothing will
        assert set(statuses(one)) == set(statuses(two)) == {KEYS[3]}
        assert one.stop() == 0
        del one.environment["CC_TEST_SLOW"]
        one.start()
        assert import_keys(one, 1, 2) == ["imported"] * 2
    follows("the same keys", lambda: len(statuses(two)) == 3 and same_keys(one, two), 15)
    assert [sign(daemon, n, 60, 61) for daemon in (one, two) for n in (1, 2, 3)] == [200] * 6
    assert "is refused" not in one.log_text() + two.log_text()
    assert one.stop() == 0 and two.stop() == 0


# --- away, and back ----------------------------------------------------------------------------------------------------------------

def load_errors(daemon):
    """What /healthcheck says of keys that could not be loaded."""
    found = re.search(rb'"error-count":(\d+)', daemon.get("/healthcheck")[2])
    return int(found.group(1))


@pytest.mark.long_form
def test_P19_a_database_of_keys_that_is_away_stops_changes_alone(make_daemon, server):
    with postgres.Postgres() as keys:
        place = Database(server)
        place.keys = {"postgres": {"url": keys.url()}}
        one, two = make(make_daemon, place), make(make_daemon, place)
        one.init()
        join(two, one)
        one.start()
        two.start()
        assert import_keys(one, 1, 2) == ["imported"] * 2
        follows("the keys", lambda: [sign(two, n) for n in (1, 2)] == [200] * 2)
        keys.kill()
        for daemon in (one, two):
            assert call(daemon, "POST", MANAGER, import_body(3))[0] == 503
            assert call(daemon, "DELETE", MANAGER, {"pubkeys": [KEYS[1]]})[0] == 503
            assert [sign(daemon, n, 2, 3) for n in (1, 2)] == [200] * 2
            assert set(listed(daemon)) == {KEYS[1], KEYS[2]}
            wait_for("health to say so", lambda d=daemon: load_errors(d) == 1)
        # A core that begins meanwhile keeps what the vault holds; a whole signer does not know its keys.
        one.kill_room("core")
        wait_for("its keys", lambda: sign(one, 1, 3, 4) == 200)
        assert two.stop() == 0
        two.spawn()
        two.wait_started(30, ready=False)
        assert call(two, "GET", MANAGER)[0] == 503
        assert sign(two, 1, 4, 5) in (404, 503)
        keys.start()
        for daemon in (one, two):
            wait_for("the keys", lambda d=daemon: call(d, "GET", MANAGER)[0] == 200 and set(listed(d)) == {KEYS[1], KEYS[2]}, 15)
            wait_for("them to sign", lambda d=daemon: [sign(d, n, 5, 6) for n in (1, 2)] == [200] * 2, 15)
            wait_for("health to say so", lambda d=daemon: load_errors(d) == 0)
        assert import_keys(two, 3) == ["imported"]
        follows("the new key", lambda: sign(one, 3, 6, 7) == 200)
        assert one.stop() == 0 and two.stop() == 0


def database_through(server):
    """A proxy before the server, and a URL that leads through it."""
    def connect():
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.connect(f"{server.socket}/.s.PGSQL.{postgres.PORT}")
        return line
    proxy = Proxy(connect)
    return proxy, f"postgresql://{postgres.NAME}@127.0.0.1:{proxy.port}/postgres?sslmode=disable"


@pytest.mark.parametrize("mode", some(["cut", "refuse", "black-hole", "half-open"], 1))
def test_P19_a_line_to_the_keys_that_fails_while_they_change(make_daemon, server, mode):
    """Whatever was answered, both replicas end with the same keys, and each is whole."""
    with postgres.Postgres() as keys:
        proxy, url = database_through(keys)
        place = Database(server)
        place.keys = {"postgres": {"url": url}}
        one = make(make_daemon, place)
        place.keys = {"postgres": {"url": keys.url()}}
        two = make(make_daemon, place)
        one.init()
        join(two, one)
        one.start()
        two.start()
        assert import_keys(one, 0) == ["imported"]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            for number in range(1, 7):
                asked = pool.submit(call, one, "POST", MANAGER, import_body(number))
                time.sleep(0.004 * number)  # wherever it is by then
                proxy.set(mode)
                wait_for("its effect", lambda: asked.done() or "away" in one.log_text() or True)
                time.sleep(0.2)
                proxy.set("open")
                asked.result(60)
        wait_for("the line", lambda: call(one, "POST", MANAGER, import_body(7))[0] == 200, 30)
        for number in range(1, 8):
            wait_for("each key", lambda n=number: set(import_keys(one, n)) <= {"imported", "duplicate"}, 30)
        follows("the same keys", lambda: len(statuses(two)) == 8 and same_keys(one, two), 15)
        assert [sign(daemon, n, 50, 51) for daemon in (one, two) for n in range(8)] == [200] * 16
        assert "is refused" not in one.log_text() + two.log_text()
        assert one.stop() == 0 and two.stop() == 0
        proxy.close()


@pytest.mark.long_form
def test_a_table_that_throttles_or_loses_answers(make_daemon, aws):
    place = Table(aws)
    aws.clear()
    one, two = make(make_daemon, place), make(make_daemon, place)
    one.init()
    join(two, one)
    one.start()
    two.start()
    for number, (kind, count) in enumerate((k, c) for k in ("drop", "500after", "throttle", "500") for c in (1, 3)):
        aws.fault(kind, "PutItem", count)
        call(one, "POST", MANAGER, import_body(number))
        aws.clear()
        wait_for("the key", lambda n=number: set(import_keys(one, n)) <= {"imported", "duplicate"}, 30)
    follows("the same keys", lambda: len(statuses(two)) == 8 and same_keys(one, two), 15)
    assert "is refused" not in one.log_text() + two.log_text()
    assert aws.refused() == 0
    assert one.stop() == 0 and two.stop() == 0


# --- another hand ---------------------------------------------------------------------------------------------------------------------

ATTACKS = {
    "deleted": "DELETE FROM containment_keys WHERE pubkey = (SELECT pubkey FROM containment_keys LIMIT 1)",
    "status": "UPDATE containment_keys SET status = 2 WHERE pubkey = (SELECT pubkey FROM containment_keys LIMIT 1)",
    "version": "UPDATE containment_keys SET version = version + 1",
    "added": "INSERT INTO containment_keys SELECT set_byte(pubkey, 20, 7), status, version, generation, sealed"
             " FROM containment_keys LIMIT 1",
    "all gone": "TRUNCATE containment_keys",
    "another store": "TRUNCATE containment_keys; UPDATE containment_key_store SET store_id = '\\x00112233445566778899aabbccddeeff'",
    "no store": "TRUNCATE containment_keys; TRUNCATE containment_key_store",
}


@pytest.mark.parametrize("attack", some(ATTACKS, 1))
def test_T02_T03_a_shared_store_that_another_hand_has_changed_is_refused(make_daemon, database, attack):
    one, two = make(make_daemon, database, keys=interop.SECRETS[:1]), make(make_daemon, database, keys=interop.SECRETS[:1])
    one.init()
    join(two, one)
    one.start()
    assert import_keys(one, 1, 2) == ["imported"] * 2
    assert one.stop() == 0
    database.sql(ATTACKS[attack])
    one.start(ready=False)
    two.start(ready=False)
    for daemon in (one, two):
        wait_for("the refusal", lambda d=daemon: "a key store is refused" in d.log_text())
        wait_for("the other keys", lambda d=daemon: sign(d, 0, 1, 2) == 200)
        assert [sign(daemon, n) for n in (1, 2)] == [404] * 2
        assert call(daemon, "GET", MANAGER)[0] == 503
        assert import_keys(daemon, 3) == ["error"]
        assert daemon.stop() == 0


def test_T02_T03_a_store_that_is_rolled_back_under_running_replicas_is_refused(make_daemon, database):
    one, two = make(make_daemon, database), make(make_daemon, database)
    one.init()
    join(two, one)
    one.start()
    two.start()
    assert import_keys(one, 1, 2) == ["imported"] * 2
    follows("the keys", lambda: [sign(two, n) for n in (1, 2)] == [200] * 2)
    database.sql("CREATE TABLE old_rows AS SELECT * FROM containment_keys;"
                 "CREATE TABLE old_store AS SELECT * FROM containment_key_store")
    assert delete_keys(one, 1)[0] == ["deleted"]
    follows("the delete", lambda: sign(two, 1, 2, 3) == 404)
    database.sql("TRUNCATE containment_keys; INSERT INTO containment_keys SELECT * FROM old_rows;"
                 "TRUNCATE containment_key_store; INSERT INTO containment_key_store SELECT * FROM old_store")
    assert import_keys(two, 3) == ["error"], "found at the next change"
    assert "a key store is refused" in two.log_text()
    assert sign(two, 1, 3, 4) == 404
    assert one.stop() == 0
    one.start(ready=False)
    wait_for("the refusal", lambda: "a key store is refused" in one.log_text())
    wait_for("the files to be read", lambda: [sign(one, n, 3, 4) for n in (1, 2)] == [404] * 2)


@pytest.mark.long_form
def test_a_role_without_the_right_to_make_tables(make_daemon, database):
    """The owner makes them; `slashing migrate --grant-to` gives a signer's role what it needs."""
    role = f"signer_{database.schema}"
    database.sql(f"CREATE ROLE {role} LOGIN")
    owner = make(make_daemon, database)
    said = owner.command("slashing", "migrate", "--grant-to", role, "-c", owner.config_path).stdout
    assert "the tables are there" in said
    url = database.server.url(user=role, options=f"-csearch_path={database.schema}")
    database.keys, database.shared = {"postgres": {"url": url}}, {"backend": "postgres", "url": url}
    one = make(make_daemon, database, config={"anti_slashing": {"auto_migrate": False}})
    one.init()
    one.start()
    assert import_keys(one, 1) == ["imported"]
    assert delete_keys(one, 1)[0] == ["deleted"]
    assert one.stop() == 0


def test_keys_that_are_left_in_the_file_are_named(make_daemon, database):
    """A shared store takes the place of the file; nobody should believe that its keys are loaded."""
    place = Database(database.server)
    place.keys = {"sqlite": {"enabled": True}}
    daemon = make(make_daemon, place)
    daemon.init()
    daemon.start()
    assert import_keys(daemon, 1) == ["imported"]
    assert daemon.stop() == 0
    daemon.config["key_sources"].update(database.keys)
    daemon.write_config()
    daemon.start()
    assert "own key store are not loaded" in daemon.log_text()
    assert sign(daemon, 1) == 404 and not listed(daemon)
