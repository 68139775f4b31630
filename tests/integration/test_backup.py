"""A backup, made while the signer signs, and a chamber made of it: whatever was signed after the backup, nothing that conflicts with it is
signed again, and duties beyond it are. A backup that was changed is refused, and so is every way around `restore`."""
import calendar
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

import pytest

import interop
import key_routes
import messages

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "torture"))
import checker  # noqa: E402  pylint: disable=wrong-import-position

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_REFUSED, EXIT_LOCKED = range(5)
SLOTS = 8  # of the minimal preset's epoch
KEYS = 3


def clone(source, target):
    """With owners and modes."""
    subprocess.run(["cp", "-a", source, target], check=True)


def resume(daemon, number):
    status, _, why = daemon.sign(interop.PUBKEYS[number], messages.attestation(100, 101))
    assert status != 200 and "PAUSED" in why.decode(), (status, why)
    daemon.command("keys", "resume", "--all", "--signer-url", f"unix:{daemon.admin_path}")


class Ledger:
    """All that was released, for the checker."""

    def __init__(self):
        self.released = checker.Released()
        self.roots = set()  # (key's number, signing root)

    def ask(self, daemon, number, body):
        """The status; a signature is noted."""
        status, _, content = daemon.sign(interop.PUBKEYS[number], body)
        event = {"event": "answer", "outcome": "ok" if status == 200 else str(status), "pubkey": interop.PUBKEYS[number],
                 "root": messages.signing_root(body), "signature": None}
        if body["type"] == "ATTESTATION":
            data = body["attestation"]
            event.update(kind="vote", source=int(data["source"]["epoch"]), target=int(data["target"]["epoch"]))
        else:
            event.update(kind="block", slot=int(body["beacon_block"]["block_header"]["slot"]))
        self.released.take(event)
        if status == 200:
            self.roots.add((number, event["root"]))
        return status

    def refuses(self, daemon, number, body):
        """True: not signed, or only once more what was released before, which nobody is slashed for."""
        before = (number, messages.signing_root(body)) in self.roots
        status = self.ask(daemon, number, body)
        return status == 412 or (before and status == 200)

    def check(self):
        assert self.released.pairs() == [] and self.released.violations == []


class Case:
    """A chamber that has signed, a backup of the middle of it, and what it signed after that."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.ledger = Ledger()
        self.file = daemon.path / "chamber.backup"
        self.chamber_key = daemon.path / "kept.key"
        daemon.init()
        shutil.copy(daemon.data_dir / "chamber.key", self.chamber_key)
        daemon.start()
        for epoch in range(1, 11):
            self.signs(0, messages.attestation(epoch - 1, epoch))
            self.signs(0, messages.block(epoch * SLOTS))
        self.signs(1, messages.attestation(3, 9))
        result = daemon.command("backup", "--to", self.file, "-c", daemon.config_path)
        assert "of a running signer: 3 validators" in result.stderr, result.stderr
        self.digest = re.search(r"^digest (0x[0-9a-f]{64})$", result.stdout, flags=re.M).group(1)
        for epoch in range(11, 16):  # the tail that is lost
            self.signs(0, messages.attestation(epoch - 1, epoch))
            self.signs(0, messages.block(epoch * SLOTS))
        self.signs(2, messages.attestation(10, 15))
        for _ in range(2):  # the lost state store went on further than a restore does
            for word in ("pause", "resume"):
                daemon.command("keys", word, "--all", "--signer-url", f"unix:{daemon.admin_path}")
        assert daemon.stop() == 0
        self.kept = daemon.path / "lost"
        daemon.data_dir.rename(self.kept)

    def signs(self, number, body):
        assert self.ledger.ask(self.daemon, number, body) == 200

    def restore(self, *more, file=None, check=False):
        if "--digest" not in more:
            more = (*more, "--digest", "none")
        return self.daemon.command("restore", "--from", file or self.file, "--chamber-key", self.chamber_key, *more, "-c",
                                   self.daemon.config_path, check=check)

    def resume(self):
        """What its operator does at last, and nothing was signed before."""
        resume(self.daemon, 0)

    def is_empty(self):
        """Nothing of a chamber was left behind."""
        data = self.daemon.data_dir
        return not data.exists() or list(data.iterdir()) == []


@pytest.fixture(scope="module")
def case(request):
    import daemon as daemon_module  # pylint: disable=import-outside-toplevel

    made = daemon_module.Daemon(daemon_module.fresh_dir("test_backup") / "d", keys=interop.SECRETS[:KEYS])
    request.addfinalizer(made.end)
    return Case(made)


@pytest.fixture(autouse=True)
def emptied(case):
    yield
    case.daemon.end()
    shutil.rmtree(case.daemon.data_dir, ignore_errors=True)


def test_T08_a_backup_that_was_changed_is_refused(case):
    whole = case.file.read_bytes()
    wrong = case.daemon.path / "wrong"
    head, text = whole.index(b"\nend 0x"), whole[: whole.index(b"\nend 0x")]
    changes = {
        "cut short": whole[:-1],
        "cut in the middle": whole[: len(whole) // 2],
        "its text alone": whole[: head + 7 + 64 + 1],
        "nothing": b"",
        "more": whole + b"\n",
        "a bit of the last part": whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:],
        "a bit of the state store": whole[: head + 2000] + bytes([whole[head + 2000] ^ 1]) + whole[head + 2001 :],
        "no high watermark any more": whole.replace(b"\nhigh none\n", b"\nhigh 20 160\n"),
        "another time": re.sub(rb"\nmade \d+\n", b"\nmade 1\n", whole),
        "a part less": re.sub(rb"\npart history [^\n]*\n", b"\n", whole),
        "another format": whole.replace(b"-backup-v1\n", b"-backup-v2\n", 1),
    }
    assert text.startswith(b"containment-chamber-backup-v1\n")
    for what, content in changes.items():
        assert content != whole, what
        wrong.write_bytes(content)
        result = case.restore("--epoch", 20, file=wrong)
        assert result.returncode == EXIT_REFUSED, (what, result)
        assert case.is_empty(), what
    for digest, code, why in (("0x" + "11" * 32, EXIT_REFUSED, "another digest"), ("0x11", EXIT_REFUSED, ""), ("", EXIT_REFUSED, "")):
        result = case.restore("--epoch", 20, "--digest", digest)
        assert result.returncode == code and why in result.stderr and case.is_empty(), result
    result = case.daemon.command("restore", "--from", case.file, "--chamber-key", case.chamber_key, "--epoch", 20, "-c",
                                 case.daemon.config_path, check=False)
    assert result.returncode == EXIT_USAGE and "--digest none" in result.stderr and case.is_empty(), result


def parts_of(whole):
    """The text, and what follows: {name: content}, in order."""
    text, parts = whole[: whole.index(b"\nend 0x") + 1].decode(), {}
    at = len(text) + len("end 0x") + 64 + 1
    for name, size in re.findall(r"^part (\S+) (\d+) ", text, flags=re.M):
        parts[name] = whole[at : at + int(size)]
        at += int(size)
    assert at == len(whole)
    return text, parts


def forged(whole, part, change):
    """The backup with one part changed, and every digest made right again: what whoever keeps the file could make of it."""
    text, parts = parts_of(whole)
    for name, content in list(parts.items()):
        content = parts[name] = change(content) if name == part else content
        line = "" if content is None else f"part {name} {len(content)} 0x{hashlib.sha256(content).hexdigest()}\n"
        text = re.sub(rf"^part {name} .*\n", line, text, flags=re.M)
        if content is None:
            del parts[name]
    return text.encode() + b"end 0x" + hashlib.sha256(text.encode()).hexdigest().encode() + b"\n" + b"".join(parts.values())


def without_one_validator(history):
    document = json.loads(history)
    document["data"] = [v for v in document["data"] if v["pubkey"] != interop.PUBKEYS[0]]
    return json.dumps(document).encode()


def test_T08_a_backup_that_was_made_right_again_is_refused_by_the_vaults_own_records(case):
    whole = case.file.read_bytes()
    wrong = case.daemon.path / "forged"
    assert forged(whole, "history", lambda same: same) == whole
    for part, change in (("history", without_one_validator),
                         ("state", lambda old: old.replace(b"identity", b"identitz")),
                         ("identity", lambda old: old.replace(b"ed25519 ", b"ed25518 ")),
                         ("disabled", lambda old: old + b"0x00\n"),
                         ("mirror", lambda old: None), ("mirror", lambda old: b""), ("mirror", lambda old: old[:99] + old[100:])):
        changed = forged(whole, part, change)
        assert changed != whole, part
        wrong.write_bytes(changed)
        result = case.restore("--epoch", 10, file=wrong)
        assert result.returncode in (EXIT_REFUSED, EXIT_FAILED), (part, result)
        assert "TAMPERED" in result.stderr or "integrity" in result.stderr or "changed" in result.stderr, (part, result.stderr)
        assert case.is_empty(), part


def test_what_may_have_been_signed_since_has_to_be_known(case):
    """This network has no genesis time: nobody but the operator knows how far the lost signer was."""
    result = case.restore()
    assert result.returncode == EXIT_REFUSED and "--epoch N" in result.stderr and case.is_empty(), result
    result = case.restore("--epoch", 9)
    assert result.returncode == EXIT_REFUSED and "records of epoch 10" in result.stderr and case.is_empty(), result
    assert case.restore("--epoch", 0).returncode == EXIT_USAGE


def check_leftovers(case):
    """Of stores outside the data directory: a journal that nobody removed would be rolled into the restored file."""
    daemon = case.daemon
    elsewhere = daemon.path / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    places = {"anti_slashing": {"path": str(elsewhere / "h.sqlite")},
              "key_sources": {"sqlite": {"enabled": True, "path": str(elsewhere / "k.sqlite")}}}  # fmt: skip
    before = {name: dict(daemon.config.get(name, {})) for name in places}
    for name, place in places.items():
        daemon.config[name] = {**before[name], **place}
    daemon.write_config()
    try:
        for left in ("k.sqlite-journal", "k.sqlite-wal", "h.sqlite-journal", "h.sqlite-wal", "h.sqlite.lock"):
            (elsewhere / left).write_text("old")
            result = case.restore("--epoch", 20)
            assert result.returncode == EXIT_REFUSED and left in result.stdout + result.stderr and case.is_empty(), (left, result)
            assert [p.name for p in elsewhere.iterdir()] == [left]
            (elsewhere / left).unlink()
    finally:
        for name, place in before.items():
            daemon.config[name] = place
            if not place:
                del daemon.config[name]
        daemon.write_config()


def test_nothing_is_restored_over_anything(case):
    case.daemon.data_dir.mkdir(mode=0o700)
    (case.daemon.data_dir / "notes").write_text("mine")
    result = case.restore("--epoch", 20)
    assert result.returncode == EXIT_REFUSED and "in use" in result.stderr, result
    assert [p.name for p in case.daemon.data_dir.iterdir()] == ["notes"]
    shutil.rmtree(case.daemon.data_dir)
    clone(case.kept, case.daemon.data_dir)
    before = {p.name: p.read_bytes() for p in case.daemon.data_dir.iterdir() if p.is_file()}
    result = case.restore("--epoch", 20)
    assert result.returncode == EXIT_REFUSED and "already" in result.stderr, result
    assert {p.name: p.read_bytes() for p in case.daemon.data_dir.iterdir() if p.is_file()} == before
    shutil.rmtree(case.daemon.data_dir)
    check_leftovers(case)
    again = case.daemon.command("backup", "--to", case.file, "-c", case.daemon.config_path, check=False)
    assert again.returncode == EXIT_REFUSED and "there already" in again.stderr


def test_another_chambers_key_opens_no_backup(case, make_daemon):
    other = make_daemon()
    other.init()
    result = case.daemon.command("restore", "--from", case.file, "--chamber-key", other.data_dir / "chamber.key", "--epoch", 20,
                                 "--digest", "none", "-c", case.daemon.config_path, check=False)
    assert result.returncode == EXIT_REFUSED and "another" in result.stderr + result.stdout, result
    assert case.is_empty()


def old_history(number):
    """From before all that was ever signed here, as it lay beside a key."""
    return {
        "metadata": {"interchange_format_version": "5", "genesis_validators_root": messages.MINIMAL_GENESIS_ROOT},
        "data": [{"pubkey": interop.PUBKEYS[number], "signed_blocks": [{"slot": "1"}],
                  "signed_attestations": [{"source_epoch": "0", "target_epoch": "1"}]}],
    }  # fmt: skip


def import_old(case, number, *where):
    source = case.daemon.path / "old.json"
    source.write_text(json.dumps(old_history(number)))
    result = case.daemon.command("slashing", "import", "--from", source, *where)
    assert "1 blocks and 1 attestations added" in result.stdout, result.stdout


def refuses_without_the_state_store(case):
    """Nobody could say below which watermarks nothing is imported."""
    daemon = case.daemon
    identity = daemon.data_dir / "identity.pub"
    before = identity.read_bytes()
    source = daemon.path / "old.json"
    source.write_text(json.dumps(old_history(4)))
    for content in (b"", before.replace(b"ed25519 ", b"ed25518 ")):
        assert content != before
        identity.write_bytes(content)
        result = daemon.command("slashing", "import", "--from", source, "-c", daemon.config_path, check=False)
        assert result.returncode in (EXIT_FAILED, EXIT_REFUSED) and "it is read first" in result.stderr, (content, result)
    identity.write_bytes(before)


def test_T08_P21_what_the_backup_has_forgotten_is_not_signed_over(case):
    """Every message that conflicts with the lost tail, and much that doesn't; then the duties beyond it."""
    daemon = case.daemon
    result = case.restore("--epoch", 15, "--digest", case.digest, check=True)
    assert "3 validators, and each that comes later, sign no block up to slot" in result.stdout, result.stdout
    assert "no duties were handed over" in result.stdout and "all keys are paused" in result.stdout
    assert not (daemon.data_dir / "restore.pending").exists()
    refuses_without_the_state_store(case)
    import_old(case, 4, "-c", daemon.config_path)
    daemon.add_raw_key(interop.SECRETS[3], "came-later-3")
    daemon.add_raw_key(interop.SECRETS[4], "came-later-4")
    daemon.start()
    case.resume()
    import_old(case, 5, "--signer-url", f"unix:{daemon.admin_path}")
    for epoch in range(1, 16):
        for seed in (0, 7):
            for number in (0, 1, 2, 3, 4):
                assert case.ledger.refuses(daemon, number, messages.block(epoch * SLOTS, seed)), (epoch, number)
                assert case.ledger.refuses(daemon, number, messages.attestation(epoch - 1, epoch, seed)), (epoch, number)
    case.ledger.check()
    assert case.ledger.ask(daemon, 0, messages.attestation(9, 17)) == 412  # would surround (10, 11), (11, 12), ...
    for number in (0, 1, 2, 3, 4):
        assert case.ledger.ask(daemon, number, messages.attestation(15, 16)) == 200
        assert case.ledger.ask(daemon, number, messages.block(16 * SLOTS)) == 200
    case.ledger.check()
    assert daemon.stop() == 0
    daemon.add_raw_key(interop.SECRETS[5], "came-later-5")
    daemon.start()  # and what was restored is a chamber like any other
    assert case.ledger.ask(daemon, 0, messages.attestation(16, 17)) == 200
    assert case.ledger.refuses(daemon, 5, messages.attestation(14, 15)) and case.ledger.refuses(daemon, 5, messages.block(15 * SLOTS))
    assert case.ledger.ask(daemon, 5, messages.attestation(15, 16)) == 200
    case.ledger.check()
    assert daemon.stop() == 0
    for path in daemon.keys_dir.glob("came-later-*"):
        path.unlink()


def put_together(case, restored, name):
    """The lost chamber with one store of the restored one."""
    daemon = case.daemon
    shutil.rmtree(daemon.data_dir, ignore_errors=True)
    clone(case.kept, daemon.data_dir)
    for old in daemon.data_dir.glob(f"{name}*"):
        old.unlink()
    for new in restored.glob(f"{name}*"):
        clone(new, daemon.data_dir / new.name)
    daemon.log_path.unlink(missing_ok=True)


def test_T08_an_older_history_beside_a_newer_state_store_and_the_other_way(case):
    """Files that were put together by hand, out of the lost chamber and of one that was restored with too low an epoch."""
    daemon = case.daemon
    case.restore("--epoch", 11, check=True)
    restored = daemon.path / "restored"
    shutil.rmtree(restored, ignore_errors=True)
    daemon.data_dir.rename(restored)
    put_together(case, restored, "state.sqlite")
    daemon.spawn()
    assert daemon.process.wait(30) == EXIT_REFUSED, daemon.log_text()[-3000:]
    assert "TAMPERED" in daemon.log_text(), daemon.log_text()[-3000:]
    put_together(case, restored, "history.sqlite")
    daemon.start()  # by the ceiling it is known for what it is: all floors rise to it, and nobody can be slashed
    assert "the history was ROLLED BACK" in daemon.log_text()  # and its state store, the lost one, knows of no pause
    for epoch in range(11, 16):
        assert case.ledger.refuses(daemon, 0, messages.block(epoch * SLOTS, 7))
        assert case.ledger.refuses(daemon, 0, messages.attestation(epoch - 1, epoch, 7))
    case.ledger.check()
    assert daemon.stop() == 0
    shutil.rmtree(restored)


def test_a_restore_that_was_cut_short_serves_nobody(case):
    daemon = case.daemon
    case.restore("--epoch", 15, check=True)
    (daemon.data_dir / "restore.pending").touch(mode=0o600)
    daemon.log_path.unlink(missing_ok=True)
    daemon.spawn()
    assert daemon.process.wait(30) == EXIT_REFUSED
    assert "restore was cut short" in daemon.log_text()
    assert case.restore("--epoch", 15).returncode == EXIT_REFUSED


def test_the_clock_says_what_may_have_been_signed(case):
    """With a genesis time nobody has to know a number: now, what may be signed ahead, and one more."""
    daemon = case.daemon
    seconds = 6 * SLOTS  # of an epoch of the minimal preset
    daemon.config["genesis_time"] = int(time.time()) - 30 * seconds - seconds // 2
    daemon.write_config()
    try:
        result = case.restore("--epoch", 20)
        assert result.returncode == EXIT_REFUSED and "may have been signed by now" in result.stderr and case.is_empty(), result
        result = case.restore(check=True)
        floor = int(re.search(r"no attestation up to target epoch (\d+)", result.stdout).group(1))
        assert floor in (33, 34), result.stdout  # an epoch may begin meanwhile
        clock = re.search(r"it is (\S+ \S+) UTC, and epoch (\d+) may", result.stderr)
        assert int(clock.group(2)) == floor - 1, result.stderr
        assert abs(calendar.timegm(time.strptime(clock.group(1), "%Y-%m-%d %H:%M:%S")) - time.time()) < 60
    finally:
        del daemon.config["genesis_time"]
        daemon.write_config()


def test_a_hand_over_imported_and_deleted_keys_come_back(make_daemon):
    """Of stopped stores: a high watermark stands after a restore, sealed keys sign, and deleted ones stay deleted."""
    daemon = key_routes.start(make_daemon)
    assert key_routes.import_keys(daemon, 5, 7, 8) == ["imported"] * 3
    assert daemon.sign(interop.PUBKEYS[5], messages.attestation(1, 2))[0] == 200
    assert key_routes.delete_keys(daemon, 7, 8)[0] == ["deleted"] * 2
    file, key, live = daemon.path / "b", daemon.path / "k", daemon.path / "live"
    daemon.command("backup", "--to", live, "-c", daemon.config_path)
    assert daemon.stop() == 0
    daemon.command("slashing", "hand-over", "--epoch", 30, "-c", daemon.config_path)
    result = daemon.command("backup", "--to", file, "-c", daemon.config_path)
    assert "of stopped stores" in result.stderr
    disabled = "".join(f"{pubkey}\n" for pubkey in sorted([interop.PUBKEYS[7], interop.PUBKEYS[8]])).encode()
    assert parts_of(live.read_bytes())[1]["disabled"] == parts_of(file.read_bytes())[1]["disabled"] == disabled
    shutil.copy(daemon.data_dir / "chamber.key", key)
    shutil.rmtree(daemon.data_dir)
    result = daemon.command("restore", "--from", file, "--chamber-key", key, "--epoch", 12, "--digest", "none",
                            "-c", daemon.config_path)
    assert "whether duties were handed over" in result.stderr
    assert "handed over at epoch 30: that stands" in result.stdout
    status = daemon.command("slashing", "status", "--json", "-c", daemon.config_path).stdout
    assert '"30"' in status, status
    daemon.add_raw_key(interop.SECRETS[8], "was-deleted")
    daemon.start()
    resume(daemon, 5)
    refused, _, why = daemon.sign(interop.PUBKEYS[8], messages.attestation(20, 21))
    assert refused == 412 and json.loads(why)["rule"] == "DISABLED", why
    assert key_routes.import_keys(daemon, 7) == ["error"]  # it may have signed elsewhere meanwhile
    assert key_routes.call(daemon, "GET", "/api/v1/chamber/slashing/disabled") == (200, {"disabled": disabled.decode().split()})
    assert daemon.sign(interop.PUBKEYS[5], messages.attestation(11, 12))[0] == 412
    assert daemon.sign(interop.PUBKEYS[5], messages.attestation(12, 13))[0] == 200
    assert daemon.sign(interop.PUBKEYS[5], messages.attestation(13, 30))[0] == 412
    assert key_routes.import_keys(daemon, 6, history=old_history(6)) == ["imported"]  # comes later, and with a history
    assert daemon.sign(interop.PUBKEYS[6], messages.attestation(11, 12))[0] == 412
    assert daemon.sign(interop.PUBKEYS[6], messages.attestation(12, 13))[0] == 200
    assert daemon.stop() == 0
