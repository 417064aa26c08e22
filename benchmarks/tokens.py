"""Tokenise and pack: Slipway beside `datasets.map` with group_texts, and datatrove's DocumentTokenizer.

    python benchmarks/tokens.py --megabytes 20 --threads 1         # one JSON line on stdout

Every side runs in a process of its own, reads the same parquet files with the same 16k tokenizer, and writes
packed tokens. The sides take turns; the first turn warms up and is not counted. Tokens per CPU-second are those of
the whole process with its children, imports included in none; memory is the peak over that of the bare
interpreter. The text is that of `--text` (parquet files with a column `text`), repeated up to the size asked for. The
peers get environments of their own in a temporary directory, because datatrove needs an older xxhash. (A script called
tokenize.py would stand before Python's own module of that name.)
"""

import argparse
import datetime as dt
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROW = 1024
PEERS = {
    "datasets": ["datasets==5.2.0", "transformers", "-c", str(ROOT / "constraints.txt")],
    "datatrove": ["datatrove[io,processing]==0.10.1", "xxhash==3.5.0", "tokenizers==0.23.3"],
}


def slipway(work: Path, out: Path, threads: int):
    """`pack` over every shard, in this process."""
    from slipway.data.tokens.shard import Job, pack

    pack_one = [
        Job(path, f"{out}/{path.stem}-", work / "tokenizer", True, "uint16", None, 100_000_000, threads)
        for path in sorted((work / "text").glob("*.parquet"))
    ]
    return lambda: sum(counts.tokens for job in pack_one for counts in pack(job))


def datasets(work: Path, out: Path, threads: int):
    """As run_clm of transformers does it: map the tokenizer, map group_texts."""
    from datasets import load_dataset
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(work / "tokenizer")
    end = tokenizer.eos_token_id

    def encode(batch: dict) -> dict:
        return {"input_ids": [[*ids, end] for ids in tokenizer(batch["text"])["input_ids"]]}

    def group(batch: dict) -> dict:
        flat = [token for ids in batch["input_ids"] for token in ids]
        rows = [flat[start : start + ROW] for start in range(0, len(flat) // ROW * ROW, ROW)]
        return {"input_ids": rows, "labels": [row.copy() for row in rows]}

    def run() -> int:
        files = [str(path) for path in sorted((work / "text").glob("*.parquet"))]
        found = load_dataset("parquet", data_files=files, split="train", cache_dir=str(out))
        workers = threads if threads > 1 else None
        coded = found.map(encode, batched=True, num_proc=workers, remove_columns=found.column_names)
        return len(coded.map(group, batched=True, num_proc=workers)) * ROW

    return run


def datatrove(work: Path, out: Path, threads: int):
    """DocumentTokenizer without shuffling, one task per thread."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.tokens import DocumentTokenizer

    def run() -> int:
        steps = [
            ParquetReader(str(work / "text"), id_key="id", read_metadata=False),
            DocumentTokenizer(
                output_folder=str(out / "tokens"),
                tokenizer_name_or_path=str(work / "tokenizer" / "tokenizer.json"),
                eos_token="<|endoftext|>",  # noqa: S106
                shuffle_documents=False,
            ),
        ]
        LocalPipelineExecutor(steps, tasks=threads, workers=threads, logging_dir=str(out / "log")).run()
        return sum(path.stat().st_size for path in (out / "tokens").rglob("*.ds")) // 2

    return run


SIDES = {"slipway": slipway, "datasets": datasets, "datatrove": datatrove}


def peak_kib() -> int:
    """Most memory this program had so far. (`ru_maxrss` would include what its parent had when it started it.)"""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def one(side: str, work: Path, threads: int) -> None:
    """Run a side once, in a process that has done nothing else."""
    bare = peak_kib()
    with tempfile.TemporaryDirectory(dir=work) as out:
        run = SIDES[side](work, Path(out), threads)
        before, started = sum(os.times()[:4]), time.perf_counter()
        tokens = run()
        wall, cpu = time.perf_counter() - started, sum(os.times()[:4]) - before
    peak = max(peak_kib(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    figures = {"tokens": tokens, "cpu_s": cpu, "wall_s": wall, "rss_over_mb": (peak - bare) / 1024}
    print(json.dumps(figures))


def measure(python: Path, side: str, work: Path, threads: int) -> dict[str, float]:
    environment = os.environ | {
        "RAYON_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "true" if threads > 1 else "false",
        "HF_HOME": str(work / "hub"),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    }
    command = [str(python), __file__, "--side", side, "--work", str(work), "--threads", str(threads)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=work, check=False)
    if done.returncode:
        sys.exit(f"{side} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def environment_of(peer: str, work: Path) -> Path:
    """The python of an environment with this peer in it."""
    place = work / f"venv-{peer}"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    command = [str(place / "bin/python"), "-m", "pip", "install", "--quiet", *PEERS[peer]]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return place / "bin/python"


def write_text(source: Path, work: Path, megabytes: int) -> int:
    """Shards of about 50 MB of text; returns bytes of text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from slipway.data.tokens import bpe

    texts = pa.concat_tables(pq.read_table(path, columns=["text"]) for path in sorted(source.glob("train*.parquet")))
    texts = texts.column("text").to_pylist()
    bpe.save(bpe.train(texts, 16_384), work / "tokenizer")
    (work / "text").mkdir()
    schema = pa.schema([(name, pa.string()) for name in ("id", "text", "shape", "turns")])
    written, shard, batch, size, number = 0, 0, [], 0, 0
    while written < megabytes * 1_000_000:
        text = texts[number % len(texts)]
        batch.append({"id": str(number), "text": text, "shape": "text", "turns": None})
        number, written, size = number + 1, written + len(text.encode()), size + len(text.encode())
        if size >= 50_000_000 or written >= megabytes * 1_000_000:
            pq.write_table(pa.Table.from_pylist(batch, schema), work / "text" / f"train-{shard:05d}.parquet")
            shard, batch, size = shard + 1, [], 0
    return written


def summary(results: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, float]]:
    found = {}
    for side, rounds in results.items():
        speeds = [one["tokens"] / one["cpu_s"] for one in rounds]
        found[side] = {
            "tokens_per_cpu_s": round(statistics.median(speeds)),
            "spread": [round(min(speeds)), round(max(speeds))],
            "tokens_per_wall_s": round(statistics.median(one["tokens"] / one["wall_s"] for one in rounds)),
            "rss_over_mb": round(max(one["rss_over_mb"] for one in rounds)),
            "tokens": round(rounds[0]["tokens"]),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, default=ROOT / "data/clean", help="directory of train*.parquet")
    parser.add_argument("--megabytes", type=int, default=20, help="200 and 2000 for the figures on memory")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=list(SIDES))
    parser.add_argument("--side", choices=list(SIDES), help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        one(args.side, args.work, args.threads)
        return
    work = Path(tempfile.mkdtemp(prefix="slipway-tokenize-"))
    try:
        size = write_text(args.text, work, args.megabytes)
        pythons = {
            side: Path(sys.executable) if side == "slipway" else environment_of(side, work) for side in args.sides
        }
        results: dict[str, list[dict[str, float]]] = {side: [] for side in args.sides}
        for turn in range(args.rounds + 1):
            for side, python in pythons.items():
                found = measure(python, side, work, args.threads)
                if turn:  # the first round warms up
                    results[side].append(found)
    finally:
        shutil.rmtree(work)
    sides = summary(results)
    figures = {
        "benchmark": "tokenize",
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "bytes": size,
        "threads": args.threads,
        "rounds": args.rounds,
        "sides": sides,
        "ratios": {
            side: round(sides["slipway"]["tokens_per_cpu_s"] / sides[side]["tokens_per_cpu_s"], 2)
            for side in sides
            if side != "slipway" and "slipway" in sides
        },
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
