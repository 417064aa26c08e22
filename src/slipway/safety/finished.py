"""Probes that are finished, kept until all are, so that a killed stage does not run them again.

One JSON file per step of the battery, in a folder whose name says what decides the result: weights, data, settings,
seed and code. A file that cannot be read is as good as none.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from slipway.files import write_atomic
from slipway.records import Probe


class Finished:
    """Results in `folder`; None keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def get(self, names: Sequence[str]) -> list[Probe] | None:
        """The kept results of a step with the probes `names`."""
        if self.folder is None or not (path := self.folder / f"{names[0]}.json").is_file():
            return None
        try:
            found = [Probe.model_validate(one) for one in json.loads(path.read_text("utf-8"))]
        except (ValueError, TypeError, ValidationError):
            return None
        return found if [probe.name for probe in found] == list(names) else None

    def keep(self, probes: Sequence[Probe]) -> None:
        """Keep a step's results, if it gave any: what was not run may be run the next time."""
        if self.folder is not None and any(probe.status == "run" for probe in probes):
            content = json.dumps([probe.model_dump(mode="json") for probe in probes], ensure_ascii=False, indent=1)
            write_atomic(self.folder / f"{probes[0].name}.json", content)

    def discard(self) -> None:
        """Remove them, when all that was asked for is done, or when the work itself is asked for."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
