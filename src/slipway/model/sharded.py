"""Tensors that lie on several ranks, to files and back: torch's distributed checkpoint, in safetensors.

Each rank writes a file with its parts and where they belong; any number of ranks, or one process, reads them.
"""

import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch

from slipway.files import sha256_file
from slipway.model.parallel import World


def begin_save(directory: Path, tensors: Mapping[str, torch.Tensor], world: World) -> Callable[[], dict[str, str]]:
    """Copy this rank's parts to memory and write them in the background; all ranks call it together.

    Returns: what waits for the files and gives their sha256 by name, on the first rank; it raises OSError as the disk
        did.
    """
    import torch.distributed.checkpoint as dcp

    fault = _made(directory) if world.first else None
    if fault := world.told(fault):
        raise OSError(fault.errno, fault.strerror)
    writer = dcp.HuggingFaceStorageWriter(str(directory), save_distributed=True)
    # Tensors that are in main memory already would be written while training changes them.
    taken = {name: tensor.clone() if tensor.device.type == "cpu" else tensor for name, tensor in tensors.items()}
    pending: Any = dcp.async_save(taken, storage_writer=writer, process_group=world.writing)

    def files() -> dict[str, str]:
        _wait(pending)
        if not world.first:
            return {}
        parts = sorted(directory.glob("*.safetensors"))
        for path in parts:
            settle_header(path)
        return {path.name: sha256_file(path) for path in parts}

    return files


def _made(directory: Path) -> OSError | None:
    """Make a directory; what the disk said if it could not."""
    try:
        directory.mkdir(parents=True)
    except OSError as error:
        return error
    return None


def _wait(pending: Future[Any]) -> None:
    """Wait for a save in the background; torch wraps what the disk says in what `except Exception` does not catch."""
    from torch.distributed.checkpoint.api import CheckpointException

    try:
        pending.result()
    except CheckpointException as error:
        causes = [cause for cause, _ in error.failures.values()]
        raise next((cause for cause in causes if isinstance(cause, OSError)), OSError(None, str(error))) from error


def settle_header(path: Path) -> None:
    """Put the notes in a file's header in order: safetensors writes them as its hash table holds them, which varies.

    Raises:
        ValueError: if the header does not fit its place.
    """
    with open(path, "r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(size)
        if len(text) != size:
            raise ValueError(f"{path}: the header takes {len(text)} bytes and had {size}")
        file.seek(8)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def load(directory: Path, files: Sequence[str], into: Mapping[str, torch.Tensor], world: World) -> None:
    """Fill `into` from the files of a checkpoint that any number of ranks wrote.

    Raises:
        ValueError: naming a tensor that is not there or has another shape.
    """
    if world.size == 1 and not any(name.startswith("shard-") for name in files):
        _load_whole(directory, files, into)
        return
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.api import CheckpointException

    reader = dcp.HuggingFaceStorageReader(str(directory))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        try:
            dcp.load(dict(into), storage_reader=reader, no_dist=world.size == 1)
        except CheckpointException as error:
            raise ValueError(f"{directory.name} holds other tensors than this run: {error}") from None


@torch.no_grad()
def _load_whole(directory: Path, files: Sequence[str], into: Mapping[str, torch.Tensor]) -> None:
    from safetensors import safe_open

    left = dict(into)
    for file in files:
        with safe_open(directory / file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118  (no mapping)
                target = left.pop(name, None)
                if target is None or tuple(opened.get_slice(name).get_shape()) != tuple(target.shape):
                    raise ValueError(f"{directory.name}/{file}: `{name}` is not a tensor of this run")
                target.copy_(opened.get_tensor(name))
    if left:
        raise ValueError(f"{directory.name}: `{min(left)}` is missing")
