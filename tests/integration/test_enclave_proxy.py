"""`enclave proxy`, the parent's side of an enclave: in and out, what is refused, floods, want of descriptors, the end.

Unix sockets stand for vsock: what differs are the addresses, and that a peer's CID can be asked for.
"""
import contextlib
import os
import pathlib
import select
import socket
import struct
import subprocess
import tempfile
import threading
import time

import pytest

import messages
from daemon import Connection, wait_for
from enclave_proxy import Proxy, free_port, is_locked, listen, reach
from forms import FULL

SECRET = "0x" + "25295f0d1d592a90b333e26e85149708208e9f8e8bc18f6c77bd62f8ad7a6866"
KEY = "0xa99a76ed7796f7be22d5b7e85deeb7c5677e88e511e0b337618f8c4eb61349b4bf2d153f649f7b53359fe8b94a38e44c"


@pytest.fixture(name="short")
def a_short_folder():
    """A folder whose Unix sockets' paths are short enough everywhere."""
    with tempfile.TemporaryDirectory(prefix="cc-proxy-") as path:
        pathlib.Path(path).chmod(0o755)
        yield pathlib.Path(path)


@pytest.fixture(name="start")
def a_starter(workdir):
    """Starts proxies that end with the test."""
    made = []

    def start(*arguments, **options):
        made.append(Proxy(workdir, *arguments, **options))
        return made[-1]

    yield start
    for one in made:
        one.end()


def closed(sock):
    """How the other side has ended: "end" or "reset"; what it sent before is dropped."""
    try:
        while sock.recv(65536):
            pass
        return "end"
    except ConnectionResetError:
        return "reset"


# --- in and out ----------------------------------------------------------------------------------------------------------

def test_a_client_signs_through_the_proxy(start, make_daemon, short):
    """Keep-alive, many requests, a connection that the signer closes."""
    daemon = make_daemon(keys=[SECRET], config={"server": {"unix_socket": str(short / "signer")}})
    daemon.init()
    daemon.start()
    port = free_port()
    proxy = start("--ingress", f"tcp:127.0.0.1:{port}=unix:{short / 'signer'}")
    connection = Connection("127.0.0.1", port)
    for epoch in range(1, 20):
        status, _, body = connection.request("POST", f"/api/v1/eth2/sign/{KEY}", messages.attestation(epoch - 1, epoch))
        assert (status, b"signature" in body) == (200, True)
    assert proxy.metric("accepted_total", "ingress") == 1
    assert is_locked(proxy.process.pid)
    assert connection.request("GET", "/upcheck", headers={"Connection": "close"})[0] == 200
    wait_for("no connection", lambda: proxy.metric("open") == 0)
    assert proxy.metric("broken_total") == 0
    daemon.kill_room("front")  # its listener is the supervisor's: the next request finds the next front
    assert wait_for("an answer", lambda: _status(port)) == 200


def _status(port):
    with contextlib.suppress(OSError):
        return Connection("127.0.0.1", port).request("GET", "/upcheck")[0]
    return None


def test_T11_egress_leads_where_the_plan_says_and_nowhere_else(start, short):
    """A listener has one target; there is no word by which an enclave could ask for another one."""
    allowed, other = listen(), listen()
    start("--egress", f"unix:{short / 'out'}=tcp:127.0.0.1:{allowed.getsockname()[1]}")
    with reach(short / "out") as inside:
        inside.sendall(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n\r\n" % other.getsockname()[1])
        target, _ = allowed.accept()
        with target:
            assert target.recv(100).startswith(b"CONNECT ")  # only bytes
    other.settimeout(0)
    with pytest.raises(BlockingIOError):
        other.accept()


def test_a_name_leads_to_its_address(start, short):
    """Looked up by the C library."""
    target = listen()
    start("--egress", f"unix:{short / 'out'}=tcp:localhost:{target.getsockname()[1]}")
    with reach(short / "out") as inside:
        inside.sendall(b"hello")
        with target.accept()[0] as there:
            assert there.recv(5) == b"hello"


def test_the_plan_comes_from_a_file_too(start, short, workdir):
    """Flags come on top."""
    first, second = listen(), listen()
    plan = workdir / "plan.yaml"
    plan.write_text(f"enclave_cid: 16\negress:\n  - unix:{short / 'a'}=tcp:127.0.0.1:{first.getsockname()[1]}\ndrain_seconds: 0\n")
    proxy = start("-c", plan, "--egress", f"unix:{short / 'b'}=tcp:127.0.0.1:{second.getsockname()[1]}")
    for name, target in (("a", first), ("b", second)):
        with reach(short / name) as inside, target.accept()[0] as there:
            inside.sendall(name.encode())
            assert there.recv(5) == name.encode()
    assert proxy.stop() == 0
    assert not (short / "a").exists() and not (short / "b").exists()


# --- what is refused -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, says", [
    ((), "nothing is to be carried"),
    (("--egress", "vsock:any:1=tcp:a:1"), "needs enclave_cid"),
    (("--enclave-cid", "2", "--egress", "vsock:any:1=tcp:a:1"), "out of range"),
    (("--egress", "tcp:127.0.0.1:1=tcp:a:1"), "egress goes from"),
    (("--ingress", "tcp:127.0.0.1:1=tcp:127.0.0.1:2"), "ingress goes from"),
    (("--ingress", "tcp:localhost:1=vsock:16:1"), "not a name"),
    (("--ingress", "tcp:0.0.0.0:1=vsock:any:1"), "one enclave"),
    (("--ingress", "tcp:0.0.0.0:1=vsock:16:1", "--ingress", "tcp:0.0.0.0:1=vsock:17:1"), "the same endpoint"),
    (("--ingress", "tcp:0.0.0.0:0=vsock:16:1"), "with a port"),
    (("--ingress", "0.0.0.0:1"), "FROM=TO"),
    (("--places", "0"), "out of range"),
    (("--metrics", "tcp:localhost:1"), "tcp:ADDRESS"),
    (("--other",), "not understood"),
    (("--egress",), "needs a value"),
])
def test_plans_that_are_refused(make_daemon, arguments, says):
    """Before anything listens."""
    result = make_daemon().command("enclave", "proxy", *arguments, check=False)
    assert (result.returncode, says in result.stderr) == (2, True), result.stderr


@pytest.mark.parametrize("text, says", [
    ("ingress: tcp\n", ":1: ingress: is a list of FROM=TO"),
    ("a: 1\n", ":1: there is no such setting"),
    ("places: 1\nplaces: 2\n", ":2: "),
    ("places: 1\negress:\n  - unix:/a=tcp:b:1\n  - unix:/a=tcp:c:1\n", ":4: egress: two routes begin"),
    ("[]\n", "is not a mapping"),
])
def test_files_that_are_refused(make_daemon, workdir, text, says):
    """With file and line."""
    plan = workdir / "plan.yaml"
    plan.write_text(text)
    result = make_daemon().command("enclave", "proxy", "-c", plan, check=False)
    assert (result.returncode, f"{plan}" in result.stderr and says in result.stderr) == (3, True), result.stderr


def test_a_listener_that_is_taken_ends_the_start(make_daemon, short):
    """All routes, or none: nothing is left behind."""
    taken = listen()
    result = make_daemon().command("enclave", "proxy", "--egress", f"unix:{short / 'a'}=tcp:localhost:1", "--ingress",
                                   f"tcp:127.0.0.1:{taken.getsockname()[1]}=unix:/nowhere", check=False)
    assert result.returncode == 1 and "the port is in use" in result.stderr
    assert not (short / "a").exists()


# --- hostile -------------------------------------------------------------------------------------------------------------

def test_a_flood_of_idle_connections_costs_little_and_stops_nobody_else(start, short):
    """A thousand that say nothing, half of them half-closed; the way out is free all the time."""
    inside, outside = listen(short / "signer"), listen()
    port = free_port()
    proxy = start("--ingress", f"tcp:127.0.0.1:{port}=unix:{short / 'signer'}", "--egress",
                  f"unix:{short / 'out'}=tcp:127.0.0.1:{outside.getsockname()[1]}", "--places", "1000")
    before = proxy.memory_kb()
    held = []
    for number in range(1000):
        client = reach(port)
        if number % 2:
            client.shutdown(socket.SHUT_WR)
        held += [client, inside.accept()[0]]
    late = reach(port)  # its place is not free
    assert proxy.metric("open", "ingress") == 1000
    assert proxy.memory_kb() - before < 4096, "an idle connection holds no buffer"
    with reach(short / "out") as enclave, outside.accept()[0] as there:
        enclave.sendall(b"still")
        assert there.recv(10) == b"still"
    for sock in held:
        sock.close()
    with inside.accept()[0] as there:
        late.sendall(b"now")
        assert there.recv(10) == b"now"
    late.close()
    wait_for("no connection", lambda: proxy.metric("open") == 0)


def test_without_descriptors_new_ones_wait_and_old_ones_go_on(start, short):
    """A limit too low even for the fewest places: who is connected is served; the others are when somebody leaves."""
    inside = listen(short / "signer")
    port = free_port()
    proxy = start("--ingress", f"tcp:127.0.0.1:{port}=unix:{short / 'signer'}", files=22)
    clients = [reach(port) for _ in range(60)]
    served = []
    wait_for("an end of descriptors", lambda: "no descriptor" in proxy.log())
    inside.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            served.append(inside.accept()[0])
    assert 3 <= len(served) < 8
    served[0].sendall(b"here")
    assert _first_to_hear(clients) == b"here"
    for sock in served:
        sock.close()
    inside.settimeout(20)
    inside.accept()[0].close()  # one that has waited
    for client in clients:
        client.close()
    inside.setblocking(False)
    wait_for("no connection", lambda: _see_off(inside) or proxy.metric("open") == 0)


def _see_off(listener):
    with contextlib.suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()


def test_places_fit_the_descriptors_that_there_are(start, short):
    """No route is left without places by another one's: a flood on the way in leaves the way out free."""
    inside, outside = listen(short / "signer"), listen()
    port = free_port()
    proxy = start("--ingress", f"tcp:127.0.0.1:{port}=unix:{short / 'signer'}", "--egress",
                  f"unix:{short / 'out'}=tcp:127.0.0.1:{outside.getsockname()[1]}", files=114)
    assert "each route has fewer limit=114 wanted=16418 places=20" in proxy.log()
    flood = [reach(port) for _ in range(40)]
    wait_for("all places taken", lambda: proxy.metric("full_total", "ingress") > 0)
    assert proxy.metric("open", "ingress") == 20
    for _ in range(20):
        with reach(short / "out") as enclave, outside.accept()[0] as there:
            enclave.sendall(b"out")
            assert there.recv(10) == b"out"
    assert "no descriptor" not in proxy.log()
    for sock in flood:
        sock.close()
    inside.close()


def _readable(socks):
    return select.select(socks, [], [], 0)[0]


def _first_to_hear(clients):
    ready = wait_for("bytes", lambda: _readable(clients))
    return ready[0].recv(10)


def test_slow_readers_don_t_cost_memory_or_time(start, short):
    """Twenty that read nothing of a stream without end, and one beside them that is served at once."""
    outside = listen()
    proxy = start("--egress", f"unix:{short / 'out'}=tcp:127.0.0.1:{outside.getsockname()[1]}")
    before = proxy.memory_kb()
    slow, senders = [], []
    for _ in range(20):
        slow.append(reach(short / "out"))
        there = outside.accept()[0]
        there.setblocking(False)
        senders.append(there)
    block = bytes(1 << 16)
    moved = True
    while moved:
        moved = False
        for there in senders:
            with contextlib.suppress(BlockingIOError):
                moved = there.send(block) > 0 or moved
        if not moved:
            time.sleep(0.05)  # what lies on the way may make room once more
            for there in senders:
                with contextlib.suppress(BlockingIOError):
                    moved = there.send(block) > 0 or moved
    assert proxy.memory_kb() - before < 20 * 64 + 4096
    with reach(short / "out") as quick, outside.accept()[0] as there:
        there.sendall(b"answer")
        assert quick.recv(10) == b"answer"
    for sock in slow + senders:
        sock.close()


def test_a_reset_is_told_as_a_reset(start, short):
    """A cut answer must not look like a whole one to who reads to the end."""
    outside = listen()
    proxy = start("--egress", f"unix:{short / 'out'}=tcp:127.0.0.1:{outside.getsockname()[1]}")
    with reach(short / "out") as inside:
        there = outside.accept()[0]
        inside.sendall(b"question")
        assert there.recv(100) == b"question"
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        there.close()
        closed(inside)  # a Unix socket has no reset: TLS, which it carries, tells its end itself
    wait_for("it counted", lambda: proxy.metric("broken_total") == 1)


def test_what_is_asked_of_the_metrics_port(start, short):
    """Only GET /metrics; long heads and slow visitors end."""
    proxy = start("--egress", f"unix:{short / 'out'}=tcp:localhost:1")
    assert proxy.page().startswith("HTTP/1.1 200 OK\r\n")
    assert proxy.page(b"GET / HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 404 ")
    assert proxy.page(b"POST /metrics HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 405 ")
    assert proxy.page(b"nonsense\r\n\r\n").startswith("HTTP/1.1 400 ")
    assert proxy.page(b"GET /" + b"a" * 4091).startswith("HTTP/1.1 400 ")
    visitors = [reach(proxy.metrics_port) for _ in range(30)]  # more than there are places
    assert proxy.page().startswith("HTTP/1.1 200 OK\r\n")
    wait_for("most to be closed", lambda: len(_readable(visitors)) >= 20, 3)  # before their time is up
    for visitor in visitors:
        visitor.close()


# --- the end -------------------------------------------------------------------------------------------------------------

def test_sigterm_lets_what_is_under_way_finish(start, short, workdir):
    """systemd is told; no new connection is taken; the end comes with the last one."""
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(short / "notify"))
    told.settimeout(20)
    outside = listen()
    proxy = start("--egress", f"unix:{short / 'out'}=tcp:127.0.0.1:{outside.getsockname()[1]}",
                  environment={"NOTIFY_SOCKET": str(short / "notify")})
    assert told.recv(100).startswith(b"READY=1")
    with reach(short / "out") as inside, outside.accept()[0] as there:
        proxy.terminate()
        assert told.recv(100).startswith(b"STOPPING=1")
        with pytest.raises(OSError):
            reach(short / "out")
        inside.sendall(b"last words")
        assert there.recv(100) == b"last words"
        there.sendall(b"heard")
        assert inside.recv(100) == b"heard"
        assert proxy.process.poll() is None
    assert proxy.process.wait(20) == 0


def test_a_second_sigterm_cuts(start, short):
    """So does the time limit."""
    outside = listen()
    target = f"unix:{short / 'out'}=tcp:127.0.0.1:{outside.getsockname()[1]}"
    for arguments, signals in ((("--drain-seconds", "600"), 2), (("--drain-seconds", "0"), 1)):
        proxy = start("--egress", target, *arguments)
        with reach(short / "out") as inside, outside.accept()[0] as there:
            proxy.terminate()
            if signals == 2:
                wait_for("draining", lambda: "draining" in proxy.log())
                proxy.terminate()
            assert proxy.process.wait(20) == 0
            assert closed(there) == "reset"
            closed(inside)
        assert "ended cut=1" in proxy.log()


# --- how much ------------------------------------------------------------------------------------------------------------

def test_throughput(start, short):
    """Both ends and the proxy share this machine; printed with -s. 64 MiB arrive whole, and not slowly."""
    total = (1 << 30) if FULL else (64 << 20)
    outside = listen()
    proxy = start("--egress", f"unix:{short / 'out'}=tcp:127.0.0.1:{outside.getsockname()[1]}")
    with reach(short / "out") as inside, outside.accept()[0] as there:
        sender = threading.Thread(target=lambda: [there.sendall(bytes(1 << 20)) for _ in range(total >> 20)])
        began = time.monotonic()
        sender.start()
        got = 0
        while got < total:
            got += len(inside.recv(1 << 20))
        seconds = time.monotonic() - began
        sender.join()
    print(f"{total / seconds / 1e6:.0f} MB/s, {cpu_seconds(proxy.process.pid):.2f} s of the proxy's processor time")
    assert proxy.metric("bytes_total", direction="in") == total
    assert total / seconds > 20e6


def cpu_seconds(pid):
    """User and system time of a process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def test_help_names_it(make_daemon):
    """In the list of commands and by itself."""
    daemon = make_daemon()
    assert "enclave" in daemon.command("help").stdout
    assert "--egress vsock:any:8001=" in daemon.command("enclave", "--help").stdout
    assert subprocess.run([str(daemon.binary), "enclave", "else"], check=False, capture_output=True).returncode == 2
