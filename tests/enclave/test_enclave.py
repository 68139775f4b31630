"""An image of this build in QEMU's nitro-enclave machine: what it measures, that it signs, and what it shows of itself. Run by
tests/enclave/run, which says where everything lies (`make enclave-test`)."""
import contextlib
import json
import subprocess
import time

import image as images
from image import PUBLIC, TLS_PORT, messages
from qemu import Machine, wait_for
from ways import TOOLS, Bridge, attest_proxy, curl, predicted, report, sign, wait_answer
import nsm_device  # of tests/support, where image.py has put the path


# --- measured, and signing ------------------------------------------------------------------------------------------------------


def test_an_enclave_signs_through_vsock_and_is_measured_as_predicted(parts, folder):
    image = images.make(folder, parts)
    with Machine(folder, image, TOOLS) as machine:
        wait_answer(machine)
        status, signature = sign(machine, messages.attestation(2, 3))
        report("boot to first signature", f"{time.monotonic() - machine.started:.1f} s, of which QEMU used the processor for "
                                          f"{machine.processor_seconds():.1f} s")
        assert status == 200, signature
        assert sign(machine, messages.attestation(2, 3)) == (200, signature)
        assert sign(machine, messages.attestation(2, 3, 1))[0] == 412  # a double vote
        assert sign(machine, messages.attestation(1, 4))[0] == 412  # surrounds
        measured = machine.measured()
        assert {number: measured[number] for number in (0, 1, 2)} == predicted(image)
        assert measured[8] == "00" * 48  # not signed
        assert machine.heartbeats == 1
        assert b"serving" in bytes(machine.log)  # the log comes out over vsock too
        assert "limit of open files" not in machine.console() and "no network namespace" not in machine.console()
        assert "no Landlock" not in machine.console() and "memory=memfd_secret" in machine.console()


def test_a_signed_image_has_the_predicted_PCR8(parts, folder):
    image = images.make(folder, parts, arguments=["version"])
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(["openssl", "ecparam", "-name", "secp384r1", "-genkey", "-noout", "-out", key], check=True)
    subprocess.run(["openssl", "req", "-x509", "-new", "-key", key, "-subj", "/CN=test", "-sha384", "-out", certificate], check=True)
    image.sign(certificate.read_bytes(), key)
    with Machine(folder, image, TOOLS) as machine:
        measured = machine.measured()
        assert {number: measured[number] for number in (0, 1, 2, 8)} == predicted(image)
        # The program has ended, and with it the enclave.
        machine.wait_line("the program has ended")
        machine.wait_line("the enclave ends")


def test_P26_one_changed_byte_is_another_measurement(parts, folder):
    image = images.make(folder, parts, arguments=["version"])
    honest = predicted(image)
    at = image.ramdisks[1].index(b"-----BEGIN CERTIFICATE-----") + 40  # an authority that the enclave trusts
    changed = bytearray(image.ramdisks[1])
    changed[at] ^= 1
    image.ramdisks[1] = bytes(changed)
    with Machine(folder, image, TOOLS) as machine:
        measured = machine.measured()
        assert measured[1] == honest[1]
        assert measured[0] == predicted(image)[0] != honest[0]
        assert measured[2] == predicted(image)[2] != honest[2]


# --- attested TLS ---------------------------------------------------------------------------------------------------------------


def test_P26_a_stock_client_signs_through_the_attesting_proxy_by_the_measured_image(parts, folder):
    authority = nsm_device.Authority()
    root = folder / "root.der"
    root.write_bytes(authority.root.der)
    config = {**images.CONFIG, "server": {"host_allowlist": ["*"]}, "tee": {"platform": "nitro"},
              "tls": {"mode": "atls", "listen": f"vsock:any:{TLS_PORT}"}}
    image = images.make(folder, parts, config, authority)
    honest = predicted(image)[0]
    wrong = honest[:-1] + ("0" if honest[-1] != "0" else "1")
    with Machine(folder, image, TOOLS) as machine, contextlib.closing(Bridge(machine, TLS_PORT)) as bridge:
        with attest_proxy(folder, bridge, root, honest) as path:
            url = "http://localhost"
            wait_for("the enclave through the proxy", lambda: curl(path, "-f", f"{url}/readyz")[0] == 0, 180)
            body = json.dumps(messages.attestation(2, 3))
            sent = ["-H", "Content-Type: application/json", "-d", body, f"{url}/api/v1/eth2/sign/{PUBLIC}"]
            code, answer = curl(path, "-f", *sent)
            assert code == 0 and len(json.loads(answer)["signature"]) == 2 + 192, answer
            assert machine.measured()[0] == honest
        with attest_proxy(folder, bridge, root, wrong) as path:
            code, text = curl(path, "-f", f"{url}/readyz")
            assert code != 0, text  # another image than this one: not a byte goes there
