"""What a run is made of: one to three real signers, the store of their history, and the faults that this store knows."""
import json
import pathlib
import re
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "integration"), str(HERE.parent / "support")]
import daemon as daemon_module  # noqa: E402  pylint: disable=wrong-import-position
import interop  # noqa: E402  pylint: disable=wrong-import-position
import cowriter  # noqa: E402  pylint: disable=wrong-import-position
import disk  # noqa: E402  pylint: disable=wrong-import-position
import faults  # noqa: E402  pylint: disable=wrong-import-position
import nemesis  # noqa: E402  pylint: disable=wrong-import-position
import aws  # noqa: E402  pylint: disable=wrong-import-position
import postgres  # noqa: E402  pylint: disable=wrong-import-position
import proxy  # noqa: E402  pylint: disable=wrong-import-position
import rollback  # noqa: E402  pylint: disable=wrong-import-position
from nemesis import Fault, copy  # noqa: E402  pylint: disable=wrong-import-position

CLIENT_KEYS = 3
SIGNERS_MAX = 3
KEYS = interop.KEYS[: CLIENT_KEYS + SIGNERS_MAX]
CLIENTS_OWN = interop.PUBKEYS[:CLIENT_KEYS]
EPOCH_SECONDS = 48  # of the network "minimal"
NOW_EPOCH = 100_000  # by a clock that is right; the clients are far behind it
PROBES_OWN = interop.PUBKEYS[CLIENT_KEYS : CLIENT_KEYS + SIGNERS_MAX]


def ceiling(signer):
    """The newest epoch that a signer's history may have recorded."""
    return int(re.search(r"^containment_history_ceiling_epoch (\d+)", signer.metrics(), re.M)[1])


class System:
    """Signers and their store, in `path`. A context: started inside, nothing left behind it."""

    backend = name = None
    about = ""
    faults = {}
    log = load = keys = probes = None  # attach()

    def __init__(self, path, binary=None):
        self.path, self.binary = path, binary or daemon_module.build_dir() / "bin/containment-chamber-torture"
        self.signers, self.disk = [], None
        self.records_lost = False

    @staticmethod
    def available():
        """False where what it needs is not installed."""
        return True

    def make_signer(self, history, environment=None, **more):
        """A Daemon on that history, not started, with a disk and a clock that obey `signer.faults`."""
        path = self.path / f"signer{len(self.signers)}"
        faulty = faults.Faults(self.binary, path / "bin")
        signer = daemon_module.Daemon(
            path, keys=[secret for secret, _ in KEYS], binary=faulty.program, environment=environment,
            config={"genesis_time": int(time.time()) - NOW_EPOCH * EPOCH_SECONDS, "logging": {"level": "info"},
                    # The clients begin at once, long before this clock's epoch.
                    "anti_slashing": {"new_key_policy": {"quarantine_epochs": 0}, **history}, **more})
        signer.faults = faulty
        self.signers.append(signer)
        return signer

    def __enter__(self):
        try:
            self.set_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for signer in self.signers:
            signer.end()
        if self.disk:
            self.disk.close()

    def set_up(self):
        """Starts everything."""
        raise NotImplementedError

    def start_signers(self):
        """The first one makes the chamber and the history, the others join it."""
        first = self.signers[0]
        first.init()
        for other in self.signers[1:]:
            other.command("init", "--join", "--chamber-key", first.data_dir / "chamber.key", "--identity",
                          first.data_dir / "identity.pub", "-c", other.config_path)
        for signer in self.signers:
            signer.start()

    def attach(self, log, load, probes):
        """What the faults of a run may look at: the log, the clients and their keys, the honest clients."""
        self.log, self.load, self.keys, self.probes = log, load, load.keys, probes

    def others(self, _log):
        """Who else signs with the clients' keys, by itself."""
        return []

    def released(self):
        """How many messages clients were given so far."""
        return self.log.released

    def note(self, text):
        """Into the log."""
        self.log.write(event="note", text=text)

    def signs(self):
        """True when the first signer signs now."""
        return self.probes[0].signed()

    def repair(self):
        """What an operator does after records were lost: watermarks above all that may have been signed. Clients go on
        beyond them. The moment from which it should sign again."""
        for signer in self.signers:
            signer.stop()
        epoch = max(key.epoch for key in (*self.keys, *(probe.key for probe in self.probes))) + 2
        self.signers[0].command("slashing", "repair-watermark", "--epoch", epoch, "-c", self.signers[0].config_path)
        for signer in self.signers:
            healed = nemesis.start(signer)
        # A ceiling that had risen further than any claim is the floor of what was lost.
        beyond = max(epoch, *(ceiling(signer) for signer in self.signers)) + 1
        for key in (*self.keys, *(probe.key for probe in self.probes)):
            key.leap(beyond)
        return healed

    def recovered(self):
        """The history as an EIP-3076 file has it, once the signers have ended; None where it can't be exported."""
        signer = self.signers[0]
        path = self.path / "recovered.json"
        path.unlink(missing_ok=True)
        done = signer.command("slashing", "export", "-c", signer.config_path, "--to", path, check=False)
        return json.loads(path.read_text()) if done.returncode == 0 else None

    def stop(self):
        """Every signer ends by itself; [exit code]."""
        return [signer.stop() for signer in self.signers]


class Sqlite(System):
    """One signer with its history in a file."""

    backend = name = "sqlite"
    about = "one signer, its history in a file"
    faults = {**nemesis.SIGNER_FAULTS, **nemesis.DISK_FAULTS, **rollback.FILE_FAULTS}

    def set_up(self):
        signer = self.make_signer({"backend": "sqlite"})
        if disk.available():
            self.disk = disk.Disk(signer.path, 24)
            signer.put_data_in(pathlib.Path(self.disk.path) / "data")
            self.faults = {**self.faults, "disk full, a real one": Fault(
                nemesis.fill_disk, nemesis.DISK_FAULTS["disk full"].promise, weight=3)}
        signer.init()
        signer.start()


class Postgres(System):
    """Two signers of one chamber on one database, each behind a proxy of its own."""

    backend, name = "postgres", "two-signers"
    about = "two replicas on one PostgreSQL, history and state, each behind a proxy"

    settings = {}
    wants_disk = True

    def __init__(self, path, binary=None, options=None, signers=2):
        super().__init__(path, binary)
        self.options, self.count = {"max_wal_size": "48MB", "min_wal_size": "32MB", **(options or {})}, signers
        self.database, self.proxies = None, []

    @staticmethod
    def available():
        return postgres.bin_dir() is not None

    def set_up(self):
        self.database = postgres.Postgres(self.options, disk=True)
        if self.wants_disk and disk.available():
            self.disk = disk.Disk(self.path, 160)
            copy(self.database.data, f"{self.disk.path}/data")
            self.database.data = pathlib.Path(self.disk.path) / "data"
            self.faults = {**self.faults, "database's disk full": Fault(fill_database, AWAY, weight=3)}
        self.database.start()
        for _ in range(self.count):
            way = proxy.Proxy(lambda: cowriter.reach(self.database))
            self.proxies.append(way)
            url = f"postgresql://{postgres.NAME}@127.0.0.1:{way.port}/postgres?sslmode=disable"
            more = {"signer_state": {"backend": "postgres", "url": url}} if self.count > 1 else {}
            self.make_signer({"backend": "postgres", "url": url, **self.settings}, **more)
        self.start_signers()

    def __exit__(self, *_):
        for signer in self.signers:
            signer.end()
        for way in self.proxies:
            way.close()
        if self.database:
            self.database.close()
        super().__exit__()


class Three(Postgres):
    """One more."""

    name = "three-signers"
    about = "three replicas on one PostgreSQL"

    def __init__(self, path, binary=None):
        super().__init__(path, binary, signers=SIGNERS_MAX)


# --- what is done to a database ------------------------------------------------------------------------------------


def kill_database(system, _chance):
    """As a power cut of its machine: what was not flushed is gone."""
    system.database.kill()
    system.database.start()


def kill_database_and_everything(system, chance):
    """Nobody is left who remembers."""
    system.database.kill()
    for signer in system.signers:
        signer.kill_all()
    system.database.start()
    for signer in system.signers:
        healed = nemesis.start(signer)
    return healed


def fill_database(system, chance):
    """A server that can't write its log ends; it is started again when there is room."""
    nemesis.fill_disk(system, chance)
    if system.database.process.poll() is not None:
        system.note("the database had ended")
        system.database.start()


def restart_database(system, _chance):
    """A fast shutdown, as an upgrade does."""
    system.database.stop()
    system.database.start()


def pause_database(system, chance):
    """Every process of it."""
    server = system.database.process.pid
    nemesis.pause([server, *(pid for pid, _ in daemon_module.children_of(server))], chance)


def pause_transaction(system, chance):
    """The processes that work for the signers, while others go on."""
    pids = system.database.sql("SELECT pid FROM pg_stat_activity WHERE application_name = 'containment-chamber'").split()
    nemesis.pause(map(int, pids), chance)


def end_connections(system, _chance):
    """By the administrator."""
    system.database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'containment-chamber'")


def network(mode, longest=3.0):
    """A fault of the network of one signer, or of all."""

    def act(system, chance):
        ways = chance.choice([system.proxies, [chance.choice(system.proxies)]])
        for way in ways:
            way.set(mode)
        time.sleep(chance.uniform(0.1, longest))
        for way in ways:
            way.set("open")

    return act


def slow_network(system, chance):
    """Every packet is late."""
    for way in system.proxies:
        way.set("open", chance.uniform(0.005, 0.2))
    time.sleep(2)
    for way in system.proxies:
        way.set("open")


AWAY = "503 while it is away; goes on by itself. What had no answer is not signed."
Postgres.faults = {
    **nemesis.SIGNER_FAULTS,
    **rollback.CLONE_FAULTS,
    "kill -9 database": Fault(kill_database, AWAY, weight=4),
    "restart database": Fault(restart_database, AWAY),
    "pause database": Fault(pause_database, AWAY),
    "pause transactions": Fault(pause_transaction, AWAY, weight=3),
    "end connections": Fault(end_connections, AWAY),
    "network refused": Fault(network("refuse"), AWAY),
    "network cut": Fault(network("cut"), AWAY + " A commit that arrives late stays unanswered.", weight=3),
    "network black hole": Fault(network("black-hole"), AWAY),
    "network half open": Fault(network("half-open"), AWAY),
    "network slow": Fault(slow_network, "Slower; refuses what would come too late."),
}

Three.faults = Postgres.faults
# For runs with chosen faults only.
MORE_FAULTS = {"kill -9 database and everything": Fault(kill_database_and_everything, AWAY)}
