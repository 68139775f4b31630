"""docs/openapi.yaml as data: its operations, what each may answer, and whether an answer is one of those."""
import functools
import json
import re

import jsonschema
import yaml
from daemon import SOURCE_DIR

PAGE = yaml.safe_load((SOURCE_DIR / "docs/openapi.yaml").read_text())
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


@functools.lru_cache(maxsize=None)
def _validator(method, path, status, kind):
    content = resolve(operation(method, path)["responses"][str(status)])["content"]
    assert kind in content, f"{method} {path} {status}: {kind} is not documented"
    schema = {**content[kind]["schema"], "components": PAGE["components"]}
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@functools.lru_cache(maxsize=None)
def _refusal():
    return jsonschema.Draft202012Validator({"$ref": "#/components/schemas/Refusal", "components": PAGE["components"]})


def check(method, path, status, headers, body, causes=()):
    """Fails unless the page says that `method path` may answer that. `causes`: statuses that any route may have, and that this
    request has asked for."""
    where = f"{method} {path} {status} {body[:500]!r}"
    kind, _, _ = headers.get("content-type", "").partition(";")
    if str(status) not in operation(method, path)["responses"]:
        assert status in causes and str(status) in PAGE["x-any-route"], f"not documented: {where}"
        assert kind in PAGE["x-any-route"][str(status)]["content"], where
        if kind == "application/json":
            _refusal().validate(json.loads(body))
        return
    validator = _validator(method, path, status, kind)
    validator.validate(json.loads(body) if kind == "application/json" else body.decode())
    if kind == "application/json" and 400 <= status and "code" in (answer := json.loads(body)):
        assert answer["code"] == status, where
