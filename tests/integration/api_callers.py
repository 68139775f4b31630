"""The owner at the admin socket and somebody over TCP, on connections that are kept alive; every answer is held to docs/openapi.yaml."""
import collections
import contextlib
import http.client
import json
import re
import ssl

import contract
from test_slashing_live import UnixConnection

NOBODY, OWNER = "nobody", "owner"
BLOCKS = {"BLOCK", "BLOCK_V2"}


class Ledger:
    """The signatures that were given, and whether two of them are slashable. The signature of a root by a key is always the same, so
    another one is of another root."""

    def __init__(self):
        self.kinds = collections.Counter()
        self.blocks = {}  # (key, slot): signature
        self.votes = collections.defaultdict(dict)  # key: {(source, target): signature}

    def add(self, pubkey, request, signature):
        kind = request["type"].upper()
        self.kinds[kind] += 1
        key = "0x" + pubkey.lower().removeprefix("0x")
        if kind in BLOCKS:
            block = request["block"] if kind == "BLOCK" else request["beacon_block"]
            slot = int((block.get("block_header") or block.get("block") or block)["slot"])
            assert self.blocks.setdefault((key, slot), signature) == signature, f"two blocks of {key} in slot {slot}"
        if kind == "ATTESTATION":
            self._vote(key, int(request["attestation"]["source"]["epoch"]), int(request["attestation"]["target"]["epoch"]), signature)

    def _vote(self, key, source, target, signature):
        for (other_source, other_target), other in self.votes[key].items():
            pair = f"{key}: {other_source}-{other_target}, then {source}-{target}"
            assert other_target != target or other == signature, f"double vote of {pair}"
            assert not other_source < source <= target < other_target, f"surrounded vote of {pair}"
            assert not source < other_source <= other_target < target, f"surrounding vote of {pair}"
        self.votes[key][source, target] = signature


class Callers:
    """See the module's text."""

    def __init__(self, daemon, record=None):
        self.daemon = daemon
        self.ledger = Ledger()
        self.record = record or contract.Record()
        self.open = {}

    def close(self):
        for connection in self.open.values():
            connection.close()
        self.open = {}

    def _connection(self, who, template):
        """A kept one, or a new one; and whether it is new."""
        where = "metrics" if "servers" in contract.PAGE["paths"][template] else who
        if where in self.open:
            return where, self.open[where], False
        self.open[where] = self._connect(where)
        return where, self.open[where], True

    def _connect(self, where):
        """Whose certificate it is nobody asks here."""
        metrics = where == "metrics"
        path = str(self.daemon.admin_path) if where == OWNER else self.daemon.config["metrics"].get("listen") if metrics else None
        if path:
            return UnixConnection(path.removeprefix("unix:"))
        if not metrics and "tls" in self.daemon.config:
            port = int(re.search(r"https-port=(\d+)", (self.daemon.data_dir / "ports").read_text())[1])
            return http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=ssl._create_unverified_context())
        return http.client.HTTPConnection("127.0.0.1", self.daemon.metrics_port if metrics else self.daemon.http_port, timeout=60)

    def send(self, who, template, method, path, body=None, headers=None):
        """(status, headers in lower case, body); once more on a new connection where the server had closed the kept one."""
        where, connection, fresh = self._connection(who, template)
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # an answer may have come before the body was out
                connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.open.pop(where).close()
            if fresh:
                raise
            return self.send(who, template, method, path, body, headers)
        if answer.will_close:
            self.open.pop(where).close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def ask(self, who, method, template, *, path=None, body=None, headers=None, documented_as=None, causes=()):
        """(status, answer) of one request; `body` is bytes, or what becomes JSON. `documented_as`: the method whose answers it may have,
        where `method` is none of the path."""
        path = path or template
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        sent = {"Accept": "application/json", **({"Content-Type": "application/json"} if body is not None else {}), **(headers or {})}
        status, got, content = self.send(who, template, method, path, body, sent)
        answer = self.record.answered(documented_as or method, template, status, got, content, causes)
        if status == 200 and template.startswith("/api/v1/eth2/sign"):
            self._note(template, path, json.loads(body), answer)
        return status, answer

    def _note(self, template, path, request, answer):
        if template.endswith("}"):
            self.ledger.add(path.rsplit("/", 1)[1], request, answer["signature"] if isinstance(answer, dict) else answer)
            return
        assert len(request) == len(answer)
        for item, one in zip(request, answer):
            if one["status"] == 200:
                self.ledger.add(item["identifier"], item, one["signature"])
