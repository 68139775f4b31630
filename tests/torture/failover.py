"""A primary and its replica: switched over, failed over with and without losing records, put back as they were before."""
import shutil
import time

import systems
from systems import Fault, daemon_module, nemesis, postgres, proxy
from rollback import lose_some, note_logs, refused, spawn

wait_for = daemon_module.wait_for

PRIMARY = {"wal_level": "replica", "max_wal_senders": 8, "max_replication_slots": 8}


class Failover(systems.Postgres):
    """One signer; its URL names both hosts. Which of them takes writes changes; the other one is made anew each time."""

    name = "fail-over"
    about = "one signer, a PostgreSQL and its asynchronous replica"
    wants_disk = False

    def __init__(self, path, binary=None, signers=1):
        super().__init__(path, binary, PRIMARY, signers=signers)
        self.servers, self.primary, self.states = [], 0, None

    @property
    def database(self):
        """The one that takes writes."""
        return self.servers[self.primary] if self.servers else None

    @database.setter
    def database(self, server):
        self.servers = [server, None] if server else []

    @property
    def replica(self):
        """The other one, which follows it."""
        return self.servers[1 - self.primary]

    def set_up(self):
        self.database = postgres.Postgres(PRIMARY, disk=True).start()
        self.follow()
        self.proxies = [proxy.Proxy(lambda n=n: systems.cowriter.reach(self.servers[n])) for n in (0, 1)]
        ports = ",".join(str(way.port) for way in self.proxies)
        url = f"postgresql:///postgres?host=127.0.0.1,127.0.0.1&port={ports}&user={postgres.NAME}&sslmode=disable"
        more = {}
        if self.count > 1:
            self.states = postgres.Postgres(disk=True).start()
            more = {"signer_state": {"backend": "postgres", "url": self.states.url()}}
        for _ in range(self.count):
            self.make_signer({"backend": "postgres", "url": url}, **more)
        self.start_signers()

    def follow(self):
        """A replica of the primary, as new."""
        if self.replica:
            self.replica.close()
        self.servers[1 - self.primary] = postgres.Postgres(copy_of=self.database, disk=True)
        self.replica.start()
        wait_for("the replica", lambda: self.streaming())

    def streaming(self):
        """The replica gets what the primary writes."""
        return self.database.sql("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") != "0"

    def promote(self):
        """The replica takes over; the moment when it had."""
        self.replica.promote()
        self.primary = 1 - self.primary
        return time.monotonic()

    def __exit__(self, *_):
        systems.System.__exit__(self)
        for way in self.proxies:
            way.close()
        for server in (*self.servers, self.states):
            if server:
                server.close()


class Replicas(Failover):
    """Each must compare what it has recorded with what is left of it. The state store is in a database that stays."""

    name = "replicas-fail-over"
    about = "two replicas, a PostgreSQL and its asynchronous replica for the history, another PostgreSQL for the state"

    def __init__(self, path, binary=None):
        super().__init__(path, binary, signers=2)


def ready(system):
    """The replica of the last fail-over is made when the next one is due: it takes seconds, and nothing waits for it."""
    if system.replica.process is None or not system.streaming():
        system.follow()


def switch_over(system, _chance):
    """The primary is stopped, and gives the replica all that it has."""
    ready(system)
    system.database.stop()
    return system.promote()


def stop_following(system):
    """From now on the replica gets nothing."""
    system.replica.sql("ALTER SYSTEM SET primary_conninfo = 'host=/nowhere'")
    system.replica.reload()
    wait_for("the end of the replication", lambda: not system.streaming())


def fail_over_and_lose(system, chance):
    """The replica had stopped following a while ago."""
    ready(system)
    stop_following(system)
    lose_some(system, chance)
    system.database.kill()
    return system.promote()


def put_back(system, chance, away):
    """The files of the database as they were a while ago, on the same timeline."""
    database = system.database
    database.stop()
    kept = database.path / "kept"
    nemesis.copy(database.data, kept)
    database.start()
    lose_some(system, chance)
    if away:
        for signer in system.signers:
            signer.stop()
    database.kill()
    note_logs(system)
    shutil.rmtree(database.data)
    kept.rename(database.data)
    database.start()


def restored_while_running(system, chance):
    """Under a signer that remembers how far it was."""
    put_back(system, chance, away=False)
    return refused(system)


def restored_while_stopped(system, chance):
    """And nobody saw it."""
    put_back(system, chance, away=True)
    for signer in system.signers:
        spawn(signer)
    return refused(system)


LOST = "The floors of those keys rise above what they lost; goes on by itself."
PUT_BACK = "Refused by name, until `repair-watermark`."
Failover.faults = {
    **systems.Postgres.faults,
    "switch-over": Fault(switch_over, "Nothing lost: goes on by itself.", weight=10),
    "fail-over that loses records": Fault(fail_over_and_lose, LOST, lost=True, weight=10),
    "older copy of the database put back": Fault(restored_while_running, PUT_BACK, lost=True, weight=8),
    "older copy of the database put back while stopped": Fault(restored_while_stopped, PUT_BACK, lost=True, weight=8),
}


Replicas.faults = {name: Failover.faults[name] for name in (
    "switch-over", "fail-over that loses records", "kill -9 database", "kill -9 everything", "kill -9 core", "network cut",
    "pause transactions", "older copy of the database put back")}


class Synchronous(Failover):
    """Each commit waits for the replica."""

    name = "synchronous"
    about = "one signer, a PostgreSQL and its synchronous replica"

    def follow(self):
        super().follow()
        self.database.sql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.database.reload()
        wait_for("synchronous replication", lambda: self.database.sql("SHOW synchronous_standby_names") == "*")


def fail_over(system, _chance):
    """The primary dies in the middle of its work."""
    ready(system)
    return die(system)


def die(system):
    """The replica takes over, and waits for none of its own."""
    system.database.kill()
    system.replica.sql("ALTER SYSTEM RESET synchronous_standby_names")  # read again when it starts to take writes
    system.replica.reload()
    return system.promote()


def cancelled_waits(system, chance):
    """No replica follows, and an administrator ends the commits' waiting: they are durable here alone. Then the primary
    dies, and they are nowhere."""
    ready(system)
    stop_following(system)
    ends = time.monotonic() + chance.uniform(0.5, 2)
    while time.monotonic() < ends:
        system.database.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        time.sleep(0.05)
    return die(system)


SYNCHRONOUS = "Every commit that was answered is on the replica: nothing lost, goes on by itself."
Synchronous.faults = {
    "fail-over to a synchronous replica": Fault(fail_over, SYNCHRONOUS),
    "waits for the replica cancelled, then fail-over": Fault(
        cancelled_waits, SYNCHRONOUS + " A commit that came with a warning is not answered."),
}
