"""One build takes another's place while clients sign: the listening sockets are the service manager's, so connections wait for
the next build and none is refused (docs/upgrade.md)."""
import collections
import http.client
import itertools
import json
import os
import pathlib
import signal
import socket
import sys
import threading
import time

import pytest

import daemon as daemon_module
import interop
import messages
from daemon import release_binary, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "torture"))
import checker  # noqa: E402  pylint: disable=wrong-import-position

EVERY_S = 0.02
CLIENT_LIMIT_S = 12  # a slot of mainnet: no client waits longer
SLOWEST_S = 8
KEYS = 4
EXIT_REFUSED = 3

Answer = collections.namedtuple("Answer", "how status seconds event")


def listening(address="127.0.0.1", path=None, mode=0o660):
    """A socket as a service manager opens it."""
    if path is None:
        s = socket.socket()
        s.bind((address, 0))
    else:
        s = socket.socket(socket.AF_UNIX)
        before = os.umask(0o777 & ~mode)
        s.bind(str(path))
        os.umask(before)
    s.listen(1024)
    return s


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=CLIENT_LIMIT_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Client(threading.Thread):
    """A validator client of one key: a vote every 20 ms, each for the next epoch. `kept`: over one connection, opened again where the
    server has closed it, as every HTTP library does; else over a new one each time, which must never be refused."""

    def __init__(self, number, connect, kept):
        super().__init__(name=f"{'kept' if kept else 'new'}{number}")
        self.pubkey = interop.PUBKEYS[number]
        self.connect = connect
        self.kept = kept
        self.ending = threading.Event()
        self.answers = []
        self.connection = None

    def run(self):
        due = time.monotonic()
        for epoch in itertools.count(1):
            if self.ending.wait(max(0.0, due - time.monotonic())):
                return
            due += EVERY_S
            body = messages.attestation(epoch - 1, epoch)
            began = time.monotonic()
            status, signature = self.ask(body)
            root = messages.signing_root(body)
            event = {"event": "answer", "outcome": "ok" if status == 200 else str(status), "pubkey": self.pubkey, "kind": "vote",
                     "source": epoch - 1, "target": epoch, "root": root, "signature": signature}
            self.answers.append(Answer(self.name, status, time.monotonic() - began, event))

    def ask(self, body):
        """(status, signature); the status is an exception's name where no answer came."""
        for attempt in range(2):
            fresh = self.connection is None
            try:
                if fresh:
                    self.connection = self.connect()
                return self.once(body)
            except (OSError, http.client.HTTPException) as err:
                self.close()
                if fresh or attempt:
                    return type(err).__name__, None
        raise AssertionError("not reached")

    def once(self, body):
        """One request over the connection that there is."""
        self.connection.request("POST", f"/api/v1/eth2/sign/{self.pubkey}", json.dumps(body),
                                {"Content-Type": "application/json", "Accept": "application/json"})
        answer = self.connection.getresponse()
        content = answer.read()
        if answer.will_close or not self.kept:
            self.close()
        return answer.status, json.loads(content)["signature"] if answer.status == 200 else None

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def end(self):
        self.ending.set()
        self.join(CLIENT_LIMIT_S + 5)
        self.close()
        assert not self.is_alive(), self.name


def program_of(daemon):
    return os.readlink(f"/proc/{daemon.process.pid}/exe")


def take_place(daemon, binary):
    """What `systemctl restart` does once another program lies at the path: ends the one, then begins the other."""
    assert daemon.stop() == 0
    daemon.binary = binary
    daemon.start()
    wait_for("the new program", lambda: os.path.samefile(program_of(daemon), binary))


def other_build(daemon):
    """The build with test switches where the daemon's is the release; else a copy of the same."""
    if release_binary():
        return daemon_module.binary_with_switches()
    copy = daemon.path / "containment-chamber"
    copy.write_bytes(pathlib.Path(daemon.binary).read_bytes())
    copy.chmod(0o755)
    return copy


@pytest.fixture
def held(make_daemon):
    """A daemon whose API, Unix and metrics sockets are the test's."""
    daemon = make_daemon(keys=interop.SECRETS[:KEYS])
    path = daemon.admin_path.parent / "api.sock"
    path = path if len(str(path)) <= daemon_module.SOCKET_PATH_MAX and path.parent != daemon.data_dir else daemon.path / "api.sock"
    if len(str(path)) > daemon_module.SOCKET_PATH_MAX:
        path = pathlib.Path(f"/tmp/cc-upgrade-{os.getpid()}.sock")
    daemon.sockets = [listening(), listening(), listening(path=path)]
    daemon.config["server"].update(listen_port=daemon.sockets[0].getsockname()[1], unix_socket=str(path))
    daemon.config["metrics"]["listen_port"] = daemon.sockets[1].getsockname()[1]
    daemon.write_config()
    daemon.init()
    yield daemon
    daemon.end()
    for s in daemon.sockets:
        s.close()
    path.unlink(missing_ok=True)


def test_no_duty_is_missed_while_one_build_follows_the_other(held):
    """There and back again, with a vote every 20 ms by each of four clients: each is answered with a signature."""
    port, path = held.config["server"]["listen_port"], held.config["server"]["unix_socket"]

    def tcp():
        return http.client.HTTPConnection("127.0.0.1", port, timeout=CLIENT_LIMIT_S)

    held.start()
    first = pathlib.Path(held.binary)
    clients = [Client(0, tcp, True), Client(1, tcp, False), Client(2, lambda: UnixConnection(path), True),
               Client(3, lambda: UnixConnection(path), False)]
    for client in clients:
        client.start()
    try:
        for binary in (other_build(held), first):
            before = [len(c.answers) for c in clients]
            take_place(held, binary)
            wait_for("duties under the new build", lambda b=before: all(len(c.answers) > n + 50 for c, n in zip(clients, b)))
    finally:
        for client in clients:
            client.end()
    answers = [a for c in clients for a in c.answers]
    assert [a for a in answers if a.status != 200] == []
    assert len(answers) > 4 * 100
    slowest = max(answers, key=lambda a: a.seconds)
    print(f"{len(answers)} duties, slowest {slowest.seconds:.2f} s ({slowest.how})")
    assert slowest.seconds < SLOWEST_S, slowest
    released = checker.Released()
    for answer in answers:
        released.take(answer.event)
    assert released.pairs() == [] and released.violations == []
    assert held.stop() == 0
    assert os.path.exists(path), "the socket's file is the service manager's"


def test_who_connects_before_the_start_waits_and_is_served(held):
    """The queue is the kernel's: a duty that comes while nothing runs is signed by what is started next."""
    client = Client(0, lambda: http.client.HTTPConnection("127.0.0.1", held.config["server"]["listen_port"], timeout=30), False)
    body = messages.attestation(3, 4)
    result = []
    waiting = threading.Thread(target=lambda: result.append(client.ask(body)))
    waiting.start()
    held.start()
    waiting.join(30)
    assert result and result[0][0] == 200, result


def refused(daemon, word):
    """`server` with these sockets ends with exit code 3, and the log says why."""
    daemon.spawn()
    assert daemon.process.wait(30) == EXIT_REFUSED
    assert word in daemon.log_text(), daemon.log_text()[-2000:]


def test_sockets_that_the_configuration_does_not_name_are_refused(held):
    with listening() as stranger, socket.socket() as deaf, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        deaf.bind(("127.0.0.1", 0))
        datagrams.bind(("127.0.0.1", 0))
        own = held.sockets
        for wrong, word in ((stranger, "at no address of the configuration"), (deaf, "no listening stream socket"),
                            (datagrams, "no listening stream socket")):
            held.log_path.unlink(missing_ok=True)
            held.sockets = [*own, wrong]
            refused(held, word)
        held.log_path.unlink(missing_ok=True)
        held.sockets = [*own, stranger, stranger, stranger]
        refused(held, "more sockets were handed over")
        held.sockets = own
        os.chmod(held.config["server"]["unix_socket"], 0o666)
        refused(held, "PERMISSIONS")
        os.chmod(held.config["server"]["unix_socket"], 0o660)
        held.start()
        assert held.stop() == 0


def test_the_program_that_ends_answers_what_is_under_way(held):
    """SIGTERM, with a kept connection: answered, with `Connection: close`; and nobody is cut who has just connected."""
    held.start()
    port = held.config["server"]["listen_port"]
    kept = http.client.HTTPConnection("127.0.0.1", port, timeout=CLIENT_LIMIT_S)
    path = f"/api/v1/eth2/sign/{interop.PUBKEYS[0]}"
    headers = {"Content-Type": "application/json"}

    def vote(epoch):
        kept.request("POST", path, json.dumps(messages.attestation(epoch - 1, epoch)), headers)
        answer = kept.getresponse()
        answer.read()
        return answer

    assert vote(1).status == 200
    held.process.send_signal(signal.SIGTERM)
    wait_for("the drain", lambda: "draining" in held.log_text())
    answer = vote(2)
    assert answer.status == 200 and answer.will_close
    kept.close()
    assert held.process.wait(30) == 0
