"""Asks a chamber of operators and KMS keys for what no other one answers: in an enclave whose owner is elsewhere, with its state and its history in
PostgreSQL. See api_survey.py.
"""
import base64
import contextlib
import hashlib
import itertools
import json
import os
import time

import interop
from api_callers import NOBODY, OWNER, Callers
from api_survey import AUTH, CHAMBER, KEYS, MANAGER, POLICY, ROTATE, SLASHING, THE_OWNERS, TOKEN, Survey, a_manager, imports, public_of, rules
from contract import operation, record_of
from seal_client import Operator, register_all, status
from test_auto_unseal import IMAGE, allow
from test_ceremony import approve, unseal
from test_enclave_owner import Owner
from test_slashing_cli import KEY, interchange, validator

AUTO, ATTESTATION = f"{CHAMBER}/auto-unseal", "/attestation"
# These take the owner's signature, and so refuse one that is of another time.
BY_THE_OWNERS_KEY = sorted(THE_OWNERS | {("POST", f"{CHAMBER}/init"), ("POST", f"{ROTATE}/approve")})
# As if another replica wrote the state store, again and again, just before.
FASTER = """CREATE FUNCTION too_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER too_late BEFORE UPDATE ON containment_state_head FOR EACH ROW EXECUTE FUNCTION too_late()"""
NOT_FASTER = "DROP TRIGGER too_late ON containment_state_head; DROP FUNCTION too_late"
# As if another client of the database held the table until this one has waited long enough.
HELD = """CREATE FUNCTION held() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION SQLSTATE '55P03'; END $$;
ALTER TABLE {0} RENAME TO the_{0}; CREATE VIEW {0} AS SELECT * FROM the_{0} WHERE held()"""
NOT_HELD = "DROP VIEW {0}; ALTER TABLE the_{0} RENAME TO {0}; DROP FUNCTION held"
HISTORY = json.dumps(interchange(validator(interop.PUBKEYS[9], [9], [(1, 2)])))
# (table, method, template, body) of what needs it.
NEEDS = [
    ("metadata", "GET", "/api/v1/eth2/highWatermark", None),
    ("validators", "GET", SLASHING, None),
    ("validators", "GET", f"{SLASHING}/status", None),
    ("validators", "GET", f"{SLASHING}/disabled", None),
    ("validators", "POST", f"{SLASHING}/verify", {}),
    ("validators", "POST", f"{SLASHING}/prune", {"keep_epochs": "4"}),
    ("validators", "POST", f"{SLASHING}/enable", {"key": KEY}),
    ("validators", "POST", KEYS, imports(9, slashing_protection=HISTORY)),
    ("validators", "POST", MANAGER, imports(9, slashing_protection=HISTORY)),
]


def wrong(name):
    """Somebody who says that he is that operator."""
    one = Operator.__new__(Operator)
    one.name, one.credential = name, bytes(32)
    return one


class Sealed(Survey):
    """`enclave`: test_auto_unseal.Enclave; `database`: test_key_stores.Database."""

    def __init__(self, make_daemon, enclave, database, folder):
        self.enclave, self.database = enclave, database
        self.operators = [Operator(folder, name) for name in ("alice", "bob")]
        self.keeper = Operator(folder, "safe")
        self.owners_key = Owner("cc_owner_" + base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("="))
        config = {"auth": {"owner_keys": [public_of(self.owners_key)]}, "anti_slashing": {"backend": "postgres", "url": database.shared["url"]}}
        daemon = enclave.begin(make_daemon, config, **database.shared)
        super().__init__(Callers(daemon, record_of(daemon)))

    def by_the_owner(self, code, method, template, value=None, **options):
        """Over TLS, signed by the owner's key."""
        body = b"" if value is None else json.dumps(value).encode()
        return self.ask(code, NOBODY, method, template, body=body or None, headers=self.owners_key.headers(method, template, body, **options))

    def all(self):
        self.before()
        made = self.first_set()
        self.opened(made)
        self.proposals()
        self.watermarks()
        self.held()
        self.overtaken()
        self.attestation()

    def before(self):
        """What is signed, and of an hour ago; what there has to be a chamber for."""
        for method, template in BY_THE_OWNERS_KEY:
            value = {} if "requestBody" in operation(method, template) else None
            self.by_the_owner(401, method, template, value, created=int(time.time()) - 3600)
        self.ask(409, OWNER, "POST", AUTO, body={"pcr0": IMAGE.hex()})

    def first_set(self):
        """Of KMS keys, operators and break-glass shares."""
        token = self.by_the_owner(200, "POST", f"{CHAMBER}/setup-token")["token"]
        wish = {"mode": "quorum", "kms_key_arns": self.enclave.arns, "kms_threshold": 2, "operators": [one.described() for one in self.operators],
                "operator_threshold": 2, "break_glass": {"threshold": 1, "recipients": [self.keeper.public_key]}}  # fmt: skip
        made = self.ask(200, NOBODY, "POST", f"{CHAMBER}/init", body={**wish, "setup_token": token})
        self.by_the_owner(409, "POST", f"{CHAMBER}/init", wish)
        self.brings(403, wrong("alice").register(self.daemon, bytes(33), made["set_fingerprint"]))
        register_all(self.daemon, self.operators, made)
        return made

    @staticmethod
    def brings(code, answer):
        assert answer[0] == code, answer

    def opened(self, made):
        """By break-glass shares, which nobody needs as long as KMS answers, and by operators, who rehearse it then."""
        alice, bob = self.operators
        glass = wrong("break-glass")
        self.brings(403, glass.give(self.daemon, "break_glass", "/break-glass"))
        glass.credential = bytes.fromhex(self.keeper.decrypt(made["break_glass"][0]["age"]).strip().split(":")[4])
        self.brings(200, glass.give(self.daemon, "break_glass", "/break-glass"))
        self.brings(403, wrong("bob").unseal(self.daemon))
        unseal(self.daemon, alice, bob)
        self.brings(200, alice.rehearse(self.daemon))
        self.brings(403, wrong("carol").rehearse(self.daemon))
        self.ask(200, OWNER, "GET", f"{ROTATE}/tokens")
        self.ask(409, OWNER, "DELETE", f"{CHAMBER}/seal")  # the quorum does it

    def proposals(self):
        """An image, which is approved, and taken back; rotations, which are not."""
        allow(self.daemon, IMAGE, *self.operators)
        for code in (200, 404):
            self.ask(code, OWNER, "POST", AUTO, body={"pcr0": IMAGE.hex(), "remove": True})
        kms = {"kms_key_arns": self.enclave.arns, "kms_threshold": 1}
        quorum = {"operators": [self.keeper.described()], "operator_threshold": 1}
        for kind, wish in (("kms", kms), ("quorum", quorum)):
            self.ask(202, OWNER, "POST", f"{ROTATE}/{kind}", body=wish)
            with self._proof("cancel"):
                self.ask(200, OWNER, "DELETE", ROTATE)

    def watermarks(self):
        """The database holds what is beyond a high watermark back."""
        self.ask(200, OWNER, "POST", SLASHING, body=interchange(validator(KEY, [9], [(1, 2)])))
        self.ask(200, OWNER, "POST", f"{SLASHING}/hand-over", body={"epoch": "90"})
        self.ask(409, OWNER, "POST", f"{SLASHING}/repair-watermark", body={"epoch": "91"})
        self.ask(409, OWNER, "POST", SLASHING, body=interchange(validator(KEY, [], [(100, 109), (101, 103)])))

    @contextlib.contextmanager
    def while_it(self, begin, end):
        """Of the database."""
        self.database.sql(begin)
        try:
            yield
        finally:
            self.database.sql(end)

    def held(self):
        for table, rows in itertools.groupby(NEEDS, lambda row: row[0]):
            with self.while_it(HELD.format(table), NOT_HELD.format(table)):
                for _, method, template, body in rows:
                    self.ask(409, OWNER, method, template, body=body)

    def overtaken(self):
        """What is written to the state store; by the owner, by whom the quorum lets in, and by that one's key."""
        manager = a_manager()
        body = {"public_key": public_of(manager)}
        subject = bytes.fromhex(status(self.daemon)["chamber_id"]) + bytes.fromhex(body["public_key"])
        approve(self.daemon, hashlib.sha256(b"containment-chamber/root-token/v1\0" + subject).hexdigest(), *self.operators)
        self.ask(200, OWNER, "POST", f"{KEYS}/pause", body={"all": True})
        with self.while_it(FASTER, NOT_FASTER):
            self.ask(409, NOBODY, "POST", f"{CHAMBER}/root-token", body=body)
            self.ask(409, OWNER, "POST", f"{KEYS}/resume", body={"all": True})
            self.by_the_owner(409, "POST", f"{CHAMBER}/seal")
        self.ask(201, NOBODY, "POST", f"{CHAMBER}/root-token", body=body)
        self.ask(200, OWNER, "POST", f"{KEYS}/resume", body={"all": True})
        signed = self.signed_by(manager)
        signed(201, "PUT", POLICY, "p", rules("reload"))
        signed(201, "POST", f"{AUTH}/tokens", value={"name": "t", "policies": ["p"]})
        with self.while_it(FASTER, NOT_FASTER):
            signed(409, "DELETE", TOKEN, "t")
            self.ask(409, OWNER, "POST", f"{KEYS}/pause", body={"all": True})

    def attestation(self):
        """While the security module answers, and when it does not."""
        path = f"{ATTESTATION}?nonce={'00' * 16}"
        self.ask(200, NOBODY, "GET", ATTESTATION, path=path)
        self.ask(400, NOBODY, "GET", ATTESTATION)
        self.enclave.device.broken = "error"
        try:
            self.ask(503, NOBODY, "GET", ATTESTATION, path=path)
        finally:
            self.enclave.device.broken = None
