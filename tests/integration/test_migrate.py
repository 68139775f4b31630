"""`migrate web3signer`: key files in every form, a configuration that serves them, and the same signatures before and after; and the blocks
of docs/migrate.md, on keys as other clients lay them out."""
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap
import threading
import urllib.error
import urllib.request
import zipfile

import pytest
import yaml

import daemon as daemon_module
import interop
import keystores
import messages
from test_slashing_cli import interchange, validator
from test_web3signer import free_port

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import postgres  # noqa: E402  pylint: disable=wrong-import-position

PAGE = daemon_module.SOURCE_DIR / "docs/migrate.md"


def secret(index):
    """The bytes of an interop key."""
    return bytes.fromhex(interop.SECRETS[index][2:])


def private(path, text):
    """A file for its owner alone."""
    path.touch(mode=0o600)
    path.write_text(text)


def write_keys(configs, stores, passwords, alike):
    """Keys 0..5 in every form that Web3Signer reads from files: raw, two documents in one file, descriptions of keystores with both
    ways to derive a key, and keystores in bulk with their passwords elsewhere; those two again in `alike`, with one password for all, in
    `alike`.txt."""
    for folder in (configs, stores, passwords, alike):
        folder.mkdir(parents=True, mode=0o700)
    private(configs / "raw.yaml", f"type: file-raw\nkeyType: BLS\nprivateKey: '{interop.SECRETS[0]}'\n")
    private(configs / "two.yml", f"type: FILE-RAW\nprivateKey: {interop.SECRETS[1]}\nunknown: 1\n---\n"
                                 f"type: file-keystore\nkeystoreFile: a.json\nkeystorePasswordFile: a.txt\n")
    private(configs / "scrypt.yaml", "type: file-keystore\nkeystoreFile: sub/b.json\nkeystorePasswordFile: sub/b.txt\n")
    keystores.write(configs, "a", secret(2), interop.PUBKEYS[2], "password a")
    keystores.write(configs / "sub", "b", secret(3), interop.PUBKEYS[3], "password b", kdf="scrypt", cost=1024)
    for index in (4, 5):
        keystores.write(stores, f"bulk{index}", secret(index), interop.PUBKEYS[index], f"password {index}")
        (stores / f"bulk{index}.txt").rename(passwords / f"bulk{index}.txt")
        keystores.write(alike, f"alike{index}", secret(index), interop.PUBKEYS[index], "password of all")
        (alike / f"alike{index}.txt").rename(alike.with_suffix(".txt"))


def migrate(daemon, workdir, *arguments, own=(), check=True):
    """Runs the command with its trial in `workdir`/trial, which is empty again at its end."""
    trial = workdir / "trial"
    trial.mkdir(exist_ok=True)
    done = daemon.command("migrate", "web3signer", "--dir", trial, *own, "--", *arguments, check=False, timeout=120)
    assert not list(trial.iterdir())
    if check:
        assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(name="before", scope="module")
def the_signer_before():
    """A signer that has keys 0..5: it stands for the Web3Signer that there was."""
    one = daemon_module.Daemon(daemon_module.fresh_dir("test_migrate_before"), keys=interop.SECRETS[:6])
    one.init()
    one.start()
    yield one
    one.end()


@pytest.fixture(name="environment")
def what_migrate_needs(before):
    """The variables that say what Web3Signer's options don't."""
    before.environment["CONTAINMENT_GENESIS_VALIDATORS_ROOT"] = messages.MINIMAL_GENESIS_ROOT
    yield before.environment
    del before.environment["CONTAINMENT_GENESIS_VALIDATORS_ROOT"]


def test_every_form_of_key_and_the_same_signatures(before, environment, make_daemon, workdir):
    configs, stores, passwords, alike = workdir / "configs", workdir / "stores", workdir / "passwords", workdir / "alike"
    write_keys(configs, stores, passwords, alike)
    options = workdir / "web3signer.yaml"
    options.write_text(f"key-config-path: {configs}\nhttp-listen-port: 0\neth2.keystores-path: {stores}\n"
                       f"eth2.keystores-passwords-path: {passwords}\n")
    out = workdir / "config.yaml"
    running = f"http://127.0.0.1:{before.http_port}"
    done = migrate(before, workdir, f"--config-file={options}", "eth2", "--network=minimal", "--slashing-protection-enabled=false",
                   own=("--out", out, "--json", "--compare", running))
    found = json.loads(done.stdout)
    assert found["ready"] is True and found["out"] == str(out) and found["network"] == "minimal"
    assert found["trial"] == {"keys": 6, "sign": 6, "refused_files": 0}
    assert found["compared"] == {"with": running, "same": 6, "missing_here": 0, "missing_there": 0}
    for line in [*(f"keys: {one['files']} files in {one['path']}" for one in found["keys"]), *(f"# {line}" for line in found["differs"])]:
        assert line in (done.stderr + out.read_text()).splitlines()
    assert "trial: 6 of 6 keys sign; 0 key files refused" in done.stderr
    assert "compared: 6 keys sign as http://" in done.stderr and "missing here, and lacks 0" in done.stderr
    assert not list(workdir.rglob("containment.fence"))
    assert "--slashing-protection-enabled: is never off here" in out.read_text()
    # The same, but that the keystores in bulk have one password file; a wrong one is told of.
    bulk = (f"--key-config-path={configs}", "eth2", "--network=minimal", "--slashing-protection-enabled=false", f"--keystores-path={alike}",
            f"--keystores-password-file={alike}.txt")
    done = migrate(before, workdir, *bulk, own=("--compare", running))
    assert "trial: 6 of 6 keys sign; 0 key files refused" in done.stderr and "compared: 6 keys sign as http://" in done.stderr
    assert f'password_file: "{alike}.txt"' in done.stdout and "passwords_path" not in done.stdout
    alike.with_suffix(".txt").write_text("another")
    done = migrate(before, workdir, *bulk, own=("--compare", running), check=False)
    assert done.returncode == 3 and "trial: 4 of 4 keys sign; 2 key files refused" in done.stderr
    # The configuration is one, and what it serves is what was there before.
    after = make_daemon()
    after.environment.update(environment)
    after.environment.update(CONTAINMENT_DATA_DIR=str(after.data_dir), CONTAINMENT_SERVER__ADMIN_SOCKET=str(after.admin_path),
                             CONTAINMENT_METRICS__LISTEN_PORT="0", CONTAINMENT_SERVER__DRAIN_SECONDS="1")
    after.config_path = out
    after.init()
    after.start()
    assert set(json.loads(after.get("/api/v1/eth2/publicKeys")[2])) == set(interop.PUBKEYS[:6])
    for index, key in enumerate(interop.PUBKEYS[:6]):
        for body in (messages.attestation(5, 6), messages.block(100 + index), messages.randao(6)):
            answers = [signer.sign(key, body) for signer in (before, after)]
            assert [a[0] for a in answers] == [200, 200]
            assert answers[0][2] == answers[1][2]


class Onlooker(http.server.BaseHTTPRequestHandler):
    """The other signer of a comparison: has the trial's signer sign what it should not, and answers with what a terminal obeys."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):  # pylint: disable=invalid-name
        (ports,) = self.server.trial.glob("*/chamber/data/ports")
        port = re.search(r"http-port=(\d+)", ports.read_text())[1]
        for body in self.server.bodies:
            asked = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/eth2/sign/{interop.PUBKEYS[0]}", method="POST",
                                           data=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(asked, timeout=30) as answer:
                    self.server.statuses.append(answer.status)
            except urllib.error.HTTPError as refused:
                self.server.statuses.append(refused.code)
        self.answer(200, json.dumps(interop.PUBKEYS[:1]).encode())

    def do_POST(self):  # pylint: disable=invalid-name
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(500, b"\x1b]0;a title\x07 \xc2\x9b31m" + b"a" * 600)


def test_the_trial_signs_nothing_else_and_foreign_words_move_no_terminal(before, environment, workdir):
    del environment
    keystores.write(workdir / "keys", "key", secret(0), interop.PUBKEYS[0], "password")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Onlooker)
    server.trial, server.statuses = workdir / "trial", []
    server.bodies = (messages.attestation(5, 6), messages.block(100), messages.randao(6))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    done = migrate(before, workdir, f"--key-config-path={workdir}/keys", "eth2", "--network=minimal", "--slashing-protection-enabled=false",
                   own=("--compare", f"http://127.0.0.1:{server.server_port}"), check=False)
    server.shutdown()
    server.server_close()
    assert "trial: 1 of 1 keys sign" in done.stderr
    assert server.statuses == [403, 403, 403]
    assert "answers 500: ?]0;a title? ?31maaa" in done.stderr and "a" * 500 + "..." not in done.stderr and "aaa...\n" in done.stderr
    assert "\x1b" not in done.stderr and "\x9b" not in done.stderr


def test_what_does_not_sign_is_named(before, environment, workdir):
    del environment
    keys = workdir / "keys"
    keystores.write(keys, "good", secret(0), interop.PUBKEYS[0], "password")
    keystores.write(keys, "bad", secret(1), interop.PUBKEYS[1], "password")
    (keys / "bad.txt").write_text("another")
    private(keys / "vault.yaml", "type: hashicorp\nserverHost: vault\n")
    url = f"http://127.0.0.1:{before.http_port}"
    done = migrate(before, workdir, f"--key-config-path={keys}", "eth2", "--network=minimal", "--slashing-protection-enabled=false",
                   own=("--compare", url), check=False)
    assert done.returncode == 3
    assert "bad.json error=KEYSTORE_PASSWORD" in done.stderr and "vault.yaml error=KEY_TYPE" in done.stderr
    for key in interop.PUBKEYS[2:6]:
        assert f"{key}: the other signer has it, and the key files don't" in done.stderr
    # The other network's signature is another one: as if the old signer were one of holesky.
    private(keys / "bad.txt", "password")
    (keys / "vault.yaml").unlink()
    before.environment["CONTAINMENT_GENESIS_VALIDATORS_ROOT"] = messages.root("another network")
    done = migrate(before, workdir, f"--key-config-path={keys}", "eth2", "--network=minimal", "--slashing-protection-enabled=false",
                   own=("--compare", url), check=False)
    assert done.returncode == 3 and "trial: 2 of 2 keys sign" in done.stderr and "compared: 0 keys" in done.stderr
    before.environment["CONTAINMENT_GENESIS_VALIDATORS_ROOT"] = messages.MINIMAL_GENESIS_ROOT
    # Nothing is tried where the options say what isn't served, and an empty directory proves nothing.
    # And what has its place elsewhere is named beside it.
    done = migrate(before, workdir, "eth2", "--aws-secrets-enabled", "--aws-secrets-tag-values-filter=prod", "--network=minimal",
                   "--slashing-protection-enabled=false", check=False)
    assert done.returncode == 3 and not done.stdout
    assert "--aws-secrets-enabled: keys are not read" in done.stderr and "note: --aws-secrets-tag-values-filter: `--tags =VALUE`" in done.stderr
    (workdir / "empty").mkdir()
    done = migrate(before, workdir, f"--key-config-path={workdir}/empty", "eth2", "--network=minimal",
                   "--slashing-protection-enabled=false", check=False)
    assert done.returncode == 3 and "trial: 0 of 0" in done.stderr


def test_the_page_has_every_option():
    page = PAGE.read_text()
    table = (daemon_module.SOURCE_DIR / "src/cli/web3signer_option.def").read_text()
    for name, scope in re.findall(r'^W\("([^"]+)", (\w+),', table, flags=re.M):
        assert f"| `{'eth2 ' if scope == 'ETH2' else ''}{name}` |" in page


# --- the guides: keys as each client lays them out ---------------------------------------------------------------------------


def run_block(name, folder, **variables):
    """Runs a block of docs/migrate.md in `folder`; returns what it prints."""
    (block,) = re.findall(rf"^( *)<!-- runnable: {name} -->\n *```sh\n(.*?)```", PAGE.read_text(), flags=re.S | re.M)
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", textwrap.dedent(block[1])], cwd=folder, env={**os.environ, **variables},
                          check=True, capture_output=True, text=True, timeout=60)
    return done.stdout


def keystore_of(index, password, **members):
    """The text of a keystore of an interop key, with these members beside or in the place of its own; None takes one away."""
    keystore = {**keystores.make(secret(index), interop.PUBKEYS[index], password), **members}
    return json.dumps({name: value for name, value in keystore.items() if value is not None}, indent="\t")


def lighthouse_and_nimbus(folder):
    """Keys 0 to 2: made by Lighthouse, Nimbus', and one that was imported into Lighthouse, which keeps its name and has its password in the
    definitions; and a key of another signer that Nimbus asks."""
    (folder / "secrets").mkdir(parents=True)
    for index, file in ((0, "voting-keystore"), (1, "keystore"), (2, "keystore-m_12381_3600_0_0_0-1606897111")):
        own = folder / "validators" / interop.PUBKEYS[index]
        keystores.write(own, file, secret(index), interop.PUBKEYS[index], f"password {index}")
        (own / f"{file}.txt").rename(folder / "secrets" / interop.PUBKEYS[index])
    (folder / "secrets" / interop.PUBKEYS[2]).rename(folder / "definitions")
    (folder / "validators" / interop.PUBKEYS[3]).mkdir()
    (folder / "validators" / interop.PUBKEYS[3] / "remote_keystore.json").write_text('{"type": "web3signer"}')
    assert run_block("collect", folder) == f"no password in secrets: {interop.PUBKEYS[2]}\n"
    private(folder / "keys" / f"{interop.PUBKEYS[2]}.txt", (folder / "definitions").read_text())


def teku(folder):
    """Key 3 of --validator-keys, and key 4 of the Key Manager API."""
    for index, keys, passwords in ((3, "k", "p"), (4, "validator/key-manager/local", "validator/key-manager/local-passwords")):
        keystores.write(folder / keys, f"v{index}", secret(index), interop.PUBKEYS[index], f"password {index}")
        (folder / passwords).mkdir(parents=True)
        (folder / keys / f"v{index}.txt").rename(folder / passwords / f"v{index}.txt")
        (folder / keys / f"v{index}.json.lock").touch()
    run_block("teku", folder, KEYS="k", PASSWORDS="p")
    (folder / "keys").rename(folder / "first")
    run_block("teku", folder)
    for file in (folder / "first").iterdir():
        file.rename(folder / "keys" / file.name)


def prysm(folder):
    """Keys 5 and 6, as `accounts backup` archives them, under one password."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "backup.zip", "w") as archive:
        for number, index in enumerate((5, 6)):
            archive.writestr(f"keystore-{number}.json", keystore_of(index, "backed up", description="", path=""))
    (folder / "backup-password.txt").write_text("backed up\n")
    run_block("prysm", folder)


def dirk(folder):
    """Key 7 of a non-deterministic wallet and key 8 of a hierarchical one, and a share of a distributed one, as go-eth2-wallet-* store them."""
    name = "00000000-0000-4000-8000-{:012}"
    for wallet, index, members in ((1, 7, {"path": None}), (2, 8, {"path": "m/12381/3600/0/0"}),
                                   (3, 9, {"participants": {"1": "signer-1:8881"}, "signing_threshold": 2, "verificationvector": []})):
        own = folder / "wallets" / name.format(wallet)
        own.mkdir(parents=True)
        (own / own.name).write_text(json.dumps({"uuid": own.name, "name": "Validators", "type": "any", "version": 1}))
        (own / "index").write_text("[]")
        account = keystore_of(index, "unlocks", description=None, name="Validator", encryptor="keystore", **members)
        private(own / name.format(10 + index), account)
    assert run_block("dirk", folder) == f"a share of a key, left out: wallets/{name.format(3)}/{name.format(19)}\n"
    private(folder / "passphrase", "unlocks\n")


def test_what_each_client_keeps_is_laid_out_and_signs(before, environment, workdir):
    del environment
    everything = workdir / "all"
    everything.mkdir(mode=0o700)
    for lay_out in (lighthouse_and_nimbus, teku, prysm, dirk):
        lay_out(workdir / lay_out.__name__)
        for file in (workdir / lay_out.__name__ / "keys").iterdir():
            assert file.stat().st_mode & 0o777 == 0o600, file
            file.rename(everything / f"{lay_out.__name__}-{file.name}")
    done = migrate(before, workdir, "eth2", f"--keystores-path={everything}", f"--keystores-password-file={workdir}/dirk/passphrase",
                   "--network=minimal", "--slashing-protection-enabled=false")
    assert "trial: 9 of 9 keys sign; 0 key files refused" in done.stderr
    # Lighthouse's definitions of what a signer has.
    url = f"http://127.0.0.1:{before.http_port}"
    run_block("definitions", workdir, SIGNER_URL=url)
    definitions = yaml.safe_load((workdir / "validator_definitions.yml").read_text())
    assert sorted(definitions, key=lambda one: one["voting_public_key"]) == [
        {"enabled": True, "voting_public_key": key, "type": "web3signer", "url": url} for key in sorted(interop.PUBKEYS[:6])]


def test_keys_and_history_of_a_client_come_together(make_daemon, workdir):
    """Both ways of step 4: into a new signer, and into one that runs."""
    history = workdir / "history.json"
    history.write_text(json.dumps(interchange(*(validator(interop.PUBKEYS[index], [50], [(5, 6)]) for index in (3, 5, 6)))))
    teku(workdir / "teku")
    daemon = make_daemon()
    for file in (workdir / "teku/keys").glob("v3.*"):
        file.rename(daemon.keys_dir / file.name)
    daemon.init()
    daemon.command("slashing", "import", "-c", daemon.config_path, "--from", history)
    assert "validators              3\n" in daemon.command("slashing", "status", "-c", daemon.config_path).stdout
    daemon.start()
    prysm(workdir / "prysm")
    done = daemon.command("keys", "import", "--from-dir", workdir / "prysm/keys", "--slashing-protection", history,
                          "--signer-url", f"unix:{daemon.admin_path}")
    assert done.stdout == "2 imported, 0 there already, 0 failed\n"
    assert set(json.loads(daemon.get("/api/v1/eth2/publicKeys")[2])) == {interop.PUBKEYS[index] for index in (3, 5, 6)}
    for index in (3, 5, 6):
        asked = [daemon.sign(interop.PUBKEYS[index], body)[0] for body in (messages.attestation(5, 6), messages.block(50), messages.attestation(6, 7))]
        assert asked == [412, 412, 200], index


@pytest.mark.skipif(postgres.bin_dir() is None, reason="left out: PostgreSQL is not installed")
def test_the_database_is_looked_at_and_left_as_it_is(before, environment, workdir):
    keys = workdir / "keys"
    keys.mkdir(mode=0o700)
    private(keys / "key.yaml", f"type: file-raw\nprivateKey: '{interop.SECRETS[0]}'\n")
    port = free_port()
    server = postgres.Postgres({"listen_addresses": "127.0.0.1", "port": port})
    server.port = port
    with server:
        options = (f"--key-config-path={keys}", "eth2", "--network=minimal", "--slashing-protection-db-username", postgres.NAME,
                   "--slashing-protection-db-password=S3cret", f"--slashing-protection-db-url=jdbc:postgresql://127.0.0.1:{port}/postgres")

        def look():
            done = migrate(before, workdir, *options, own=("--no-try",), check=False)
            assert "S3cret" not in done.stdout + done.stderr
            return done

        done = look()
        assert done.returncode == 3 and "database: " in done.stderr  # there are no tables
        subprocess.run([before.binary, "slashing", "migrate"], check=True, capture_output=True, timeout=60, env={
            **environment, "CONTAINMENT_ANTI_SLASHING__BACKEND": "postgres", "CONTAINMENT_NETWORK": "minimal",
            "CONTAINMENT_ANTI_SLASHING__URL": server.url()})
        # As Web3Signer's own migrations leave it: none of our tables.
        server.sql("DROP TABLE containment_heads, containment_history, containment_ceiling CASCADE")
        root = messages.MINIMAL_GENESIS_ROOT[2:]
        server.sql(f"INSERT INTO metadata (id, genesis_validators_root) VALUES (1, decode('{root}', 'hex'));"
                   " INSERT INTO validators (public_key) VALUES (decode('aa', 'hex')), (decode('bb', 'hex'))")
        tables = "SELECT count(*) FROM pg_class WHERE relname LIKE 'containment_%'"
        there = server.sql(tables)
        done = look()
        assert done.returncode == 0 and "database: schema 12, 2 validators" in done.stderr
        assert f'url: "postgresql://{postgres.NAME}@127.0.0.1:{port}/postgres"' in done.stdout
        assert server.sql(tables) == there
        assert "disabled" not in done.stderr
        server.sql("UPDATE validators SET enabled = false WHERE public_key = decode('bb', 'hex')")
        done = look()
        assert done.returncode == 0 and "disabled: 1 of them sign neither there nor here: 0xbb\n" in done.stderr
        assert "0xaa" not in done.stderr
        for change, said in (("UPDATE metadata SET genesis_validators_root = decode('00', 'hex')", "database: "),
                             (f"UPDATE metadata SET genesis_validators_root = decode('{'ab' * 32}', 'hex')", "another network's"),
                             ("UPDATE database_version SET version = 11", "is not 12")):
            server.sql(change)
            done = look()
            assert done.returncode == 3 and said in done.stderr
