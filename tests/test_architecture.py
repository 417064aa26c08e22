"""The rules of the house: doors in one direction, one graph, names that agree, heavy libraries late."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from slipway import graph
from slipway.recipe import Recipe

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "slipway"
ROOMS = {"data", "model", "evaluation", "safety", "scan", "release"}
GROUND = {
    *("errors", "files", "settings", "recipe", "records", "graph", "page", "processes", "progress"),
    *("spread", "shards", "patterns", "chat", "items", "statistics", "gguf"),
}
WIRING = {"steps.py", "approving.py", "gating.py", "hub.py", "hooks.py", "watching.py"}
"""Files of `flows` that join rooms to adapters."""
FORBIDDEN_IN_ROOMS = {"prefect", "dvc", "mlflow", "great_expectations", "boto3", "flows", "pipelines"}
HEAVY = {
    "torch",
    "transformers",
    "mlflow",
    "prefect",
    "great_expectations",
    "boto3",
    "pandas",
    "numpy",
    "dvc",
    "duckdb",
}


def imports(path: Path) -> set[str]:
    """Dotted names imported anywhere in a file, functions included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms(names: set[str]) -> set[str]:
    """The parts of the package that `names` reach into."""
    return {
        name.split(".")[1] for name in names if name.startswith("slipway.") and (PACKAGE / name.split(".")[1]).is_dir()
    } | {
        name.split(".")[1]
        for name in names
        if name.startswith("slipway.") and (PACKAGE / f"{name.split('.')[1]}.py").is_file()
    }


def files(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*.py"))


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_imports_the_ground_floor_and_itself(room):
    for path in files(PACKAGE / room):
        names = imports(path)
        assert rooms(names) <= GROUND | {room}, path
        assert not {name.split(".")[0] for name in names} & FORBIDDEN_IN_ROOMS, path


def test_adapters_know_no_room():
    for path in files(PACKAGE / "adapters"):
        assert rooms(imports(path)) <= GROUND | {"adapters"}, path


def test_the_ground_floor_stands_on_itself():
    for name in GROUND:
        for path in [PACKAGE / f"{name}.py", *files(PACKAGE / name)]:
            assert not path.exists() or rooms(imports(path)) <= GROUND, path


def test_flows_reach_rooms_only_through_steps():
    for path in files(ROOT / "flows"):
        names = imports(path)
        assert not [name for name in names if name.split(".")[0] == "pipelines"], path
        if path.name not in WIRING:
            assert rooms(names) <= GROUND, path


def test_only_wiring_joins_rooms_to_adapters():
    wiring = {ROOT / "flows" / name for name in WIRING}
    wiring |= {*files(PACKAGE / "cli"), *files(ROOT / "pipelines")}
    for path in [*files(PACKAGE), *files(ROOT / "flows")]:
        reached = rooms(imports(path))
        if "adapters" in reached and reached & ROOMS:
            assert path in wiring, path


def test_no_import_cycles():
    from graphlib import TopologicalSorter

    edges = {}
    for path in files(PACKAGE):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        tree = ast.parse(path.read_text("utf-8"))
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        wanted = set()
        for node in top:
            if isinstance(node, ast.ImportFrom) and node.module:
                wanted |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
        edges[name] = wanted
    # A package's __init__ is loaded for its children, so the edge to a parent is no choice of the child.
    edges = {
        name: {other for other in wanted if other in edges and other != name and not name.startswith(f"{other}.")}
        for name, wanted in edges.items()
    }
    assert list(TopologicalSorter(edges).static_order())


def test_stages_pipelines_sections_and_reports_have_the_same_names():
    stages = graph.stages(ROOT / "dvc.yaml")
    assert set(stages) == {path.stem for path in (ROOT / "pipelines").glob("*.py")} - {"__init__", "frame"}
    assert set(stages) <= {field.alias or name for name, field in Recipe.model_fields.items()}
    for stage in stages.values():
        assert stage.cmd == f"python -m pipelines.{stage.name}"
        assert f"reports/{stage.name}.json" in stage.outs


def test_the_code_a_stage_uses_is_among_its_deps():
    for stage in graph.stages(ROOT / "dvc.yaml").values():
        for name in imports(ROOT / "pipelines" / f"{stage.name}.py"):
            parts = name.split(".")
            if (
                parts[0] != "slipway"
                or len(parts) < 3
                or parts[1] in GROUND
                or name.startswith("slipway.adapters.tracking")
            ):
                continue
            path = "/".join(["src", *parts[:3]])
            covered = [path, f"{path}.py", "/".join(path.split("/")[:3])]
            assert any(dep in covered for dep in stage.deps), (
                f"{stage.name} uses {name}, but dvc.yaml lists no such dep"
            )


def test_every_dep_that_is_code_exists():
    for stage in graph.stages(ROOT / "dvc.yaml").values():
        for dep in stage.deps:
            if dep.startswith(("src/", "pipelines/")):
                assert (ROOT / dep).exists(), f"{stage.name}: {dep}"


def test_our_graph_is_dvcs_graph():
    from dvc.repo import Repo

    with Repo(str(ROOT)) as repo:
        theirs = {
            stage.addressing: {up.addressing for up in repo.index.graph.successors(stage)} for stage in repo.index.graph
        }
    assert {name: set(ups) for name, ups in graph.upstream(ROOT / "dvc.yaml").items()} == theirs


def test_help_imports_nothing_heavy():
    code = "import sys; sys.argv = ['slipway', '--help']\nfrom slipway.cli import main\n"
    code += "try: main()\nexcept SystemExit: pass\n"
    code += "import json; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not HEAVY & {name.split(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


def test_every_module_says_what_it_is_for():
    for path in [*files(PACKAGE), *files(ROOT / "flows"), *files(ROOT / "pipelines"), *files(ROOT / "benchmarks")]:
        if text := path.read_text("utf-8").strip():
            assert ast.get_docstring(ast.parse(text)), path


def test_sizes_one_can_hold_in_the_head():
    for path in [*files(PACKAGE), *files(ROOT / "flows"), *files(ROOT / "pipelines"), *files(ROOT / "benchmarks")]:
        text = path.read_text("utf-8")
        assert text.count("\n") <= 250, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno - node.lineno < 60, f"{path}:{node.lineno} {node.name}"
