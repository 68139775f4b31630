"""TLS of the API from files: what is served, what is refused, what changes while it runs, and who the client is."""
import http.client
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import threading

import pytest

import certificates
import interop
import memory
import messages
from daemon import wait_for

PASSWORD = "a pass phrase with spaces"
KEY = interop.PUBKEYS[0]


class Signer:
    """A daemon that serves TLS with a pair of an authority of the test's."""

    def __init__(self, make_daemon, workdir, *, pair=None, tls=None, **options):
        self.folder = workdir / "tls"
        self.folder.mkdir(exist_ok=True)
        self.authority = certificates.Pair("test authority", authority=True)
        self.pair = pair or certificates.Pair("signer", self.authority)
        self.crt, self.key = self.pair.write(self.folder, "server")
        self.ca = self.folder / "authority.crt"
        certificates.replace(self.ca, self.authority.pem())
        files = {"cert_path": str(self.crt), "key_path": str(self.key), "reload_interval_seconds": 1, **(tls or {})}
        files = {k: v for k, v in files.items() if v is not None}
        config = {"tls": {"mode": "file", "listen_port": 0, "file": files}, **options.pop("config", {})}
        self.daemon = make_daemon(keys=interop.SECRETS[:1], config=config, **options)

    def start(self):
        """init and server."""
        self.daemon.init()
        self.daemon.start()
        return self

    @property
    def port(self):
        """The port of TLS."""
        return int(re.search(r"https-port=(\d+)", (self.daemon.data_dir / "ports").read_text()).group(1))

    def context(self, client=None, version=None):
        """A client's context that trusts the test's authority."""
        made = ssl.create_default_context(cafile=str(self.ca))
        made.set_alpn_protocols(["http/1.1"])
        if version:
            made.minimum_version = made.maximum_version = version
        if client:
            crt, key = client.write(self.folder, "client-" + re.sub(r"\W", "_", client.name))
            made.load_cert_chain(crt, key)
        return made

    def open(self, context=None, session=None):
        """A TLS connection."""
        raw = socket.create_connection(("127.0.0.1", self.port), 20)
        return (context or self.context()).wrap_socket(raw, server_hostname="localhost", session=session)

    def ask(self, path="/api/v1/eth2/publicKeys", context=None):
        """(status, body) of a GET."""
        connection = http.client.HTTPSConnection("localhost", self.port, context=context or self.context(), timeout=20)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def sign_as(self, client, body, version):
        """The status of a signing request with this client certificate (None: none)."""
        context = self.context(client, version)
        connection = http.client.HTTPSConnection("localhost", self.port, context=context, timeout=20)
        try:
            connection.request("POST", f"/api/v1/eth2/sign/{KEY}", json.dumps(body), {"Content-Type": "application/json"})
            return connection.getresponse().status
        finally:
            connection.close()

    def serial(self):
        """Of the certificate that a new connection gets."""
        with self.open() as tls:
            return int(certificates.x509.load_der_x509_certificate(tls.getpeercert(True)).serial_number)

    def metric(self, name):
        """The value of a metric without labels."""
        return float(re.search(rf"^{name} (\S+)$", self.daemon.metrics(), flags=re.M).group(1))


@pytest.fixture
def make_signer(make_daemon, workdir):
    """Makes a Signer."""
    return lambda **options: Signer(make_daemon, workdir, **options)


def request_over(tls, path="/upcheck"):
    """One request on an open TLS connection; (status, body)."""
    tls.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    answer = http.client.HTTPResponse(tls)
    answer.begin()
    return answer.status, answer.read()


def refused_at_start(daemon, *words):
    """The start fails with the refusing code, and the log names why."""
    daemon.init()
    daemon.spawn()
    assert daemon.process.wait(20) == 3, daemon.log_text()
    for word in words:
        assert word in daemon.log_text(), daemon.log_text()[-3000:]


def openssl(*arguments, text=""):
    """`openssl s_client` with its end of input at once; all that it says."""
    done = subprocess.run(["openssl", "s_client", *map(str, arguments)], input=text, capture_output=True, text=True,
                          timeout=20, check=False)
    return done.stdout + done.stderr


# --- what is served --------------------------------------------------------------------------------------------------


def test_signs_over_tls(make_signer):
    signer = make_signer().start()
    connection = http.client.HTTPSConnection("localhost", signer.port, context=signer.context(), timeout=20)
    for epoch in range(1, 6):
        connection.request("POST", f"/api/v1/eth2/sign/{KEY}", json.dumps(messages.attestation(epoch, epoch + 1)),
                           {"Content-Type": "application/json", "Accept": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200 and len(json.loads(answer.read())["signature"]) == 194
    assert signer.metric("containment_tls_handshakes_total") >= 1
    assert signer.metric("containment_tls_certificate_expiry_seconds") == pytest.approx(
        signer.pair.end.timestamp(), abs=1)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_and_ciphers(make_signer, version):
    signer = make_signer().start()
    with signer.open(signer.context(version=version)) as tls:
        assert tls.selected_alpn_protocol() == "http/1.1"
        assert "GCM" in tls.cipher()[0] or "CHACHA20" in tls.cipher()[0]
        assert request_over(tls)[0] == 200


def test_old_versions_and_weak_ciphers_are_refused(make_signer):
    signer = make_signer(pair=certificates.Pair("rsa", rsa_bits=2048)).start()
    where = ["-connect", f"127.0.0.1:{signer.port}"]
    assert "Cipher is (NONE)" in openssl(*where, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
    for cipher in ("AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA384", "DHE-RSA-AES128-GCM-SHA256", "eNULL:aNULL"):
        assert "Cipher is (NONE)" in openssl(*where, "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0"), cipher
    for cipher in ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"):
        assert f"Cipher is {cipher}" in openssl(*where, "-tls1_2", "-cipher", cipher), cipher
    said = openssl(*where)
    assert "Secure Renegotiation IS" in said and "Compression: NONE" in said


def test_alpn_of_another_protocol_is_refused(make_signer):
    signer = make_signer().start()
    context = signer.context()
    context.set_alpn_protocols(["h2"])
    with pytest.raises((ssl.SSLError, ConnectionError)):
        with signer.open(context) as tls:
            request_over(tls)
    context = ssl.create_default_context(cafile=str(signer.ca))
    with signer.open(context) as tls:
        assert tls.selected_alpn_protocol() is None and request_over(tls)[0] == 200


def test_pkcs12_with_password_in_environment_and_file(make_signer):
    signer = make_signer(tls={"cert_path": None, "key_path": None}, environment={"TLS_PASSWORD": PASSWORD})
    path, password = signer.folder / "server.p12", signer.folder / "password"
    certificates.replace(path, signer.pair.pkcs12(PASSWORD), 0o600)
    certificates.replace(password, PASSWORD + "\n", 0o600)
    files = signer.daemon.config["tls"]["file"]
    files.update(pkcs12_path=str(path), password="env:TLS_PASSWORD")
    signer.daemon.write_config()
    signer.start()
    assert signer.ask()[0] == 200 and signer.serial() == signer.pair.serial()
    assert signer.daemon.stop() == 0
    files["password"] = f"file:{password}"
    signer.daemon.write_config()
    signer.daemon.start()
    assert signer.ask()[0] == 200
    assert PASSWORD not in signer.daemon.log_text()


def test_an_encrypted_pem_key(make_signer):
    signer = make_signer(tls={"password": "env:TLS_PASSWORD"}, environment={"TLS_PASSWORD": PASSWORD})
    certificates.replace(signer.key, signer.pair.key_pem(PASSWORD), 0o600)
    signer.start()
    assert signer.ask()[0] == 200


def test_sessions_are_resumed(make_signer):
    signer = make_signer().start()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = signer.context(version=version)
        with signer.open(context) as tls:
            assert request_over(tls)[0] == 200 and not tls.session_reused
            session = tls.session
        with signer.open(context, session) as tls:
            assert request_over(tls)[0] == 200 and tls.session_reused, version
    assert signer.metric("containment_tls_resumed_total") == 2


def test_T21_with_TLS_the_plain_port_serves_probes_alone(make_signer):
    signer = make_signer().start()
    for path in ("/upcheck", "/readyz"):
        assert signer.daemon.get(path)[0] == 200
        assert signer.ask(path)[0] == 200
    for path in ("/healthcheck", "/reload", "/api/v1/eth2/publicKeys", "/api/v1/eth2/highWatermark"):
        status, _, body = signer.daemon.get(path, {"Authorization": "Bearer cc_token_canary"})
        assert status == 403 and b"https" in body, path
        assert signer.ask(path)[0] in (200, 503), path
    assert signer.daemon.sign(KEY, messages.attestation(1, 2))[0] == 403
    assert "cc_token_canary" not in signer.daemon.log_text()


def test_plain_http_on_the_tls_port_gets_nothing(make_signer):
    signer = make_signer().start()
    with socket.create_connection(("127.0.0.1", signer.port), 20) as raw:
        raw.sendall(b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            assert b"HTTP" not in b"".join(iter(lambda: raw.recv(4096), b""))
        except ConnectionResetError:
            pass  # it closes with our request unread
    assert signer.ask()[0] == 200


def test_head_is_judged_as_strictly_as_over_tcp(make_signer):
    signer = make_signer().start()
    for head in (b"GET /upcheck HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET /upcheck HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
                 b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n"):
        with signer.open() as tls:
            tls.sendall(head)
            assert tls.recv(4096).startswith(b"HTTP/1.1 400"), head


def test_T29_silent_and_slow_handshakes_hold_nothing_up(make_signer):
    config = {"server": {"listen_port": 0, "request_deadline_seconds": 2, "max_connections": 64, "drain_seconds": 1}}
    signer = make_signer(config=config).start()
    crowd = []
    for number in range(96):
        one = socket.create_connection(("127.0.0.1", signer.port), 20)
        if number % 2:
            one.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # a ClientHello that never ends
        crowd.append(one)
    assert signer.ask()[0] == 200
    wait_for("the deadline of handshakes", lambda: signer.metric("containment_tls_failed_total") >= 64)
    for one in crowd:
        one.close()
    assert signer.ask()[0] == 200


def front_seconds(signer):
    """Processor time of the front so far."""
    tasks = pathlib.Path(f"/proc/{signer.daemon.room('front')}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def test_T29_who_stops_half_way_costs_no_processor_time(make_signer):
    """Handshakes that wait, a request that is not complete, an answer that nobody reads: the front sleeps."""
    config = {"server": {"listen_port": 0, "request_deadline_seconds": 60, "drain_seconds": 1}}
    signer = make_signer(config=config).start()
    silent = [socket.create_connection(("127.0.0.1", signer.port), 20) for _ in range(8)]
    for one in silent[4:]:
        one.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    half = signer.open()
    half.sendall(b"GET /upcheck HTTP/1.1\r\nHost:")
    body = signer.open()
    body.sendall(f"POST /api/v1/eth2/sign/{KEY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 900\r\n\r\n{{".encode())
    unread = signer.open()
    unread.setblocking(False)
    with pytest.raises(ssl.SSLWantWriteError):
        for _ in range(10000):
            unread.send(b"GET /api/v1/eth2/publicKeys HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100)
    idle = signer.open()
    assert request_over(idle)[0] == 200
    wait_for("quiet", lambda: spent(signer) < 0.05)
    assert signer.ask()[0] == 200
    for one in (*silent, half, body, unread, idle):
        one.close()


def spent(signer):
    """Seconds of processor time that the front takes in a quarter of a second."""
    before = front_seconds(signer)
    threading.Event().wait(0.25)
    return front_seconds(signer) - before


# --- files that change -------------------------------------------------------------------------------------------------


class Load:
    """Requests on kept connections and on new ones, all the time; counts failures."""

    def __init__(self, signer):
        self.signer = signer
        self.context = signer.context()
        self.ended = threading.Event()
        self.failures = []
        self.done = 0
        self.threads = [threading.Thread(target=self.keep), threading.Thread(target=self.renew)]
        for thread in self.threads:
            thread.start()

    def keep(self):
        """One connection that must live through all."""
        with self.signer.open(self.context) as tls:
            while not self.ended.is_set():
                try:
                    status = request_over(tls, "/api/v1/eth2/publicKeys")[0]
                    self.done += status == 200
                except (OSError, http.client.HTTPException) as broken:
                    self.failures.append(repr(broken))
                    return

    def renew(self):
        """A connection for each request."""
        while not self.ended.is_set():
            try:
                self.done += self.signer.ask(context=self.context)[0] == 200
            except (OSError, http.client.HTTPException) as broken:
                self.failures.append(repr(broken))

    def end(self):
        """Stops; there must be requests and no failure."""
        self.ended.set()
        for thread in self.threads:
            thread.join()
        assert self.failures == [] and self.done > 20, (self.failures[:3], self.done)


def test_files_are_replaced_under_load_without_a_failed_request(make_signer):
    signer = make_signer().start()
    load = Load(signer)
    for _ in range(3):
        fresh = certificates.Pair("signer", signer.authority)
        fresh.write(signer.folder, "server")
        wait_for("the new certificate", lambda serial=fresh.serial(): signer.serial() == serial)
    load.end()
    assert signer.metric("containment_tls_reloads_total") >= 3


def test_a_kubernetes_secret_is_swapped_by_its_link(make_signer, workdir):
    signer = make_signer(tls={"reload_interval_seconds": 1})
    secret = workdir / "secret"
    secret.mkdir()

    def put(pair, name):
        folder = secret / name
        folder.mkdir()
        pair.write(folder, "tls")
        link = secret / "..data_tmp"
        link.symlink_to(name)
        link.rename(secret / "..data")

    put(signer.pair, "..2026_1")
    for name in ("tls.crt", "tls.key"):
        (secret / name).symlink_to(f"..data/{name}")
    signer.daemon.config["tls"]["file"].update(cert_path=str(secret / "tls.crt"), key_path=str(secret / "tls.key"))
    signer.daemon.write_config()
    signer.start()
    assert signer.serial() == signer.pair.serial()
    fresh = certificates.Pair("signer", signer.authority)
    put(fresh, "..2026_2")
    wait_for("the new certificate", lambda: signer.serial() == fresh.serial())


def test_sighup_reads_the_files_when_nobody_watches(make_signer):
    signer = make_signer(tls={"reload_interval_seconds": 0}).start()
    fresh = certificates.Pair("signer", signer.authority)
    fresh.write(signer.folder, "server")
    os.kill(signer.daemon.process.pid, 1)
    wait_for("the new certificate", lambda: signer.serial() == fresh.serial())


def test_sighup_takes_other_paths(make_signer):
    signer = make_signer().start()
    fresh = certificates.Pair("signer", signer.authority)
    crt, key = fresh.write(signer.folder, "other")
    signer.daemon.config["tls"]["file"].update(cert_path=str(crt), key_path=str(key))
    signer.daemon.write_config()
    os.kill(signer.daemon.process.pid, 1)
    wait_for("the new certificate", lambda: signer.serial() == fresh.serial())


@pytest.mark.parametrize("broken", ["nonsense", "empty", "other key", "expired", "gone"])
def test_new_files_that_are_no_good_leave_the_old_ones_in_use(make_signer, broken):
    signer = make_signer().start()
    if broken == "nonsense":
        certificates.replace(signer.crt, b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    elif broken == "empty":
        certificates.replace(signer.key, b"")
    elif broken == "other key":
        certificates.replace(signer.key, certificates.Pair("x").key_pem())
    elif broken == "expired":
        certificates.Pair("signer", signer.authority, begin=-9, days=-1).write(signer.folder, "server")
    else:
        signer.key.unlink()
    said = "the TLS files stay as they were" if broken == "gone" else "the certificate before them stays in use"
    wait_for("the refusal", lambda: said in signer.daemon.log_text())
    assert signer.serial() == signer.pair.serial()
    if broken != "gone":
        assert signer.metric("containment_tls_reload_failures_total") == 1
    # A front that is started again has no other files than these, and yet serves.
    signer.daemon.kill_room("front")
    wait_for("the front", lambda: signer.daemon.status_of("/readyz") == 200)
    assert signer.serial() == signer.pair.serial()
    fresh = certificates.Pair("signer", signer.authority)
    fresh.write(signer.folder, "server")
    wait_for("the new certificate", lambda: signer.serial() == fresh.serial())


def test_a_front_that_is_started_again_serves_tls(make_signer):
    signer = make_signer().start()
    signer.daemon.kill_room("front")
    wait_for("the front", lambda: signer.daemon.status_of("/readyz") == 200)
    assert signer.ask()[0] == 200


@pytest.mark.parametrize("pair, words", [
    (lambda: certificates.Pair("old", begin=-9, days=-1), ["the certificate has expired"]),
    (lambda: certificates.Pair("weak", rsa_bits=1024), ["less than 2048 bits"]),
])
def test_certificates_that_no_start_accepts(make_signer, pair, words):
    refused_at_start(make_signer(pair=pair()).daemon, *words)


def test_a_key_of_another_certificate_ends_the_start(make_signer):
    signer = make_signer()
    certificates.replace(signer.key, certificates.Pair("x").key_pem(), 0o600)
    refused_at_start(signer.daemon, "the private key does not belong to the certificate")


def test_a_wrong_password_ends_the_start(make_signer):
    signer = make_signer(tls={"password": "env:TLS_PASSWORD"}, environment={"TLS_PASSWORD": "wrong"})
    certificates.replace(signer.key, signer.pair.key_pem(PASSWORD), 0o600)
    refused_at_start(signer.daemon, "the password is wrong")


def test_a_missing_file_or_variable_ends_the_start(make_signer):
    signer = make_signer(tls={"password": "env:NOT_SET"})
    signer.crt.unlink()
    refused_at_start(signer.daemon, "tls.file.cert_path", "can't be opened", "tls.file.password", "names a variable that is not set")


@pytest.mark.parametrize("tls, words", [
    ({"mode": "file"}, "tls.mode: file needs tls.file.cert_path and key_path, or tls.file.pkcs12_path"),
    ({"mode": "file", "file": {"cert_path": "/a"}}, "cert_path and key_path go together"),
    ({"file": {"cert_path": "/a", "key_path": "/b", "pkcs12_path": "/c"}}, "takes the place of cert_path and key_path"),
    ({"file": {"password": "secret-in-clear"}}, "is not written here: use env:NAME or file:PATH"),
    ({"mode": "file", "listen_port": 9000, "file": {"pkcs12_path": "/c"}}, "is server.listen_port too"),
    ({"mode": "atls"}, "atls and tee.platform: nitro need each other"),
    ({"atls": {"pcrs": "x"}}, "tls.atls.pcrs: unknown option"),
])
def test_configurations_that_are_refused(make_daemon, tls, words):
    daemon = make_daemon(config={"tls": tls, "server": {"listen_port": 9000}})
    done = daemon.command("config", "check", "-c", daemon.config_path, check=False)
    assert done.returncode != 0 and words in done.stdout + done.stderr, done.stdout + done.stderr
    assert "secret-in-clear" not in done.stdout + done.stderr


# --- client certificates -------------------------------------------------------------------------------------------------


def accepts(signer, client):
    """Whether a client with this certificate (None: none) gets an answer; over TLS 1.3 and 1.2 alike."""
    found = set()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        try:
            found.add(signer.ask(context=signer.context(client, version))[0] == 200)
        except (ssl.SSLError, ConnectionError, http.client.HTTPException):
            found.add(False)
    assert len(found) == 1, "the two versions disagree"
    return found.pop()


def with_clients(make_signer, client_auth, **more):
    """A signer that knows clients of an authority and one by its fingerprint; (signer, clients by name)."""
    signer = make_signer(tls={"client_auth": client_auth})
    authority = certificates.Pair("clients' authority", authority=True)
    stranger = certificates.Pair("another authority", authority=True)
    clients = {
        "of the authority": certificates.Pair("validator one", authority, client=True),
        "known": certificates.Pair("validator two", client=True),
        "stranger": certificates.Pair("validator one", stranger, client=True),
        "self-signed": certificates.Pair("validator two", client=True),
        "expired": certificates.Pair("validator one", authority, client=True, begin=-9, days=-1),
        "expired and known": certificates.Pair("validator three", client=True, begin=-9, days=-1),
        "a server's": certificates.Pair("validator one", authority),
        "of another name": certificates.Pair("validator four", client=True),
        "none": None,
    }
    ca, known = signer.folder / "clients.crt", signer.folder / "known"
    certificates.replace(ca, authority.pem())
    certificates.replace(known, "# Web3Signer's form\n\n"
                         f"validator two {clients['known'].fingerprint()}\n"
                         f"validator three {clients['expired and known'].fingerprint().replace(':', '').lower()}\n"
                         f"validator five {clients['of another name'].fingerprint()}\n")
    files = signer.daemon.config["tls"]["file"]
    files.update({"client_ca_path": str(ca), "known_clients_path": str(known), **more})
    signer.daemon.config["tls"]["file"] = {k: v for k, v in files.items() if v is not None}
    signer.daemon.write_config()
    return signer, clients


@pytest.mark.parametrize("client_auth, without", [("optional", True), ("required", False)])
def test_client_certificates_by_authority_and_known_clients(make_signer, client_auth, without):
    signer, clients = with_clients(make_signer, client_auth)
    signer.start()
    good = {"of the authority": True, "known": True, "none": without}
    for name, client in clients.items():
        assert accepts(signer, client) == good.get(name, False), name
    assert signer.metric("containment_tls_clients_refused_total") >= 2 * 6
    assert "neither an authority nor a list knows it" in signer.daemon.log_text()
    assert clients["stranger"].fingerprint().replace(":", "").lower() in signer.daemon.log_text()
    assert signer.daemon.get("/upcheck")[0] == 200


def test_without_client_auth_no_certificate_is_asked_for(make_signer):
    signer, clients = with_clients(make_signer, "none")
    signer.start()
    for name in ("none", "stranger", "expired"):
        assert accepts(signer, clients[name]), name


def test_known_clients_alone(make_signer):
    signer, clients = with_clients(make_signer, "required", client_ca_path=None)
    signer.start()
    assert accepts(signer, clients["known"])
    assert not accepts(signer, clients["of the authority"])


def test_a_client_is_taken_off_the_list(make_signer):
    """Neither a new handshake nor a ticket from before brings it back."""
    signer, clients = with_clients(make_signer, "required", client_ca_path=None)
    signer.start()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        known = signer.folder / "known"
        certificates.replace(known, f"validator two {clients['known'].fingerprint()}\n")
        context = signer.context(clients["known"], version)
        before = signer.metric("containment_tls_reloads_total")
        os.kill(signer.daemon.process.pid, 1)
        wait_for("the reload", lambda before=before: signer.metric("containment_tls_reloads_total") > before)
        with signer.open(context) as tls:
            assert request_over(tls)[0] == 200
            session = tls.session
        with signer.open(context, session) as tls:
            assert request_over(tls)[0] == 200 and tls.session_reused
        before = signer.metric("containment_tls_reloads_total")
        certificates.replace(known, f"validator two {clients['self-signed'].fingerprint()}\n")
        wait_for("the reload", lambda before=before: signer.metric("containment_tls_reloads_total") > before)
        with pytest.raises((OSError, http.client.HTTPException)):
            with signer.open(context, session) as tls:
                request_over(tls)


@pytest.mark.parametrize("text", ["only-a-name\n", "name 1234\n", "name " + "zz" * 32 + "\n"])
def test_a_known_clients_file_is_refused_with_its_line(make_signer, text):
    signer, _ = with_clients(make_signer, "required")
    certificates.replace(signer.folder / "known", "# comment\n" + text)
    refused_at_start(signer.daemon, "the file of known clients is refused", '"line":2')


def test_asking_for_certificates_that_nothing_accepts_ends_the_start(make_signer):
    signer, _ = with_clients(make_signer, "required", client_ca_path=None, known_clients_path=None)
    refused_at_start(signer.daemon, "nothing says which are accepted")


def test_curl_with_a_client_certificate(make_signer):
    signer, clients = with_clients(make_signer, "required")
    signer.start()
    crt, key = clients["of the authority"].write(signer.folder, "curl")
    url = f"https://localhost:{signer.port}/api/v1/eth2/publicKeys"
    curl = ["curl", "-sS", "--fail", "--cacert", str(signer.ca), url]
    done = subprocess.run([*curl, "--cert", str(crt), "--key", str(key)], capture_output=True, timeout=20, check=False)
    assert done.returncode == 0 and KEY in done.stdout.decode(), done.stderr
    assert subprocess.run(curl, capture_output=True, timeout=20, check=False).returncode != 0


def test_rows_of_certificates_say_who_a_client_is(make_signer):
    """By fingerprint without any authority; by names only where somebody vouches for them."""
    pinned = certificates.Pair("pinned", client=True)
    other_pinned = certificates.Pair("pinned", client=True)
    signer, clients = with_clients(make_signer, "optional")
    named = certificates.Pair("of an alternative name", clients["of the authority"].issuer, client=True, names=["one.example"])
    nobody = certificates.Pair("validator nobody", clients["of the authority"].issuer, client=True)
    signer.daemon.environment["TOKEN"] = "a-static-token-of-the-tests-0123456789"
    signer.daemon.config["auth_policies"] = {"signers": {"token": "env:TOKEN", "allowed_scopes": ["sign", "public_keys"]}}
    signer.daemon.config["auth"] = {"certificates": [
        f"sha256:{pinned.fingerprint().replace(':', '').lower()}=signers", "cn:validator one=signers", "san:one.example=signers"]}
    signer.daemon.write_config()
    signer.start()
    body = messages.attestation(1, 2)
    for client, status in ((pinned, 200), (clients["of the authority"], 200), (named, 200), (clients["known"], 401), (nobody, 401), (None, 401)):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            got = signer.sign_as(client, body, version)
            assert got == status, (client and client.name, version, got)
    for client in (other_pinned, clients["stranger"]):  # the same names, and nobody vouches for them
        assert not accepts(signer, client), client.name


def test_a_resumed_session_is_the_same_client(make_signer):
    signer, clients = with_clients(make_signer, "optional")
    signer.daemon.environment["TOKEN"] = "a-static-token-of-the-tests-0123456789"
    signer.daemon.config["auth_policies"] = {"signers": {"token": "env:TOKEN", "allowed_scopes": ["sign", "public_keys"]}}
    signer.daemon.config["auth"] = {"certificates": ["cn:validator one=signers"]}
    signer.daemon.write_config()
    signer.start()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = signer.context(clients["of the authority"], version)
        with signer.open(context) as tls:
            assert request_over(tls, "/api/v1/eth2/publicKeys")[0] == 200
            session = tls.session
        with signer.open(context, session) as tls:
            assert request_over(tls, "/api/v1/eth2/publicKeys")[0] == 200 and tls.session_reused
        assert signer.ask(context=signer.context(None, version))[0] == 401


# --- secrets -----------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="left out: reading another process needs root")
def test_C03_the_private_key_is_in_the_front_alone(make_signer):
    signer = make_signer(tls={"password": "env:TLS_PASSWORD"}, environment={"TLS_PASSWORD": PASSWORD})
    certificates.replace(signer.key, signer.pair.key_pem(PASSWORD), 0o600)
    signer.start()
    assert signer.ask()[0] == 200
    secrets = [signer.pair.secret()]
    rooms = signer.daemon.rooms()
    control = memory.search_memory(rooms["front"], secrets)
    assert control, "the search does not find what is there"
    for room in ("core", "vault"):
        assert memory.search_memory(rooms[room], secrets) == [], room
        assert PASSWORD.encode() not in b"".join(data for _, data in memory.memory_of(rooms[room])), room
    assert memory.search_memory(signer.daemon.process.pid, secrets) == [], "supervisor"
    fresh = certificates.Pair("signer", signer.authority)
    certificates.replace(signer.crt, fresh.pem())
    certificates.replace(signer.key, fresh.key_pem(PASSWORD), 0o600)
    wait_for("the new certificate", lambda: signer.serial() == fresh.serial())
    wait_for("the end of the old key", lambda: memory.search_memory(rooms["front"], secrets) == [])
    secrets.append(fresh.secret())
    limits = pathlib.Path(f"/proc/{rooms['front']}/limits").read_text()
    assert re.search(r"Max core file size\s+0\s+0", limits)
    assert signer.daemon.stop() == 0
    shown = signer.daemon.log_path.read_bytes()
    for path in signer.daemon.data_dir.rglob("*"):
        shown += path.read_bytes() if path.is_file() else b""
    assert memory.search_text(shown, secrets) == [] and PASSWORD.encode() not in shown


def holds(pid, text):
    """Whether a process has this in its memory."""
    return any(text in data for _, data in memory.memory_of(pid))


@pytest.mark.skipif(os.geteuid() != 0, reason="left out: reading another process needs root")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_C03_a_token_that_came_over_tls_is_not_found_again(make_signer, version):
    """While its connection lives; a request that is not complete is the positive control."""
    signer = make_signer().start()
    token = "cc_token_canary-" + os.urandom(16).hex()
    with signer.open(signer.context(version=version)) as tls:
        tls.sendall(f"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(tls)
        answer.begin()
        answer.read()
        tls.sendall(b"GET /canary-of-a-head-that-has-no-end HTTP/1.1\r\nHost:")
        wait_for("the search to find what is there", lambda: holds(signer.daemon.room("front"), b"/canary-of-a-head"))
        for name, pid in signer.daemon.rooms().items():
            assert not holds(pid, token.encode()), name
    assert token not in signer.daemon.log_text()


# --- the command line ------------------------------------------------------------------------------------------------------------


def cli(signer, *more, host="localhost"):
    """`slashing status` on the running signer over TLS; (exit code, all that it says)."""
    done = signer.daemon.command("slashing", "status", "--signer-url", f"https://{host}:{signer.port}", *more, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_command_line_checks_the_certificate_and_its_name(make_signer):
    """Open mode gives nobody the history over TCP: the refusal itself shows that the request came through."""
    signer = make_signer().start()
    code, said = cli(signer, "--ca", signer.ca)
    assert code != 0 and "token" in said and "certificate" not in said, said
    for more, host in (([], "localhost"), (["--ca", signer.crt.with_name("none")], "localhost"), (["--ca", signer.ca], "127.0.0.2")):
        code, said = cli(signer, *more, host=host)
        assert code != 0 and "token is required" not in said, said
    code, said = cli(signer)
    assert "not trusted" in said and "--ca" in said, said


def test_the_command_line_shows_a_client_certificate(make_signer):
    signer, clients = with_clients(make_signer, "required")
    signer.start()
    crt, key = clients["of the authority"].write(signer.folder, "cli")
    code, said = cli(signer, "--ca", signer.ca, "--client-cert", crt, "--client-key", key)
    assert code != 0 and "token" in said, said
    code, said = cli(signer, "--ca", signer.ca)
    assert code != 0 and "token is required" not in said, said


@pytest.mark.parametrize("arguments, words", [
    (["--ca", "x"], "needs --signer-url"),
    (["--signer-url", "http://localhost:1", "--ca", "x"], "https://"),
    (["--signer-url", "https://localhost:1", "--client-cert", "x"], "go together"),
    (["--signer-url", "https://user:secret@localhost:1"], "--auth-token"),
])
def test_arguments_of_tls_that_make_no_sense(make_daemon, arguments, words):
    done = make_daemon().command("slashing", "status", *arguments, check=False)
    assert done.returncode == 2 and words in done.stderr, done.stderr
