"""The Terraform modules against what they are about: tables as the program makes them, and the policies of deploy/iam with nothing
left to fill in. Terraform itself is not in Debian 12, and was not run; its language is parsed where @cdktf/hcl2json is there."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from daemon import SOURCE_DIR

MODULES = SOURCE_DIR / "deploy/terraform"
IAM = SOURCE_DIR / "deploy/iam"
PLACEHOLDER = re.compile(r"@[A-Z_]+@")
STORES = ("history", "state", "keys")
# Other than those that the modules name one by one.
KMS = ("kms-open", "kms-ceremony", "kms-key-policy")


def module(name):
    return (MODULES / name / "main.tf").read_text()


def replaced(text):
    """What a module puts in the place of placeholders."""
    return set(PLACEHOLDER.findall(text))


def test_every_policy_is_used_and_every_placeholder_filled_in():
    """A new file or a new placeholder in deploy/iam is found here."""
    assert {path.stem for path in IAM.glob("*.json")} == {f"{store}-{when}" for store in STORES for when in ("run", "init")} | set(KMS)
    assert 'file("${path.module}/../../iam/kms-key-policy.json")' in module("kms")
    assert 'file("${path.module}/../../iam/${name}.json")' in module("iam")
    for part in ('"${name}-run"', '"${name}-init" if var.init', '["kms-open"]', '["kms-ceremony"]'):
        assert part in module("iam")
    assert (MODULES / "iam/../../iam").resolve() == IAM == (MODULES / "kms/../../iam").resolve()
    assert replaced((IAM / "kms-key-policy.json").read_text()) == replaced(module("kms"))
    rest = [path for path in IAM.glob("*.json") if path.stem != "kms-key-policy"]
    assert {name for path in rest for name in replaced(path.read_text())} == replaced(module("iam"))


def test_several_keys_make_a_list_in_a_policy():
    """The one placeholder that stands for several values is replaced with its quotation marks."""
    assert '"\\"@KEY_ARN@\\"", join(", ", [for arn in var.kms_key_arns : jsonencode(arn)])' in module("iam")
    for name in ("kms-open", "kms-ceremony"):
        text = (IAM / f"{name}.json").read_text()
        assert text.count("@KEY_ARN@") == text.count('"@KEY_ARN@"') == 1
        filled = json.loads(text.replace('"@KEY_ARN@"', ", ".join(map(json.dumps, ["arn:a", "arn:b"]))))
        assert filled["Statement"][0]["Resource"] == ["arn:a", "arn:b"]


def test_the_chambers_id_is_filled_in_as_the_encryption_context_has_it():
    """Without 0x, as the sed of deploy/iam does it: with it, KMS would refuse every call (src/seal/kms.c)."""
    assert "hex_encode(chamber_id, 32, kms->chamber)" in (SOURCE_DIR / "src/seal/kms.c").read_text()
    assert "sed -n 's/^chamber 0x//p'" in (IAM / "README.md").read_text()
    for name in ("kms", "iam"):
        assert re.findall(r'"@CHAMBER_ID@", (.+)\),$', module(name), flags=re.M) == ['trimprefix(var.chamber_id, "0x")'], name
    for name in KMS:
        assert '"kms:EncryptionContext:chamber": "@CHAMBER_ID@"' in (IAM / f"{name}.json").read_text()


def test_tables_are_what_the_program_makes():
    asked = (SOURCE_DIR / "src/aws/dynamodb_table.c").read_text().replace('\\"', '"')
    asked = re.sub(r'"\s*\n\s*"', "", asked[asked.index('"BillingMode"'):])
    request = asked[:asked.index('";')] if '";' in asked else asked[:1000]
    text = module("tables")
    billing, = set(re.findall(r'"BillingMode":"(\w+)"', request))
    assert f'billing_mode                = "{billing}"' in text
    attributes = dict(re.findall(r'"AttributeName":"(\w+)","AttributeType":"(\w)"', request))
    keys = {kind: name for name, kind in re.findall(r'"AttributeName":"(\w+)","KeyType":"(\w+)"', request)}
    assert set(keys) == {"HASH", "RANGE"} and len(attributes) == 2
    assert dict(re.findall(r'attribute \{\s*name = "(\w+)"\s*type = "(\w)"', text)) == attributes
    assert re.search(r'hash_key\s+= "(\w+)"', text)[1] == keys["HASH"] and re.search(r'range_key\s+= "(\w+)"', text)[1] == keys["RANGE"]
    assert ('"DeletionProtectionEnabled":true' in request) and re.search(r"deletion_protection_enabled\s+= true", text)
    assert not re.search(r"^\s*ttl\s*\{", text, flags=re.M), "the signer refuses a table whose items vanish"


@pytest.fixture(name="parse", scope="module")
def parse_fixture():
    """parse(name): a module as HashiCorp's own parser reads it."""
    place = os.environ.get("CC_HCL2JSON")
    if not place or shutil.which("node") is None:
        pytest.skip("left out: no @cdktf/hcl2json (make package-test)")
    script = ("const {parse} = require('@cdktf/hcl2json'); const fs = require('fs');"
              "parse('main.tf', fs.readFileSync(process.argv[1], 'utf8')).then(r => console.log(JSON.stringify(r)),"
              " e => { console.error(String(e)); process.exit(1) })")

    def run(path):
        return subprocess.run(["node", "-e", script, pathlib.Path(path)], capture_output=True, text=True, check=False,
                              env={**os.environ, "NODE_PATH": f"{place}/node_modules"})

    return run


def test_the_modules_parse_and_fit_together(parse, workdir):
    parsed = {}
    for name in ("tables", "kms", "iam", "example"):
        result = parse(MODULES / name / "main.tf")
        assert result.returncode == 0, result.stderr
        parsed[name] = json.loads(result.stdout)
    for name, (call,) in parsed["example"]["module"].items():
        assert call["source"] == f"../{name}"
        variables = parsed[name]["variable"]
        given = set(call) - {"source"}
        needed = {variable for variable, (one,) in variables.items() if "default" not in one}
        assert needed <= given <= set(variables), name
    for name in ("tables", "kms", "iam"):
        text = module(name)
        assert set(re.findall(r"\bvar\.(\w+)", text)) == set(parsed[name]["variable"]), f"{name}: a variable that nobody reads, or nobody has"
        assert set(re.findall(r"\blocal\.(\w+)", text)) <= set(parsed[name].get("locals", [{}])[0])
    (workdir / "broken.tf").write_text("resource {")
    assert parse(workdir / "broken.tf").returncode == 1, "the control: what is broken is refused"
