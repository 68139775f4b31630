"""`containment-chamber operator`: what an operator's machine answers, to whom, and what it never gives away."""
import base64
import json
import pathlib
import re
import subprocess

import pytest
from daemon import binary_with_switches, wait_for
from fake_chamber import MEMORY_KIB, PASSES, Chamber, credential_of, device_challenge, other_digest, proposal_digest
from terminal import at_terminal
from yubikey import YubiKey

PASSPHRASE = "hawk velvet monsoon brittle cactus jumble orchid parade"
TOKEN = bytes(range(32))
DONE, FAILED, USAGE, REFUSED = 0, 1, 2, 3
SAME = r"see the same one \(yes\)\? "


@pytest.fixture
def chamber():
    one = Chamber()
    yield one
    one.close()


@pytest.fixture
def other(chamber):
    """Another replica of the same chamber."""
    one = Chamber()
    for name in ("salt", "random", "next_salt", "next_random", "fingerprint"):
        setattr(one, name, getattr(chamber, name))
    yield one
    one.close()


def command(*arguments, **options):
    return [str(binary_with_switches()), "operator", *map(str, arguments)]


def run(*arguments, **options):
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
                          start_new_session=True, **options)  # fmt: skip


def secret_file(folder, name, content):
    path = folder / name
    path.write_text(content + "\n")
    path.chmod(0o600)
    return f"file:{path}"


def person(chamber, folder, *urls):
    urls = urls or (chamber.url,)
    signers = [word for url in urls for word in ("--signer-url", url)]
    return ["--name", "alice", "--chamber-identity", chamber.identity_file(folder), *signers]


def register(chamber, workdir, *more):
    token = secret_file(workdir, "token", TOKEN.hex())
    return run("register", *person(chamber, workdir), "--registration-token", token, "--fingerprint", chamber.fingerprint.hex(), *more)


def unseal(chamber, workdir, *more, urls=()):
    return run("unseal", *person(chamber, workdir, *urls), "--passphrase", secret_file(workdir, "passphrase", PASSPHRASE), *more)


# --- what is sent ------------------------------------------------------------------------------------------------------------------


def test_an_operator_registers_with_a_passphrase(chamber, workdir):
    chamber.factor = "none"
    result = register(chamber, workdir, "--passphrase", secret_file(workdir, "passphrase", PASSPHRASE))
    assert result.returncode == DONE and "sealed, 1 of 2" in result.stdout, result.stderr
    [(method, path, body, headers)] = chamber.posts
    assert (method, path) == ("POST", "register") and body["digest"] == chamber.fingerprint.hex() and "Authorization" not in headers
    envelope, c = chamber.open(body, "register", chamber.fingerprint), chamber.challenges[-1]
    assert envelope.credential == TOKEN and envelope.factor == 1 and (envelope.memory_kib, envelope.passes) == (MEMORY_KIB, PASSES)
    assert envelope.next == credential_of(c, PASSPHRASE.encode(), c["next_salt"]) and envelope.hint == b""


def test_an_operator_unseals_and_rehearses_with_it(chamber, workdir):
    for purpose in ("unseal", "rehearse"):
        passphrase = secret_file(workdir, "passphrase", PASSPHRASE)
        result = run(purpose, *person(chamber, workdir), "--passphrase", passphrase)
        assert result.returncode == DONE, result.stderr
        envelope, c = chamber.open(chamber.posts[-1][2], purpose), chamber.challenges[-1]
        assert chamber.posts[-1][1] == purpose and envelope.credential == credential_of(c, PASSPHRASE.encode(), c["salt"])
        assert envelope.factor == 0


@pytest.mark.long_form
def test_what_is_made_is_written_once_and_good(chamber, workdir):
    chamber.factor = "none"
    made = workdir / "made"
    result = register(chamber, workdir, "--passphrase-out", made)
    assert result.returncode == DONE, result.stderr
    passphrase = made.read_text().strip()
    assert re.fullmatch(r"([a-hjkmnp-z1-9]{4}-){4}[a-hjkmnp-z1-9]{4}", passphrase) and made.stat().st_mode & 0o777 == 0o600
    envelope, c = chamber.open(chamber.posts[-1][2], "register", chamber.fingerprint), chamber.challenges[-1]
    assert envelope.next == credential_of(c, passphrase.encode(), c["next_salt"])
    assert passphrase not in result.stdout + result.stderr
    again = register(chamber, workdir, "--passphrase-out", made)  # never over another one
    assert again.returncode != DONE and len(chamber.posts) == 1 and made.read_text().strip() == passphrase


def test_T17_a_weak_passphrase_of_ones_own_is_refused(chamber, workdir):
    chamber.factor = "none"
    result = register(chamber, workdir, "--passphrase", secret_file(workdir, "passphrase", "Password123!Password123!"))
    assert result.returncode == REFUSED and "too easy to guess" in result.stderr and not chamber.posts


def test_T17_a_share_under_nothing_else_wants_a_hundred_bits(chamber, workdir):
    """The mode is signed: no server makes it look as if a KMS key were there."""
    chamber.factor = "none"
    between = secret_file(workdir, "passphrase", "hawk velvet monsoon brittle cactus jumble orchid")
    chamber.mode = "operators"
    result = register(chamber, workdir, "--passphrase", between)
    assert result.returncode == REFUSED and "where no KMS key lies over its share" in result.stderr and not chamber.posts
    chamber.after = change(mode="quorum")
    result = register(chamber, workdir, "--passphrase", between)
    assert result.returncode == REFUSED and "not this chamber's" in result.stderr and not chamber.posts
    chamber.after, chamber.mode = change(), "quorum"
    assert register(chamber, workdir, "--passphrase", between).returncode == DONE and len(chamber.posts) == 1


def test_T14_another_fingerprint_registers_nobody(chamber, workdir):
    token = secret_file(workdir, "token", TOKEN.hex())
    result = run("register", *person(chamber, workdir), "--registration-token", token, "--fingerprint", "00" * 32,
                 "--passphrase", secret_file(workdir, "passphrase", PASSPHRASE))  # fmt: skip
    assert result.returncode == REFUSED and "another set" in result.stderr and not chamber.posts
    assert chamber.fingerprint.hex() in result.stderr


# --- a hostile server ---------------------------------------------------------------------------------------------------------------


def change(**fields):
    return lambda challenge: challenge.update(fields)


def later(challenge):
    challenge["issued"] += 3_600_000
    challenge["expires"] += 3_600_000


def over(challenge):
    challenge["issued"] -= 3_600_000
    challenge["expires"] = challenge["issued"] + 600_000


LIES = {
    "less memory": (change(memory_kib=MEMORY_KIB - 1), "less than 256 MiB"),
    "next to no memory": (change(memory_kib=8), "less than 256 MiB"),
    "fewer passes": (change(passes=2), "less than 256 MiB or 3 passes"),
    "memory without end": (change(memory_kib=(1 << 32) - 1), "more than 2 GiB"),
    "passes without end": (change(passes=1 << 31), "more than 2 GiB"),
    "another chamber": (change(chamber_id=b"\3" * 32), "another chamber's"),
    "another purpose": (change(purpose="approve"), "another purpose"),
    "another operator": (change(name=b"bob"), "another operator's"),
    "over": (over, "is over"),
    "of a time to come": (later, "time to come"),
    "good for ever": (change(expires=1 << 62), "too long"),
}


@pytest.mark.parametrize("lie", LIES)
def test_T16_what_a_server_signs_that_it_should_not_gets_nothing(chamber, workdir, lie):
    chamber.lie, said = LIES[lie]
    passphrase = f"file:{workdir / 'there is none'}"  # it isn't even looked at
    result = run("unseal", *person(chamber, workdir), "--passphrase", passphrase)
    assert result.returncode == REFUSED and said in result.stderr and "Nothing was sent" in result.stderr, result.stderr
    assert not chamber.posts and len(chamber.challenges) == 1


def test_T16_what_was_changed_behind_the_signature_gets_nothing(chamber, workdir):
    lies = {"memory_kib": MEMORY_KIB * 2, "passes": 4, "generation": 4, "unseal_generation": 2, "box_key": b"\7" * 32, "nonce": b"\7" * 32,
            "salt": b"\7" * 32, "challenge": b"\7" * 32, "next_salt": b"\7" * 32, "next_challenge": b"\7" * 32, "factor": "yubikey",
            "fingerprint": b"\7" * 32, "number": 8, "mode": "local", "hint": b"\7", "signature": b"\7" * 64}  # fmt: skip
    for field, value in lies.items():
        chamber.after = change(**{field: value})
        result = unseal(chamber, workdir)
        assert result.returncode == REFUSED and "not this chamber's" in result.stderr, (field, result.stderr)
    assert not chamber.posts and len(chamber.challenges) == len(lies)


def test_T16_another_identity_than_the_pinned_one_gets_nothing(chamber, workdir):
    hostile = Chamber(seed=b"\x66" * 32)
    try:
        result = unseal(chamber, workdir, urls=[hostile.url])
        assert result.returncode == REFUSED and "not this chamber's" in result.stderr
        assert hostile.challenges and not hostile.posts
    finally:
        hostile.close()
    pinned_by_key = ["--name", "alice", "--chamber-identity", f"0x{chamber.identity_hex()}", "--signer-url", chamber.url]
    result = run("unseal", *pinned_by_key, "--passphrase", secret_file(workdir, "passphrase", PASSPHRASE))
    assert result.returncode == DONE and len(chamber.posts) == 1


@pytest.mark.parametrize("broken", [[], {}, {"purpose": 1}, None, "fields", "types"])
def test_T16_what_is_no_challenge_gets_nothing(chamber, workdir, broken):
    good = chamber.challenge("alice", "unseal")
    bodies = [broken] if not isinstance(broken, str) else [{k: v for k, v in good.items() if k != field} for field in good] if broken == "fields" \
        else [{**good, field: {"a": 1}} for field in good]  # fmt: skip
    for body in bodies:
        chamber.challenge = lambda name, purpose, body=body: body
        result = unseal(chamber, workdir)
        assert result.returncode in (REFUSED, FAILED) and not chamber.posts, (body, result.stderr)


def test_what_a_server_says_does_not_command_a_terminal(chamber, workdir):
    chamber.answers["unseal"] = (403, {"error": "\x1b]0;owned\x07\x1b[2Jwrong"})
    result = unseal(chamber, workdir)
    assert result.returncode == REFUSED and "wrong" in result.stderr and "\x1b" not in result.stderr and "\x07" not in result.stderr


# --- several replicas ----------------------------------------------------------------------------------------------------------------


@pytest.mark.long_form
def test_T26_each_replica_gets_an_envelope_of_its_own(chamber, other, workdir):
    result = unseal(chamber, workdir, urls=[chamber.url, other.url])
    assert result.returncode == DONE, result.stderr
    assert [line.split(": ")[0] for line in result.stdout.splitlines()] == [chamber.url, other.url]
    bodies = []
    for one in (chamber, other):
        [(_, path, body, _)] = one.posts
        envelope = one.open(body, "unseal")
        assert path == "unseal" and envelope.credential == credential_of(one.challenges[-1], PASSPHRASE.encode(), one.salt)
        bodies.append(body["envelope"])
    assert bodies[0] != bodies[1]
    with pytest.raises(AssertionError, match="not sealed to this vault"):
        other.open(chamber.posts[0][2], "unseal")


def test_T26_one_that_is_away_or_hostile_keeps_no_other_waiting(chamber, other, workdir):
    other.lie = change(memory_kib=8)
    result = unseal(chamber, workdir, urls=["http://127.0.0.1:1", other.url, chamber.url])
    assert result.returncode != DONE and len(chamber.posts) == 1 and not other.posts, result.stderr
    assert "http://127.0.0.1:1" in result.stderr and other.url in result.stderr


def test_with_json_there_is_one_object_whatever_the_number_of_signers(chamber, other, workdir):
    """A list in the order of --signer-url; who did not answer, or refused, has none."""
    gone = "http://127.0.0.1:1"
    chamber.answers["unseal"] = (200, {"state": "kms_unsealed", "have": 1, "needed": 2, "more": "a\x1b[2J"})
    other.answers["unseal"] = (403, {"error": "no"})
    result = unseal(chamber, workdir, "--json", urls=[gone, chamber.url, other.url])
    assert result.returncode == REFUSED and gone in result.stderr and f"{other.url} answers 403: no" in result.stderr, result
    assert json.loads(result.stdout) == {"signers": [{"signer": gone, "done": False, "answer": None},
                                                     {"signer": chamber.url, "done": True, "answer": chamber.answers["unseal"][1]},
                                                     {"signer": other.url, "done": False, "answer": None}]}
    result = unseal(chamber, workdir, "--json")
    assert result.returncode == DONE and [one["done"] for one in json.loads(result.stdout)["signers"]] == [True], result


# --- devices -------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def key(workdir):
    one = YubiKey(workdir / "k.sock")
    yield one
    one.close()


@pytest.mark.long_form
def test_T15_a_yubikey_rolls_with_the_last_replica_alone(chamber, other, workdir, key):
    for one in (chamber, other):
        one.factor = "yubikey"
    result = run("unseal", *person(chamber, workdir, chamber.url, other.url), "--device", key.path)
    assert result.returncode == DONE and "touch the key" in result.stderr, result.stderr
    c = chamber.challenges[-1]
    present, following = device_challenge(c, c["challenge"]), device_challenge(c, c["next_challenge"])
    assert key.challenges == [present, present, following]
    first, last = chamber.open(chamber.posts[0][2], "unseal"), other.open(other.posts[0][2], "unseal")
    assert first.credential == last.credential == credential_of(c, key.answer(present), c["salt"])
    assert first.factor == 0 and last.factor == 2 and last.next == credential_of(c, key.answer(following), c["next_salt"])


@pytest.mark.long_form
def test_a_yubikey_registers(chamber, workdir, key):
    chamber.factor = "none"
    result = register(chamber, workdir, "--factor", "yubikey", "--device", key.path)
    assert result.returncode == DONE, result.stderr
    envelope, c = chamber.open(chamber.posts[0][2], "register", chamber.fingerprint), chamber.challenges[-1]
    assert envelope.factor == 2 and envelope.next == credential_of(c, key.answer(device_challenge(c, c["next_challenge"])), c["next_salt"])


def test_T16_a_device_is_asked_nothing_for_a_hostile_server(chamber, workdir, key):
    chamber.factor = "yubikey"
    chamber.lie = change(passes=1)
    result = run("unseal", *person(chamber, workdir), "--device", key.path)
    assert result.returncode == REFUSED and not key.challenges and not chamber.posts


def test_a_device_that_is_none_is_refused(chamber, workdir):
    chamber.factor = "yubikey"
    result = run("unseal", *person(chamber, workdir), "--device", "/dev/null")
    assert result.returncode == REFUSED and "no YubiKey" in result.stderr and not chamber.posts
    chamber.factor = "fido2"
    result = run("unseal", *person(chamber, workdir), "--device", "/dev/null")
    assert result.returncode == REFUSED and "no FIDO2" in result.stderr and not chamber.posts


# --- approving -----------------------------------------------------------------------------------------------------------------------

AGE = ["age1xj3jv6hgqd7wjyjeje6d45yly8gnsmyl4fcwsezgsksp82h5d5xq5m7a35", "age17fczch5t45ycg39pt2ruwwk5anjt9uuy6dja3404ntxulznx9eeqnwc9m0"]
ARN = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKH5J4Z1ncB6iYq6XnvqI0HbOA0ISlRAXOzwnS8E5Adp"


def rotation(chamber, **changes):
    proposal = {
        "chamber_id": chamber.chamber_id.hex(), "from": chamber.fingerprint.hex(), "id": "ab" * 32, "generation": 6, "mode": "quorum", "keep": [],
        "kms_threshold": 1, "kms_key_arns": [ARN], "break_glass": {"threshold": 1, "recipients": [AGE[0]]}, "operator_threshold": 2,
        "operators": [{"name": "bob", "public_key": AGE[0]}, {"name": "carol", "public_key": SSH}, {"name": "dave", "public_key": AGE[1]}],
    }  # fmt: skip
    proposal.update(changes)
    return {"kind": "mode", "phase": "proposed", "digest": proposal_digest(proposal).hex(), "proposer": "token:rotator", "proposed_at": 1,
            "proposal": proposal}  # fmt: skip


def approve(chamber, workdir, *more):
    return run("approve", *person(chamber, workdir), "--passphrase", secret_file(workdir, "passphrase", PASSPHRASE), *more)


def test_T01_what_is_approved_is_shown_and_its_digest_computed_here(chamber, workdir):
    proposed = rotation(chamber)
    chamber.answers["status"] = (200, {"state": "awaiting_rotation", "rotation": proposed})
    chamber.answers["rotate/approve"] = (200, {"state": "awaiting_rotation", "have": 1, "needed": 2})
    result = approve(chamber, workdir, "--digest", proposed["digest"])
    assert result.returncode == DONE, result.stderr
    for shown in ("quorum", ARN, "bob", "carol", "dave", AGE[0], SSH, "2 of 3", "1 of 1", "token:rotator", proposed["digest"]):
        assert shown in result.stderr, shown
    _, path, body, _ = chamber.posts[-1]
    assert path == "rotate/approve" and body["digest"] == proposed["digest"]
    chamber.open(body, "approve", bytes.fromhex(proposed["digest"]))


@pytest.mark.parametrize("changes", [
    {"mode": "operators", "kms_key_arns": [], "kms_threshold": 0, "break_glass": {"threshold": 0, "recipients": []}},
    {"mode": "kms", "operators": [], "operator_threshold": 0},
    {"keep": ["kms"], "break_glass": {"threshold": 2, "count": 3, "recipients": []}},
    {"keep": ["operators", "kms"], "break_glass": {"threshold": 0, "recipients": []}},
    {"mode": "local", "kms_key_arns": [], "kms_threshold": 0, "break_glass": {"threshold": 0, "recipients": []}, "operators": [], "operator_threshold": 0},
])  # fmt: skip
def test_T01_every_kind_of_proposal_has_the_digest_of_its_words(chamber, workdir, changes):
    proposed = rotation(chamber, **changes)
    file = workdir / "proposal.json"
    file.write_text(json.dumps(proposed))
    result = approve(chamber, workdir, "--proposal", file, "--digest", proposed["digest"])
    assert result.returncode == DONE, result.stderr
    chamber.open(chamber.posts[-1][2], "approve", proposal_digest(proposed["proposal"]))


def test_T01_a_server_that_shows_one_thing_and_means_another_gets_nothing(chamber, workdir):
    honest = rotation(chamber)
    for field, value in {"operator_threshold": 1, "kms_key_arns": [ARN.replace("1111", "6666")], "operators": honest["proposal"]["operators"][:2],
                         "generation": 7, "mode": "operators", "id": "cd" * 32, "keep": ["kms"]}.items():  # fmt: skip
        shown = {**honest, "proposal": {**honest["proposal"], field: value}}
        chamber.answers["status"] = (200, {"state": "awaiting_rotation", "rotation": shown})
        result = approve(chamber, workdir, "--digest", honest["digest"])
        assert result.returncode != DONE, (field, result.stderr)
    chamber.answers["status"] = (200, {"state": "awaiting_rotation", "rotation": honest})
    result = approve(chamber, workdir, "--digest", "00" * 32)
    assert result.returncode == REFUSED and "not what --digest says" in result.stderr
    foreign = rotation(chamber, chamber_id="77" * 32)
    chamber.answers["status"] = (200, {"state": "awaiting_rotation", "rotation": foreign})
    result = approve(chamber, workdir, "--digest", foreign["digest"])
    assert result.returncode != DONE and "another chamber" in result.stderr
    assert not [path for _, path, _, _ in chamber.posts if path == "rotate/approve"]


def test_a_cancellation_and_a_management_key_have_digests_of_their_own(chamber, workdir):
    proposed = rotation(chamber)
    chamber.answers["status"] = (200, {"state": "awaiting_rotation", "rotation": proposed})
    cancel = other_digest("seal-cancel", chamber.chamber_id, bytes.fromhex(proposed["digest"]))
    result = approve(chamber, workdir, "--cancel", "--digest", cancel.hex())
    assert result.returncode == DONE and "CANCELS" in result.stderr, result.stderr
    chamber.open(chamber.posts[-1][2], "approve", cancel)
    made = run("generate-root-token", "--to", workdir / "management.key", "--chamber-identity", chamber.identity_file(workdir))
    assert made.returncode == DONE and (workdir / "management.key").stat().st_mode & 0o777 == 0o600, made.stderr
    public, text = made.stdout.strip(), (workdir / "management.key").read_text().strip()
    digest = other_digest("root-token", chamber.chamber_id, bytes.fromhex(public))
    assert digest.hex() in made.stderr and text.startswith("cc_management_") and text not in made.stdout + made.stderr
    result = approve(chamber, workdir, "--management-key", public, "--digest", digest.hex())
    assert result.returncode == DONE and public in result.stderr, result.stderr
    chamber.open(chamber.posts[-1][2], "approve", digest)
    chamber.answers["root-token"] = (201, {"keyid": "ab" * 16, "replaced": False})
    result = run("generate-root-token", "--from", f"file:{workdir}/management.key", "--signer-url", chamber.url)
    assert result.returncode == DONE and "ab" * 16 in result.stdout and chamber.posts[-1][2] == {"public_key": public}, result.stderr
    assert text not in json.dumps(chamber.posts[-1][2]) + str(chamber.posts[-1][3])


# --- what needs no credential ---------------------------------------------------------------------------------------------------------


def test_init_sends_what_was_asked_for_and_writes_what_came_back(chamber, workdir):
    (workdir / "carol.pub").write_text(SSH + " carol@example\n")
    files = {"alice.registration.age": "-----BEGIN AGE ENCRYPTED FILE-----\nAAAA\n-----END AGE ENCRYPTED FILE-----\n", "break-glass-1.age": "glass\n"}
    chamber.answers["init"] = (200, {"state": "awaiting_registration", "set_fingerprint": "ef" * 32,
                                     "registration_tokens": [{"name": "alice", "age": files["alice.registration.age"]}],
                                     "break_glass": [{"recipient": AGE[1], "age": files["break-glass-1.age"]}]})  # fmt: skip
    setup = "cc_setup_" + "x" * 43
    out = workdir / "out"
    out.mkdir()
    result = run("init", "--json", "--signer-url", chamber.url, "--setup-token", secret_file(workdir, "setup", setup), "--mode", "quorum",
                 "--kms-key-arns", f"{ARN},{ARN[:-1]}1", "--kms-threshold", 2, "--break-glass", AGE[1], "--break-glass-threshold", 1,
                 "--operator", f"alice={AGE[0]}", "--operator", f"carol=file:{workdir}/carol.pub", "--operator-threshold", 2, "--out", out)  # fmt: skip
    assert result.returncode == DONE and "ef" * 32 in result.stderr and "awaiting_registration" in result.stderr, result.stderr
    assert chamber.posts[-1][2] == {
        "setup_token": setup, "mode": "quorum", "kms_key_arns": [ARN, f"{ARN[:-1]}1"], "kms_threshold": 2,
        "break_glass": {"threshold": 1, "recipients": [AGE[1]]},
        "operators": [{"name": "alice", "public_key": AGE[0]}, {"name": "carol", "public_key": SSH}], "operator_threshold": 2,
    }  # fmt: skip
    assert {path.name: path.read_text() for path in out.iterdir()} == files
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in out.iterdir())
    assert setup not in result.stdout + result.stderr
    # Standard output is the answer alone; which files were written is said beside it.
    assert json.loads(result.stdout) == chamber.answers["init"][1] and all(str(out / name) in result.stderr for name in files)


def test_a_name_that_leads_out_of_the_directory_is_refused(chamber, workdir):
    chamber.answers["rotate/tokens"] = (200, {"set_fingerprint": "ef" * 32, "break_glass": [], "registration_tokens": [{"name": "../x", "age": "a"}]})
    out = workdir / "out"
    out.mkdir()
    result = run("tokens", "--signer-url", chamber.url, "--out", out)
    assert result.returncode != DONE and not list(out.iterdir()) and not (workdir / "x.registration.age").exists()


def test_rotations_propose(chamber, workdir):
    for kind, options, body in (
        ("kms", ["--kms-key-arns", ARN, "--kms-threshold", 1], {"kms_key_arns": [ARN], "kms_threshold": 1}),
        ("quorum", ["--operator", f"alice={AGE[0]}", "--operator-threshold", 1],
         {"operators": [{"name": "alice", "public_key": AGE[0]}], "operator_threshold": 1}),
        ("mode", ["--mode", "local"], {"mode": "local"}),
        ("master", [], {}),
    ):  # fmt: skip
        chamber.answers[f"rotate/{kind}"] = (202, rotation(chamber))
        out = workdir / f"{kind}.json"
        result = run("rotate", kind, *options, "--signer-url", chamber.url, "--auth-token", secret_file(workdir, "token", "cc_client_x"), "--out", out)
        assert result.returncode == DONE and "token:rotator" in result.stdout, result.stderr
        assert chamber.posts[-1][:3] == ("POST", f"rotate/{kind}", body) and chamber.posts[-1][3]["Authorization"] == "Bearer cc_client_x"
        assert json.loads(out.read_text())["proposal"]["mode"] == "quorum"
    chamber.answers["rotate"] = (200, {"state": "unsealed", "have": 0, "needed": 0})
    result = run("cancel", "--signer-url", chamber.url, "--auth-token", secret_file(workdir, "token", "cc_client_x"))
    assert result.returncode == DONE and chamber.posts[-1][:2] == ("DELETE", "rotate"), result.stderr


def test_nothing_is_proposed_when_its_file_is_there_already(chamber, workdir):
    """Else the operators would be sent an older proposal than the one that is pending."""
    chamber.answers["rotate/master"] = (202, rotation(chamber))
    out = workdir / "proposal.json"
    rotate = ["rotate", "master", "--signer-url", chamber.url, "--out", out]
    assert run(*rotate).returncode == DONE and len(chamber.posts) == 1
    before = out.read_text()
    again = run(*rotate)
    assert again.returncode != DONE and "nothing was proposed" in again.stderr and len(chamber.posts) == 1, again.stderr
    assert out.read_text() == before and out.stat().st_mode & 0o777 == 0o600
    nowhere = run(*rotate[:-1], workdir / "there is none" / "x.json")
    assert nowhere.returncode != DONE and "nothing was proposed" in nowhere.stderr and len(chamber.posts) == 1
    chamber.answers["rotate/master"] = (409, {"error": "one at a time"})
    refused = run(*rotate[:-1], workdir / "second.json")
    assert refused.returncode == REFUSED and not (workdir / "second.json").exists()  # and it can be asked once more
    assert sorted(path.name for path in workdir.glob("*.json*")) == ["proposal.json"]


def test_files_of_an_earlier_set_are_found_before_anything_is_asked(chamber, workdir):
    chamber.answers["rotate/tokens"] = (200, {"set_fingerprint": "ef" * 32, "registration_tokens": [{"name": "bob", "age": "new"}],
                                              "break_glass": [{"recipient": AGE[1], "age": "glass"}]})  # fmt: skip
    for old in ("alice.registration.age", "break-glass-7.age"):
        out = workdir / old.split(".")[0]
        out.mkdir()
        (out / old).write_text("old")
        for ask in (["tokens"], ["init", "--setup-token", secret_file(workdir, "setup", "cc_setup_x"), "--mode", "quorum"]):
            result = run(*ask, "--signer-url", chamber.url, "--out", out)
            assert result.returncode == FAILED and f"{out}/{old} exists already" in result.stderr and "give an empty directory" in result.stderr
        assert [path.name for path in out.iterdir()] == [old] and (out / old).read_text() == "old" and not chamber.posts
    made = workdir / "new"  # it is made
    result = run("tokens", "--signer-url", chamber.url, "--out", made)
    assert result.returncode == DONE and {path.name for path in made.iterdir()} == {"bob.registration.age", "break-glass-1.age"}, result.stderr
    assert made.stat().st_mode & 0o777 == 0o700
    (workdir / "file").write_text("")
    assert run("tokens", "--signer-url", chamber.url, "--out", workdir / "file").returncode == FAILED and len(chamber.posts) == 1


@pytest.mark.long_form
def test_an_approval_of_something_else_is_no_success(chamber, workdir):
    """A proposal that was cancelled, while another one is pending: no count of the one looks like the other's."""
    stale = rotation(chamber)
    file = workdir / "proposal.json"
    file.write_text(json.dumps(stale))
    step = {"state": "awaiting_rotation", "have": 1, "needed": 2}
    for approves, code in (("other", REFUSED), ("proposal", DONE), ("cancellation", DONE)):
        chamber.answers["rotate/approve"] = (200, {**step, "approves": approves})
        result = approve(chamber, workdir, "--proposal", file, "--digest", stale["digest"])
        assert result.returncode == code and ("1 of 2" in result.stdout) == (code == DONE), result.stderr
        assert ("not what is proposed now" in result.stderr) == (code == REFUSED)
    chamber.answers["rotate/approve"] = (200, {**step, "approves": "other"})
    digest = other_digest("root-token", chamber.chamber_id, b"\7" * 32)
    result = approve(chamber, workdir, "--management-key", "07" * 32, "--digest", digest.hex())
    assert result.returncode == DONE and "1 of 2" in result.stdout, result.stderr  # it is proposed by nobody


def test_what_takes_the_place_of_a_question_and_of_a_token_is_said(chamber, workdir):
    file = workdir / "proposal.json"
    file.write_text(json.dumps(rotation(chamber)))
    result = approve(chamber, workdir, "--proposal", file)
    assert result.returncode != DONE and "--digest HEX takes its place" in result.stderr, result.stderr
    chamber.factor = "none"
    token = secret_file(workdir, "token", TOKEN.hex())
    result = run("register", *person(chamber, workdir), "--registration-token", token)
    assert result.returncode != DONE and "--fingerprint HEX takes its place" in result.stderr, result.stderr
    chamber.answers["status"] = (401, {"error": "a token is required"})
    result = approve(chamber, workdir)
    assert result.returncode == REFUSED and "give --proposal FILE" in result.stderr, result.stderr


def test_an_owner_is_told_how_a_running_signer_is_unsealed(make_daemon):
    """To stop it is the wrong step in every mode."""
    daemon = make_daemon()
    daemon.init()
    daemon.start()
    result = run("unseal", "-c", daemon.config_path)
    assert result.returncode == 4 and "stop it" not in result.stderr, result.stderr
    assert "--signer-url unix:ADMIN.SOCK" in result.stderr and "operator unseal --name" in result.stderr


def test_a_break_glass_share_goes_to_its_own_chamber(chamber, workdir):
    share = bytes(range(33)).hex()
    line = f"containment-chamber-break-glass-v1:{chamber.chamber_id.hex()}:3:2:{share}"
    base = ["break-glass", "--signer-url", chamber.url, "--chamber-identity", chamber.identity_file(workdir)]
    result = run(*base, "--share", secret_file(workdir, "share", line))
    assert result.returncode == DONE, result.stderr
    assert chamber.posts[-1][1] == "break-glass"
    assert chamber.open(chamber.posts[-1][2], "break_glass").credential.hex() == share
    for wrong in (line.replace(chamber.chamber_id.hex(), "77" * 32), line[:-1], line + ":", line + "0", line.replace("v1", "v2"), line.replace(":3", "")):
        result = run(*base, "--share", secret_file(workdir, "share", wrong))
        assert result.returncode != DONE and share not in result.stderr, wrong
    assert len(chamber.posts) == 1


@pytest.mark.parametrize("arguments", [
    ["unseal"], ["unseal", "--name", "alice"], ["register"], ["explode"], ["rotate"], ["rotate", "explode"], ["approve"], ["init"], ["break-glass"],
    ["unseal", "--name", "../../x", "--chamber-identity", "00" * 32], ["unseal", "--name", "alice", "--passphrase-out", "x"],
    ["generate-root-token"], ["generate-root-token", "--to", "a", "--from", "file:b"], ["init", "--setup-token", "file:x", "--mode", "local"],
    ["rotate", "kms", "--kms-key-arns", "not an arn", "--kms-threshold", "1"], ["rotate", "kms", "--kms-key-arns", ARN],
    ["rotate", "quorum", "--operator", "alice", "--operator-threshold", "1"], ["rotate", "quorum", "--operator", "alice=age1x", "--operator-threshold", "1"],
    ["rotate", "quorum", "--operator", f"alice={AGE[0]}", "--operator-threshold", "17"], ["rotate", "mode", "--mode", "nitro"],
])  # fmt: skip
def test_what_makes_no_sense_is_a_usage_error(chamber, arguments):
    result = run(*arguments, "--signer-url", chamber.url)
    assert result.returncode == USAGE, (result.returncode, result.stderr)
    assert not chamber.posts


def test_a_secret_is_never_taken_from_an_argument(chamber, workdir):
    for option in ("--passphrase", "--registration-token"):
        chamber.factor = "none"
        token = [] if option == "--registration-token" else ["--registration-token", secret_file(workdir, "token", TOKEN.hex())]
        result = run("register", *person(chamber, workdir), "--fingerprint", chamber.fingerprint.hex(), *token, option, "a-secret-itself")
        assert result.returncode != DONE and "never the secret itself" in result.stderr and "a-secret-itself" not in result.stderr
    assert not chamber.posts


def test_each_subcommand_says_what_it_is_for():
    for name in ("status", "setup-token", "init", "tokens", "register", "unseal", "seal", "rehearse", "break-glass", "rotate", "approve", "cancel",
                 "generate-root-token"):  # fmt: skip
        result = run(name, "--help")
        assert result.returncode == DONE and f"operator {name}" in result.stdout and len(result.stdout) > 150, name
    assert run("rotate", "kms", "--help").stdout.count("usage:") == 1
    assert "generate-root-token" in run("--help").stdout
    for name in ("setup-token", "approve"):
        assert all(line.count("-c FILE") <= 1 for line in run(name, "--help").stdout.splitlines()), name
    assert run("setup-token", "--help").stdout.split("\n\n")[0].count("-c FILE") == 1
    assert "--from file:FILE SIGNER" in run("generate-root-token", "--help").stdout
    assert "break-glass" in run("tokens", "--help").stdout and "--proposal FILE" in run("approve", "--help").stdout


@pytest.mark.parametrize("words", [["operator", "register"], ["operator", "rotate", "kms"], ["keys", "stores"], ["operator"], ["keys"]])
def test_help_of_a_subcommand_is_its_own(words):
    program = str(binary_with_switches())
    asked = subprocess.run([program, "help", *words], capture_output=True, text=True, timeout=60, check=False)
    own = subprocess.run([program, *words, "--help"], capture_output=True, text=True, timeout=60, check=False)
    assert asked.returncode == DONE and asked.stdout == own.stdout and len(asked.stdout) > 150, asked.stderr
    unknown = subprocess.run([program, "help", "explode", "now"], capture_output=True, text=True, timeout=60, check=False)
    assert unknown.returncode == USAGE and "no such command: explode" in unknown.stderr


# --- secrets --------------------------------------------------------------------------------------------------------------------------


def test_C03_no_secret_is_in_arguments_environment_or_output(chamber, workdir):
    """While the command waits for a challenge, and in all that it says and sends."""
    chamber.factor = "none"
    chamber.gate.clear()
    files = {"--registration-token": secret_file(workdir, "token", TOKEN.hex()), "--passphrase": secret_file(workdir, "passphrase", PASSPHRASE)}
    arguments = [word for pair in files.items() for word in pair]
    with subprocess.Popen(command("register", *person(chamber, workdir), "--fingerprint", chamber.fingerprint.hex(), *arguments),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:  # fmt: skip
        proc = pathlib.Path(f"/proc/{process.pid}")
        wait_for("its arguments", lambda: b"register" in (proc / "cmdline").read_bytes())  # they come a moment after exec
        seen = (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
        children = [p for p in pathlib.Path("/proc").glob("[0-9]*/stat") if f") S {process.pid} " in p.read_text()]
        chamber.gate.set()
        out, err = process.communicate(timeout=60)
    assert process.returncode == DONE, err
    envelope = chamber.open(chamber.posts[-1][2], "register", chamber.fingerprint)
    seen += out + err + json.dumps(chamber.posts[-1][2]).encode() + str(chamber.posts[-1][3]).encode()
    assert b"register" in seen and not children
    for secret in (PASSPHRASE.encode(), TOKEN, envelope.next):
        for form in (secret, secret.hex().encode(), base64.b64encode(secret), base64.b64encode(secret).rstrip(b"=")[1:-2]):
            assert form not in seen


@pytest.mark.long_form
def test_at_the_terminal_a_passphrase_is_shown_once_and_typed_without_an_echo(chamber, workdir):
    chamber.factor = "none"
    made = r"([a-hjkmnp-z1-9]{4}(?:-[a-hjkmnp-z1-9]{4}){4})"
    token = secret_file(workdir, "token", TOKEN.hex())
    arguments = command("register", *person(chamber, workdir), "--registration-token", token)
    shown, code = at_terminal(arguments, [(SAME, "yes"), (r"Type it: ", lambda match, shown: re.search(made, shown).group(1))])
    assert code == DONE, shown
    passphrase = re.search(made, shown).group(1)
    assert shown.count(passphrase) == 1 and chamber.fingerprint.hex() in shown
    envelope, c = chamber.open(chamber.posts[-1][2], "register", chamber.fingerprint), chamber.challenges[-1]
    assert envelope.next == credential_of(c, passphrase.encode(), c["next_salt"])
    chamber.factor = "passphrase"
    shown, code = at_terminal(command("unseal", *person(chamber, workdir)), [(r"Passphrase of alice: ", passphrase)])
    assert code == DONE and passphrase not in shown
    assert chamber.open(chamber.posts[-1][2], "unseal").credential == credential_of(chamber.challenges[-1], passphrase.encode(), c["salt"])


def test_at_the_terminal_no_is_no(chamber, workdir):
    chamber.factor = "none"
    token = secret_file(workdir, "token", TOKEN.hex())
    arguments = command("register", *person(chamber, workdir), "--registration-token", token)
    shown, code = at_terminal(arguments, [(SAME, "no")])
    assert code != DONE and not chamber.posts, shown
    shown, code = at_terminal(arguments, [(SAME, "yes"), (r"Type it: ", "something else")])
    assert code != DONE and "not what was shown" in shown and not chamber.posts
    proposed = rotation(chamber)
    chamber.answers["status"] = (200, {"state": "awaiting_rotation", "rotation": proposed})
    chamber.factor = "passphrase"
    shown, code = at_terminal(command("approve", *person(chamber, workdir)), [(r"Approve this \(yes\)\? ", "y")])
    assert code != DONE and "carol" in shown and not [path for _, path, _, _ in chamber.posts if path == "rotate/approve"]


def test_without_a_terminal_nothing_is_assumed(chamber, workdir):
    """No question is answered by its absence."""
    token = secret_file(workdir, "token", TOKEN.hex())
    passphrase = secret_file(workdir, "passphrase", PASSPHRASE)
    chamber.answers["status"] = (200, {"state": "awaiting_rotation", "rotation": rotation(chamber)})
    for arguments in (
        ["register", *person(chamber, workdir), "--registration-token", token, "--passphrase", passphrase],  # the fingerprint
        ["register", *person(chamber, workdir), "--registration-token", token, "--fingerprint", chamber.fingerprint.hex()],  # the passphrase
        ["unseal", *person(chamber, workdir)],
        ["approve", *person(chamber, workdir), "--passphrase", passphrase],
    ):
        result = run(*arguments)
        assert result.returncode != DONE and "no terminal" in result.stderr, result.stderr
    assert not [method for method, _, _, _ in chamber.posts if method == "POST"]
