"""docs/openapi.yaml and a running signer hold each other to what they say: every route, every status, every schema, and requests made by chance.

CC_FULL=1 makes twenty times as many of those, others each time; CC_SEED repeats them.
"""
import http.client
import io
import json
import os
import pathlib
import random
import re

import contract
import hostile
import interop
import jsonschema
import messages
import pytest
from api_callers import NOBODY, OWNER, Callers
from api_sealed import Sealed
from api_survey import KEYS, RECIPIENT, SLASHING, Survey, keystore
from contract import PAGE, documented, operation, served
from daemon import SOURCE_DIR, Daemon, fresh_dir, merge
from forms import FULL
from openapi_random import FAR, Dice, World
from test_auth_clients import proxied
from test_auto_unseal import Enclave, kms_module, nsm_device
from test_http import ask
from test_key_stores import Database, postgres

RESERVED = interop.PUBKEYS[7]  # signs nothing but what shows that the signer still does
LATE = 2 * FAR  # beyond every mark that a request can leave, but for those that ask for it
COUNT = 30_000 if FULL else 1500
RESUME_EVERY = 100
PROXY = "127.0.0.9"  # whose connections are somebody else's

SETTINGS = {
    "server": {"trusted_proxies": [PROXY]},
    "key_sources": {"sqlite": {"enabled": True}},
    "http": {"key_manager_api": {"enabled": True}},
    "auth": {"open_operations": ["*", "DEPOSIT", "EXECUTION_PAYLOAD_BID"]},
    "anti_slashing": {"new_key_policy": {"quarantine_epochs": 0}},
    "chamber": {"keys": {"generate": {"enabled": True, "max_items_per_request": 4, "backup": {"enabled": True, "recipients": [RECIPIENT]}}}},
}


@pytest.fixture(name="signer", scope="module")
def _signer():
    """One signer for all of this, with its stores in its own data directory."""
    daemon = Daemon(fresh_dir("test_openapi"), keys=interop.SECRETS[:8], config=merge({}, SETTINGS))
    daemon.init()
    try:
        yield daemon.start()
    finally:
        daemon.end()


@pytest.fixture(name="surveyed", scope="module")
def _surveyed(signer):
    """What does not stop it, asked on a fresh history."""
    survey = Survey(Callers(signer))
    survey.owner()
    survey.nobody()
    survey.kinds()
    survey.paused()
    survey.without_a_credential()
    survey.managed()
    survey.broken_bodies()
    survey.broken_signatures()
    yield survey
    survey.callers.close()


@pytest.fixture(name="closed")
def _closed(make_daemon):
    """One that is closed to whoever has no token, without the Key Manager API and without a key store. Where its metrics are served nobody
    is known to be of this machine."""
    scopes = {"reloads": "reload", "watches": "chamber_status"}
    tokens = {name: f"{name:x<40}" for name in scopes}
    policies = {name: {"token": f"env:{name.upper()}", "allowed_scopes": [scope]} for name, scope in scopes.items()}
    socket = pathlib.Path(f"/tmp/cc-openapi-{os.getpid()}.sock")
    more = {"auth": {"mode": "enforce"}, "auth_policies": policies, "chamber": SETTINGS["chamber"], "key_sources": {"sqlite": {"enabled": False}},
            "metrics": {"listen": f"unix:{socket}"}}  # fmt: skip
    daemon = make_daemon(keys=interop.SECRETS[:1], config=more, environment={name.upper(): token for name, token in tokens.items()})
    daemon.init()
    daemon.tokens = tokens
    yield daemon.start()
    daemon.end()
    socket.unlink(missing_ok=True)


@pytest.fixture(name="sealed")
def _sealed(make_daemon, tmp_path):
    """See api_sealed.py."""
    with postgres.Postgres() as server, kms_module.Kms() as kms, nsm_device.NsmDevice(tmp_path / "nsm") as device:
        yield Sealed(make_daemon, Enclave(tmp_path, kms, device), Database(server), tmp_path)


# --- the page and the table of routes ---------------------------------------------------------------------------------


def test_the_page_has_the_routes_that_the_server_has():
    assert set(served()) == {(method, contract.as_served(path)) for method, path in documented()}
    assert re.fullmatch(r"3\.1\.\d", PAGE["openapi"])


def test_its_schemas_are_schemas():
    jsonschema.Draft202012Validator.check_schema({"$defs": PAGE["components"]["schemas"]})


def test_each_route_names_the_scope_that_the_server_asks_for_and_the_listener():
    for method, path in documented():
        listener, gate, limit = served()[method, contract.as_served(path)]
        entry = operation(method, path)
        assert entry["x-scope"] == gate, (method, path)
        assert ("servers" in PAGE["paths"][path]) == (listener == "metrics"), (method, path)
        assert not limit or ("requestBody" in entry and "413" in entry["responses"]), (method, path)
        assert (entry.get("security") == []) <= (gate in ("open", "probe")), (method, path)
    assert {name for way in PAGE["security"] for name in way} == {"bearer", "basic"}
    assert set(PAGE["components"]["securitySchemes"]) == {"bearer", "basic", "managementKey", "ownerKey"}


def test_what_the_page_says_of_signing_types_is_what_the_server_takes():
    table = (SOURCE_DIR / "src/eth/kind.def").read_text()
    kinds = dict(re.findall(r'^K\((\w+),\s+"(\w+)"', table, flags=re.M))
    schemas = [contract.resolve(item) for item in PAGE["components"]["schemas"]["SignRequest"]["anyOf"]]
    assert kinds == {schema["properties"]["type"]["const"]: schema["required"][-1] for schema in schemas}


# --- requests made by chance ------------------------------------------------------------------------------------------


def is_signing(daemon):
    """The key that no request has named signs."""
    return daemon.sign(RESERVED, messages.attestation(LATE, LATE + 1))[0] == 200


def calm(callers):
    """Takes back what would have every key refuse from now on."""
    callers.ask(OWNER, "POST", f"{KEYS}/resume", body={"all": True})
    callers.ask(OWNER, "POST", f"{KEYS}/resume", body={"pubkeys": interop.PUBKEYS[:12]})
    callers.ask(OWNER, "POST", f"{SLASHING}/hand-over", body={"cancel": True, "force": True})


def pids(daemon):
    rooms = daemon.rooms()
    return daemon.process.pid, {name: rooms.get(name) for name in ("front", "core", "vault")}


@pytest.mark.timeout(3600)
def test_P17_requests_made_by_chance_are_answered_as_the_page_says(signer, surveyed):
    """No 5xx but a 503 that is documented, no room that ends, no slashable pair; and the signer signs as before."""
    assert surveyed.callers.record.answers
    seed = int(os.environ.get("CC_SEED") or (random.randrange(2**32) if FULL else 20))
    print(f"CC_SEED={seed}")
    before = pids(signer)
    callers = Callers(signer)
    world = World(interop.PUBKEYS[:7] + interop.PUBKEYS[9:12], messages.MINIMAL_GENESIS_ROOT, [(keystore(n), "a password") for n in (9, 10, 11)])
    faults = []
    for number, one in enumerate(Dice(seed, world).requests(COUNT)):
        who = OWNER if one.owner else NOBODY
        try:
            callers.ask(who, one.method, one.template, path=one.path, body=one.body, headers=one.headers, documented_as=one.operation, causes=one.causes)
        except (AssertionError, jsonschema.ValidationError) as fault:
            faults.append(f"{number}: {who}: {one.method} {one.path[:200]} {one.headers} {(one.body or b'')[:400]!r}\n    {str(fault)[:400]}")
        if number % RESUME_EVERY == 0:
            calm(callers)
    calm(callers)
    callers.close()
    assert not faults, f"CC_SEED={seed}: {len(faults)} of {COUNT}:\n" + "\n".join(faults[:20])
    assert pids(signer) == before
    assert signer.status_of("/readyz") == 200 and is_signing(signer)
    statuses = {status for _, _, status in callers.record.answers}
    assert {200, 400, 401, 403, 404, 405, 409} <= statuses and max(statuses) <= 503, statuses
    assert len(callers.ledger.kinds) >= 12, callers.ledger.kinds  # of 18, one of which nobody may have signed
    print(f"{sum(callers.ledger.kinds.values())} signatures: {dict(callers.ledger.kinds)}")


def test_what_is_made_as_valid_fits_the_page():
    """Or it would be no test of what the page says is taken."""
    world = World(interop.PUBKEYS[:7], messages.MINIMAL_GENESIS_ROOT, [("{}", "p")] * 3)
    seen = set()
    for one in Dice(1, world).requests(600):
        if one.valid and one.body and "requestBody" in operation(one.operation, one.template):
            content = contract.resolve(operation(one.operation, one.template)["requestBody"])["content"]
            jsonschema.Draft202012Validator(contract.schema_of(content)).validate(json.loads(one.body))
            seen.add(one.template)
    assert len(seen) > 15, seen


# --- every status -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(postgres.bin_dir() is None, reason="left out: PostgreSQL is not installed")
def test_every_answer_and_every_schema_of_the_page_is_met(surveyed, closed, sealed):
    """Each answer was given by a running signer; each schema was in one, or in a body that it took."""
    surveyed.reload_running()
    surveyed.core_dies()
    surveyed.sealed()
    another = Callers(closed)
    Survey(another).enforced(closed.tokens)
    another.close()
    sealed.all()
    sealed.callers.close()
    records = [one.record for one in (surveyed.callers, another, sealed.callers)]
    answers = {(method, path, int(status)) for method, path in documented() for status in operation(method, path)["responses"]}
    assert not (left := answers - set().union(*(one.answers for one in records))), sorted(left)
    assert not (left := set(PAGE["components"]["schemas"]) - set().union(*(one.schemas for one in records))), sorted(left)


# What each route may answer whatever it is.
ANY_ROUTE = [
    (400, hostile.raw("GET", "/reload", ["Authorization: Bearer x"] * 2)),
    (403, hostile.raw("GET", "/reload", ["Origin: http://x"])),
    (403, hostile.raw("GET", "/reload", host="elsewhere")),
    (404, hostile.raw("GET", "/reload/x")),
    (404, hostile.raw("GET", "/metrics")),
    (405, hostile.raw("PUT", "/reload")),
    (413, hostile.raw("POST", "/reload", ["Content-Length: 2097152", "Expect: 100-continue"])),
    (414, hostile.raw("GET", "/" + "a" * 40000)),
    (415, hostile.raw("POST", "/reload", ["Content-Encoding: gzip", "Content-Length: 0"])),
    (431, hostile.raw("GET", "/reload", ["X: " + "a" * 40000])),
    (505, hostile.raw("GET", "/reload", version="HTTP/1.2")),
]


def asked(signer, request):
    """(status, headers, body)"""
    status, head, body = ask(signer.http_port, request, half_close=False)
    return status, http.client.parse_headers(io.BytesIO(head.partition(b"\r\n")[2] + b"\r\n\r\n")), body


def carried(signer, request):
    """The same, by a proxy and in the clear, for somebody far away."""
    with proxied(signer, "203.0.113.7", local_address=PROXY) as line:
        line.sendall(request)
        answer = http.client.HTTPResponse(line)
        answer.begin()
        return answer.status, answer.headers, answer.read()


def test_what_any_route_may_answer(signer):
    """In JSON, or as the HTTP library has it, without a type."""
    seen, record = set(), contract.Record()
    answers = [(status, *asked(signer, request)) for status, request in ANY_ROUTE]
    answers.append((401, *carried(signer, hostile.raw("GET", "/reload", ["Authorization: Bearer x"]))))
    for status, got, headers, body in answers:
        is_typed = "content-type" in headers
        assert got == status and is_typed == ("content" in PAGE["x-any-route"][str(status)]), (status, got, headers.items(), body)
        if is_typed:
            record.answered("GET", "/reload", got, headers, body, causes={status})
        seen.add(status)
    assert seen == {int(status) for status in PAGE["x-any-route"]}
