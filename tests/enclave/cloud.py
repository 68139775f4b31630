"""class Cloud: what an enclave reaches through its parent. DynamoDB, STS and the metadata service (tests/support/aws.py) and KMS with
attestation (tests/support/kms.py), each by TLS under AWS's own name, with certificates of an authority that test images trust.

    with Cloud(folder, authority) as cloud:                    # the authority of the security module's documents
        cloud.config(); cloud.authorities                      # for the image
        cloud.policy(pcr0)                                     # whom the KMS keys open for; cloud.policy(pcr0, chamber=ID) once there is one
        with Machine(...) as machine, cloud.parent(machine): ...
"""
import contextlib
import re
import uuid

import aws as aws_module
import kms as kms_module
from certificates import Pair
from qemu import PARENT_CID, wait_for
from ways import PROGRAM, program

REGION = aws_module.REGION
KEY_ID, TOKEN, SECONDS = "ASIATEST", "a/token+of=base64", 3600
SERVICES = {8001: "kms", 8002: "dynamodb", 8003: "sts"}
METADATA_PORT = 8004
ACCOUNT = "123456789012"  # moto's


def name_of(service):
    """As AWS has it."""
    return f"{service}.{REGION}.amazonaws.com"


class Cloud:
    """See the module's text."""

    def __init__(self, folder, authority, keys=3):
        self.folder, self.account = folder, ACCOUNT
        self.aws, self.kms = aws_module.Aws(), kms_module.Kms()
        issuer = Pair("a test authority", authority=True)
        server = Pair("test servers", issuer=issuer, names=[name_of(one) for one in SERVICES.values()])
        self.authorities = folder / "authorities.pem"
        self.authorities.write_bytes(issuer.pem())
        both = folder / "server.pem"
        both.write_bytes(server.key_pem() + server.pem())
        self.ports = {"kms": self.kms.tell(f"tls {both}"), "dynamodb": self.aws.tell(f"tls {both}")}
        self.ports["sts"] = self.ports["dynamodb"]
        self.ports["metadata"] = self.aws.endpoint.rpartition(":")[2]
        self.aws.tell(f"give {KEY_ID} {kms_module.SECRET} {TOKEN} {SECONDS}")
        self.kms.tell(f"principal {KEY_ID} {kms_module.ROLE}")
        self.kms.tell(f"everything {kms_module.ROLE}")
        root = folder / "module.der"
        root.write_bytes(authority.root.der)
        self.kms.tell(f"root {root}")
        self.arns = [f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{uuid.uuid4()}" for _ in range(keys)]
        for arn in self.arns:
            self.kms.tell(f"key {arn}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.aws.close()
        self.kms.close()

    def policy(self, *pcr0, chamber=None):
        """The KMS keys have the policy that deploy/enclave has for them, with these images: of the first start, or of the chamber with that id."""
        path = self.folder / "policy.json"
        path.write_text(kms_module.enclave_policy(*pcr0, chamber=chamber))
        for arn in self.arns:
            self.kms.tell(f"resource {arn} {path}")

    def config(self):
        """For an image whose stores are all in DynamoDB."""
        return {
            "signer_state": {"backend": "dynamodb", "table": "state", "seal": "ceremony", "kms": True, "allowed_kms_key_arns": self.arns},
            "anti_slashing": {"backend": "dynamodb", "table": "history", "new_key_policy": "allow"},
            "key_sources": {"dynamodb": {"table": "keys"}},
            "aws": {"region": REGION},
            "egress": {"routes": [*(f"{name_of(service)}:443=vsock:{PARENT_CID}:{port}" for port, service in SERVICES.items()),
                                  f"169.254.169.254:80=vsock:{PARENT_CID}:{METADATA_PORT}"]},
        }

    @contextlib.contextmanager
    def parent(self, machine):
        """`enclave proxy` for this machine's way out."""
        ports = {**{port: self.ports[service] for port, service in SERVICES.items()}, METADATA_PORT: self.ports["metadata"]}
        rows = [part for port, to in ports.items() for part in ("--egress", f"unix:{machine.folder / f'v_{port}'}=tcp:127.0.0.1:{to}")]
        log = machine.folder / "egress.txt"
        with program(log, [PROGRAM, "enclave", "proxy", *rows]) as process:
            wait_for("enclave proxy", lambda: process.poll() is not None or len(re.findall("carrying", log.read_text())) == len(ports), 30)
            assert process.poll() is None, log.read_text()
            yield process
