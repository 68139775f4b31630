"""The Helm chart, rendered by Go's text/template and sprig, which Helm's engine is made of (tests/support/helm): what comes out is
restricted, consistent, and has a configuration that the program takes. Helm itself is not in Debian 12, and was not run."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import jsonschema
import pytest
import yaml

from daemon import SOURCE_DIR, binary_with_switches, fresh_dir

CHART = SOURCE_DIR / "deploy/helm/containment-chamber"
GO = pathlib.Path("/usr/share/gocode")
SHARED = {"signer_state": {"backend": "postgres", "url": "postgresql://s@db/s?sslmode=verify-full"},
          "anti_slashing": {"backend": "postgres", "url": "postgresql://s@db/s?sslmode=verify-full"}, "network": "hoodi"}


def schema_says(values):
    """None, or what values.schema.json, which Helm holds all values to, finds wrong."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    own = yaml.safe_load((CHART / "values.yaml").read_text())
    errors = [error.message for error in jsonschema.Draft7Validator(schema).iter_errors({**own, **values})]
    return errors[0] if errors else None


def test_the_schema_takes_the_charts_own_values_and_refuses_others():
    assert schema_says({}) is None
    for values in ({"replica": 2}, {"replicas": "2"}, {"initIfMissing": "yes"}, {"config": {}}, {"image": {"repository": ""}},
                   {"image": {"repository": "x", "digest": "sha256:12"}}, {"terminationGracePeriodSeconds": 30}):
        assert schema_says(values), values
    schema, own = json.loads((CHART / "values.schema.json").read_text()), yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(schema["properties"]) == {*own, "global"}


def test_the_charts_version_is_the_programs():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    said = subprocess.run([binary_with_switches(), "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    assert chart["appVersion"] == said


@pytest.fixture(name="renderer", scope="module")
def renderer_fixture():
    if shutil.which("go") is None or not (GO / "src/github.com/Masterminds/sprig").exists():
        pytest.skip("left out: no Go with sprig (tools/install-deps package)")
    folder = fresh_dir("helm")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GO111MODULE": "off", "GOPATH": str(GO), "GOFLAGS": "",
                   "GOCACHE": str(folder / "cache")}
    built = subprocess.run(["go", "build", "-o", folder / "render", SOURCE_DIR / "tests/support/helm/render.go"], capture_output=True,
                           text=True, check=False, env=environment)
    assert built.returncode == 0, built.stderr
    return folder / "render"


@pytest.fixture(name="render")
def render_fixture(renderer, workdir):
    """render(**values): {(kind, name): object}; with wrong=True what is said of values that are refused."""

    def run(wrong=False, **values):
        assert schema_says(values) is None
        (workdir / "values.yaml").write_text(json.dumps(values))
        result = subprocess.run([renderer, CHART, workdir / "values.yaml", "demo", "signers"], capture_output=True, text=True, check=False)
        if wrong:
            assert result.returncode == 1, result.stdout
            return result.stderr
        assert result.returncode == 0, result.stderr
        assert "<no value>" not in result.stdout
        text = re.sub(r"^---\n# Source: NOTES.txt\n.*?(?=^---$)", "", result.stdout, flags=re.M | re.S)
        return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(text) if one}

    return run


def pod_of(objects):
    return objects["StatefulSet", "demo"]["spec"]["template"]["spec"]


def test_a_pod_is_restricted(render):
    """The restricted profile of the Pod Security Standards, and a root file system that can't be written."""
    pod = pod_of(render())
    assert pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod)
    (container,) = pod["containers"]
    security = container["securityContext"]
    assert security["allowPrivilegeEscalation"] is False and security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]} and "privileged" not in security
    assert all(set(volume) <= {"name", "configMap", "secret"} for volume in pod["volumes"])
    mounted = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert [path for path, mount in mounted.items() if not mount.get("readOnly")] == ["/var/lib/containment-chamber"] == [container["workingDir"]]
    assert "--init-if-missing" not in container["args"]


def test_probes_services_and_policies_meet(render):
    objects = render(serviceMonitor={"enabled": True}, keysSecret="keys", secrets=["tls"])
    template = objects["StatefulSet", "demo"]["spec"]["template"]
    labels, (container,) = template["metadata"]["labels"], template["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    assert container["livenessProbe"]["httpGet"] == container["startupProbe"]["httpGet"] == {"path": "/upcheck", "port": "http"}
    for kind, name, path in (("StatefulSet", "demo", "selector"), ("PodDisruptionBudget", "demo", "selector"),
                             ("NetworkPolicy", "demo", "podSelector")):
        assert objects[kind, name]["spec"][path]["matchLabels"].items() <= labels.items(), kind
    for name in ("demo", "demo-replicas"):
        service = objects["Service", name]["spec"]
        assert service["selector"].items() <= labels.items()
        assert all(port["targetPort"] in ports for port in service["ports"])
    assert [port["name"] for port in objects["Service", "demo"]["spec"]["ports"]] == ["http"], "clients don't reach the metrics"
    monitored = objects["ServiceMonitor", "demo"]["spec"]["selector"]["matchLabels"].items()
    assert [name for (kind, name), one in objects.items() if kind == "Service" and monitored <= one["metadata"]["labels"].items()] == [
        "demo-replicas"]
    assert objects["StatefulSet", "demo"]["spec"]["serviceName"] == "demo-replicas"
    volumes = {volume["name"] for volume in template["spec"]["volumes"]} | {"data"}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    rules = objects["NetworkPolicy", "demo"]["spec"]["ingress"]
    assert all(rule["from"] and rule["ports"][0]["port"] in ports for rule in rules)


def test_the_program_takes_the_configuration(render, workdir):
    for values in ({}, {"keysSecret": "keys"}, {"replicas": 3, "config": SHARED}):
        text = render(**values)["ConfigMap", "demo"]["data"]["config.yaml"]
        (workdir / "config.yaml").write_text(text)
        result = subprocess.run([binary_with_switches(), "config", "dump", "-c", workdir / "config.yaml"], capture_output=True, text=True,
                                check=False)
        assert result.returncode == 0, result.stderr
        said = yaml.safe_load(result.stdout)
        assert "demo.signers.svc" in said["server"]["host_allowlist"] and "localhost" in said["server"]["host_allowlist"]
        assert said["data_dir"] == "/var/lib/containment-chamber/data"
        assert said["key_sources"]["filesystem"]["paths"] == (["/etc/containment-chamber/keystores"] if "keysSecret" in values else [])


def test_replicas_with_a_history_each_are_refused(render):
    for config in ({"network": "hoodi"}, {**SHARED, "anti_slashing": {}}, {**SHARED, "signer_state": {}}):
        assert "in a database that they share" in render(wrong=True, replicas=2, config=config)
    assert "the others join it" in render(wrong=True, replicas=2, config=SHARED, initIfMissing=True)
    assert render(replicas=2, config=SHARED)["PodDisruptionBudget", "demo"]["spec"]["maxUnavailable"] == 1
    assert render()["PodDisruptionBudget", "demo"]["spec"]["maxUnavailable"] == 0


def test_what_is_configured_shows_in_the_pod(render):
    first = render(initIfMissing=True, image={"repository": "r/x", "digest": "sha256:" + "0" * 64})
    container = pod_of(first)["containers"][0]
    assert container["image"] == "r/x@sha256:" + "0" * 64 and container["args"][-1] == "--init-if-missing"
    other = render(config={"network": "hoodi"})
    note = "containment-chamber/config"
    assert len({one["StatefulSet", "demo"]["spec"]["template"]["metadata"]["annotations"][note] for one in (first, other)}) == 2
    off = render(networkPolicy={"enabled": False}, podDisruptionBudget={"enabled": False})
    assert {kind for kind, _ in off} == {"ConfigMap", "Service", "ServiceAccount", "StatefulSet"}
