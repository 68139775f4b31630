"""deploy/prometheus and deploy/grafana: rules are tested by promtool, and a real Prometheus runs every query over what a real signer says."""
import contextlib
import functools
import json
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request

import certificates
import interop
import messages
import pytest
import queries
import yaml
from daemon import SOURCE_DIR, wait_for
from scrapes import RULES
from test_ceremony import _operators, unseal  # noqa: F401  pylint: disable=unused-import
from test_ceremony_kms import _kms, begin, make_quorum, rehearsed  # noqa: F401  pylint: disable=unused-import

SCRAPE = SOURCE_DIR / "deploy/prometheus/scrape.yaml"
BOARD = SOURCE_DIR / "deploy/grafana/containment-chamber.json"
UNIT_TESTS = sorted((SOURCE_DIR / "tests/prometheus").glob("*.yaml"))
KEY = interop.PUBKEYS[0]
needs_promtool = pytest.mark.skipif(not shutil.which("promtool") or not shutil.which("prometheus"), reason="left out: prometheus is not installed")


def promtool(*arguments, **options):
    return subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120, **options)


def rules():
    """Those of the file, in its order."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts():
    return [rule for rule in rules() if "alert" in rule]


def board_queries():
    panels = json.loads(BOARD.read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", [])]


# --- the files ----------------------------------------------------------------------------------------------------------------


@needs_promtool
def test_promtool_takes_the_rules_and_finds_nothing_wrong():
    done = promtool("check", "rules", RULES)
    assert done.returncode == 0 and "SUCCESS" in done.stdout, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda file: file.stem)
def test_each_alert_fires_when_it_should_and_no_other(file):
    done = promtool("test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_a_rule_that_is_wrong_is_found(tmp_path):
    """The control of the test before."""
    (tmp_path / "rules.yaml").write_text(RULES.read_text().replace("containment_healthy == 0", "containment_healthy == 1"))
    text = UNIT_TESTS[0].read_text().replace("../../deploy/prometheus/containment-chamber.rules.yaml", "rules.yaml")
    (tmp_path / "test.yaml").write_text(text)
    done = promtool("test", "rules", tmp_path / "test.yaml")
    assert done.returncode != 0 and "ContainmentUnhealthy" in done.stdout + done.stderr


def test_each_alert_is_tested_and_explained():
    cases = [case for file in UNIT_TESTS for case in yaml.safe_load(file.read_text())["tests"]]
    fired = {re.search(r'alertname="(\w+)"', sample["labels"])[1] for case in cases for sample in case["promql_expr_test"][0].get("exp_samples", [])}
    names = [rule["alert"] for rule in alerts()]
    assert fired == set(names) and len(names) == len(fired)
    headings = re.findall(r"^### (\w+)$", (SOURCE_DIR / "docs/alerts.md").read_text(), re.M)
    assert headings == names
    for rule in alerts():
        assert rule["annotations"]["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}", rule
        assert rule["annotations"]["summary"] and rule["labels"]["severity"] in ("page", "ticket"), rule


def faults_of(expr):
    """Each selector that finds nothing, whatever is scraped: a metric, a label or a label's value that there is not."""
    jobs = {job["job_name"] for job in yaml.safe_load(SCRAPE.read_text())["scrape_configs"]}
    known = {**queries.documented(), "up": set()}
    for name, matchers in queries.selectors(expr):
        if name not in known:
            yield name
            continue
        there = {"job": jobs, "le": queries.bounds().get(name, set()), **queries.values()}
        for label, operator, value in matchers:
            if label not in known[name] | queries.ADDED:
                yield f"{name}: {label}"
            elif label in there and "$" not in value and not queries.is_there(operator, value, there[label]):
                yield f"{name}: {label}={value}"


def test_queries_name_metrics_labels_and_values_that_there_are():
    all_of_them = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()] + board_queries()
    assert {title: found for title, expr in all_of_them if (found := list(faults_of(expr)))} == {}
    assert sum(len(matchers) for _, expr in all_of_them for _, matchers in queries.selectors(expr)) > 100
    for name, there in queries.values().items():
        assert there and all(re.fullmatch(r"[\w.]+", value) for value in there), (name, there)


@pytest.mark.parametrize("expr, fault", [
    ('up{job="containment"} == 0', "up: job=containment"),
    ("rate(containment_forward_fail_total[5m])", "containment_forward_fail_total"),
    ('containment_forward_failed_total{direction="in"}', "containment_forward_failed_total: direction"),
    ('containment_signer_state{state=~"sealed|closed"} == 1', "containment_signer_state: state=sealed|closed"),
    ('containment_signing_requests_total{status=~"200|6.."}', "containment_signing_requests_total: status=200|6.."),
    ('containment_postgres_errors_total{fault!="conflicts"}', "containment_postgres_errors_total: fault=conflicts"),
    ('containment_signing_last_seconds{operation="ATTESTATIONS"}', "containment_signing_last_seconds: operation=ATTESTATIONS"),
    ('containment_signing_duration_seconds_bucket{le="0.6"}', "containment_signing_duration_seconds: le=0.6"),
    ('containment_history_batch_claims_bucket{le="0.5"}', "containment_history_batch_claims: le=0.5"),
])
def test_a_query_that_finds_nothing_is_found(expr, fault):
    """The control of the test before."""
    assert list(faults_of(expr)) == [fault]


# --- a real Prometheus over a real signer ---------------------------------------------------------------------------------------


class Prometheus:
    """On loopback; it looks at each of some signers each second."""

    def __init__(self, folder, targets):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        config = yaml.safe_load(SCRAPE.read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(RULES)]
        [job] = config["scrape_configs"]
        job.update(scrape_interval="1s", static_configs=[{"targets": targets}])
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        with open(folder / "log.txt", "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb",
                 f"--web.listen-address=127.0.0.1:{self.port}", "--storage.tsdb.min-block-duration=2h"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def get(self, path, **query):
        """`data` of the answer; None while there is none."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with contextlib.suppress(ConnectionError, urllib.error.URLError), urllib.request.urlopen(url, timeout=20) as answer:
            return json.load(answer)["data"]
        return None

    def ask(self, expr):
        data = self.get("query", query=expr)
        return data["result"] if data else []

    def close(self):
        self.process.kill()
        self.process.wait()


def as_grafana_asks(expr):
    return expr.replace("$__rate_interval", "10s").replace("$job", "containment-chamber").replace("$instance", ".*")


@pytest.fixture(name="folder")
def _folder():
    path = pathlib.Path(tempfile.mkdtemp(prefix="cc-prometheus-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def rehearsed_chamber(make_daemon, kms, operators, workdir):
    """What the first signer has nothing to say of: operators, AWS with a key that denies, TLS, a network whose genesis time is known."""
    crt, key = certificates.Pair("signer").write(workdir, "server")
    tls = {"mode": "file", "listen_port": 0, "file": {"cert_path": str(crt), "key_path": str(key)}}
    arns = kms.create()
    daemon = begin(functools.partial(make_daemon, network="hoodi"), kms, tls=tls)
    make_quorum(daemon, arns, operators)
    wait_for("operators in their places", lambda: rehearsed(daemon) > 0)
    unseal(daemon, *operators[:2])
    kms.server.tell(f"fault denied {arns[0]} -1")
    assert [one.rehearse(daemon)[1].get("done") for one in operators[:2]] == [None, True]
    return daemon


@needs_promtool
def test_every_query_of_board_and_rules_has_an_answer(make_daemon, kms, operators, folder, workdir):
    daemon = make_daemon(keys=interop.SECRETS[:1], config={"key_sources": {"expected_keys": 1}})
    daemon.init()
    daemon.start()
    other = rehearsed_chamber(make_daemon, kms, operators, workdir)
    server = Prometheus(folder, [f"127.0.0.1:{one.metrics_port}" for one in (daemon, other)])
    try:
        wait_for("the first looks", lambda: server.ask('count(up{job="containment-chamber"} == 1) == 2'), 60)
        assert daemon.sign(KEY, messages.attestation(1, 2))[0] == 200
        assert daemon.sign(KEY, messages.attestation(1, 2, "other"))[0] == 412
        assert daemon.sign(KEY, messages.block(1))[0] == 200
        for one in (daemon, other):
            checked = promtool("check", "metrics", input=one.metrics())
            own = [line for line in (checked.stdout + checked.stderr).splitlines() if line.startswith("containment_")]
            assert own == [], own
        epochs = iter(range(3, 100000))

        def is_answered(expr):
            """While the signer works: a rate needs two looks."""
            epoch = next(epochs)
            daemon.sign(KEY, messages.attestation(epoch, epoch + 1))
            daemon.sign(KEY, messages.attestation(epoch, epoch + 1, "other"))
            return server.ask(as_grafana_asks(expr))

        for title, expr in board_queries():
            wait_for(f"{title}: {expr}", lambda expr=expr: is_answered(expr), 60)
        loaded = [rule for group in server.get("rules")["groups"] for rule in group["rules"]]
        assert len(loaded) == len(rules()) and all(rule["health"] == "ok" for rule in loaded), [r for r in loaded if r["health"] != "ok"]
        wait_for("the refusals", lambda: server.ask('ALERTS{alertname="ContainmentSlashingRefusals", alertstate="firing"}'), 60)
        assert {found["metric"]["alertname"] for found in server.ask('ALERTS{alertstate="firing"}')} == {"ContainmentSlashingRefusals"}
        for record in (rule["record"] for rule in rules() if "record" in rule):
            wait_for(record, lambda record=record: server.ask(record), 60)
    finally:
        server.close()
    assert daemon.stop() == 0
