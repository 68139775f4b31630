"""Versions of the stores: a store that a later release has written is refused by name, and nothing in it is touched; one that an earlier
release has left is brought forward, where there ever was one."""
import hashlib
import pathlib
import sqlite3
import sys

import pytest

import interop
import key_routes
import messages
from daemon import wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import postgres  # noqa: E402  pylint: disable=wrong-import-position

EXIT_REFUSED = 3
KEY = interop.PUBKEYS[0]

needs_postgres = pytest.mark.skipif(postgres.bin_dir() is None, reason="left out: PostgreSQL is not installed")


def refused(daemon):
    """The log of a start that is refused."""
    daemon.log_path.unlink(missing_ok=True)
    daemon.spawn()
    assert daemon.process.wait(30) == EXIT_REFUSED, daemon.log_text()[-3000:]
    return daemon.log_text()


def digests(daemon, names):
    return {name: hashlib.sha256((daemon.data_dir / name).read_bytes()).hexdigest() for name in names}


def execute(path, *statements):
    """With SQLite's own hands, and the write-ahead log folded in."""
    with sqlite3.connect(path) as db:
        for statement in statements:
            db.execute(statement)
    db.close()


@pytest.fixture(name="files", scope="module")
def a_chamber_in_files(request):
    import daemon as daemon_module  # pylint: disable=import-outside-toplevel

    made = []

    def make(**options):
        made.append(daemon_module.Daemon(daemon_module.fresh_dir("test_schema") / "d", **options))
        return made[0]

    daemon = key_routes.start(make, keys=interop.SECRETS[:1])
    request.addfinalizer(daemon.end)
    assert key_routes.import_keys(daemon, 5) == ["imported"]
    assert daemon.sign(KEY, messages.attestation(1, 2))[0] == 200
    assert daemon.stop() == 0
    return daemon


@pytest.mark.parametrize("name,wrong,right", [
    ("state.sqlite", "PRAGMA user_version = 2", "PRAGMA user_version = 1"),
    ("history.sqlite", "PRAGMA user_version = 2", "PRAGMA user_version = 1"),
    ("history.sqlite", "UPDATE history SET format = 2", "UPDATE history SET format = 1"),
])
def test_a_file_of_a_later_release_is_refused_and_left_alone(files, name, wrong, right):
    path = files.data_dir / name
    execute(path, wrong)
    before = digests(files, ["state.sqlite", "history.sqlite", "keys.sqlite", "history.mirror", "state.seen"])
    log = refused(files)
    assert "IDENTITY" in log and ("later release" in log or "this version" in log or "another release" in log), log[-3000:]
    assert digests(files, before) == before
    execute(path, right)
    files.start()
    assert files.sign(KEY, messages.attestation(1, 2))[0] == 200
    assert files.stop() == 0


def test_a_key_store_of_a_later_release_is_refused_and_the_others_sign(files):
    path = files.data_dir / "keys.sqlite"
    execute(path, "PRAGMA user_version = 2")
    before = digests(files, ["keys.sqlite"])
    files.log_path.unlink(missing_ok=True)
    files.start(ready=False)
    log = files.log_text
    wait_for("the key of a file", lambda: files.sign(KEY, messages.attestation(1, 2))[0] == 200)
    assert files.sign(interop.PUBKEYS[5], messages.attestation(1, 2))[0] != 200
    assert "a key store is refused" in log() and "later release" in log()
    assert files.status_of("/readyz") == 503
    assert files.stop() == 0
    assert digests(files, before) == before
    execute(path, "PRAGMA user_version = 1")


@pytest.fixture(name="server", scope="module")
def the_server():
    with postgres.Postgres() as server:
        yield server


OURS = "SELECT string_agg(md5(t::text), ' ') FROM (SELECT * FROM {} ORDER BY 1) AS t"


@needs_postgres
def test_a_database_of_a_later_release_is_refused_and_an_earlier_one_is_migrated(make_daemon, server):
    url = server.url()
    daemon = make_daemon(keys=interop.SECRETS[:1], config={
        "anti_slashing": {"backend": "postgres", "url": url}, "signer_state": {"backend": "postgres", "url": url}})
    daemon.init()
    daemon.start()
    assert daemon.sign(KEY, messages.attestation(1, 2))[0] == 200
    assert daemon.stop() == 0
    tables = ("containment_history", "containment_state_head", "containment_state_records", "signed_attestations", "low_watermarks",
              "containment_migrations")
    for wrong, right, word in (
        ("UPDATE containment_history SET format = 2", "UPDATE containment_history SET format = 1", "its format is unknown here"),
        ("UPDATE database_version SET version = 13", "UPDATE database_version SET version = 12", "database_version is not 12"),
        ("UPDATE containment_state_head SET bytes = overlay(bytes placing 'cc-state-head-2' from 1)",
         "UPDATE containment_state_head SET bytes = overlay(bytes placing 'cc-state-head-1' from 1)", "TAMPERED"),
    ):
        server.sql(wrong)
        before = [server.sql(OURS.format(name)) for name in tables]
        assert word in refused(daemon), wrong
        assert [server.sql(OURS.format(name)) for name in tables] == before, wrong
        server.sql(right)
    # As the release before migration 2 left it.
    server.sql("DROP TABLE containment_ceiling; DELETE FROM containment_migrations WHERE version = 2")
    daemon.command("slashing", "migrate", "-c", daemon.config_path)
    assert server.sql("SELECT string_agg(version::text, ' ' ORDER BY version) FROM containment_migrations") == "1 2"
    daemon.command("slashing", "migrate", "-c", daemon.config_path)  # and once more changes nothing
    daemon.start()
    assert daemon.sign(KEY, messages.attestation(1, 2))[0] == 200
    assert daemon.stop() == 0
