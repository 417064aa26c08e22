"""One report per stage of the build: what the stage found, as typed values."""

from typing import Literal

from slipway.records.base import Measure, Record


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
