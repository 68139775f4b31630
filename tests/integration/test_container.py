"""The container image: made twice with the same bytes, of what it should be, and run from its own layer as containers are: another
user than root, nothing writable but the data, no capability."""
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import tarfile

import pytest

import interop
import messages
from daemon import SOURCE_DIR, Daemon, binary_with_switches, children_of, fresh_dir, release_binary

USER = 65532
DATA = "var/lib/containment-chamber"
PROGRAM = release_binary() or binary_with_switches()

# What a container engine does: a file system that can't be written, a /proc and a /dev of its own, then START.
# $1 the root, $2 what lies in /etc/containment-chamber, $3 the data.
RUN = r"""
set -eu
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t tmpfs none "$1/dev"
for device in null zero random urandom; do
    : >"$1/dev/$device"
    mount --bind "/dev/$device" "$1/dev/$device"
done
mount --bind "$2" "$1/etc/containment-chamber"
mount -o remount,bind,ro "$1/etc/containment-chamber"
mount --bind "$3" "$1/var/lib/containment-chamber"
mount -o remount,bind,ro,nosuid,nodev "$1"
python=$4 start=$5 root=$1
shift 5
exec env -i "$python" -c "$start" "$root" "$@"
"""
# The user, no capability, no new privileges, and Docker's limit of locked memory; of the machine's files nothing is left.
START = f"""
import ctypes, os, resource, sys
resource.setrlimit(resource.RLIMIT_MEMLOCK, (8 << 20, 8 << 20))
prctl = ctypes.CDLL(None, use_errno=True).prctl
os.chroot(sys.argv[1])
os.chdir("/")
for capability in range(64):
    prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
os.setgroups([])
os.setresgid({USER}, {USER}, {USER})
os.setresuid({USER}, {USER}, {USER})
assert prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
os.execv(sys.argv[2], sys.argv[2:])
"""


def make(folder):
    result = subprocess.run([SOURCE_DIR / "tools/container-image", "--program", PROGRAM, "--output", folder], capture_output=True,
                            text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.fixture(name="image", scope="module")
def image_fixture():
    folder = fresh_dir("container")
    folder.joinpath("digest").write_text(make(folder))
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


def test_the_recipe_says_what_the_image_says(image):
    config, _ = settings(image)
    text = (SOURCE_DIR / "deploy/container/Containerfile").read_text()
    said = dict(re.findall(r"^([A-Z]+) (.+)$", text, flags=re.M))
    assert said["FROM"] == "scratch" and said["ADD"] == "root.tar /"
    assert said["USER"] == config["User"] and said["WORKDIR"] == config["WorkingDir"] and said["VOLUME"] in config["Volumes"]
    assert json.loads(said["ENTRYPOINT"]) == config["Entrypoint"] and json.loads(said["CMD"]) == config["Cmd"]
    assert {f"{port}/tcp" for port in said["EXPOSE"].split()} == set(config["ExposedPorts"])


def test_a_program_that_is_none_makes_no_image(workdir):
    (workdir / "text").write_text("no program")
    result = subprocess.run([SOURCE_DIR / "tools/container-image", "--program", workdir / "text", "--output", workdir], capture_output=True,
                            text=True, check=False)
    assert result.returncode == 1 and "is no ELF file" in result.stderr and not (workdir / "oci").exists()


class Container(Daemon):
    """The image's command in its own root, with data and configuration mounted. The rest is a Daemon's."""

    def __init__(self, path, image):
        config, layer = settings(image)
        self.entrypoint, self.argv = config["Entrypoint"], config["Cmd"]
        self.root, self.etc = path / "root", path / "etc"
        for folder in (self.root, self.etc / "keys"):
            folder.mkdir(parents=True)
        (path / "layer.tar").write_bytes(layer)
        subprocess.run(["tar", "-xpf", path / "layer.tar", "-C", self.root], check=True)
        super().__init__(path, config={"data_dir": f"/{DATA}", "server": {"admin_socket": "admin.sock"},
                                       "key_sources": {"filesystem": {"paths": ["/etc/containment-chamber/keys"]}}})
        self.data_dir.mkdir(mode=0o700)
        self.config_path.rename(self.etc / "config.yaml")
        key = self.add_raw_key(interop.SECRETS[0], "key").rename(self.etc / "keys/key.yaml")
        for owned in (self.data_dir, key):
            os.chown(owned, USER, USER)

    def inside(self, *command):
        """The command line that has the image run a command."""
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", RUN, "sh", self.root, self.etc, self.data_dir,
                "/usr/bin/python3", START, *self.entrypoint, *command]

    def spawn(self, *more):
        """The image's own command."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([*self.inside(*self.argv), *more], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self


@pytest.mark.skipif(os.geteuid() != 0, reason="left out: not root")
def test_the_image_signs_as_another_user_in_a_root_that_it_cant_write(image, workdir):
    container = Container(workdir, image)
    started = subprocess.run(container.inside(*container.argv), capture_output=True, text=True, check=False)
    assert started.returncode == 3, "the image's command makes no history by itself: " + started.stderr
    subprocess.run(container.inside("init", *container.argv[1:]), check=True, capture_output=True)
    try:
        container.start()
        assert container.sign(interop.PUBKEYS[0], messages.attestation(3, 4))[0] == 200
        assert container.sign(interop.PUBKEYS[0], messages.attestation(3, 4, seed=1))[0] == 412
        (first, argv), = children_of(container.process.pid)
        assert argv == [*container.entrypoint, *container.argv]
        status = dict(re.findall(r"^(\w+):\t(.*)$", pathlib.Path(f"/proc/{first}/status").read_text(), flags=re.M))
        assert status["Uid"].split() == [str(USER)] * 4 and status["NoNewPrivs"] == "1"
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        assert re.search(r" / ro,", pathlib.Path(f"/proc/{first}/mountinfo").read_text())
        os.kill(first, signal.SIGTERM)
        assert container.process.wait(60) == 0, "a container is stopped by SIGTERM to its first process"
    finally:
        container.end()
