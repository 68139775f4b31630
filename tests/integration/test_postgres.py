"""A real server with its history in a real PostgreSQL: on a socket and over TLS, killed, failed over, with a new password."""
import concurrent.futures
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import daemon as daemon_module
import interop
import messages
from daemon import wait_for
from forms import FULL
from test_kill import Load, check

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import postgres  # noqa: E402  pylint: disable=wrong-import-position

KEY = interop.PUBKEYS[0]
SECRET = "S3cret-Pass"

pytestmark = pytest.mark.skipif(postgres.bin_dir() is None, reason="left out: PostgreSQL is not installed")


def answer(daemon, body, key=KEY):
    """(status, parsed body) of one signing request."""
    status, _, content = daemon.sign(key, body)
    return status, json.loads(content)


def configured(make_daemon, url, **options):
    """A daemon with four keys whose history is in the database, not started."""
    return make_daemon(keys=interop.SECRETS[:4], config={"anti_slashing": {"backend": "postgres", "url": url}}, **options)


def goes_on(daemon, body, key=KEY, seconds=5.0):
    """The answer to `body` as soon as it is no longer 503."""
    return wait_for("an answer", lambda: (lambda a: a if a[0] != 503 else None)(answer(daemon, body, key)), seconds)


@pytest.fixture(name="server", scope="module")
def the_server():
    """One cluster for the tests that leave it as it was."""
    with postgres.Postgres() as server:
        yield server


@pytest.fixture(name="schema")
def a_schema(server, request):
    """libpq's options for a schema of the test's own."""
    name = request.node.name.lower()[:50]
    server.sql(f"DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")
    return f"-csearch_path={name}"


def test_it_signs_refuses_and_remembers(make_daemon, server, schema):
    daemon = configured(make_daemon, server.url(options=schema))
    daemon.init()
    daemon.start()
    first = answer(daemon, messages.attestation(1, 2))
    assert first[0] == 200
    assert answer(daemon, messages.block(100))[0] == 200
    assert answer(daemon, messages.attestation(1, 2, "other"))[1]["rule"] == "DOUBLE_VOTE"
    assert answer(daemon, messages.attestation(0, 3))[1]["rule"] == "SURROUNDING"
    assert answer(daemon, messages.block(100, "other"))[1]["rule"] == "DOUBLE_BLOCK"
    daemon.kill_room("core")
    daemon.wait_ready()
    assert answer(daemon, messages.attestation(1, 2)) == first
    daemon.kill_all()
    daemon.start()
    assert answer(daemon, messages.attestation(1, 2)) == first
    assert answer(daemon, messages.attestation(0, 3))[0] == 412
    assert server.sql("SELECT count(*) FROM signed_attestations", options=schema) == "1"
    assert daemon.stop() == 0


def test_P19_a_killed_database_is_waited_for(make_daemon):
    with postgres.Postgres() as server:
        daemon = configured(make_daemon, server.url())
        daemon.init()
        daemon.start()
        core = daemon.room("core")
        first = answer(daemon, messages.attestation(1, 2))
        assert first[0] == 200
        server.kill()
        assert answer(daemon, messages.attestation(1, 2))[0] == 503
        assert answer(daemon, messages.attestation(2, 3))[0] == 503
        wait_for("health to turn red", lambda: daemon.status_of("/healthcheck") == 503, 2)
        assert answer(daemon, messages.selection(7))[0] == 200, "what needs no history goes on"
        server.start()
        started = time.monotonic()
        assert goes_on(daemon, messages.attestation(1, 2)) == first
        assert answer(daemon, messages.attestation(1, 2, "other"))[0] == 412
        wait_for("health to turn green", lambda: daemon.status_of("/healthcheck") == 200, 5)
        assert time.monotonic() - started < 5
        assert daemon.room("core") == core
        text = daemon.metrics()
        assert re.search(r'^containment_postgres_errors_total{fault="away"} [1-9]', text, re.M)
        assert re.search(r"^containment_postgres_round_trip_seconds_count [1-9]", text, re.M)
        assert re.search(r"^containment_postgres_connections 1$", text, re.M)
        assert daemon.stop() == 0


@pytest.mark.long_form
def test_P19_a_database_that_is_away_at_the_start_is_waited_for(make_daemon):
    with postgres.Postgres() as server:
        daemon = configured(make_daemon, server.url())
        daemon.init()
        daemon.start()
        first = answer(daemon, messages.attestation(1, 2))
        assert first[0] == 200
        assert daemon.stop() == 0
        server.stop()
        daemon.start(ready=False)
        core = daemon.room("core")
        assert daemon.status_of("/readyz") == 503
        assert daemon.status_of("/healthcheck") == 503
        assert answer(daemon, messages.attestation(1, 2))[0] == 503
        assert answer(daemon, messages.selection(7))[0] == 503
        assert daemon.get("/api/v1/eth2/publicKeys")[0] == 503
        assert daemon.get("/api/v1/eth2/highWatermark")[0] == 503
        daemon.kill_room("front")
        wait_for("a new front", lambda: daemon.status_of("/readyz") == 503)
        assert daemon.log_text().count('"msg":"no connection to the database"') == 1
        server.start()
        began = time.monotonic()
        daemon.wait_ready()
        assert time.monotonic() - began < 5
        assert daemon.room("core") == core
        assert answer(daemon, messages.attestation(1, 2)) == first
        assert answer(daemon, messages.attestation(1, 2, "other"))[0] == 412
        assert daemon.stop() == 0
        # It also ends while it waits.
        server.stop()
        daemon.start(ready=False)
        assert daemon.stop() == 0


def test_P19_a_mistake_in_the_url_ends_the_start(make_daemon, server, schema):
    daemon = configured(make_daemon, server.url(options=schema))
    daemon.init()
    for wrong, seen in (({"user": "nobody_here"}, "28000"), ({"dbname": "nothing_here"}, "3D000")):
        daemon.config["anti_slashing"]["url"] = server.url(options=schema, **wrong)
        daemon.write_config()
        daemon.spawn()
        assert daemon.process.wait(30) == 3
        assert seen in daemon.log_text()


@pytest.fixture(name="pair")
def a_primary_and_its_replica():
    """(primary, replica, a URL that names both)"""
    with postgres.Postgres({"wal_level": "replica", "max_wal_senders": 4}) as primary:
        with postgres.Postgres(copy_of=primary) as replica:
            hosts = f"{primary.socket},{replica.socket}".replace("/", "%2F")
            yield primary, replica, f"postgresql:///postgres?host={hosts}&port={postgres.PORT}&user={postgres.NAME}"


def has_replayed(primary, replica):
    """Waits until the replica shows all that the primary has."""
    wanted = primary.sql("SELECT pg_current_wal_flush_lsn()")
    wait_for("the replica", lambda: replica.sql(f"SELECT pg_last_wal_replay_lsn() >= '{wanted}'") == "t")


def pause_a_transaction(server, daemon):
    """The server's process of the signer stands still for longer than the signer waits, and goes on when it has given up."""
    pid = int(server.sql("SELECT max(pid) FROM pg_stat_activity WHERE application_name = 'containment-chamber'"))
    seen = daemon.log_text().count("does not answer in time")
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for("the signer to give up", lambda: daemon.log_text().count("does not answer in time") > seen)
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.long_form
def test_C06_P02_P19_killed_and_paused_under_load(make_daemon):
    """Conflicting clients while the database and the rooms are killed: what a client was given is recorded, and no two of it
    are slashable together; after each healing the next signature comes within seconds."""
    with postgres.Postgres() as server:
        daemon = configured(make_daemon, server.url())
        daemon.init()
        daemon.start()

        def killed():
            server.kill()
            server.start()

        def stopped():
            server.stop()
            server.start()

        def dropped():
            server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                       " WHERE application_name = 'containment-chamber'")

        def all_killed():
            daemon.kill_all()
            daemon.start()

        nemesis = [killed, lambda: pause_a_transaction(server, daemon), dropped, stopped, lambda: daemon.kill_room("core"),
                   all_killed, killed, lambda: daemon.kill_room("front"), dropped]
        with Load(daemon) as load:
            for strike in nemesis * (5 if FULL else 1):
                load.wait_for_more(seconds=10)
                strike()
            load.wait_for_more(seconds=10)
        check(daemon, load)


def cut_off(primary, replica):
    """What the primary commits from now on does not reach the replica."""
    replica.sql("ALTER SYSTEM SET primary_conninfo = 'host=/nowhere'")
    replica.reload()
    wait_for("the end of the replication", lambda: primary.sql("SELECT count(*) FROM pg_stat_replication") == "0")


def test_T06_P20_a_switch_over_under_load_that_loses_nothing_is_followed(make_daemon, pair):
    primary, replica, url = pair
    # The primary waits for the replica at each commit, as a cluster must that loses nothing.
    primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
    primary.reload()
    replica.sql("ALTER SYSTEM SET synchronous_standby_names = ''")
    wait_for("synchronous replication",
             lambda: primary.sql("SELECT sync_state FROM pg_stat_replication") in ("sync", "quorum"))
    daemon = configured(make_daemon, url)
    daemon.init()
    daemon.start()
    with Load(daemon) as load:
        load.wait_for_more()
        primary.kill()
        with open(replica.data / "postgresql.auto.conf", "a", encoding="ascii") as conf:
            conf.write("synchronous_standby_names = ''\n")
        replica.promote()
        replica.reload()
        began = time.monotonic()
        load.wait_for_more(number=1, seconds=5)
        load.wait_for_more(seconds=10)
    assert time.monotonic() - began < 15
    log = daemon.log_text()
    assert "nothing of what this signer committed is lost" in log
    assert "were raised" not in log
    check(daemon, load)
    # It is the history's timeline from now on.
    daemon.stop()
    daemon.start()
    assert answer(daemon, messages.attestation(900, 901))[0] == 200
    assert daemon.log_text().count("nothing of what this signer committed is lost") == 1
    assert daemon.stop() == 0


def test_T06_P20_lost_records_raise_their_keys_floors_and_no_other(make_daemon, pair):
    primary, replica, url = pair
    daemon = configured(make_daemon, url)
    daemon.init()
    daemon.start()
    first = answer(daemon, messages.attestation(1, 2))
    assert first[0] == 200
    has_replayed(primary, replica)
    cut_off(primary, replica)
    assert answer(daemon, messages.attestation(2, 4))[0] == 200  # lost
    other = interop.PUBKEYS[1]
    primary.kill()
    replica.promote()
    began = time.monotonic()
    wait_for("another key", lambda: answer(daemon, messages.attestation(2, 4), other)[0] == 200, 5)
    assert time.monotonic() - began < 5
    assert "has lost records of this signer" in daemon.log_text()
    # What was lost is not signed over, nor surrounded, nor anything else up to it.
    assert answer(daemon, messages.attestation(2, 4, "other"))[0] == 412
    assert answer(daemon, messages.attestation(1, 5))[0] == 412
    assert answer(daemon, messages.attestation(3, 4))[0] == 412
    assert answer(daemon, messages.attestation(4, 5))[0] == 200
    # Nor by a signer that starts anew.
    assert daemon.stop() == 0
    daemon.start()
    assert answer(daemon, messages.attestation(2, 4, "other"))[0] == 412
    assert answer(daemon, messages.attestation(5, 6))[0] == 200
    assert daemon.stop() == 0


@pytest.mark.long_form
def test_T06_P20_what_another_replica_has_lost_is_not_signed_over(make_daemon, pair, server, schema):
    primary, replica, url = pair
    config = {"signer_state": {"backend": "postgres", "url": server.url(options=schema)},
              "anti_slashing": {"backend": "postgres", "url": url}}
    one, two = (make_daemon(keys=interop.SECRETS[:4], config=config) for _ in range(2))
    one.init()
    two.command("init", "--join", "--chamber-key", one.data_dir / "chamber.key", "--identity", one.data_dir / "identity.pub",
                "-c", two.config_path)
    for daemon in (one, two):
        daemon.start()
        assert answer(daemon, messages.attestation(1, 2), interop.PUBKEYS[daemon is one])[0] == 200
    has_replayed(primary, replica)
    cut_off(primary, replica)
    assert answer(two, messages.attestation(2, 4))[0] == 200  # lost, and only `two` knows
    primary.kill()
    replica.promote()
    began = time.monotonic()
    assert goes_on(one, messages.attestation(2, 4, "other"))[0] == 412
    assert answer(one, messages.attestation(1, 5))[0] == 412
    assert answer(one, messages.attestation(2, 4), interop.PUBKEYS[1])[0] == 200, "others sign on"
    assert goes_on(two, messages.attestation(2, 4), interop.PUBKEYS[2])[0] == 200
    assert time.monotonic() - began < 5
    assert "has lost records of this signer" in two.log_text()
    assert "has lost records of this signer" not in one.log_text()
    assert one.stop() == 0 and two.stop() == 0


@pytest.mark.long_form
def test_P20_refuse_signs_nothing_until_the_repair(make_daemon, pair):
    primary, replica, url = pair
    daemon = configured(make_daemon, url)
    daemon.config["anti_slashing"]["on_new_timeline"] = "refuse"
    daemon.write_config()
    daemon.init()
    daemon.start()
    assert answer(daemon, messages.attestation(1, 2))[0] == 200
    has_replayed(primary, replica)
    primary.kill()
    replica.promote()
    assert answer(daemon, messages.attestation(3, 5))[0] == 503
    wait_for("the reason", lambda: "on_new_timeline is refuse" in daemon.log_text())
    assert answer(daemon, messages.attestation(1, 2))[0] == 503
    assert daemon.stop() == 0
    result = daemon.command("slashing", "repair-watermark", "--epoch", 7, "-c", daemon.config_path)
    assert "4 validators sign nothing up to epoch 7, slot 63" in result.stdout
    daemon.start()
    assert answer(daemon, messages.attestation(6, 8))[1]["rule"] == "SOURCE_BELOW"
    assert answer(daemon, messages.block(63))[1]["rule"] == "BLOCK_BELOW"
    assert answer(daemon, messages.attestation(7, 8))[0] == 200
    assert answer(daemon, messages.block(64))[0] == 200
    assert daemon.stop() == 0


def test_T06_P21_an_older_backup_on_the_same_timeline_is_refused_by_name(make_daemon):
    with postgres.Postgres() as server:
        daemon = configured(make_daemon, server.url())
        daemon.init()
        daemon.start()
        assert answer(daemon, messages.attestation(1, 2))[0] == 200
        assert daemon.stop() == 0
        server.stop()
        backup = server.path / "backup"
        subprocess.run(["cp", "-a", server.data, backup], check=True)
        server.start()
        daemon.start()
        assert answer(daemon, messages.attestation(2, 4))[0] == 200
        assert daemon.stop() == 0
        server.stop()
        shutil.rmtree(server.data)
        backup.rename(server.data)
        server.start()
        daemon.spawn()
        assert daemon.process.wait(30) != 0
        assert "an older copy" in daemon.log_text() or "missing" in daemon.log_text()
        daemon.command("slashing", "repair-watermark", "--epoch", 4, "-c", daemon.config_path)
        daemon.start()
        assert answer(daemon, messages.attestation(2, 4, "other"))[0] == 412
        assert answer(daemon, messages.attestation(9, 10))[0] == 200
        assert daemon.stop() == 0


def test_a_start_names_the_row_that_is_out_of_its_domain(make_daemon, server, schema):
    """Each such row, with its table, key and number; put right as the hint says, the signer starts."""
    name = schema.removeprefix("-csearch_path=")
    daemon = configured(make_daemon, server.url(options=schema))
    daemon.init()
    daemon.start()
    assert answer(daemon, messages.attestation(1, 2))[0] == 200
    assert answer(daemon, messages.block(77))[0] == 200
    assert daemon.stop() == 0
    for damage, row, repair in (
            ("UPDATE signed_attestations SET signing_root = '\\x00'", f"signed_attestations of {KEY}, 2",
             "UPDATE signed_attestations SET signing_root = NULL"),
            ("UPDATE signed_blocks SET slot = -77", f"signed_blocks of {KEY}, -77", "UPDATE signed_blocks SET slot = 77"),
            ("UPDATE low_watermarks SET slot = -1 WHERE slot = 77", f"low_watermarks of {KEY}, its own",
             "UPDATE low_watermarks SET slot = 77 WHERE slot = -1")):
        server.sql(f"SET search_path = {name}; {damage}")
        daemon.spawn()
        assert daemon.process.wait(30) != 0
        assert daemon.log_text().count(row) == 1, daemon.log_text()
        server.sql(f"SET search_path = {name}; {repair}")
    daemon.start()
    assert answer(daemon, messages.attestation(1, 2))[1]["rule"] == "DOUBLE_VOTE", "its root is not known any more"
    assert answer(daemon, messages.attestation(2, 3))[0] == 200
    assert answer(daemon, messages.block(78))[0] == 200
    assert daemon.stop() == 0


@pytest.mark.long_form
def test_a_count_that_can_not_rise_is_named_and_its_row_may_go(make_daemon, server, schema):
    name = schema.removeprefix("-csearch_path=")
    daemon = configured(make_daemon, server.url(options=schema))
    daemon.init()
    daemon.start()
    assert answer(daemon, messages.attestation(1, 2))[0] == 200
    full = f"SET search_path = {name}; UPDATE containment_heads SET batches = 9223372036854775807 WHERE replica"
    server.sql(full)
    assert answer(daemon, messages.attestation(2, 3))[0] == 503
    assert answer(daemon, messages.attestation(2, 3))[0] == 503
    wait_for("the reason", lambda: "can't be counted up any more" in daemon.log_text())
    assert daemon.log_text().count('"table":"containment_heads"') == 1, daemon.log_text()
    server.sql(f"SET search_path = {name}; DELETE FROM containment_heads WHERE replica")
    assert goes_on(daemon, messages.attestation(2, 3))[0] == 200, "nothing of the mirror is missing"
    assert daemon.stop() == 0
    server.sql(full)
    daemon.spawn()
    assert daemon.process.wait(30) != 0
    assert daemon.log_text().count('"table":"containment_heads"') == 2, daemon.log_text()
    server.sql(f"SET search_path = {name}; DELETE FROM containment_heads WHERE replica")
    daemon.start()
    assert answer(daemon, messages.attestation(2, 3, "other"))[0] == 412
    assert answer(daemon, messages.attestation(3, 4))[0] == 200
    assert daemon.stop() == 0


def test_P04_a_cloned_chamber_on_the_same_database(make_daemon, server, schema):
    """Two signers that believe to be one: of conflicting requests to both, one is signed."""
    one = configured(make_daemon, server.url(options=schema))
    one.init()
    two = configured(make_daemon, server.url(options=schema))
    shutil.copytree(one.data_dir, two.data_dir, copy_function=copy_with_owner)
    if os.geteuid() == 0:
        copy_with_owner(one.data_dir, two.data_dir)
    one.start()
    two.start()
    both = (one, two)
    decided = 0
    for epoch in range(1, 120, 6):
        bodies = [(messages.attestation(epoch + 1, epoch + 4), messages.attestation(epoch + 2, epoch + 3)),
                  (messages.attestation(epoch + 1, epoch + 4), messages.attestation(epoch + 1, epoch + 4, "other")),
                  (messages.block(epoch), messages.block(epoch, "other"))][epoch // 6 % 3]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(answer, both[n % 2], bodies[n // 2], interop.PUBKEYS[epoch // 6 % 4]) for n in range(4)]
            answers = [job.result() for job in jobs]
        signed = [tuple(content["signature"] for status, content in answers[pair:pair + 2] if status == 200) for pair in (0, 2)]
        assert all(status in (200, 412, 503) for status, _ in answers), answers  # 503: the other held the lock for long
        assert sum(map(bool, signed)) <= 1, answers
        decided += sum(map(bool, signed))
    assert decided > 10
    assert one.stop() == 0 and two.stop() == 0


def copy_with_owner(source, target):
    """One file or directory as it is, whoever it belongs to."""
    if not os.path.isdir(source):
        shutil.copy2(source, target)
    found = os.stat(source)
    os.chown(target, found.st_uid, found.st_gid)
    os.chmod(target, found.st_mode & 0o7777)


class Wire:
    """A proxy between signer and server that counts turns: how often the signer speaks after the server has spoken."""

    def __init__(self, server):
        self.server = f"{server.socket}/.s.PGSQL.{server.port}"
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.turns = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client):
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self.server)
            server_spoke = True
            while True:
                for end in select.select([client, server], [], [])[0]:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    self.turns += end is client and server_spoke
                    server_spoke = end is server
                    (server if end is client else client).sendall(data)

    def close(self):
        """No more connections; those that are open end with their ends."""
        self.listener.close()


def test_a_batch_is_one_round_trip(make_daemon, server, schema):
    wire = Wire(server)
    url = f"postgresql://{postgres.NAME}@127.0.0.1:{wire.port}/postgres?sslmode=disable&options={schema.replace('=', '%3D')}"
    daemon = configured(make_daemon, url)
    daemon.init()
    daemon.start()
    assert answer(daemon, messages.attestation(1, 2))[0] == 200

    def transactions():
        return int(server.sql("SELECT sum(batches) FROM containment_heads", options=schema))

    def round_trips(body):
        turns, before = wire.turns, transactions()
        assert answer(daemon, body)[0] == 200
        turns = wire.turns - turns
        assert transactions() > before, "a repeat is a transaction too"
        return turns

    # The signer has other things to ask now and then: of each kind of request the least is what it takes.
    kinds = (messages.attestation, messages.attestation, lambda epoch, _: messages.block(epoch))
    taken = [[round_trips(make(epoch, epoch + 1)) for make in kinds] for epoch in range(3, 8)]
    assert [min(of_kind) for of_kind in zip(*taken)] == [1, 1, 1], taken
    assert daemon.stop() == 0
    wire.close()


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def with_tls(server):
    """Gives the cluster a certificate and a password for its role, and opens a port of loopback; the port."""
    port = free_port()
    run = {"check": True, "capture_output": True, "timeout": 60}
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", server.data / "server.key", "-out", server.data / "server.crt"], **run)
    (server.data / "server.key").chmod(0o600)
    for name in ("server.key", "server.crt"):
        if server.account:
            os.chown(server.data / name, *server.account)
    (server.data / "pg_hba.conf").write_text("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
                                             "hostssl all all ::1/128 scram-sha-256\n")
    server.configure({"listen_addresses": "localhost", "port": port, "ssl": "on"})
    return port


@pytest.mark.long_form
def test_tls_password_file_and_a_new_password(make_daemon, workdir):
    server = postgres.Postgres()
    port = with_tls(server)
    server.port = port
    try:
        server.start()
        server.sql(f"ALTER ROLE {postgres.NAME} PASSWORD '{SECRET}'")
        # Where the core's user can read it.
        passfile = pathlib.Path(server.socket) / "secret" / "pgpass"
        passfile.parent.mkdir(mode=0o755)
        authority = passfile.parent / "ca.crt"
        authority.write_bytes((server.data / "server.crt").read_bytes())

        def write(password):
            fresh = passfile.with_suffix(".new")
            fresh.write_text(f"*:*:*:*:{password}\n")
            fresh.chmod(0o600)
            if os.geteuid() == 0:
                os.chown(fresh, 65522, 65522)
            fresh.rename(passfile)

        write(SECRET)
        url = (f"postgresql://{postgres.NAME}@localhost:{port}/postgres?sslmode=verify-full"
               f"&sslrootcert={authority}&passfile={passfile}")
        daemon = configured(make_daemon, url)
        daemon.init()
        daemon.start()
        assert answer(daemon, messages.attestation(1, 2))[0] == 200
        assert server.sql("SELECT bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)"
                          " WHERE application_name = 'containment-chamber'") == "t"
        # A new password, and every connection gone: the locked core reads the file again and looks up the name.
        server.sql(f"ALTER ROLE {postgres.NAME} PASSWORD 'another one'")
        daemon.stop()
        daemon.spawn()
        assert daemon.process.wait(30) == 3, "a wrong password at a start is a mistake"
        assert "28P01" in daemon.log_text()
        write("another one")
        daemon.start()
        server.sql(f"ALTER ROLE {postgres.NAME} PASSWORD 'a third one'")
        write("a third one")
        server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                   " WHERE application_name = 'containment-chamber'")
        assert goes_on(daemon, messages.attestation(2, 3))[0] == 200
        assert "no network namespace" not in daemon.log_text()
        assert daemon.stop() == 0
        # A certificate of another name is refused.
        daemon.config["anti_slashing"]["url"] = url.replace("@localhost", "@127.0.0.1")
        daemon.write_config()
        daemon.spawn()
        assert daemon.process.wait(30) == 3
    finally:
        server.close()


def test_no_password_is_shown_anywhere(make_daemon, server, schema):
    url = server.url(options=schema, password=SECRET)
    daemon = configured(make_daemon, url)
    daemon.init()
    daemon.start()
    assert answer(daemon, messages.attestation(1, 2))[0] == 200
    pids = [daemon.process.pid, *daemon.rooms().values()]
    shown = [pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids]
    shown += [daemon.metrics().encode(), daemon.get("/healthcheck")[2]]
    assert daemon.stop() == 0
    for words in (("config", "dump"), ("config", "check"), ("slashing", "status"), ("slashing", "status", "--json")):
        result = daemon.command(*words, "-c", daemon.config_path)
        shown.append((result.stdout + result.stderr).encode())
    daemon.config["anti_slashing"]["url"] = url.replace("%2Ftmp", "%2Fnowhere")
    daemon.write_config()
    result = daemon.command("slashing", "status", "-c", daemon.config_path, check=False)
    assert result.returncode != 0
    shown += [(result.stdout + result.stderr).encode(), daemon.log_text().encode()]
    for text in shown:
        assert SECRET.encode() not in text
    result = daemon.command("config", "check", "-c", daemon.config_path, f"--anti-slashing-url={url}", check=False)
    assert result.returncode != 0 and "not taken from a flag" in result.stderr + result.stdout
    assert SECRET not in result.stderr + result.stdout


def test_P03_a_database_has_one_history_and_only_init_makes_it(make_daemon, server, schema):
    daemon = configured(make_daemon, server.url(options=schema))
    # A second chamber for one database: nothing of it stays.
    other = configured(make_daemon, server.url(options=schema))
    daemon.init()
    result = other.command("init", "-c", other.config_path, check=False)
    assert result.returncode != 0
    assert not other.data_dir.exists() or not list(other.data_dir.iterdir())
    assert server.sql("SELECT count(*) FROM containment_history", options=schema) == "1"
    # The database alone, without its chamber, or the chamber without its database, is refused.
    server.sql("DELETE FROM containment_history", options=schema)
    daemon.spawn()
    assert daemon.process.wait(30) != 0
    assert "no history" in daemon.log_text()


@pytest.mark.long_form
def test_an_init_that_was_cut_short_is_taken_back_by_the_runbook(make_daemon, server, schema):
    daemon = configured(make_daemon, server.url(options=schema))
    daemon.init()
    shutil.rmtree(daemon.data_dir)
    refused = daemon.command("init", "--replace-fence", "-c", daemon.config_path, check=False)
    assert refused.returncode != 0 and "An init was cut short" in refused.stderr
    runbook = (pathlib.Path(__file__).resolve().parents[2] / "docs/runbook-history.md").read_text()
    statement = re.search(r"^ +(DELETE FROM containment_history .*;)$", runbook, re.M)[1]
    server.sql(statement, options=schema)
    daemon.command("init", "--replace-fence", "-c", daemon.config_path)
    daemon.start()
    assert answer(daemon, messages.block(81))[0] == 200
    # Where a signer has written the same statement takes nothing.
    assert daemon.stop() == 0
    server.sql(statement, options=schema)
    assert server.sql("SELECT count(*) FROM containment_history", options=schema) == "1"


def test_the_slashing_commands(make_daemon, server, schema):
    daemon = configured(make_daemon, server.url(options=schema))
    daemon.init()
    data = {
        "metadata": {"interchange_format_version": "5", "genesis_validators_root": messages.MINIMAL_GENESIS_ROOT},
        "data": [{"pubkey": KEY, "signed_blocks": [{"slot": "81"}],
                  "signed_attestations": [{"source_epoch": "1", "target_epoch": "2"},
                                          {"source_epoch": "2", "target_epoch": "18446744073709551615"}]}],
    }
    source = daemon.path / "in.json"
    source.write_text(json.dumps(data))
    result = daemon.command("slashing", "import", "--from", source, "-c", daemon.config_path)
    assert "1 blocks and 2 attestations added" in result.stdout
    out = daemon.path / "out.json"
    daemon.start()
    assert answer(daemon, messages.block(81))[0] == 412
    # An import asks the state store first, which is the signer's while it runs.
    result = daemon.command("slashing", "import", "--from", source, "-c", daemon.config_path, check=False)
    assert result.returncode == 4 and "--signer-url unix:" in result.stderr, result
    # The database has locks of its own: the other commands work beside a running signer.
    daemon.command("slashing", "export", "--to", out, "-c", daemon.config_path)
    ours = next(v for v in json.loads(out.read_text())["data"] if v["pubkey"] == KEY)
    assert ours["signed_attestations"][1]["target_epoch"] == str(2**64 - 1)
    status = json.loads(daemon.command("slashing", "status", "--json", "-c", daemon.config_path).stdout)
    assert (status["validators"], status["blocks"], status["attestations"]) == (4, 1, 2)
    assert daemon.stop() == 0


def test_a_key_that_web3signer_has_disabled(make_daemon, server, schema):
    """Its reload disables a key that is gone for good; here only a command enables it again, while the signer runs."""
    daemon = configured(make_daemon, server.url(options=schema))
    daemon.init()
    daemon.start()
    assert answer(daemon, messages.attestation(1, 2))[0] == 200
    server.sql("UPDATE validators SET enabled = false", options=schema)
    assert answer(daemon, messages.attestation(2, 3))[1]["rule"] == "DISABLED"
    daemon.command("slashing", "enable", "--key", KEY, "-c", daemon.config_path)
    assert answer(daemon, messages.attestation(2, 3))[0] == 200
    assert answer(daemon, messages.attestation(1, 2, "other"))[0] == 412
    # A hand-over reaches a running signer too, and its schema keeps it above what was signed.
    assert daemon.command("slashing", "hand-over", "--epoch", 2, "-c", daemon.config_path, check=False).returncode != 0
    assert daemon.get("/api/v1/eth2/highWatermark")[0] == 200
    assert json.loads(daemon.get("/api/v1/eth2/highWatermark")[2]) == {}
    daemon.command("slashing", "hand-over", "--epoch", 5, "-c", daemon.config_path)
    # Another process has set it: what is shown is the history's, not what was there at the start.
    assert json.loads(daemon.get("/api/v1/eth2/highWatermark")[2])["epoch"] == "5"
    assert answer(daemon, messages.attestation(3, 4))[0] == 200
    assert answer(daemon, messages.attestation(4, 5))[1]["rule"] == "HIGH_WATERMARK"
    assert daemon.stop() == 0


@pytest.mark.long_form
def test_tables_made_by_another_role(make_daemon, server, schema):
    server.sql("DROP ROLE IF EXISTS limited; CREATE ROLE limited LOGIN")
    daemon = configured(make_daemon, server.url(user="limited", options=schema))
    assert daemon.init(check=False).returncode != 0
    # A role that could make them, told not to.
    careful = configured(make_daemon, server.url(options=schema))
    careful.config["anti_slashing"]["auto_migrate"] = False
    careful.write_config()
    result = careful.init(check=False)
    assert result.returncode == 3 and "slashing migrate" in result.stderr + result.stdout
    assert server.sql(f"SELECT count(*) FROM pg_tables WHERE schemaname = '{schema.split('=')[1]}'") == "0"
    as_owner = {**os.environ, "CONTAINMENT_ANTI_SLASHING__URL": server.url(options=schema)}
    daemon.environment = as_owner
    daemon.command("slashing", "migrate", "--grant-to", "limited", "-c", daemon.config_path)
    daemon.command("slashing", "migrate", "--grant-to", "limited", "-c", daemon.config_path)
    daemon.environment = {"PATH": "/usr/bin:/bin"}
    daemon.init()
    daemon.start()
    assert answer(daemon, messages.attestation(1, 2))[0] == 200
    assert daemon.stop() == 0
    server.sql("DROP OWNED BY limited; DROP ROLE limited")


def test_a_front_has_no_network_while_the_core_has_one(make_daemon, server, schema):
    daemon = configured(make_daemon, server.url(options=schema))
    daemon.init()
    daemon.start()
    ours = os.readlink("/proc/self/ns/net")
    namespaces = {name: os.readlink(f"/proc/{pid}/ns/net") for name, pid in daemon.rooms().items()}
    if "no network namespace of its own" not in daemon.log_text():
        # A database on a socket needs no network either.
        assert ours not in namespaces.values()
    assert daemon.stop() == 0
    assert daemon_module.has_ended(daemon.process.pid)
