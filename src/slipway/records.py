"""What the rooms hand on: typed records with a JSON round trip, `from_json(to_json(x)) == x`.

Every stage leaves one `StageRecord` in `reports/<stage>.json`. Its `result` is one of the reports below;
documents (cards, report page, bill of materials, provenance, gate) are projections of these records and
hold no number of their own. Nothing that varies from run to run (times, hosts, run ids) is in a record.
A quantity that was not measured is `None` or "not run", never 0.
"""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from slipway.errors import UserError


class Record(BaseModel):
    """Base of all records: frozen and closed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, two spaces, final newline; equal records give equal bytes."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


class Measure(Record):
    """A number with what makes it believable."""

    value: float
    low: float | None
    """Lower end of the 95 % interval; None where the method gives none."""
    high: float | None
    n: int
    """Independent items behind the number."""
    method: str
    """How the interval was computed, e.g. `Wilson` or `bootstrap over documents`."""


class SourceRecord(Record):
    """One origin of documents: a package at a version, or a set of files."""

    source: str
    """Name in the recipe; documents carry it with the package, e.g. `pydocs/numpy`."""
    kind: str
    version: str | None
    licence: str | None
    """SPDX expression as the origin states it; None if it states none that can be read."""
    licence_evidence: str
    """Where the statement was found."""
    files: int
    digest: str
    """sha256 over the sorted lines `<sha256>  <path>` of its files."""
    documents: int
    characters: int


class AcquireReport(Record):
    """What was fetched."""

    sources: tuple[SourceRecord, ...]
    documents: int
    characters: int
    skipped: dict[str, int]
    """Reason to number of files or objects left out while reading."""


class Expectation(Record):
    """One line of the data contract and its verdict."""

    name: str
    column: str | None
    passed: bool
    observed: str
    """The observed value, in words."""
    bound: str
    failing_ids: tuple[str, ...]
    """Ids of failing rows, at most 20."""
    failing: int


class ValidateReport(Record):
    """The verdict on the raw data."""

    passed: bool
    documents: int
    expectations: tuple[Expectation, ...]
    statistics: dict[str, float]
    """Named figures of the one pass over the data."""
    length_histogram: tuple[tuple[int, int], ...]
    """Lower edge in characters and number of documents."""
    characters_by_source: dict[str, int]


class PrepareReport(Record):
    """Counts of cleaning and splitting; `documents_in` = sum of `splits` + sum of `rejects`."""

    documents_in: int
    splits: dict[str, int]
    """Documents in train, validation and test, without canaries."""
    split_characters: dict[str, int]
    rejects: dict[str, int]
    """Reason to number."""
    redactions: dict[str, int]
    """Kind of personal data to number of replacements."""
    licences: dict[str, int]
    """SPDX id to number of documents kept."""
    licences_refused: dict[str, int]
    """Source to number of documents refused for their licence."""
    documents_by_source: dict[str, int]
    families: int
    """Groups of similar documents that were kept on one side of the split."""
    canaries: int
    """Canary documents added to the training split, repeats included."""


class TokenizeReport(Record):
    """Tokenizer and packed tokens."""

    vocabulary: int
    dtype: Literal["uint16", "uint32"]
    tokens: dict[str, int]
    """Split to tokens, separators included."""
    documents: dict[str, int]
    bytes: dict[str, int]
    """Split to UTF-8 bytes of text."""
    tokenizer_sha256: str


class TrainReport(Record):
    """What training did. The curve itself is in `reports/train_log.jsonl`."""

    parameters: int
    steps: int
    """Steps done; fewer than asked for after an early stop."""
    best_step: int
    """Step of the released weights."""
    tokens_seen: int
    stopped_early: bool
    train_loss: float
    """Mean over the last validation interval, nats per token."""
    validation_loss: float
    """Of the released weights, nats per token."""
    validation_bits_per_byte: float
    dtype: str
    threads: int
    checkpoints: tuple[tuple[int, str], ...]
    """Step and digest of every checkpoint: the chain that a replay is compared with."""
    weights_sha256: str


class ChoiceReport(Record):
    """A multiple-choice task."""

    accuracy: Measure
    chance: float
    definition: str
    """How a question is made and how a choice is scored."""


class EvaluateReport(Record):
    """Quality on the test split."""

    weights_sha256: str
    test_sha256: str
    """Digest of the held-out file."""
    test_documents: int
    test_bytes: int
    bits_per_byte: dict[str, Measure]
    """`model`, `gzip`, `xz`, `zstd_dictionary`, `byte_5gram`: all on the same text."""
    bits_per_byte_by_source: dict[str, float]
    choices: dict[str, ChoiceReport]
    """`continuation` and `signature`."""
    choices_left_out: dict[str, str] = {}
    """Task to the reason why the test split could not ask it."""
    samples: tuple[tuple[str, str], ...]
    """Prompt and greedy continuation, for people to look at."""


class Probe(Record):
    """One safety probe."""

    name: str
    status: Literal["run", "not run", "not applicable"]
    reason: str
    """Why it was not run; empty if it was."""
    measures: dict[str, Measure]
    details: dict[str, str]


class SafetyReport(Record):
    """The battery, with what was not run in plain sight."""

    weights_sha256: str
    probes: dict[str, Probe]


class BundleReport(Record):
    """The assembled release directory."""

    bundle_digest: str
    """sha256 of `bundle/manifest.json`."""
    files: int
    bytes: int


class Finding(Record):
    """One reason to refuse."""

    rule: str
    """Rule id, e.g. `safetensors.overlap`."""
    path: str
    offset: int | None
    reason: str
    remedy: str


class ScanReport(Record):
    """Verdict over exactly the bytes that would be published; `passed` only if there is no finding."""

    bundle_digest: str
    """Digest of the manifest of what was scanned; empty for a path that is no bundle."""
    files_scanned: int
    passed: bool
    findings: tuple[Finding, ...]


class StageRecord(Record):
    """The envelope in `reports/<stage>.json`."""

    stage: str
    slipway: str
    """Version of Slipway."""
    settings: dict[str, Any]
    """The stage's section of the recipe."""
    inputs: dict[str, str]
    """Path to sha256 of every file read from an earlier stage."""
    outputs: dict[str, str]
    """Path to sha256 of every file written."""
    result: dict[str, Any]
    """One of the reports above."""


REPORTS: dict[str, type[Record]] = {
    "acquire": AcquireReport,
    "validate": ValidateReport,
    "prepare": PrepareReport,
    "tokenize": TokenizeReport,
    "train": TrainReport,
    "evaluate": EvaluateReport,
    "safety": SafetyReport,
    "bundle": BundleReport,
    "scan": ScanReport,
}


def read_record(path: str | Path) -> StageRecord:
    """Read `reports/<stage>.json`.

    Raises:
        UserError: if it is missing or not what a stage writes.
    """
    path = Path(path)
    try:
        return StageRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such report; run `slipway build`") from None
    except ValidationError as error:
        raise UserError(f"{path} is not a stage's report ({error.error_count()} faults); rebuild the stage") from None


def read_report(path: str | Path) -> Any:
    """The typed report inside `reports/<stage>.json`; raises as `read_record`."""
    record = read_record(path)
    try:
        return REPORTS[record.stage].model_validate_json(json.dumps(record.result))
    except (KeyError, ValidationError) as error:
        raise UserError(f"{path}: the result is not a report of `{record.stage}` ({error}); rebuild the stage") from None
