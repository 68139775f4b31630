"""Duties that go from one cluster to another with a signed token, while neither runs."""
import json

import interop
import messages

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_REFUSED, EXIT_LOCKED = range(5)
SLOTS = 8  # of the minimal preset's epoch


def slashing(daemon, *arguments):
    return daemon.command("slashing", *arguments, "-c", daemon.config_path, check=False)


def signs(daemon, secret, body):
    code, _, content = daemon.sign(interop.PUBKEYS[secret], body)
    assert code in (200, 412), content
    return code == 200


def hand_over(old, epoch, name="token"):
    token = old.path / name
    result = slashing(old, "hand-over", "--epoch", epoch, "--to", token)
    assert result.returncode == EXIT_DONE, result.stderr
    return token


def test_T09_P07_a_token_carries_the_duties_over(make_daemon):
    epoch = 20
    old = make_daemon(keys=interop.SECRETS[:1])
    new = make_daemon(keys=interop.SECRETS[:2])
    old.init()
    old.start()
    assert signs(old, 0, messages.attestation(epoch - 4, epoch - 3))
    assert signs(old, 0, messages.block(epoch * SLOTS - 20))
    old.stop()
    new.init()  # no key has a row yet: what the token says holds for those that come later
    token = hand_over(old, epoch)
    assert token.read_text().startswith("containment-chamber-hand-over-v1\n")
    assert f"\nepoch {epoch}\nslot {epoch * SLOTS - 20}\nsource {epoch - 4}\ntarget {epoch - 3}\n" in token.read_text()
    taking = ("repair-watermark", "--token", token, "--identity", old.data_dir / "identity.pub")
    report = json.loads(slashing(new, *taking, "--json").stdout)["report"]
    result = slashing(new, *taking)
    assert result.returncode == EXIT_DONE, result.stderr
    assert report == result.stdout.splitlines()
    assert f"no block up to slot {epoch * SLOTS - 1}," in result.stdout, result.stdout
    old.start()
    new.start()
    # Until the epoch the old one signs on, to its last; from it on the new one does, for every key.
    for body, owner in [
        (messages.block(epoch * SLOTS - 1), old),
        (messages.attestation(epoch - 2, epoch - 1), old),
        (messages.attestation(epoch - 3, epoch + 2), None),  # would surround the one above
        (messages.block(epoch * SLOTS), new),
        (messages.block(epoch * SLOTS + 1), new),
        (messages.attestation(epoch - 1, epoch), new),
        (messages.attestation(epoch, epoch + 1), new),
    ]:
        assert (signs(old, 0, body), signs(new, 0, body)) == (owner is old, owner is new), body
        assert signs(new, 1, body) == (owner is new), body
    assert old.stop() == 0 and new.stop() == 0


def test_T09_a_token_that_is_not_the_old_clusters_is_refused(make_daemon):
    old, new, other = make_daemon(), make_daemon(), make_daemon()
    for daemon in (old, new, other):
        daemon.init()
    token = hand_over(old, 20)
    forged = old.path / "forged"

    def take(path, identity, **options):
        return slashing(new, "repair-watermark", "--token", path, "--identity", identity, **options)

    text = token.read_text()
    pin = old.data_dir / "identity.pub"
    public = [line.split()[1] for line in pin.read_text().splitlines() if line.startswith("ed25519")][0]
    for changed in (
        text.replace("epoch 20", "epoch 2"),
        text.replace("target 0", "target 1"),
        text.replace("epoch 20", "epoch 020"),
        text + "\n",
        text.replace("\n", "\r\n"),
        "",
        "x" * 5000,
    ):
        forged.write_text(changed)
        result = take(forged, pin)
        assert result.returncode in (EXIT_REFUSED, EXIT_FAILED) and "validators" not in result.stdout, (changed, result)
    result = take(token, other.data_dir / "identity.pub")
    assert result.returncode == EXIT_REFUSED and "another chamber" in result.stderr, result
    assert take(token, "0x" + "11" * 32).returncode == EXIT_REFUSED
    assert take(token, old.path / "nowhere").returncode == EXIT_FAILED
    assert slashing(new, "repair-watermark", "--token", token).returncode == EXIT_USAGE
    own = slashing(old, "repair-watermark", "--token", token, "--identity", pin)
    assert own.returncode == EXIT_REFUSED and "own" in own.stderr, own
    assert take(token, public if public.startswith("0x") else "0x" + public).returncode == EXIT_DONE


def test_a_hand_over_needs_a_history_that_nobody_uses(make_daemon):
    old = make_daemon(keys=interop.SECRETS[:1])
    old.init()
    old.start()
    result = slashing(old, "hand-over", "--epoch", 20, "--to", old.path / "token")
    assert result.returncode == EXIT_LOCKED and "in use by process" in result.stderr, result
    old.stop()
    token = hand_over(old, 20)
    again = slashing(old, "hand-over", "--epoch", 20, "--to", token)
    assert again.returncode == EXIT_REFUSED and "there already" in again.stderr
    shown = slashing(old, "hand-over", "--epoch", 20, "--to", "-")
    assert shown.returncode == EXIT_DONE and shown.stdout == token.read_text()


def test_P07_a_hand_over_that_stands_is_not_taken_back_unforced(make_daemon):
    """The other cluster may have begun at epoch 20: both would sign there."""
    old = make_daemon(keys=interop.SECRETS[:1])
    old.init()
    token = hand_over(old, 20)
    later = old.path / "later"

    def stands():
        return json.loads(slashing(old, "status", "--json").stdout)["high_watermark"]["epoch"]

    for arguments in (["--cancel"], ["--epoch", 30]):
        result = slashing(old, "hand-over", *arguments)
        assert result.returncode == EXIT_FAILED and stands() == "20", result
        assert "another signer may have begun at epoch 20" in result.stderr and "--force" in result.stderr, result.stderr
    result = slashing(old, "hand-over", "--epoch", 30, "--to", later)
    assert result.returncode == EXIT_FAILED and stands() == "20" and not later.exists(), result
    assert "another signer may have begun" in result.stderr and "--force" in result.stderr, result.stderr
    assert hand_over(old, 20, "again").read_text() == token.read_text()
    assert slashing(old, "hand-over", "--epoch", 19).returncode == EXIT_DONE
    assert slashing(old, "hand-over", "--epoch", 30, "--force", "--to", later).returncode == EXIT_DONE
    assert "\nepoch 30\n" in later.read_text() and stands() == "30"
    assert slashing(old, "hand-over", "--cancel", "--force").returncode == EXIT_DONE
