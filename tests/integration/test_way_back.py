"""From a Web3Signer to this signer, and back, on one database and under load: no duty is missed, nothing slashable is signed, and the
database is Web3Signer's still. In its place stands what it does to the database (tests/torture/cowriter.py): its schema, its locks, its
transaction, its reload that disables keys. A real Web3Signer is a Java program that is not to be had here."""
import json
import pathlib
import sys
import threading

import pytest

import interop
import messages
from daemon import Connection, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "torture"))
import checker  # noqa: E402  pylint: disable=wrong-import-position
import cowriter  # noqa: E402  pylint: disable=wrong-import-position
import postgres  # noqa: E402  pylint: disable=wrong-import-position

pytestmark = pytest.mark.skipif(postgres.bin_dir() is None, reason="left out: PostgreSQL is not installed")

KEYS = 4
EVERY_S = 0.02
DUTIES = 25  # of each key, in each stage

SCHEMA = """SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
 WHERE table_schema = 'public' AND table_name NOT LIKE 'containment%' ORDER BY 1, 2"""
CONSTRAINTS = """SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT LIKE 'containment%' ORDER BY 1, 2"""
FOREIGN_TRIGGERS = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text NOT LIKE 'containment%'"


class Web3signer:
    """One that runs: each client has a connection of its pool."""

    def __init__(self, server):
        self.server = server
        self.pool = threading.local()
        self.runs = True

    def sql(self, text):
        """Over this thread's connection."""
        if not hasattr(self.pool, "session"):
            self.pool.session = cowriter.Session(cowriter.reach(self.server), postgres.NAME)
        return self.pool.session.sql(text)

    def ask(self, number, body):
        """True where it would sign; as its transaction does."""
        assert self.runs, "nobody asks a signer that was stopped"
        self.sql("BEGIN ISOLATION LEVEL READ COMMITTED")
        key, root = interop.PUBKEYS[number][2:], messages.signing_root(body)[2:]
        if body["type"] == "ATTESTATION":
            data = body["attestation"]
            signed = cowriter.attestation(self.pool.session, key, int(data["source"]["epoch"]), int(data["target"]["epoch"]), root)
        else:
            signed = cowriter.block(self.pool.session, key, int(body["beacon_block"]["block_header"]["slot"]), root)
        self.sql("COMMIT" if signed else "ROLLBACK")
        return signed

    def register(self, numbers):
        """What its start does: rows for its keys, which are enabled."""
        for number in numbers:
            self.sql(f"INSERT INTO validators (public_key, enabled) VALUES ('\\x{interop.PUBKEYS[number][2:]}', true)"
                     " ON CONFLICT (public_key) DO UPDATE SET enabled = true")


class Chamber:
    """The daemon, as its clients see it."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.connections = threading.local()

    def ask(self, number, body):
        if not hasattr(self.connections, "kept"):
            self.connections.kept = Connection("127.0.0.1", self.daemon.http_port)
        status, _, content = self.connections.kept.request("POST", f"/api/v1/eth2/sign/{interop.PUBKEYS[number]}", body)
        assert status in (200, 412), (status, content)
        return status == 200


class Client(threading.Thread):
    """A validator client of one key: a vote for each epoch, a block for each second, and now and then what would slash it."""

    def __init__(self, number, signer):
        super().__init__()
        self.number, self.signer = number, signer
        self.ending = threading.Event()
        self.missed, self.slashed = [], []
        self.events = []
        self.done = 0  # duties

    def duty(self, body, must):
        signer = self.signer
        signed = signer.ask(self.number, body)
        event = {"event": "answer", "outcome": "ok" if signed else "refused", "pubkey": interop.PUBKEYS[self.number], "signature": None,
                 "root": messages.signing_root(body)}
        if body["type"] == "ATTESTATION":
            data = body["attestation"]
            event.update(kind="vote", source=int(data["source"]["epoch"]), target=int(data["target"]["epoch"]))
        else:
            event.update(kind="block", slot=int(body["beacon_block"]["block_header"]["slot"]))
        self.events.append(event)
        if signed != must:
            (self.missed if must else self.slashed).append((type(signer).__name__, event))

    def run(self):
        epoch = 0
        while not self.ending.wait(EVERY_S):
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


def move(clients, signer):
    """One after the other, as an operator does."""
    for client in clients:
        client.signer = signer
        before = client.done
        wait_for("its next duty", lambda c=client, n=before: c.done > n + 1 or not c.is_alive(), 30)


@pytest.fixture(name="server", scope="module")
def the_server():
    with postgres.Postgres() as server:
        yield server


def tables_of_web3signer(daemon, server):
    """As its migrations leave them: none of ours."""
    daemon.command("slashing", "migrate", "-c", daemon.config_path)
    ours = server.sql("SELECT string_agg(relname, ', ') FROM pg_class WHERE relkind = 'r' AND relname LIKE 'containment%'")
    server.sql(f"DROP TABLE {ours} CASCADE")
    server.sql(f"INSERT INTO metadata (id, genesis_validators_root) VALUES (1, decode('{messages.MINIMAL_GENESIS_ROOT[2:]}', 'hex'))")


def test_P04_from_web3signer_and_back_under_load(make_daemon, server):
    daemon = make_daemon(keys=interop.SECRETS[:KEYS], config={
        "anti_slashing": {"backend": "postgres", "url": server.url(), "shared_with_web3signer": True}})
    tables_of_web3signer(daemon, server)
    foreign = [server.sql(text) for text in (SCHEMA, CONSTRAINTS, FOREIGN_TRIGGERS)]
    old = Web3signer(server)
    old.register(range(KEYS))
    clients = [Client(number, old) for number in range(KEYS)]
    for client in clients:
        client.start()
    try:
        stage(clients)
        daemon.init()  # adopts what is there, while the other signs on
        daemon.start()
        new = Chamber(daemon)
        move(clients, new)
        stage(clients)
        old.runs = False  # stopped, once nobody asks it
        stage(clients)
        again = Web3signer(server)  # and back: started beside this one, on the same tables
        again.register(range(KEYS))
        move(clients, again)
        stage(clients)
        assert daemon.stop() == 0
        stage(clients)
    finally:
        for client in clients:
            client.ending.set()
        for client in clients:
            client.join(30)
    assert [c.missed for c in clients] == [[]] * KEYS
    assert [c.slashed for c in clients] == [[]] * KEYS
    released = checker.Released()
    for client in clients:
        for event in client.events:
            released.take(event)
    assert released.pairs() == []
    assert sum(c.done for c in clients) > KEYS * 5 * DUTIES
    # The database is Web3Signer's as it was: its tables have no other column, constraint or trigger, and its schema is 12.
    assert [server.sql(text) for text in (SCHEMA, CONSTRAINTS, FOREIGN_TRIGGERS)] == foreign
    assert server.sql("SELECT version FROM database_version") == "12"
    for name in ("signed_attestations", "signed_blocks"):
        column = "target_epoch" if name == "signed_attestations" else "slot"
        assert server.sql(f"SELECT count(*) FROM {name}") == server.sql(f"SELECT count(DISTINCT (validator_id, {column})) FROM {name}")


def test_keys_that_the_reload_of_a_web3signer_has_disabled_are_named_and_enabled(make_daemon, server):
    """The way here of a database with disabled rows, which stay disabled until somebody says so, and the way back."""
    server.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    daemon = make_daemon(keys=interop.SECRETS[:2], config={"anti_slashing": {"backend": "postgres", "url": server.url()}})
    tables_of_web3signer(daemon, server)
    old = Web3signer(server)
    old.register(range(2))
    assert old.ask(0, messages.attestation(1, 2)) and old.ask(1, messages.attestation(1, 2))
    old.sql(f"UPDATE validators SET enabled = false WHERE public_key = '\\x{interop.PUBKEYS[1][2:]}'")
    assert not old.ask(1, messages.attestation(2, 3))
    daemon.init()
    daemon.start()
    new = Chamber(daemon)
    assert new.ask(0, messages.attestation(2, 3)) and not new.ask(1, messages.attestation(2, 3))
    status, _, content = daemon.sign(interop.PUBKEYS[1], messages.attestation(2, 3))
    assert status == 412 and json.loads(content)["rule"] == "DISABLED"
    daemon.command("slashing", "enable", "--key", interop.PUBKEYS[1], "-c", daemon.config_path)
    assert new.ask(1, messages.attestation(2, 3))
    assert not new.ask(1, messages.attestation(1, 2, "other")), "what was signed before it was disabled still counts"
    assert daemon.stop() == 0
    assert old.ask(1, messages.attestation(3, 4)), "enabled there too"
    assert not old.ask(1, messages.attestation(2, 3, "other"))
