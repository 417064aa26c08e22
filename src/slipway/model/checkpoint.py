"""Checkpoints that are whole or absent: directories `step-000200/` with tensors, state and a manifest of digests.

A directory is written under another name, flushed to disk and renamed. Resuming takes the newest one
whose every byte agrees with its manifest; a damaged one is passed over, and that is said. The newest
two and the best are kept. Tensors are safetensors and the rest is JSON: reading a checkpoint runs no code.
The digest of a checkpoint is the sha256 of its manifest, equal for equal runs.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from slipway.errors import UserError
from slipway.files import sha256_bytes

MANIFEST = "manifest.json"
FILES = ("model.safetensors", "optimiser.safetensors", "state.json")
"""Empty file beside the checkpoints of a run that reached its end."""


@dataclass(frozen=True)
class Snapshot:
    """Everything a run needs to go on from `step`."""

    step: int
    model: dict[str, torch.Tensor]
    optimiser: dict[str, torch.Tensor]
    state: dict[str, Any]
    """JSON: losses, log, best step, chain of digests."""


def _write(path: Path, data: bytes) -> str:
    with open(path, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    return sha256_bytes(data)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Checkpoints:
    """The checkpoints of one run, in `root`/`key`."""

    def __init__(self, root: Path, key: str, say: Callable[[str], None]) -> None:
        self._root, self.directory, self._say = root, root / key, say

    def path(self, step: int) -> Path:
        return self.directory / f"step-{step:06d}"

    def steps(self) -> list[int]:
        """Steps of the checkpoints at hand, valid or not, ascending."""
        return sorted(int(p.name.removeprefix("step-")) for p in self.directory.glob("step-*") if p.is_dir())

    def begin(self, *, fresh: bool = False) -> None:
        """Make room: leftovers of a killed write go, and with `fresh` everything of an earlier run."""
        if fresh and self.directory.exists():
            shutil.rmtree(self.directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        for leftover in self.directory.glob(".partial-*"):
            shutil.rmtree(leftover)

    def save(self, snapshot: Snapshot, best_step: int) -> str:
        """Write, rename, then drop what the policy does not keep; returns the digest.

        Raises:
            UserError: if the disk refuses; the earlier checkpoints are untouched.
        """
        from safetensors.torch import save

        final = self.path(snapshot.step)
        partial = self.directory / f".partial-{snapshot.step:06d}"
        try:
            partial.mkdir(parents=True)
            contents = (
                save({name: tensor.contiguous() for name, tensor in snapshot.model.items()}),
                save({name: tensor.contiguous() for name, tensor in snapshot.optimiser.items()}),
                json.dumps(snapshot.state, sort_keys=True, allow_nan=False).encode(),
            )
            written = {name: _write(partial / name, data) for name, data in zip(FILES, contents, strict=True)}
            manifest = json.dumps(written, sort_keys=True)
            digest = _write(partial / MANIFEST, manifest.encode())
            _sync(partial)
            if final.exists():  # the damaged one that resuming passed over
                shutil.rmtree(final)
            partial.rename(final)
            _sync(self.directory)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise UserError(self._refused(snapshot.step, error)) from error
        for step in self.steps()[:-2]:
            if step != best_step:
                shutil.rmtree(self.path(step))
        return digest

    def _refused(self, step: int, error: OSError) -> str:
        good = self.steps()
        rest = f"the checkpoint of step {good[-1]} is whole" if good else "there is no earlier one"
        return (
            f"the checkpoint of step {step} could not be written to {self.directory}: {error.strerror}; {rest}. "
            "Free some disk space and run again; training goes on from there"
        )

    def load(self, step: int) -> tuple[Snapshot, str]:
        """The checkpoint of `step` and its digest.

        Raises:
            ValueError: naming the file that is missing or differs from the manifest.
        """
        from safetensors.torch import load

        directory = self.path(step)
        try:
            manifest = (directory / MANIFEST).read_bytes()
            recorded = json.loads(manifest)
            data = {name: (directory / name).read_bytes() for name in FILES}
        except (OSError, ValueError) as error:
            raise ValueError(f"{directory.name} cannot be read: {error}") from None
        for name, content in data.items():
            if sha256_bytes(content) != recorded.get(name):
                raise ValueError(f"{directory.name}/{name} differs from its manifest")
        model, optimiser = load(data["model.safetensors"]), load(data["optimiser.safetensors"])
        return Snapshot(step, model, optimiser, json.loads(data["state.json"])), sha256_bytes(manifest)

    def newest(self) -> tuple[Snapshot, str] | None:
        """The newest valid checkpoint and its digest; None if there is none."""
        for step in reversed(self.steps()):
            try:
                return self.load(step)
            except ValueError as error:
                self._say(f"checkpoint passed over: {error}")
        return None

    def preflight(self, step: int, tensors: int) -> None:
        """Fail now rather than at the end: read back the checkpoint of `step`, and ask for room for three more.

        Args:
            step: of a checkpoint just written.
            tensors: bytes of model and optimiser state in full.
        """
        try:
            self.load(step)
        except ValueError as error:
            raise UserError(f"{self.directory}: a checkpoint cannot be read back ({error}); use another disk") from None
        free = shutil.disk_usage(self.directory).free
        if free < 4 * tensors:
            raise UserError(
                f"{self.directory}: checkpoints need {4 * tensors / 1e6:.0f} MB and {free / 1e6:.0f} MB are free; "
                "free some disk space and run again"
            )

    def finish(self) -> None:
        """Drop the checkpoints of other runs, which nobody will resume.

        This run's own stay: a kill before its results are in DVC's cache must not cost the training.
        """
        for other in self._root.iterdir():
            if other.is_dir() and other != self.directory:
                shutil.rmtree(other)
