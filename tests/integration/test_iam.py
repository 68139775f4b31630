"""A real server under the policies of deploy/iam and no other permission: the emulator asks its IAM for every call (actions and signatures; resources
and conditions are held against those policies by tests/unit/seal/test_kms.c).
"""
import fnmatch
import json
import os
import pathlib
import re
import sys

import pytest

import interop
import messages
from daemon import wait_for
from key_routes import CHAMBER, call, delete_keys, import_body, import_keys, sign

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
IAM = ROOT / "deploy" / "iam"
sys.path.insert(0, str(ROOT / "tests" / "support"))
import aws as aws_module  # noqa: E402  pylint: disable=wrong-import-position

needs_moto = pytest.mark.skipif(bool(aws_module.missing()), reason="left out: " + aws_module.missing())
RUN = ["deploy/iam/state-run.json", "deploy/iam/history-run.json"]
INIT = ["deploy/iam/state-init.json", "deploy/iam/history-init.json"]


@pytest.fixture(name="aws")
def the_aws():
    with aws_module.Aws() as aws:
        yield aws


def make(make_daemon, environment):
    return make_daemon(keys=interop.SECRETS[:2], environment=environment,
                       config={"anti_slashing": {"backend": "dynamodb", "table": "history"},
                               "signer_state": {"backend": "dynamodb", "table": "state"}})


def signs(daemon, body):
    status, _, content = daemon.sign(interop.PUBKEYS[0], body)
    return status == 200 and "signature" in json.loads(content)


@needs_moto
def test_the_policies_are_enough_to_init_and_to_run(make_daemon, aws):
    maker, runner = aws.user("maker", *RUN, *INIT), aws.user("runner", *RUN)
    aws.tell("iam on")
    daemon = make(make_daemon, maker)
    daemon.init()
    daemon.environment = runner
    daemon.start()
    assert signs(daemon, messages.attestation(1, 2))
    assert signs(daemon, messages.block(10))
    daemon.stop()
    daemon.start()
    assert not signs(daemon, messages.attestation(1, 2, "other"))
    assert signs(daemon, messages.attestation(2, 3))
    assert aws.refused() == 0


@needs_moto
@pytest.mark.parametrize("without", ["CreateTable", "DescribeTable", "DescribeTimeToLive", "Scan", "GetItem", "PutItem", "Query"])
def test_each_permission_is_needed(make_daemon, aws, without):
    """Without one of them init ends, and the log says at which store."""
    environment = aws.user("maker", *RUN, *INIT, f"-dynamodb:{without}")
    aws.tell("iam on")
    daemon = make(make_daemon, environment)
    done = daemon.init(check=False)
    assert done.returncode != 0
    assert '"error":"STATE"' in done.stderr or '"error":"STORE"' in done.stderr, done.stderr


@needs_moto
def test_who_runs_it_makes_no_table(make_daemon, aws):
    environment = aws.user("runner", *RUN)
    aws.tell("iam on")
    daemon = make(make_daemon, environment)
    done = daemon.init(check=False)
    assert done.returncode != 0
    aws.tell("iam off")
    assert aws.count("CreateTable") <= 2 and aws.count("PutItem") == 0 and aws.count("TransactWriteItems") == 0


@needs_moto
def test_a_permission_that_is_taken_away_stops_signing_and_nothing_else(make_daemon, aws):
    environment = aws.user("maker", *RUN, *INIT)
    aws.tell("iam on")
    daemon = make(make_daemon, environment)
    daemon.init()
    daemon.start()
    assert signs(daemon, messages.attestation(1, 2))
    aws.fault("denied", "PutItem", -1)
    status, _, _ = daemon.sign(interop.PUBKEYS[0], messages.attestation(2, 3))
    assert status == 503
    assert daemon.get("/upcheck")[0] == 200
    aws.clear()
    assert wait_for("a signature", lambda: signs(daemon, messages.attestation(3, 4)), 10)


# --- a key store ------------------------------------------------------------------------------------------------------------------

KEYS_RUN, KEYS_INIT = "deploy/iam/keys-run.json", "deploy/iam/keys-init.json"


def make_with_keys(make_daemon, environment):
    """Keys in DynamoDB, all else in files."""
    daemon = make_daemon(environment=environment, config={
        "key_sources": {"dynamodb": {"table": "keys"}}, "http": {"key_manager_api": {"enabled": True}},
        "anti_slashing": {"backend": "sqlite", "new_key_policy": {"quarantine_epochs": 0}}})
    daemon.unix = f"/tmp/cc-iam-{os.getpid()}.sock"
    daemon.config["server"]["unix_socket"] = daemon.unix
    daemon.write_config()
    return daemon


def allows(policy, operation, table, leading, name):
    """What IAM says of one call: action, resource and condition of deploy/iam, with `name` for the table of the policy."""
    for statement in policy["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        resources = [re.sub("@[A-Z_]+_TABLE@", name, text) for text in statement["Resource"]]
        keys = statement.get("Condition", {}).get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys")
        if f"dynamodb:{operation}" in actions and any(text.endswith(f":table/{table}") for text in resources) and \
                (keys is None or leading is None or any(fnmatch.fnmatchcase(leading, pattern) for pattern in keys)):
            return True
    return False


@needs_moto
def test_the_policies_of_a_key_store_are_enough_and_each_permission_is_used(make_daemon, aws):
    maker, runner = aws.user("maker", KEYS_RUN, KEYS_INIT), aws.user("runner", KEYS_RUN)
    aws.tell("iam on")
    daemon = make_with_keys(make_daemon, maker)
    daemon.init()
    daemon.environment = runner
    daemon.start()
    assert import_keys(daemon, 1, 2, 3) == ["imported"] * 3
    assert call(daemon, "PATCH", CHAMBER, {"pubkeys": [interop.PUBKEYS[2]], "status": "inactive"})[0] == 200
    assert delete_keys(daemon, 3)[0] == ["deleted"]
    assert sign(daemon, 1) == 200
    daemon.kill_room("core")
    daemon.wait_ready()
    assert sign(daemon, 1, 2, 3) == 200
    assert daemon.stop() == 0
    daemon.command("keys", "move", "--from", "dynamodb", "--to", "sqlite", "-c", daemon.config_path)
    daemon.command("keys", "move", "--from", "sqlite", "--to", "dynamodb", "-c", daemon.config_path, check=False)
    assert aws.refused() == 0
    # Action by action moto has asked its IAM; resources and conditions are held against the files here.
    touched = aws.touched()
    run, both = json.loads((ROOT / KEYS_RUN).read_text()), {"Statement": []}
    for path in (KEYS_RUN, KEYS_INIT):
        both["Statement"] += json.loads((ROOT / path).read_text())["Statement"]
    assert [place for place in touched if not allows(both, *place, "keys")] == []
    assert {place[0] for place in touched if not allows(run, *place, "keys")} == {"CreateTable"}
    used = {place[0] for place in touched}
    assert used == {"CreateTable", "DescribeTable", "DescribeTimeToLive", "GetItem", "PutItem", "Query"}
    # And what the judge refuses: another table, another store's items in this one, another action.
    for place in (("PutItem", "state", "keys"), ("PutItem", "keys", "state"), ("DeleteItem", "keys", "keys/3"), ("Query", "keys", "validators/3")):
        assert not allows(both, *place, "keys")


@needs_moto
@pytest.mark.parametrize("without", ["DescribeTable", "DescribeTimeToLive", "GetItem", "PutItem", "Query"])
def test_each_permission_of_a_key_store_is_needed(make_daemon, aws, without):
    """Without one of them no key is taken, and none is lost: keys that are in files sign."""
    maker, runner = aws.user("maker", KEYS_RUN, KEYS_INIT), aws.user("runner", KEYS_RUN, f"-dynamodb:{without}")
    aws.tell("iam on")
    daemon = make_with_keys(make_daemon, maker)
    daemon.add_raw_key(interop.SECRETS[0], "file")
    daemon.init()
    daemon.environment = runner
    daemon.start(ready=False)
    wait_for("the file's key", lambda: sign(daemon, 0) == 200)

    def is_refused():
        """Perhaps because the store is being opened still; in the end because of the permission."""
        code, answer = call(daemon, "POST", CHAMBER, import_body(1))
        assert code == 503 or [item["status"] for item in answer["data"]] == ["error"], answer
        return any(text in daemon.log_text() for text in ("AccessDenied", "AWS_DENIED", "not let"))

    wait_for("the reason in the log", is_refused)
    aws.tell("iam off")
    daemon.kill_all()
    daemon.environment = maker
    daemon.start()
    assert import_keys(daemon, 1) == ["imported"]
    assert [sign(daemon, n, 2, 3) for n in (0, 1)] == [200, 200]


# --- the files themselves --------------------------------------------------------------------------------------------------------


def policies():
    return {path.name: json.loads(path.read_text()) for path in sorted(IAM.glob("*.json"))}


def test_the_policies_name_what_they_allow():
    """No wildcard in what a signer may do, no statement for all resources but in a key's own policy."""
    allowed = set()
    for name, policy in policies().items():
        assert policy["Version"] == "2012-10-17"
        for statement in policy["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert re.fullmatch("[A-Za-z]+", statement["Sid"])
            if name != "kms-key-policy.json":
                assert statement["Effect"] == "Allow" and not any("*" in action for action in actions)
                assert "*" not in statement["Resource"]
                allowed.update(actions)
    kms = {action for action in allowed if action.startswith("kms:")}
    assert kms == {"kms:Encrypt", "kms:Decrypt"}


def test_the_policies_know_the_context_that_is_sent():
    """Names and fixed values of the encryption context in src/seal/kms.c, in every condition on it."""
    source = (ROOT / "src" / "seal" / "kms.c").read_text()
    sent = re.findall(r'\{"([a-z]+)", +(?:"([a-z-]+)"|[a-z])', source)  # "pcr0" is none of a set's
    assert [name for name, _ in sent] == ["app", "purpose", "chamber", "generation", "index", "count", "threshold"]
    assert '.purpose = "seal-share"' in source
    fixed = {f"kms:EncryptionContext:{name}": value for name, value in [*sent, ("purpose", "seal-share")] if value}
    fixed["kms:EncryptionContext:chamber"] = "@CHAMBER_ID@"
    seen = 0
    for name, policy in policies().items():
        for statement in policy["Statement"]:
            if name.startswith("kms-") and statement["Effect"] == "Allow" and "Condition" in statement:
                assert statement["Condition"]["StringEquals"] == fixed
                assert sorted(statement["Condition"]["ForAllValues:StringEquals"]["kms:EncryptionContextKeys"]) == sorted(n for n, _ in sent)
                seen += 1
    assert seen == 3


def test_the_policies_know_the_leading_keys_that_are_written():
    """The hash keys of docs/formats.md are those that the policies let through."""
    assert "pk` = `state`" in (ROOT / "docs" / "formats.md").read_text()
    keys = {name: p["Statement"][0]["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
            for name, p in policies().items() if name.endswith("-run.json")}
    assert keys == {"state-run.json": ["state"], "history-run.json": ["history", "validators/*"], "keys-run.json": ["keys", "keys/*"]}


def test_every_operation_on_tables_is_allowed_and_no_other():
    """What the sources ask of DynamoDB is what the policies allow together."""
    asked = set()
    for path in list((ROOT / "src" / "state").glob("dynamodb*.c")) + list((ROOT / "src" / "slash").glob("dynamodb*.c")) + \
            list((ROOT / "src" / "keys").glob("*dynamodb*.c")) + [ROOT / "src" / "aws" / "dynamodb_table.c"]:
        asked.update(re.findall(r'"((?:Get|Put|Delete|Update|BatchWrite|BatchGet|Query|Scan|Describe|Create)[A-Za-z]*)"', path.read_text()))
    asked.discard("Put")
    asked.discard("Delete")
    allowed = {action.removeprefix("dynamodb:") for name, p in policies().items() if not name.startswith("kms-")
               for s in p["Statement"] for action in (s["Action"] if isinstance(s["Action"], list) else [s["Action"]])}
    assert asked == allowed
