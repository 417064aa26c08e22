"""A whole project, small enough to build in a minute: the real code and graph with a tiny recipe."""

import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
TRACKED = (
    *("flows", "pipelines", "src", "infra", "LICENSES", "expectations", "tasks", "probes"),
    *(".dvc/config", ".dvcignore", ".gitignore"),
    *("dvc.yaml", "prefect.yaml", "constraints.txt", "pyproject.toml"),
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """All that lies here takes long, and is left out by `-m "not journey"`."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("journey")


def tiny(values: dict) -> dict:
    """The default recipe, shrunk: one package, a few steps, bounds that a hardly trained model meets."""
    values = copy.deepcopy(values)
    values["name"] = "tiny"
    values["acquire"]["sources"][0]["packages"] = ["networkx"]
    values["validate"] |= {"min_documents": 100, "max_largest_source": 1.0}
    values["tokenize"]["vocabulary"] = 512
    values["train"] |= {
        "sequence_length": 64,
        "batch_size": 8,
        "steps": 40,
        "validate_every": 20,
        "checkpoint_every": 10,
    }
    values["train"]["architecture"] |= {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    values["evaluate"]["stride"] = 32
    for task in ("continuation", "signature"):
        values["evaluate"][task] |= {"items": 40, "prompt_tokens": 24, "answer_tokens": 16}
    values["evaluate"]["bootstrap"] = 200
    values["safety"] |= {
        "fills": 100,
        "extraction_rows": 20,
        "extraction_tokens": 16,
        "samples": 8,
        "sample_tokens": 32,
    }
    gate = values["release"]["gate"]
    for check in gate["checks"]:
        if check["report"] == "evaluate":
            check["relation"], check["bound"] = "above", 0
    # A model that saw a handful of texts beats no compressor, and two of them differ by more than any margin.
    gate["first_release"] = "nothing"
    for comparison in gate["comparisons"]:
        comparison["margin"] = 100
    return values


def environment(project: Path) -> dict[str, str]:
    """What a shell with the virtual environment activated would have, and nothing of another project's."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SLIPWAY_", "PREFECT_", "MLFLOW_TRACKING"))
    }
    # A copy of a project has its own key's history; what was read of the one says nothing about the other.
    own = {"PWD": str(project), "SLIPWAY_STATE": str(project / ".slipway" / "state")}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"} | own


def make_project(directory: Path, values: dict, data: dict[str, str] | None = None, copied: Path | None = None) -> Path:
    """A checkout with `values` as its recipe, `data` and all below `copied` as files, committed and locked."""
    directory.mkdir(parents=True)
    if copied:
        shutil.copytree(copied, directory, dirs_exist_ok=True)
    for name in TRACKED:
        source, target = ROOT / name, directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, target)
    with (directory / "params.yaml").open("w", encoding="utf-8") as stream:
        YAML(typ="safe").dump(values, stream)
    for name, text in (data or {}).items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text, "utf-8")
    command(directory, "slipway", "lock")
    for arguments in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "start"],
    ):
        subprocess.run(["git", *arguments], cwd=directory, check=True)
    return directory


def command(
    project: Path, *arguments: str, expect: int = 0, env: dict[str, str] | None = None, timeout: int = 420
) -> str:
    """Run a command in the project; its output, after checking the exit code."""
    done = subprocess.run(
        arguments,
        cwd=project,
        env=environment(project) | (env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == expect, (
        f"{' '.join(arguments)} ended with {done.returncode}, expected {expect}:\n{done.stdout[-6000:]}"
    )
    return done.stdout


@pytest.fixture(scope="session")
def tiny_values(default_values) -> dict:
    return tiny(default_values)


@pytest.fixture(scope="session")
def released(tmp_path_factory, tiny_values) -> Path:
    """A project whose release has been made; tests may read it, and copy it to change it."""
    project = make_project(tmp_path_factory.mktemp("released") / "project", tiny_values)
    (project / "release.log").write_text(command(project, "slipway", "release"), "utf-8")
    return project


@pytest.fixture
def copy_of(tmp_path) -> Callable[[Path], Path]:
    """A private copy of a project, state and all."""

    def duplicate(project: Path) -> Path:
        return Path(shutil.copytree(project, tmp_path / "copy", symlinks=True))

    return duplicate
