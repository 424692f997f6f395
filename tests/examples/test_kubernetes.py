"""examples/kubernetes.yaml: the same server as in compose.yaml, replaced without a failed call."""

from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

Document = dict[str, Any]


@pytest.fixture(scope="module")
def documents() -> dict[str, Document]:
    """Service and Deployment."""
    text = (ROOT / "examples" / "kubernetes.yaml").read_text()
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


@pytest.fixture(scope="module")
def pod(documents: dict[str, Document]) -> Document:
    spec: Document = documents["Deployment"]["spec"]["template"]["spec"]
    return spec


def test_it_is_the_server_of_compose(pod: Document) -> None:
    """Image and flags are those of compose.yaml, and each folder that a flag names is mounted."""
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["serving"]
    (container,) = pod["containers"]
    assert (container["image"], container["args"]) == (service["image"], service["command"])
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/etc/digits", "/models"}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}


def test_replicas_pause_before_they_end(documents: dict[str, Document], pod: Document) -> None:
    """A replica pauses before SIGTERM, for less than it is given, and none goes before the next is ready."""
    (container,) = pod["containers"]
    (command, seconds) = container["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    assert 10 <= int(seconds) < pod["terminationGracePeriodSeconds"]
    assert documents["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert container["readinessProbe"]["httpGet"] == {"path": "/v1/models/digits/metadata", "port": 8501}


def test_the_service_finds_the_replicas(documents: dict[str, Document]) -> None:
    """The Service has no address of its own, selects the pods, and has both ports."""
    service, deployment = documents["Service"]["spec"], documents["Deployment"]["spec"]
    assert service["clusterIP"] == "None"  # the word: YAML's own for it is null
    assert service["selector"] == deployment["selector"]["matchLabels"] == deployment["template"]["metadata"]["labels"]
    assert [port["port"] for port in service["ports"]] == [8500, 8501]
