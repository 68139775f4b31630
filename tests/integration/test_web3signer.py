"""`containment-chamber web3signer`: started as Web3Signer is, by flags, variables and its YAML, on its database."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

import pytest

import daemon as daemon_module
import interop
import keystores
import messages
from daemon import wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import postgres  # noqa: E402  pylint: disable=wrong-import-position

KEY = interop.PUBKEYS[0]
NETWORK = "PRESET_BASE: minimal\nGENESIS_FORK_VERSION: 0x00000001\nSECONDS_PER_SLOT: 6\n"


class Web3signer(daemon_module.Daemon):
    """The same program under Web3Signer's command line."""

    def __init__(self, path, *arguments, environment=None):
        super().__init__(path)
        self.arguments = arguments
        self.environment.update(CONTAINMENT_DATA_DIR=str(self.data_dir), **(environment or {}))
        self.environment["CONTAINMENT_SERVER__ADMIN_SOCKET"] = str(self.admin_path)
        self.environment["CONTAINMENT_SERVER__DRAIN_SECONDS"] = "1"

    def spawn(self, *more):
        (self.data_dir / "ports").unlink(missing_ok=True)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(self.binary), "web3signer", *map(str, self.arguments), *more],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        return self


@pytest.fixture(name="start")
def a_starter(workdir):
    """Makes and starts signers that end with their test."""
    made = []

    def start(*arguments, **options):
        one = Web3signer(workdir / f"w{len(made)}", *arguments, **options)
        made.append(one)
        return one

    yield start
    for one in made:
        one.end()


def sign(signer, body, key=KEY):
    """The status of one signing request."""
    return signer.sign(key, body)[0]


def test_a_devnet_without_a_database(start, workdir):
    """As ethereum-package starts it: keystores of one directory, passwords of another, the network's file, no database."""
    keys, passwords, network = workdir / "keys", workdir / "secrets", workdir / "network"
    keystores.write(keys, KEY, bytes.fromhex(interop.SECRETS[0][2:]), KEY, "password")
    passwords.mkdir(mode=0o700)
    (keys / f"{KEY}.txt").rename(passwords / f"{KEY}.txt")
    network.mkdir()
    (network / "config.yaml").write_text(NETWORK)
    (network / "genesis_validators_root.txt").write_text(messages.MINIMAL_GENESIS_ROOT + "\n")
    signer = start("--http-listen-port=0", "--http-host-allowlist=*", "--metrics-enabled=true", "--metrics-host-allowlist=*",
                   "--metrics-host=127.0.0.1", "--metrics-port=0", "eth2", f"--network={network}/config.yaml",
                   f"--keystores-path={keys}", f"--keystores-passwords-path={passwords}", "--slashing-protection-enabled=false")
    signer.start()
    assert json.loads(signer.get("/api/v1/eth2/publicKeys", {"Host": "signer"})[2]) == [KEY]
    assert sign(signer, messages.attestation(1, 2)) == 200
    assert sign(signer, messages.attestation(1, 2, seed=1)) == 412  # there is protection all the same
    loads = signer.log_text().count("keys are loaded")
    signer.process.send_signal(signal.SIGHUP)
    wait_for("the reload", lambda: signer.log_text().count("keys are loaded") > loads)
    assert "--slashing-protection-enabled: is never off here" in signer.log_text()
    assert signer.stop() == 0
    signer.start()  # the same chamber and history
    assert sign(signer, messages.attestation(1, 2, seed=1)) == 412
    assert sign(signer, messages.attestation(1, 2)) == 200
    assert signer.stop() == 0
    # A data directory that is lost: only the fence beside the keys knows that there was a history.
    shutil.rmtree(signer.data_dir)
    done = signer.command("web3signer", *signer.arguments, check=False)
    assert done.returncode == 3 and "names another history" in done.stderr, done.stderr
    (keys / "containment.fence").unlink()  # as where it could not be written
    signer.start()
    assert sign(signer, messages.attestation(1, 2, seed=1)) == 200


def free_port():
    """A port of loopback that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@pytest.mark.skipif(postgres.bin_dir() is None, reason="left out: PostgreSQL is not installed")
def test_a_database_by_its_jdbc_url_and_the_export(start, workdir):
    """As eth-docker starts it: descriptions of keys, a database with user and password, options from three places."""
    port = free_port()
    server = postgres.Postgres({"listen_addresses": "127.0.0.1", "port": port})
    server.port = port
    with server:
        server.sql(f"ALTER ROLE {postgres.NAME} PASSWORD 'p@ss/word'")
        server.ask_for_passwords()
        server.reload()
        options = workdir / "options.yaml"
        options.write_text(f"http-listen-port: 1\nmetrics-enabled: true\nmetrics-port: 0\neth2:\n  network: minimal\n"
                           f"  slashing-protection-db-url: jdbc:postgresql://127.0.0.1:{port}/postgres\n")
        signer = start("--http-listen-port", "0", "--logging=debug", "eth2", "--slashing-protection-db-password=p@ss/word",
                       environment={"WEB3SIGNER_CONFIG_FILE": str(options),
                                    "WEB3SIGNER_ETH2_SLASHING_PROTECTION_DB_USERNAME": postgres.NAME,
                                    "CONTAINMENT_GENESIS_VALIDATORS_ROOT": messages.MINIMAL_GENESIS_ROOT,
                                    "CONTAINMENT_ANTI_SLASHING__NEW_KEY_POLICY__QUARANTINE_EPOCHS": "0"})
        signer.add_raw_key(interop.SECRETS[0], "key")
        signer.arguments = (f"--key-store-path={signer.keys_dir}", *signer.arguments)
        signer.start()
        assert sign(signer, messages.attestation(3, 4)) == 200
        assert server.sql("SELECT count(*) FROM signed_attestations WHERE target_epoch = 4") == "1"
        argv = pathlib.Path(f"/proc/{signer.process.pid}/cmdline").read_bytes()
        assert b"eth2" in argv and b"p@ss" not in argv and "p@ss" not in signer.log_text()
        assert signer.stop() == 0
        signer.command("web3signer", "--key-store-path=x", "eth2", "--slashing-protection-db-password=p@ss/word", "export",
                       f"--to={workdir}/export.json")
        exported = json.loads((workdir / "export.json").read_text())
        assert [(one["pubkey"], [a["target_epoch"] for a in one["signed_attestations"]]) for one in exported["data"]] == [(KEY, ["4"])]
        signer.command("web3signer", "eth2", "--slashing-protection-db-password=p@ss/word", "import",
                       f"--from={workdir}/export.json")


def test_what_is_not_served_is_refused_by_name(start):
    """Nothing is started; each fault is there."""
    signer = start()
    done = signer.command("web3signer", "--nonsense=1", "eth2", "--azure-vault-enabled=true", "--commit-boost-api-enabled", check=False)
    assert done.returncode == 3
    for part in ("--nonsense: is no option", "--azure-vault-enabled: keys are not read", "--commit-boost-api-enabled: the commit-boost",
                 "--slashing-protection-db-url: is missing"):
        assert part in done.stderr
    assert not os.path.exists(signer.data_dir)
    # A value that this program refuses is named by the option that brought it.
    done = signer.command("web3signer", "--http-listen-port=x", "eth2", "--slashing-protection-enabled=false", check=False)
    assert done.returncode == 3 and "Web3Signer's --http-listen-port: server.listen_port: " in done.stderr
    done = signer.command("web3signer", "eth2", "--slashing-protection-enabled=false", "watermark-repair", "--epoch=1", check=False)
    assert done.returncode == 2 and "repair-watermark" in done.stderr
