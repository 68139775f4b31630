"""Attested TLS end to end: a signer whose certificate an (emulated) enclave vouches for, clients that can't verify and go through
`attest proxy`, commands that verify by themselves, and whom all of them refuse."""
import json
import re
import shutil
import ssl
import socket
import subprocess

import pytest

import interop
import messages
from attested import Attested, nsm_device
from daemon import wait_for
from enclave_proxy import is_locked

KEY = interop.PUBKEYS[0]


@pytest.fixture
def signer(make_daemon):
    """Started, with one key."""
    with Attested(make_daemon) as made:
        yield made.start()


def attestation(target):
    """A request that may be signed once for each target."""
    return messages.attestation(target - 1, target)


# --- clients that know nothing of attestation ------------------------------------------------------------------------------


def test_stock_clients_sign_through_the_proxy(signer):
    """curl and Python's own client, over plain HTTP to loopback; what comes back is what the signer would have said at once."""
    proxy = signer.proxy()
    assert is_locked(proxy.process.pid)
    status, _, body = proxy.request("POST", f"/api/v1/eth2/sign/{KEY}", attestation(5))
    assert status == 200
    signature = json.loads(body)["signature"]
    made = subprocess.run(
        ["curl", "-sf", "-X", "POST", "-H", "Content-Type: application/json", "-H", "Accept: application/json", "--data", json.dumps(attestation(5)),
         f"http://127.0.0.1:{proxy.port}/api/v1/eth2/sign/{KEY}"], capture_output=True, check=True, timeout=30)
    assert json.loads(made.stdout)["signature"] == signature
    assert proxy.request("GET", "/api/v1/eth2/publicKeys")[0] == 200
    assert proxy.request("POST", f"/api/v1/eth2/sign/{KEY}", messages.attestation(4, 5, 1))[0] == 412
    connection = proxy.connect()  # and many over one connection
    for target in range(6, 26):
        assert connection.request("POST", f"/api/v1/eth2/sign/{KEY}", attestation(target))[0] == 200
    connection.close()
    assert proxy.metric("verified_total") == proxy.metric("accepted_total") == 5
    assert proxy.end() == 0


def test_the_signer_asked_for_one_document_and_said_what_it_is(signer):
    """One for the certificate: what each connection costs is not the module's. Its user data has key, chamber and configuration."""
    proxy = signer.proxy()
    for _ in range(3):
        assert proxy.request("GET", "/upcheck")[0] == 200
    assert len(signer.device.documents) == 1
    ask = signer.device.documents[0]
    assert ask["user_data"].startswith(b"containment-chamber/atls/v1\0")
    assert len(ask["user_data"]) == 28 + 48 + 32 + 32
    assert ask["user_data"][76:108].hex() == signer.chamber_id
    assert ask["nonce"] is None and ask["public_key"] is None


def test_the_plain_port_serves_probes_alone(signer):
    """As with TLS from files."""
    assert signer.daemon.get("/upcheck")[0] == 200
    assert signer.daemon.get("/attestation?nonce=" + 16 * "00")[0] == 403
    assert signer.daemon.get("/api/v1/eth2/publicKeys")[0] == 403


# --- whom the proxy refuses ----------------------------------------------------------------------------------------------------


def refused(proxy, reason):
    """The client gets 502 and why; the signer gets nothing."""
    status, _, body = proxy.request("GET", "/upcheck")
    assert (status, json.loads(body)["error"]) == (502, reason)
    wait_for("the count", lambda: proxy.metric(f'refused_total{{reason="{reason}"}}'))
    assert proxy.metric("verified_total") == 0
    assert proxy.metric('bytes_total{way="up"}') == 0


def test_a_client_is_told_that_the_signer_is_away(signer):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    proxy = signer.proxy(signer=f"tcp:127.0.0.1:{port}")
    status, _, body = proxy.request("GET", "/upcheck")
    said = json.loads(body)
    assert (status, said["error"]) == (502, "IO") and "nothing listens at the signer's endpoint" in said["message"], body
    assert "verified enclave" not in proxy.log_path.read_text()  # nothing was verified


def test_T32_other_images_chambers_and_roots_are_refused(signer, workdir):
    """Each in one point other than what runs there."""
    for number in range(3):
        pcrs = dict(signer.device.pcrs)
        pcrs[number] = bytes([pcrs[number][0] ^ 1]) + pcrs[number][1:]
        refused(signer.proxy(pcrs=pcrs), "ATTEST_PCRS")
    refused(signer.proxy(chamber="00" * 32), "ATTEST_BINDING")
    refused(signer.proxy(more=["--attest-config", "00" * 32]), "ATTEST_BINDING")
    other = workdir / "other.der"
    other.write_bytes(nsm_device.Authority().root.der)
    refused(signer.proxy(root=other), "ATTEST_CHAIN")


def test_T32_one_of_several_sets_must_hold_as_a_whole(signer):
    """While an image is replaced two are right; registers of both don't mix."""
    right = [f"--attest-pcr={n}={signer.device.pcrs[n].hex()}" for n in range(2)]
    wrong = [f"--attest-pcr={n}={48 * '11'}" for n in range(2)]
    rest = ["--attest-chamber", "any", "--attest-root", signer.device.root_path]
    ask = ["auth", "token", "list", "--signer-url", f"https://localhost:{signer.port}", "--attested", *rest]
    mixed = signer.daemon.command(*ask, right[0], wrong[1], wrong[0], right[1], check=False)
    assert mixed.returncode != 0 and "another image" in mixed.stderr
    both = signer.daemon.command(*ask, *wrong, *right, check=False)
    assert "another image" not in both.stderr and "401" in both.stderr + both.stdout


@pytest.mark.parametrize("fault", ["debug", "old", "unsigned"])
def test_T32_documents_that_do_not_hold_are_refused(make_daemon, fault):
    """The signer serves what its module gives; the proxy doesn't take it."""
    with Attested(make_daemon) as signer:
        pcrs = dict(signer.device.pcrs)
        if fault == "debug":
            signer.device.pcrs.update({n: bytes(48) for n in (0, 1, 2)})
        elif fault == "old":
            signer.device.timestamp_ms = int((signer.device.authority.now() - 600) * 1000)
            signer.device.leaf = nsm_device.Issued("old.test-1.aws", signer.device.authority.instance,
                                                   signer.device.authority.now() - 700, 3 * 3600, leaf=True)
        else:
            signer.device.signs_with = nsm_device.Authority().leaf().key
        signer.start()
        reason = {"debug": "ATTEST_DEBUG", "old": "ATTEST_TIME", "unsigned": "ATTEST_SIGNATURE"}[fault]
        refused(signer.proxy(pcrs=pcrs, more=["--attest-max-age", "5m"]), reason)
        if fault == "debug":
            allowed = signer.proxy(more=["--attest-allow-debug"])
            assert allowed.request("GET", "/upcheck")[0] == 200
            assert "debug mode is accepted" in allowed.log_path.read_text()


def test_T32_a_signer_with_an_ordinary_certificate_is_refused(signer, workdir):
    """The parent machine can listen in the enclave's place with whatever certificate it likes."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj",
                    "/CN=localhost", "-keyout", workdir / "tls.key", "-out", workdir / "tls.crt"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(workdir / "tls.crt", workdir / "tls.key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = signer.proxy(signer=f"tcp:127.0.0.1:{listener.getsockname()[1]}")
        raw = socket.create_connection(("127.0.0.1", proxy.port))
        raw.sendall(b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\n\r\n")
        accepted, _ = listener.accept()
        with pytest.raises((ssl.SSLError, OSError)):
            context.wrap_socket(accepted, server_side=True).recv(1)
        answer = raw.recv(65536)
        assert answer.startswith(b"HTTP/1.1 502 ") and b"ATTEST_LEAF" in answer
        raw.close()


def test_it_listens_on_loopback_alone_unless_allowed(signer):
    """What comes there is not encrypted."""
    rest = ["--signer", f"tcp:127.0.0.1:{signer.port}", *signer.whom()]
    for endpoint in ("tcp:0.0.0.0:0", "tcp:[::]:0", "vsock:any:5000"):
        made = signer.daemon.command("attest", "proxy", "--listen", endpoint, *rest, check=False)
        assert made.returncode == 2 and "--allow-remote-clients" in made.stderr, endpoint
    made = signer.daemon.command("attest", "proxy", "--listen", "tcp:127.0.0.1:0", "--metrics", "tcp:0.0.0.0:0", *rest, check=False)
    assert made.returncode == 2 and "--allow-remote-clients" in made.stderr


def test_a_policy_must_say_whom(signer):
    """Without registers, or a word on the chamber, nothing is made of it."""
    base = ["attest", "proxy", "--listen", "tcp:127.0.0.1:0", "--signer", f"tcp:127.0.0.1:{signer.port}"]
    pcr = f"--attest-pcr=0={signer.device.pcrs[0].hex()}"
    for more, words in ([], "--attest-pcr"), ([pcr], "--attest-chamber"), (["--attest-chamber=any"], "--attest-pcr"), (
            [pcr, "--attest-chamber=zz"], "32 bytes"), ([pcr, "--attest-chamber=any", "--attest-max-age=1s"], "60s"), (
            ["--attest-pcr=0=12"], "96 hex digits"), ([pcr, "--attest-chamber=any", "--attest-root=/dev/null"], "certificate"):
        made = signer.daemon.command(*base, *more, check=False)
        assert made.returncode == 2 and words in made.stderr, (more, made.stderr)


# --- commands verify by themselves -------------------------------------------------------------------------------------------------


def test_T32_commands_verify_before_they_send_a_credential(signer, workdir):
    """With liveness: the module is asked once more, with a nonce. To another enclave no byte of the token goes."""
    token = workdir / "token"
    token.write_text("cc_token_" + 43 * "A")
    ask = ["keys", "list", "--signer-url", f"https://localhost:{signer.port}", "--auth-token", f"file:{token}", "--attested"]
    made = signer.daemon.command(*ask, *signer.whom(), check=False)
    assert made.returncode != 0 and "401" in made.stderr + made.stdout, made.stderr  # it came so far: nobody knows the token
    assert len(signer.device.documents) == 2
    assert len(signer.device.documents[1]["nonce"]) == 32
    assert signer.device.documents[1]["user_data"] == signer.device.documents[0]["user_data"]
    with socket.create_server(("127.0.0.1", 0)) as listener:  # everything that is sent to who is no enclave
        ask[3] = f"https://localhost:{listener.getsockname()[1]}"
        with subprocess.Popen([signer.daemon.binary, *ask, *signer.whom()], stderr=subprocess.PIPE) as process:
            accepted, _ = listener.accept()
            hello = accepted.recv(65536)
            accepted.close()
            assert process.wait(30) != 0
            assert token.read_bytes()[:20] not in hello


def test_T32_commands_refuse_an_enclave_that_does_not_answer_now(signer, workdir):
    """The certificate is right still, and the module is gone: no credential is sent."""
    token = workdir / "token"
    token.write_text("cc_token_" + 43 * "A")
    signer.device.broken = "error"
    made = signer.daemon.command("keys", "list", "--signer-url", f"https://localhost:{signer.port}", "--auth-token", f"file:{token}",
                                 "--attested", *signer.whom(), check=False)
    assert made.returncode != 0 and "does not answer a nonce" in made.stderr, made.stderr
    assert not re.search(r"\b401\b", made.stderr + made.stdout)


def test_arguments_of_attested_commands(signer):
    """What makes no sense is refused before anything is connected."""
    base = ["keys", "list", "--signer-url", f"https://localhost:{signer.port}"]
    unix = ["keys", "list", "--signer-url", f"unix:{signer.daemon.admin_path}"]
    for arguments, words in ([*base, "--attested"], "--attest-pcr"), ([*base, *signer.whom()], "--attested"), (
            [*unix, "--attested", *signer.whom()], "https://"), ([*base, "--attested", *signer.whom(), "--ca", "x"], "authority"):
        made = signer.daemon.command(*arguments, check=False)
        assert made.returncode == 2 and words in made.stderr, (arguments, made.stderr)


# --- the signer ----------------------------------------------------------------------------------------------------------------------


def test_a_front_that_dies_comes_back_attested(signer):
    """With a new key and a new document."""
    proxy = signer.proxy()
    assert proxy.request("POST", f"/api/v1/eth2/sign/{KEY}", attestation(3))[0] == 200
    signer.daemon.kill_room("front")
    wait_for("the new front", lambda: proxy.request("GET", "/upcheck")[0] == 200)
    assert proxy.request("POST", f"/api/v1/eth2/sign/{KEY}", attestation(4))[0] == 200
    first, second = (ask["user_data"] for ask in signer.device.documents)
    assert first[28:76] != second[28:76] and first[76:] == second[76:]


def test_without_documents_nobody_is_served(make_daemon):
    """Nobody could verify such a signer: it answers probes, says that it is not ready, and goes on trying."""
    with Attested(make_daemon) as signer:
        right = signer.device.attest

        def no(ask):
            if nsm_device.is_for_clock(ask):  # without the time it would not even start
                return right(ask)
            raise nsm_device.Refused("InternalError")

        signer.daemon.init()
        signer.device.attest = no
        signer.daemon.spawn()
        wait_for("the word in the log", lambda: "no attested certificate" in signer.daemon.log_text())
        signer.daemon.wait_started(ready=False)
        status, _, body = signer.daemon.get("/readyz")
        assert (status, json.loads(body)) == (503, {"status": "NOT_READY", "tls_certificate": False})
        with pytest.raises(OSError), socket.create_connection(("127.0.0.1", signer.port)) as raw:
            ssl._create_unverified_context().wrap_socket(raw)
        del signer.device.attest  # and it comes by itself once the module answers
        signer.daemon.wait_ready()
        assert signer.proxy().request("GET", "/upcheck")[0] == 200


def test_configuration_rules(make_daemon):
    """One without the other, or client certificates that nobody asks for."""
    one = make_daemon()
    plain = one.config
    atls, nitro = {"tls": {"mode": "atls"}}, {"tee": {"platform": "nitro"}}
    for options, words in (atls, "need each other"), (nitro, "need each other"), (
            {**atls, **nitro, "auth": {"certificates": {f"sha256:{64 * '0'}": "p"}}}, "auth.certificates"), (
            {**nitro, "tls": {"mode": "atls", "atls": {"renew_minutes": 91}}}, "renew_minutes"):
        one.config = {**plain, **options}
        one.write_config()
        made = one.command("config", "check", "-c", one.config_path, check=False)
        assert made.returncode == 3 and words in made.stderr, (options, made.stderr)


def test_tls_tools_see_nothing_old(signer):
    """openssl's own client: TLS 1.3 alone, one self-signed certificate, no ticket."""
    if not shutil.which("openssl"):
        pytest.skip("left out: no openssl")
    made = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{signer.port}", "-tls1_2"], input=b"", capture_output=True, timeout=30, check=False)
    assert made.returncode != 0
    made = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{signer.port}", "-showcerts", "-ign_eof"],
                          input=b"GET /upcheck HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", capture_output=True, timeout=30, check=False)
    text = made.stdout.decode()
    assert text.count("BEGIN CERTIFICATE") == 1
    assert "TLSv1.3" in text and "New Session Ticket" not in text and "200 OK" in text
