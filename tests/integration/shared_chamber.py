"""Two replicas of one chamber whose state, history and keys lie in one PostgreSQL, or in one DynamoDB table; KMS is the project's own mock.

Between each replica and the store stands a proxy that fails as networks do (torture/proxy.py).
"""
import concurrent.futures
import http.client
import pathlib
import socket
import sys
import threading
import time
import urllib.parse

from daemon import merge
from key_routes import sign
from seal_client import CHAMBER, Operator, call, register_all, setup_token, state, status
from test_ceremony import approve, unseal
from test_ceremony_kms import Mock
from test_key_stores import Database, Table, join, make

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "support"))
sys.path.insert(0, str(TESTS / "torture"))
import postgres  # noqa: E402  pylint: disable=wrong-import-position
from proxy import Proxy  # noqa: E402  pylint: disable=wrong-import-position

INTERVAL = 5.0  # seconds: the refresh interval is one; the machine may be busy
GRACE = 40.0  # of a rotation: others have five seconds twice, and whoever failed tries again
NAMES = ("alice", "bob", "carol")


class Line:
    """One replica's way to the store: where it is for that replica, and how it fails."""

    def __init__(self, place):
        self.proxy = Proxy(lambda: self._connect(place))
        if isinstance(place, Database):
            query = urllib.parse.urlencode({"options": f"-csearch_path={place.schema}", "sslmode": "disable"}, quote_via=urllib.parse.quote)
            url = f"postgresql://{postgres.NAME}@127.0.0.1:{self.proxy.port}/postgres?{query}"
            self.environment, self.config = {}, {"url": url}
            self.keys = {"postgres": {"url": url}}
        else:
            self.environment, self.config = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.proxy.port}"}, {}
            self.keys = place.keys

    @staticmethod
    def _connect(place):
        if isinstance(place, Table):
            at = urllib.parse.urlsplit(place.aws.endpoint)
            return socket.create_connection((at.hostname, at.port))
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.connect(f"{place.server.socket}/.s.PGSQL.{postgres.PORT}")
        return line

    def set(self, mode):
        self.proxy.set(mode)


def make_one(make_daemon, place, kms, **settings):
    """A replica with a line of its own, neither made nor started. In PostgreSQL its keys have another one."""
    line = Line(place)
    keys_line = Line(place) if isinstance(place, Database) else line
    environment = {**kms.environment(), **place.environment, **line.environment, "AWS_ENDPOINT_URL_KMS": kms.server.endpoint}
    state_config = {**line.config, "seal": "ceremony", "kms": True, **settings}
    config = {"signer_state": state_config, "anti_slashing": line.config}
    through = type("Through", (), {"keys": keys_line.keys, "shared": place.shared, "environment": environment})
    one = make(make_daemon, through, config=config)
    one.line, one.keys_line = line, keys_line
    return one


def make_pair(make_daemon, place, kms, **settings):
    """Both wait for their first set."""
    one, two = (make_one(make_daemon, place, kms, **settings) for _ in range(2))
    one.init()
    join(two, one)
    for each in (one, two):
        begin(each, "uninitialized")
    return one, two


def begin(one, wanted):
    one.start(ready=False)
    sees(one, wanted, 20)


def state_now(one):
    """None where there is no answer now."""
    try:
        return state(one)
    except (OSError, http.client.HTTPException, ValueError, AssertionError):
        return None


def watch(what, condition, seconds, pause=0.1):
    """As wait_for(), for what takes its time: each look costs a signer and this process more than the wait does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(pause)


def sees(one, wanted, seconds=INTERVAL):
    """How long it took."""
    began = time.monotonic()
    watch(f"{wanted}, not {state_now(one)}", lambda: state_now(one) == wanted, seconds, 0.03)
    return time.monotonic() - began


# --- people who don't give up --------------------------------------------------------------------------------------------


def persist(function, *arguments, good=(200,), seconds=60, settled=lambda: False):
    """(status, answer) as soon as it is good; 409, 5xx and no answer are tried again. `settled`: it is done, though nobody was told so."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            code, answer = function(*arguments)
        except (OSError, http.client.HTTPException, ValueError, AssertionError) as error:
            code, answer = 503, error
        if code in good or settled():
            return code, answer
        assert code == 409 or code >= 500, answer
        assert time.monotonic() < deadline, (function, code, answer)
        time.sleep(0.05)


def init_body(one, mode, operators=(), arns=(), keepers=()):
    body = {"setup_token": setup_token(one), "mode": mode}
    if operators:
        body.update(operators=[o.described() for o in operators], operator_threshold=2)
    if arns:
        body.update(kms_key_arns=list(arns), kms_threshold=2)
    if keepers:
        body["break_glass"] = {"threshold": 2, "recipients": [k.public_key for k in keepers]}
    return body


def init(one, *arguments, **options):
    return call(one, "POST", f"{CHAMBER}/init", init_body(one, *arguments, **options))


def tokens_at(one):
    return call(one, "GET", f"{CHAMBER}/rotate/tokens")


def has_registered(one, operator, made):
    """As far as this replica has seen it."""
    now = status(one)
    if "rotation" in now:
        return operator.name in now["rotation"].get("registered", [])
    return now.get("seal", {}).get("fingerprint") == made["set_fingerprint"]


def register(one, operator, made):
    """At this replica, and again when another was faster."""
    token = operator.token_of(made["registration_tokens"])
    return persist(operator.register, one, token, made["set_fingerprint"], settled=lambda: has_registered(one, operator, made))


def at_once(*jobs):
    """The results of functions that run at the same time."""
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        return [job.result() for job in [pool.submit(*job) for job in jobs]]


def generation(one):
    return status(one)["seal"]["generation"]


def is_through(one, number):
    now = status(one) if state_now(one) else {}
    return now.get("state") == "unsealed" and now["seal"]["generation"] == number


def both_through(pair, number, seconds=GRACE):
    for one in pair:
        watch(f"generation {number}", lambda one=one: is_through(one, number), seconds)


class Signing:
    """A client of each replica that asks for a signature again and again, in a thread, while the block runs."""

    def __init__(self, pair, key, first):
        self.pair, self.key, self.epoch = pair, key, first
        self.refused, self.count = [], 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        while not self.over.wait(0.1):
            for number, one in enumerate(self.pair):
                self.epoch += 1
                code = sign(one, self.key, self.epoch, self.epoch + 1)
                self.count += 1
                if code != 200:
                    self.refused.append((number, code))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def make_quorum(pair, operators, arns, keepers=()):
    """A chamber in mode quorum, unsealed at both."""
    code, made = init(pair[0], "quorum", operators, arns, keepers)
    assert code == 200, made
    register_all(pair[0], operators, made)
    for one in pair:
        sees(one, "kms_unsealed", 20)
        unseal(one, *operators[:2])
    return made


def rotate_quorum(one, present, new):
    """Proposed and approved here; nobody has registered. The digest."""
    body = {"operators": [o.described() for o in new], "operator_threshold": 2}
    code, answer = call(one, "POST", f"{CHAMBER}/rotate/quorum", body)
    assert code == 202, answer
    approve(one, answer["digest"], *present[:2])
    return answer["digest"]


def people(path, *names):
    return [Operator(path, name) for name in names]


__all__ = ["GRACE", "INTERVAL", "NAMES", "Database", "Line", "Mock", "Signing", "Table", "at_once", "begin", "both_through", "generation", "init",
           "init_body", "is_through", "make_one", "make_pair", "make_quorum", "merge", "people", "persist", "register", "rotate_quorum",
           "sees", "state_now", "tokens_at", "watch"]  # fmt: skip
