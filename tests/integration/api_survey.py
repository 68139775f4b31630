"""Asks a signer for every answer that docs/openapi.yaml says it gives, as far as one on its own data directory can give it; api_sealed.py has the rest.

Each step names the status that it is for.
"""
import base64
import contextlib
import fcntl
import http.client
import itertools
import json
import os
import pathlib
import random
import re
import signal
import socket
import struct
import termios
import time

import contract
import interop
import keystores
import messages
from api_callers import NOBODY, OWNER
from contract import PAGE, documented, operation, served
from cryptography.hazmat.primitives import serialization
from daemon import wait_for
from openapi_random import Valid, World
from test_auth_management import Manager
from test_slashing_cli import KEY, OTHER, interchange, validator
from test_slashing_live import UnixConnection

SIGN, BATCH, MANAGER = "/api/v1/eth2/sign/{identifier}", "/api/v1/eth2/sign", "/eth/v1/keystores"
CHAMBER = "/api/v1/chamber"
SLASHING, KEYS, AUTH, ROTATE = f"{CHAMBER}/slashing", f"{CHAMBER}/keys", f"{CHAMBER}/auth", f"{CHAMBER}/rotate"
POLICY, TOKEN = f"{AUTH}/policies/{{name}}", f"{AUTH}/tokens/{{name}}"
CHALLENGE = f"{CHAMBER}/operators/{{name}}/challenge"
ADDRESS = "0x00112233445566778899AABbCCdDeeFf00112233"
UNKNOWN = "0x" + "ab" * 48
MINE = interop.PUBKEYS[:4]
HEX32 = "00" * 32
ARN = "arn:aws:kms:eu-central-1:123456789012:key/12345678-1234-1234-1234-123456789012"
RECIPIENT = "age1854mg9uhmyt0cfxd39emc2z3cvr4k2yu3av7ms36zfejs26lag7q4mj03c"  # tests/support/age_tool.h
ALICE = {"name": "alice", "public_key": RECIPIENT}
ENVELOPE = {"name": "alice", "envelope": base64.b64encode(bytes(200)).decode()}
OPEN = ("open", "probe")
KINDS_SEED, KINDS_ROUNDS = 1, 10  # the first few meet all


# These tell who has no credential that they are the owner's.
THE_OWNERS = {("DELETE", f"{AUTH}/latch"), ("DELETE", f"{CHAMBER}/seal"), ("POST", f"{AUTH}/bootstrap"), ("POST", f"{CHAMBER}/setup-token")}


def path_of(template, argument="x"):
    return re.sub(r"\{\w+\}", argument, template)


def keystore(number):
    return json.dumps(keystores.make(bytes.fromhex(interop.SECRETS[number][2:]), interop.PUBKEYS[number], "a password"))


def imports(*numbers, **more):
    return {"keystores": [keystore(n) for n in numbers], "passwords": ["a password"] * len(numbers), **more}


def a_manager():
    """Somebody with a new management key."""
    return Manager("cc_management_" + base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("="))


def public_of(manager):
    """Its public key, in hex."""
    return manager.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()


def rules(*scopes):
    return {"rules": [{"effect": "allow", "scopes": list(scopes)}]}


# (method, template, argument, body, status), asked by the owner in this order. The argument is that of the path, or, of a route that
# has none, what the file auth.proof says meanwhile.
BY_THE_OWNER = [
    ("POST", f"{CHAMBER}/setup-token", "", None, 200),  # while there is no key in a store
    ("GET", "/reload", "", None, 200),
    ("GET", f"{AUTH}/policies", "", None, 200),
    ("GET", f"{AUTH}/tokens", "", None, 200),
    ("GET", POLICY, "none", None, 404),
    ("GET", MANAGER, "", None, 200),
    ("POST", MANAGER, "", imports(9), 200),
    ("POST", MANAGER, "", imports(11, slashing_protection=json.dumps(interchange(version="4"))), 400),
    ("DELETE", MANAGER, "", {"pubkeys": [interop.PUBKEYS[9], UNKNOWN]}, 200),
    ("GET", KEYS, "", None, 200),
    ("POST", KEYS, "", imports(10, slashing_protection=json.dumps(interchange()), status="inactive"), 200),
    ("PATCH", KEYS, "", {"pubkeys": [interop.PUBKEYS[10], UNKNOWN], "status": "active"}, 200),
    ("POST", f"{KEYS}/pause", "", {"pubkeys": [interop.PUBKEYS[10]]}, 200),
    ("POST", f"{KEYS}/resume", "", {"pubkeys": [interop.PUBKEYS[10]]}, 200),
    ("POST", f"{KEYS}/pause", "", {"all": True}, 200),
    ("POST", f"{KEYS}/resume", "", {"all": True}, 200),
    ("DELETE", KEYS, "", {"pubkeys": [interop.PUBKEYS[10]]}, 200),
    ("POST", f"{KEYS}/generate", "", {"count": 1, "withdrawal_address": ADDRESS}, 200),
    ("GET", f"{SLASHING}/status", "", None, 200),
    ("POST", SLASHING, "", interchange(validator(KEY, [7, 9], [(1, 2), (2, 3)])), 200),
    ("POST", SLASHING, "", interchange(validator(OTHER, [1], [(1, 9), (2, 3)])), 200),
    ("POST", SLASHING, "", interchange(validator(KEY, [7]), version="4"), 400),
    ("POST", SLASHING, "", interchange(validator(KEY, [7]), genesis="0x" + "77" * 32), 403),
    ("GET", SLASHING, "", None, 200),
    ("GET", f"{SLASHING}/disabled", "", None, 200),
    ("POST", f"{SLASHING}/verify", "", {}, 200),
    ("POST", f"{SLASHING}/verify", "", {"deep": True}, 400),
    ("POST", f"{SLASHING}/prune", "", {"keep_epochs": "4"}, 200),
    ("POST", f"{SLASHING}/prune", "", {"keep_epochs": "0"}, 400),
    ("POST", f"{SLASHING}/enable", "", {"key": MINE[0]}, 200),
    ("POST", f"{SLASHING}/enable", "", {"key": "0x" + "77" * 48}, 404),
    ("GET", "/api/v1/eth2/highWatermark", "", None, 200),
    ("POST", f"{SLASHING}/hand-over", "", {"epoch": "90"}, 200),
    ("GET", f"{SLASHING}/status", "", None, 200),
    ("GET", "/api/v1/eth2/highWatermark", "", None, 200),
    ("POST", f"{SLASHING}/hand-over", "", {"cancel": True}, 409),
    ("POST", f"{SLASHING}/hand-over", "", {"epoch": "91", "force": False}, 409),
    ("POST", f"{SLASHING}/hand-over", "", {"cancel": True, "force": True}, 200),
    ("POST", f"{SLASHING}/hand-over", "", {}, 400),
    ("POST", f"{SLASHING}/repair-watermark", "", {"epoch": "20"}, 200),
    ("POST", f"{SLASHING}/repair-watermark", "", {}, 400),
    ("GET", f"{CHAMBER}/status", "", None, 200),
    ("GET", f"{ROTATE}/tokens", "", None, 404),
    # No operators and no KMS keys: what is theirs has no place yet.
    ("GET", CHALLENGE, "alice?purpose=unseal", None, 409),
    ("GET", CHALLENGE, "alice?purpose=x", None, 400),
    ("POST", f"{CHAMBER}/register", "", {**ENVELOPE, "digest": HEX32}, 409),
    ("POST", f"{CHAMBER}/unseal", "", ENVELOPE, 409),
    ("POST", f"{CHAMBER}/break-glass", "", ENVELOPE, 409),
    ("POST", f"{CHAMBER}/rehearse", "", ENVELOPE, 409),
    ("POST", f"{CHAMBER}/auto-unseal", "", {"pcr0": "ab" * 48}, 403),
    ("POST", f"{CHAMBER}/setup-token", "", None, 409),
    ("POST", f"{CHAMBER}/init", "", {"mode": "operators", "operators": [ALICE], "operator_threshold": 1, "setup_token": "cc_setup_" + "A" * 43}, 403),
    ("POST", f"{CHAMBER}/root-token", "", {"public_key": HEX32}, 403),
    ("POST", f"{ROTATE}/kms", "", {"kms_key_arns": [ARN], "kms_threshold": 1}, 409),
    ("POST", f"{ROTATE}/quorum", "", {"operators": [ALICE], "operator_threshold": 1}, 409),
    ("POST", f"{ROTATE}/master", "", {}, 202),
    ("POST", f"{ROTATE}/master", "", {}, 409),
    ("POST", f"{ROTATE}/mode", "", {"mode": "operators", "operators": [ALICE], "operator_threshold": 1}, 409),
    ("DELETE", ROTATE, "cancel", None, 200),
    ("DELETE", ROTATE, "cancel", None, 409),
    ("POST", f"{ROTATE}/mode", "", {"mode": "operators", "operators": [ALICE], "operator_threshold": 1}, 202),
    ("DELETE", ROTATE, "cancel", None, 200),
    ("POST", f"{ROTATE}/approve", "", {"digest": HEX32}, 403),
    ("POST", f"{ROTATE}/approve", f"approve {HEX32}", {"digest": HEX32}, 409),
    ("DELETE", f"{AUTH}/latch", "", None, 403),
    ("DELETE", f"{AUTH}/latch", "unlatch", None, 200),
    ("DELETE", f"{CHAMBER}/seal", "", None, 403),
    ("POST", f"{AUTH}/bootstrap", "", {"public_key": HEX32}, 403),
]

# What somebody without credentials is answered: (method, template, argument, body, headers, status).
BY_NOBODY = [
    ("GET", "/upcheck", "", None, {}, 200),
    ("GET", "/upcheck", "", None, {"Accept": "text/plain"}, 200),
    ("GET", "/readyz", "", None, {}, 200),
    ("GET", "/healthcheck", "", None, {}, 200),
    ("GET", "/metrics", "", None, {}, 200),
    ("GET", "/status", "", None, {}, 200),
    ("GET", "/attestation", "?nonce=" + "00" * 16, None, {}, 403),
    ("GET", "/api/v1/eth2/publicKeys", "", None, {}, 200),
    ("GET", "/api/v1/eth2/publicKeys", "", None, {"Accept": "text/plain"}, 406),
    ("POST", SIGN, MINE[0], messages.attestation(30, 31), {}, 200),
    ("POST", SIGN, MINE[0], messages.attestation(30, 31), {"Accept": "text/plain"}, 200),
    ("POST", SIGN, MINE[0].upper().replace("0X", ""), messages.attestation(30, 31), {"Accept": "*/*"}, 200),
    ("POST", SIGN, MINE[0], messages.attestation(30, 31, 1), {}, 412),
    ("POST", SIGN, MINE[0], messages.block(400), {}, 200),
    ("POST", SIGN, MINE[0], messages.block(400, 1), {}, 412),
    ("POST", SIGN, MINE[0], {**messages.attestation(31, 32), "signingRoot": messages.signing_root(messages.attestation(31, 32))}, {}, 200),
    ("POST", SIGN, MINE[0], {}, {}, 400),
    ("POST", SIGN, "x", messages.randao(1), {}, 400),
    ("POST", SIGN, MINE[0], messages.voluntary_exit(1), {}, 403),
    ("POST", SIGN, MINE[0], messages.attestation(30, 31, genesis_root="0x" + "22" * 32), {}, 403),
    ("POST", SIGN, UNKNOWN, messages.randao(1), {}, 404),
    ("POST", BATCH, "", [], {}, 200),
    ("POST", BATCH, "", [{"identifier": MINE[1], **messages.attestation(30, 31, seed)} for seed in (0, 1)] + [{}, messages.randao(1)], {}, 200),
    ("POST", BATCH, "", {}, {}, 400),
    ("POST", BATCH, "", [], {"Accept": "text/plain"}, 406),
    ("POST", BATCH, "", [0] * 2049, {}, 413),
]


class Survey:
    """See the module's text."""

    def __init__(self, callers):
        self.callers = callers
        self.daemon = callers.daemon

    def ask(self, status, who, method, template, **options):
        got, answer = self.callers.ask(who, method, template, **options)
        assert got == status, f"{who}: {method} {options.get('path', template)}: {got}, not {status}: {answer}"
        self._note(method, template, status, options.get("body"), answer)
        return answer

    def _note(self, method, template, status, body, answer):
        """What was taken has to fit the page too; of a batch what was signed."""
        if body is None or status >= 300:
            return
        value = json.loads(body) if isinstance(body, bytes) else body
        if template == BATCH:
            value = [item for item, one in zip(value, answer) if one["status"] == 200]
        self.callers.record.took(method, template, value)

    @staticmethod
    def path(template, argument=""):
        """With the argument in its place; a query after it stays at the end."""
        name, mark, query = argument.partition("?")
        return (path_of(template, name) if "{" in template else template) + mark + query

    # --- what the tables say ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _proof(self, text):
        """The owner of the data directory shows what is meant."""
        file = self.daemon.data_dir / "auth.proof"
        if text:
            file.write_text(text + "\n")
            file.chmod(0o644)  # for the core to read, whatever user it has
        try:
            yield
        finally:
            file.unlink(missing_ok=True)

    def owner(self):
        for method, template, argument, body, status in BY_THE_OWNER:
            has_name = "{" in template
            with self._proof("" if has_name else argument):
                self.ask(status, OWNER, method, template, path=self.path(template, argument if has_name else ""), body=body)

    def nobody(self):
        for method, template, argument, body, headers, status in BY_NOBODY:
            self.ask(status, NOBODY, method, template, path=self.path(template, argument), body=body, headers=headers)

    def kinds(self):
        """Messages of every signing type that nobody needs a token for, made by chance but always the same ones: all that the page has of them."""
        valid = Valid(random.Random(KINDS_SEED), World(MINE[3:], messages.MINIMAL_GENESIS_ROOT, []))
        choices = PAGE["components"]["schemas"]["SignRequest"]["anyOf"]
        for _ in range(KINDS_ROUNDS):
            valid.epoch += 3  # blocks and attestations have to be newer than those before
            self.ask(200, NOBODY, "POST", BATCH, body=[{"identifier": MINE[3], **valid.of(choice)} for choice in choices])

    def paused(self):
        """503 of a key, and no longer."""
        for verb, status in (("pause", 503), ("resume", 200)):
            self.ask(200, OWNER, "POST", f"{KEYS}/{verb}", body={"pubkeys": [MINE[2]]})
            self.ask(status, NOBODY, "POST", SIGN, path=path_of(SIGN, MINE[2]), body=messages.randao(1))

    # --- who may ask ------------------------------------------------------------------------------------------------

    def _scoped(self):
        """[(method, template, path, body, scope)] of what takes a credential from everybody."""
        for method, template in sorted(documented()):
            scope = operation(method, template)["x-scope"]
            if scope not in (*OPEN, "sign", "public_keys") and template != "/status":
                body = {} if "requestBody" in operation(method, template) else None
                yield method, template, path_of(template), body, scope

    def without_a_credential(self):
        for method, template, path, body, _ in self._scoped():
            status = 403 if (method, template) in THE_OWNERS else 401
            self.ask(status, NOBODY, method, template, path=path, body=body)

    def enforced(self, tokens):
        """Of a signer with auth.mode enforce, no Key Manager API, no key store and its metrics where nobody is known to be of this machine;
        `tokens` are named by their policies: each is good for one thing."""
        large = [{"pad": "x" * 70000}]
        bearer = {name: {"Authorization": f"Bearer {token}"} for name, token in tokens.items()}
        for headers, status in (({}, 401), (bearer["reloads"], 403)):
            for method, template, body in (("GET", "/api/v1/eth2/publicKeys", None), ("POST", SIGN, messages.randao(1)), ("POST", BATCH, large), ("GET", "/status", None)):
                self.ask(status, NOBODY, method, template, path=path_of(template, MINE[0]), body=body, headers=headers)
        self.ask(200, NOBODY, "GET", "/status", headers=bearer["watches"])
        for method in ("GET", "POST", "DELETE"):
            self.ask(404, OWNER, method, MANAGER)
        self.ask(409, OWNER, "POST", f"{KEYS}/generate", body={"count": 1})
        self.ask(409, OWNER, "DELETE", f"{AUTH}/latch")
        signed = self._manager()
        signed(409, "PUT", POLICY, "reloads", rules("reload"))
        signed(201, "PUT", POLICY, "exits", {"rules": [{"effect": "allow", "scopes": ["sign"], "operations": ["VOLUNTARY_EXIT"]}]})
        token = signed(201, "POST", f"{AUTH}/tokens", value={"name": "exits", "policies": ["exits"]})["token"]
        self.ask(200, NOBODY, "POST", SIGN, path=path_of(SIGN, MINE[0]), body=messages.voluntary_exit(1), headers={"Authorization": f"Bearer {token}"})

    def signed_by(self, manager):
        """A function that asks as somebody whose management key this is."""
        times = itertools.count(int(time.time()) + 2)  # as far ahead as a clock may be, so that no second is waited for

        def signed(status, method, template, argument="", value=None):
            body = b"" if value is None else json.dumps(value).encode()
            path = self.path(template, argument)
            return self.ask(status, NOBODY, method, template, path=path, body=body or None, headers=manager.headers(method, path, body, created=next(times)))

        return signed

    def _manager(self):
        """The same, of a key that the owner puts in place; no second one without force."""
        manager = a_manager()
        body = {"public_key": public_of(manager)}
        with self._proof(f"bootstrap {body['public_key']}"):
            self.ask(201, OWNER, "POST", f"{AUTH}/bootstrap", body=body)
            self.ask(409, OWNER, "POST", f"{AUTH}/bootstrap", body=body)
        return self.signed_by(manager)

    def managed(self):
        """A management key, a policy, two tokens; what they may not; and the end of all of them."""
        signed = self._manager()
        signed(201, "PUT", POLICY, "reloaders", rules("reload"))
        signed(200, "PUT", POLICY, "reloaders", rules("reload"))
        signed(201, "PUT", POLICY, "readers", rules("slashing_export"))
        signed(400, "PUT", POLICY, "readers", {"rules": 1})
        signed(200, "GET", POLICY, "readers")
        signed(404, "POST", f"{AUTH}/tokens", value={"name": "t", "policies": ["none"]})
        signed(400, "POST", f"{AUTH}/tokens", value={"name": "t"})
        tokens = [signed(201, "POST", f"{AUTH}/tokens", value={"name": name, "policies": [name]})["token"] for name in ("reloaders", "readers")]
        signed(409, "POST", f"{AUTH}/tokens", value={"name": "readers", "policies": ["readers"]})
        signed(409, "DELETE", POLICY, "readers")
        self._denied(*tokens)
        for name in ("reloaders", "readers"):
            signed(200, "DELETE", TOKEN, name)
            signed(200, "DELETE", POLICY, name)
        signed(404, "DELETE", TOKEN, "readers")
        signed(404, "DELETE", POLICY, "readers")

    def _denied(self, reload_token, export_token):
        """A token that is good for something else."""
        for method, template, path, body, scope in self._scoped():
            token = export_token if scope == "reload" else reload_token
            if "403" in operation(method, template)["responses"]:
                self.ask(403, NOBODY, method, template, path=path, body=body, headers={"Authorization": f"Bearer {token}"})
        self.ask(202, NOBODY, "POST", "/reload", headers={"Authorization": f"Bearer {reload_token}"})

    # --- bodies -----------------------------------------------------------------------------------------------------

    def broken_bodies(self):
        """Of every route that reads one: no JSON, and more than it takes."""
        for method, template in sorted(documented()):
            limit = served()[method, contract.as_served(template)][2]
            if limit:
                path = path_of(template, MINE[0] if template == SIGN else "x")
                if "{name}" not in template and template != f"{AUTH}/tokens":  # these are signed: managed()
                    self.ask(400, OWNER, method, template, path=path, body=b"{")
                # Announced, and held back: the answer comes at once.
                self.ask(413, OWNER, method, template, path=path, headers={"Content-Length": str(limit + 1), "Expect": "100-continue"})

    def broken_signatures(self):
        """Of the routes without a body that take signed requests."""
        for method, template in sorted(documented()):
            if "400" in operation(method, template)["responses"] and not served()[method, contract.as_served(template)][2] and template.startswith(AUTH):
                self.ask(400, OWNER, method, template, path=path_of(template), headers={"Signature-Input": "sig1=x", "Signature": "x"})

    # --- the end ----------------------------------------------------------------------------------------------------

    def reload_running(self):
        """409: asked for again before it has ended."""

        def twice():
            self.callers.ask(OWNER, "POST", "/reload")
            return self.callers.ask(OWNER, "POST", "/reload")[0] == 409

        wait_for("a reload that is still running", twice)

    def sealed(self):
        """An emergency seal and its end, after which the signer starts anew. The seal ends the rooms, and with them whom they have just
        let in."""
        self.ask(200, OWNER, "POST", f"{CHAMBER}/seal")
        for who, method, template, more in ((NOBODY, "GET", "/healthcheck", {}), (NOBODY, "GET", "/readyz", {}),
                                            (NOBODY, "POST", SIGN, {"path": path_of(SIGN, MINE[0]), "body": messages.randao(1)})):  # fmt: skip
            wait_for("an answer of the sealed signer", lambda w=who, m=method, t=template, o=more: self._is_there(lambda: self.ask(503, w, m, t, **o)))
        with self._proof("unseal"):
            wait_for("the seal's end", lambda: (self._is_there(lambda: self.callers.ask(OWNER, "DELETE", f"{CHAMBER}/seal")) or [0])[0] == 200)
        self.callers.close()
        self.daemon.wait_ready()

    @staticmethod
    def _is_there(asked):
        """What is answered; None where nobody does."""
        try:
            return asked()
        except (OSError, http.client.HTTPException):
            return None

    def core_dies(self):
        """503 of every route that asks the core: it stands still, is asked all of this, and is killed. Who would end the front as well
        is halted meanwhile, so that all answers come out."""
        core, supervisor = self.daemon.room("core"), self.daemon.process.pid
        self.daemon.halt(core)
        waiting = []
        try:
            for method, template in sorted(documented()):
                if "503" in operation(method, template)["responses"] and template != "/attestation":
                    waiting.append((method, template, self._send_only(method, template), template != BATCH))
            waiting.append(("POST", BATCH, self._announce_batch(), True))
            wait_for("the front to have read all of it", lambda: all(self._has_read(one) for _, _, one, _ in waiting))
            self.daemon.halt(supervisor)
        finally:
            os.kill(core, signal.SIGKILL)
        try:
            for one in waiting:
                self._take(*one)
        finally:
            os.kill(supervisor, signal.SIGCONT)
        self.callers.close()
        wait_for("another core", lambda: self.daemon.rooms().get("core", core) != core)
        self.daemon.wait_ready()

    def _take(self, method, template, connection, whole):
        """An answer that was waited for; a batch that was read has it for each of its items."""
        answer = connection.getresponse()
        headers, body = {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        connection.close()
        value = self.callers.record.answered(method, template, answer.status, headers, body)
        statuses = (answer.status, *(() if whole else {item["status"] for item in value}))
        assert statuses == ((503,) if whole else (200, 503)), (method, template, answer.status, body)

    def _send_only(self, method, template):
        """A connection that waits for its answer."""
        is_metrics = template == "/status"
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.metrics_port, timeout=60) if is_metrics else UnixConnection(str(self.daemon.admin_path))
        argument = {SIGN: MINE[0], CHALLENGE: "alice?purpose=unseal"}.get(template, "x")
        body = {SIGN: json.dumps(messages.randao(1)), BATCH: json.dumps([{"identifier": MINE[0], **messages.randao(1)}])}.get(template)
        connection.request(method, self.path(template, argument) if "{" in template else template, body, {"Accept": "application/json"})
        return connection

    def _announce_batch(self):
        """One that is so large that who asks is looked at before it is read."""
        connection = UnixConnection(str(self.daemon.admin_path))
        connection.request("POST", BATCH, headers={"Content-Length": "100000", "Expect": "100-continue"})
        return connection

    @staticmethod
    def _has_read(connection):
        """The other side has taken all bytes out of its socket."""
        if connection.sock.family == socket.AF_UNIX:
            return struct.unpack("i", fcntl.ioctl(connection.sock, termios.TIOCOUTQ, bytes(4)))[0] == 0
        ends = tuple(f"{port:04X}" for port in (connection.sock.getpeername()[1], connection.sock.getsockname()[1]))
        rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return any((row[1][-4:], row[2][-4:]) == ends and row[4].endswith(":00000000") for row in rows)
