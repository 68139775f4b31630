"""The status page in a real browser: what axe-core finds, what a keyboard reaches, what it does without being touched.

Wants Debian's chromium and chromium-driver, and axe-core (npm) below the build: `make screenshots` brings them and writes the
pictures of docs/status-page.md, which CC_SCREENSHOTS names the folder of. Elsewhere it is left out, and says so.
"""
import base64
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.request

import pytest

import interop
import messages
import parallel
from daemon import build_dir, wait_for
from key_routes import CHAMBER, call, import_keys, start
from seal_client import state
from test_ceremony import _operators, begin, make_operators_chamber, unseal  # noqa: F401  pylint: disable=unused-import

AXE = build_dir() / "browser/node_modules/axe-core/axe.min.js"
DRIVER, BROWSER = shutil.which("chromedriver"), shutil.which("chromium")
MISSING = [name for name, there in (("chromium", BROWSER), ("chromedriver", DRIVER), ("axe-core", AXE.exists())) if not there]
TAB, ENTER = "\ue004", "\ue007"
TALL = 1300

pytestmark = pytest.mark.skipif(bool(MISSING), reason="left out: no " + ", ".join(MISSING))


class Browser:
    """One window, driven by the WebDriver protocol."""

    def __init__(self, folder):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.base = f"http://127.0.0.1:{free.getsockname()[1]}"
        self.driver = subprocess.Popen(  # pylint: disable=consider-using-with
            [DRIVER, f"--port={self.base.rsplit(':', 1)[1]}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.session = ""
        try:
            wait_for("chromedriver", self._is_up, 30)
            arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={folder}"]
            options = {"binary": BROWSER, "args": arguments}
            made = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
                "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
            self.session = f"/session/{made['sessionId']}"
        except BaseException:
            self.end()
            raise

    def _is_up(self):
        try:
            return self.call("GET", "/status")["ready"]
        except OSError:
            return False

    def call(self, method, path, body=None):
        data = json.dumps(body if body is not None else {}).encode() if method == "POST" else None
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def ask(self, path, body=None):
        return self.call("GET" if body is None else "POST", self.session + path, body)

    def open(self, url):
        self.ask("/url", {"url": url})

    def run(self, script, *arguments):
        return self.ask("/execute/sync", {"script": script, "args": list(arguments)})

    def run_async(self, script):
        return self.ask("/execute/async", {"script": script, "args": []})

    def press(self, key):
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.ask("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def colours(self, scheme):
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.ask("/goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": media})

    def width(self, pixels, height=1200):
        metrics = {"width": pixels, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.ask("/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})

    def picture(self, name, height=TALL, heading=None):
        """Of the page's beginning; or from that heading on, with the first row of its table."""
        self.width(1000, min(height, self.run("return document.documentElement.scrollHeight")))
        if heading:
            top, bottom, end = self.run(
                "const h = [...document.querySelectorAll('h2')].find(h => h.textContent === arguments[0]); h.scrollIntoView();"
                "const row = h.nextElementSibling.querySelector('tbody tr');"
                "return [h.getBoundingClientRect().top, row.getBoundingClientRect().bottom, innerHeight]", heading)
            assert -1 < top < bottom < end, f"{heading} is cut off"
        folder = os.environ.get("CC_SCREENSHOTS")
        if folder:
            pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
            (pathlib.Path(folder) / f"{name}.png").write_bytes(base64.b64decode(self.ask("/screenshot")))
        self.width(1000)

    def end(self):
        if self.session:
            self.call("DELETE", self.session)
        self.driver.terminate()
        self.driver.wait(20)


@pytest.fixture(name="browser")
def a_browser(workdir):
    one = Browser(workdir / "profile")
    yield one
    one.end()


def faults(browser):
    """What axe-core finds, in the light and in the dark."""
    found = []
    for scheme in ("light", "dark"):
        browser.colours(scheme)
        browser.run(AXE.read_text())
        result = browser.run_async("const done=arguments[0];axe.run().then(r=>done(r.violations.map(v=>v.id+': '+v.nodes.map(n=>n.html))))")
        found += [f"{scheme}: {one}" for one in result]
    browser.colours("light")
    return found


def look(browser, url, name, scheme="light", height=TALL):
    browser.open(url)
    assert faults(browser) == []
    browser.width(360)
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth"), "it is wider than a telephone"
    browser.width(1000)
    browser.colours(scheme)
    browser.picture(name, height)
    browser.colours("light")


def reached_by_tab(browser):
    """What the Tab key goes through, from the top until it comes round."""
    reached = []
    browser.run("document.activeElement.blur(); window.scrollTo(0, 0)")
    while len(reached) < 40:
        browser.press(TAB)
        name = browser.run("const e=document.activeElement;return e===document.body?'':"
                           "e.id||e.getAttribute('aria-label')||e.textContent")
        if not name or name in reached:
            return reached
        reached.append(name)
    raise AssertionError(reached)


def sign_for_a_while(daemon, first):
    """An attestation of each key in each of some epochs, and a few that are refused."""
    def work(connection, key):
        for epoch in range(first, first + 60):
            path = f"/api/v1/eth2/sign/{key}"
            assert connection.request("POST", path, messages.attestation(epoch, epoch + 1))[0] == 200
    parallel.each(daemon, interop.PUBKEYS[:4], work, threads=4)
    for key in interop.PUBKEYS[:4]:
        assert daemon.sign(key, messages.attestation(first, first + 1, "other"))[0] == 412


def work_for_a_picture(daemon, first):
    """A few points of the charts, of which there is one each ten seconds, and not all of them the same."""
    until = time.monotonic() + 75
    while time.monotonic() < until:
        sign_for_a_while(daemon, first)
        time.sleep(first % 700 / 1000)
        first += 100


def refuse_of_each_kind(daemon):
    """After what was signed: a vote around another one, a second block, a key that is not here."""
    assert daemon.sign(interop.PUBKEYS[0], messages.attestation(0, 200000))[0] == 412
    assert [daemon.sign(interop.PUBKEYS[1], messages.block(7, graffiti))[0] for graffiti in ("one", "other")] == [200, 412]
    assert daemon.sign(interop.PUBKEYS[5], messages.block(7))[0] == 404
    return "SURROUNDING", "DOUBLE_BLOCK"


def is_sealed(daemon):
    try:
        return b">Sealed<" in urllib.request.urlopen(f"http://127.0.0.1:{daemon.metrics_port}/status", timeout=10).read()
    except OSError:  # its rooms are being started anew
        return False


def test_the_page_in_a_browser(make_daemon, browser):
    daemon = start(make_daemon, keys=interop.SECRETS[:4])
    url = f"http://127.0.0.1:{daemon.metrics_port}/status"
    browser.width(1000)
    look(browser, url, "status-idle")
    # It follows by itself, and stops when it is told to.
    sign_for_a_while(daemon, 1)
    wait_for("refusals without a reload", lambda: "DOUBLE_VOTE" in browser.run("return document.body.innerText"), 20)
    sign_for_a_while(daemon, 100)
    if os.environ.get("CC_SCREENSHOTS"):
        work_for_a_picture(daemon, 200)
    wait_for("the charts", lambda: browser.run("return document.querySelectorAll('polyline').length") == 5, 30)
    reached = reached_by_tab(browser)
    assert reached[0] == "live" and "Recent refusals" in reached
    assert [one for one in reached if one.startswith("Numbers: ")] == ["Numbers: Requests", "Numbers: Latency", "Numbers: Batch size"]
    browser.run("document.querySelector('summary').focus()")
    browser.press(ENTER)
    assert browser.run("return document.querySelector('details').open")
    browser.run("document.getElementById('live').focus()")
    browser.press(ENTER)
    assert browser.run("return document.getElementById('live').textContent") == "Resume updates"
    look(browser, url, "status-load")
    rules = refuse_of_each_kind(daemon)
    wait_for(rules, lambda: all(rule in browser.run("return document.body.innerText") for rule in rules), 20)
    browser.picture("status-refusals", 640, "Recent refusals")
    assert call(daemon, "POST", "/api/v1/chamber/seal", b"")[0] == 200
    wait_for("the seal", lambda: is_sealed(daemon), 30)
    look(browser, url, "status-sealed", "dark")  # by the emergency seal
    # Nothing was fetched from elsewhere or kept from running.
    assert [line["message"] for line in browser.ask("/se/log", {"type": "browser"})] == []
    names = browser.run("return performance.getEntriesByType('resource').map(e=>e.name)")
    assert [name for name in names if not name.startswith(url)] == []


def test_a_closed_chamber_in_a_browser(make_daemon, browser, operators):
    """As after each start: operators have to bring their shares."""
    daemon = begin(make_daemon)
    make_operators_chamber(daemon, operators)
    unseal(daemon, *operators[:2])
    assert import_keys(daemon, 1, path=CHAMBER) == ["imported"]
    assert daemon.stop() == 0
    daemon.start(ready=False)
    wait_for("its closed state", lambda: state(daemon) == "sealed")
    url = f"http://127.0.0.1:{daemon.metrics_port}/status"
    browser.width(1000)
    browser.open(url)
    text = "The master key is closed: keys in stores sign after operator unseal."
    wait_for(text, lambda: text in browser.run("return document.body.innerText"), 20)
    look(browser, url, "status-closed", height=640)
