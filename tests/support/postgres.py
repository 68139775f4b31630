#!/usr/bin/env python3
"""A real PostgreSQL 15 for tests: a cluster of its own on a Unix socket, stopped and removed at the end.

    with Postgres() as server:           # from pytest
        server.sql("SELECT 1")
        server.kill(); server.start()    # as a power cut, and back

As a program (for C tests) it prints the server's URL, then obeys one word a line on standard input - kill, stop, start,
promote - with the answer "ok", and ends with its input: so the server never outlives the test that started it.

Debian's package postgresql-15; as root the server runs as the user postgres, or nobody. What is durable stays so: no
option here switches fsync off, since the signer would refuse such a server.
"""
import ctypes
import glob
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

NAME = "signer"
MEMORY = pathlib.Path("/dev/shm")
MEMORY_NEEDED = 4 << 30  # bytes: a few clusters at once, each with its log
PORT = 5432  # of the socket's name only: nothing listens on TCP unless a test asks for it


def bin_dir():
    """Where initdb and postgres lie; None when PostgreSQL is not installed."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    return pathlib.Path(found[-1]).parent if found else None


def account():
    """Whom the server runs as: (uid, gid), or None for ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
        except KeyError:
            continue
    raise RuntimeError("no unprivileged user to run PostgreSQL as")


def base_dir(disk):
    """Where clusters are: in memory, where each commit is as quick as the processor; what is about a disk, or measures, has it below the
    build directory, or in /var/lib where that is closed to the server's user. A process that is killed finds again what it has written
    in either."""
    if not disk and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED:
        return MEMORY
    build = pathlib.Path(os.environ.get("CC_BUILD_DIR") or tempfile.gettempdir()).resolve()
    closed = [p for p in (build, *build.parents) if not p.stat().st_mode & 0o001]
    base = pathlib.Path("/var/lib/containment-chamber-tests") if closed and account() else build / "postgres"
    base.mkdir(parents=True, exist_ok=True)
    return base


class Postgres:
    """One cluster. `options` are lines of postgresql.conf; `copy_of` makes a streaming replica of another one; `disk` is where it lies."""

    def __init__(self, options=None, copy_of=None, *, disk=False):
        self.bin = bin_dir()
        self.account = account()
        self.process = None
        self.port = PORT
        # A socket's path has 107 bytes at most, so it doesn't lie beside the data.
        self.socket = pathlib.Path(tempfile.mkdtemp(prefix="cc-pg-", dir="/tmp"))
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="cc-cluster-", dir=base_dir(disk)))
        for path in (self.socket, self.path):
            if self.account:
                os.chown(path, *self.account)
            path.chmod(0o755 if path == self.socket else 0o700)
        self.data = self.path / "data"
        if copy_of:
            self._run("pg_basebackup", "-D", self.data, "-d", copy_of.url(), "-R", "-X", "stream", "-c", "fast")
        else:
            self._run("initdb", "-D", self.data, "-U", NAME, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self.configure({
            "listen_addresses": "", "port": self.port, "unix_socket_directories": self.socket, "shared_buffers": "32MB",
            "max_connections": 60, "max_wal_size": "256MB", "log_min_messages": "warning", **(options or {}),
        })

    def _as_account(self):
        """Runs in the child: drops root, and ends with us."""
        if self.account:
            os.setgroups([])
            os.setgid(self.account[1])
            os.setuid(self.account[0])
        os.umask(0o077)
        os.setsid()
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG; a change of uid would have cleared it

    def _run(self, program, *arguments):
        subprocess.run([str(self.bin / program), *map(str, arguments)], check=True, cwd="/", stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, preexec_fn=self._as_account, timeout=120)

    def configure(self, options):
        """Appends to postgresql.conf; see reload()."""
        with open(self.data / "postgresql.conf", "a", encoding="ascii") as conf:
            conf.writelines(f"{key} = '{value}'\n" for key, value in options.items())

    def start(self):
        """Starts the server and waits until it answers."""
        with open(self.path / "log", "ab") as log:
            self.process = subprocess.Popen([str(self.bin / "postgres"), "-D", str(self.data)], cwd="/",
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=self._as_account)
        deadline = time.monotonic() + 60
        while subprocess.run([str(self.bin / "pg_isready"), "-q", "-h", str(self.socket), "-p", str(self.port)],
                             check=False).returncode:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.path / "log").read_text(errors="replace")[-2000:])
            time.sleep(0.02)
        return self

    def _end(self, number):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
        if self.process:
            self.process.wait(60)
        self.process = None

    def stop(self):
        """Fast shutdown."""
        self._end(signal.SIGINT)

    def kill(self):
        """kill -9 of the whole server: what was not synced is lost to it."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.process.kill()
        for pid in map(int, children):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self._end(signal.SIGKILL)
        # A new server refuses to start while one of the old one's processes is attached to the shared memory.
        deadline = time.monotonic() + 20
        while any(pathlib.Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline:
            time.sleep(0.01)

    def ask_for_passwords(self):
        """Over TCP, by SCRAM, from the next start or reload on."""
        (self.data / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")

    def reload(self):
        """Reads postgresql.conf again."""
        self.process.send_signal(signal.SIGHUP)

    def reset(self):
        """Takes back every ALTER SYSTEM, of a test that ended in its middle too, and waits until it is so."""
        self.sql("ALTER SYSTEM RESET ALL")
        deadline = time.monotonic() + 20
        ask = "SELECT current_setting('synchronous_standby_names') = '' AND current_setting('fsync') = 'on'"
        self.reload()
        while self.sql(ask) != "t" and time.monotonic() < deadline:
            time.sleep(0.02)

    def promote(self):
        """A replica becomes the primary of a new timeline."""
        self._run("pg_ctl", "promote", "-w", "-D", self.data)

    def url(self, user=NAME, **options):
        """What a signer is given; `options` are libpq's, such as options="-csearch_path=x"."""
        query = {"host": str(self.socket), "port": self.port, "user": user, **options}
        return f"postgresql:///postgres?{urllib.parse.urlencode(query, quote_via=urllib.parse.quote)}"

    def sql(self, text, **options):
        """The rows, columns with | between; raises with what the server said."""
        done = subprocess.run([str(self.bin / "psql"), "-XqAtv", "ON_ERROR_STOP=1", "-c", text, self.url(**options)],
                              capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def close(self):
        """Ends it and removes all that it had."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.rmtree(self.socket, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()


def main():
    """The server of a C test."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    server = Postgres()
    try:
        server.start()
        print(server.url(), flush=True)
        for line in sys.stdin:
            {"kill": server.kill, "stop": server.stop, "start": server.start, "reload": server.reload}[line.strip()]()
            print("ok", flush=True)
    finally:
        server.close()


if __name__ == "__main__":
    main()
