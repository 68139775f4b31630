"""The alert rules over what real servers say: a page before some activity and one after it become promtool's input, as if that went on.

tests/prometheus has the same rules over series that somebody thought of; here names, labels and values are those that the programs write.
"""
import contextlib
import pathlib
import re
import sys
import tempfile
import time

import interop
import messages
import pytest
import queries
import scrapes
from daemon import wait_for
from enclave_proxy import Proxy, reach
from key_routes import call, start
from scrapes import Scrape, input_series, unit_test
from test_alerts import needs_promtool, promtool

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import postgres  # noqa: E402  pylint: disable=wrong-import-position

KEY = interop.PUBKEYS[0]
PACE = ("ContainmentObjectiveBurnsFast", "ContainmentObjectiveBurnsSlowly", "ContainmentSigningSlow", "ContainmentDatabaseSlow", "ContainmentAuditLag")

pytestmark = needs_promtool


def scrape(daemon):
    return Scrape(daemon.metrics(), time.time())


def once(daemon, **wanted):
    """The page as soon as its gauges say so: they are set once a second."""
    def page():
        try:
            found = scrape(daemon)
        except OSError:  # its rooms are being started anew
            return None
        is_so = found.value("containment_healthy") == wanted["healthy"] and found.value("containment_keys_active", 'source="filesystem"') == wanted["keys"]
        return found if is_so else None

    return wait_for(wanted, page, 30)


def slow(*pages):
    """The alerts about this machine's own pace, where it was late with anything: then they may fire or not."""
    def late(page, histogram, bound):
        return any(value != page.value(f"{histogram}_bucket", ",".join(filter(None, (labels, f'le="{bound}"'))))
                   for (name, labels), value in page.values.items() if name == f"{histogram}_count")

    is_late = any(late(page, "containment_signing_duration_seconds", "0.5") or late(page, "containment_postgres_round_trip_seconds", "0.1")
                  or page.value("containment_audit_lag_seconds") > 5 for page in pages)
    return PACE if is_late else ()


def check(path, *tests):
    done = promtool("test", "rules", scrapes.write(path / "tests.yaml", list(tests)))
    assert done.returncode == 0, done.stdout + done.stderr


def sign(daemon, *bodies):
    return [daemon.sign(KEY, body)[0] for body in bodies]


def test_a_server_that_works_one_that_refuses_and_one_that_was_sealed(make_daemon, tmp_path):
    daemon = start(make_daemon, keys=interop.SECRETS[:1])
    pages = [once(daemon, healthy=1, keys=1)]
    assert sign(daemon, messages.attestation(1, 2), messages.block(1), messages.randao(1)) == [200] * 3
    pages.append(scrape(daemon))
    assert sign(daemon, messages.attestation(2, 3), messages.attestation(2, 3, "other"), messages.block(1, "other")) == [200, 412, 412]
    pages.append(scrape(daemon))
    assert call(daemon, "POST", "/api/v1/chamber/seal", b"")[0] == 200
    pages.append(once(daemon, healthy=0, keys=0))
    works, refuses, shut = [input_series(*pair) for pair in zip(pages, pages[1:])]
    late = slow(*pages[:3])
    check(tmp_path,
          unit_test("it signs", works, set(), left_out=late),
          unit_test("it refuses", refuses, {"ContainmentSlashingRefusals"}, left_out=late),
          unit_test("it was sealed", shut, {"ContainmentSealed", "ContainmentUnhealthy", "ContainmentRoomRestarts"}, left_out=PACE))


@pytest.mark.skipif(postgres.bin_dir() is None, reason="left out: PostgreSQL is not installed")
def test_a_database_that_stops(make_daemon, tmp_path):
    with postgres.Postgres() as server:
        daemon = make_daemon(keys=interop.SECRETS[:1], config={"anti_slashing": {"backend": "postgres", "url": server.url()}})
        daemon.init()
        daemon.start()
        pages = [once(daemon, healthy=1, keys=1)]
        assert sign(daemon, messages.attestation(1, 2), messages.block(1)) == [200] * 2
        pages.append(scrape(daemon))
        server.kill()
        assert sign(daemon, messages.attestation(2, 3), messages.attestation(3, 4)) == [503] * 2
        pages.append(once(daemon, healthy=0, keys=1))
    works, stopped = [input_series(*pair) for pair in zip(pages, pages[1:])]
    away = {"ContainmentDatabaseErrors", "ContainmentHistoryErrors", "ContainmentUnhealthy", "ContainmentNoAttestation", "ContainmentObjectiveBurnsFast", "ContainmentObjectiveBurnsSlowly"}
    check(tmp_path,
          unit_test("it signs", works, set(), left_out=slow(*pages[:2])),
          unit_test("the database stops", stopped, away, left_out=set(PACE) - away))


def test_a_proxy_that_reaches_nobody(workdir, tmp_path):
    """Its page has the names that the documentation has, and promtool nothing to say of them."""
    with tempfile.TemporaryDirectory(prefix="cc-scraped-") as short:
        proxy = Proxy(workdir, "--egress", f"unix:{short}/in=unix:{short}/nobody")
        try:
            pages = [Scrape(proxy.page().partition("\r\n\r\n")[2], time.time())]
            with reach(f"{short}/in") as sock, contextlib.suppress(ConnectionResetError):
                assert sock.recv(1) == b""
            wait_for("the failure", lambda: proxy.metric("failed_total") == 1)
            pages.append(Scrape(proxy.page().partition("\r\n\r\n")[2], time.time()))
        finally:
            proxy.end()
    assert {name: set(re.findall(r'(\w+)="', labels)) for name, labels in pages[0].values} == queries.of_proxy()
    checked = promtool("check", "metrics", input=pages[0].page)
    assert checked.returncode == 0 and checked.stdout + checked.stderr == "", checked.stdout + checked.stderr
    job = 'job="containment-enclave-proxy",instance="parent"'
    check(tmp_path, unit_test("it is let alone", input_series(pages[0], pages[0], job), set()),
          unit_test("it fails", input_series(*pages, job), {"ContainmentForwardFails"}))


@pytest.mark.parametrize("expected", [{"ContainmentUnhealthy"}, {"ContainmentSealed", "ContainmentUnhealthy"}])
def test_what_should_have_fired_and_did_not_is_found(tmp_path, expected):
    """The control of the tests before: the page of a server that is well, of one that is not, and what is said of the second."""
    pages = [Scrape(f"# TYPE containment_healthy gauge\ncontainment_healthy {value}\n", time.time()) for value in (1, 0)]
    test = scrapes.write(tmp_path / "tests.yaml", [unit_test("unhealthy", input_series(*pages), expected)])
    assert (promtool("test", "rules", test).returncode == 0) == (expected == {"ContainmentUnhealthy"})
