#!/usr/bin/env python3
"""AWS for tests: one loopback server that is DynamoDB, STS and KMS (moto), checks every signature on its own (botocore), takes
one request at a time, and makes faults.

    with Aws() as aws:                     # from pytest; any Python 3
        aws.endpoint, aws.environment()
        aws.fault("drop", "TransactWriteItems", 1)

As a program (for C tests: support/aws_server.h) it prints the endpoint, then obeys one line on standard input at a time
with the answer "ok" or a number, and ends with its input:

    fault KIND OPERATION COUNT [ARG]   the next COUNT (-1: all) requests of OPERATION (*: any) meet it; see FAULTS
    clear                              no faults any more
    count OPERATION                    how many requests of OPERATION were carried out (*: of all)
    tls FILE                           listens with TLS too, with the key and certificate in FILE; the answer is the port
    touched                            what of DynamoDB was asked for, as JSON: [operation, table, hash key or null]
    connections                        how many connections were made
    keep NAME                          copies all that is in DynamoDB's tables, under that name
    back NAME TABLE...                 these tables hold again what they held then; NAME `nothing`: they are empty
    refused                            how many requests had no right signature
    allow KEY SECRET [TOKEN]           credentials that are good, beside AKIDTEST; `forget KEY` ends them
    account KEY ACCOUNT                whose that key is, as STS says (else 123456789012, moto's own)
    give KEY SECRET TOKEN SECONDS      what the sources of credentials give from now on, good for so long
    iam on|off                         whether moto asks its own IAM: signature once more, and whether the caller may do this action
    user NAME FILE... [-ACTION]        an IAM user who may do the actions that policy files (deploy/iam) allow, but for some; the answer is its
                                       key and secret. Actions alone: moto knows no conditions, and no resources of these services
    expect NAME VALUE                  what a source wants to be shown: container, sso, web, external (see class Sources)

The sources of credentials are there too: STS (AssumeRole, AssumeRoleWithWebIdentity, GetCallerIdentity), the instance metadata service
(/latest), a container's endpoint (/container) and SSO's portal (/federation). In faults and counts they are `sts`, `sts-who`,
`imds-token`, `imds-role`, `imds`, `container` and `sso`.

moto is needed, with its server: `tools/install-deps test` sees to it. moto's own DynamoDB copies the whole table for each
transaction, and is not atomic under threads: requests take turns here, and a transaction keeps only what it touches.
"""
import copy
import datetime
import importlib.util
import io
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY_ID = "AKIDTEST"
SECRET = "wJalr/XUtnFEMI+K7MDENG/bPxRfiCYEXAMPLEKEY"  # AWS's own example
REGION = "eu-central-1"
SKEW_SECONDS = 300

# What a fault does. "before": the request is not carried out; "after": it is, and its answer is lost or late.
FAULTS = {
    "throttle": "before: 400 ProvisionedThroughputExceededException (DynamoDB), ThrottlingException (the rest)",
    "429": "before: 429 without a body",
    "500": "before: 500 InternalServerError",
    "500after": "after: 500 InternalServerError",
    "503": "before: 503 without a body",
    "expired": "before: 400 ExpiredTokenException",
    "denied": "before: 400 AccessDeniedException",
    "refuse": "before: the connection is closed without a byte",
    "drop": "after: the connection is closed without a byte",
    "half": "after: half of the answer, then the connection is closed",
    "delay": "before: waits ARG milliseconds, then goes on",
    "late": "after: waits ARG milliseconds before the answer",
    "large": "before: 200 with ARG bytes of JSON white space",
    "skew": "before: 403 with the text of a clock that is wrong",
    "redirect": "before: 302 to ARG",
}


def candidates():
    """Python interpreters that may have moto: a given one, the one of tools/install-deps, those on the PATH."""
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    yield os.environ.get("CC_MOTO_PYTHON")
    yield root / "build-python" / "bin" / "python3"
    yield sys.executable
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        yield shutil.which("python3", path=folder)


def has_moto(python):
    code = ("import sys, importlib.util as u;"
            "sys.exit(0 if all(u.find_spec(m) for m in ('moto', 'botocore', 'flask', 'werkzeug')) else 1)")
    return subprocess.run([python, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


def moto_python():
    """An interpreter with moto and its server, or None."""
    for python in dict.fromkeys(str(c) for c in candidates() if c):
        if os.access(python, os.X_OK) and has_moto(python):
            return python
    return None


def missing():
    """Why there is no AWS for tests; "" when there is."""
    return "" if moto_python() else "no Python with moto[server]: run tools/install-deps test"


class Aws:
    """The server as a process of its own, for tests in Python."""

    def __init__(self, log=None):
        self.log = open(log, "w") if log else None
        self.process = subprocess.Popen([moto_python(), os.path.abspath(__file__)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log)
        self.endpoint = self.process.stdout.readline().strip()
        if not self.endpoint:
            raise RuntimeError("tests/support/aws.py has ended")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()
        if self.log:
            self.log.close()

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if answer.startswith("?"):
            raise RuntimeError(answer)
        return answer

    def fault(self, kind, operation="*", count=1, argument=0):
        self.tell(f"fault {kind} {operation} {count} {argument}")

    def clear(self):
        self.tell("clear")

    def count(self, operation="*"):
        return int(self.tell(f"count {operation}"))

    def touched(self):
        return json.loads(self.tell("touched"))

    def refused(self):
        return int(self.tell("refused"))

    def user(self, name, *files):
        """The environment of an IAM user with these policies."""
        key, secret = self.tell(f"user {name} {' '.join(files)}").split()
        return dict(self.environment(), AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=secret)

    def environment(self):
        """For a process that shall use this AWS and no other."""
        return {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": REGION,
                "AWS_ENDPOINT_URL": self.endpoint, "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}


# --- the server itself: only below an interpreter with moto ------------------------------------------------------------


def keep_only_what_is_touched():
    """Makes moto's transactions take time for their items, not for the table."""
    import types
    from moto.dynamodb import models
    from moto.dynamodb.models import DynamoDBBackend
    from moto.dynamodb.models.dynamo_type import DynamoType

    original = DynamoDBBackend.transact_write_items
    # The copies that it makes of whole tables, to put back: they stay the tables.
    models.copy = types.SimpleNamespace(
        deepcopy=lambda thing: thing if isinstance(thing, models.Table) else copy.deepcopy(thing), copy=copy.copy)

    def place(backend, op_type, op):
        table = backend.tables[op["TableName"]]
        key = op["Item"] if op_type == "Put" else op["Key"]
        hash_key = DynamoType(key[table.hash_key_attr])
        range_key = DynamoType(key[table.range_key_attr]) if table.range_key_attr else None
        return table, hash_key, range_key

    def put_back(table, hash_key, range_key, item):
        if item is None:
            table.delete_item(hash_key, range_key)
        elif range_key is None:
            table.items[hash_key] = item
        else:
            table.items[hash_key][range_key] = item

    def transact_write_items(self, transact_items):
        saved = []
        for entry in transact_items:
            op_type, op = next(iter(entry.items()))
            if op.get("TableName") in self.tables:
                table, hash_key, range_key = place(self, op_type, op)
                saved.append((table, hash_key, range_key, copy.deepcopy(table.get_item(hash_key, range_key))))
        try:
            original(self, transact_items)
        except Exception:
            for entry in saved:
                put_back(*entry)
            raise

    DynamoDBBackend.transact_write_items = transact_write_items


class Faults:
    """The rules that are in force, the oldest first."""

    def __init__(self):
        self.lock = threading.Lock()
        self.rules = []

    def add(self, kind, operation, count, argument):
        if kind not in FAULTS:
            raise ValueError(f"no fault {kind}")
        with self.lock:
            self.rules.append([kind, operation, count, argument])

    def clear(self):
        with self.lock:
            self.rules.clear()

    def take(self, operation):
        with self.lock:
            for rule in self.rules:
                if rule[1] in ("*", operation) and rule[2] != 0:
                    rule[2] -= rule[2] > 0
                    return rule[0], rule[3]
        return None, None


class Signatures:
    """Checks SigV4 with botocore's own code."""

    def __init__(self):
        self.known = {KEY_ID: (SECRET, "")}
        self.refused = 0

    def fault(self, request, body):
        """(status, type, message) of a request that is not signed as it should be; None for a good one."""
        found = self._find(request, body)
        if found:
            self.refused += 1
        return found

    def _find(self, request, body):
        headers = {k.lower(): v for k, v in request.headers.items()}
        try:
            algorithm, rest = headers["authorization"].split(" ", 1)
            parts = dict(p.strip().split("=", 1) for p in rest.split(","))
            key_id, day, region, service, end = parts["Credential"].split("/")
            names, stamp = parts["SignedHeaders"].split(";"), headers["x-amz-date"]
        except (KeyError, ValueError):
            return 400, "MissingAuthenticationTokenException", "Request is missing Authentication Token"
        if algorithm != "AWS4-HMAC-SHA256" or end != "aws4_request" or not stamp.startswith(day):
            return 400, "IncompleteSignatureException", "form of the authorization"
        secret, token = self.known.get(key_id, (None, None))
        if secret is None or headers.get("x-amz-security-token", "") != token:
            return 400, "UnrecognizedClientException", "The security token included in the request is invalid."
        if region != REGION and service != "kms":  # keys of KMS may be anywhere
            return 400, "InvalidSignatureException", "Credential should be scoped to a valid region."
        if "host" not in names or any(h.startswith("x-amz-") and h not in names for h in headers):
            return 400, "InvalidSignatureException", "a header is not signed"
        if self._signature(request, headers, names, body, (key_id, secret, region, service)) != parts["Signature"]:
            return 403, "InvalidSignatureException", "The request signature we calculated does not match"
        then = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
        if abs(time.time() - then) > SKEW_SECONDS:
            return 403, "InvalidSignatureException", "Signature expired: " + stamp
        return None

    @staticmethod
    def _signature(request, headers, names, body, credential):
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
        key_id, secret, region, service = credential
        url = f"http://{headers['host']}{request.path}"
        signed = AWSRequest(method=request.command, url=url, data=body, headers={n: headers.get(n, "") for n in names})
        signed.context["timestamp"] = headers["x-amz-date"]
        signer = SigV4Auth(Credentials(key_id, secret), service, region)
        canonical = signer.canonical_request(signed)
        return signer.signature(signer.string_to_sign(signed, canonical), signed)


class Tokens:
    """ClientRequestToken of TransactWriteItems, which moto does not know: a repeat is answered as the first was."""

    def __init__(self):
        self.answers = {}

    def find(self, operation, body):
        """(token, answer to give instead or None)."""
        if operation != "TransactWriteItems":
            return None, None
        request = json.loads(body or b"{}")
        token = request.pop("ClientRequestToken", None)
        if not token or token not in self.answers:
            return token, None
        before, answer = self.answers[token]
        if before != request:
            return token, error(400, "IdempotentParameterMismatchException", "another request had this token")
        return token, answer

    def keep(self, token, body, answer):
        if token and answer[0] == 200:
            request = json.loads(body)
            request.pop("ClientRequestToken")
            self.answers[token] = (request, answer)


def error(status, kind, message):
    """As the JSON services give it."""
    body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{kind}", "message": message}).encode()
    return status, [("Content-Type", "application/x-amz-json-1.0")], body


def places(operation, asked):
    """(operation, table, hash key or None) of each item or table that a request is about; for IAM the parts of a transaction are what counts."""
    if operation == "TransactWriteItems":
        return {place for part in asked["TransactItems"] for kind, one in part.items() for place in places(f"{kind}Item", one)}
    if operation == "BatchWriteItem":
        return {(operation, table, request[kind][name]["pk"]["S"]) for table, requests in asked["RequestItems"].items()
                for request in requests for kind, name in (("PutRequest", "Item"), ("DeleteRequest", "Key")) if kind in request}
    key = asked.get("Key", asked.get("Item", {})).get("pk") or asked.get("ExpressionAttributeValues", {}).get(":p")
    return {(operation, asked.get("TableName"), key and key["S"])}


class Service:
    """What all connections share."""

    def __init__(self):
        from moto.server import DomainDispatcherApplication, create_backend_app
        keep_only_what_is_touched()
        self.application = DomainDispatcherApplication(create_backend_app)
        self.lock = threading.Lock()
        self.faults, self.signatures, self.tokens = Faults(), Signatures(), Tokens()
        self.sources = Sources(self.signatures)
        self.counts = {}
        self.touched, self.kept = set(), {}
        self.connections = 0

    def carry_out(self, handler, operation, body):
        """(status, headers, body) of moto, one request at a time."""
        with self.lock:
            token, answer = self.tokens.find(operation, body)
            if self.sources.operation(handler, body):
                answer = self.sources.answer(operation, handler, body)
            elif not answer:
                answer = self._ask_moto(handler, body)
                self.tokens.keep(token, body, answer)
            if handler.headers.get("X-Amz-Target", "").startswith("DynamoDB"):
                self.touched.update(places(operation, json.loads(body)))
            for name in (operation, "*"):
                self.counts[name] = self.counts.get(name, 0) + 1
            return answer

    @staticmethod
    def _tables():
        from moto.dynamodb.models import dynamodb_backends
        return [table for account in dynamodb_backends.values() for backend in account.values() for table in backend.tables.values()]

    def keep(self, name):
        with self.lock:
            self.kept[name] = {table.name: copy.deepcopy(table.items) for table in self._tables()}

    def put_back(self, name, tables):
        """What is under way ends first."""
        with self.lock:
            for table in self._tables():
                if table.name in tables:
                    table.items = copy.deepcopy(self.kept[name][table.name]) if name != "nothing" else type(table.items)(table.items.default_factory)

    def _ask_moto(self, handler, body):
        path, _, query = handler.path.partition("?")
        environ = {"REQUEST_METHOD": handler.command, "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": query,
                   "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
                   "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
                   "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr, "wsgi.version": (1, 0),
                   "wsgi.url_scheme": "http", "wsgi.multithread": True, "wsgi.multiprocess": False,
                   "wsgi.run_once": False}
        for name, value in handler.headers.items():
            environ["HTTP_" + name.upper().replace("-", "_")] = value
        result = {}

        def start(status, headers, _=None):
            result.update(status=int(status.split()[0]), headers=headers)

        content = b"".join(self.application(environ, start))
        skip = {"content-length", "connection", "server", "date", "status"}
        return result["status"], [h for h in result["headers"] if h[0].lower() not in skip], content


class Sources:
    """Where temporary credentials come from."""

    def __init__(self, signatures):
        self.signatures = signatures
        self.given = ("ASIAGIVEN", "given-secret", "given/token+of=base64", 3600)
        self.accounts = {}
        self.expected = {"container": "", "sso": "sso-token", "web": "web-token", "external": ""}

    def operation(self, handler, body):
        path = handler.path.partition("?")[0]
        if path == "/latest/api/token":
            return "imds-token"
        if path.startswith("/latest/meta-data/iam/security-credentials/"):
            return "imds-role" if path.endswith("/") else "imds"
        if handler.command == "POST" and b"Action=AssumeRole" in body:
            return "sts"
        if handler.command == "POST" and b"Action=GetCallerIdentity" in body:
            return "sts-who"
        return {"/container": "container", "/federation/credentials": "sso"}.get(path)

    def issue(self):
        key, secret, token, seconds = self.given
        self.signatures.known[key] = (secret, token)
        return key, secret, token, time.time() + seconds

    @staticmethod
    def iso(seconds):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))

    def answer(self, operation, handler, body):
        return getattr(self, operation.replace("-", "_"))(handler, body)

    def metadata(self):
        key, secret, token, end = self.issue()
        return 200, [], json.dumps({"Code": "Success", "AccessKeyId": key, "SecretAccessKey": secret, "Token": token,
                                    "Expiration": self.iso(end)}).encode()

    def imds_token(self, handler, _):
        if handler.command != "PUT" or not handler.headers.get("x-aws-ec2-metadata-token-ttl-seconds"):
            return 403, [], b""
        return 200, [], b"imds-session-token=="

    def imds_role(self, handler, _):
        if handler.headers.get("x-aws-ec2-metadata-token") != "imds-session-token==":
            return 401, [], b""
        return 200, [], b"test-role"

    def imds(self, handler, _):
        if handler.headers.get("x-aws-ec2-metadata-token") != "imds-session-token==":
            return 401, [], b""
        return self.metadata() if handler.path.endswith("/test-role") else (404, [], b"")

    def container(self, handler, _):
        if handler.headers.get("Authorization", "") != self.expected["container"]:
            return 401, [], b'{"code":"UnauthorizedException"}'
        return self.metadata()

    def sso(self, handler, _):
        query = urllib.parse.parse_qs(handler.path.partition("?")[2])
        if handler.headers.get("x-amz-sso_bearer_token") != self.expected["sso"]:
            return 401, [], b'{"__type":"com.amazonaws.switchboard.portal#UnauthorizedException"}'
        if query != {"account_id": ["111122223333"], "role_name": ["Signer Role"]}:
            return 403, [], b'{"__type":"com.amazonaws.switchboard.portal#ForbiddenException"}'
        key, secret, token, end = self.issue()
        return 200, [], json.dumps({"roleCredentials": {"accessKeyId": key, "secretAccessKey": secret,
                                    "sessionToken": token, "expiration": int(end * 1000)}}).encode()

    def sts(self, handler, body):
        form = {k: v[0] for k, v in urllib.parse.parse_qs(body.decode()).items()}
        refusal = self._sts_refusal(form, handler, body)
        if refusal:
            xml = f"<ErrorResponse><Error><Type>Sender</Type><Code>{refusal}</Code><Message>no</Message></Error></ErrorResponse>"
            return 403, [("Content-Type", "text/xml")], xml.encode()
        key, secret, token, end = self.issue()
        action = form["Action"]
        xml = (f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result><AssumedRoleUser>'
               f"<Arn>{form['RoleArn']}</Arn></AssumedRoleUser><Credentials><AccessKeyId>{key}</AccessKeyId>"
               f"<SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>{self.iso(end)}"
               f"</Expiration></Credentials></{action}Result></{action}Response>")
        return 200, [("Content-Type", "text/xml")], xml.encode()

    def sts_who(self, handler, body):
        if self.signatures.fault(handler, body):
            return 403, [], b"<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>"
        key = handler.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
        account = self.accounts.get(key, "123456789012")
        xml = ('<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
               f"<Arn>arn:aws:sts::{account}:assumed-role/signer/i-0</Arn><UserId>AROA:i-0</UserId><Account>{account}</Account>"
               "</GetCallerIdentityResult></GetCallerIdentityResponse>")
        return 200, [("Content-Type", "text/xml")], xml.encode()

    def _sts_refusal(self, form, handler, body):
        if form["Action"] == "AssumeRoleWithWebIdentity":
            return "" if form.get("WebIdentityToken") == self.expected["web"] else "InvalidIdentityToken"
        if self.signatures.fault(handler, body):
            return "SignatureDoesNotMatch"
        if not form.get("RoleSessionName") or not form["RoleArn"].startswith("arn:aws:iam::"):
            return "ValidationError"
        return "" if form.get("ExternalId", "") == self.expected["external"] else "AccessDenied"


def before(kind, operation, argument):
    """The answer of a fault that comes instead of the service's; None: it is no such fault."""
    throttled = "ProvisionedThroughputExceededException" if operation[:1].isupper() else "ThrottlingException"
    if kind == "throttle":
        return error(400, throttled, "The level of configured provisioned throughput for the table was exceeded.")
    if kind in ("429", "503"):
        return int(kind), [], b""
    if kind == "500":
        return error(500, "InternalServerError", "The request processing has failed because of an unknown error.")
    if kind == "expired":
        return error(400, "ExpiredTokenException", "The security token included in the request is expired")
    if kind == "denied":
        return error(400, "AccessDeniedException", "User is not authorized to perform this")
    if kind == "large":
        return 200, [], b"{" + b" " * int(argument) + b"}"
    if kind == "skew":
        return error(403, "InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than 2026...")
    if kind == "redirect":
        return 302, [("Location", argument)], b""
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    service = None

    def setup(self):
        self.service.connections += 1
        super().setup()

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        target = self.headers.get("X-Amz-Target", "")
        source = self.service.sources.operation(self, body)
        operation = source or target.partition(".")[2] or "query"
        kind, argument = self.service.faults.take(operation)
        if kind == "refuse":
            return self.hang_up()
        if kind == "delay":
            time.sleep(int(argument) / 1000)
        answer = before(kind, operation, argument)
        if not answer:
            wrong = None if source else self.service.signatures.fault(self, body)
            answer = error(*wrong) if wrong else self.service.carry_out(self, operation, body)
        if kind == "500after":
            answer = error(500, "InternalServerError", "unknown")
        if kind == "late":
            time.sleep(int(argument) / 1000)
        if kind == "drop":
            return self.hang_up()
        return self.answer(*answer, half=kind == "half")

    do_GET = do_PUT = do_POST

    def answer(self, status, headers, body, half=False):
        try:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
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
        pass  # connections that clients cut: many tests do


def make_user(service, name, files):
    """An IAM user of moto's, with what the files allow; "KEY SECRET"."""
    from moto.iam.models import iam_backends
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    backend = iam_backends["123456789012"]["aws"]
    backend.create_user("us-east-1", name)
    missing_actions = [file[1:] for file in files if file.startswith("-")]
    for path in [file for file in files if not file.startswith("-")]:
        statements = []
        for statement in json.loads((root / path).read_text())["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            actions = [action for action in actions if action not in missing_actions]
            # AWS has no such action: PutItem and DeleteItem cover it.
            statement["Action"] = actions + (["dynamodb:TransactWriteItems"] if "dynamodb:PutItem" in actions else [])
            statement["Resource"] = "*"
            statement.pop("Condition", None)
            statements += [statement] if actions else []
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        if statements:
            backend.put_user_policy(name, pathlib.Path(path).stem, policy)
    key = backend.create_access_key(name)
    service.signatures.known[key.access_key_id] = (key.secret_access_key, "")
    return f"{key.access_key_id} {key.secret_access_key}"


def ask_iam(wanted):
    from moto import settings
    from moto.core.authorization import ActionAuthenticatorMixin
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0 if wanted else float("inf")
    ActionAuthenticatorMixin.request_count = 0


def obey(service, line):
    word, *rest = line.split()
    if word == "fault":
        kind, operation, count, *argument = rest
        service.faults.add(kind, operation, int(count), argument[0] if argument else 0)
    elif word == "clear":
        service.faults.clear()
    elif word == "count":
        return str(service.counts.get(rest[0], 0))
    elif word == "tls":
        return str(listen(rest[0]))
    elif word == "touched":
        return json.dumps(sorted(service.touched, key=str))
    elif word == "keep":
        service.keep(rest[0])
    elif word == "back":
        service.put_back(rest[0], rest[1:])
    elif word == "connections":
        return str(service.connections)
    elif word == "refused":
        return str(service.signatures.refused)
    elif word == "allow":
        service.signatures.known[rest[0]] = (rest[1], rest[2] if len(rest) > 2 else "")
    elif word == "account":
        service.sources.accounts[rest[0]] = rest[1]
    elif word == "give":
        service.sources.given = (*rest[:3], int(rest[3]))
    elif word == "iam":
        ask_iam(rest[0] == "on")
    elif word == "user":
        return make_user(service, rest[0], rest[1:])
    elif word == "expect":
        service.sources.expected[rest[0]] = " ".join(rest[1:])
    elif word == "forget":
        service.signatures.known.pop(rest[0], None)
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


def serve():
    Handler.service = Service()
    print(f"http://127.0.0.1:{listen(None)}", flush=True)
    for line in sys.stdin:
        try:
            answer = obey(Handler.service, line)
        except (ValueError, IndexError) as fault:
            answer = f"? {fault}"
        print(answer, flush=True)


def main():
    if sys.argv[1:] == ["--check"]:
        sys.exit(missing() or 0)
    if importlib.util.find_spec("moto") and importlib.util.find_spec("flask"):
        return serve()
    python = moto_python()
    if not python:
        sys.exit(f"aws.py: {missing()}")
    os.execv(python, [python, os.path.abspath(__file__), *sys.argv[1:]])
    return None


if __name__ == "__main__":
    main()
