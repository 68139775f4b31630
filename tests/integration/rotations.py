"""Rotations of every kind, as one table: what the chamber is before, what is asked for, who approves, and how each set is opened.

A Rotation goes on from wherever it is: so a test may end rooms at any moment, and then call go_on() again.
"""
import http.client

from daemon import wait_for
from key_routes import CHAMBER as KEYS_ROUTE
from key_routes import import_keys, sign
from seal_client import CHAMBER, Operator, call, init, owner_approves, register_all, setup_token
from test_ceremony import NAMES, make_daemon_of

ROWS = (1, 2)  # of the interop keys
OPEN = ("unsealed", "not_configured", "awaiting_rotation")
MODES = {"local": (False, False), "kms": (True, False), "operators": (False, True), "quorum": (True, True)}  # has KMS keys, has operators


class Kind:
    """`route`: of POST rotate/; `new`: what of the next set is new; `mode`: after it, where it changes."""

    def __init__(self, route, before, *, new=(), mode=None):
        self.route, self.before, self.new, self.after = route, before, new, mode or before
        self.names_mode = mode is not None
        self.registers = len(NAMES) if "operators" in new else 0


KINDS = {
    "kms": Kind("kms", "quorum", new=("kms",)),
    "quorum": Kind("quorum", "operators", new=("operators",)),
    "mode": Kind("mode", "kms", new=("operators",), mode="quorum"),
    "master": Kind("master", "kms"),
}
MORE_KINDS = {
    "kms-alone": Kind("kms", "kms", new=("kms",)),
    "quorum-with-kms": Kind("quorum", "quorum", new=("operators",)),
    "mode-from-local": Kind("mode", "local", new=("operators",), mode="operators"),
    "mode-from-local-to-kms": Kind("mode", "local", new=("kms",), mode="kms"),
    "mode-to-operators": Kind("mode", "quorum", mode="operators"),
    "mode-to-kms": Kind("mode", "operators", new=("kms",), mode="kms"),
    "master-of-operators": Kind("master", "operators"),
    "master-of-quorum": Kind("master", "quorum"),
    "master-of-local": Kind("master", "local"),
}
ALL_KINDS = {**KINDS, **MORE_KINDS}


class Dead(Exception):
    """Nobody answers, or not this: the core was killed."""


def alive(function, *arguments):
    """(code, answer) of a call; a challenge that does not come is an AssertionError of seal_client."""
    try:
        code, answer = function(*arguments)
    except (OSError, http.client.HTTPException, ValueError, AssertionError) as error:
        raise Dead from error
    if code in (500, 503):
        raise Dead(answer)
    return code, answer


class Rotation:
    """One rotation, from generation 1 to 2. `kms` is test_ceremony_kms.Mock."""

    def __init__(self, make_daemon, kms, path, kind, **config):
        self.kind, self.kms = ALL_KINDS[kind], kms
        self.old = [Operator(path, name) for name in NAMES]
        self.new = [Operator(path, name) for name in ("dave", "erin", "frank")] if self.kind.registers else self.old
        self.old_keys = kms.create()
        self.new_keys = kms.create(2) if "kms" in self.kind.new else self.old_keys
        self.config = {"seal": "ceremony", "kms": True, "allowed_kms_key_arns": self.old_keys + self.new_keys}
        self.epoch = 1

        def with_environment(**options):
            return make_daemon(environment=kms.environment(), **{k: v for k, v in options.items() if k != "environment"})

        local = {} if self.kind.before == "local" else {"signer_state": self.config}
        self.daemon = make_daemon_of(with_environment, {**local, **config})

    # --- before it ---------------------------------------------------------------------------------------------------------------

    def begin(self):
        """A chamber with rows, open, that has this rotation before it; it runs."""
        self.daemon.start(ready=False)
        self.wait_status()
        has_kms, has_operators = MODES[self.kind.before]
        body = {"kms_key_arns": self.old_keys, "kms_threshold": 2} if has_kms else {}
        if has_operators:
            body.update(operators=[o.described() for o in self.old], operator_threshold=2)
        if body:
            code, made = init(self.daemon, mode=self.kind.before, **body)
            assert code == 200, made
            if has_operators:
                register_all(self.daemon, self.old, made)
        self.open()
        assert import_keys(self.daemon, *ROWS, path=KEYS_ROUTE) == ["imported"] * len(ROWS)
        self.signs()
        if self.kind.before == "local":  # a local chamber with keys that is told of ceremonies
            self.daemon.config["signer_state"] = self.config
            self.daemon.write_config()
            self.restart()
        return self

    def restart(self):
        assert self.daemon.stop() == 0
        self.daemon.start(ready=False)
        self.open()

    # --- looking -----------------------------------------------------------------------------------------------------------------

    def status(self):
        """Or Dead."""
        code, answer = alive(call, self.daemon, "GET", f"{CHAMBER}/status")
        assert code == 200, answer
        return answer

    def try_status(self):
        try:
            return self.status()
        except Dead:
            return None

    def wait_status(self):
        return wait_for("the status", lambda: self.daemon.alive() and self.try_status(), 40)

    def is_over(self):
        now = self.status()
        return now["seal"]["generation"] == 2 and "rotation" not in now

    # --- opening -----------------------------------------------------------------------------------------------------------------

    def open(self):
        """By the set that is in force, the old one or the new one: never neither. A rotation may end meanwhile, and be open."""
        self.wait_status()
        now = wait_for("open, or people's turn", self.where_people_come_in)
        is_new = now["seal"]["generation"] == 2
        assert now["seal"]["mode"] == (self.kind.after if is_new else self.kind.before), now
        if now["state"] in OPEN:
            return
        people = self.new if is_new else self.old
        for n, one in enumerate((people[0], people[2])):
            code, answer = alive(one.unseal, self.daemon)
            assert (code, answer["have"]) == (200, n + 1), answer
        wait_for("open", lambda: self.status()["state"] in OPEN)

    def where_people_come_in(self):
        now = self.status()
        has_kms, has_operators = MODES[now["seal"]["mode"]]
        closed = "kms_unsealed" if has_kms else "sealed"
        return now if now["state"] in OPEN or (has_operators and now["state"] == closed) else None

    def signs(self, unless=lambda: False):
        """Each row, once more, as soon as somebody answers."""
        self.epoch += 1
        for row in ROWS:
            wait_for("a signature", lambda row=row: unless() or self.try_sign(row) == 200, 40)

    def try_sign(self, row):
        try:
            return sign(self.daemon, row, self.epoch - 1, self.epoch)
        except (OSError, http.client.HTTPException):
            return None

    # --- going on ----------------------------------------------------------------------------------------------------------------

    def propose(self):
        body = {"mode": self.kind.after} if self.kind.names_mode else {}
        if "kms" in self.kind.new:
            body.update(kms_key_arns=self.new_keys, kms_threshold=1)
        if "operators" in self.kind.new:
            body.update(operators=[o.described() for o in self.new], operator_threshold=2)
        code, answer = alive(call, self.daemon, "POST", f"{CHAMBER}/rotate/{self.kind.route}", body)
        assert code == 202, answer
        return answer["digest"]

    def approve(self, digest):
        if not MODES[self.kind.before][1]:
            code, answer = alive(owner_approves, self.daemon, digest)
            assert code == 200, answer
            return
        for one in self.old[:2]:
            code, answer = alive(one.approve, self.daemon, digest)
            if code != 200 and self.status().get("rotation", {}).get("phase") != "proposed":
                return  # it was approved before a core died, and has gone on by itself
            assert code == 200, answer

    def register(self):
        code, made = alive(call, self.daemon, "GET", f"{CHAMBER}/rotate/tokens")
        if code == 404:
            return
        for one in self.new:
            self.register_by(one, made)

    def register_one(self, one):
        code, made = alive(call, self.daemon, "GET", f"{CHAMBER}/rotate/tokens")
        assert code == 200, made
        self.register_by(one, made)

    def register_by(self, one, made):
        if one.name in [t["name"] for t in made["registration_tokens"]]:
            code, answer = alive(one.register, self.daemon, one.token_of(made["registration_tokens"]), made["set_fingerprint"])
            assert code == 200, answer

    def go_on(self):
        """From wherever it is to the end; Dead where a core dies under it."""
        now = self.status()
        if "rotation" not in now and now["seal"]["generation"] == 1:
            self.approve(self.propose())
        elif "rotation" in now and now["rotation"]["phase"] == "proposed":
            self.approve(now["rotation"]["digest"])
        if self.kind.registers and "rotation" in self.status():
            self.register()
        wait_for("the rotation's end", self.is_over)

    # --- after it ----------------------------------------------------------------------------------------------------------------

    def check_end(self):
        """Only the new set opens it, and all rows are of it."""
        assert self.is_over()
        self.signs()
        self.daemon.kill_all()
        retired = [arn for arn in self.old_keys if self.new_keys is not self.old_keys or not MODES[self.kind.after][0]]
        self.kms.disable(*retired)
        self.daemon.start(ready=False)
        if MODES[self.kind.before][1] and MODES[self.kind.after][1] and self.kind.registers:
            self.wait_closed()
            assert alive(self.old[0].unseal, self.daemon)[0] == 403
        self.open()
        self.signs()

    def wait_closed(self):
        closed = "kms_unsealed" if MODES[self.kind.after][0] else "sealed"
        wait_for(closed, lambda: (self.try_status() or {}).get("state") == closed)


class FirstSet(Rotation):
    """The first set, of mode quorum, in a chamber that has none: by the setup token, and operators who register."""

    def __init__(self, make_daemon, kms, path):
        super().__init__(make_daemon, kms, path, "quorum-with-kms")
        self.new = self.old

    def begin(self):
        self.daemon.start(ready=False)
        self.wait_status()
        return self

    def restart(self):
        assert self.daemon.stop() == 0
        self.daemon.start(ready=False)
        self.wait_status()

    def is_over(self):
        now = self.status()
        return "seal" in now and now["seal"]["generation"] == 1 and "rotation" not in now

    def open(self):
        """Nothing is open before it is made."""
        if self.wait_status() and self.is_over():
            super().open()

    def signs(self, unless=None):
        """There is nothing that could sign."""

    def go_on(self):
        if self.status()["state"] == "uninitialized":
            body = {"kms_key_arns": self.old_keys, "kms_threshold": 2, "operators": [o.described() for o in self.old], "operator_threshold": 2}
            token = wait_for("a setup token", lambda: self.try_token())
            code, answer = alive(call, self.daemon, "POST", f"{CHAMBER}/init", {"setup_token": token, "mode": "quorum", **body})
            assert code == 200, answer
        self.register()
        wait_for("the first set", self.is_over)

    def try_token(self):
        self.status()
        try:
            return setup_token(self.daemon)
        except OSError:
            return None

    def check_end(self):
        """It opens, and what it takes in signs after a kill of everything."""
        for _ in range(2):
            self.daemon.kill_all()
            self.daemon.start(ready=False)
            self.open()
            assert set(import_keys(self.daemon, *ROWS, path=KEYS_ROUTE)) <= {"imported", "duplicate"}
            super().signs()
