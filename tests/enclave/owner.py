"""class Owner: whoever the image's configuration names as its owner, far away from the enclave: commands over attested TLS, each of which
verifies the image first, and `attest proxy` for a stock client."""
import contextlib
import json
import subprocess

from image import TLS_PORT
from qemu import wait_for
from ways import PROGRAM, Bridge, attest_proxy, curl
import interop
from key_routes import keystore

POLICY = {"rules": [{"effect": "allow", "scopes": ["sign", "chamber_keys_import", "chamber_keys_list"]}]}
PASSWORD = "a password"


class Owner:
    """See the module's text. `root`: the authority of documents."""

    def __init__(self, folder, root):
        self.folder, self.root = folder, root
        self.bridge = self.pcr0 = self.token = None
        made = subprocess.run([PROGRAM, "auth", "owner-key", "--to", folder / "owner.key", "--name", "alice"], capture_output=True, text=True,
                              check=True, stdin=subprocess.DEVNULL)
        self.row = made.stdout.strip()  # for auth.owner_keys

    @contextlib.contextmanager
    def at(self, machine, pcr0):
        """What follows is asked of this machine, if it is that image."""
        with contextlib.closing(Bridge(machine, TLS_PORT)) as self.bridge:
            self.pcr0 = pcr0
            yield

    def run(self, *words, owner=True, check=True):
        """A command; (exit code, output, what it says)."""
        words += ("--owner-key", f"file:{self.folder / 'owner.key'}") if owner else ()
        there = ["--signer-url", f"https://localhost:{self.bridge.tcp_port}", "--attested", "--attest-pcr", f"0={self.pcr0}",
                 "--attest-chamber", "any", "--attest-root", self.root]
        done = subprocess.run([str(part) for part in (PROGRAM, *words, *there)], capture_output=True, text=True, timeout=240, check=False,
                              stdin=subprocess.DEVNULL, start_new_session=True)
        assert not check or done.returncode == 0, (words, done.stdout, done.stderr)
        return done

    def status(self):
        """What `operator status` says; None while it doesn't."""
        done = self.run("operator", "status", "--json", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def wait_state(self, state, seconds=240):
        """Until the chamber is in it."""
        wait_for(f"state {state}", lambda: (self.status() or {}).get("state") == state, seconds)

    def file(self, name, text):
        """A source of a secret."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return f"file:{path}"

    def bring(self, number):
        """From an empty chamber to one that signs for a client: a management key, a policy, a token, and interop key `number`."""
        management = self.file("management", self.run("auth", "bootstrap").stdout)
        policy = self.folder / "policy.json"
        policy.write_text(json.dumps(POLICY))
        self.run("auth", "policy", "put", "vc", "--from", policy, "--auth-token", management, owner=False)
        self.token = self.run("auth", "token", "create", "vc-1", "--policy", "vc", "--auth-token", management, owner=False).stdout.strip()
        (self.folder / "keystore.json").write_text(keystore(number, PASSWORD))
        (self.folder / "password").write_text(PASSWORD)
        self.run("keys", "import", "--from-dir", self.folder / "keystore.json", "--password-file", self.folder / "password", "--auth-token",
                 self.file("token", self.token), owner=False)

    @contextlib.contextmanager
    def client(self):
        """Gives sign(number, body): (status, answer) for a stock client, through `attest proxy`."""
        with attest_proxy(self.folder, self.bridge, self.root, self.pcr0) as path:

            def sign(number, body):
                code, text = curl(path, "-w", "\n%{http_code}", "-H", "Content-Type: application/json", "-H", f"Authorization: Bearer {self.token}",
                                  "-d", json.dumps(body), f"http://localhost/api/v1/eth2/sign/{interop.PUBKEYS[number]}")
                assert code == 0, text
                answer, _, status = text.rpartition("\n")
                return int(status), answer

            yield sign
