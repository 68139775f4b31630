"""`migrate web3signer`: key files in every form, a configuration that serves them, and the same signatures before and after."""
import http.server
import json
import pathlib
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

import daemon as daemon_module
import interop
import keystores
import messages
from test_web3signer import free_port

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import postgres  # noqa: E402  pylint: disable=wrong-import-position


def secret(index):
    """The bytes of an interop key."""
    return bytes.fromhex(interop.SECRETS[index][2:])


def private(path, text):
    """A file for its owner alone."""
    path.touch(mode=0o600)
    path.write_text(text)


def write_keys(configs, stores, passwords):
    """Keys 0..5 in every form that Web3Signer reads from files: raw, two documents in one file, descriptions of keystores with both
    ways to derive a key, and keystores in bulk with their passwords elsewhere."""
    for folder in (configs, stores, passwords):
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
    configs, stores, passwords = workdir / "configs", workdir / "stores", workdir / "passwords"
    write_keys(configs, stores, passwords)
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
    done = migrate(before, workdir, "eth2", "--aws-secrets-enabled", "--network=minimal", "--slashing-protection-enabled=false", check=False)
    assert done.returncode == 3 and "--aws-secrets-enabled: " in done.stderr and not done.stdout
    (workdir / "empty").mkdir()
    done = migrate(before, workdir, f"--key-config-path={workdir}/empty", "eth2", "--network=minimal",
                   "--slashing-protection-enabled=false", check=False)
    assert done.returncode == 3 and "trial: 0 of 0" in done.stderr


def test_the_page_has_every_option_and_its_block_collects_keystores(before, environment, workdir):
    del environment
    page = (daemon_module.SOURCE_DIR / "docs/migrate.md").read_text()
    table = (daemon_module.SOURCE_DIR / "src/cli/web3signer_option.def").read_text()
    for name, scope in re.findall(r'^W\("([^"]+)", (\w+),', table, flags=re.M):
        assert f"| `{'eth2 ' if scope == 'ETH2' else ''}{name}` |" in page
    # Lighthouse's and Nimbus' folders.
    (workdir / "secrets").mkdir()
    for index, file in ((0, "voting-keystore"), (1, "keystore")):
        folder = workdir / "validators" / interop.PUBKEYS[index]
        keystores.write(folder, file, secret(index), interop.PUBKEYS[index], f"password {index}")
        (folder / f"{file}.txt").rename(workdir / "secrets" / interop.PUBKEYS[index])
    (block,) = re.findall(r"<!-- runnable: collect -->\n *```sh\n(.*?)```", page, flags=re.S)
    subprocess.run(["bash", "-euc", block], cwd=workdir, check=True, timeout=60)
    done = migrate(before, workdir, f"--key-config-path={workdir}/keys", "eth2", "--network=minimal", "--slashing-protection-enabled=false")
    assert "trial: 2 of 2 keys sign; 0 key files refused" in done.stderr


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
