"""The stage graph, read from `dvc.yaml`, its only declaration.

An edge runs from A to B when an output of A is a dependency of B, by exact path. `foreach`, `matrix` and
`vars` are refused: the file must say what it means to a reader without a template engine. A test
compares the edges with DVC's own.
"""

from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from slipway.errors import UserError


@dataclass(frozen=True)
class Stage:
    """A stage as declared."""

    name: str
    cmd: str
    deps: tuple[str, ...]
    outs: tuple[str, ...]


def _paths(entries: list) -> tuple[str, ...]:
    return tuple(next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries)


def stages(path: str | Path = "dvc.yaml") -> dict[str, Stage]:
    """Stages in an order in which they can run; raises UserError for a file that cannot be read as a graph."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        entries = dict(YAML(typ="safe").load(Path(path).read_text("utf-8"))["stages"])
        commands = {name: str(body["cmd"]) for name, body in entries.items()}
    except FileNotFoundError:
        raise UserError(f"{path}: not found; run inside a Slipway project") from None
    except (YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as a graph of stages, each with `cmd` ({error})") from None
    declared = {}
    for name, body in entries.items():
        if unknown := set(body) - {"cmd", "deps", "params", "outs", "desc"}:
            raise UserError(
                f"{path}: stage {name} uses {', '.join(sorted(unknown))}; only cmd, deps, params, outs, desc"
            )
        declared[name] = Stage(name, commands[name], _paths(body.get("deps", [])), _paths(body.get("outs", [])))
    try:
        order = list(TopologicalSorter(_upstream(declared)).static_order())
    except CycleError as error:
        raise UserError(f"{path}: stages depend on each other in a circle: {' → '.join(error.args[1])}") from None
    return {name: declared[name] for name in order}


def _upstream(declared: dict[str, Stage]) -> dict[str, list[str]]:
    made_by = {out: stage.name for stage in declared.values() for out in stage.outs}
    return {
        name: list(dict.fromkeys(made_by[dep] for dep in stage.deps if dep in made_by))
        for name, stage in declared.items()
    }


def upstream(path: str | Path = "dvc.yaml") -> dict[str, list[str]]:
    """Stage -> the stages whose outputs it reads, in an order in which they can run."""
    return _upstream(stages(path))


def inputs(path: str | Path, stage: str) -> dict[str, list[str]]:
    """Producer -> its output paths that `stage` reads."""
    declared = stages(path)
    made_by = {out: producer.name for producer in declared.values() for out in producer.outs}
    found: dict[str, list[str]] = {}
    for dep in declared[stage].deps:
        if dep in made_by:
            found.setdefault(made_by[dep], []).append(dep)
    return found
