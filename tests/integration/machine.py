"""class Machine: this machine's own system, started once more by a real systemd in namespaces of its own. What is written there
lies in memory and is gone with it; nothing of it is seen outside.

    with Machine(workdir) as machine:
        machine.run("dpkg", "-i", "x.deb"); machine.run("systemctl", "start", "y")

It shares the network: servers are reached at loopback. It needs root, overlayfs and systemd (missing() says what is not there).
"""
import os
import pathlib
import shutil
import subprocess
import tempfile

from daemon import children_of, wait_for

SYSTEMD = "/lib/systemd/systemd"

# The file system is an overlay of / whose upper layer is in memory. No unit of the machine is started, only what is asked for.
# Of /dev there is what a container has. A control group of its own makes it systemd's to divide.
SETUP = r"""
set -eu
mount -t tmpfs -o size=512m none "$1"
mkdir "$1/upper" "$1/work" "$1/root" "$1/groups"
mount -t cgroup2 cgroup2 "$1/groups"
group=$1/groups$(sed -n 's/^0:://p' /proc/self/cgroup)/$2
mkdir -p "$group"
echo $$ >"$group/cgroup.procs"
exec unshare --mount --pid --fork --kill-child --cgroup --ipc --uts sh -euc '
root=$1/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$root"
mount -t tmpfs none "$root/dev"
for device in null zero full random urandom tty ptmx; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
ln -s /proc/self/fd "$root/dev/fd"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs none "$root/run"
mount -t tmpfs none "$root/tmp"
rm -rf "$root"/etc/systemd/system/*.wants "$root"/lib/systemd/system/*.target.wants "$root"/lib/systemd/system-generators/* \
    "$root/etc/fstab" "$root/usr/sbin/policy-rc.d" "$root/var/lib/man-db/auto-update" # whose trigger would read all pages
printf "[Unit]\nWants=systemd-journald.service\n" >"$root/etc/systemd/system/machine.target"
cd "$root"
pivot_root . . # systemd moves roots itself, which a mere chroot has not
umount -l .
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=machine /lib/systemd/systemd --unit=machine.target
' sh "$1"
"""
TRIAL = r"""
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root" "$1/groups"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mount -t cgroup2 cgroup2 "$1/groups"
test -w "$1/groups"
"""
REMOVE_GROUP = r"""
mount -t cgroup2 cgroup2 "$1"
group=$1$(sed -n 's/^0:://p' /proc/self/cgroup)/$2
[ ! -d "$group" ] || find "$group" -depth -type d -exec rmdir {} +
"""


def missing():
    """Why there can't be one here; None where there can."""
    if os.geteuid() != 0:
        return "not root"
    for program in (SYSTEMD, "unshare", "nsenter"):
        if shutil.which(program) is None:
            return f"no {program}"
    with tempfile.TemporaryDirectory() as folder:
        tried = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--cgroup", "sh", "-ec", TRIAL, "sh", folder], capture_output=True,
                               text=True, check=False)
    return None if tried.returncode == 0 else f"no overlay of / or no control group: {tried.stderr.strip()}"


class Machine:
    """See the module's text."""

    def __init__(self, path):
        self.path = pathlib.Path(path) / "machine"
        self.group = f"machine-{os.getpid()}"
        self.process = self.pid = None

    def __enter__(self):
        self.path.mkdir(parents=True, exist_ok=True)
        with open(self.path.parent / "machine.log", "wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "--mount", "sh", "-c", SETUP, "sh", self.path, self.group], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.pid = wait_for("systemd", self._find, 60)
            wait_for("its target", lambda: self._alive() and self.run("systemctl", "is-active", "machine.target",
                                                                       check=False).stdout == "active\n", 60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _alive(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the machine ended: {(self.path.parent / 'machine.log').read_text()[-2000:]}")
        return True

    def _find(self):
        """The outer id of its first process, once that is systemd."""
        for pid, argv in children_of(self.process.pid) if self._alive() else ():
            if argv and argv[0] == SYSTEMD:
                return pid
        return None

    def __exit__(self, *_):
        self.process.kill()  # its child goes with it (--kill-child), and with that all that runs there
        self.process.wait()
        if self.pid:
            wait_for("its end", lambda: not pathlib.Path(f"/proc/{self.pid}").exists(), 30)
        subprocess.run(["unshare", "--mount", "sh", "-c", REMOVE_GROUP, "sh", self.path, self.group], check=True)

    def run(self, *command, check=True, stdin=""):
        """Runs a command there, as root."""
        result = subprocess.run(
            ["nsenter", "-t", str(self.pid), "-m", "-p", "-i", "-u", "-C", "-r", "-w", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
             "DEBIAN_FRONTEND=noninteractive", *map(str, command)],
            input=stdin, capture_output=True, text=True, check=False, timeout=120)
        if check and result.returncode != 0:
            raise AssertionError(f"{command}: exit {result.returncode}\n{result.stdout}{result.stderr}")
        return result

    def write(self, path, text, mode="0644", owner="root:root"):
        """A file there."""
        self.run("sh", "-c", f"umask 077; cat >{path}; chown {owner} {path}; chmod {mode} {path}", stdin=text)

    def read(self, path):
        """The text of a file there."""
        return self.run("cat", path).stdout
