"""Two real signers with one chamber and one history in one real PostgreSQL."""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import stat
import sys
import time
import urllib.parse

import pytest

import interop
import messages
from daemon import wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import postgres  # noqa: E402  pylint: disable=wrong-import-position

KEYS = interop.PUBKEYS[:4]
ROUNDS = 1000

pytestmark = pytest.mark.skipif(postgres.bin_dir() is None, reason="left out: PostgreSQL is not installed")


def answer(daemon, body, key=KEYS[0]):
    """(status, parsed body) of one signing request."""
    status, _, content = daemon.sign(key, body)
    return status, json.loads(content)


def decided(daemon, body, key=KEYS[0], seconds=5.0):
    """The answer to `body` as soon as it is no longer 503."""
    return wait_for("an answer", lambda: (lambda a: a if a[0] != 503 else None)(answer(daemon, body, key)), seconds)


@pytest.fixture(name="server", scope="module")
def the_server():
    """One cluster for the tests that leave it as it was."""
    with postgres.Postgres() as server:
        yield server


@pytest.fixture(name="url")
def an_url(server, request):
    """A schema of the test's own."""
    name = request.node.name.lower()[:50]
    server.sql(f"DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")
    return server.url(options=f"-csearch_path={name}")


def in_schema(url, text):
    """`text` as SQL in the schema of an_url()."""
    schema = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["options"][0].split("=")[1]
    return f"SET search_path = {schema}; {text}"


@pytest.fixture(name="make_replica")
def maker_of_replicas(make_daemon):
    """Makes a daemon whose state and history are in a database; neither init nor started."""
    def make(url, **options):
        return make_daemon(keys=interop.SECRETS[:4], config={
            "signer_state": {"backend": "postgres", "url": url}, "anti_slashing": {"backend": "postgres", "url": url}},
            **options)
    return make


def join(daemon, of, check=True):
    """`init --join` with copies of the two files of another replica."""
    return daemon.command("init", "--join", "--chamber-key", of.data_dir / "chamber.key", "--identity",
                          of.data_dir / "identity.pub", "-c", daemon.config_path, check=check)


@pytest.fixture(name="pair")
def two_replicas(make_replica, url):
    """Two that belong together, not started."""
    one, two = make_replica(url), make_replica(url)
    one.init()
    join(two, one)
    return one, two


def raced(pool, both, key, bodies):
    """The answers to two conflicting requests, each to another replica at the same time; 503 is asked again."""
    jobs = [pool.submit(decided, daemon, body, key) for daemon, body in zip(both, bodies)]
    return [job.result() for job in jobs]


def conflict(epoch, key_round):
    """Two messages of which at most one may be signed."""
    return [
        (messages.attestation(epoch + 1, epoch + 4), messages.attestation(epoch + 2, epoch + 3)),
        (messages.attestation(epoch + 1, epoch + 4), messages.attestation(epoch + 1, epoch + 4, "other")),
        (messages.block(epoch), messages.block(epoch, "other")),
    ][key_round % 3]


def test_P04_of_conflicting_requests_to_two_replicas_exactly_one_is_signed(pair):
    one, two = pair
    one.start()
    two.start()
    wins = [0, 0]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for number in range(ROUNDS):
            both = (one, two) if number % 2 else (two, one)
            answers = raced(pool, both, KEYS[number % 4], conflict(1 + number // 4 * 6, number // 4))
            assert sorted(status for status, _ in answers) == [200, 412], (number, answers)
            wins[both.index(one) if answers[both.index(one)][0] == 200 else 1] += 1
    assert min(wins) > 0, "both have won some"
    # What one has signed the other repeats, and neither forgets by a restart.
    last = messages.attestation(9001, 9002)
    first = answer(one, last)
    assert first[0] == 200
    assert decided(two, last) == first
    assert one.stop() == 0
    assert answer(two, messages.attestation(9002, 9003))[0] == 200, "one replica is enough"
    one.start()
    assert decided(one, messages.attestation(9002, 9003, "other"))[0] == 412
    assert two.stop() == 0
    two.start()
    assert decided(two, last) == first
    assert one.stop() == 0 and two.stop() == 0


@pytest.mark.long_form
def test_P19_both_replicas_wait_for_a_database_that_restarts(make_replica):
    with postgres.Postgres() as server:
        both = one, two = make_replica(server.url()), make_replica(server.url())
        one.init()
        join(two, one)
        one.start()
        two.start()
        assert answer(one, messages.attestation(1, 2))[0] == 200
        assert answer(two, messages.attestation(2, 3))[0] == 200
        server.kill()
        assert [answer(d, messages.attestation(3, 4))[0] for d in both] == [503, 503]
        server.start()
        started = time.monotonic()
        signed = [decided(d, messages.attestation(3, 4)) for d in both]
        assert signed[0] == signed[1] and signed[0][0] == 200
        for daemon in both:
            wait_for("health to turn green", lambda d=daemon: d.status_of("/healthcheck") == 200, 5)
        assert time.monotonic() - started < 5
        assert one.stop() == 0 and two.stop() == 0


@pytest.mark.long_form
def test_P19_a_replica_that_starts_before_the_database_waits_for_it(make_replica):
    with postgres.Postgres() as server:
        one = make_replica(server.url())
        one.init()
        server.stop()
        one.spawn()
        wait_for("the log to say so", lambda: one.alive() and "waiting for the state store" in one.log_text())
        server.start()
        one.wait_started(5)
        assert answer(one, messages.attestation(1, 2))[0] == 200
        assert one.stop() == 0


@pytest.mark.long_form
def test_a_replica_starts_while_another_changes_the_state(pair, server, url):
    """Its own change of the ceiling finds the head locked for longer than it waits: it reads again, and does not fail."""
    one, two = pair
    one.start()
    assert answer(one, messages.attestation(1, 2))[0] == 200
    server.sql(in_schema(url, "UPDATE containment_ceiling SET epoch = epoch + 100"))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        held = pool.submit(server.sql, in_schema(url, "BEGIN; UPDATE containment_state_head SET id = id;"
                                                 " SELECT set_config('lock_timeout', '0', true), pg_sleep(3); ROLLBACK"))
        wait_for("the lock", lambda: server.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") != "0")
        two.start()
        held.result()
    assert "another client of the database holds a lock" in two.log_text() or '"55P03"' in two.log_text()
    assert decided(two, messages.attestation(2, 3))[0] == 200
    assert decided(one, messages.attestation(3, 4))[0] == 200
    assert one.stop() == 0 and two.stop() == 0


def test_P20_P19_both_replicas_follow_a_switch_over_that_loses_nothing(make_replica):
    with postgres.Postgres({"wal_level": "replica", "max_wal_senders": 4}) as primary:
        with postgres.Postgres(copy_of=primary) as standby:
            hosts = f"{primary.socket},{standby.socket}".replace("/", "%2F")
            url = f"postgresql:///postgres?host={hosts}&port={postgres.PORT}&user={postgres.NAME}"
            both = one, two = make_replica(url), make_replica(url)
            one.init()
            join(two, one)
            one.start()
            two.start()
            for number, daemon in enumerate(both):
                assert answer(daemon, messages.attestation(1, 2), KEYS[number])[0] == 200
                wait_for("a ceiling", lambda d=daemon: (gauge(d, "containment_history_ceiling_epoch") or 0) >= 4)
            wait_for("one ceiling", lambda: len({gauge(d, "containment_history_ceiling_epoch") for d in both}) == 1)
            wanted = primary.sql("SELECT pg_current_wal_flush_lsn()")
            wait_for("the standby", lambda: standby.sql(f"SELECT pg_last_wal_replay_lsn() >= '{wanted}'") == "t")
            primary.kill()
            standby.promote()
            began = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                answers = raced(pool, both, KEYS[0], [messages.attestation(2, 3), messages.attestation(2, 3, "other")])
            assert time.monotonic() - began < 5
            assert sorted(status for status, _ in answers) == [200, 412]
            assert [decided(d, messages.attestation(2, 30), KEYS[2])[0] for d in both] == [200, 200]
            assert one.stop() == 0 and two.stop() == 0


def refused(daemon, code=3):
    """The log of a start that ends with `code`."""
    before = len(daemon.log_text())
    daemon.spawn()
    assert daemon.process.wait(20) == code, daemon.log_text()[-2000:]
    return daemon.log_text()[before:]


@pytest.mark.long_form
def test_T02_a_changed_state_is_refused_by_name(pair, server, url):
    one, two = pair

    def sql(text):
        return server.sql(in_schema(url, text))
    sql("CREATE TABLE copy_head AS TABLE containment_state_head; CREATE TABLE copy_records AS TABLE containment_state_records")
    one.start()
    two.start()
    assert answer(one, messages.attestation(1, 2))[0] == 200
    assert one.stop() == 0 and two.stop() == 0
    sql("UPDATE containment_state_records SET bytes = bytes || '\\x00' WHERE kind = 'history' AND name = 'identity'")
    for daemon in pair:
        log = refused(daemon)
        assert "a record was changed" in log and '"identity"' in log, log
    sql("UPDATE containment_state_records SET bytes = substr(bytes, 1, length(bytes) - 1)"
        " WHERE kind = 'history' AND name = 'identity'")
    sql("INSERT INTO containment_state_records VALUES ('auth', 'open', 1, 1, '\\x01')")
    assert "a record is in no head" in refused(one)
    sql("DELETE FROM containment_state_records WHERE kind = 'auth'")
    one.start()
    assert one.stop() == 0


def gauge(daemon, name):
    """A metric without labels; None before it was set."""
    found = re.search(rf"^{name} (\S+)$", daemon.metrics(), flags=re.M)
    return float(found.group(1)) if found else None


def test_a_change_by_one_replica_is_seen_by_the_other(pair):
    one, two = pair
    one.start()
    two.start()
    ceiling = "containment_history_ceiling_epoch"
    assert answer(one, messages.attestation(1, 700))[0] == 200
    assert gauge(one, ceiling) >= 700
    wait_for("the ceiling of the other", lambda: (gauge(two, ceiling) or 0) >= 700, 5)
    assert gauge(two, "containment_state_errors_total") in (None, 0)
    assert one.stop() == 0 and two.stop() == 0


def test_T06_P20_a_replica_that_signs_nothing_is_known_to_be_there(pair, server, url):
    """Each ceiling is recorded by every replica, so that after a fail-over an idle one is waited for too."""
    one, two = pair
    one.start()
    two.start()
    for epoch in (20, 40, 60):
        mark = server.sql("SELECT clock_timestamp()")
        assert decided(one, messages.attestation(epoch, epoch + 1))[0] == 200
        recent = f"SELECT count(*) FROM containment_heads WHERE replica AND at > '{mark}'"
        wait_for("both replicas to have recorded the ceiling", lambda: server.sql(in_schema(url, recent)).split()[-1] == "2", 10)


def test_T02_a_running_replica_takes_no_changed_state(pair, server, url):
    """What it knows stays good: below the ceiling it signs on, above it nothing, until the records are as they were."""
    one, _ = pair
    one.start()
    assert answer(one, messages.attestation(1, 20))[0] == 200
    wait_for("the ceiling to be ahead", lambda: gauge(one, "containment_history_ceiling_epoch") >= 22)
    server.sql(in_schema(url, "UPDATE containment_state_head SET generation = generation + 7"))
    wait_for("the log to name it", lambda: "the head's generation was changed" in one.log_text(), 5)
    assert gauge(one, "containment_state_errors_total") > 0
    assert answer(one, messages.attestation(20, 21))[0] == 200
    assert answer(one, messages.attestation(21, 500))[0] == 503
    server.sql(in_schema(url, "UPDATE containment_state_head SET generation = generation - 7"))
    assert decided(one, messages.attestation(21, 500))[0] == 200
    assert one.stop() == 0


@pytest.mark.long_form
def test_T02_a_state_restored_from_an_older_copy_is_refused(pair, make_replica, url):
    one, two = pair
    seen = (one.data_dir / "state.seen").read_text()
    (one.data_dir / "state.seen").write_text(seen.replace("generation ", "generation 9"))
    log = refused(one)
    assert "the whole store was rolled back" in log
    # When there is no newer one anywhere: a data directory that has not seen it.
    three = make_replica(url)
    join(three, one)
    for daemon in (two, three):
        daemon.start()
        assert answer(daemon, messages.attestation(1, 2))[0] == 200
        assert daemon.stop() == 0


@pytest.mark.long_form
def test_a_data_directory_serves_one_process(pair):
    one, _ = pair
    one.start()
    second = one.command("server", "-c", one.config_path, check=False)
    assert second.returncode == 4, second.stderr
    assert answer(one, messages.attestation(1, 2))[0] == 200
    assert one.stop() == 0


@pytest.mark.long_form
def test_a_role_that_may_not_make_tables_is_enough(make_replica, server, url):
    server.sql("DROP ROLE IF EXISTS replica; CREATE ROLE replica LOGIN")
    one, two = make_replica(url), make_replica(url.replace("user=signer", "user=replica"))
    refused_init = two.init(check=False)
    assert refused_init.returncode != 0 and listing(two) == []
    said = one.command("slashing", "migrate", "--grant-to", "replica", "-c", one.config_path).stdout
    report = json.loads(one.command("slashing", "migrate", "--json", "--grant-to", "replica", "-c", one.config_path).stdout)
    assert report["migrated"][:2] == ["history", "state"] and said == f"the tables are there, for the role {report['grant_to']}\n"
    two.init()
    two.start()
    assert answer(two, messages.attestation(1, 2))[0] == 200
    assert two.stop() == 0
    server.sql("DROP OWNED BY replica; DROP ROLE replica")


@pytest.mark.long_form
def test_T25_a_seal_stops_every_replica(pair):
    one, two = pair
    socket = one.path / "api.sock"
    one.config["server"]["unix_socket"] = str(socket)
    one.write_config()
    one.start()
    two.start()
    assert answer(two, messages.attestation(1, 2))[0] == 200
    result = one.command("operator", "seal", "--signer-url", f"unix:{socket}")
    assert json.loads(result.stdout) == {"state": "sealed", "complete": True}
    wait_for("the other follows", lambda: answer(two, messages.attestation(2, 3))[1].get("error") == "the chamber is sealed")
    wait_for("its own latch", (two.data_dir / "seal.latch").exists)
    assert two.stop() == 0
    two.start(ready=False)
    assert answer(two, messages.attestation(2, 3))[0] == 503
    assert one.stop() == 0 and two.stop() == 0
    one.command("operator", "unseal", "-c", one.config_path)
    one.start()
    assert answer(one, messages.attestation(2, 3))[0] == 200
    two.start(ready=False)  # it is still sealed: its own file says so
    assert answer(two, messages.attestation(3, 4))[0] == 503
    assert two.stop() == 0
    two.command("operator", "unseal", "-c", two.config_path)
    two.start()
    assert answer(two, messages.attestation(3, 4))[0] == 200
    assert one.stop() == 0 and two.stop() == 0
    for daemon in pair:  # a log each, with keys of its own
        assert daemon.command("audit", "verify", "-c", daemon.config_path).stdout.startswith("audit log intact")


# --- init --join ---------------------------------------------------------------------------------------------------


def listing(daemon):
    """What lies in the data directory."""
    return sorted(p.name for p in daemon.data_dir.iterdir()) if daemon.data_dir.exists() else []


def test_joining_makes_a_replica_and_no_history(pair, server, url):
    one, two = pair
    assert listing(two) == ["audit", "chamber.key", "history.mirror", "identity.pub", "state.lock", "state.seen"]
    for name in listing(two):
        found = (two.data_dir / name).stat()
        assert stat.S_IMODE(found.st_mode) == (0o700 if name == "audit" else 0o600), name
        own = name if name != "history.mirror" else "state.seen"  # the first replica makes its own when it starts
        assert found.st_uid == (one.data_dir / own).stat().st_uid, name
    assert (two.data_dir / "identity.pub").read_bytes() == (one.data_dir / "identity.pub").read_bytes()
    again = join(two, one, check=False)
    assert again.returncode == 3 and "already" in again.stderr or "in use" in again.stderr
    two.start()
    assert answer(two, messages.attestation(1, 2))[0] == 200
    assert two.stop() == 0


@pytest.mark.long_form
def test_joining_takes_files_that_are_there(make_replica, url):
    one, two = make_replica(url), make_replica(url)
    one.init()
    two.data_dir.mkdir(mode=0o700)
    for name in ("chamber.key", "identity.pub"):
        shutil.copy(one.data_dir / name, two.data_dir / name)
        (two.data_dir / name).chmod(0o600)
    two.command("init", "--join", "-c", two.config_path)
    two.start()
    assert two.stop() == 0


def test_a_second_init_is_told_to_join(make_replica, url):
    one, two = make_replica(url), make_replica(url)
    one.init()
    made = two.init(check=False)
    assert made.returncode == 3 and "init --join" in made.stderr, made.stderr
    assert listing(two) == []
    one.start()
    assert one.stop() == 0


@pytest.mark.long_form
def test_joining_refuses_what_is_not_this_chambers(make_replica, make_daemon, server, url, request):
    one, other, two = make_replica(url), make_daemon(keys=[]), make_replica(url)
    one.init()
    other.init()

    def tried(key, identity):
        result = two.command("init", "--join", "--chamber-key", key.data_dir / "chamber.key", "--identity",
                             identity.data_dir / "identity.pub", "-c", two.config_path, check=False)
        assert result.returncode != 0
        assert listing(two) == [], "nothing stays of a join that failed"
        return result.stderr
    assert "not signed by this chamber" in tried(one, other)
    assert "its key is another chamber's" in tried(other, one)
    missing = two.command("init", "--join", "-c", two.config_path, check=False)
    assert missing.returncode == 3 and "chamber.key" in missing.stderr
    os.chmod(one.data_dir / "chamber.key", 0o644)
    assert "0600" in tried(one, one)
    os.chmod(one.data_dir / "chamber.key", 0o600)
    # The state of one chamber beside the history of another (P6).
    name = request.node.name.lower()[:40] + "_other"
    server.sql(f"DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")
    elsewhere = server.url(options=f"-csearch_path={name}")
    make_replica(elsewhere).init()
    two.config["anti_slashing"]["url"] = elsewhere
    two.write_config()
    assert "not the history that belongs to this chamber" in tried(one, one)
    # A database where nobody has made a chamber.
    name = request.node.name.lower()[:40] + "_empty"
    server.sql(f"DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")
    two.config["signer_state"]["url"] = server.url(options=f"-csearch_path={name}")
    two.write_config()
    assert "missing" in tried(one, one)


def test_joining_needs_a_shared_state_and_a_shared_history(make_daemon, make_replica, url):
    one = make_replica(url)
    one.init()
    for config, said in [({}, "signer_state.backend"),
                         ({"signer_state": {"backend": "postgres", "url": url}}, "anti_slashing.backend")]:
        two = make_daemon(config=config)
        result = join(two, one, check=False)
        assert result.returncode == 3 and said in result.stderr, result.stderr
        assert listing(two) == []
    two = make_replica(url)
    result = two.command("init", "--identity", one.data_dir / "identity.pub", "-c", two.config_path, check=False)
    assert result.returncode == 2 and "--join" in result.stderr
