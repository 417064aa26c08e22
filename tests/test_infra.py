"""The launch examples in infra/: readable, consistent, and with flags that the installed torch knows."""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from slipway.model.ranks import MODULE
from slipway.recipe import load

ROOT = Path(__file__).parents[1]
INFRA = ROOT / "infra"
VERSIONS = {
    "Job": "batch/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PersistentVolumeClaim": "v1",
    "Service": "v1",
}


def _documents(path: Path) -> list[dict[str, Any]]:
    return list(YAML(typ="safe").load_all(path.read_text("utf-8")))


MANIFESTS = {
    f"{path.stem}-{document['kind']}": document
    for path in sorted((INFRA / "kubernetes").glob("*.yaml"))
    for document in _documents(path)
}
PODS = {name: document["spec"]["template"] for name, document in MANIFESTS.items() if document["kind"] == "Job"}
TRAIN = MANIFESTS["train-Job"]


def _found(pattern: str, text: str) -> list[str]:
    """What a pattern's group matches, lines that end in a backslash joined; at least once."""
    found = re.findall(pattern, text.replace("\\\n", ""))
    assert found, pattern
    return found


def _launchers() -> dict[str, str]:
    """The commands that start torch's launcher, their shell variables filled in."""
    script, pod = (INFRA / "slurm" / "train.sbatch").read_text("utf-8"), PODS["train-Job"]["spec"]["containers"][0]
    common = _found(r'launcher="(.+?)"', pod["args"][0])[0]
    first, other = _found(r'(--rdzv-conf=[^\s"]+)', pod["args"][0])
    commands = {
        "slurm": _found(r'SLIPWAY_LAUNCHER="(.+?)"', script)[0],
        "pod 0": f"{common} {first}",
        "pod k": f"{common} {other}",
    }
    # The first machine's name is a name; all else is a number.
    return {name: re.sub(r"\$\w+", "4", text.replace("$head", "node1")) for name, text in commands.items()}


@pytest.mark.parametrize("path", sorted(INFRA.rglob("*.yaml")), ids=lambda path: path.name)
def test_every_yaml_file_is_readable(path):
    assert all(isinstance(document, dict) for document in _documents(path))


@pytest.mark.parametrize("path", [*INFRA.rglob("*.sh"), *INFRA.rglob("*.sbatch")], ids=lambda path: path.name)
def test_every_script_is_well_formed(path):
    shell = "bash" if "bash" in path.read_text("utf-8").splitlines()[0] else "sh"
    done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["slurm", "pod 0", "pod k"])
def test_torch_knows_every_flag_of_a_launcher(name):
    from torch.distributed.run import get_args_parser

    words = shlex.split(_launchers()[name])
    start = words.index("torch.distributed.run") + 1
    found = get_args_parser().parse_args([*words[start:], "-m", MODULE])
    assert (found.training_script, found.module) == (MODULE, True)
    assert (found.rdzv_backend, found.nnodes, found.max_restarts) == ("c10d", "4", 3)
    assert re.fullmatch(r"[\w.-]+:\d+", found.rdzv_endpoint)


def test_pods_and_recipe_agree_on_the_number_of_devices():
    devices = load(ROOT / "recipes" / "cluster.yaml").train.devices
    container = PODS["train-Job"]["spec"]["containers"][0]
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    assert TRAIN["spec"]["completions"] == TRAIN["spec"]["parallelism"] == devices.nodes == int(variables["NODES"])
    assert container["resources"]["limits"]["nvidia.com/gpu"] == str(devices.count) == variables["GPUS"]
    script = (INFRA / "slurm" / "train.sbatch").read_text("utf-8")
    assert f"#SBATCH --nodes={devices.nodes}\n" in script
    assert f"#SBATCH --gpus-per-node={devices.count}\n" in script


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_of_a_known_kind_and_has_a_name(name):
    document = MANIFESTS[name]
    assert document["apiVersion"] == VERSIONS[document["kind"]]
    assert re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", document["metadata"]["name"])


def test_service_and_policy_select_the_pods_of_training_and_no_others():
    wanted = MANIFESTS["train-Service"]["spec"]["selector"]
    policy = MANIFESTS["train-NetworkPolicy"]["spec"]
    assert policy["podSelector"]["matchLabels"] == wanted
    assert policy["ingress"][0]["from"][0]["podSelector"]["matchLabels"] == wanted
    chosen = [name for name, pod in PODS.items() if wanted.items() <= pod["metadata"]["labels"].items()]
    assert chosen == ["train-Job"]


def test_pods_meet_at_the_name_of_the_first():
    service, job = MANIFESTS["train-Service"], TRAIN["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"
    assert PODS["train-Job"]["spec"]["subdomain"] == service["metadata"]["name"]
    port = service["spec"]["ports"][0]["port"]
    assert f"--rdzv-endpoint={job}-0.{service['metadata']['name']}:{port}" in _launchers()["pod k"]


@pytest.mark.parametrize("name", PODS)
def test_what_a_pod_mounts_is_there(name):
    pod = PODS[name]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
    assert mounted == set(volumes)
    claims = {v["persistentVolumeClaim"]["claimName"] for v in volumes.values() if "persistentVolumeClaim" in v}
    assert claims == {MANIFESTS["project-PersistentVolumeClaim"]["metadata"]["name"]}


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_no_more_rights_than_it_needs(name):
    pod = PODS[name]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    for container in pod["containers"]:
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"]
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"] == container["resources"]["requests"]


def test_the_rule_for_exit_codes_names_the_container_that_has_them():
    rules = TRAIN["spec"]["podFailurePolicy"]["rules"]
    codes = next(rule["onExitCodes"] for rule in rules if "onExitCodes" in rule)
    assert codes["containerName"] in {container["name"] for container in PODS["train-Job"]["spec"]["containers"]}
    assert PODS["train-Job"]["spec"]["restartPolicy"] == "Never"  # else a policy for failures is not allowed
