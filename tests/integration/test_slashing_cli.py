"""`containment-chamber slashing`: import, export, status on the history of a signer that isn't running."""
import json
import subprocess

import interop
import messages

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_REFUSED, EXIT_LOCKED = range(5)
KEY = "0x" + "b8" * 48
OTHER = "0x" + "a9" * 48
ROOT = "0x" + "4f" * 32


def interchange(*validators, genesis=messages.MINIMAL_GENESIS_ROOT, version="5"):
    return {
        "metadata": {"interchange_format_version": version, "genesis_validators_root": genesis},
        "data": list(validators),
    }


def validator(pubkey=KEY, blocks=(), votes=()):
    return {
        "pubkey": pubkey,
        "signed_blocks": [{"slot": str(slot), "signing_root": ROOT} for slot in blocks],
        "signed_attestations": [{"source_epoch": str(s), "target_epoch": str(t)} for s, t in votes],
    }


def slashing(daemon, *arguments, **options):
    return daemon.command("slashing", *arguments, "-c", daemon.config_path, check=False, **options)


def import_text(daemon, text, name="in.json"):
    path = daemon.path / name
    path.write_text(text)
    return slashing(daemon, "import", "--from", path)


def status(daemon):
    result = slashing(daemon, "status", "--json")
    assert result.returncode == EXIT_DONE, result.stderr
    return json.loads(result.stdout)


def test_round_trip(make_daemon):
    daemon = make_daemon()
    daemon.init()
    assert (status(daemon)["validators"], status(daemon)["blocks"]) == (0, 0)
    first = interchange(validator(OTHER, [7, 9], [(1, 2), (2, 3)]), validator(KEY, [5], []))
    result = import_text(daemon, json.dumps(first))
    assert result.returncode == EXIT_DONE, result.stderr
    assert "2 validators: 3 blocks and 2 attestations added" in result.stdout
    assert status(daemon)["attestations"] == 2
    assert status(daemon)["genesis_validators_root"] == messages.MINIMAL_GENESIS_ROOT
    text = slashing(daemon, "status").stdout
    assert "validators              2" in text and "not fixed" not in text

    out = daemon.path / "out.json"
    assert slashing(daemon, "export", "--to", out).returncode == EXIT_DONE
    assert json.loads(out.read_text()) == first
    assert out.stat().st_mode & 0o777 == 0o600
    printed = slashing(daemon, "export", "--to=-")
    assert printed.stdout == out.read_text()
    assert not list(daemon.path.glob("*.partial"))
    # The same again, by a pipe, changes nothing.
    piped = subprocess.run(
        [str(daemon.binary), "slashing", "import", "--from", "-", "-c", str(daemon.config_path)],
        input=out.read_text(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert piped.returncode == EXIT_DONE, piped.stderr
    assert "0 blocks and 0 attestations added, 5 known before" in piped.stdout


def test_repair_watermark_only_raises(make_daemon):
    daemon = make_daemon()
    daemon.init()
    result = import_text(daemon, json.dumps(interchange(validator(KEY, [5, 900], [(1, 2), (30, 40)]))))
    assert result.returncode == EXIT_DONE, result.stderr
    assert slashing(daemon, "repair-watermark").returncode == EXIT_USAGE
    assert slashing(daemon, "repair-watermark", "--epoch", "soon").returncode == EXIT_USAGE
    for epoch in ("7", "3"):
        result = slashing(daemon, "repair-watermark", "--epoch", epoch)
        assert result.returncode == EXIT_DONE, result.stderr
    # Records stay.
    assert (status(daemon)["blocks"], status(daemon)["attestations"]) == (2, 2)
    result = slashing(daemon, "migrate")
    assert result.returncode == EXIT_REFUSED and "only a database" in result.stderr


def test_P07_before_a_hand_over_the_old_signs_and_after_it_the_new(make_daemon):
    epoch, slot = 20, 20 * 8  # of the minimal preset
    old = make_daemon(keys=interop.SECRETS[:1])
    new = make_daemon(keys=interop.SECRETS[:1])
    key = interop.PUBKEYS[0]
    for daemon in (old, new):
        daemon.init()
        daemon.start()  # the key gets its row
        daemon.stop()
    assert slashing(old, "hand-over").returncode == EXIT_USAGE
    result = slashing(old, "hand-over", "--epoch", epoch)
    assert result.returncode == EXIT_DONE, result.stderr
    assert f"from epoch {epoch}, slot {slot} on" in result.stdout and f"--epoch {epoch - 1}" in result.stdout
    assert slashing(new, "repair-watermark", "--epoch", epoch - 1).returncode == EXIT_DONE
    old.start()
    new.start()

    def signs(daemon, body):
        code, _, content = daemon.sign(key, body)
        assert code in (200, 412), content
        return code == 200

    for body, owner in [
        (messages.attestation(epoch - 2, epoch - 1), old),
        (messages.attestation(epoch - 1, epoch), new),
        (messages.attestation(epoch, epoch + 1), new),
        (messages.block(slot - 1), old),
        (messages.block(slot), new),
        (messages.block(slot + 1), new),
    ]:
        assert (signs(old, body), signs(new, body)) == (owner is old, owner is new), body
    assert old.stop() == 0 and new.stop() == 0
    assert "no high watermark" in slashing(old, "hand-over", "--cancel", "--force").stdout
    old.start()
    assert signs(old, messages.attestation(epoch - 1, epoch))
    assert old.stop() == 0


def test_prune_and_enable(make_daemon):
    daemon = make_daemon()
    daemon.init()
    votes = [(epoch, epoch + 1) for epoch in range(10)]
    assert import_text(daemon, json.dumps(interchange(validator(KEY, [5, 900], votes)))).returncode == EXIT_DONE
    result = slashing(daemon, "prune", "--keep-epochs", 4)
    assert result.returncode == EXIT_DONE, result.stderr
    assert "6 records removed" in result.stdout, result.stdout  # five votes, and the block
    assert status(daemon)["attestations"] == 5
    assert "0 records removed" in slashing(daemon, "prune").stdout
    assert slashing(daemon, "prune", "--keep-epochs", "0").returncode == EXIT_USAGE
    assert slashing(daemon, "enable").returncode == EXIT_USAGE
    assert slashing(daemon, "enable", "--key", "0x12").returncode == EXIT_REFUSED
    assert slashing(daemon, "enable", "--key", OTHER).returncode == EXIT_FAILED
    assert slashing(daemon, "enable", "--key", KEY).returncode == EXIT_DONE


def test_faulty_files_are_refused_whole(make_daemon):
    daemon = make_daemon()
    daemon.init()
    bad = interchange(validator(OTHER, [7]), validator(KEY, [5]))
    bad["data"][1]["signed_blocks"][0]["slot"] = 5
    text = json.dumps(bad, indent=1)
    line = 1 + text[: text.index('"slot": 5,')].count("\n")
    result = import_text(daemon, text)
    assert result.returncode == EXIT_REFUSED
    assert f"line {line}: data[1].signed_blocks[0].slot: must be a string" in result.stderr
    assert "Nothing was imported: 1 fault" in result.stderr
    for file, message in [
        (interchange(version="4"), 'must be "5"'),
        (interchange(genesis="0x" + "77" * 32), "another network"),
        ({"data": []}, "metadata: is missing"),
    ]:
        result = import_text(daemon, json.dumps(file))
        assert result.returncode == EXIT_REFUSED
        assert message in result.stderr
    result = import_text(daemon, '{"metadata": ')
    assert result.returncode == EXIT_REFUSED
    assert "line 1" in result.stderr
    assert status(daemon)["validators"] == 0


def test_contradictions_are_told(make_daemon):
    daemon = make_daemon()
    daemon.init()
    result = import_text(daemon, json.dumps(interchange(validator(KEY, [5], [(3, 4), (0, 102122)]))))
    assert result.returncode == EXIT_DONE
    assert "1 validators contradict themselves" in result.stdout
    assert f"note: {KEY}" in result.stderr and "after target epoch 102122" in result.stderr


def test_usage_and_missing_things(make_daemon):
    daemon = make_daemon()
    for arguments in (
        [],
        ["import"],
        ["export"],
        ["import", "--from"],
        ["status", "--what"],
        ["import", "--from", "x", "extra"],
        ["status", "--signer-url", "ftp://127.0.0.1:9000"],
        ["status", "--signer-url", "http://127.0.0.1:9000/path"],
        ["status", "--signer-url", "http://user:token@127.0.0.1:9000"],
        ["status", "--signer-url", "http://127.0.0.1:90000"],
        ["status", "--signer-url", "http://127.0.0.1:"],
        ["status", "--signer-url", "http://"],
        ["status", "--signer-url", "http://[::1"],
        ["status", "--signer-url", "http://[::1]9000"],
        ["status", "--signer-url", "http://a b:9000"],
        ["status", "--signer-url", "http://127.0.0.1:9000", "--auth-token", "cc_token_in_the_process_list"],
        ["status", "--signer-url", "http://127.0.0.1:9000", "--auth-token", "env:NOT_SET"],
        ["status", "--signer-url", "http://127.0.0.1:9000", "--auth-token", "file:/nowhere"],
        ["status", "--signer-url", "http://127.0.0.1:9000", "--auth-token", "file:/dev/null"],
        ["status", "--signer-url", "http://127.0.0.1:9000", "--auth-token", "fd:77"],
        ["status", "--signer-url", "http://127.0.0.1:9000", "--auth-token", "fd:-1"],
        ["status", "--auth-token", "env:PATH"],
        ["status", "--allow-plaintext-signer"],
    ):
        assert slashing(daemon, *arguments).returncode == EXIT_USAGE, arguments
    result = slashing(daemon, "status")
    assert result.returncode == EXIT_FAILED
    assert "only init makes one" in result.stderr
    daemon.init()
    assert slashing(daemon, "import", "--from", daemon.path / "nothing").returncode == EXIT_FAILED
    assert slashing(daemon, "export", "--to", "/nonexistent/x").returncode == EXIT_FAILED
    daemon.config["anti_slashing"] = {"backend": "noop", "i_accept_slashing_risk": True}
    daemon.write_config()
    result = slashing(daemon, "status")
    assert result.returncode == EXIT_REFUSED
    assert "noop" in result.stderr


def test_P04_a_second_server_is_refused_and_leaves_the_first_ones_ports(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:1])
    daemon.init()
    daemon.start()
    ports = (daemon.data_dir / "ports").read_text()
    second = daemon.command("server", "-c", daemon.config_path, check=False)
    assert second.returncode == EXIT_LOCKED, second.stderr
    assert (daemon.data_dir / "ports").read_text() == ports
    assert daemon.get("/healthcheck")[0] == 200
    assert daemon.stop() == 0


def test_P04_a_running_signer_keeps_its_history(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:1])
    daemon.init()
    daemon.start()
    for arguments in (["status"], ["export", "--to", "-"], ["import", "--from", "/dev/null"]):
        result = slashing(daemon, *arguments)
        assert result.returncode == EXIT_LOCKED, result.stderr
        assert f"process {daemon.room('core')}" in result.stderr
        assert f"--signer-url unix:{daemon.admin_path}\n" in result.stderr
    assert daemon.stop() == 0
    assert slashing(daemon, "status").returncode == EXIT_DONE
    # What the command has left behind, the signer can use.
    daemon.start()
    assert daemon.stop() == 0
