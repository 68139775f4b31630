"""A history in a DynamoDB table (tests/support/aws.py is the service), behind a proxy."""
import socket
import time
import urllib.parse

import nemesis
import systems

from systems import Fault, aws, proxy


class Table(systems.System):
    """One signer. The table is never lost: the service's promise."""

    backend, name = "dynamodb", "table"
    about = "one signer, its history in a DynamoDB table, behind a proxy"

    def __init__(self, path, binary=None, signers=1):
        super().__init__(path, binary)
        self.count = signers
        self.aws, self.states, self.proxies = None, None, []

    @staticmethod
    def available():
        return not aws.missing()

    def set_up(self):
        self.aws = aws.Aws()
        more = {}
        if self.count > 1:
            self.states = systems.postgres.Postgres(disk=True).start()
            more = {"signer_state": {"backend": "postgres", "url": self.states.url()}}
        port = urllib.parse.urlsplit(self.aws.endpoint).port
        for _ in range(self.count):
            way = proxy.Proxy(lambda: socket.create_connection(("127.0.0.1", port)))
            self.proxies.append(way)
            environment = {**self.aws.environment(), "AWS_ENDPOINT_URL": f"http://127.0.0.1:{way.port}"}
            self.make_signer({"backend": "dynamodb", "table": "torture"}, environment=environment, **more)
        self.start_signers()

    def __exit__(self, *_):
        super().__exit__()
        for way in self.proxies:
            way.close()
        if self.aws:
            self.aws.close()
        if self.states:
            self.states.close()


class Two(Table):
    """They race for every key's item."""

    name = "table-replicas"
    about = "two replicas, their history in a DynamoDB table, their state in a PostgreSQL"

    def __init__(self, path, binary=None):
        super().__init__(path, binary, signers=2)

    @staticmethod
    def available():
        return Table.available() and systems.Postgres.available()


def service(kind, argument=0):
    """Every request meets it for a while."""

    def act(system, chance):
        system.aws.fault(kind, "*", -1, argument)
        time.sleep(chance.uniform(0.2, 2.0))
        system.aws.clear()

    return act


def pause_service(system, chance):
    """It stands still."""
    nemesis.pause((system.aws.process.pid,), chance)


BEFORE = "503 or late; nothing was written. Goes on by itself."
AFTER = "The write was carried out and nobody was told: it is found out, or not answered. Goes on by itself."
Table.faults = {
    **nemesis.SIGNER_FAULTS,
    "service throttles": Fault(service("throttle"), BEFORE),
    "service fails": Fault(service("500"), BEFORE),
    "service fails after the write": Fault(service("500after"), AFTER, weight=4),
    "answers are lost": Fault(service("drop"), AFTER, weight=4),
    "answers are cut in half": Fault(service("half"), AFTER, weight=3),
    "answers are late": Fault(service("late", 800), AFTER, weight=2),
    "service refuses connections": Fault(service("refuse"), BEFORE),
    "service denies access": Fault(service("denied"), BEFORE),
    "service stands still": Fault(pause_service, AFTER, weight=3),
    "network cut": Fault(systems.network("cut"), systems.AWAY, weight=3),
    "network refused": Fault(systems.network("refuse"), systems.AWAY),
    "network black hole": Fault(systems.network("black-hole"), systems.AWAY),
}
Two.faults = Table.faults
