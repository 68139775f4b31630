"""`attest verify` on real documents and on those of a security module in software; a signer that is told to be in an enclave."""
import base64
import hashlib
import http.client
import json
import os
import re
import ssl
import subprocess
import sys

import daemon as daemon_module
import interop
import messages
import pytest
from cryptography import x509

sys.path.insert(0, str(daemon_module.SOURCE_DIR / "tests/support"))
import nsm_device  # noqa: E402

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_REFUSED = range(4)
TLS = b"containment-chamber/atls/v1\0" + bytes(range(48)) + b"\x22" * 32 + b"\x33" * 32


def verify(*arguments, stdin=None):
    return subprocess.run([daemon_module.binary_with_switches(), "attest", "verify", *map(str, arguments)], input=stdin,
                          capture_output=True, timeout=60)


def verdict(*arguments, stdin=None):
    """The exit code and the JSON."""
    result = verify(*arguments, "--json", stdin=stdin)
    assert not result.stderr, result.stderr
    return result.returncode, json.loads(result.stdout)


@pytest.fixture
def module(tmp_path):
    return nsm_device.NsmDevice(tmp_path / "nsm")  # not listening: its documents are asked for directly


@pytest.fixture
def root(module, tmp_path):
    path = tmp_path / "root.der"
    path.write_bytes(module.authority.root.der)
    return path


def document(module, user_data=None, nonce=None, public_key=None):
    ask = {"user_data": user_data, "nonce": nonce, "public_key": public_key}
    return module.handle(nsm_device.encode({"Attestation": ask}))["Attestation"]["document"]


def test_T32_real_documents(tmp_path):
    vectors = daemon_module.vectors_dir()
    if not vectors or not (vectors / "nitro").is_dir():
        pytest.skip("left out: no vectors (CC_VECTORS)")
    qos = vectors / "nitro/qos.bin"
    code, says = verdict(qos, "--at-document-time")
    assert code == EXIT_DONE and says["valid"] and not says["pcrs_compared"]
    assert says["module_id"] == "i-07e25f3bada361dec-enc0181d3dff86da785" and says["timestamp_ms"] == 1657117102484
    pcr0 = says["pcrs"]["0"]
    assert verdict(qos, "--at-document-time", "--pcr", f"0={pcr0}")[1]["pcrs_compared"]
    code, says = verdict(qos, "--at-document-time", "--pcr", f"0={pcr0[:-1]}{(int(pcr0[-1], 16) ^ 1):x}")
    assert code == EXIT_REFUSED and says["error"] == "ATTEST_PCRS"
    code, says = verdict(qos)
    assert code == EXIT_REFUSED and says["error"] == "ATTEST_TIME"  # it has expired
    for name in ("evervault-ga.bin", "evervault-debug-mode.bin"):
        code, says = verdict(vectors / "nitro" / name, "--at-document-time")
        assert code == EXIT_REFUSED and says["error"] == "ATTEST_DEBUG"
        assert verdict(vectors / "nitro" / name, "--at-document-time", "--allow-debug")[0] == EXIT_DONE
    # Its signature's last byte.
    changed = bytearray(qos.read_bytes())
    changed[-1] ^= 1
    assert verdict("-", "--at-document-time", stdin=bytes(changed))[1]["error"] == "ATTEST_SIGNATURE"


def test_T32_real_documents_out_of_certificates():
    """Another vendor carries them as a name of its TLS certificate, in hex; one is of an image that is signed."""
    vectors = daemon_module.vectors_dir()
    if not vectors or not (vectors / "nitro").is_dir():
        pytest.skip("left out: no vectors (CC_VECTORS)")
    seen = []
    for path in sorted((vectors / "nitro").glob("*.pem")):
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
        data = bytes.fromhex(max(names, key=len).partition(".")[0])
        code, says = verdict("-", "--at-document-time", "--allow-debug", stdin=data)
        assert code == EXIT_DONE, says
        assert verdict("-", "--allow-debug", stdin=data)[1]["error"] == "ATTEST_TIME"
        assert says["user_data"] and says["purpose"] is None  # no form of ours
        seen.append(int(says["pcrs"]["8"], 16) != 0)
    assert sorted(seen) == [False, True]


def test_T32_a_document_of_the_software_module(module, root):
    code, says = verdict("-", "--root", root, stdin=document(module, TLS, b"\x44" * 32))
    assert code == EXIT_DONE and says["valid"]
    assert says["purpose"] == "tls" and says["spki_sha384"] == bytes(range(48)).hex()
    assert says["chamber_id"] == "22" * 32 and says["config_sha256"] == "33" * 32
    assert says["nonce"] == "44" * 32 and says["user_data"] == TLS.hex() and says["public_key"] is None
    assert says["pcrs"]["0"] == module.pcrs[0].hex() and says["pcrs"]["15"] == "00" * 48
    # In words, and in base64.
    result = verify("-", "--root", root, "--pcr", f"0={module.pcrs[0].hex()}", stdin=base64.encodebytes(document(module, TLS)))
    text = result.stdout.decode()
    assert result.returncode == EXIT_DONE and "of the image asked for" in text, result.stderr
    assert "purpose       tls" in text and module.pcrs[2].hex() in text and "zeros         PCR3 PCR4" in text
    # The root as PEM.
    pem = root.with_suffix(".pem")
    pem.write_bytes(b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(root.read_bytes()) + b"-----END CERTIFICATE-----\n")
    assert verdict("-", "--root", pem, stdin=document(module))[0] == EXIT_DONE
    pem.write_bytes(pem.read_bytes() * 2)
    assert verify("-", "--root", pem, stdin=document(module)).returncode == EXIT_FAILED


def test_T32_each_refusal_has_its_name(module, root):
    def refused(data, error, *more):
        code, says = verdict("-", "--root", root, *more, stdin=data)
        assert (code, says["valid"], says["error"]) == (EXIT_REFUSED, False, error), says
        plain = verify("-", "--root", root, *more, stdin=data)
        assert plain.returncode == EXIT_REFUSED and plain.stderr.startswith(f"refused ({error}): ".encode()), plain.stderr

    good = document(module, TLS, b"n" * 32, b"k")
    assert verdict("-", "--root", root, "--nonce", (b"n" * 32).hex(), "--user-data", TLS.hex(), "--public-key", "6b", stdin=good)[0] == EXIT_DONE
    refused(good, "ATTEST_NONCE", "--nonce", (b"m" * 32).hex())
    refused(good, "ATTEST_BINDING", "--user-data", TLS[:-1].hex())
    refused(good, "ATTEST_BINDING", "--public-key", "6c")
    refused(good, "ATTEST_PCRS", "--pcr", f"0={'01' * 48}")
    refused(good, "ATTEST_PCRS", "--pcr", f"0={module.pcrs[0].hex()}", "--pcr", f"8={'01' * 48}")
    refused(good[:-1], "ATTEST_FORMAT")
    refused(good + b"\0", "ATTEST_FORMAT")
    refused(b"", "ATTEST_FORMAT")
    refused(b"no base64!", "ATTEST_FORMAT")
    assert verdict("-", stdin=good)[1]["error"] == "ATTEST_CHAIN"  # AWS did not make it
    other = nsm_device.NsmDevice(root.parent / "other")
    refused(document(other), "ATTEST_CHAIN")
    module.signs_with = other.leaf.key
    refused(document(module), "ATTEST_SIGNATURE")
    module.signs_with = None
    module.timestamp_ms = int((module.authority.now() + 1000) * 1000)
    refused(document(module), "ATTEST_TIME")
    module.timestamp_ms = None
    module.pcrs[0] = bytes(48)
    refused(document(module), "ATTEST_DEBUG", "--pcr", f"0={'00' * 48}")
    assert verdict("-", "--root", root, "--allow-debug", stdin=document(module))[0] == EXIT_DONE
    # Unproven is called so; what an enclave says that is not the wanted one isn't.
    assert b"what it says:" in verify("-", "--root", root, stdin=document(module)).stdout
    assert b"unproven" in verify("-", stdin=document(module)).stdout


def test_arguments_that_are_not_understood(module, root, tmp_path):
    path = tmp_path / "document"
    path.write_bytes(document(module))
    for wrong in ((), ("--pcr",), (path, "--pcr", "0=00"), (path, "--pcr", f"32={'00' * 48}"), (path, path), (path, "--what"),
                  (path, "--nonce", "xx"), (path, "--nonce", ""), (path, "--pcr", f"0={'00' * 48}", "--pcr", f"0={'00' * 48}")):
        result = verify(*wrong)
        assert result.returncode == EXIT_USAGE and b"containment-chamber" in result.stderr, wrong
        assert not result.stdout
    assert verify(tmp_path / "none").returncode == EXIT_FAILED
    assert verify(path, "--root", tmp_path / "none").returncode == EXIT_FAILED
    assert verify(path, "--root", path).returncode == EXIT_FAILED  # no certificate


def test_T32_the_certificates_age(tmp_path):
    """Three hours after it was made, the module's certificate has ended."""
    clock = [nsm_device.time.time() - 3 * 3600 + 60]
    authority = nsm_device.Authority(lambda: clock[0])
    root = tmp_path / "root"
    root.write_bytes(authority.root.der)
    early = nsm_device.NsmDevice(tmp_path / "early", authority)
    assert verdict("-", "--root", root, stdin=document(early))[0] == EXIT_DONE
    clock[0] -= 120
    late = nsm_device.NsmDevice(tmp_path / "late", authority)
    data = document(late)
    assert verdict("-", "--root", root, stdin=data)[1]["error"] == "ATTEST_TIME"
    assert verdict("-", "--root", root, "--at-document-time", stdin=data)[0] == EXIT_DONE


def in_enclave(one, path):
    one.config["tee"] = {"platform": "nitro", "device": str(path)}
    one.config["tls"] = {"mode": "atls", "listen_port": 0}
    one.write_config()


def sign_over_tls(one, request):
    """The status; who is at the other end is the matter of test_attested_tls.py."""
    port = int(re.search(r"https-port=(\d+)", (one.data_dir / "ports").read_text()).group(1))
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=ssl._create_unverified_context())
    connection.request("POST", f"/api/v1/eth2/sign/{interop.PUBKEYS[0]}", json.dumps(request), {"Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    return status


def test_T04_a_signer_in_an_enclave_looks_at_its_module(make_daemon, tmp_path):
    one = make_daemon(keys=interop.SECRETS[:1], config={}, binary=daemon_module.binary_with_switches())
    path = one.path / "nsm"
    with nsm_device.NsmDevice(path) as module:
        os.chmod(path, 0o600)  # the supervisor opens it; the rooms can't
        in_enclave(one, path)
        one.init()
        one.start()
        assert "this is an enclave" in one.log_text() and nsm_device.MODULE_ID in one.log_text()
        assert sign_over_tls(one, messages.attestation(3, 4)) == 200
        assert [name for name in module.asked if name != "Attestation"][-2:] == ["DescribeNSM", "DescribePCR"]
        # A core that dies has none: its vault goes on, and the next core asks that one.
        before, looks = len(module.asked), module.asked.count("DescribeNSM")
        one.kill_room("core")
        daemon_module.wait_for("a new core has asked for the time", lambda: len(module.asked) > before)
        one.wait_ready()
        assert module.asked.count("DescribeNSM") == looks
        assert sign_over_tls(one, messages.attestation(4, 5)) == 200
        assert one.stop() == 0
        # In debug mode it says what that means.
        module.pcrs.update({n: bytes(48) for n in range(3)})
        one.start()
        assert "its host can read its memory" in one.log_text()
        assert one.stop() == 0
        module.broken = "error"
        assert one.command("server", "-c", one.config_path, check=False).returncode != EXIT_DONE


def test_T04_no_signer_without_its_module(make_daemon):
    one = make_daemon(keys=interop.SECRETS[:1], config={})
    one.init()
    in_enclave(one, one.path / "none")
    result = one.command("server", "-c", one.config_path, check=False)
    assert result.returncode != EXIT_DONE and "there is no such device" in result.stdout + result.stderr


def test_T04_a_release_takes_no_socket_for_a_device(make_daemon):
    release = daemon_module.release_binary()
    if not release:
        pytest.skip("left out: no release binary in this run")
    one = make_daemon(keys=interop.SECRETS[:1], config={})
    path = one.path / "nsm"
    with nsm_device.NsmDevice(path):
        one.init()
        in_enclave(one, path)
        result = subprocess.run([release, "server", "-c", one.config_path], capture_output=True, timeout=60, text=True)
        assert result.returncode != EXIT_DONE and "can't be opened" in result.stdout + result.stderr


def test_the_software_module_as_a_program(tmp_path):
    path, root = tmp_path / "s", tmp_path / "root"
    pcr = hashlib.sha384(b"x").hexdigest()
    script = daemon_module.SOURCE_DIR / "tests/support/nsm_device.py"
    with subprocess.Popen([script, "--socket", path, "--root", root, "--pcr", f"0={pcr}"], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout.readline() == b"ready\n"
            assert root.read_bytes()[0] == 0x30 and path.is_socket()
        finally:
            process.terminate()
