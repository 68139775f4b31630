"""The Debian package, built, looked at, and installed on a machine of its own under a real systemd: there it starts as hardened as
its unit says, signs, is upgraded, removed and purged. The program in it is the release binary that there is, where CC_FULL is not set."""
import os
import re
import shutil
import subprocess
import sys

import pytest

import interop
import keystores
import messages
from daemon import SOURCE_DIR, Connection, binary_with_switches, fresh_dir, release_binary, wait_for
from forms import FULL
from machine import Machine, missing

sys.path.insert(0, str(SOURCE_DIR / "tools"))

from docs_pages import links  # noqa: E402  pylint: disable=wrong-import-position

UNIT = "containment-chamber.service"
DATA = "/var/lib/containment-chamber"
CONFIG = "/etc/containment-chamber/config.yaml"
KEYSTORES = "/etc/containment-chamber/keystores"
EPOCHS = (3, 4)


def text_of(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=True, **options).stdout


@pytest.fixture(name="folder", scope="module")
def folder_fixture():
    return fresh_dir("package")


@pytest.fixture(name="package", scope="module")
def package_fixture(folder):
    """The .deb. What can't be had at test time (debhelper, scdoc) is `tools/install-deps test`."""
    for tool in ("dpkg-buildpackage", "dh", "scdoc"):
        if shutil.which(tool) is None:
            pytest.skip(f"left out: no {tool}")
    prebuilt = []
    if not FULL:
        text_of("strip", "-o", folder / "program", release_binary() or binary_with_switches())  # or dh does it, in seconds
        prebuilt = ["--prebuilt", folder / "program"]
    environment = {**os.environ, "DEB_BUILD_OPTIONS": "parallel=2" if FULL else "noautodbgsym"}
    with open(folder / "build.log", "wb") as log:
        done = subprocess.run([SOURCE_DIR / "tools/package", "--output", folder, *prebuilt], stdout=log, stderr=log, check=False,
                              env=environment)
    assert done.returncode == 0, (folder / "build.log").read_text(errors="replace")[-3000:]
    assert not FULL or "warning: \"_FORTIFY_SOURCE\" redefined" not in (folder / "build.log").read_text(errors="replace")
    return next(folder.glob("containment-chamber_*.deb"))


@pytest.fixture(name="next_package", scope="module")
def next_package_fixture(folder, package):
    """The same with the next version's number."""
    tree = folder / "next"
    text_of("dpkg-deb", "-R", package, tree)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^(Version: .*)$", r"\1+next", control.read_text(), flags=re.M))
    text_of("dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "-b", tree, folder / "next.deb")
    return folder / "next.deb"


def field(package, name):
    return text_of("dpkg-deb", "-f", package, name).strip()


def test_the_package_holds_what_belongs_to_it_and_nothing_else(package):
    paths = [re.split(r"\s+", line, maxsplit=5)[5][1:] for line in text_of("dpkg-deb", "-c", package).splitlines()]
    files = {path for path in paths if not path.endswith("/")}
    assert {"/usr/bin/containment-chamber", CONFIG, f"/lib/systemd/system/{UNIT}", "/lib/systemd/system/containment-chamber.socket", "/usr/lib/sysusers.d/containment-chamber.conf",
            "/usr/lib/tmpfiles.d/containment-chamber.conf", "/usr/share/man/man1/containment-chamber.1.gz",
            "/usr/share/bash-completion/completions/containment-chamber", "/usr/share/zsh/vendor-completions/_containment-chamber",
            "/usr/share/lintian/overrides/containment-chamber"} == {path for path in files if not path.startswith("/usr/share/doc/containment-chamber/")}
    version = text_of(binary_with_switches(), "--version").split()[1]
    assert field(package, "Version") == version, "deploy/debian/changelog and CMakeLists.txt say the same"


def test_its_pages_lead_to_one_another(package, workdir):
    """As they do in a clone; what leads into the source has nothing to lead to. No page is compressed."""
    text_of("dpkg-deb", "-x", package, workdir)
    folder = workdir / "usr/share/doc/containment-chamber"
    pages = sorted(folder.rglob("*.md"))
    assert {"README.md", "docs/README.md", "docs/quick-start.md", "examples/iam/README.md"} <= {page.relative_to(folder).as_posix() for page in pages}
    dead = {f"{page.relative_to(folder)}: {target}" for page in pages for target, _ in links(page.read_text())
            if target and not (page.parent / target).exists() and not re.match(r"(\.\./)*(src|tests|third_party|tools)/", target)}  # fmt: skip
    assert not dead, sorted(dead)


def test_the_programs_configuration_takes_the_packages_file():
    path = SOURCE_DIR / "deploy/systemd/config.yaml"
    result = subprocess.run([binary_with_switches(), "config", "dump", "-c", path], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert f'data_dir: "{DATA}"' in result.stdout and KEYSTORES in result.stdout


def test_lintian_has_nothing_to_say(folder, package):
    if shutil.which("lintian") is None:
        pytest.skip("left out: no lintian (tools/install-deps package)")
    changes = next(folder.glob("*.changes"))
    assert package.exists()
    result = subprocess.run(["lintian", "--allow-root", "--display-info", "--fail-on", "error,warning,info", changes], capture_output=True,
                            text=True, check=False)
    assert (result.returncode, result.stdout) == (0, ""), result.stdout + result.stderr


# --- installed ----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(name="machine", scope="module")
def machine_fixture(folder, package):
    assert package.exists()
    reason = missing()
    if reason:
        pytest.skip(f"left out: {reason}")
    with Machine(folder) as machine:
        yield machine


def show(machine, name):
    return machine.run("systemctl", "show", "-P", name, UNIT).stdout.strip()


def wait_ready(machine, besides=None):
    """Waits until a signature would succeed; the connection and the id of the main process, another one than `besides`."""

    def ready():
        state, pid = show(machine, "ActiveState"), int(show(machine, "MainPID"))
        if state == "failed":
            raise AssertionError(machine.run("journalctl", "--no-pager", "-u", UNIT, check=False).stdout[-3000:])
        ports = machine.run("cat", f"{DATA}/ports", check=False).stdout
        port = re.search(r"^http-port=(\d+)$", ports, flags=re.M)
        if state != "active" or pid in (0, besides) or not port:
            return None
        connection = Connection("127.0.0.1", int(port[1]))
        try:
            return (connection, pid) if connection.request("GET", "/readyz")[0] == 200 else None
        except OSError:
            return None

    return wait_for("the service", ready, 60)


def sign(connection, source, target, seed=0):
    body = messages.attestation(source, target, seed)
    return connection.request("POST", f"/api/v1/eth2/sign/{interop.PUBKEYS[0]}", body)[0]


def status_of(machine, pid):
    return dict(re.findall(r"^(\w+):\t(.*)$", machine.read(f"/proc/{pid}/status"), flags=re.M))


def configure(machine, workdir):
    """What an administrator does: a key, the configuration, and a history."""
    keystores.write(workdir, "key", bytes.fromhex(interop.SECRETS[0][2:]), interop.PUBKEYS[0], "a test password")
    for name in ("key.json", "key.txt"):
        machine.write(f"{KEYSTORES}/{name}", (workdir / name).read_text(), "0600", "containment-chamber:containment-chamber")
    config = machine.read(CONFIG)
    for old, new in (("network: mainnet", f"network: minimal\ngenesis_validators_root: \"{messages.MINIMAL_GENESIS_ROOT}\""),
                     ("listen_port: 9000", "listen_port: 0\n  drain_seconds: 1"), ("listen_port: 3000", "listen_port: 0")):
        assert old in config
        config = config.replace(old, new)
    machine.write(CONFIG, config + "anti_slashing:\n  new_key_policy: allow\n")
    machine.run("runuser", "-u", "containment-chamber", "--", "containment-chamber", "init", "-c", CONFIG)
    return config


def look_at_hardening(machine, pid):
    """As the unit says, of the process that systemd has started and of its rooms."""
    user = machine.run("id", "-u", "containment-chamber").stdout.strip()
    rooms = machine.run("pgrep", "-P", pid).stdout.split()
    assert len(rooms) >= 3
    for one in [pid, *rooms]:
        status = status_of(machine, one)
        assert status["Uid"].split() == [user] * 4
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
        assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}, status
    assert int(status_of(machine, pid)["CapBnd"], 16) == 0
    networks = {machine.run("readlink", f"/proc/{one}/ns/net").stdout for one in rooms}
    assert len(networks) >= 2, "a room has left the network, which takes a user namespace in the unit's own"
    assert machine.read(f"/proc/{pid}/uid_map").split() != machine.read("/proc/1/uid_map").split(), "PrivateUsers="
    mounts = machine.read(f"/proc/{pid}/mountinfo")
    assert re.search(r" / / ro,", mounts), "ProtectSystem=strict"
    assert re.search(rf" {DATA} rw,", mounts)


def test_the_package_installs_starts_hardened_signs_upgrades_and_purges(machine, package, next_package, workdir):
    assert machine.run("id", "containment-chamber", check=False).returncode != 0, "the control: nothing is there before"
    machine.run("dpkg", "-i", package)
    modes = machine.run("stat", "-c", "%n %a %U:%G", DATA, KEYSTORES, "/usr/bin/containment-chamber").stdout.splitlines()
    assert modes == [f"{DATA} 700 containment-chamber:containment-chamber", f"{KEYSTORES} 700 containment-chamber:containment-chamber",
                     "/usr/bin/containment-chamber 755 root:root"]
    assert machine.run("getent", "passwd", "containment-chamber").stdout.split(":")[5:] == [DATA, "/usr/sbin/nologin\n"]
    assert show(machine, "ActiveState") == "inactive" and show(machine, "UnitFileState") == "disabled"

    config = configure(machine, workdir)
    machine.run("systemctl", "start", UNIT)
    connection, pid = wait_ready(machine)
    look_at_hardening(machine, pid)
    assert sign(connection, *EPOCHS) == 200
    assert sign(connection, *EPOCHS, seed=1) == 412

    machine.run("dpkg", "-i", next_package)
    assert machine.run("dpkg-query", "-W", "-f", "${Version}", "containment-chamber").stdout.endswith("+next")
    connection, later = wait_ready(machine, besides=pid)
    assert later != pid and machine.read(CONFIG).startswith(config)
    assert sign(connection, *EPOCHS, seed=1) == 412, "the history is the same"
    assert sign(connection, *EPOCHS) == 200

    machine.run("dpkg", "-r", "containment-chamber")
    assert machine.run("pgrep", "-x", "containment-cha", check=False).stdout == "", "removed while it ran: it is stopped"
    assert machine.read(CONFIG).startswith(config)
    said = machine.run("dpkg", "--purge", "containment-chamber").stderr
    left = machine.run("find", "/etc/containment-chamber", DATA, "-type", "f").stdout
    assert CONFIG not in left and f"{KEYSTORES}/key.json" in left and f"{DATA}/history.sqlite" in left
    assert f"{DATA} is not empty, and stays" in said and f"{KEYSTORES} is not empty, and stays" in said
    assert machine.run("systemctl", "cat", UNIT, check=False).returncode != 0


def test_what_was_never_used_goes_whole(machine, package):
    machine.run("rm", "-rf", "/etc/containment-chamber", DATA)
    machine.run("dpkg", "-i", package)
    machine.run("dpkg", "--purge", "containment-chamber")
    left = machine.run("find", "/etc/containment-chamber", DATA, "/lib/systemd/system", "/usr/share/doc/containment-chamber", "-path",
                       "*containment-chamber*", check=False).stdout
    assert left == ""
