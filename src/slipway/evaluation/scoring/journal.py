"""What a scoring run has finished, batch by batch, so that a killed one does not compute it again.

A folder with a file per process, to which it alone appends: a line per batch with the digest of all that decides the
result (weights, arithmetic, tokens), a checksum, and the result as JSON, in which floats keep every bit. A line that
was torn when the process died does not match its checksum and is passed over.
"""

import hashlib
import json
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np


class Journal:
    """Finished batches in `folder`; None keeps nothing."""

    def __init__(self, folder: Path | None, rank: int = 0) -> None:
        self.folder, self.rank = folder, rank
        self._found: dict[str, Any] = {}
        self._stream: IO[bytes] | None = None
        if folder is not None:
            for path in sorted(folder.glob("*.journal")):
                self._read(path)

    def _read(self, path: Path) -> None:
        for line in path.read_bytes().split(b"\n"):
            head, _, text = line.partition(b" ")
            key, _, check = head.partition(b":")
            if text and check == b"%08x" % zlib.crc32(key + text):
                self._found[key.decode()] = json.loads(text)

    def get(self, key: str) -> Any:
        """The result kept under `key`, or None."""
        return self._found.get(key)

    def add(self, key: str, result: Any) -> None:
        """Keep a result, which JSON can hold."""
        if self.folder is None:
            return
        if self._stream is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._stream = (self.folder / f"{self.rank}.journal").open("ab", buffering=0)
            # The line before may have been torn.
            self._stream.write(b"\n")
        name, text = key.encode(), json.dumps(result).encode()
        self._stream.write(b"%b:%08x %b\n" % (name, zlib.crc32(name + text), text))
        self._found[key] = result


def digest(*parts: Any) -> str:
    """sha256 over `parts`: numbers, texts, arrays of numbers, and lists of these."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            found.update(f"{part.dtype.str}{part.shape}".encode())
            found.update(np.ascontiguousarray(part).tobytes())
        else:
            found.update(json.dumps(part).encode())
        found.update(b"\0")
    return found.hexdigest()


def fingerprint(model: Any) -> str:
    """sha256 of a model's weights and of what else decides its bits: device, type, threads, versions."""
    import torch
    import transformers

    found = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    device = model.device
    kind = torch.cuda.get_device_name(device) if device.type == "cuda" else torch.backends.cpu.get_cpu_capability()
    found.update(
        f"{device.type} {kind} {torch.get_num_threads()} {torch.__version__} {transformers.__version__}".encode()
    )
    return found.hexdigest()
