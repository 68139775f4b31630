#!/usr/bin/env python3
"""AWS KMS for tests: Encrypt and Decrypt on a loopback port, with what moto does not do: policies with conditions on the encryption context
(those of deploy/iam), signatures for the key's own region, keys that are destroyed or answer wrongly, regions that are cut off; and
`Recipient`, with conditions on the attestation document. It needs nothing but Python, and python3-cryptography for recipients.

    with Kms() as kms:                     # from pytest
        kms.tell("key " + arn); kms.endpoint

As a program it prints the endpoint, then obeys one line on standard input at a time with the answer "ok" or a number, and ends with its
input. WHERE: a key's ARN, a region, or * for all.

    key ARN                            there is this key; no policy: its account may do all that its roles may
    destroy ARN                        it waits for its deletion: KMSInvalidStateException; `restore ARN` takes that back
    principal KEYID ARN [SECRET]       who that access key is (AKIDTEST: arn:aws:iam::111122223333:role/signer), and its secret (AKIDTEST's)
    identity ARN FILE [NAME=VALUE]     adds a policy of that principal; @NAME@ in it is replaced. FILE: below the source's root
    resource KEY FILE [NAME=VALUE]     the policy of that key
    everything ARN                     that principal may do everything
    open ARN CIPHERTEXT                what it holds, whatever its context; both in base64
    seal ARN PLAIN [NAME=VALUE]        PLAIN (base64) encrypted in that context, as Encrypt does it; base64
    share KEY ACCOUNT                  the key's policy lets that account decide
    forget ARN                         that principal, or key, has no policy any more
    fault KIND WHERE COUNT [ARG]       the next COUNT (-1: all) requests there meet it: throttle, 500, busy, denied, cut, delay (ARG ms),
                                       late (ARG ms, after it was done), other-key (ARG: the ARN that is answered), other-plain, other-algorithm,
                                       no-json, half; to-nobody (an envelope for another key), in-clear (to a recipient, too)
    clear                              no faults any more
    root FILE                          attestation documents count that go back to that certificate
    form A|B                           in which form envelopes to recipients are made
    tls FILE                           listens with TLS too, with the key and certificate in FILE; the answer is the port
    count OPERATION WHERE              how many requests of OPERATION (*: any) came
    refused                            how many had no right signature
"""
import base64
import datetime
import fnmatch
import hashlib
import hmac
import json
import os
import re
import secrets
import socket
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

try:
    import attest_check
    import kms_envelope
except ImportError:  # without python3-cryptography there are no recipients
    attest_check = kms_envelope = None

KEY_ID = "AKIDTEST"
SECRET = "wJalr/XUtnFEMI+K7MDENG/bPxRfiCYEXAMPLEKEY"  # AWS's own example
ROLE = "arn:aws:iam::111122223333:role/signer"
ENCLAVE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../deploy/enclave")


def enclave_policy(*images, chamber=None, signer=ROLE, admin="arn:aws:iam::111122223333:role/admin"):
    """The text of deploy/enclave's policy for a key of a chamber, with its placeholders filled in for these images (PCR0 in hex): that of the
    first start, or of the chamber with that id. Of several images each stands beside the other, as docs/enclave.md has it for a roll-over."""
    with open(f"{ENCLAVE}/kms-key-policy{'' if chamber else '-first'}.json", encoding="utf-8") as file:
        text = file.read()
    for name, value in {"SIGNER_ARN": signer, "ADMIN_ARN": admin, "CHAMBER_ID": chamber or ""}.items():
        text = text.replace(f"@{name}@", value)
    policy, statements = json.loads(text), []
    for statement in policy["Statement"]:
        one = json.dumps(statement)
        if "kms:EncryptionContext:pcr0" in one:  # an image has its own alone
            statements += [json.loads(one.replace("@PCR0@", image)) for image in images] if "@PCR0@" in one else [statement]
        else:
            statements.append(json.loads(one.replace('["@PCR0@"]', json.dumps(images))))
    return json.dumps({**policy, "Statement": statements})


class Kms:
    """The server as a process of its own, for tests in Python."""

    def __init__(self):
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__)], text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.endpoint = self.process.stdout.readline().strip()
        if not self.endpoint:
            raise RuntimeError("tests/support/kms.py has ended")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if answer.startswith("?"):
            raise RuntimeError(answer)
        return answer


class Refusal(Exception):
    def __init__(self, kind, status=400):
        super().__init__(kind)
        self.kind, self.status = kind, status


# --- signatures --------------------------------------------------------------------------------------------------------------


def digest(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signed_by(headers, body, known):
    """(access key, region) of a request whose signature is right."""
    try:
        algorithm, rest = headers["authorization"].split(" ", 1)
        parts = dict(p.strip().split("=", 1) for p in rest.split(","))
        key_id, day, region, service, end = parts["Credential"].split("/")
        names, stamp = parts["SignedHeaders"].split(";"), headers["x-amz-date"]
    except (KeyError, ValueError) as fault:
        raise Refusal("MissingAuthenticationTokenException") from fault
    if algorithm != "AWS4-HMAC-SHA256" or end != "aws4_request" or service != "kms" or not stamp.startswith(day):
        raise Refusal("IncompleteSignatureException")
    if not {"host", "x-amz-date", "x-amz-target"} <= set(names):
        raise Refusal("IncompleteSignatureException")
    listed = "".join(f"{n}:{' '.join(headers.get(n, '').split())}\n" for n in names)
    canonical = f"POST\n/\n\n{listed}\n{';'.join(names)}\n{hashlib.sha256(body).hexdigest()}"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{day}/{region}/kms/aws4_request\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = ("AWS4" + known.get(key_id, SECRET)).encode()
    for part in (day, region, "kms", "aws4_request"):
        key = digest(key, part)
    then = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
    if not hmac.compare_digest(digest(key, text).hex(), parts["Signature"]) or abs(time.time() - then) > 300:
        raise Refusal("InvalidSignatureException", 403)
    return key_id, region


# --- policies ----------------------------------------------------------------------------------------------------------------


def as_list(value):
    return value if isinstance(value, list) else [value]


def like(value, patterns):
    return any(fnmatch.fnmatchcase(value, p) for p in as_list(patterns))


def holds(operator, name, wanted, facts):
    """One condition. An operator that is not here is a fault of the test, not a "no"."""
    value = facts.get(name)
    set_of = operator.startswith("ForAllValues:")
    base = operator.split(":")[-1]
    tests = {"StringEquals": lambda v: v in as_list(wanted), "StringLike": lambda v: like(v, wanted),
             "StringNotEquals": lambda v: v not in as_list(wanted),
             "StringNotEqualsIgnoreCase": lambda v: v.lower() not in [w.lower() for w in as_list(wanted)],
             "StringEqualsIgnoreCase": lambda v: v.lower() in [w.lower() for w in as_list(wanted)]}
    if base not in tests:
        raise ValueError(f"kms.py does not know the operator {operator}")
    if set_of:
        return all(tests[base](v) for v in as_list(value if value is not None else []))
    if value is None:
        return base.startswith("StringNotEquals")  # as IAM has it: what is not there is not equal
    return tests[base](value)


def applies(statement, action, resource, facts, principal=None):
    """Does this statement speak of the request? `principal`: of a resource's policy."""
    if principal is not None:
        named = as_list(statement["Principal"] if statement["Principal"] == "*" else statement["Principal"]["AWS"])
        if not any(name in ("*", principal, f"arn:aws:iam::{principal.split(':')[4]}:root") for name in named):
            return False
    if not like(action, statement["Action"]) or not like(resource, statement["Resource"]):
        return False
    return all(holds(operator, name, wanted, facts) for operator, names in statement.get("Condition", {}).items()
               for name, wanted in names.items())


class Policies:
    """Identity and resource policies, put together as IAM does it for a request to a KMS key."""

    def __init__(self):
        self.identities, self.resources = {}, {}

    def allows(self, principal, action, resource, context, document=None):
        facts = {f"kms:EncryptionContext:{k}": v for k, v in context.items()}
        facts["kms:EncryptionContextKeys"] = list(context)
        facts["aws:PrincipalArn"] = principal
        if document:
            facts.update({f"kms:RecipientAttestation:PCR{n}": value.hex() for n, value in document.pcrs.items()})
            facts["kms:RecipientAttestation:ImageSha384"] = document.pcrs[0].hex()
        account = resource.split(":")[4]
        own = [s for s in self.identities.get(principal, []) if applies(s, action, resource, facts)]
        policy = self.resources.get(resource)
        if policy is None:  # KMS's own: the account decides by its identities' policies
            policy = [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "kms:*", "Resource": "*"}]
        its = [s for s in policy if applies(s, action, resource, facts, principal)]
        if any(s["Effect"] == "Deny" for s in own + its):
            return False
        by_identity = any(s["Effect"] == "Allow" for s in own)
        allowing = [s for s in its if s["Effect"] == "Allow"]
        by_name = any(principal in as_list(s["Principal"]["AWS"]) for s in allowing)
        if account != principal.split(":")[4]:
            return by_identity and bool(allowing)
        return by_name or (by_identity and bool(allowing))


# --- the service -------------------------------------------------------------------------------------------------------------


class Service:
    def __init__(self):
        self.lock = threading.Lock()
        self.policies = Policies()
        self.principals, self.secrets = {KEY_ID: ROLE}, {}
        self.keys, self.destroyed, self.faults, self.counts = {}, set(), [], []
        self.refused = 0
        self.root, self.form = None, "A"

    def take(self, arn, region):
        with self.lock:
            for rule in self.faults:
                if rule[1] in ("*", arn, region) and rule[2] != 0:
                    rule[2] -= rule[2] > 0
                    return rule[0], rule[3]
        return None, None

    def _aad(self, context):
        return json.dumps(context, sort_keys=True).encode()

    def stream(self, key, nonce, length):
        out = b""
        while len(out) < length:
            out += hmac.new(key, b"stream" + nonce + len(out).to_bytes(4, "big"), hashlib.sha256).digest()
        return out[:length]

    def _tag(self, key, nonce, data, context):
        return hmac.new(key, b"tag" + nonce + data + self._aad(context), hashlib.sha256).digest()

    def encrypt(self, arn, plain, context):
        if not 1 <= len(plain) <= 4096:
            raise Refusal("ValidationException")
        key, nonce = self.keys[arn], secrets.token_bytes(16)
        data = bytes(a ^ b for a, b in zip(plain, self.stream(key, nonce, len(plain))))
        return hashlib.sha256(arn.encode()).digest() + nonce + data + self._tag(key, nonce, data, context)

    def decrypt(self, arn, blob, context):
        if not 1 <= len(blob) <= 6144:
            raise Refusal("ValidationException")
        name, nonce, data, tag = blob[:32], blob[32:48], blob[48:-32], blob[-32:]
        made_by = [a for a in self.keys if hashlib.sha256(a.encode()).digest() == name]
        if made_by and made_by[0] != arn:
            raise Refusal("IncorrectKeyException")
        key = self.keys[arn]
        if not made_by or not hmac.compare_digest(tag, self._tag(key, nonce, data, context)):
            raise Refusal("InvalidCiphertextException")
        return bytes(a ^ b for a, b in zip(data, self.stream(key, nonce, len(data))))

    def recipient(self, operation, request):
        """The document of a request for a recipient, or None."""
        if "Recipient" not in request:
            return None
        wanted = request["Recipient"]
        if operation != "Decrypt" or wanted.get("KeyEncryptionAlgorithm") != "RSAES_OAEP_SHA_256" or self.root is None:
            raise Refusal("ValidationException")
        try:
            document = attest_check.check(base64.b64decode(wanted["AttestationDocument"], validate=True), self.root)
        except attest_check.Bad as bad:
            raise Refusal("ValidationException") from bad
        if not document.public_key:
            raise Refusal("ValidationException")
        return document

    def answer(self, operation, request, access_key, region):
        """What KMS would say; raises Refusal."""
        arn, context = request["KeyId"], request.get("EncryptionContext", {})
        if operation not in ("Encrypt", "Decrypt") or request.get("EncryptionAlgorithm", "SYMMETRIC_DEFAULT") != "SYMMETRIC_DEFAULT":
            raise Refusal("UnknownOperationException")
        if access_key not in self.principals:
            raise Refusal("UnrecognizedClientException")
        if arn.split(":")[3] != region or arn not in self.keys:
            raise Refusal("NotFoundException")
        document = self.recipient(operation, request)
        if not self.policies.allows(self.principals[access_key], f"kms:{operation}", arn, context, document):
            raise Refusal("AccessDeniedException")
        if arn in self.destroyed:
            raise Refusal("KMSInvalidStateException")
        said = {"KeyId": arn, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}
        if operation == "Encrypt":
            blob = self.encrypt(arn, base64.b64decode(request["Plaintext"], validate=True), context)
            return dict(said, CiphertextBlob=base64.b64encode(blob).decode())
        plain = self.decrypt(arn, base64.b64decode(request["CiphertextBlob"], validate=True), context)
        if document:
            envelope = kms_envelope.make(document.public_key, plain, whole=self.form == "B")
            return dict(said, Plaintext=None, CiphertextForRecipient=base64.b64encode(envelope).decode())
        return dict(said, Plaintext=base64.b64encode(plain).decode())


def spoil(kind, argument, said):
    """An answer that is not what was asked for."""
    if kind == "other-key":
        said["KeyId"] = argument
    if kind == "other-algorithm":
        said["EncryptionAlgorithm"] = "RSAES_OAEP_SHA_256"
    if kind == "to-nobody" and "CiphertextForRecipient" in said:
        said["CiphertextForRecipient"] = base64.b64encode(kms_envelope.make(kms_envelope.somebody(), secrets.token_bytes(33))).decode()
    if kind == "in-clear" and "CiphertextForRecipient" in said:
        said["Plaintext"] = base64.b64encode(bytes(33)).decode()
    if kind == "other-plain" and "Plaintext" in said:
        plain = bytearray(base64.b64decode(said["Plaintext"]))
        plain[0] ^= 1
        said["Plaintext"] = base64.b64encode(plain).decode()
    return b"<html>" if kind == "no-json" else json.dumps(said).encode()


PASSING = {"throttle": ("ThrottlingException", 400), "500": ("KMSInternalException", 500), "busy": ("KeyUnavailableException", 500),
           "denied": ("AccessDeniedException", 400)}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    service = None

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {k.lower(): v for k, v in self.headers.items()}
        operation = headers.get("x-amz-target", "").removeprefix("TrentService.")
        try:
            request = json.loads(body)
            arn = request["KeyId"]
        except (ValueError, KeyError):
            return self.say(400, json.dumps({"__type": "SerializationException"}).encode())
        kind, argument = self.service.take(arn, arn.split(":")[3])
        self.service.counts.append((operation, arn))
        if kind == "cut":
            return self.hang_up()
        if kind == "delay":
            time.sleep(int(argument) / 1000)
        try:
            if kind in PASSING:
                raise Refusal(*PASSING[kind])
            access_key, region = self.sign(headers, body)
            said = spoil(kind, argument, self.service.answer(operation, request, access_key, region))
        except Refusal as refusal:
            return self.say(refusal.status, json.dumps({"__type": refusal.kind, "message": "no"}).encode())
        if kind == "late":
            time.sleep(int(argument) / 1000)
        return self.say(200, said, half=kind == "half")

    def sign(self, headers, body):
        try:
            return signed_by(headers, body, self.service.secrets)
        except Refusal:
            self.service.refused += 1
            raise

    def say(self, status, body, half=False):
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:len(body) // 2] if half else body)
            self.wfile.flush()
        except OSError:
            half = True  # who asked has gone
        if half:
            self.hang_up()

    def hang_up(self):
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_):
        pass


def read_policy(path, pairs):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    text = open(os.path.join(root, path), encoding="utf-8").read()
    for pair in pairs:
        name, _, value = pair.partition("=")
        text = text.replace(f"@{name}@", value)
    left = re.findall(r"@[A-Z_]+@", text)
    if left:
        raise ValueError(f"{path}: {left[0]} has no value")
    return json.loads(text)["Statement"]


def obey(service, line):
    word, *rest = line.split()
    if word == "key":
        service.keys[rest[0]] = secrets.token_bytes(32)
    elif word == "destroy":
        service.destroyed.add(rest[0])
    elif word == "restore":
        service.destroyed.discard(rest[0])
    elif word == "principal":
        service.principals[rest[0]] = rest[1]
        service.secrets[rest[0]] = rest[2] if len(rest) > 2 else SECRET
    elif word == "identity":
        service.policies.identities.setdefault(rest[0], []).extend(read_policy(rest[1], rest[2:]))
    elif word == "everything":
        service.policies.identities[rest[0]] = [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    elif word == "open":
        blob, key = base64.b64decode(rest[1], validate=True), service.keys[rest[0]]
        return base64.b64encode(bytes(a ^ b for a, b in zip(blob[48:-32], service.stream(key, blob[32:48], len(blob) - 80)))).decode()
    elif word == "seal":
        context = dict(pair.split("=", 1) for pair in rest[2:])
        return base64.b64encode(service.encrypt(rest[0], base64.b64decode(rest[1], validate=True), context)).decode()
    elif word == "share":
        service.policies.resources[rest[0]] = [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{rest[1]}:root"},
                                                "Action": "kms:*", "Resource": "*"}]
    elif word == "resource":
        service.policies.resources[rest[0]] = read_policy(rest[1], rest[2:])
    elif word == "forget":
        service.policies.identities.pop(rest[0], None)
        service.policies.resources.pop(rest[0], None)
    elif word == "fault":
        service.faults.append([rest[0], rest[1], int(rest[2]), rest[3] if len(rest) > 3 else 0])
    elif word == "root":
        service.root = attest_check.root_of(rest[0])
    elif word == "form":
        service.form = rest[0]
    elif word == "clear":
        service.faults.clear()
    elif word == "tls":
        return str(listen(rest[0]))
    elif word == "count":
        return str(sum(rest[0] in ("*", op) and rest[1] in ("*", arn, arn.split(":")[3]) for op, arn in service.counts))
    elif word == "refused":
        return str(service.refused)
    else:
        return "? no such word"
    return "ok"


def listen(certificate):
    """A port that is served, with TLS where a file with key and certificate is given."""
    server = Server(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def main():
    Handler.service = Service()
    print(f"http://127.0.0.1:{listen(None)}", flush=True)
    for line in sys.stdin:
        try:
            answer = obey(Handler.service, line)
        except (ValueError, IndexError, OSError) as fault:
            answer = f"? {fault}"
        print(answer, flush=True)


if __name__ == "__main__":
    main()
