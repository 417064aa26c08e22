"""The process that loads one foreign file: no network, no other file, little memory; what is not expected ends it.

Started by `slipway.model.foreign` as `python -I -m slipway.model.unpickling SOURCE TARGET LIMITS`. Everything that is
needed is imported and used once beforehand; then the process gives up what it can: the network and the right to gain
rights, room for more than the file needs, new processes; and a hook of the interpreter refuses every audited event
but reading SOURCE. The last line on stdout is JSON: {"tensors": names} or {"refused": reason}.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
HARMLESS = {"object.__getattr__", "object.__setattr__", "object.__delattr__"}
"""Events that say nothing: torch copies bytes through ctypes arrays, whose types set their names."""
DTYPES = {
    "float64", "float32", "float16", "bfloat16", "float8_e5m2", "float8_e4m3fn", "float8_e5m2fnuz", "float8_e4m3fnuz",
    "complex64", "int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "uint64", "bool",
}  # fmt: skip


class _Refused(Exception):
    """What about the content cannot be imported."""


def _isolate() -> bool:
    """Give up the network, if the kernel lets us, and the right to gain rights; True if the network is gone."""
    kernel = ctypes.CDLL(None, use_errno=True)
    kernel.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    gone = kernel.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 or kernel.unshare(CLONE_NEWNET) == 0
    kernel.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return gone


def _limit(memory: int, output: int, seconds: int) -> None:
    """No more memory than this beyond what is mapped now, no larger file, no more time, no process, no core."""
    mapped = (
        int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() if sys.platform == "linux" else 0
    )
    room = mapped + memory if mapped else resource.RLIM_INFINITY
    for what, wanted in (
        (resource.RLIMIT_AS, room), (resource.RLIMIT_FSIZE, output), (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_NOFILE, 64), (resource.RLIMIT_NPROC, 0), (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        hard = resource.getrlimit(what)[1]
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(what, (most, most))


def _watch(source: str) -> None:
    """From here on every audited event but reading the source ends the work; a hook cannot be taken away again."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in HARMLESS:
            return
        if event == "open" and arguments[0] == source and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            return
        os.write(2, f"refused: {event}\n".encode())
        os._exit(77)  # not an exception, which the loader might catch

    sys.addaudithook(hook)


def _warm_up(folder: str) -> None:
    """Use everything once, so that nothing has to be imported behind the hook."""
    import torch
    from safetensors.torch import save_file

    torch.set_num_threads(1)
    path = os.path.join(folder, "warm-up")  # noqa: PTH118  the name goes to torch as it is
    for kind in (True, False):
        torch.save({"a": torch.ones(2), "b": torch.ones(2).bfloat16()}, path, _use_new_zipfile_serialization=kind)
        torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    save_file({"a": torch.ones(2)}, path, metadata={"format": "pt"})
    Path(path).unlink()


def _tensors(loaded: Any, room: int) -> dict[str, Any]:
    """The state_dict with every tensor whole, on its own bytes.

    Tensors that share memory are written out each for itself: every name keeps its values, whatever reads them.
    """
    import torch

    if not isinstance(loaded, dict) or not loaded:
        held = type(loaded).__name__ if loaded else "nothing"
        raise _Refused(f"holds {held} where names of tensors are expected")
    found: dict[str, Any] = {}
    storages: set[int] = set()
    total = 0
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            inside = [key for key, inner in loaded.items() if isinstance(key, str) and isinstance(inner, dict)]
            hint = f"; it holds {', '.join(map(repr, inside[:5]))}: choose one with --key" if inside else ""
            raise _Refused(f"{str(name)[:80]!a} is {type(value).__name__}, not a tensor{hint}")
        tensor = value.detach()
        kind = str(tensor.dtype).removeprefix("torch.")
        if (
            tensor.layout is not torch.strided
            or tensor.is_quantized
            or tensor.device.type != "cpu"
            or kind not in DTYPES
        ):
            raise _Refused(f"{name[:80]!a} is a tensor of {kind}, {tensor.layout}, which safetensors cannot hold")
        total += tensor.numel() * tensor.element_size()
        if total > room:
            raise _Refused(f"{name[:80]!a}: the tensors claim more than {room} bytes, more than the file can hold")
        key = tensor.untyped_storage().data_ptr()
        whole = tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        found[name] = tensor if whole and key not in storages else tensor.contiguous().clone()
        storages.add(key)
    return found


def convert(source: str, target: str, limits: dict[str, Any]) -> dict[str, Any]:
    """Load `source`, write `target`; returns what the last line says."""
    alone = _isolate()  # first: the kernel lets only a process of one thread go

    import torch
    from safetensors.torch import save_file

    _warm_up(os.path.dirname(target))  # noqa: PTH120
    _limit(limits["memory"], limits["output"], limits["seconds"])
    _watch(source)
    try:
        loaded = torch.load(source, map_location="cpu", weights_only=True, mmap=False)
        if limits["key"]:
            if not isinstance(loaded, dict) or limits["key"] not in loaded:
                raise _Refused(f"holds no {limits['key']!a}")
            loaded = loaded[limits["key"]]
        tensors = _tensors(loaded, limits["room"])
        save_file(tensors, target, metadata={"format": "pt"})
    except Exception as error:  # noqa: BLE001  whatever went wrong with a foreign file, it is not imported
        return {"refused": f"{type(error).__name__}: {error}" if not isinstance(error, _Refused) else str(error)}
    return {"tensors": sorted(tensors), "network": not alone}


def main() -> None:
    source, target, limits = sys.argv[1:]
    print(json.dumps(convert(source, target, json.loads(limits))), flush=True)


if __name__ == "__main__":
    main()
