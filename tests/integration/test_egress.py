"""A signer as in an enclave: no name is looked up, all connections out go through the forwarder, in through endpoints.

Unix sockets stand for vsock, and `enclave proxy` for the parent: the whole way but for the family of the sockets.
"""
import contextlib
import itertools
import os
import pathlib
import re
import socket
import ssl
import sys
import tempfile

import pytest

import interop
import messages
from certificates import Pair
from daemon import Connection, wait_for
from enclave_proxy import Proxy, free_port, reach

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import aws as aws_module  # noqa: E402  pylint: disable=wrong-import-position
import postgres  # noqa: E402  pylint: disable=wrong-import-position

KEY = interop.PUBKEYS[0]
DYNAMODB = "dynamodb.eu-central-1.amazonaws.com"
DATABASE = "db.internal.test"  # a name that no name server has
needs_moto = pytest.mark.skipif(bool(aws_module.missing()), reason="left out: " + aws_module.missing())
_addresses = itertools.count(os.getpid() * 16)


def an_address():
    """A loopback address that no other test listens on, with room for the rows after it."""
    number = next(_addresses) * 16
    return f"127.{number >> 16 & 0x7f | 0x40}.{number >> 8 & 0xff}.{number & 0xf0 | 1}"


@pytest.fixture(name="short")
def a_short_folder():
    """A folder whose Unix sockets every room may reach."""
    with tempfile.TemporaryDirectory(prefix="cc-egress-") as path:
        pathlib.Path(path).chmod(0o777)
        yield pathlib.Path(path)


@pytest.fixture(name="parent")
def the_parent(workdir):
    """Starts proxies; each one's Unix sockets are anybody's, as vsock is."""
    made = []

    def start(*arguments):
        made.append(Proxy(workdir, *arguments))
        for argument in map(str, arguments):
            if argument.startswith("unix:"):
                os.chmod(argument[5:].partition("=")[0], 0o666)
        return made[-1]

    yield start
    for one in made:
        one.end()


def status(daemon, epoch):
    return daemon.sign(KEY, messages.attestation(epoch, epoch + 1))[0]


def goes_on(daemon, epoch):
    wait_for("a signature", lambda: status(daemon, epoch) == 200)


# --- AWS -----------------------------------------------------------------------------------------------------------------

@pytest.fixture(name="aws", scope="module")
def the_aws():
    with aws_module.Aws() as aws:
        yield aws


class Cloud:
    """DynamoDB under its own name, by TLS with a certificate of that name, on a port of its own."""

    def __init__(self, aws, folder, names=(DYNAMODB,)):
        self.aws = aws
        authority = Pair("an authority", authority=True)
        server = Pair("a server", issuer=authority, names=names)
        both = folder / "server.pem"
        both.write_bytes(server.key_pem() + server.pem())
        self.bundle = folder / "authority.pem"
        self.bundle.write_bytes(authority.pem())
        self.port = int(aws.tell(f"tls {both}"))
        self.name_port = free_port()  # the port in the URL: the forwarder's, and the row's

    def config(self, path, table, **more):
        endpoint = f"https://{DYNAMODB}:{self.name_port}"
        return {"anti_slashing": {"backend": "dynamodb", "table": table},
                "aws": {"dynamodb_endpoint_url": endpoint, "ca_bundle": str(self.bundle), "region": aws_module.REGION},
                "egress": {"routes": [f"{DYNAMODB}:{self.name_port}=unix:{path}"], "listen_address": an_address(), **more}}

    def environment(self):
        return {name: value for name, value in self.aws.environment().items() if name != "AWS_ENDPOINT_URL"}


@pytest.fixture(name="cloud")
def a_cloud(aws, short):
    return Cloud(aws, short)


def signer(make_daemon, cloud, short, **more):
    return make_daemon(keys=interop.SECRETS[:1], environment=cloud.environment(),
                       config=cloud.config(short / "aws", f"t{next(_addresses)}", **more))


def way_out(cloud, short):
    return "--egress", f"unix:{short / 'aws'}=tcp:127.0.0.1:{cloud.port}"


@needs_moto
def test_aws_is_reached_by_its_name_without_a_name_server(make_daemon, parent, cloud, short):
    """init, serving, the parent away and back. The certificate that is checked is that of the name."""
    proxy = parent(*way_out(cloud, short))
    daemon = signer(make_daemon, cloud, short)
    daemon.init()
    daemon.start()
    assert status(daemon, 1) == 200
    assert proxy.metric("accepted_total") > 0
    rooms = daemon.rooms()
    proxy.end()
    os.unlink(short / "aws")
    wait_for("no signature", lambda: status(daemon, 2) == 503)
    parent(*way_out(cloud, short))
    goes_on(daemon, 3)
    assert daemon.rooms() == rooms
    assert daemon.stop() == 0


@needs_moto
def test_T11_a_parent_that_leads_elsewhere_is_found_out_by_tls(make_daemon, parent, aws, short):
    """It may carry bytes where it likes; a server that isn't the one of the name gets no request."""
    other = Cloud(aws, short, names=("elsewhere.test",))
    parent(*way_out(other, short))
    daemon = signer(make_daemon, other, short)
    before = int(aws.tell("count *"))
    result = daemon.init(check=False)
    assert result.returncode == 1, result.stderr
    assert "certificate is not trusted, or is another name's" in result.stderr
    assert int(aws.tell("count *")) == before


@needs_moto
def test_a_host_without_a_row_is_not_looked_up(make_daemon, parent, cloud, short):
    parent(*way_out(cloud, short))
    daemon = signer(make_daemon, cloud, short)
    daemon.config["aws"]["dynamodb_endpoint_url"] = f"https://localhost:{cloud.port}"  # the C library knows it
    daemon.write_config()
    result = daemon.init(check=False)
    assert result.returncode == 1
    assert "egress.routes has no row" in result.stderr


@needs_moto
def test_the_forwarder_is_replaced_alone_and_is_locked_in(make_daemon, parent, cloud, short):
    parent(*way_out(cloud, short))
    daemon = signer(make_daemon, cloud, short)
    daemon.init()
    daemon.start()
    assert status(daemon, 1) == 200
    others = {name: pid for name, pid in daemon.rooms().items() if name in ("front", "core", "vault")}
    daemon.kill_room("forwarder")
    goes_on(daemon, 2)
    assert {name: daemon.room(name) for name in others} == others
    pid = daemon.room("forwarder")
    wait_for("its lock", lambda: re.search(r"^Seccomp:\s+2$", pathlib.Path(f"/proc/{pid}/status").read_text(), flags=re.M))
    about = pathlib.Path(f"/proc/{pid}/status").read_text()
    assert re.search(r"^CapEff:\s+0+$", about, flags=re.M) and re.search(r"^NoNewPrivs:\s+1$", about, flags=re.M)
    assert pathlib.Path(f"/proc/{pid}/environ").read_bytes() == b""
    if os.geteuid() == 0:
        uids = {re.search(r"^Uid:\s+(\d+)", pathlib.Path(f"/proc/{p}/status").read_text(), flags=re.M)[1]
                for p in (pid, *others.values())}
        assert len(uids) == 4
        assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
    assert daemon.stop() == 0
    assert 'containment_room_starts_total{room="forwarder"}' not in daemon.log_text()


@needs_moto
@pytest.mark.skipif(os.geteuid() != 0, reason="left out: port 80 is root's")
def test_credentials_of_the_instance_come_through_the_parent(make_daemon, parent, aws, cloud, short):
    """The metadata service has an address and no name: it is a row too."""
    aws.tell("give ASIAINSTANCE secret-of-it token/of+it 3600")
    parent(*way_out(cloud, short), "--egress", f"unix:{short / 'imds'}=tcp:127.0.0.1:{aws.endpoint.rpartition(':')[2]}")
    daemon = signer(make_daemon, cloud, short)
    daemon.environment = {"PATH": "/usr/bin:/bin", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    daemon.config["egress"]["routes"].append(f"169.254.169.254:80=unix:{short / 'imds'}")
    daemon.write_config()
    daemon.init()
    daemon.start()
    assert status(daemon, 1) == 200
    assert int(aws.tell("count imds")) > 0
    assert "secret-of-it" not in daemon.log_text() and daemon.stop() == 0


# --- PostgreSQL ------------------------------------------------------------------------------------------------------------

@pytest.fixture(name="database")
def a_database():
    """A cluster with TLS for DATABASE; (server, port, authority file)."""
    server = postgres.Postgres()
    authority = Pair("a database's authority", authority=True)
    pair = Pair("a database", issuer=authority, names=(DATABASE,))
    for name, text in (("server.key", pair.key_pem()), ("server.crt", pair.pem())):
        (server.data / name).write_bytes(text)
        (server.data / name).chmod(0o600)
        if server.account:
            os.chown(server.data / name, *server.account)
    (server.data / "pg_hba.conf").write_text("local all all trust\nhostssl all all 127.0.0.1/32 trust\n")
    server.port = free_port()
    server.configure({"listen_addresses": "127.0.0.1", "port": server.port, "ssl": "on"})
    bundle = pathlib.Path(server.socket) / "ca.crt"
    bundle.write_bytes(authority.pem())
    try:
        server.start()
        yield server, server.port, bundle
    finally:
        server.close()


@pytest.mark.skipif(not postgres.bin_dir(), reason="left out: no PostgreSQL")
def test_a_database_is_reached_by_its_name_with_verify_full(make_daemon, parent, database, short):
    """The name in the URL is checked although the address is the forwarder's; every host of a list has its row."""
    server, port, bundle = database
    proxy = parent("--egress", f"unix:{short / 'db'}=tcp:127.0.0.1:{port}",
                   "--egress", f"unix:{short / 'dead'}=tcp:127.0.0.1:{free_port()}")
    url = (f"postgresql://{postgres.NAME}@dead.internal.test,{DATABASE}/postgres?sslmode=verify-full&sslrootcert={bundle}")
    routes = [f"dead.internal.test:5432=unix:{short / 'dead'}", f"{DATABASE}:5432=unix:{short / 'db'}"]
    daemon = make_daemon(keys=interop.SECRETS[:1], config={
        "anti_slashing": {"backend": "postgres", "url": url}, "egress": {"routes": routes, "listen_address": an_address()}})
    daemon.init()
    daemon.start()
    assert status(daemon, 1) == 200
    assert server.sql("SELECT bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)"
                      " WHERE application_name = 'containment-chamber'") == "t"
    assert proxy.metric("failed_total") > 0, "the first host was tried by its row"
    daemon.kill_room("forwarder")
    goes_on(daemon, 2)
    assert daemon.stop() == 0
    # A name that the certificate doesn't have, by the same way; then one that has no row.
    for host, says in ((f"dead.internal.test:{port}", "verify"), ("localhost", "has no row")):
        daemon.config["egress"]["routes"] = [f"dead.internal.test:{port}=unix:{short / 'db'}"]
        daemon.config["anti_slashing"]["url"] = f"postgresql://{postgres.NAME}@{host}/postgres?sslmode=verify-full&sslrootcert={bundle}"
        daemon.write_config()
        daemon.spawn()
        assert daemon.process.wait(30) == 3, daemon.log_text()[-2000:]
        assert says in daemon.log_text() or says == "verify"


# --- in ----------------------------------------------------------------------------------------------------------------------

def test_listening_by_endpoints(make_daemon, parent, short):
    """API, TLS and metrics on endpoints, reached through the parent; TLS ends in the signer."""
    authority = Pair("an authority", authority=True)
    pair = Pair("signer.test", issuer=authority, names=("signer.test",))
    for name, text in (("cert.pem", pair.pem()), ("key.pem", pair.key_pem()), ("ca.pem", authority.pem())):
        (short / name).write_bytes(text)
    daemon = make_daemon(keys=interop.SECRETS[:1], config={
        "server": {"listen": f"unix:{short / 'api'}", "host_allowlist": ["*"]},
        "metrics": {"listen": f"unix:{short / 'metrics'}"},
        "tls": {"mode": "file", "listen": f"unix:{short / 'tls'}",
                "file": {"cert_path": str(short / "cert.pem"), "key_path": str(short / "key.pem")}}})
    daemon.init()
    daemon.spawn()
    ports = {name: free_port() for name in ("api", "metrics", "tls")}
    wait_for("the ports file", lambda: daemon.alive() and (daemon.data_dir / "ports").exists())
    proxy = parent(*itertools.chain.from_iterable(
        ("--ingress", f"tcp:127.0.0.1:{port}=unix:{short / name}") for name, port in ports.items()))
    wait_for("readiness", lambda: _get(ports["api"], "/readyz") == 200)
    assert _get(ports["api"], "/api/v1/eth2/publicKeys") == 403  # probes alone, beside TLS
    assert "containment_healthy 1" in Connection("127.0.0.1", ports["metrics"]).request("GET", "/metrics")[2].decode()
    client = ssl.create_default_context(cafile=str(short / "ca.pem"))
    with client.wrap_socket(reach(ports["tls"]), server_hostname="signer.test") as tls:
        tls.sendall(b"GET /api/v1/eth2/publicKeys HTTP/1.1\r\nHost: signer.test\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := tls.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200") and KEY.encode() in answer
    assert proxy.metric("broken_total") == 0
    assert daemon.stop() == 0
    assert not any((short / name).exists() for name in ports), "their files go with them"


def test_T20_a_listener_makes_nobody_the_owner(make_daemon, parent, short):
    """A proxy that runs as root beside the signer must not make owners of those whose bytes it carries."""
    daemon = make_daemon(keys=interop.SECRETS[:1], config={"server": {"listen": f"unix:{short / 'api'}"}})
    daemon.init()
    daemon.spawn()
    port = free_port()
    wait_for("the ports file", lambda: daemon.alive() and (daemon.data_dir / "ports").exists())
    parent("--ingress", f"tcp:127.0.0.1:{port}=unix:{short / 'api'}")
    wait_for("readiness", lambda: _get(port, "/readyz") == 200)
    for path in ("/api/v1/chamber/keys", "/api/v1/chamber/auth/policies"):
        assert _get(port, path) == 401
        assert b" 200 " in _ask(daemon.admin_path, path), "the same user at the admin socket is"
    assert _get(port, "/api/v1/eth2/publicKeys") == 200


def _ask(path, route):
    with reach(path) as sock:
        sock.sendall(f"GET {route} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return sock.recv(65536)


def _get(port, path):
    with contextlib.suppress(OSError):
        return Connection("127.0.0.1", port).request("GET", path)[0]
    return None


@pytest.mark.parametrize("section, option, value, says", [
    ("server", "listen", "localhost:9000", "begins with tcp:, unix: or vsock:"),
    ("server", "listen", "tcp:localhost:9000", "not a name"),
    ("tls", "listen", "vsock:x:9443", "number"),
    ("metrics", "listen", "unix:relative", "absolute path"),
    ("egress", "routes", ["a.test:443=tcp:b.test:443"], "item 1: a row leads to vsock"),
    ("egress", "routes", ["a.test:443=vsock:3:1", "a.test:443=vsock:3:2"], "item 2: an earlier row"),
    ("egress", "routes", ["a.test:443=vsock:any:1"], "item 1: a row leads to one CID"),
])
def test_options_that_are_refused(make_daemon, section, option, value, says):
    """With file and line, as every option."""
    daemon = make_daemon()
    daemon.config.setdefault(section, {})[option] = value
    daemon.write_config()
    result = daemon.command("config", "check", "-c", daemon.config_path, check=False)
    assert (result.returncode, says in result.stderr and f"{section}.{option}" in result.stderr) == (3, True), result.stderr


@pytest.mark.parametrize("config, says", [
    ({"anti_slashing": {"backend": "dynamodb", "table": "t"}, "aws": {"region": "eu-west-1"}},
     "anti_slashing.backend: egress.routes has no row for dynamodb.eu-west-1.amazonaws.com:443"),
    ({"signer_state": {"kms": True, "allowed_kms_key_arns": [
        "arn:aws:kms:eu-central-1:111122223333:key/11111111-2222-3333-4444-555555555555",
        "arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555"]}, "aws": {"region": "eu-central-1"}},
     "signer_state.allowed_kms_key_arns: egress.routes has no row for kms.us-east-1.amazonaws.com:443"),
    ({"key_sources": {"dynamodb": {"table": "t"}}, "aws": {"region": "eu-west-1", "endpoint_url": "https://all.test:8443"}},
     "key_sources.dynamodb.table: egress.routes has no row for all.test:8443"),
    ({"anti_slashing": {"backend": "postgres", "url": "postgresql://u:hidden@known.test,unknown.test/d"}},
     "anti_slashing.url: host 2: egress.routes has no row for the database's host and port"),
])
def test_config_check_finds_what_has_no_row(make_daemon, config, says):
    """Before an image is built of it. What has a row is no fault; no password is shown."""
    rows = ["kms.eu-central-1.amazonaws.com:443=vsock:3:1", "known.test:5432=vsock:3:2"]
    daemon = make_daemon(config={**config, "egress": {"routes": rows}})
    result = daemon.command("config", "check", "-c", daemon.config_path, check=False)
    assert result.returncode == 3 and says in result.stderr, result.stderr
    assert result.stderr.count("has no row") == 1 and "hidden" not in result.stderr
    missing = {"eu-west-1": "dynamodb.eu-west-1.amazonaws.com:443", "us-east-1": "kms.us-east-1.amazonaws.com:443",
               "all.test": "all.test:8443", "host 2": "unknown.test:5432"}
    daemon.config["egress"]["routes"] += [f"{host}=vsock:3:3" for part, host in missing.items() if part in says]
    daemon.write_config()
    result = daemon.command("config", "check", "-c", daemon.config_path, check=False)
    assert (result.returncode, "valid" in result.stderr) == (0, True), result.stderr


def test_an_address_that_is_taken_ends_the_start(make_daemon):
    """Two signers with the same rows on one machine need addresses of their own."""
    address, port = an_address(), free_port()
    with socket.socket() as taken:
        taken.bind((address, port))
        taken.listen()
        daemon = make_daemon(config={"egress": {"routes": [f"a.test:{port}=unix:/nowhere"], "listen_address": address}})
        result = daemon.init(check=False)
    assert result.returncode == 1 and "the port is in use" in result.stderr


def test_vsock_is_listened_on_and_its_absence_is_said(make_daemon):
    """A machine without vsock ends the start with the endpoint's name; one with it listens. Nobody can connect to it from here."""
    port = free_port()
    daemon = make_daemon(keys=interop.SECRETS[:1], config={
        "server": {"listen": f"vsock:any:{port}"},
        "egress": {"routes": [f"a.test:{port}=vsock:3:{port}"], "listen_address": an_address()}})
    daemon.init()
    daemon.spawn()
    if not has_vsock(port + 1):
        assert daemon.process.wait(30) == 1
        assert "cannot listen for the API" in daemon.log_text() and f"vsock:any:{port}" in daemon.log_text()
        return
    wait_for("the ports file", lambda: daemon.alive() and daemon._read_ports())  # pylint: disable=protected-access
    assert daemon.http_port == port
    wait_for("health", lambda: "containment_healthy 1" in daemon.metrics())
    assert "containment_auth_open 1" in daemon.metrics(), "the parent is not this machine's loopback"
    assert not has_vsock(port), "the port is taken"
    with contextlib.suppress(ConnectionResetError):  # no parent answers: it is told, not left waiting
        with reach_at(daemon.config["egress"]["listen_address"], port) as nobody:
            nobody.settimeout(20)
            assert nobody.recv(1) == b""
    assert daemon.stop() == 0


def has_vsock(port):
    """True when a vsock port can be listened on."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as probe:
        probe.bind((socket.VMADDR_CID_ANY, port))
        return True
    return False


def reach_at(address, port):
    """A connection to an address of this machine."""
    return socket.create_connection((address, port), timeout=20)
