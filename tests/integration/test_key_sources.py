"""`keys import --from hashicorp|aws-secrets|azure|gcp`: keys that another service keeps, by Web3Signer's descriptions, into the sealed store."""
import base64
import http.server
import json
import pathlib
import re
import ssl
import subprocess
import sys
import threading
import urllib.parse

import pytest

import bls_keys
import certificates
import daemon as daemon_module
import interop
import messages

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import aws as aws_module  # noqa: E402  pylint: disable=wrong-import-position

TOKEN = "hvs.CanaryToken-0123456789"
ROLE_TOKEN = "hvs.RoleToken-9876543210"
JWT = "eyJhbGciOiJSUzI1NiJ9.canary.jwt"


class Vault(http.server.ThreadingHTTPServer):
    """KV version 2 of a HashiCorp Vault, as far as Web3Signer uses it, and the login of a Kubernetes role."""

    daemon_threads = True

    def __init__(self, certificate=None):
        super().__init__(("127.0.0.1", 0), VaultRequest)
        self.secrets = {}
        self.asked = []
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        """A client that doesn't believe the certificate hangs up."""


class VaultRequest(http.server.BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):  # pylint: disable=invalid-name
        self.server.asked.append(self.path)
        if self.headers.get("X-Vault-Token") not in (TOKEN, ROLE_TOKEN):
            return self.answer(403, {"errors": ["permission denied"]})
        if self.path not in self.server.secrets:
            return self.answer(404, {"errors": []})
        return self.answer(200, {"data": {"data": self.server.secrets[self.path], "metadata": {"version": 1}}})

    def do_POST(self):  # pylint: disable=invalid-name
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/auth/kubernetes/login" and body == {"role": "signer", "jwt": JWT}:
            return self.answer(200, {"auth": {"client_token": ROLE_TOKEN}})
        return self.answer(403, {"errors": ["no"]})


@pytest.fixture(name="signer", scope="module")
def a_signer():
    """One that takes imports, with no key at its start."""
    one = daemon_module.Daemon(daemon_module.fresh_dir("test_key_sources_signer"))
    one.config["anti_slashing"]["new_key_policy"] = "allow"
    one.write_config()
    one.init()
    one.start()
    yield one
    one.end()


def run(signer, *arguments, **environment):
    """`keys import ... --signer-url`; the finished command."""
    before, signer.environment = signer.environment, {**signer.environment, **environment}
    try:
        return signer.command("keys", "import", *arguments, "--signer-url", f"unix:{signer.admin_path}", check=False)
    finally:
        signer.environment = before


def describe(folder, name, **properties):
    """A description as Web3Signer has them."""
    folder.mkdir(exist_ok=True, mode=0o700)
    path = folder / f"{name}.yaml"
    path.touch(mode=0o600)
    path.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in properties.items()))


def signs(signer, index):
    """The status of a signing request."""
    return signer.sign(interop.PUBKEYS[index], messages.randao(1))[0]


def test_hashicorp_by_token_and_by_role(signer, workdir):
    vault = Vault()
    common = {"type": "hashicorp", "serverHost": "127.0.0.1", "serverPort": vault.server_port, "tlsEnabled": "false"}
    vault.secrets = {"/v1/secret/data/a": {"value": interop.SECRETS[0]}, "/v1/secret/data/b": {"bls": interop.SECRETS[1][2:]},
                     "/v1/secret/data/bad": {"value": "0x1234"}, "/v1/secret/data/zero": {"value": "00" * 32}}
    configs = workdir / "configs"
    describe(configs, "a", **common, keyPath="/v1/secret/data/a", token=TOKEN)
    (workdir / "jwt").write_text(JWT + "\n")
    describe(configs, "b", **common, keyPath="/v1/secret/data/b", keyName="bls", authMethod="KUBERNETES", kubernetesRole="signer",
             kubernetesServiceAccountTokenPath=str(workdir / "jwt"))
    describe(configs, "raw", type="file-raw", privateKey=interop.SECRETS[9])
    done = run(signer, "--from", "hashicorp", "--from-dir", configs)
    assert done.returncode == 0, done.stderr
    assert "2 imported, 0 there already, 0 failed" in done.stdout
    assert [signs(signer, i) for i in (0, 1, 9)] == [200, 200, 404]
    # Again: nothing is lost by it, and what was there is a duplicate. What fails is named, and does not stop the rest.
    describe(configs, "bad", **common, keyPath="/v1/secret/data/bad", token=TOKEN)
    describe(configs, "denied", **common, keyPath="/v1/secret/data/a", token="hvs.another")
    describe(configs, "gone", **common, keyPath="/v1/secret/data/gone", token=TOKEN)
    describe(configs, "name", **common, keyPath="/v1/secret/data/a", keyName="other", token=TOKEN)
    describe(configs, "zero", **common, keyPath="/v1/secret/data/zero", token=TOKEN)
    describe(configs, "untold", type="hashicorp", keyPath="/v1/secret/data/a", token=TOKEN)
    done = run(signer, "--from", "hashicorp", "--from-dir", configs)
    assert done.returncode == 1 and "0 imported, 2 there already, 6 failed" in done.stdout
    for part in ("/v1/secret/data/bad: not a valid BLS secret key: 32 bytes", "refuses this token or role", "nothing at keyPath",
                 "no text of the name keyName", "/v1/secret/data/zero: not a valid BLS secret key", "/v1/secret/data/a: a required field is missing"):
        assert part in done.stderr
    for secret in (TOKEN, ROLE_TOKEN, JWT, interop.SECRETS[0][2:], interop.SECRETS[1][2:], "1234"):
        assert secret not in done.stdout + done.stderr.replace(str(workdir), "")
    vault.shutdown()


def test_hashicorp_over_tls_and_never_in_the_clear_elsewhere(signer, workdir):
    pair = certificates.Pair("vault")
    pair.write(workdir, "vault")
    vault = Vault((workdir / "vault.crt", workdir / "vault.key"))
    vault.secrets = {"/v1/secret/data/c": {"value": interop.SECRETS[2]}}
    configs = workdir / "configs"
    describe(configs, "c", type="hashicorp", serverHost="127.0.0.1", serverPort=vault.server_port, keyPath="/v1/secret/data/c", token=TOKEN)
    done = run(signer, "--from", "hashicorp", "--from-dir", configs)
    assert done.returncode == 1 and not vault.asked  # nobody vouches for its certificate
    done = run(signer, "--from", "hashicorp", "--from-dir", configs, "--source-ca", workdir / "vault.crt")
    assert done.returncode == 0 and signs(signer, 2) == 200
    describe(configs, "c", type="hashicorp", serverHost="192.0.2.1", serverPort=1, keyPath="/v1/secret/data/c", token=TOKEN, tlsEnabled=False)
    done = run(signer, "--from", "hashicorp", "--from-dir", configs)
    assert done.returncode == 1 and "1 failed" in done.stdout
    vault.shutdown()


class Cloud(Vault):
    """Azure Key Vault and GCP Secret Manager, as far as `keys import` uses them; two secrets a page. `tags`: of each secret, Azure's tags and
    GCP's labels. `breaks`: how many requests are answered before all others meet it; what they meet: a status, or None: it hangs up."""

    def __init__(self):
        super().__init__()
        self.RequestHandlerClass = CloudRequest  # pylint: disable=invalid-name
        self.tags = {}
        self.breaks = None

    def gcp_finds(self, text):
        """The names that a filter finds: `name:TEXT`, `labels.NAME=VALUE`, with OR between."""
        def fits(name, term):
            key, value = re.fullmatch(r"(name|labels\.\w+)[:=](\S+)", term).groups()
            return value in name if key == "name" else self.tags.get(name, {}).get(key.removeprefix("labels.")) == value
        return [name for name in self.secrets if not text or any(fits(name, term) for term in text.split(" OR "))]


class CloudRequest(VaultRequest):
    """One request."""

    def broken(self):
        """True: this one is not answered as it should be."""
        if self.server.breaks is None or len(self.server.asked) <= self.server.breaks[0]:
            return False
        self.close_connection = True
        if self.server.breaks[1] is not None:
            self.answer(self.server.breaks[1], {"error": {}})
        return True

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        names = list(self.server.secrets)
        self.server.asked.append(self.path)
        if self.broken():
            return None
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, {"error": {}})
        azure = url.path.startswith("/secrets")
        if azure and query.get("api-version") != "7.4":
            return self.answer(400, {})
        if url.path == "/secrets":
            at = int(query.get("$skiptoken", 0))
            more = f"https://elsewhere.example/secrets?api-version=7.4&$skiptoken={at + 2}" if at + 2 < len(names) else None
            tags = {n: {"tags": self.server.tags[n]} if n in self.server.tags else {} for n in names}
            return self.answer(200, {"value": [{"id": f"https://v.vault.azure.net/secrets/{n}", **tags[n]} for n in names[at : at + 2]],
                                     "nextLink": more})
        if url.path == "/v1/projects/p-1/secrets":
            names = self.server.gcp_finds(query.get("filter"))
            at = int(query.get("pageToken", 0))
            more = {"nextPageToken": str(at + 2)} if at + 2 < len(names) else {}
            return self.answer(200, {"secrets": [{"name": f"projects/77/secrets/{n}"} for n in names[at : at + 2]], **more})
        name = url.path.split("/")[2 if azure else 5]
        if name not in self.server.secrets:
            return self.answer(404, {})
        if azure:
            return self.answer(200, {"value": self.server.secrets[name]})
        if not url.path.endswith("/versions/latest:access"):
            return self.answer(404, {})
        return self.answer(200, {"payload": {"data": base64.b64encode(self.server.secrets[name].encode()).decode()}})


def test_azure_and_gcp_with_an_access_token(signer, workdir):
    cloud = Cloud()
    token, url = workdir / "token", f"http://127.0.0.1:{cloud.server_port}"
    token.write_text(TOKEN + "\n")
    more = ("--source-token", f"file:{token}", "--endpoint", url)
    cloud.secrets = {"w3s-a": interop.SECRETS[10], "w3s-b": "\n".join(interop.SECRETS[11:13]), "x": interop.SECRETS[15], "w3s-bad": "??>>~~"}
    done = run(signer, "--from", "azure", "--vault", "v", "--prefixes", "w3s-", *more)
    assert done.returncode == 1 and "3 imported, 0 there already, 1 failed" in done.stdout, done.stderr
    assert "w3s-bad: not a valid BLS secret key" in done.stderr
    assert not any("/secrets/x" in path for path in cloud.asked)
    describe(workdir / "configs", "a", type="azure-secret", vaultName="v", secretName="w3s-a", clientId="i", clientSecret="s", tenantId="t")
    describe(workdir / "configs", "none", type="azure-secret", vaultName="v", secretName="none")
    describe(workdir / "configs", "host", type="azure-secret", vaultName="evil.example/", secretName="w3s-a")
    done = run(signer, "--from", "azure", "--from-dir", workdir / "configs", *more)
    assert done.returncode == 1 and "0 imported, 1 there already, 2 failed" in done.stdout
    assert "no such secret (404)" in done.stderr and "vaultName is none" in done.stderr
    cloud.secrets = {"w3s-c": interop.SECRETS[13] + "\n", "y": interop.SECRETS[15], "w3s-d": "??>>~~", "w3s-e": interop.SECRETS[14]}
    done = run(signer, "--from", "gcp", "--project", "p-1", "--prefixes", "w3s-", *more)
    assert done.returncode == 1 and "2 imported, 0 there already, 1 failed" in done.stdout, done.stderr
    assert [signs(signer, i) for i in range(10, 16)] == [200] * 5 + [404]
    token.write_text("another")
    for source in (("azure", "--vault", "v"), ("gcp", "--project", "p-1")):
        done = run(signer, "--from", *source, *more)
        assert done.returncode != 0 and "refuses this access token" in done.stderr
        done = run(signer, "--from", *source, "--source-token", f"file:{token}", "--endpoint", "http://192.0.2.1:1")
        assert done.returncode != 0 and "0 imported" in done.stdout
    assert TOKEN not in done.stdout + done.stderr
    cloud.shutdown()


def test_tags_of_azure_and_the_filter_of_gcp(signer, workdir):
    """As Web3Signer's --azure-tags and --gcp-secrets-filter choose them."""
    cloud = Cloud()
    (workdir / "token").write_text(TOKEN)
    more = ("--source-token", f"file:{workdir}/token", "--endpoint", f"http://127.0.0.1:{cloud.server_port}", "--json")
    made = bls_keys.make(5)
    cloud.secrets = {name: secret.hex() for name, (secret, _) in zip(("w3s-a", "w3s-b", "w3s-c", "w3s-d", "x-e"), made)}
    cloud.tags = {"w3s-a": {"ENV": "prod", "CLIENT": "A"}, "w3s-b": {"ENV": "prod"}, "w3s-c": {"ENV": "production", "CLIENT": "A"},
                  "x-e": {"CLIENT": "prod", "env": "A"}}

    def found(*arguments):
        done = run(signer, "--from", *arguments, *more)
        assert done.returncode == 0, done.stderr
        return sorted([pubkey for _, pubkey in made].index(one["pubkey"]) for one in json.loads(done.stdout)["keys"])

    for chosen, expected in ((("--tags", "ENV=prod,CLIENT=A"), [0]), (("--tags", "ENV=prod"), [0, 1]), (("--tags", "CLIENT"), [0, 2, 4]),
                             (("--tags", "=prod"), [0, 1, 4]), (("--prefixes", "w3s-", "--tags", "CLIENT"), [0, 2]), (("--tags", "none"), [])):
        assert found("azure", "--vault", "v", *chosen) == expected
    for chosen, expected in ((("--filter", "labels.ENV=prod"), [0, 1]), (("--filter", "name:-a OR name:e"), [0, 4]),
                             (("--filter", "labels.CLIENT=A", "--prefixes", "w3s-c"), [2]), (("--filter", "name:&=+%"), [])):
        assert found("gcp", "--project", "p-1", *chosen) == expected
    done = run(signer, "--from", "gcp", "--project", "p-1", "--filter", "x" * 3000, *more)
    assert done.returncode != 0 and "--filter is too long" in done.stderr
    cloud.shutdown()


@pytest.mark.parametrize("source, breaks, said, first", [
    # In the middle of secrets: those that follow are named. A page is asked for, its two secrets, the next page.
    (("azure", "--vault", "v"), (4, None), "w3s-2: ", 2),
    (("azure", "--vault", "v"), (7, 429), "w3s-4: overloaded: the service", 4),
    (("gcp", "--project", "p-1"), (5, 500), "w3s-3: ", 3),
    # At a page: nothing that follows is known. What has come is sent all the same.
    (("gcp", "--project", "p-1"), (3, None), "gcp: ", 2),
], ids=["azure-hangs-up", "azure-429", "gcp-500", "gcp-page-hangs-up"])
def test_an_import_that_breaks_off_goes_on_where_it_was(signer, workdir, source, breaks, said, first):
    cloud = Cloud()
    (workdir / "token").write_text(TOKEN)
    more = ("--source-token", f"file:{workdir}/token", "--endpoint", f"http://127.0.0.1:{cloud.server_port}")
    made = bls_keys.make(6, base=breaks[0] << 200)  # keys of this case alone
    cloud.secrets = {f"w3s-{index}": secret.hex() for index, (secret, _) in enumerate(made)}
    cloud.breaks = breaks

    def sign():
        return [signer.sign(pubkey, messages.randao(1))[0] for _, pubkey in made]

    done = run(signer, "--from", *source, *more)
    assert done.returncode != 0 and said in done.stderr, done.stderr
    assert f"{first} imported, 0 there already" in done.stdout
    assert sign() == [200] * first + [404] * (6 - first)
    cloud.breaks = None
    done = run(signer, "--from", *source, *more)
    assert done.returncode == 0 and f"{6 - first} imported, {first} there already, 0 failed" in done.stdout, done.stderr
    assert sign() == [200] * 6
    cloud.shutdown()


def test_what_is_no_source(signer, workdir):
    for arguments, said in ((("--from", "nowhere", "--from-dir", workdir), "hashicorp, aws-secrets, azure or gcp"),
                            (("--from", "hashicorp"), "--from needs: --from-dir"),
                            (("--from", "aws-secrets"), "--from needs: --from-dir"),
                            (("--from", "azure", "--vault", "v"), "--from needs: --source-token"),
                            (("--from", "azure", "--source-token", "env:X"), "--from needs: --from-dir"),
                            (("--from", "gcp", "--source-token", "env:X"), "--from needs: --project"),
                            (("--from", "hashicorp", "--prefixes", "a"), "has no --prefixes"),
                            (("--from", "hashicorp", "--from-dir", workdir, "--tags", "a"), "has no --tags"),
                            (("--from", "gcp", "--project", "p", "--source-token", "env:X", "--tags", "a"), "has no --tags"),
                            (("--from", "aws-secrets", "--tags", "a", "--filter", "name:a"), "has no --filter"),
                            (("--from", "aws-secrets", "--tags", "a,,b"), "--tags is NAME=VALUE"),
                            (("--from", "azure", "--source-token", "env:X", "--from-dir", workdir, "--tags", "a"), "--from needs: --vault"),
                            (("--from-dir", workdir, "--tags", "a"), "needs --from: --tags")):
        done = run(signer, *arguments)
        assert done.returncode == 2 and said in done.stderr


@pytest.mark.skipif(bool(aws_module.missing()), reason="left out: " + aws_module.missing())
def test_aws_secrets_by_description_and_by_the_beginning_of_names(signer, workdir):
    with aws_module.Aws() as aws:
        environment = aws.environment()
        secrets = {f"w3s/many{n:03}": "" for n in range(19)}  # with the others more than a page
        secrets = {name: interop.SECRETS[3 + n % 2] for n, name in enumerate(secrets)}
        tagged = {"t/a": {"ENV": "prod", "CLIENT": "A"}, "t/b": {"ENV": "prod"}, "t/c": {"ENV": "production", "CLIENT": "A"},
                  "t/d": {"ENVIRONMENT": "prod"}, "u/e": {"ENV": "test", "CLIENT": "prod"}}
        secrets.update({name: interop.SECRETS[15] for name in tagged})
        secrets.update({"w3s/lines": "\n".join(interop.SECRETS[5:8]) + "\n", "w3s/bad": "no key", "other/x": interop.SECRETS[8],
                        "single": interop.SECRETS[9]})
        script = ("import boto3, json, os, sys\nc = boto3.client('secretsmanager', endpoint_url=os.environ['AWS_ENDPOINT_URL'])\n"
                  "for name, (value, tags) in json.load(sys.stdin).items():\n"
                  "    c.create_secret(Name=name, SecretString=value, Tags=[{'Key': k, 'Value': v} for k, v in tags.items()])\n")
        made = {name: (value, tagged.get(name, {})) for name, value in secrets.items()}
        subprocess.run([aws_module.moto_python(), "-c", script], input=json.dumps(made), text=True, check=True, timeout=120,
                       env={**environment, "AWS_DEFAULT_REGION": aws_module.REGION, "PATH": "/usr/bin:/bin"})
        done = run(signer, "--from", "aws-secrets", "--prefixes", "w3s/", **environment)
        assert done.returncode == 1, done.stderr  # one secret is no key
        assert "5 imported, 17 there already, 1 failed" in done.stdout
        assert "w3s/bad: not a valid BLS secret key: 32 bytes of hex expected" in done.stderr
        assert [signs(signer, i) for i in range(3, 10)] == [200] * 5 + [404, 404]
        describe(workdir / "configs", "single", type="aws-secret", authenticationMode="ENVIRONMENT", region=aws_module.REGION, secretName="single")
        describe(workdir / "configs", "none", type="aws-secret", region=aws_module.REGION, secretName="none")
        done = run(signer, "--from", "aws-secrets", "--from-dir", workdir / "configs", **environment)
        assert done.returncode == 1 and "1 imported, 0 there already, 1 failed" in done.stdout and "none: " in done.stderr
        assert signs(signer, 9) == 200
        # By tags: all that are named on one secret, and exactly those; moto takes a filter's words for beginnings, as AWS does. All that there
        # is would be two pages.
        for chosen, expected in ((("--tags", "ENV=prod,CLIENT=A"), ["t/a"]), (("--tags", "CLIENT"), ["t/a", "t/c", "u/e"]),
                                 (("--tags", "=prod"), ["t/a", "t/b", "t/d", "u/e"]), (("--prefixes", "u/", "--tags", "CLIENT"), ["u/e"])):
            pages = aws.count("ListSecrets")
            done = run(signer, "--from", "aws-secrets", *chosen, "--json", **environment)
            assert sorted(one["file"] for one in json.loads(done.stdout)["keys"]) == expected, done.stderr
            assert aws.count("ListSecrets") == pages + 1
        for tags in ("!ENV=prod", 'ENV=a"'):
            done = run(signer, "--from", "aws-secrets", "--tags", tags, **environment)
            assert done.returncode != 0 and "a tag that AWS does not allow" in done.stderr
        done = run(signer, "--from", "aws-secrets", "--prefixes", "w3s/", "--endpoint", "http://192.0.2.1:1", **environment)
        assert done.returncode != 0 and "elsewhere than on loopback" in done.stderr
        for url in ("http://127.0.0.1:80@192.0.2.1:1", "https://localhost@192.0.2.1:1"):  # what is before an @ is not the host
            done = run(signer, "--from", "aws-secrets", "--prefixes", "w3s/", "--endpoint", url, **environment)
            assert done.returncode != 0 and "an AWS endpoint is no URL" in done.stderr
        # One client asks for all: a description of another endpoint is not asked for at the first one's.
        for name, override in (("a", {"endpointOverride": aws.endpoint}), ("b", {"endpointOverride": "http://127.0.0.1:1"}), ("c", {})):
            describe(workdir / "endpoints", name, type="aws-secret", region=aws_module.REGION, secretName="single", **override)
        done = run(signer, "--from", "aws-secrets", "--from-dir", workdir / "endpoints", **environment)
        assert done.returncode == 1 and "0 imported, 1 there already, 2 failed" in done.stdout
        assert done.stderr.count("not the first description's endpointOverride") == 2
        assert interop.SECRETS[9][2:] not in done.stdout + done.stderr
