"""The container image: made twice with the same bytes, of what it should be, and run from its own layer as containers are: another
user than root, nothing writable but the data, no capability. The one that takes the place of Web3Signer's image is started as
ethereum-package and eth-docker start that one."""
import contextlib
import ctypes
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tarfile

import pytest

import interop
import keystores
import messages
from daemon import SOURCE_DIR, Connection, Daemon, binary_with_switches, children_of, fresh_dir, release_binary, wait_for
from test_slashing_cli import interchange, validator

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import postgres  # noqa: E402  pylint: disable=wrong-import-position

USER = 65532
DATA = "var/lib/containment-chamber"
PROGRAM = release_binary() or binary_with_switches()
KEY = interop.PUBKEYS[0]
CLONE_NEWNET = 0x40000000
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="left out: not root")

# What a container engine does: a file system that can't be written, a /proc and a /dev of its own, what is mounted, then the rest.
# $1 the root, $2 mounts: a source, its place and `ro`, `rw` or `tmpfs` in each line; a tmpfs is anybody's.
RUN = r"""
set -eu
root=$1 mounts=$2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs none "$root/dev"
for device in null zero random urandom; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
printf '%s' "$mounts" | while read -r source place how; do
    if [ "$how" = tmpfs ]; then
        mount -t tmpfs -o mode=1777 none "$root$place"
    else
        mount --bind "$source" "$root$place"
        mount -o "remount,bind,$how" "$root$place"
    fi
done
mount -o remount,bind,ro,nosuid,nodev "$root"
shift 2
exec env -i "$@"
"""
# The root, the user, the command: no capability, no new privileges, and Docker's limit of locked memory; of the machine's files nothing
# is left, and of its network neither: what listens to all addresses here is reached from here alone.
START = """
import ctypes, fcntl, os, resource, socket, struct, sys
sys.stdin.read()  # until what it needs in its network is there
with socket.socket() as control:
    fcntl.ioctl(control, 0x8914, struct.pack("16sH22x", b"lo", 1))  # SIOCSIFFLAGS, IFF_UP
resource.setrlimit(resource.RLIMIT_MEMLOCK, (8 << 20, 8 << 20))
prctl = ctypes.CDLL(None, use_errno=True).prctl
os.chroot(sys.argv[1])
os.chdir("/")
for capability in range(64):
    prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
user = int(sys.argv[2])
os.setgroups([])
os.setresgid(user, user, user)
os.setresuid(user, user, user)
assert prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
os.execv(sys.argv[3], sys.argv[3:])
"""


def make(folder, *more):
    result = subprocess.run([SOURCE_DIR / "tools/container-image", "--program", PROGRAM, "--output", folder, *more], capture_output=True,
                            text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.fixture(name="image", scope="module")
def image_fixture():
    folder = fresh_dir("container")
    folder.joinpath("digest").write_text(make(folder))
    return folder


@pytest.fixture(name="stand_in", scope="module")
def stand_in_fixture():
    """The image that takes the place of Web3Signer's."""
    folder = fresh_dir("container-web3signer")
    folder.joinpath("digest").write_text(make(folder, "--web3signer"))
    return folder


def blob(image, descriptor):
    """The bytes that a descriptor names, which have its digest."""
    data = (image / "oci/blobs/sha256" / descriptor["digest"].removeprefix("sha256:")).read_bytes()
    assert descriptor["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}" and descriptor["size"] == len(data)
    return data


def settings(image):
    """(config, layer) of the only image in the layout."""
    assert json.loads((image / "oci/oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (descriptor,) = json.loads((image / "oci/index.json").read_text())["manifests"]
    assert descriptor["digest"] == (image / "digest").read_text()
    manifest = json.loads(blob(image, descriptor))
    config = json.loads(blob(image, manifest["config"]))
    (layer,) = manifest["layers"]
    assert config["rootfs"]["diff_ids"] == [layer["digest"]]
    return config["config"], blob(image, layer)


def test_the_same_program_makes_the_same_image(image, workdir):
    assert make(workdir) == (image / "digest").read_text()
    assert (workdir / "root.tar").read_bytes() == (image / "root.tar").read_bytes()


def test_the_image_is_the_program_what_it_needs_and_nothing_else(image):
    config, layer = settings(image)
    assert config["User"] == f"{USER}:{USER}"
    assert layer == (image / "root.tar").read_bytes()
    with tarfile.open(image / "root.tar") as tar:
        members = {member.name: member for member in tar}
    files = [name for name, member in members.items() if member.isfile()]
    others = [name for name in files if not re.search(r"\.so(\.\d+)*$", name)]
    assert others == ["etc/group", "etc/hosts", "etc/nsswitch.conf", "etc/passwd", "etc/ssl/certs/ca-certificates.crt",
                      "usr/bin/containment-chamber"]
    assert all(member.uid == member.gid == (USER if name == DATA else 0) for name, member in members.items())
    assert all(member.isfile() or member.isdir() for member in members.values())
    assert [name for name in files if members[name].mode & 0o6022] == [], "no set-id bit, nothing that others may write"
    assert members[DATA].mode == 0o700


@pytest.mark.parametrize("name, recipe", [("image", "Containerfile"), ("stand_in", "Containerfile.web3signer")])
def test_the_recipe_says_what_the_image_says(name, recipe, request):
    config, _ = settings(request.getfixturevalue(name))
    text = (SOURCE_DIR / "deploy/container" / recipe).read_text()
    said = dict(re.findall(r"^([A-Z]+) (.+)$", text, flags=re.M))
    assert said["FROM"] == "scratch" and said["ADD"] == "root.tar /"
    assert said["USER"] == config["User"] and said["WORKDIR"] == config["WorkingDir"] and said["VOLUME"] in config["Volumes"]
    assert json.loads(said["ENTRYPOINT"]) == config["Entrypoint"] and json.loads(said["CMD"]) == config["Cmd"]
    assert re.findall(r"^ENV (.+)$", text, flags=re.M) == config.get("Env", [])
    assert {f"{port}/tcp" for port in said["EXPOSE"].split()} == set(config["ExposedPorts"])


def test_in_the_place_of_web3signers_image_only_the_command_differs(image, stand_in):
    (plain, layer), (config, same) = settings(image), settings(stand_in)
    assert layer == same
    assert config["Entrypoint"] == [*plain["Entrypoint"], "web3signer"] and config["Cmd"] == []
    assert {"WEB3SIGNER_HTTP_LISTEN_HOST=0.0.0.0", "WEB3SIGNER_METRICS_HOST=0.0.0.0"} < set(config["Env"])
    for name in ("User", "WorkingDir", "Volumes", "Labels"):
        assert config[name] == plain[name]


@pytest.mark.skipif(not shutil.which("umoci"), reason="left out: umoci is not installed (tools/install-deps package)")
@pytest.mark.parametrize("name", ["image", "stand_in"])
def test_umoci_unpacks_what_an_oci_runtime_starts(name, request, workdir):
    image = request.getfixturevalue(name)
    config, _ = settings(image)
    (tag,) = subprocess.run(["umoci", "ls", "--layout", image / "oci"], capture_output=True, text=True, check=True).stdout.split()
    subprocess.run(["umoci", "unpack", *([] if os.geteuid() == 0 else ["--rootless"]), "--image", f"{image}/oci:{tag}", workdir / "bundle"],
                   check=True, capture_output=True)
    process = json.loads((workdir / "bundle/config.json").read_text())["process"]
    assert process["args"] == [*config["Entrypoint"], *config["Cmd"]] and process["cwd"] == config["WorkingDir"]
    assert process["user"] == {"uid": USER, "gid": USER} and set(config.get("Env", [])) < set(process["env"])
    with tarfile.open(image / "root.tar") as tar:
        for member in tar:
            found = workdir / "bundle/rootfs" / member.name
            assert found.is_dir() if member.isdir() else found.read_bytes() == tar.extractfile(member).read()


@pytest.mark.skipif(not shutil.which("skopeo"), reason="left out: skopeo is not installed (tools/install-deps package)")
@pytest.mark.parametrize("name", ["image", "stand_in"])
def test_skopeo_reads_and_copies_the_layout(name, request, workdir):
    image = request.getfixturevalue(name)
    config, layer = settings(image)
    seen = json.loads(subprocess.run(["skopeo", "inspect", f"oci:{image}/oci"], capture_output=True, check=True).stdout)
    assert seen["Digest"] == (image / "digest").read_text() and seen["Labels"] == config["Labels"]
    assert seen["Layers"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"] and (seen.get("Env") or []) == config.get("Env", [])
    subprocess.run(["skopeo", "copy", "--insecure-policy", f"oci:{image}/oci", f"oci:{workdir}/copy:tag"], check=True, capture_output=True)
    seen = json.loads(subprocess.run(["skopeo", "inspect", f"oci:{workdir}/copy:tag"], capture_output=True, check=True).stdout)
    assert seen["Labels"] == config["Labels"]


def test_a_program_that_is_none_makes_no_image(workdir):
    (workdir / "text").write_text("no program")
    result = subprocess.run([SOURCE_DIR / "tools/container-image", "--program", workdir / "text", "--output", workdir], capture_output=True,
                            text=True, check=False)
    assert result.returncode == 1 and "is no ELF file" in result.stderr and not (workdir / "oci").exists()


@contextlib.contextmanager
def network_of(pid):
    """What this thread connects, and whom it starts, is in the network of that process meanwhile."""
    def enter(descriptor):
        assert ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())

    with open("/proc/thread-self/ns/net", "rb") as own, open(f"/proc/{pid}/ns/net", "rb") as other:
        enter(other.fileno())
        try:
            yield
        finally:
            enter(own.fileno())


class Container(Daemon):
    """The image's command in a root and a network of its own, as an engine starts it. The rest is a Daemon's."""

    def __init__(self, path, image, config=None):
        self.image, layer = settings(image)
        self.argv, self.uid, self.mounts, self.root = self.image["Cmd"], USER, "", path / "root"
        self.root.mkdir(parents=True)
        (path / "layer.tar").write_bytes(layer)
        subprocess.run(["tar", "-xpf", path / "layer.tar", "-C", self.root], check=True)
        super().__init__(path, config=config)

    def mount(self, source, place, how="ro"):
        """A directory or a file of this machine in the container."""
        target = self.root / place.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_file():
            target.touch()
        else:
            target.mkdir(exist_ok=True)
        self.mounts += f"{source} {place} {how}\n"

    def inside(self, *command):
        """The command line that has the image run a command, once its input has ended."""
        return ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", RUN, "sh", self.root, self.mounts,
                *self.image.get("Env", []), "/usr/bin/python3", "-c", START, self.root, str(self.uid), *self.image["Entrypoint"], *command]

    def hold(self):
        """Makes root and network; nothing of the image runs yet."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.inside(*self.argv), stdin=subprocess.PIPE, stdout=log, stderr=log)
        machine, network = os.readlink("/proc/self/ns/net"), f"/proc/{self.process.pid}/ns/net"
        wait_for("its network", lambda: self.alive() and os.readlink(network) != machine)

    def spawn(self, *more):
        assert not more
        self.hold()
        return self.go()

    def go(self):
        """Starts what hold() has prepared."""
        self.process.stdin.close()
        return self

    def first(self):
        """(pid, argv) of the container's first process."""
        (found,) = children_of(self.process.pid)
        return found

    def get(self, path, headers=None):
        with network_of(self.process.pid):
            return super().get(path, headers)

    def post(self, path, body, headers=None):
        with network_of(self.process.pid):
            return super().post(path, body, headers)


def import_through_a_pipe(first):
    """As `kubectl exec -i` does: what comes by standard input is kept where the command stands, which is the data's place in the chart."""
    history = json.dumps(interchange(validator(interop.PUBKEYS[1], [1], [(0, 1)]))).encode()
    for folder, code in ((f"/{DATA}", 0), ("/", 1)):
        run = ["nsenter", "--target", str(first), "--mount", "--pid", "--root", f"--wd=/proc/{first}/root{folder}", f"--setuid={USER}", f"--setgid={USER}",
               "/usr/bin/containment-chamber", "slashing", "import", "--from", "-", "--signer-url", f"unix:/{DATA}/admin.sock"]  # fmt: skip
        done = subprocess.run(run, input=history, capture_output=True, check=False, timeout=60)
        assert done.returncode == code and (b"1 validators: 1 blocks and 1 attestations added" in done.stdout) == (code == 0), (folder, done)


@needs_root
def test_the_image_signs_as_another_user_in_a_root_that_it_cant_write(image, workdir):
    container = Container(workdir, image, {"data_dir": f"/{DATA}", "server": {"admin_socket": "admin.sock"},
                                           "key_sources": {"filesystem": {"paths": ["/etc/containment-chamber/keys"]}}})
    etc = workdir / "etc"
    (etc / "keys").mkdir(parents=True)
    container.data_dir.mkdir(mode=0o700)
    container.config_path.rename(etc / "config.yaml")
    key = container.add_raw_key(interop.SECRETS[0], "key").rename(etc / "keys/key.yaml")
    for owned in (container.data_dir, key):
        os.chown(owned, USER, USER)
    container.mount(etc, "/etc/containment-chamber")
    container.mount(container.data_dir, f"/{DATA}", "rw")

    def run(*command, check=True):
        return subprocess.run(container.inside(*command), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=check)

    started = run(*container.argv, check=False)
    assert started.returncode == 3, "the image's command makes no history by itself: " + started.stderr
    run("init", *container.argv[1:])
    try:
        container.start()
        assert container.sign(KEY, messages.attestation(3, 4))[0] == 200
        assert container.sign(KEY, messages.attestation(3, 4, seed=1))[0] == 412
        first, argv = container.first()
        assert argv == [*container.image["Entrypoint"], *container.argv]
        status = dict(re.findall(r"^(\w+):\t(.*)$", pathlib.Path(f"/proc/{first}/status").read_text(), flags=re.M))
        assert status["Uid"].split() == [str(USER)] * 4 and status["NoNewPrivs"] == "1"
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        assert re.search(r" / ro,", pathlib.Path(f"/proc/{first}/mountinfo").read_text())
        import_through_a_pipe(first)
        os.kill(first, signal.SIGTERM)
        assert container.process.wait(60) == 0, "a container is stopped by SIGTERM to its first process"
    finally:
        container.end()


class StandIn(Container):
    """In the place of Web3Signer's image: `command` follows the entrypoint, and the ports are that one's."""

    def __init__(self, path, image, *command):
        super().__init__(path, image)
        self.argv = command

    def _read_ports(self):
        self.http_port, self.metrics_port = 9000, 9001
        return True

    def connect(self, timeout=30):
        """By another address than the first of loopback, as from another container."""
        return Connection("127.0.0.2", self.http_port, timeout)

    def metrics(self):
        with network_of(self.process.pid):
            connection = Connection("127.0.0.2", self.metrics_port)
            status, _, body = connection.request("GET", "/metrics")
            connection.close()
        assert status == 200
        return body.decode()


# The argument list of ethereum-package (src/remote_signer/remote_signer_launcher.star) for its first node.
ETHEREUM_PACKAGE = (
    "--http-listen-port=9000", "--http-host-allowlist=*", "--metrics-enabled=true", "--metrics-host-allowlist=*", "--metrics-host=0.0.0.0",
    "--metrics-port=9001", "eth2", "--network=/network-configs/config.yaml", "--keystores-path=/keystores/node-0-keystores/teku-keys",
    "--keystores-passwords-path=/keystores/node-0-keystores/teku-secrets", "--slashing-protection-enabled=false")
# Kinds of values that a devnet's file has.
DEVNET = """\
PRESET_BASE: '{preset}'
CONFIG_NAME: 'testnet' # its name
TERMINAL_TOTAL_DIFFICULTY: 0
TERMINAL_BLOCK_HASH: 0x0000000000000000000000000000000000000000000000000000000000000000
MIN_GENESIS_TIME: 1700000000
GENESIS_FORK_VERSION: 0x00000001
GENESIS_DELAY: 20
ALTAIR_FORK_VERSION: 0x01000001
ALTAIR_FORK_EPOCH: 18446744073709551615
SLOT_DURATION_MS: 12000
ATTESTATION_DUE_BPS: 3333
DEPOSIT_CONTRACT_ADDRESS: 0x00000000219ab540356cBB839Cbe05303d7705Fa
BLOB_SCHEDULE:
  - EPOCH: 512
    MAX_BLOBS_PER_BLOCK: 12
"""


@needs_root
@pytest.mark.parametrize("preset, slots, data", [("mainnet", 32, "volume"), ("minimal", 8, "tmpfs")])
def test_as_ethereum_package_starts_web3signer(preset, slots, data, stand_in, workdir):
    """Keys and network are root's, open to all and not to be written; the data is a volume that was made of the image's directory, or
    anybody's memory, which is enough for a history of the minimal preset."""
    network, keys, secrets = workdir / "network", workdir / "files/node-0-keystores/teku-keys", workdir / "files/node-0-keystores/teku-secrets"
    for folder in (network, keys, secrets):
        folder.mkdir(parents=True)
    (network / "config.yaml").write_text(DEVNET.format(preset=preset))
    (network / "genesis.ssz").write_bytes(struct.pack("<Q", 1700000020) + bytes.fromhex(messages.MINIMAL_GENESIS_ROOT[2:]) + bytes(4096))
    keystores.write(keys, KEY, bytes.fromhex(interop.SECRETS[0][2:]), KEY, "password")
    (keys / f"{KEY}.txt").rename(secrets / f"{KEY}.txt").chmod(0o644)
    for path in (keys, keys / f"{KEY}.json"):
        path.chmod(0o777)
    container = StandIn(workdir, stand_in, *ETHEREUM_PACKAGE)
    container.data_dir.mkdir(mode=0o700)
    os.chown(container.data_dir, USER, USER)
    container.mount(network, "/network-configs")
    container.mount(workdir / "files", "/keystores")
    container.mount(container.data_dir, f"/{DATA}", "rw" if data == "volume" else data)
    try:
        container.start()
        assert json.loads(container.get("/api/v1/eth2/publicKeys")[2]) == [KEY]
        assert container.sign(KEY, messages.attestation(1, 2, slot=2 * slots))[0] == 200
        assert container.sign(KEY, messages.attestation(1, 2, slot=2 * slots, seed=1))[0] == 412
        assert "containment_" in container.metrics()
        assert (container.data_dir / "chamber/history.sqlite").exists() == (data == "volume")
    finally:
        container.end()


# The argument list of eth-docker (web3signer.yml, and what its entrypoint adds) for hoodi.
ETH_DOCKER = (
    "--key-store-path=/var/lib/web3signer/keys", "--metrics-enabled", "--metrics-host-allowlist=*", "--http-host-allowlist=*",
    "--logging=info", "eth2", "--enable-key-manager-api=true",
    "--slashing-protection-db-url=jdbc:postgresql://hoodi-postgres/web3signer", "--slashing-protection-db-username=postgres",
    "--slashing-protection-db-password=postgres", "--slashing-protection-pruning-enabled=true", "--network=hoodi")
HOODI = {"fork": {"previous_version": "0x50000910", "current_version": "0x50000910", "epoch": "0"},
         "genesis_validators_root": "0x212f13fc4df078b6cb7db228f1c8307566dcecf900867401a92023d7ba99cb5f"}


@needs_root
@pytest.mark.skipif(postgres.bin_dir() is None, reason="left out: PostgreSQL is not installed")
def test_as_eth_docker_starts_web3signer(stand_in, workdir):
    """As docs/migrate.md has it: eth-docker's options and its volume of keys, with that one's user, on its database; the chamber lies in
    the volume."""
    user, volume = 10000, workdir / "volume"
    keys = volume / "keys"
    keystores.write(keys, KEY, bytes.fromhex(interop.SECRETS[0][2:]), KEY, "password")
    (keys / f"{KEY}.txt").rename(keys / f"{KEY}.password")
    (keys / f"{KEY}.yaml").write_text(f'---\ntype: "file-keystore"\nkeystoreFile: "/var/lib/web3signer/keys/{KEY}.json"\n'
                                      f'keystorePasswordFile: "/var/lib/web3signer/keys/{KEY}.password"\nkeyType: "BLS"\n')
    for path in (volume, *volume.rglob("*")):
        os.chown(path, user, user)
        path.chmod(0o700 if path.is_dir() else 0o644)
    (workdir / "hosts").write_text("127.0.0.1 localhost\n127.0.0.1 hoodi-postgres\n")
    container = StandIn(workdir, stand_in, "--data-path=/var/lib/web3signer/chamber", *ETH_DOCKER)
    container.uid = user
    container.mount(volume, "/var/lib/web3signer", "rw")
    container.mount(workdir / "hosts", "/etc/hosts")
    server = postgres.Postgres({"listen_addresses": "127.0.0.1"})
    server.ask_for_passwords()
    try:
        container.hold()
        with network_of(container.process.pid):
            server.start()
        server.sql("CREATE ROLE postgres SUPERUSER LOGIN PASSWORD 'postgres'")
        server.sql("CREATE DATABASE web3signer")
        container.go().wait_started()
        assert container.sign(KEY, {**messages.selection(0), "fork_info": HOODI})[0] == 200
        assert container.get("/eth/v1/keystores", {"Authorization": "Bearer NIL"})[0] == 401, "as eth-docker's scripts ask"
        assert "containment_" in container.metrics()
        assert (volume / "chamber/chamber.key").stat().st_uid == user
    finally:
        container.end()
        server.close()
