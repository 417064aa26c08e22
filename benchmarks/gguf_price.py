"""What it costs to export a model as GGUF and to check the file: time and memory, by type.

    PYTHONPATH=. python benchmarks/gguf_price.py bundle [--gigabytes 1] >> benchmarks/results/gguf.jsonl

The model has random numbers in bfloat16 and the tokenizer of MODEL. `export` and `check` are each timed in a process of
their own that has read its libraries before; memory is what its resident set grew by (VmHWM). `scan` is
the command on the whole directory, safetensors and GGUF, with its limit of 512 MB. `changed` is the same with one bit
of the last number flipped.
"""

import argparse
import datetime as dt
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def _large(model: Path, target: Path, gigabytes: float) -> int:
    """A model with random numbers in bfloat16 whose weights have about this size; bytes of them."""
    import torch
    from safetensors.torch import save_file

    from slipway.gguf import architecture

    target.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (target / name).write_bytes((model / name).read_bytes())
    config = json.loads((target / "config.json").read_text("utf-8"))
    config |= {"hidden_size": 2048, "intermediate_size": 5632, "num_attention_heads": 32, "num_key_value_heads": 4}
    layer = 2 * (2048 * 2048 * 2 + 2048 * 256 * 2 + 3 * 2048 * 5632)
    config |= {"head_dim": 64, "num_hidden_layers": max(1, round(gigabytes * 1e9 / layer)), "dtype": "bfloat16"}
    (target / "config.json").write_text(json.dumps(config), "utf-8")
    generator = torch.Generator().manual_seed(1)
    tensors = {
        tensor.source: torch.empty(tensor.shape, dtype=torch.bfloat16).normal_(0, 0.05, generator=generator)
        for tensor in architecture.tensors(config, "f32")
    }
    save_file(tensors, target / "model.safetensors", {"format": "pt"})
    return (target / "model.safetensors").stat().st_size


RUN = """
import json, re, resource, sys, time
from pathlib import Path
what, target, kind = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
if what == "export":
    import torch
    from gguf import quants
    from safetensors import safe_open
    from slipway.model.gguf import export
else:
    import numpy
    from slipway.scan import gguf
    from slipway.scan.subject import Subject
def held(what):
    return int(re.search(what + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
before, resident = resource.getrusage(resource.RUSAGE_SELF), held("VmRSS")
began = time.perf_counter()
if what == "export":
    export(target.parent, target, kind)
else:
    names = frozenset(path.name for path in target.parent.iterdir())
    assert not list(gguf.check(Subject(target, target.name, target.stat().st_size, names)))
wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps({"wall_s": round(wall, 2), "cpu_s": round(cpu, 2), "more_memory_mb": round(held("VmHWM") - resident)}))
"""
SCAN = [sys.executable, "-c", "import sys; from slipway.cli import main; sys.exit(main())", "scan"]


def _scan(directory: Path) -> dict[str, Any]:
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([*SCAN, str(directory)], check=False, capture_output=True, text=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    rules = [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  ")]
    return {"passed": done.returncode == 0, "rules": rules, "wall_s": round(wall, 2), "cpu_s": round(cpu, 2)}


def price(model: Path, target: Path, gigabytes: float) -> dict[str, Any]:
    """Export, check and scan, by type."""
    found: dict[str, Any] = {"bytes_of_safetensors": _large(model, target, gigabytes)}
    for kind in ("f32", "f16", "bf16", "q8_0"):
        file, ran = target / f"model-{kind}.gguf", {}
        for what in ("export", "check"):
            command = [sys.executable, "-c", RUN, what, str(file), kind]
            ran[what] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        ran["scan"] = _scan(target)
        with open(file, "r+b") as stream:
            stream.seek(-1, os.SEEK_END)
            last = stream.read(1)[0]
            stream.seek(-1, os.SEEK_END)
            stream.write(bytes([last ^ 1]))
        ran["changed"] = _scan(target)
        found[kind] = {"bytes": file.stat().st_size, **ran}
        file.unlink()
    return found


def main() -> None:
    """Write one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="a directory with a model whose architecture is llama")
    parser.add_argument("--gigabytes", type=float, default=1.0, help="of the weights in bfloat16")
    arguments = parser.parse_args()
    line: dict[str, Any] = {
        "benchmark": "gguf_price",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "command": f"python benchmarks/gguf_price.py bundle --gigabytes {arguments.gigabytes:g}",
        "load_before": round(os.getloadavg()[0], 1),
    }
    with tempfile.TemporaryDirectory() as folder:
        line |= price(arguments.model, Path(folder) / "model", arguments.gigabytes)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
