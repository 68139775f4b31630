"""What a release comes with: the list of its parts (SPDX), its signature, and the page for auditors, held to the tree."""
import hashlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys

import pytest

from daemon import SOURCE_DIR, binary_with_switches, fresh_dir, release_binary
from test_docs import blocks

PROGRAM = release_binary() or binary_with_switches()
SBOM = SOURCE_DIR / "tools/sbom"
sys.path.insert(0, str(SOURCE_DIR / "tools"))
TOOL = runpy.run_path(str(SBOM), run_name="sbom")


def made(folder, name, program=PROGRAM, **environment):
    """The document's bytes."""
    result = subprocess.run([SBOM, program, "--output", folder / name], capture_output=True, text=True, check=False,
                            env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000", **environment})
    assert result.returncode == 0, result.stderr
    return (folder / name).read_bytes()


@pytest.fixture(name="text", scope="module")
def text_fixture():
    return made(fresh_dir("supply"), "first.json")


@pytest.fixture(name="document", scope="module")
def document_fixture(text):
    return json.loads(text)


# --- SPDX ------------------------------------------------------------------------------------------------------------------------

ID = re.compile(r"SPDXRef-[A-Za-z0-9.-]+")
NEEDED = {
    "document": {"spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace", "creationInfo"},
    "package": {"SPDXID", "name", "downloadLocation"},
    "file": {"SPDXID", "fileName", "checksums"},
    "relationship": {"spdxElementId", "relationshipType", "relatedSpdxElement"},
}
# Of what may stand there, what this tool writes.
MAY = {
    "document": {"packages", "files", "relationships"},
    "package": {"versionInfo", "filesAnalyzed", "licenseConcluded", "licenseDeclared", "licenseComments", "copyrightText", "externalRefs", "homepage", "supplier",
                "sourceInfo", "comment", "checksums", "packageVerificationCode", "primaryPackagePurpose"},
    "file": {"fileTypes", "licenseConcluded", "licenseInfoInFiles", "copyrightText"},
    "relationship": set(),
}
KINDS = {"DESCRIBES", "CONTAINS", "STATIC_LINK", "DYNAMIC_LINK", "DEPENDS_ON"}
DIGITS = {"SHA1": 40, "SHA256": 64, "SHA512": 128}


def faults_of(document):
    """What SPDX 2.3 and its JSON form forbid of what this tool writes."""
    found = []
    elements = [*document["packages"], *document["files"]]
    for kind, items in (("document", [document]), ("package", document["packages"]), ("file", document["files"]), ("relationship", document["relationships"])):
        found += [f"{kind}: no {name}" for item in items for name in NEEDED[kind] - set(item)]
        found += [f"{kind}: {name} is not known" for item in items for name in set(item) - NEEDED[kind] - MAY[kind]]
    ids = [item.get("SPDXID", "") for item in [document, *elements]]
    found += [f"not an id: {name}" for name in ids if not ID.fullmatch(name)]
    found += [f"twice: {name}" for name in set(ids) if ids.count(name) > 1]
    for item in document["relationships"]:
        found += [f"leads nowhere: {end}" for end in (item.get("spdxElementId"), item.get("relatedSpdxElement")) if end not in ids]
    found += [f"not a kind: {item['relationshipType']}" for item in document["relationships"] if item["relationshipType"] not in KINDS]
    files = {item["SPDXID"]: item for item in document["files"]}
    for package in document["packages"]:
        inside = [files[edge["relatedSpdxElement"]] for edge in document["relationships"]
                  if edge["relationshipType"] == "CONTAINS" and edge["spdxElementId"] == package.get("SPDXID") and edge["relatedSpdxElement"] in files]
        if not package["filesAnalyzed"] and (inside or "packageVerificationCode" in package):
            found.append(f"{package['SPDXID']}: files of what was not analysed")
        sums = sorted(entry["checksumValue"] for file in inside for entry in file["checksums"] if entry["algorithm"] == "SHA1")
        if package["filesAnalyzed"] and package["packageVerificationCode"] != {"packageVerificationCodeValue": hashlib.sha1("".join(sums).encode()).hexdigest()}:
            found.append(f"{package['SPDXID']}: not the code of its files")
    if not any(item.get("relationshipType") == "DESCRIBES" and item.get("spdxElementId") == "SPDXRef-DOCUMENT" for item in document["relationships"]):
        found.append("describes nothing")
    for item in elements:
        found += [f"{item['SPDXID']}: {entry['algorithm']}" for entry in item.get("checksums", [])
                  if not re.fullmatch(f"[0-9a-f]{{{DIGITS[entry['algorithm']]}}}", entry["checksumValue"])]
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["creationInfo"]["created"]):
        found.append("no time")
    if not all(re.match(r"(Person|Organization|Tool): \S", who) for who in document["creationInfo"]["creators"]):
        found.append("nobody made it")
    if "#" in document["documentNamespace"] or ":" not in document["documentNamespace"]:
        found.append("no namespace")
    return found


def test_the_document_is_as_spdx_asks(document):
    assert (document["spdxVersion"], document["dataLicense"], document["SPDXID"]) == ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT")
    assert not faults_of(document)
    assert document["creationInfo"]["created"] == "2023-11-14T22:13:20Z"


@pytest.mark.parametrize(
    "spoil, wanted",
    [
        (lambda d: d.pop("dataLicense"), "document: no dataLicense"),
        (lambda d: d["packages"][3].pop("downloadLocation"), "package: no downloadLocation"),
        (lambda d: d["packages"].append(d["packages"][1]), "twice: SPDXRef-Package-blst"),
        (lambda d: d["packages"].pop(1), "leads nowhere: SPDXRef-Package-blst"),
        (lambda d: d["relationships"].pop(0), "describes nothing"),
        (lambda d: d["files"][0]["checksums"][0].update(checksumValue="12"), "SPDXRef-File-containment-chamber: SHA1"),
        (lambda d: d["files"][0]["checksums"][0].update(checksumValue="12" * 20), "SPDXRef-Package-containment-chamber: not the code of its files"),
        (lambda d: d["packages"][0].update(filesAnalyzed=False), "SPDXRef-Package-containment-chamber: files of what was not analysed"),
        (lambda d: d["relationships"][0].update(relationshipType="MAKES"), "not a kind: MAKES"),
        (lambda d: d["packages"][0].update(colour="red"), "package: colour is not known"),
    ],
)
def test_a_document_that_is_not_is_found(text, spoil, wanted):
    document = json.loads(text)
    spoil(document)
    assert wanted in faults_of(document)


def test_it_names_every_library_that_the_loader_takes(document):
    """As the loader says (ldd), which the tool doesn't ask; by dpkg, in the version that is installed."""
    libraries = re.findall(r"(?:=> )?(/\S+) \(0x", subprocess.run(["ldd", PROGRAM], capture_output=True, text=True, check=True).stdout)
    assert len(libraries) > 15
    packages = {package["name"]: package["versionInfo"] for package in document["packages"]}
    names = {name: path for path in libraries for known in (path, os.path.realpath(path)) for name in (known, "/usr" + known, known.removeprefix("/usr"))}
    said = subprocess.run(["dpkg", "-S", *names], capture_output=True, text=True, check=False).stdout
    owners = {names[path]: owner for owner, path in re.findall(r"^([^\s:]+)\S*: (\S+)$", said, flags=re.M)}
    assert set(owners) == set(libraries)
    form = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *set(owners.values())]
    installed = dict(line.split() for line in subprocess.run(form, capture_output=True, text=True, check=True).stdout.splitlines())
    assert {owner: packages.get(owner) for owner in owners.values()} == installed


def test_it_names_what_is_compiled_in(document):
    edges = {(edge["spdxElementId"], edge["relationshipType"], edge["relatedSpdxElement"]) for edge in document["relationships"]}
    program = "SPDXRef-File-containment-chamber"
    assert {(program, "STATIC_LINK", "SPDXRef-Package-blst"), (program, "STATIC_LINK", "SPDXRef-Package-libjsmn-dev"),
            (program, "DYNAMIC_LINK", "SPDXRef-Package-libsqlite3-0"), (program, "DEPENDS_ON", "SPDXRef-Package-libgmp10")} <= edges
    assert (program, "DYNAMIC_LINK", "SPDXRef-Package-libgmp10") not in edges, "which nettle names, not the program"
    carrier = next(package for package in document["packages"] if package["name"] == "c-kzg")
    pin = json.loads((SOURCE_DIR / "third_party/blst/package-lock.json").read_text())["packages"]["node_modules/c-kzg"]
    assert carrier["versionInfo"] == pin["version"]
    digest = subprocess.run(["base64", "-d"], input=pin["integrity"].removeprefix("sha512-").encode(), capture_output=True, check=True).stdout
    assert carrier["checksums"] == [{"algorithm": "SHA512", "checksumValue": digest.hex()}]
    assert {entry["algorithm"]: entry["checksumValue"] for entry in document["files"][0]["checksums"]} == {
        kind.upper(): subprocess.run([f"{kind}sum", PROGRAM], capture_output=True, text=True, check=True).stdout.split()[0] for kind in ("sha1", "sha256")
    }


def test_the_same_program_gives_the_same_bytes(text):
    assert made(fresh_dir("supply-again"), "second.json", TZ="Asia/Kathmandu", LC_ALL="C.UTF-8") == text


def test_what_is_no_program_is_refused(workdir):
    (workdir / "text").write_text("no program")
    result = subprocess.run([SBOM, workdir / "text"], capture_output=True, text=True, check=False)
    assert result.returncode == 1 and result.stdout == "" and "is no ELF file" in result.stderr


MACHINE = "Format: https://manuals.example/copyright-format/1.0/\n\nFiles: src/*\nLicense: GPL-3\n\nFiles: *\nCopyright: a\nLicense: "


@pytest.mark.parametrize(
    "text, wanted",
    [
        (MACHINE + "Expat\n", "MIT"),
        (MACHINE + "BSD-3-clause or GPL-2+\n text\n", "BSD-3-Clause OR GPL-2.0-or-later"),
        (MACHINE + "Expat and ISC or GPL-2\n", "NOASSERTION"),
        (MACHINE + "something-else\n", "NOASSERTION"),
        (MACHINE.replace("Files: *", "Files: x") + "Expat\n", "NOASSERTION"),
        ("This package was made by hand.\n\nFiles: *\nLicense: Expat\n", "NOASSERTION"),
        ("", "NOASSERTION"),
    ],
)
def test_a_licence_is_said_where_it_can_be_read_off(text, wanted):
    assert TOOL["license_of"](text) == wanted


# --- the recipe of docs/release.md -------------------------------------------------------------------------------------------------

PAGE = "docs/release.md"
GOOD = 'Good "containment-chamber-release" signature for release@containment-chamber'


def new_key(path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "throwaway", "-f", path], check=True)


class Release:
    """A folder in which the page's blocks are run, with a repository of one commit and a key that is thrown away."""

    def __init__(self, path):
        self.path = path
        self.environment = {**os.environ, "RELEASE_KEY": str(path / "key"), "VERSION": "0.1.0", "HOME": str(path), "GIT_CONFIG_NOSYSTEM": "1", "SOURCE_DATE_EPOCH": "1700000000",
                            **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "a"), ("EMAIL", "a@example.org"))}}
        (path / "release").mkdir(parents=True)
        (path / "tools").symlink_to(SOURCE_DIR / "tools")
        new_key(path / "key")
        for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "one"]):
            subprocess.run(["git", *command], cwd=path, env=self.environment, check=True)
        shutil.copy(PROGRAM, path / "release/containment-chamber")

    def run(self, name, good=True):
        result = subprocess.run(["bash", "-euc", blocks(PAGE)[name]], cwd=self.path, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        assert (result.returncode == 0) == good, f"{name}: {result.returncode}\n{result.stdout}{result.stderr}"
        return result.stdout + result.stderr


@pytest.fixture(name="release", scope="module")
def release_fixture():
    release = Release(fresh_dir("supply-release"))
    assert list(blocks(PAGE)) == ["signers", "tag", "sbom", "sign", "verify", "verify-tag"]
    for name in ("signers", "tag", "sbom", "sign"):
        release.run(name)
    return release


def test_the_recipe_makes_a_release_that_is_verified_as_written(release):
    said = release.run("verify")
    assert GOOD in said and "containment-chamber: OK" in said and "containment-chamber.spdx.json: OK" in said
    assert "Good \"git\" signature for release@containment-chamber" in release.run("verify-tag")


def changed(path, old, new):
    """Writes the file with that replaced; gives back what it was."""
    before = path.read_bytes()
    assert old in before
    path.write_bytes(before.replace(old, new, 1))
    return before


@pytest.mark.parametrize(
    "name, old, new, wanted",
    [
        ("release/containment-chamber.spdx.json", b"SPDX-2.3", b"SPDX-2.4", "containment-chamber.spdx.json: FAILED"),
        ("release/SHA256SUMS", b"containment-chamber", b"containment-chambeR", "incorrect signature"),
        ("allowed_signers", b" namespaces=\"git,containment-chamber-release\"", b" namespaces=\"git\"", "Could not verify signature"),
        ("allowed_signers", b" namespaces=", b" valid-before=\"20200101\",namespaces=", "Could not verify signature"),
    ],
)
def test_what_was_changed_or_is_not_for_this_is_refused(release, name, old, new, wanted):
    before = changed(release.path / name, old, new)
    try:
        assert wanted in release.run("verify", good=False)
    finally:
        (release.path / name).write_bytes(before)
    assert GOOD in release.run("verify")


def test_the_signature_of_another_key_is_refused(release):
    """One who can put files there, and not his key among the signers."""
    ours = (release.path / "release/SHA256SUMS.sig").read_bytes()
    new_key(release.path / "theirs")
    (release.path / "release/SHA256SUMS.sig").unlink()
    release.environment["RELEASE_KEY"] = str(release.path / "theirs")
    try:
        release.run("sign")
        assert "Could not verify signature" in release.run("verify", good=False)
        release.environment["VERSION"] = "0.1.1"
        release.run("tag")
        said = release.run("verify-tag", good=False)
        assert "No principal matched" in said and "for release@containment-chamber" not in said
    finally:
        release.environment |= {"RELEASE_KEY": str(release.path / "key"), "VERSION": "0.1.0"}
        (release.path / "release/SHA256SUMS.sig").write_bytes(ours)
    assert GOOD in release.run("verify")
