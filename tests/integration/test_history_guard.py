"""C8, P21, T8, T19: a history that was edited, swapped, copied or put back, under the real signer: what is noticed, by which name, and
what repairs it."""
import json
import os
import pathlib
import re
import shutil
import sqlite3
import sys

import pytest

import interop
import messages
from daemon import wait_for
from forms import some

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import postgres  # noqa: E402  pylint: disable=wrong-import-position

KEYS = interop.PUBKEYS[:3]
LAST = 6  # the newest epoch that is signed
REFUSED = "the history is refused: it lacks records that this signer has made"


def answer(daemon, body, key=KEYS[0]):
    """(status, parsed body) of one signing request."""
    status, _, content = daemon.sign(key, body)
    return status, json.loads(content)


def live(daemon, first=1, last=LAST):
    """Every key votes in each epoch and proposes once in it."""
    for epoch in range(first, last + 1):
        for key in KEYS:
            assert answer(daemon, messages.attestation(epoch - 1, epoch, key), key)[0] == 200
            assert answer(daemon, messages.block(epoch * messages.SLOTS_PER_EPOCH, key), key)[0] == 200


def copy(source, target):
    """With its owner, as a backup does."""
    shutil.copy2(source, target)
    status = os.stat(source)
    os.chown(target, status.st_uid, status.st_gid)


def expect_refused(daemon, *names):
    """The start ends, and says why."""
    seen = len(daemon.log_text()) if daemon.log_path.exists() else 0
    daemon.spawn()
    assert daemon.process.wait(30) != 0
    said = daemon.log_text()[seen:]
    for name in (REFUSED, "repair-watermark", "TAMPERED", *names):
        assert name in said, (name, said[-3000:])


def repair(daemon, epoch):
    return daemon.command("slashing", "repair-watermark", "--epoch", epoch, "-c", daemon.config_path)


def expect_repaired(daemon, epoch=LAST):
    """Nothing up to `epoch` is signed any more, and what comes behind it is."""
    repair(daemon, epoch)
    daemon.start()
    for key in KEYS:
        assert answer(daemon, messages.attestation(epoch - 1, epoch, "other"), key)[0] == 412
        assert answer(daemon, messages.attestation(epoch - 1, epoch + 1), key)[1]["rule"] == "SOURCE_BELOW"
        assert answer(daemon, messages.attestation(epoch, epoch + 1), key)[0] == 200
    assert daemon.stop() == 0


@pytest.fixture(name="lived")
def a_signer_that_has_signed(make_daemon):
    """Stopped, with its history in SQLite."""
    daemon = make_daemon(keys=interop.SECRETS[:3])
    daemon.init()
    daemon.start()
    live(daemon)
    assert daemon.stop() == 0
    daemon.start()  # looks at the watermarks
    assert daemon.stop() == 0
    return daemon


def history(daemon):
    return daemon.data_dir / "history.sqlite"


def edit(daemon, script):
    """An offline edit, by who knows the format: the tail is sorted into the tables first, as the signer itself does."""
    with sqlite3.connect(history(daemon)) as db:
        db.executescript("""
            INSERT INTO blocks SELECT validator, slot, root FROM tail WHERE slot IS NOT NULL;
            INSERT INTO attestations SELECT validator, target, source, root FROM tail WHERE target IS NOT NULL;
            DELETE FROM tail;""" + script)
    db.close()


NEWEST_VOTE = "(SELECT max(target) FROM attestations) AND validator = 1"
EDITS = {
    "nothing": "",
    "a vote is gone": f"DELETE FROM attestations WHERE target = {NEWEST_VOTE}",
    "a block is gone": "DELETE FROM blocks WHERE slot = (SELECT max(slot) FROM blocks) AND validator = 2",
    "a root was changed": f"UPDATE attestations SET root = zeroblob(32) WHERE target = {NEWEST_VOTE}",
    "a source was changed": f"UPDATE attestations SET source = source - 1 WHERE target = {NEWEST_VOTE}",
    "copied from another": "DELETE FROM attestations WHERE validator = 1; INSERT INTO attestations"
                           " SELECT 1, target, source, root FROM attestations WHERE validator = 2 AND target <"
                           " (SELECT max(target) FROM attestations)",
    "keys changed places": "CREATE TEMP TABLE was AS SELECT id, pubkey FROM validators; UPDATE validators SET pubkey ="
                           " randomblob(48); UPDATE validators SET pubkey = (SELECT pubkey FROM was WHERE was.id ="
                           " CASE validators.id WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE validators.id END)",
    "tables of another history": "DELETE FROM attestations; DELETE FROM blocks; UPDATE validators SET low_slot = NULL,"
                                 " low_source = NULL, low_target = NULL",
    "a watermark was lowered": "UPDATE validators SET low_target = low_target - 1",
}


@pytest.mark.parametrize("what", some(EDITS, 2))
def test_C08_an_offline_edit_is_refused_by_name(lived, what):
    edit(lived, EDITS[what])
    if what == "nothing":
        lived.start()
        assert answer(lived, messages.attestation(LAST - 1, LAST, KEYS[0]))[0] == 200
        assert "was compared with its mirror" in lived.log_text()
        assert lived.stop() == 0
        return
    expect_refused(lived, KEYS[1] if what == "a block is gone" else KEYS[0])
    expect_repaired(lived)



@pytest.mark.long_form
def test_a_watermark_raised_by_hand_has_a_way_out_that_silences_nobody(lived, workdir):
    """The mirror takes it over, so that the good history is refused: with it back and the mirror away, all floors are at the ceiling."""
    copy(history(lived), workdir / "good.sqlite")
    edit(lived, "UPDATE validators SET low_source = 1 << 40, low_target = 1 << 40 WHERE id = 1")
    lived.start()
    assert sum(answer(lived, messages.attestation(LAST, LAST + 1, key), key)[0] == 200 for key in KEYS) == 2
    assert lived.stop() == 0
    for suffix in ("-wal", "-shm"):
        pathlib.Path(f"{history(lived)}{suffix}").unlink(missing_ok=True)
    copy(workdir / "good.sqlite", history(lived))
    expect_refused(lived, "move history.mirror away")
    (lived.data_dir / "history.mirror").rename(workdir / "mirror.away")
    lived.start()
    for key in KEYS:
        assert answer(lived, messages.attestation(LAST, LAST + 1, "other"), key)[0] == 412
        assert answer(lived, messages.attestation(LAST + 10, LAST + 11), key)[0] == 200
    assert lived.stop() == 0


def test_P21_T08_an_older_copy_put_back_while_stopped(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:3])
    daemon.init()
    daemon.start()
    live(daemon, 1, LAST - 1)
    assert daemon.stop() == 0
    older = daemon.path / "older.sqlite"
    copy(history(daemon), older)
    daemon.start()
    live(daemon, LAST)
    assert daemon.stop() == 0
    copy(older, history(daemon))
    expect_refused(daemon, *KEYS)
    expect_refused(daemon, *KEYS)  # nothing gets better by another try
    # A watermark that is too low leaves it refused.
    repair(daemon, LAST - 1)
    expect_refused(daemon, *KEYS)
    expect_repaired(daemon)


def test_P21_T08_a_write_ahead_log_that_was_cut(make_daemon):
    """A kill leaves the newest records in the log; what becomes of the log then is not SQLite's to notice."""
    daemon = make_daemon(keys=interop.SECRETS[:3])
    daemon.init()
    daemon.start()
    live(daemon)
    daemon.kill_all()
    log = pathlib.Path(f"{history(daemon)}-wal")
    assert log.stat().st_size > 0
    os.truncate(log, log.stat().st_size // 2)
    expect_refused(daemon)
    repair(daemon, LAST)
    daemon.start()  # its ceiling was cut off too, so the floors rise to the state store's
    for key in KEYS:
        assert answer(daemon, messages.attestation(LAST - 1, LAST, "other"), key)[0] == 412
        assert answer(daemon, messages.attestation(LAST - 2, LAST + 6), key)[0] == 412
        assert answer(daemon, messages.attestation(LAST + 5, LAST + 6), key)[0] == 200
    assert daemon.stop() == 0


def test_C08_a_kill_at_any_moment_is_no_alarm(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:3])
    daemon.init()
    for epoch in range(1, 12, 2):
        daemon.start()
        live(daemon, epoch, epoch + 1)
        daemon.kill_room("core") if epoch % 4 == 1 else daemon.kill_all()
        if epoch % 4 == 1:
            daemon.wait_ready()
            assert answer(daemon, messages.attestation(epoch, epoch + 1, KEYS[0]))[0] == 200
            assert daemon.stop() == 0
    daemon.start()
    assert REFUSED not in daemon.log_text()
    assert daemon.stop() == 0


def test_T08_a_mirror_that_is_gone_or_another_ones(lived, make_daemon):
    mirror = lived.data_dir / "history.mirror"
    kept = lived.path / "kept.mirror"
    copy(mirror, kept)
    other = make_daemon(keys=interop.SECRETS[:1])
    other.init()
    other.start()
    assert answer(other, messages.attestation(1, 2))[0] == 200
    assert other.stop() == 0
    copy(other.data_dir / "history.mirror", mirror)
    lived.spawn()
    assert lived.process.wait(30) != 0
    assert "the history's mirror was changed, or belongs to another history or chamber" in lived.log_text()
    # Moved away, as the log says: nothing is known, so nothing up to the ceiling is signed.
    mirror.unlink()
    lived.start()
    assert "the history's mirror is gone" in lived.log_text()
    assert answer(lived, messages.attestation(LAST, LAST + 1))[1]["rule"] in ("SOURCE_BELOW", "TARGET_BELOW")
    assert answer(lived, messages.attestation(LAST + 5, LAST + 6))[0] == 200
    assert lived.stop() == 0


# --- PostgreSQL ------------------------------------------------------------------------------------------------------------

in_database = pytest.mark.skipif(postgres.bin_dir() is None, reason="left out: PostgreSQL is not installed")


@pytest.fixture(name="server", scope="module")
def the_server():
    with postgres.Postgres() as server:
        yield server


@pytest.fixture(name="sql")
def a_schema(server, request):
    """(url, a function that runs SQL in the test's own schema)"""
    name = "guard_" + "".join(c if c.isalnum() else "_" for c in request.node.name.lower())[:40]
    server.sql(f"DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}")
    options = f"-csearch_path={name}"
    return server.url(options=options), lambda text: server.sql(text, options=options)


def in_postgres(make_daemon, url, **more):
    daemon = make_daemon(keys=interop.SECRETS[:3], config={"anti_slashing": {"backend": "postgres", "url": url, **more}})
    daemon.init()
    daemon.start()
    live(daemon)
    return daemon


def alarms(daemon):
    return int(re.search(r"^containment_history_alarms_total (\d+)$", daemon.metrics(), re.M)[1])


def row_of(key):
    return f"(SELECT id FROM validators WHERE public_key = decode('{key[2:]}', 'hex'))"


VOTE_OF = f"validator_id = {row_of(KEYS[0])} AND target_epoch = {LAST}"
ROWS = {
    "a vote is gone": f"DELETE FROM signed_attestations WHERE {VOTE_OF}",
    "a root was changed": f"UPDATE signed_attestations SET signing_root = decode(repeat('00', 32), 'hex') WHERE {VOTE_OF}",
    "copied from another": f"UPDATE signed_attestations SET validator_id = {row_of(KEYS[1])}, target_epoch = 500 WHERE {VOTE_OF}",
    "a watermark was lowered": f"UPDATE low_watermarks SET slot = slot - 1 WHERE validator_id = {row_of(KEYS[0])}",
    "all rows are gone": "DELETE FROM signed_attestations; DELETE FROM signed_blocks; DELETE FROM low_watermarks;"
                         " DELETE FROM validators",
}


@in_database
@pytest.mark.parametrize("what", some(ROWS, 1))
def test_C08_rows_edited_while_stopped(make_daemon, sql, what):
    url, run = sql
    daemon = in_postgres(make_daemon, url)
    assert daemon.stop() == 0
    if what == "a watermark was lowered":
        daemon.start()  # looks at the watermarks
        assert daemon.stop() == 0
    run(ROWS[what])
    expect_refused(daemon, KEYS[0])
    if what != "copied from another":
        expect_repaired(daemon)


@in_database
def test_C08_rows_edited_while_running(make_daemon, sql):
    """A message that the emptied table lets pass, and the mirror doesn't: its key is refused, the others go on."""
    url, run = sql
    daemon = in_postgres(make_daemon, url)
    run(ROWS["a vote is gone"])
    refused = answer(daemon, messages.attestation(LAST - 1, LAST, "other"))
    assert refused[0] == 503 and refused[1]["rule"] == "HISTORY_TAMPERED"
    assert answer(daemon, messages.attestation(LAST, LAST + 1))[1]["rule"] == "HISTORY_TAMPERED"
    assert answer(daemon, messages.attestation(LAST, LAST + 1), KEYS[1])[0] == 200
    wait_for("the key's name", lambda: KEYS[0] in daemon.log_text())
    assert alarms(daemon) >= 1
    assert daemon.stop() == 0
    expect_refused(daemon, KEYS[0])
    expect_repaired(daemon, LAST + 1)


@in_database
def test_T19_beside_a_web3signer(make_daemon, sql):
    """Its own rows, its pruning and its watermarks are no alarm; an edit raises the floors of its key, and signing goes on."""
    url, run = sql
    daemon = in_postgres(make_daemon, url, shared_with_web3signer=True)
    run(f"INSERT INTO signed_attestations (validator_id, source_epoch, target_epoch, signing_root)"
        f" VALUES ({row_of(KEYS[1])}, {LAST}, {LAST + 2}, NULL)")
    run("UPDATE low_watermarks SET source_epoch = 2, target_epoch = 3, slot = 24;"
        " DELETE FROM signed_attestations WHERE target_epoch < 3; DELETE FROM signed_blocks WHERE slot < 24")
    assert answer(daemon, messages.attestation(LAST, LAST + 2, "other"), KEYS[1])[1]["rule"] == "DOUBLE_VOTE"
    assert answer(daemon, messages.attestation(LAST, LAST + 1), KEYS[2])[0] == 200
    assert daemon.stop() == 0
    daemon.start()
    assert alarms(daemon) == 0
    # Running: what the edit would let pass is refused, and the floors stand in the database.
    run(ROWS["a vote is gone"])
    assert answer(daemon, messages.attestation(LAST - 1, LAST, "other"))[0] == 412
    assert run(f"SELECT target_epoch FROM low_watermarks WHERE validator_id = {row_of(KEYS[0])}") == str(LAST)
    assert answer(daemon, messages.attestation(LAST - 2, LAST + 1))[1]["rule"] in ("SOURCE_BELOW", "SURROUNDING")
    assert answer(daemon, messages.attestation(LAST - 1, LAST + 1))[0] == 200
    assert alarms(daemon) == 1
    assert daemon.stop() == 0
    # At a start the same: raised, named, and on it goes.
    run(f"DELETE FROM signed_attestations WHERE validator_id = {row_of(KEYS[2])} AND target_epoch = {LAST + 1}")
    daemon.start()
    assert KEYS[2] in daemon.log_text()
    assert answer(daemon, messages.attestation(LAST, LAST + 1, "other"), KEYS[2])[0] == 412
    assert answer(daemon, messages.attestation(LAST, LAST + 2), KEYS[2])[0] == 200
    assert daemon.stop() == 0
