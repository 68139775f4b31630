"""docs/openapi.yaml as data: its operations, what each may answer, and whether an answer is one of those."""
import collections
import functools
import json
import re
import threading
import weakref

import jsonschema
import yaml
from daemon import SOURCE_DIR

PAGE = yaml.safe_load((SOURCE_DIR / "docs/openapi.yaml").read_text())
BINARY = {"application/cose"}
METHODS = ("get", "post", "put", "patch", "delete")


def documented():
    """{(method, path template)} of every operation."""
    return {(method.upper(), path) for path, item in PAGE["paths"].items() for method in item if method in METHODS}


def operation(method, path):
    return PAGE["paths"][path][method.lower()]


def as_served(path):
    """As the snapshot of the routes has it."""
    return re.sub(r"\{\w+\}", "{}", path)


def served():
    """{(method, path): (listener, gate, body limit)} of the snapshot of the routes."""
    rows = [line.split() for line in (SOURCE_DIR / "tests/snapshot/routes.txt").read_text().splitlines()]
    return {(method, path): (listener, gate, int(limit)) for method, path, listener, gate, limit in rows}


def resolve(node):
    while "$ref" in node:
        target = PAGE
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def schema_of(content):
    """With all definitions, so that references inside it are found."""
    return {**content["application/json"]["schema"], "components": PAGE["components"]}


# --- what fits what ---------------------------------------------------------------------------------------------------

_here = threading.local()  # .trail: the names of the schemas that were met so far
_plain_ref = jsonschema.Draft202012Validator.VALIDATORS["$ref"]


def _attempt(errors):
    """The first of them, or None. What was met on the way to one is forgotten."""
    mark = len(_here.trail)
    error = next(iter(errors), None)
    if error:
        del _here.trail[mark:]
    return error


def _ref(validator, ref, value, schema):
    error = _attempt(_plain_ref(validator, ref, value, schema))
    if error:
        yield error
    else:
        _here.trail.append(ref.removeprefix("#/components/schemas/"))


def _choice(is_enough):
    """anyOf and oneOf; each choice is tried, so that all that fit are met."""

    def check(validator, choices, value, _):
        faults = [_attempt(validator.descend(value, choice, schema_path=index)) for index, choice in enumerate(choices)]
        if not is_enough(faults.count(None)):
            reasons = "; ".join(fault.message[:200] for fault in faults if fault)
            yield jsonschema.ValidationError(f"{faults.count(None)} of {len(choices)} choices fit: {reasons}")

    return check


_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator, {"$ref": _ref, "anyOf": _choice(lambda n: n >= 1), "oneOf": _choice(lambda n: n == 1)}
)


@functools.lru_cache(maxsize=None)
def _of_answer(method, path, status, kind):
    content = resolve(operation(method, path)["responses"][str(status)])["content"]
    assert kind in content, f"{method} {path} {status}: {kind} is not documented"
    return _checked({**content[kind]["schema"], "components": PAGE["components"]})


@functools.lru_cache(maxsize=None)
def _of_request(method, path):
    return _checked(schema_of(operation(method, path)["requestBody"]["content"]))


@functools.lru_cache(maxsize=None)
def _refusal():
    return _checked({"$ref": "#/components/schemas/Refusal", "components": PAGE["components"]})


def _checked(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    return _Validator(schema)


def _fit(validator, value):
    """The names of the schemas that were gone through; fails unless it fits."""
    _here.trail = []
    validator.validate(value)
    return _here.trail


class Record:
    """Which of the page's answers were given, and what of its schemas was in them and in the bodies that were taken. It fails for
    whatever is not on the page."""

    def __init__(self):
        self.answers = collections.Counter()  # (method, path template, status)
        self.schemas = set()

    def answered(self, method, path, status, headers, body, causes=()):
        """The answer as a value. `causes`: statuses that any route may have, and that this request has asked for."""
        where = f"{method} {path} {status} {body[:500]!r}"
        kind, _, _ = headers.get("content-type", "").partition(";")
        is_json = kind == "application/json"
        value = json.loads(body) if is_json else body.decode("latin-1" if kind in BINARY else "utf-8")
        if str(status) in operation(method, path)["responses"]:
            self.schemas.update(_fit(_of_answer(method, path, status, kind), value))
        else:
            assert status in causes and str(status) in PAGE["x-any-route"], f"not documented: {where}"
            assert kind in PAGE["x-any-route"][str(status)]["content"], where
            if is_json:
                _fit(_refusal(), value)
        if is_json and 400 <= status and "code" in value:
            assert value["code"] == status, where
        self.answers[method, path, status] += 1
        return value

    def took(self, method, path, value):
        """A body that was answered with a success."""
        self.schemas.update(_fit(_of_request(method, path), value))


_records = weakref.WeakKeyDictionary()


def record_of(daemon):
    """That of all that seal_client.py asks it for."""
    return _records.setdefault(daemon, Record())
