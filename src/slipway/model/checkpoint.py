"""Checkpoints that are whole or absent: directories `step-000200/` with tensors, state and a manifest of digests.

A directory is written under another name, flushed to disk and renamed, by a thread while training goes on.
Resuming takes the newest one whose every byte agrees with its manifest; a damaged one is passed over, and that
is said. Tensors are safetensors and the rest is JSON: reading a checkpoint runs no code.
The digest of a checkpoint is the sha256 of its manifest, equal for equal runs.

Several ranks write a file each through torch's distributed checkpoint, and any number of ranks can read them.
"""

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from slipway.errors import UserError
from slipway.files import sha256_bytes, sha256_file
from slipway.model import sharded
from slipway.model.kept import MANIFEST, RELEASED, step_name
from slipway.model.parallel import World
from slipway.settings import Keep

STATE = "state.json"
Tensors = dict[str, torch.Tensor]


def _write(path: Path, data: bytes) -> str:
    with open(path, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    return sha256_bytes(data)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _close(partial: Path, state: dict[str, Any], files: dict[str, str]) -> str:
    """Add state and manifest to a directory with its tensors; returns the digest."""
    files |= {STATE: _write(partial / STATE, json.dumps(state, sort_keys=True, allow_nan=False).encode())}
    digest = _write(partial / MANIFEST, json.dumps(files, sort_keys=True).encode())
    _sync(partial)
    return digest


class Checkpoints:
    """The checkpoints of one run, in `root`/`key`."""

    def __init__(
        self, root: Path, key: str, say: Callable[[str], None], keep: Keep | None = None, world: World | None = None
    ) -> None:
        self._root, self.directory, self._say = root, root / key, say
        self._keep, self._world = keep or Keep(), world or World()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._waiting: tuple[int, Future[str]] | None = None

    def path(self, step: int) -> Path:
        """Where the checkpoint of a step lies."""
        return self.directory / step_name(step)

    def steps(self) -> list[int]:
        """Steps of the checkpoints at hand, valid or not, ascending."""
        return sorted(int(p.name.removeprefix("step-")) for p in self.directory.glob("step-*") if p.is_dir())

    def begin(self, *, fresh: bool = False) -> None:
        """Make room: leftovers of a killed write go, and with `fresh` everything of an earlier run."""
        if self._world.first:
            self.directory.mkdir(parents=True, exist_ok=True)
            for pattern in (".partial-*", "step-*") if fresh else (".partial-*",):
                for leftover in self.directory.glob(pattern):
                    shutil.rmtree(leftover)
        self._world.told(None)

    def save(self, step: int, tensors: Tensors, state: dict[str, Any], best_step: int) -> None:
        """Take a copy of all tensors and write it in the background; `settle` first.

        Args:
            step: after which this is the state.
            tensors: by name; parts of them on several ranks.
            state: JSON.
            best_step: its checkpoint is kept.
        """
        partial = self.directory / f".partial-{step:06d}"
        if self._world.size > 1:
            try:
                waiting = sharded.begin_save(partial, tensors, self._world)
            except OSError as error:
                raise UserError(self._refused(step, error)) from error
            self._waiting = step, self._writer.submit(self._finish, step, partial, state, best_step, waiting)
            return
        from safetensors.torch import save

        # Serialising is the copy; what is written later is no longer the model's own memory.
        groups: dict[str, Tensors] = {"model.safetensors": {}, "optimiser.safetensors": {}}
        for name, tensor in tensors.items():
            file = "optimiser.safetensors" if name.startswith("optimiser.") else "model.safetensors"
            groups[file][name] = tensor.contiguous()
        contents = {name: save(group) for name, group in groups.items()}

        def write() -> dict[str, str]:
            partial.mkdir(parents=True)
            return {name: _write(partial / name, data) for name, data in contents.items()}

        self._waiting = step, self._writer.submit(self._finish, step, partial, state, best_step, write)

    def _finish(
        self, step: int, partial: Path, state: dict[str, Any], best_step: int, write: Callable[[], dict[str, str]]
    ) -> str:
        """Write the tensors, then state, manifest and name; returns the digest, "" on ranks other than the first."""
        first = self._world.first
        try:
            files = write()
            if not first:
                return ""
            digest = _close(partial, state, files)
            self._place(step, partial, best_step)
        except OSError as error:
            if first:
                shutil.rmtree(partial, ignore_errors=True)
            raise UserError(self._refused(step, error)) from error
        return digest

    def _place(self, step: int, partial: Path, best_step: int) -> None:
        """Give a whole checkpoint its name, then drop what the policy does not keep."""
        final = self.path(step)
        if final.exists():  # the damaged one that resuming passed over
            shutil.rmtree(final)
        partial.rename(final)
        _sync(self.directory)
        every = self._keep.every
        # Later ones were passed over as damaged; they must not push out what is whole.
        for old in [other for other in self.steps() if other <= step][: -self._keep.last]:
            if old != best_step and not (every and old % every == 0):
                shutil.rmtree(self.path(old))

    def settle(self) -> tuple[int, str] | None:
        """Wait for the write in the background: its step and digest; None if there is none.

        Raises:
            UserError: if the disk refused; earlier checkpoints are untouched.
        """
        if self._waiting is None:
            return None
        (step, future), self._waiting = self._waiting, None
        return step, self._world.told(future.result())

    def close(self) -> None:
        """Let a write that has begun come to its end, whether it is settled or not."""
        self._writer.shutdown(wait=True)

    def failed(self) -> bool:
        """Whether a write in the background has gone wrong; `settle` says how."""
        return bool(self._waiting and self._waiting[1].done() and self._waiting[1].exception())

    def _refused(self, step: int, error: OSError) -> str:
        good = self.steps()
        rest = f"the checkpoint of step {good[-1]} is whole" if good else "there is no earlier one"
        return (
            f"the checkpoint of step {step} could not be written to {self.directory}: {error.strerror}; {rest}. "
            "Free some disk space and run again; training goes on from there"
        )

    def read(self, step: int) -> tuple[dict[str, Any], str, list[str]]:
        """State and digest of a checkpoint, and its files of tensors, after every byte was compared with its manifest.

        Raises:
            ValueError: naming the file that is missing or differs.
        """
        directory = self.path(step)
        try:
            manifest = (directory / MANIFEST).read_bytes()
            recorded: dict[str, str] = json.loads(manifest)
            found = {name: sha256_file(directory / name) for name in recorded}
            state = json.loads((directory / STATE).read_bytes())
        except (OSError, ValueError, AttributeError) as error:
            raise ValueError(f"{directory.name} cannot be read: {error}") from None
        for name, digest in found.items():
            if digest != recorded[name]:
                raise ValueError(f"{directory.name}/{name} differs from its manifest")
        return state, sha256_bytes(manifest), sorted(name for name in recorded if name.endswith(".safetensors"))

    def load(self, step: int, into: Tensors) -> tuple[dict[str, Any], str]:
        """Fill tensors from the checkpoint of `step`; returns its state and digest. Raises ValueError as `read`."""
        state, digest, files = self.read(step) if self._world.first else ({}, "", [])
        state, digest, files = self._world.told((state, digest, files))
        sharded.load(self.path(step), files, into, self._world)
        return state, digest

    def newest(self, into: Tensors) -> tuple[int, dict[str, Any], str] | None:
        """Fill tensors from the newest valid checkpoint: step, state, digest; None if there is none."""
        step = self._world.told(self._newest() if self._world.first else None)
        return None if step is None else (step, *self.load(step, into))

    def _newest(self) -> int | None:
        for step in reversed(self.steps()):
            try:
                self.read(step)
            except ValueError as error:
                self._say(f"checkpoint passed over: {error}")
            else:
                return step
        return None

    def finish(self) -> None:
        """Drop the checkpoints of other runs, which nobody will resume, unless their model is released.

        This run's own stay: a kill before its results are in DVC's cache must not cost the training.
        """
        if self._world.first:
            for other in self._root.iterdir():
                if other.is_dir() and other != self.directory and not (other / RELEASED).exists():
                    shutil.rmtree(other)
