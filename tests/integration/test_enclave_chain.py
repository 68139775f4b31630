"""The whole way of an enclave's signature but for vsock and the machine: a stock client's HTTP, `attest proxy`, `enclave proxy`, attested TLS in
a signer without a name server, its history in DynamoDB under AWS's own name, out by the forwarder and `enclave proxy`."""
import pathlib
import sys
import tempfile

import pytest

import interop
import messages
from attested import Attested
from enclave_proxy import Proxy, free_port
from test_egress import Cloud, needs_moto  # pylint: disable=wrong-import-order

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import aws as aws_module  # noqa: E402  pylint: disable=wrong-import-position

KEY = interop.PUBKEYS[0]


@pytest.fixture(name="short")
def a_short_folder():
    with tempfile.TemporaryDirectory(prefix="cc-chain-") as path:
        pathlib.Path(path).chmod(0o777)
        yield pathlib.Path(path)


@needs_moto
def test_T11_T32_a_stock_client_signs_through_the_whole_chain(make_daemon, workdir, short):
    with aws_module.Aws() as aws:
        cloud = Cloud(aws, short)
        way_in = free_port()
        parent = Proxy(workdir, "--ingress", f"tcp:127.0.0.1:{way_in}=unix:{short / 'tls'}",
                       "--egress", f"unix:{short / 'aws'}=tcp:127.0.0.1:{cloud.port}")
        (short / "aws").chmod(0o666)
        config = {**cloud.config(short / "aws", "chain"), "tls": {"mode": "atls", "listen": f"unix:{short / 'tls'}"}}
        try:
            with Attested(make_daemon, config=config, environment=cloud.environment()) as enclave:
                enclave.start()
                client = enclave.proxy(signer=f"tcp:127.0.0.1:{way_in}").connect()
                for epoch in range(1, 6):
                    status, _, body = client.request("POST", f"/api/v1/eth2/sign/{KEY}", messages.attestation(epoch - 1, epoch))
                    assert (status, b"signature" in body) == (200, True)
                assert client.request("POST", f"/api/v1/eth2/sign/{KEY}", messages.attestation(3, 5, seed=7))[0] == 412
                # A parent that ends connections is one that ends connections.
                parent.end()
                (short / "aws").unlink()
                with pytest.raises(AssertionError):
                    assert client.request("GET", "/upcheck")[0] == 200
                parent = Proxy(workdir, "--ingress", f"tcp:127.0.0.1:{way_in}=unix:{short / 'tls'}",
                               "--egress", f"unix:{short / 'aws'}=tcp:127.0.0.1:{cloud.port}")
                (short / "aws").chmod(0o666)
                assert client.request("GET", "/upcheck")[0] == 200
                assert not enclave.daemon.stop()
        finally:
            parent.end()
