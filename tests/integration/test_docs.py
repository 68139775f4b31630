"""The documentation: every link leads somewhere, every page is found, the site is built, every block of commands is run or says why not."""
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap

import interop
import keystores
import messages
import pytest
import yaml
from daemon import SOURCE_DIR, binary_with_switches, fresh_dir, release_binary, wait_for
from test_slashing_cli import interchange, validator

sys.path.insert(0, str(SOURCE_DIR / "tools"))

from docs_pages import anchors, links, spread  # noqa: E402  pylint: disable=wrong-import-position
from openapi_page import METHODS, openapi_page  # noqa: E402  pylint: disable=wrong-import-position

PAGES = sorted((SOURCE_DIR / "docs").glob("*.md"))
ALL = [*sorted(SOURCE_DIR.glob("*.md")), *PAGES, *sorted((SOURCE_DIR / "deploy").rglob("*.md"))]
SETTINGS = yaml.safe_load((SOURCE_DIR / "docs/mkdocs.yml").read_text())
BLOCK = re.compile(r"^( *)```sh\n(.*?)^ *```", flags=re.S | re.M)
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", flags=re.S | re.M)
COMMANDS = set(re.findall(r"^\*containment-chamber (\w+)", (SOURCE_DIR / "docs/man/containment-chamber.1.scd").read_text(), flags=re.M))
COMMAND = re.compile(rf"^\s*(?:sudo |runuser [^\n]*)?containment-chamber (?:{'|'.join(sorted(COMMANDS))})\b(?! v1)", flags=re.M)

# Which test runs a page's blocks.
RUN_BY = {
    "README.md": "test_examples.py",
    "docs/access.md": "test_examples.py",
    "docs/tls.md": "test_examples.py",
    "docs/migrate.md": "test_migrate.py",
    "docs/runbook-history.md": "test_runbook.py",
    "docs/runbook-ceremony.md": "test_runbook_ceremony.py",
    "docs/quick-start.md": "test_docs.py",
    "docs/doctor.md": "test_docs.py",
    "docs/audit.md": "test_docs.py",
    "docs/http-api.md": "test_docs.py",
    "docs/release.md": "test_supply_chain.py",
}


def name_of(page):
    return page.relative_to(SOURCE_DIR).as_posix()


# --- pages and links ------------------------------------------------------------------------------------------------------


def test_links_between_pages_lead_somewhere():
    dead = []
    for page in ALL:
        for target, anchor in links(page.read_text()):
            there = page.parent / target if target else page
            if not there.exists() or (anchor and anchor not in anchors(there.read_text())):
                dead.append(f"{name_of(page)}: {target}#{anchor}")
    assert not dead, dead


def test_a_dead_link_is_found():
    assert links("see [a](b.md#c), `[no](x.md)`, ![i](i.png) and [w](https://e.org/x#y)") == [("b.md", "c"), ("i.png", "")]
    assert anchors("# A `b.c`, d\n\n```\n# no\n```\n## A b.c d\n## [L](x) - é") == ["a-bc-d", "a-bc-d-1", "l---é"]


def entries(nav):
    for item in nav:
        for _, value in item.items():
            yield from entries(value) if isinstance(value, list) else [value]


def test_every_page_is_found():
    """In the site's navigation once, and in the list of docs/README.md."""
    named = list(entries(SETTINGS["nav"]))
    assert len(named) == len(set(named))
    assert set(named) == {page.name for page in PAGES if page.name != "README.md"} | {"index.md", "api.md"}
    index = (SOURCE_DIR / "docs/README.md").read_text()
    listed = {target for target, _ in links(index)}
    assert {page.name for page in PAGES if page.name != "README.md"} <= listed


def test_lists_are_spread_as_the_generator_reads_them():
    assert spread("a\n- b\n  c\n  1. d\n\n     ```sh\n     e\n     ```\nf") == (
        "a\n\n-   b\n    c\n    1.  d\n\n        ```sh\n        e\n        ```\nf")  # fmt: skip
    assert spread("x\n| a |\n|---|\ny") == "x\n\n| a |\n|---|\ny"


def test_the_api_page_has_every_route_status_and_schema():
    document = yaml.safe_load((SOURCE_DIR / "docs/openapi.yaml").read_text())
    page = openapi_page(document)
    sections = dict(re.findall(r"^### (.+?)\n(.*?)(?=^#{2,3} |\Z)", page, flags=re.S | re.M))
    for path, item in document["paths"].items():
        for method in METHODS:
            if method not in item:
                continue
            section = sections[f"{method.upper()} {path}"]
            for status in item[method]["responses"]:
                assert re.search(rf"^\| {status} \| \S", section, flags=re.M), (path, method, status)
            assert f"Scope: `{item[method]['x-scope']}`" in section
    for name, schema in document["components"]["schemas"].items():
        section = sections[f"Schema {name}"]
        assert all(f"| `{member}` |" in section for member in schema.get("properties", {})), name
    made = set(re.findall(r'<a id="([^"]+)">', page))
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= made


# --- the site -------------------------------------------------------------------------------------------------------------


def test_the_site_is_built_and_whole(workdir):
    if shutil.which("mkdocs") is None:
        pytest.skip("left out: no mkdocs (tools/install-deps docs)")
    site = workdir / "site"
    made = subprocess.run([SOURCE_DIR / "tools/docs-site", site], capture_output=True, text=True, timeout=200, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    assert not (made.stdout + made.stderr).strip(), made.stdout + made.stderr
    text = {page: page.read_text() for page in site.rglob("*.html")}
    ids = {page: set(re.findall(r'\bid="([^"]+)"', html)) for page, html in text.items()}
    dead = []
    for page, html in text.items():
        shown = re.sub(r"<!--.*?-->", "", html, flags=re.S)
        foreign = re.findall(r'<(?:script|img|iframe)[^>]+src="((?:https?:)?//[^"]+)"|<link[^>]+href="((?:https?:)?//[^"]+)"', shown)
        assert not foreign, f"{page.name}: {foreign}"
        for href in re.findall(r'<a [^>]*href="([^"]+)"', html):
            target, _, anchor = href.partition("#")
            if ":" in target or page.name == "404.html":
                continue
            there = (page.parent / target).resolve() if target else page
            if not there.exists() or (anchor and there in ids and anchor not in ids[there]):
                dead.append(f"{page.relative_to(site)}: {href}")
    assert not dead, dead[:20]
    found = json.loads((site / "search/search_index.json").read_text())["docs"]
    assert {"doctor.html", "api.html", "runbook-history.html"} <= {entry["location"].split("#")[0] for entry in found}
    assert "<pre" in text[site / "runbook-ceremony.html"] and "```" not in text[site / "runbook-ceremony.html"]


# --- blocks of commands -----------------------------------------------------------------------------------------------------


def marked(page):
    """[(marker, block)] of a page; what is not marked has None."""
    found, text = [], page.read_text()
    for match in BLOCK.finditer(text):
        marker = re.search(r"<!-- ((?:not )?runnable: [^\n]*?) -->\n$", text[: match.start()])
        found.append((marker and marker[1], textwrap.dedent(match[2])))
    return found


def blocks(name):
    """A page's blocks that are marked runnable, by name."""
    return {marker.removeprefix("runnable: "): block for marker, block in marked(SOURCE_DIR / name) if marker.startswith("runnable: ")}


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_every_block_is_run_or_says_why_not(page):
    for marker, block in marked(page):
        assert marker, f"{name_of(page)}: neither runnable: NAME nor not runnable: REASON:\n{block}"
        if marker.startswith("not runnable: "):
            assert len(marker) > len("not runnable: ") + 10, marker
            for test in re.findall(r"test_\w+\.py", marker):
                assert (SOURCE_DIR / "tests/integration" / test).exists(), marker
            continue
        by = (SOURCE_DIR / "tests/integration" / RUN_BY[name_of(page)]).read_text()
        assert f"{marker.removeprefix('runnable: ')}" in by and name_of(page).removeprefix("docs/") in by, marker


def test_no_command_stands_in_a_block_of_no_language():
    """Nobody would ask of such a block whether it is run."""
    assert {"init", "server", "slashing", "operator"} <= COMMANDS
    assert COMMAND.search("containment-chamber init -c FILE") and COMMAND.search("  sudo containment-chamber doctor") and not COMMAND.search("containment-chamber identity v1")
    missed = [f"{name_of(page)}: {match[2]}" for page in ALL for match in FENCE.finditer(page.read_text()) if match[1] != "sh" and COMMAND.search(match[2])]
    assert not missed, missed


def test_the_quick_start_and_what_follows_run_as_written():
    """One reader, one directory, one signer: quick-start.md in its order, then the other pages' blocks about that signer."""
    path = fresh_dir("test_docs")
    (path / "bin").mkdir()
    (path / "bin/containment-chamber").symlink_to(release_binary() or binary_with_switches())
    (path / "validator_keys").mkdir()
    keystore = keystores.make(bytes.fromhex(interop.SECRETS[0][2:]), interop.PUBKEYS[0][2:], "a password")
    for name, text in (("key.json", json.dumps(keystore)), ("key.txt", "a password\n")):
        (path / "validator_keys" / name).write_text(text)
        (path / "validator_keys" / name).chmod(0o600)
    (path / "interchange.json").write_text(json.dumps(interchange(validator(interop.PUBKEYS[0], [7], [(1, 2)]))))
    environment = {
        "PATH": f"{path / 'bin'}:{os.environ['PATH']}",
        "CONTAINMENT_SERVER__LISTEN_PORT": "0",
        "CONTAINMENT_METRICS__LISTEN_PORT": "0",
        "CONTAINMENT_NETWORK": "minimal",
        "CONTAINMENT_GENESIS_VALIDATORS_ROOT": messages.MINIMAL_GENESIS_ROOT,
    }

    def run(page, name):
        result = subprocess.run(["bash", "-euc", blocks(page)[name]], cwd=path, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert result.returncode == 0, f"{page}: {name}: {result.returncode}\n{result.stdout}{result.stderr}"
        return result.stdout

    quick = "docs/quick-start.md"
    assert list(blocks(quick)) == ["configure", "doctor", "init", "ask"]
    run(quick, "configure")
    assert "fail " not in run(quick, "doctor")
    assert "1 validators: 1 blocks and 1 attestations added" in run(quick, "init")
    (words,) = [block for _, block in marked(SOURCE_DIR / quick) if "containment-chamber server" in block]
    server = subprocess.Popen(["bash", "-c", "exec " + words.strip()], cwd=path, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_for("the ports file", lambda: server.poll() is None and (path / "data/ports").exists())
        port = re.search(r"http-port=(\d+)", (path / "data/ports").read_text())[1]
        environment["SIGNER_URL"] = f"http://127.0.0.1:{port}"
        ready = ["curl", "-sf", environment["SIGNER_URL"] + "/readyz"]
        wait_for("the key", lambda: subprocess.run(ready, stdout=subprocess.DEVNULL, check=False).returncode == 0)
        assert interop.PUBKEYS[0] in run(quick, "ask")
        run("docs/http-api.md", "batch")
        assert "a signer runs with this data directory" in run("docs/doctor.md", "look")
    finally:
        server.terminate()
        assert server.wait(60) == 0
    assert "audit log intact" in run("docs/audit.md", "verify")
