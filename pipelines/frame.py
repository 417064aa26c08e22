"""The frame shared by all stages: recipe in, inputs checked, outputs digested, one record out.

A stage's file holds one function that receives a `Frame`, joins rooms to adapters and returns its
report. Run it as DVC does, `python -m pipelines.<stage>`, or let `slipway build` run what is stale.
"""

import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from slipway import __version__, graph
from slipway.adapters.engine import Engine, choose
from slipway.errors import Refusal, UserError
from slipway.files import digests, write_atomic
from slipway.processes import die_with
from slipway.progress import Progress
from slipway.recipe import Recipe, load
from slipway.records import Record, StageRecord, read_record, read_report

_SHORT = re.compile(r"\d+ requested and \d+ written")
"""What numpy says when the disk is full; it loses the number of the error."""
_SHORT_WRITE = "No space left on device (an array could not be written whole)"


@dataclass(frozen=True)
class Frame:
    """What a stage's function gets."""

    stage: str
    root: Path

    @cached_property
    def recipe(self) -> Recipe:
        return load(self.root / "params.yaml")

    @property
    def settings(self) -> Any:
        """The stage's section of the recipe."""
        return self.recipe.section(self.stage)

    @cached_property
    def spread(self) -> Engine:
        """Applies a room's function to shards, where the environment says: see `slipway.adapters.engine`."""
        return choose()

    def close(self) -> None:
        """End what `spread` started, if it was used."""
        if "spread" in self.__dict__:
            self.spread.close()

    def report(self, stage: str) -> Any:
        """The typed report of an earlier stage."""
        return read_report(self.root / "reports" / f"{stage}.json")

    @cached_property
    def progress(self) -> Progress:
        """Call it with done, total and a note."""
        return Progress(self.stage)


def check_inputs(stage: str, root: Path) -> dict[str, str]:
    """Compare every file this stage reads with the digest that its producer recorded.

    Returns: path -> sha256 of the files read.

    Raises:
        Refusal: naming the file that was changed, removed or added since it was made.
    """
    found: dict[str, str] = {}
    for producer, paths in graph.inputs(root / "dvc.yaml", stage).items():
        recorded = read_record(root / "reports" / f"{producer}.json").outputs
        for path in paths:
            if not (root / path).exists():
                raise Refusal(f"{path}: missing, though {producer} made it; run `slipway build`")
            actual = digests(root / path, root)
            expected = {
                name: digest for name, digest in recorded.items() if name == path or name.startswith(f"{path}/")
            }
            for name in sorted(actual.keys() | expected.keys()):
                if actual.get(name) != expected.get(name) and name != f"reports/{producer}.json":
                    raise Refusal(
                        f"{name}: sha256 is {actual.get(name, 'nothing (file missing)')}, but {producer} recorded "
                        f"{expected.get(name, 'no such file')}; the file was altered after it was made. "
                        f"Restore it, or rebuild with `slipway build --force {producer}`"
                    )
            found |= actual
    return found


def execute(stage: str, body: Callable[[Frame], Record], root: Path) -> StageRecord:
    """Run one stage in `root` and write `reports/<stage>.json`, last of all its files."""
    frame = Frame(stage, root)
    settings = frame.settings.model_dump(mode="json", by_alias=True)
    inputs = check_inputs(stage, root)
    try:
        result = body(frame)
    finally:
        frame.close()
    report = f"reports/{stage}.json"
    outputs = {
        name: digest
        for path in graph.stages(root / "dvc.yaml")[stage].outs
        if path != report
        for name, digest in digests(root / path, root).items()
    }
    record = StageRecord(
        stage=stage,
        slipway=__version__,
        settings=settings,
        inputs=inputs,
        outputs=outputs,
        result=result.model_dump(mode="json"),
    )
    write_atomic(root / report, record.to_json())
    return record


def run(stage: str, body: Callable[[Frame], Record]) -> None:
    """Entry point of a stage: exit code 0 only if it finished, else one clear message and the error's code."""
    if supervisor := os.environ.get("SLIPWAY_SUPERVISOR_PID"):
        die_with(int(supervisor))
    started = time.perf_counter()
    try:
        record = execute(stage, body, Path.cwd())
    except UserError as error:
        print(f"{stage}: {error}", file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
    except OSError as error:
        reason = _SHORT_WRITE if _SHORT.search(str(error)) else error.strerror
        if reason is None:
            raise
        print(f"{stage}: {reason}: {error.filename or 'no file named'}", file=sys.stderr, flush=True)
        sys.exit(2)
    print(f"done in {time.perf_counter() - started:.1f} s, {len(record.outputs)} files", flush=True)
