"""From a Web3Signer to this signer, and back, as docs/migrate.md has it step by step, on one database and under load: no duty is missed,
nothing slashable is signed, each message has one signature, and the database is Web3Signer's still. Clients know of a signer nothing but
its URL. In Web3Signer's place stands a server of its API that signs by code of its own (bls_sign.py) and does to the database what it does
(tests/torture/cowriter.py): its schema, its locks, its transaction, its reload that disables keys. A real Web3Signer is a Java program
that is not to be had here."""
import http.server
import json
import os
import pathlib
import re
import sys
import threading
import urllib.parse

import pytest

import bls_keys
import bls_sign
import messages
from daemon import Connection, wait_for
from test_web3signer import free_port

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "torture"))
import checker  # noqa: E402  pylint: disable=wrong-import-position
import cowriter  # noqa: E402  pylint: disable=wrong-import-position
import postgres  # noqa: E402  pylint: disable=wrong-import-position

pytestmark = pytest.mark.skipif(postgres.bin_dir() is None, reason="left out: PostgreSQL is not installed")

KEYS = bls_keys.make(4, base=0x1234567)  # small secrets: plain Python keeps up
PUBKEYS = [pubkey for _, pubkey in KEYS]
SECRETS = ["0x" + secret.hex() for secret, _ in KEYS]
CORE_UID = 65522  # where the tests are root
PASSWORD = "S3cret p@ss"
EVERY_S = 0.02
DUTIES = 16  # of each key, in each stage

SCHEMA = """SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
 WHERE table_schema = 'public' AND table_name NOT LIKE 'containment%' ORDER BY 1, 2"""
CONSTRAINTS = """SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT LIKE 'containment%' ORDER BY 1, 2"""
FOREIGN_TRIGGERS = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text NOT LIKE 'containment%'"


class Api(http.server.BaseHTTPRequestHandler):
    """The part of Web3Signer's API that clients, and `migrate --compare`, ask for. Each connection has one of the pool to the database."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass

    def answer(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):  # pylint: disable=invalid-name
        known = self.path == "/api/v1/eth2/publicKeys"
        self.answer(200 if known else 404, self.server.loaded if known else {})

    def do_POST(self):  # pylint: disable=invalid-name
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        pubkey = self.path.removeprefix("/api/v1/eth2/sign/")
        if pubkey not in self.server.loaded:
            self.answer(404, {})
            return
        signature = self.server.sign(PUBKEYS.index(pubkey), body)
        self.answer(200 if signature else 412, {"signature": signature} if signature else {})


class Web3signer(http.server.ThreadingHTTPServer):
    """One that runs, and listens."""

    daemon_threads = True

    def __init__(self, database):
        super().__init__(("127.0.0.1", 0), Api)
        self.database = database
        self.pool = threading.local()
        self.loaded = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        """From now on nobody is there, and nobody signs over a connection that is left."""
        self.loaded = []
        self.shutdown()
        self.server_close()

    def sql(self, text):
        """Over this thread's connection."""
        if not hasattr(self.pool, "session"):
            self.pool.session = cowriter.Session(cowriter.reach(self.database), postgres.NAME)
        return self.pool.session.sql(text)

    def sign(self, number, body):
        """As its transaction does; None where it refuses. What nobody is slashed for needs none."""
        root = messages.signing_root(body)
        if body["type"] in ("ATTESTATION", "BLOCK_V2") and not self.record(PUBKEYS[number][2:], body, root[2:]):
            return None
        return bls_sign.sign(KEYS[number][0], root)

    def record(self, key, body, root):
        """True where it may sign."""
        self.sql("BEGIN ISOLATION LEVEL READ COMMITTED")
        if body["type"] == "ATTESTATION":
            data = body["attestation"]
            may = cowriter.attestation(self.pool.session, key, int(data["source"]["epoch"]), int(data["target"]["epoch"]), root)
        else:
            may = cowriter.block(self.pool.session, key, int(body["beacon_block"]["block_header"]["slot"]), root)
        self.sql("COMMIT" if may else "ROLLBACK")
        return may

    def load(self, numbers):
        """What its start does: rows for its keys, which are enabled."""
        self.loaded = [PUBKEYS[number] for number in numbers]
        for key in self.loaded:
            self.sql(f"INSERT INTO validators (public_key, enabled) VALUES ('\\x{key[2:]}', true)"
                     " ON CONFLICT (public_key) DO UPDATE SET enabled = true")


class Signer:
    """A signer as its client knows it: a URL."""

    def __init__(self, url):
        self.url, at = url, urllib.parse.urlsplit(url)
        self.connection = Connection(at.hostname, at.port)

    def ask(self, number, body):
        """The signature; None where it is refused."""
        status, _, content = self.connection.request("POST", f"/api/v1/eth2/sign/{PUBKEYS[number]}", body)
        assert status in (200, 412), (status, content)
        return json.loads(content)["signature"] if status == 200 else None


class Client(threading.Thread):
    """A validator client of one key: a vote for each epoch, a block for each second, and now and then what would slash it."""

    def __init__(self, number, url):
        super().__init__()
        self.number, self.url = number, url
        self.signer = Signer(url)
        self.ending = threading.Event()
        self.missed, self.slashed = [], []
        self.events = []
        self.moved = 0
        self.done = 0  # duties

    def duty(self, body, must):
        """Asks for it, and writes down what came of it."""
        signature = self.signer.ask(self.number, body)
        event = {"event": "answer", "outcome": "ok" if signature else "refused", "pubkey": PUBKEYS[self.number], "signature": signature,
                 "root": messages.signing_root(body)}
        if body["type"] == "ATTESTATION":
            data = body["attestation"]
            event.update(kind="vote", source=int(data["source"]["epoch"]), target=int(data["target"]["epoch"]))
        else:
            event.update(kind="block", slot=int(body["beacon_block"]["block_header"]["slot"]))
        self.events.append(event)
        if bool(signature) != must:
            (self.missed if must else self.slashed).append((self.signer.url, event))

    def move(self, epoch):
        """To the signer that its URL names now: asks it first for what the one before has signed."""
        self.signer = Signer(self.url)
        if epoch:
            self.duty(messages.attestation(epoch - 1, epoch), True)
        self.moved += 1

    def run(self):
        epoch = 0
        while not self.ending.wait(EVERY_S):
            if self.signer.url != self.url:
                self.move(epoch)
            epoch += 1
            self.duty(messages.attestation(epoch - 1, epoch), True)
            if epoch % 2 == 0:
                self.duty(messages.block(epoch * 8), True)
            if epoch % 5 == 0:
                self.duty(messages.attestation(epoch - 1, epoch, "other"), False)
                self.duty(messages.attestation(max(0, epoch - 3), epoch + 1), False)
                self.duty(messages.block((epoch // 2) * 16, "other"), False)
            self.done = epoch


def stage(clients):
    """All go on for a while."""
    before = [c.done for c in clients]
    wait_for("duties", lambda: all(not c.is_alive() or c.done > n + DUTIES for c, n in zip(clients, before)), 60)
    assert all(c.is_alive() for c in clients)


def move(clients, url):
    """One after the other, as an operator does."""
    for client in clients:
        client.url = url
        before = client.done
        wait_for("its next duty", lambda c=client, n=before: c.done > n + 1 or not c.is_alive(), 30)


@pytest.fixture(name="server", scope="module")
def the_server():
    port = free_port()
    server = postgres.Postgres({"listen_addresses": "127.0.0.1", "port": port})
    server.port = port
    with server:
        server.sql(f"ALTER ROLE {postgres.NAME} PASSWORD '{PASSWORD}'")
        server.ask_for_passwords()
        server.reload()
        yield server


def tables_of_web3signer(daemon, server):
    """As its migrations leave them: none of ours."""
    daemon.command("slashing", "migrate", "-c", daemon.config_path)
    ours = server.sql("SELECT string_agg(relname, ', ') FROM pg_class WHERE relkind = 'r' AND relname LIKE 'containment%'")
    server.sql(f"DROP TABLE {ours} CASCADE")
    server.sql(f"INSERT INTO metadata (id, genesis_validators_root) VALUES (1, decode('{messages.MINIMAL_GENESIS_ROOT[2:]}', 'hex'))")


def migrate(daemon, server, old):
    """Step 1 of the recipe: the configuration of a signer in the place of `old`."""
    trial, out = daemon.path / "trial", daemon.path / "migrated.yaml"
    trial.mkdir()
    done = daemon.command("migrate", "web3signer", "--dir", trial, "--out", out, "--compare", old.url, "--",
                          f"--key-store-path={daemon.keys_dir}", "--http-listen-port=0", "eth2", "--network=minimal",
                          f"--slashing-protection-db-url=jdbc:postgresql://127.0.0.1:{server.port}/postgres",
                          f"--slashing-protection-db-username={postgres.NAME}", f"--slashing-protection-db-password={PASSWORD}", timeout=120)
    assert PASSWORD not in done.stdout + done.stderr + out.read_text()
    assert f"trial: {len(KEYS)} of {len(KEYS)} keys sign" in done.stderr
    assert f"compared: {len(KEYS)} keys sign as {old.url}" in done.stderr
    return out


def adopt(daemon, server, config):
    """Step 2: that configuration, with the password where its head says, on a shared database; `init`."""
    passfile = server.socket / "pgpass"  # where the core's user gets at it
    passfile.touch(mode=0o600)
    passfile.write_text(f"*:*:*:*:{PASSWORD}\n")
    if os.geteuid() == 0:
        os.chown(passfile, CORE_UID, CORE_UID)
    text = config.read_text()
    assert "name that as passfile=FILE in the URL" in text
    text, urls = re.subn(r'^(  url: ".*)"$', rf'\1?passfile={passfile}"', text, flags=re.M)
    text, sections = re.subn(r"^anti_slashing:\n", "anti_slashing:\n  shared_with_web3signer: true\n", text, flags=re.M)
    assert (urls, sections) == (1, 1), text
    config.write_text(text)
    daemon.config_path = config
    daemon.init()


def test_P04_from_web3signer_and_back_under_load(make_daemon, server):
    daemon = make_daemon(keys=SECRETS, config={"anti_slashing": {"backend": "postgres", "url": server.url()}})
    daemon.environment.update(
        CONTAINMENT_GENESIS_VALIDATORS_ROOT=messages.MINIMAL_GENESIS_ROOT, CONTAINMENT_DATA_DIR=str(daemon.data_dir),
        CONTAINMENT_SERVER__ADMIN_SOCKET=str(daemon.admin_path), CONTAINMENT_METRICS__LISTEN_PORT="0", CONTAINMENT_SERVER__DRAIN_SECONDS="1")
    tables_of_web3signer(daemon, server)
    foreign = [server.sql(text) for text in (SCHEMA, CONSTRAINTS, FOREIGN_TRIGGERS)]
    old, again = Web3signer(server), Web3signer(server)
    old.load(range(len(KEYS)))
    clients = [Client(number, old.url) for number in range(len(KEYS))]
    for client in clients:
        client.start()
    try:
        stage(clients)
        config = migrate(daemon, server, old)
        adopt(daemon, server, config)  # while the other signs on
        daemon.start()
        move(clients, f"http://127.0.0.1:{daemon.http_port}")
        stage(clients)
        old.stop()  # once nobody asks it
        stage(clients)
        again.load(range(len(KEYS)))  # and back: started beside this one, on the same tables
        move(clients, again.url)
        stage(clients)
        assert daemon.stop() == 0
        stage(clients)
    finally:
        for client in clients:
            client.ending.set()
        for client in clients:
            client.join(30)
        again.stop()
    assert [c.missed for c in clients] == [[]] * len(KEYS)
    assert [c.slashed for c in clients] == [[]] * len(KEYS)
    assert [c.moved for c in clients] == [2] * len(KEYS)
    released = checker.Released()
    for client in clients:
        for event in client.events:
            released.take(event)
    assert released.pairs() == [] and released.violations == []
    assert sum(c.done for c in clients) > len(KEYS) * 5 * DUTIES
    # The database is Web3Signer's as it was: its tables have no other column, constraint or trigger, and its schema is 12.
    assert [server.sql(text) for text in (SCHEMA, CONSTRAINTS, FOREIGN_TRIGGERS)] == foreign
    assert server.sql("SELECT version FROM database_version") == "12"
    for name in ("signed_attestations", "signed_blocks"):
        column = "target_epoch" if name == "signed_attestations" else "slot"
        assert server.sql(f"SELECT count(*) FROM {name}") == server.sql(f"SELECT count(DISTINCT (validator_id, {column})) FROM {name}")


def test_keys_that_the_reload_of_a_web3signer_has_disabled_are_named_and_enabled(make_daemon, server):
    """The way here of a database with disabled rows, which stay disabled until somebody says so, and the way back."""
    server.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    daemon = make_daemon(keys=SECRETS[:2], config={"anti_slashing": {"backend": "postgres", "url": server.url()}})
    tables_of_web3signer(daemon, server)
    web3signer = Web3signer(server)
    web3signer.load(range(2))
    old = Signer(web3signer.url)
    assert old.ask(0, messages.attestation(1, 2)) and old.ask(1, messages.attestation(1, 2))
    web3signer.sql(f"UPDATE validators SET enabled = false WHERE public_key = '\\x{PUBKEYS[1][2:]}'")
    assert not old.ask(1, messages.attestation(2, 3))
    daemon.init()
    daemon.start()
    new = Signer(f"http://127.0.0.1:{daemon.http_port}")
    assert new.ask(0, messages.attestation(2, 3)) and not new.ask(1, messages.attestation(2, 3))
    status, _, content = daemon.sign(PUBKEYS[1], messages.attestation(2, 3))
    assert status == 412 and json.loads(content)["rule"] == "DISABLED"
    daemon.command("slashing", "enable", "--key", PUBKEYS[1], "-c", daemon.config_path)
    assert new.ask(1, messages.attestation(2, 3))
    assert not new.ask(1, messages.attestation(1, 2, "other")), "what was signed before it was disabled still counts"
    assert daemon.stop() == 0
    assert old.ask(1, messages.attestation(3, 4)), "enabled there too"
    assert not old.ask(1, messages.attestation(2, 3, "other"))
    web3signer.stop()
