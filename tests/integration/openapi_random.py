"""Requests made from docs/openapi.yaml by chance: valid ones, ones that are almost valid, and ones that are nothing at all.

    for request in Dice(seed, world).requests(1500): ...

A seed makes the same requests again. What a request has asked for beyond its operation (another method, a Host of its own) stands in
`causes`: the statuses of x-any-route that it may get.
"""
import copy
import dataclasses
import json
import random
import re
import re._constants as parts  # what the standard library reads a pattern into
import re._parser as patterns
import string
import urllib.parse

from contract import METHODS, PAGE, documented, operation, resolve

DEPTH = 12  # of what is made; nothing of the page is deeper
UNRESERVED = set(string.ascii_letters + string.digits + "-._~")
# Sent by the owner this would end all signing, and every answer after it would be the same.
NOT_BY_THE_OWNER = {("POST", "/api/v1/chamber/seal")}
# A hand-over is far away, and a low watermark that is left for good behind what is signed, so that there is something left to sign.
FAR = 1_000_000
BEHIND = 20
REQUESTS_PER_EPOCH = 5
# Operations that a client asks for all the time come up more often.
WEIGHTS = {"/api/v1/eth2/sign/{identifier}": 24, "/api/v1/eth2/sign": 12, "/reload": 1}
USUAL_WEIGHT = 2


@dataclasses.dataclass
class World:
    """What a valid request has to fit."""

    keys: list  # public keys that the signer has, and nobody else signs with
    genesis_root: str
    keystores: list  # (text, password)


@dataclasses.dataclass
class Request:
    """One request, and where it goes."""

    method: str  # as it is sent
    template: str
    path: str
    owner: bool
    body: bytes | None
    headers: dict
    causes: set
    operation: str  # the method whose answers are documented
    valid: bool  # the body fits its schema


class Text:
    """A text that a pattern of the page matches."""

    def __init__(self, dice):
        self.dice = dice

    def of(self, pattern):
        return "".join(self._item(op, value) for op, value in patterns.parse(pattern))

    def _item(self, op, value):
        if op is parts.LITERAL:
            return chr(value)
        if op is parts.IN:
            return self._one_of(value)
        if op is parts.BRANCH:
            return self._all(self.dice.choice(value[1]))
        if op is parts.SUBPATTERN:
            return self._all(value[-1])
        if op is parts.MAX_REPEAT:
            low, high, items = value
            many = low if low == high else self.dice.randint(low, min(int(high), low + 6))
            return "".join(self._all(items) for _ in range(many))
        assert op is parts.AT, op
        return ""

    def _all(self, items):
        return "".join(self._item(op, value) for op, value in items)

    def _one_of(self, choices):
        op, value = self.dice.choice(choices)
        if op is parts.RANGE:
            return chr(self.dice.randint(*value))
        assert op is parts.LITERAL, op
        return chr(value)


class Valid:
    """Values that fit a schema; where the schema leaves it open, ones that the signer can do something with."""

    def __init__(self, dice, world):
        self.dice = dice
        self.world = world
        self.text = Text(dice)
        self.epoch = BEHIND + 1  # as time goes by
        epoch = lambda: str(self.epoch + dice.randrange(-3, 4))
        # Of a member by its name, or of a schema by its; None: as the schema says.
        self.hints = {
            "genesis_validators_root": lambda: world.genesis_root,
            "Identifier": lambda: dice.choice(world.keys),
            "PublicKey": lambda: dice.choice(world.keys),
            "pubkeys": lambda: [dice.choice(world.keys) for _ in range(dice.randrange(4))],
            "slot": lambda: str(8 * self.epoch + dice.randrange(16)),
            "Uint64": epoch,
            "Number": epoch,
            "Positive": epoch,
            "KeysImport": self._import,
            "KeystoresImport": self._import,
            "AttestationData": self._vote,
            "Bitvector": lambda: dice.choice(["0x01", "0x05", "0x00000001"]),
            "count": lambda: 1,
        }

    def _vote(self):
        vote = self.of(resolve({"$ref": "#/components/schemas/AttestationData"}))
        epoch = self.epoch + self.dice.randrange(2)
        vote["source"]["epoch"], vote["target"]["epoch"] = str(epoch), str(epoch + self.dice.choice([0, 1, 1, 1, 2]))
        return vote

    def _import(self):
        chosen = self.dice.sample(self.world.keystores, self.dice.randrange(3))
        body = {"keystores": [text for text, _ in chosen], "passwords": [password for _, password in chosen]}
        if self.dice.random() < 0.5:
            body["slashing_protection"] = json.dumps(self.of({"$ref": "#/components/schemas/Interchange"}))
        return body

    def of(self, schema, name="", depth=0):
        """One value. `name`: of the member that it is for."""
        for known in (name, schema.get("$ref", "").rsplit("/", 1)[-1]):
            if known in self.hints and self.dice.random() < 0.97:
                return self.hints[known]()
        schema = resolve(schema)
        for choice in ("anyOf", "oneOf"):
            if choice in schema and "properties" not in schema:
                return self.of(self.dice.choice(schema[choice]), name, depth)
        if "allOf" in schema:
            return {key: value for part in schema["allOf"] for key, value in self.of(part, name, depth).items()}
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.dice.choice(schema["enum"])
        kind = schema.get("type", "string")
        return self._of_kind(self.dice.choice(kind) if isinstance(kind, list) else kind, schema, depth)

    def _of_kind(self, kind, schema, depth):
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            low = schema.get("minItems", 0)
            many = self.dice.randint(low, min(schema.get("maxItems", low + 3), low + 3)) if depth < DEPTH else low
            return [self.of(schema.get("items", {}), "", depth + 1) for _ in range(many)]
        if kind == "integer":
            return self.dice.randint(schema.get("minimum", 0), min(schema.get("maximum", 1000), schema.get("minimum", 0) + 1000))
        if kind == "boolean":
            return self.dice.random() < 0.5
        if kind == "null":
            return None
        if "pattern" in schema:
            return self.text.of(schema["pattern"])
        return "".join(self.dice.choices(string.ascii_letters + string.digits + " .:/", k=self.dice.randrange(20)))

    def _object(self, schema, depth):
        made = {}
        for name, member in schema.get("properties", {}).items():
            # The root that a client computed is not one that is made by chance.
            often = 0.02 if name == "signingRoot" else 0.5
            if name in schema.get("required", []) or (depth < DEPTH and self.dice.random() < often):
                made[name] = self.of(member, name, depth + 1)
        return made


STRANGE = [None, True, False, 0, -1, 1.5, 1e308, 2**63, 2**64 - 1, 2**64, 2**256, "", " ", "0", "-1", "01", "1e3", "0x", "0X00", "0xzz", "null", [], [[]], {},
           {"": ""}, [None], "\u0000", "\u202e\u0661", "\U0001f511" * 3, "\ud83d", "a" * 5000, "9" * 400, str(2**64), str(2**64 - 1)]  # fmt: skip


def nested(levels):
    """A value of so many levels."""
    value = 0
    for _ in range(levels):
        value = [value]
    return value


class Almost:
    """Changes a valid value somewhere."""

    def __init__(self, dice):
        self.dice = dice

    def _places(self, value, found):
        """[(container, key)] of everything below `value`."""
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in list(items):
            found.append((value, key))
            self._places(item, found)
        return found

    def strange(self):
        """Of another type, or beyond a limit."""
        return nested(self.dice.choice([3, 63, 64, 200])) if self.dice.random() < 0.05 else copy.deepcopy(self.dice.choice(STRANGE))

    def of(self, value):
        """`value` may be changed in place; what is returned is the changed one."""
        places = self._places(value, [])
        if not places or self.dice.random() < 0.05:
            return self.strange()
        container, key = self.dice.choice(places)
        what = self.dice.randrange(5)
        if what == 0:
            del container[key]
        elif what == 1 and isinstance(container, dict):
            container[self.dice.choice(["", "type", "data", "all", "\u00e9", "identifier", "x" * 300])] = self.strange()
        elif what == 2 and isinstance(container, dict):
            container[str(key).upper()] = container.pop(key)
        elif what == 3 and isinstance(container, list):
            container.extend(copy.deepcopy(container[key]) for _ in range(self.dice.choice([1, 50])))
        else:
            container[key] = self.strange()
        return value


class Dice:
    """See the module's text."""

    def __init__(self, seed, world):
        self.dice = random.Random(seed)
        self.valid = Valid(self.dice, world)
        self.almost = Almost(self.dice)
        self.operations = sorted(documented())
        self.weights = [WEIGHTS.get(path, USUAL_WEIGHT) for _, path in self.operations]

    def requests(self, count):
        for number in range(count):
            self.valid.epoch = BEHIND + 1 + number // REQUESTS_PER_EPOCH
            yield self.request(*self.dice.choices(self.operations, self.weights)[0])

    # --- the parts of a request ---------------------------------------------------------------------------

    def request(self, method, template):
        entry = operation(method, template)
        body, valid = self._body(method, template, entry)
        headers, causes = self._headers()
        path, strange = self._path(template, entry)
        causes |= {404} if strange else set()
        sent = method
        if self.dice.random() < 0.04:
            sent, causes = self._other_method(template, causes)
        owner = self.dice.random() < 0.6 and (method, template) not in NOT_BY_THE_OWNER and sent == method
        return Request(sent, template, path, owner, body, headers, causes, method, valid)

    def _other_method(self, template, causes):
        """One that the path does not have."""
        has = {name.upper() for name in PAGE["paths"][template] if name in METHODS}
        others = [name for name in ("PUT", "PATCH", "DELETE", "POST", "OPTIONS", "TRACE", "BREW", "get") if name not in has]
        return self.dice.choice(others), causes | {405}

    def _path(self, template, entry):
        """(path, it may be no path of the page any more)"""
        strange = False
        path = template
        for name in re.findall(r"\{(\w+)\}", template):
            schema = next(p for p in map(resolve, entry["parameters"]) if p["name"] == name)["schema"]
            text = str(self.valid.of(schema, name))
            if self.dice.random() < 0.15:
                text = self.dice.choice(["x", "..", "%", "A", "\u00fc", "\u0000", "a b", "a/b", "0x", "-", "x" * 300, "none-of-that-name", text + "0", text.upper()])
            strange |= not set(text) <= UNRESERVED
            path = path.replace("{" + name + "}", urllib.parse.quote(text, safe=""))
        query = {p["name"]: self.valid.of(p["schema"]) for p in map(resolve, entry.get("parameters", [])) if p["in"] == "query"}
        if query and self.dice.random() < 0.3:
            query = self.dice.choice([{}, {**query, "more": "1"}, dict.fromkeys(query, self.dice.choice(["", "x", "\u0000", "f" * 70]))])
        return path + ("?" + urllib.parse.urlencode(query) if query else ""), strange

    def _headers(self):
        """(headers, statuses of any route that they ask for)"""
        headers, causes = {}, set()
        if self.dice.random() < 0.3:
            headers["Accept"] = self.dice.choice(["*/*", "text/plain", "application/json;q=0.5, text/plain", "", "application/xml", "a" * 300])
        if self.dice.random() < 0.2:
            headers["Content-Type"] = self.dice.choice(["text/plain", "application/x-www-form-urlencoded", "", "application/json; charset=utf-16", "\u00ff"])
        if self.dice.random() < 0.03:
            headers["Authorization"] = self.dice.choice(["Bearer x", "Basic eDp5", "Bearer cc_token_" + "A" * 43, "Digest x", ""])
        if self.dice.random() < 0.02:
            name, value, status = self.dice.choice([("Host", "elsewhere", 403), ("Origin", "http://x", 403), ("Content-Encoding", "gzip", 415),
                                                    ("Signature-Input", "sig1=x", 400), ("Signature", "x", 400)])  # fmt: skip
            headers[name] = value
            causes |= {status, 401}
        return headers, causes

    def _body(self, method, template, entry):
        """(bytes or None, it fits its schema)"""
        if "requestBody" not in entry:
            return (b"{}" if self.dice.random() < 0.1 else None), True
        schema = resolve(entry["requestBody"])["content"]["application/json"]["schema"]
        chance = self.dice.random()
        if chance < 0.08:
            return self._junk(), False
        value, valid = self.valid.of(schema), True
        if chance < 0.55:
            valid = False
            for _ in range(self.dice.choice([1, 1, 1, 2, 4])):
                value = self.almost.of(value)
        value = tame(template, value, self.valid.epoch)
        ascii_only = self.dice.random() < 0.7
        text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        if self.dice.random() < 0.02:
            return text[: self.dice.randrange(len(text))], False
        return text, valid

    def _junk(self):
        """No JSON, or none that is taken."""
        return self.dice.choice([
            b"", b" ", b"{", b"}", b"[", b"null", b"0", b'""', b"[]", b"{}", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b'{"a":"\xff"}', b'{"a":1,"a":2}', b'{"type":"BLOCK","type":"BLOCK"}',
            b"{'a':1}", b'{"a":01}', b'{"a":NaN}', b'{"a":1e999}', b'{"a":' + b"9" * 4000 + b"}", b'{"a":"\\ud800"}', b'{"a":"\\u0000"}', b"[" * 2000, b"[" * 70 + b"]" * 70,
            b'{"a":' * 70 + b"1" + b"}" * 70, b"[" + b"{}," * 3000 + b"{}]", bytes(self.dice.randrange(256) for _ in range(200)),
        ])  # fmt: skip


def tame(template, value, epoch):
    """The same, but for a mark that would leave nothing to be signed by any key."""
    text = str(value.get("epoch", "")) if isinstance(value, dict) else ""
    if not text.isascii() or not text.isdecimal():
        return value
    if template.endswith("/repair-watermark") and epoch - BEHIND < int(text) < 2**64:
        return {**value, "epoch": str(epoch - BEHIND)}
    if template.endswith("/hand-over") and 0 < int(text) < FAR:
        return {**value, "epoch": str(int(text) + FAR)}
    return value
