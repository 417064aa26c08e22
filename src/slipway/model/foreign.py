"""The only way in for a pickle: foreign weights become safetensors in a process that can do little else.

`slipway.model.torch_files` looks first, and runs nothing; `slipway.model.unpickling` loads what is left, alone. What
it writes is no more trusted than the pickle was: whoever calls this scans it before anything loads it.
"""

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from slipway.errors import Refusal, UserError
from slipway.model import torch_files

INDEX = "pytorch_model.bin.index.json"
WHOLE = "model.safetensors"
TARGET_INDEX = "model.safetensors.index.json"
MEMORY = 1 << 30
"""Bytes of memory for the loader beyond what the file needs."""
RATE = 20 << 20
"""Bytes a second that even a slow disk gives; a file has 60 s and what it takes at this rate."""
SHARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*-(\d{5}-of-\d{5})\.(bin|pt|pth)")


class Found(NamedTuple):
    """The foreign weights of a model."""

    files: Mapping[Path, str]
    """File -> name of what it becomes."""
    named: Mapping[str, str] | None
    """Tensor -> name of its new file, as the source's index says; None without one."""


def _read_index(path: Path) -> dict[str, str]:
    try:
        listed = json.loads(path.read_text("utf-8"))["weight_map"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refusal(f"{path}: is no index of shards; take a whole copy of the model") from None
    if not isinstance(listed, dict) or not listed or not all(isinstance(name, str) for name in listed.values()):
        raise Refusal(f"{path}: its weight_map does not lead from tensors to files; take a whole copy of the model")
    return listed


def find(source: Path) -> Found:
    """The weights of a directory, or the one file.

    Raises:
        UserError: if there are none, or more than one set.
        Refusal: if an index leads elsewhere than to files beside it.
    """
    if source.is_file():
        return Found({source: WHOLE}, None)
    if not source.is_dir():
        raise UserError(
            f"{source}: nothing is there to import; give a file of torch.save, or a directory that holds one"
        )
    if (source / INDEX).is_file():
        listed = _read_index(source / INDEX)
        files: dict[Path, str] = {}
        for name in sorted(set(listed.values())):
            shard = SHARD.fullmatch(name)
            if not shard or not (source / name).is_file():
                raise Refusal(
                    f"{source / INDEX}: {name[:80]!a} is no file of weights beside it; take a whole copy of the model"
                )
            files[source / name] = f"model-{shard[1]}.safetensors"
        if len(set(files.values())) != len(files):
            raise Refusal(f"{source / INDEX}: two of its files have the same number; take a whole copy of the model")
        return Found(files, {tensor: files[source / name] for tensor, name in listed.items()})
    names = sorted(path for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in source.glob(pattern))
    weights = [path for path in names if path.name in {"pytorch_model.bin", "model.pt", "model.pth"}] or names
    if len(weights) != 1:
        found = ", ".join(path.name for path in weights) or "none"
        raise UserError(f"{source}: one file of weights is expected, found: {found}; name the file itself")
    return Found({weights[0]: WHOLE}, None)


def _environment() -> dict[str, str]:
    """Nothing of ours: no credentials, no proxies; only what the interpreter may need to find its own libraries."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
    return kept | {"OMP_NUM_THREADS": "1", "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def _run(command: list[str], folder: Path, seconds: float, source: Path) -> str:
    """The child's stdout; ended with all that it started when its time is up.

    Raises:
        Refusal: if it did not end well.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            cwd=folder,
            env=_environment(),
            start_new_session=True,
        )
        late = False
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            with contextlib.suppress(ProcessLookupError):  # it has ended, and left nothing behind
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        errors.seek(0)
        told = ascii(errors.read(1 << 20).decode("utf-8", "replace").strip().rpartition("\n")[2][:200])
        if late or child.returncode:
            why = f"took more than {seconds:.0f} s" if late else f"ended with code {child.returncode}: {told}"
            raise Refusal(f"{source}: loading it {why}; nothing was imported. Do not load this file by other means")
        out.seek(0)
        return out.read(64 << 20).decode("utf-8", "replace")


def convert(source: Path, target: Path, *, key: str = "", timeout: float = 0) -> dict[str, Any]:
    """One file of torch.save, as a file of safetensors.

    Args:
        source: the foreign file.
        target: does not exist; its directory is a scratch directory of the caller's, and empty but for such targets.
        key: take the dictionary under this key instead of the whole.
        timeout: seconds; 0 for what its size allows.

    Returns: `tensors`, the names; `network`, whether the kernel left the process a network (which the hook refuses).

    Raises:
        Refusal: if the file is anything else, or holds anything else than tensors.
    """
    source, target = source.resolve(), target.resolve()
    torch_files.check(source)
    size = source.stat().st_size
    room = 2 * size + (1 << 20)  # tensors that share memory are written out
    seconds = timeout or 60 + size / RATE
    limits = {
        "memory": MEMORY + 6 * size, "output": room + (32 << 20), "seconds": int(seconds) + 1, "key": key, "room": room,
    }  # fmt: skip
    command = [sys.executable, "-I", "-m", "slipway.model.unpickling", str(source), str(target), json.dumps(limits)]
    before = set(target.parent.iterdir())
    last = _run(command, target.parent, seconds, source).strip().rpartition("\n")[2]
    try:
        result = json.loads(last)
    except ValueError:
        raise Refusal(f"{source}: loading it told nothing that can be read; nothing was imported") from None
    if "tensors" not in result:
        raise Refusal(f"{source}: {ascii(str(result.get('refused')))[1:400]}; nothing was imported")
    made = set(target.parent.iterdir()) - before
    if made != {target} or not stat.S_ISREG(target.lstat().st_mode):
        raise Refusal(f"{source}: loading it left other files than {target.name}; nothing was imported")
    return result


def convert_all(found: Found, folder: Path, *, key: str = "", progress: Callable[[int, int, str], None]) -> int:
    """All files of a model into `folder`, and the index of the new names.

    Args:
        found: by `find`.
        folder: an empty directory.
        key: as for `convert`.
        progress: is told files done, files in all, and the name.

    Returns: number of tensors.

    Raises:
        Refusal: as `convert`; or if shards do not hold what the index says.
    """
    held: dict[str, str] = {}
    for number, (path, name) in enumerate(found.files.items()):
        progress(number, len(found.files), path.name)
        for tensor in convert(path, folder / name, key=key)["tensors"]:
            if tensor in held:
                raise Refusal(f"{path}: holds {str(tensor)[:80]!a}, which {held[tensor]} holds too; take a whole copy")
            held[tensor] = name
    progress(len(found.files), len(found.files), f"{len(held)} tensors")
    if found.named is not None:
        if wrong := sorted(set(held.items()) ^ set(found.named.items())):
            raise Refusal(
                f"the index and the shards do not agree on {wrong[0][0][:80]!a}; take a whole copy of the model"
            )
        size = sum((folder / name).stat().st_size for name in found.files.values())
        text = json.dumps({"metadata": {"total_size": size}, "weight_map": dict(sorted(held.items()))}, indent=2)
        (folder / TARGET_INDEX).write_text(text + "\n", "utf-8")
    return len(held)
