"""Where a run reads and writes, and where it tells how it goes. Imports nothing heavy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from slipway.files import combined

INPUTS = ("data/tokens/", "models/tokenizer/", "models/base/", "models/teacher/")
"""Folders of a project whose content makes a run what it is."""


def inputs_digest(files: Mapping[str, str]) -> str:
    """One digest of all that a run is made from, of files given as path -> sha256; others are passed over."""
    return combined({path: sha for path, sha in files.items() if path.startswith(INPUTS)})


@dataclass(frozen=True)
class Places:
    """Where a run reads and writes."""

    tokens: Path
    """Directory with `index.json` and the packed splits."""
    base: Path
    """Directory of the base model; empty without one."""
    teacher: Path
    """Directory of the teacher; empty without one."""
    work: Path
    """Directory for checkpoints of this and other runs."""
    ledger: Path
    """Directory for the ledger of all attempts."""
    model_out: Path
    """Hugging Face directory to write: config, generation config, safetensors."""
    log_out: Path
    """File for the log, JSON lines."""


Log = Callable[[int, dict[str, float]], None]
Progress = Callable[[int, int, str], None]
Say = Callable[[str], None]


class Meter(Protocol):
    """Counts what a run uses: `slipway.model.ledger.Attempt`."""

    def add(self, tokens: int, flops: int) -> None:
        """A step was done."""


class Uncounted:
    """A meter that keeps nothing."""

    def add(self, tokens: int, flops: int) -> None:
        """Nothing."""


def quiet(*_: Any) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Told:
    """Where a loop tells how it goes."""

    log: Log = quiet
    """Gets (step, values) for each line of the log, with `tokens_per_second` and `mfu`."""
    progress: Progress = quiet
    """Gets (steps done, steps, a note for people)."""
    say: Say = quiet
    """Gets a sentence when something is resumed or passed over."""
