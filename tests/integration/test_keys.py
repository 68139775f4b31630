"""Key files of every sort through the real loader in its real sandbox: good, bad, changed, and out of reach."""
import json
import signal

import interop
import keystores
from daemon import wait_for



def secret(index):
    """The bytes of an interop key."""
    return bytes.fromhex(interop.SECRETS[index][2:])


def public_keys(daemon):
    """The set that /publicKeys lists; None while the set is unknown."""
    status, _, body = daemon.get("/api/v1/eth2/publicKeys")
    return set(json.loads(body)) if status == 200 else None


def pubkeys(*indexes):
    """The interop public keys of these indexes."""
    return {interop.PUBKEYS[i] for i in indexes}


def refused(daemon):
    """{file name: error} of what the loader refused, from its log."""
    found = {}
    for line in daemon.log_text().splitlines():
        if '"room":"loader"' in line and "key file refused" in line:
            record = json.loads(line)
            found[record["path"].rsplit("/", 1)[1]] = record["error"]
    return found


def reload(daemon):
    """SIGHUP, and waits for the end of that load."""
    ends = daemon.log_text().count("keys are loaded")
    daemon.process.send_signal(signal.SIGHUP)
    wait_for("the load's end", lambda: daemon.log_text().count("keys are loaded") > ends)


def key_check(daemon):
    """The data of /healthcheck about key files."""
    checks = json.loads(daemon.get("/healthcheck")[2])["checks"]
    keys = next(c for c in checks if c["id"] == "keys-check")
    return next(c for c in keys["checks"] if c["id"] == "config-files-loading")


def write(path, text, mode=0o600):
    """A file with a mode."""
    path.touch(mode=mode)
    path.write_text(text)
    path.chmod(mode)


def make_good_and_bad(folder):
    """Three good keys (0, 1, 2) and one bad file of each sort."""
    keystores.write(folder, "good0", secret(0), interop.PUBKEYS[0], "CanaryPassword0")
    keystores.write(folder, "good1", secret(1), interop.PUBKEYS[1], "CanaryPassword1", kdf="scrypt")
    write(folder / "good2.yaml", f"type: file-raw\nprivateKey: {interop.SECRETS[2]}\n")
    keystores.write(folder, "wrong", secret(3), interop.PUBKEYS[3], "CanaryPassword3")
    write(folder / "wrong.txt", "CanaryWrong")
    keystores.write(folder, "pair", secret(4), interop.PUBKEYS[5], "CanaryPassword4")
    keystores.write(folder, "nopass", secret(6), interop.PUBKEYS[6], "CanaryPassword6")
    (folder / "nopass.txt").unlink()
    write(folder / "vault.yaml", "type: hashicorp\ntoken: CanaryToken\n")
    write(folder / "syntax.yaml", "type: [CanaryText\n")
    write(folder / "syntax.json", '{"version": 4, "CanaryJson"')


def test_P13_bad_files_are_named_and_the_rest_load(make_daemon):
    daemon = make_daemon()
    make_good_and_bad(daemon.keys_dir)
    daemon.init()
    daemon.start(ready=False)
    wait_for("the load's end", lambda: "keys are loaded" in daemon.log_text())
    assert refused(daemon) == {
        "wrong.json": "KEYSTORE_PASSWORD",
        "pair.json": "KEYSTORE_PUBKEY",
        "nopass.json": "PASSWORD_FILE",
        "vault.yaml": "KEY_TYPE",
        "syntax.yaml": "YAML_SYNTAX",
        "syntax.json": "JSON_SYNTAX",
    }
    assert pubkeys(0, 1, 2) <= public_keys(daemon)
    assert interop.PUBKEYS[4] not in public_keys(daemon)
    assert key_check(daemon)["data"]["error-count"] == 6
    assert key_check(daemon)["data"]["keys-loaded"] == 3
    log = daemon.log_text()
    assert "good2" in log or "wrong.json" in log  # the search finds names
    assert "Canary" not in log
    for text in interop.SECRETS[:7]:
        assert text[2:] not in log
    assert daemon.stop() == 0
    status = daemon.command("slashing", "status", "--json", "-c", daemon.config_path)
    assert json.loads(status.stdout)["validators"] == 3  # no refused file made a row, least of all pair.json


def test_a_reload_follows_the_directory(make_daemon):
    daemon = make_daemon()
    folder = daemon.keys_dir
    keystores.write(folder, "k0", secret(0), interop.PUBKEYS[0], "p")
    write(folder / "k1.yaml", f"type: file-raw\nprivateKey: {interop.SECRETS[1]}\n")
    daemon.init()
    daemon.start()
    assert public_keys(daemon) == pubkeys(0, 1)
    keystores.write(folder, "k2", secret(2), interop.PUBKEYS[2], "p")
    (folder / "k0.txt").unlink()  # not needed any more: the vault has the key
    (folder / "k1.yaml").unlink()
    reload(daemon)
    assert public_keys(daemon) == pubkeys(0, 2)
    assert key_check(daemon)["status"] == "UP"
    (folder / "k2.json").write_text("{")  # turned bad: it goes on signing, and is reported
    reload(daemon)
    assert public_keys(daemon) == pubkeys(0, 2)
    assert refused(daemon) == {"k2.json": "JSON_SYNTAX"}
    assert key_check(daemon)["data"]["error-count"] == 1
    (folder / "k2.json").unlink()
    reload(daemon)
    assert public_keys(daemon) == pubkeys(0)


def test_a_directory_that_is_gone_removes_nothing(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:2])
    daemon.init()
    daemon.start()
    daemon.keys_dir.rename(daemon.path / "elsewhere")
    reload(daemon)
    assert public_keys(daemon) == pubkeys(0, 1)
    (daemon.path / "elsewhere").rename(daemon.keys_dir)
    reload(daemon)
    assert public_keys(daemon) == pubkeys(0, 1)


def test_the_loader_reads_only_below_the_configured_paths(make_daemon):
    daemon = make_daemon(keys=interop.SECRETS[:1])
    outside = daemon.path / "outside"
    keystores.write(outside, "k1", secret(1), interop.PUBKEYS[1], "p")
    (daemon.keys_dir / "link.json").symlink_to(outside / "k1.json")
    write(
        daemon.keys_dir / "named.yaml",
        f"type: file-keystore\nkeystoreFile: {outside}/k1.json\nkeystorePasswordFile: {outside}/k1.txt\n",
    )
    keystores.write(daemon.keys_dir / "below", "k2", secret(2), interop.PUBKEYS[2], "p")
    write(
        daemon.keys_dir / "inside.yaml",
        "type: file-keystore\nkeystoreFile: below/k2.json\nkeystorePasswordFile: below/k2.txt\n",
    )
    daemon.init()
    daemon.start(ready=False)
    wait_for("the load's end", lambda: "keys are loaded" in daemon.log_text())
    if "has no Landlock" in daemon.log_text():
        print("left out: this kernel has no Landlock")
        return
    assert refused(daemon) == {"link.json": "IO", "named.yaml": "IO"}
    assert public_keys(daemon) == pubkeys(0, 2)


def test_strict_permissions(make_daemon):
    daemon = make_daemon(
        keys=interop.SECRETS[:1], config={"key_sources": {"filesystem": {"strict_permissions": True}}}
    )
    keystores.write(daemon.keys_dir, "k1", secret(1), interop.PUBKEYS[1], "p")
    (daemon.keys_dir / "k1.txt").chmod(0o640)
    write(daemon.keys_dir / "k2.yaml", f"type: file-raw\nprivateKey: {interop.SECRETS[2]}\n", 0o604)
    daemon.init()
    daemon.start(ready=False)
    wait_for("the load's end", lambda: "keys are loaded" in daemon.log_text())
    assert refused(daemon) == {"k1.json": "KEY_FILE_MODE", "k2.yaml": "KEY_FILE_MODE"}
    assert key_check(daemon)["data"]["keys-loaded"] == 1
