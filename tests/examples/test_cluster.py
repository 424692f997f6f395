"""examples/cluster/: manifests that Kubernetes takes, a script for Slurm, a file for spark-submit."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import typer
import yaml

import batch.cluster.cli
from tests.batch.cluster.support import plan, write_files
from tests.batch.conftest import ScriptedServer
from tests.batch.support import read_rows
from tests.conftest import ROOT

CLUSTER = ROOT / "examples" / "cluster"
BASH = shutil.which("bash") or "bash"
SLURM = CLUSTER / "slurm.sh"
RESOURCES: list[tuple[str, dict[str, Any]]] = [
    (f"{path.name}-{resource['kind']}", resource)
    for path in sorted((CLUSTER / "kubernetes").glob("*.yaml"))
    for resource in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
# The oldest version that still gets fixes and has what the manifests use, and the newest that is known.
VERSIONS = ("1.33", kubernetes_validate.latest_version())
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def _pods() -> dict[str, dict[str, Any]]:
    return {
        name: resource["spec"]["template"]["spec"] for name, resource in RESOURCES if "template" in resource["spec"]
    }


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("name", "resource"), RESOURCES, ids=[name for name, _ in RESOURCES])
def test_manifests_are_valid(name: str, resource: dict[str, Any], version: str) -> None:
    """Kubernetes' own schemas have every field, and nothing that a manifest lacks."""
    kubernetes_validate.validate(resource, version, strict=True)


def test_a_field_that_does_not_exist_is_found() -> None:
    """The check above tells wrong manifests from right ones."""
    resource = yaml.safe_load((CLUSTER / "kubernetes" / "work.yaml").read_text(encoding="utf-8"))
    resource["spec"]["completion"] = 20
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(resource, VERSIONS[-1], strict=True)


def test_containers_run_what_exists() -> None:
    """Commands of the workers are valid, and TensorFlow Serving is the one of compose.yaml with its options."""
    for name, pod in _pods().items():
        (container,) = pod["containers"]
        if container["name"] == "serving":
            serving = COMPOSE["services"]["serving"]
            assert container["image"] in serving["image"]
            assert container["args"] == serving["command"]
            assert container["readinessProbe"]["exec"]["command"][1] == "/etc/digits/serving-health.sh"
            continue
        words = container["args"]
        if container["command"] != ["digits-job"]:
            (line,) = words
            words = line.partition(" || ")[0].split()[1:]
        _check_command(words)
        assert name.removesuffix(".yaml-Job") == container["name"].replace("worker", "work")


def _check_command(words: list[str]) -> None:
    group: Any = typer.main.get_command(batch.cluster.cli.app)
    group.commands[words[0]].make_context(words[0], list(words[1:]))


def test_pods_are_as_restricted_as_kubernetes_wants() -> None:
    """No root, no privileges, no token of the cluster's API: the restricted standard of Pod Security."""
    for pod in _pods().values():
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_each_index_has_its_share() -> None:
    """The Job has as many indexes as --of says, and sends to the Service of the servers."""
    resources = dict(RESOURCES)
    work = resources["work.yaml-Job"]["spec"]
    arguments = work["template"]["spec"]["containers"][0]["args"]
    assert arguments[arguments.index("--of") + 1] == str(work["completions"])
    service = resources["serving.yaml-Service"]
    port = service["spec"]["ports"][0]["port"]
    assert f"dns:///{service['metadata']['name']}:{port}" in arguments
    assert service["spec"]["clusterIP"] == "None"
    deployment = resources["serving.yaml-Deployment"]["spec"]
    assert service["spec"]["selector"] == deployment["selector"]["matchLabels"]
    claims = {volume["persistentVolumeClaim"]["claimName"] for pod in _pods().values() for volume in pod["volumes"]
              if "persistentVolumeClaim" in volume}  # fmt: skip
    assert claims == {"digits-data", "digits-models"}


def test_replicas_pause_before_they_end() -> None:
    """A replica pauses before SIGTERM, for less than it is given, and none goes before the next is ready."""
    deployment = dict(RESOURCES)["serving.yaml-Deployment"]["spec"]
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]
    command, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    assert 10 <= int(seconds) < pod["terminationGracePeriodSeconds"]
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_slurm_options() -> None:
    """The script is one for bash, and its options are known to sbatch, before the first command."""
    subprocess.run([BASH, "-n", SLURM], check=True)
    lines = SLURM.read_text(encoding="utf-8").splitlines()
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)(?:=(\S+))?$", "\n".join(lines), re.MULTILINE))
    assert len(options) == sum(line.startswith("#SBATCH") for line in lines)
    # The script asks for nothing that is not in sbatch's manual.
    assert options.keys() <= {
        "job-name", "array", "cpus-per-task", "mem", "time", "requeue", "open-mode", "output"
    }  # fmt: skip
    assert re.fullmatch(r"0-\d+", options["array"])
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    assert not any(line.startswith("#SBATCH") for line in lines[first:])


def test_slurm_tasks_answer_a_job(tmp_path: Path, scripted: ScriptedServer) -> None:
    """Tasks with Slurm's variables set do all of a job together, and none does another's share."""
    program = tmp_path / "bin" / "digits-job"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m batch.cluster.cli "$@"\n')
    program.chmod(0o755)
    plan(tmp_path / "job", write_files(tmp_path / "scans", 80))
    for index in range(2):
        variables = {
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "DIGITS_SERVER": scripted.address,
            "SLURM_ARRAY_TASK_ID": str(index),
            "SLURM_ARRAY_TASK_MIN": "0",
            "SLURM_ARRAY_TASK_COUNT": "2",
        }
        subprocess.run([BASH, SLURM, "job"], cwd=tmp_path, env=os.environ | variables, check=True, timeout=120)
        assert len(list((tmp_path / "job" / "done").iterdir())) == 2 * (index + 1)
    finish = [str(program), "finish", "job", "--out", "out.csv"]
    subprocess.run(finish, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    assert len(read_rows(tmp_path / "out.csv")) == 80


def test_spark_submits_digits_job() -> None:
    """What spark-submit is given is digits-job."""
    command = [sys.executable, str(CLUSTER / "spark_submit.py"), "run", "--help"]
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=True)
    assert "--engine" in result.stdout
