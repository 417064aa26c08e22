"""Reports of the stages from `train` on: what each found, as typed values."""

from typing import Literal

from slipway.records.base import Measure, Record


class TrainReport(Record):
    """What training did; nothing in it varies between equal runs. The curve itself is in `reports/train_log.jsonl`."""

    objective: str
    """pretrain, sft, dpo, simpo or distill."""
    start: str
    """scratch or base."""
    adapter: str | None
    """Low-rank adapters that were trained and merged, in words."""
    merge_error: float | None
    """Largest difference of a logit between adapters and merged weights, on held-out rows."""
    parameters: int
    trained_parameters: int
    steps: int
    """Steps done; fewer than asked for after an early stop."""
    best_step: int
    """Step of the released weights."""
    tokens_seen: int
    """Places of rows that were computed, filling included."""
    tokens_learnt: int
    """Tokens that counted in the loss."""
    stopped_early: bool
    train_loss: float
    """Mean over the interval before the validation of the released weights, nats per token (or of the objective)."""
    validation_loss: float
    """Of the released weights, in the same unit."""
    gap: float
    """validation_loss - train_loss: what overfitting opens."""
    validation_bits_per_byte: float | None
    """None for objectives on pairs."""
    averaged: bool
    """The weights are an exponential moving average."""
    dtype: str
    """What the forward pass computed in; parameters and optimiser were float32."""
    device: str
    """Kind of processor, e.g. `cpu AVX2` or `cuda NVIDIA H100`: equal bits are to be expected on the same kind."""
    world_size: int
    """Processes."""
    threads: int
    faster_layers: tuple[str, ...] = ()
    """Layers that computed with a form of their own, proven equal by trial, with their numbers."""
    compiled: str
    """Whether `torch.compile` was used, and why."""
    flops_per_token: int
    """Forward and backward, without what activation checkpointing repeats."""
    flops: int
    """Of `tokens_seen`."""
    flops_method: str
    checkpoints: tuple[tuple[int, str], ...]
    """Step and digest of every checkpoint: the chain that a replay is compared with."""
    run_key: str
    """Names everything that a step depends on: settings, seed, tokens, code; attempts in the ledger bear it."""
    weights_sha256: str


class ChoiceReport(Record):
    """A multiple-choice task."""

    accuracy: Measure
    chance: float
    definition: str
    """How a question is made and how a choice is scored."""


class BaseComparison(Record):
    """The base that training started from, beside the model, on the very same text and answers.

    A difference is the model minus the base, document by document (or answer by answer), so its interval is that of
    the improvement itself: below 0 the model is better.
    """

    digest: str
    """Of the base, as `reports/acquire.json` has it."""
    bits_per_byte: Measure
    bits_per_byte_difference: Measure
    answers: Measure | None = None
    """Of the form in which the base does better; None if the test split has no answer."""
    answers_form: Literal["template", "plain"] | None = None
    """`template`: rendered as for the model. `plain`: without control tokens, which a base may never have met, and
    without what ends the answer."""
    answers_by_form: dict[str, Measure] = {}
    answers_difference: Measure | None = None
    """The model, with its template, minus `answers`."""


class EvaluateReport(Record):
    """Quality on the test split."""

    weights_sha256: str
    test_sha256: str
    """sha256 over the sorted lines `<sha256>  <path>` of the test shards."""
    test_documents: int
    test_bytes: int
    bits_per_byte: dict[str, Measure]
    """`model`, `gzip`, `xz`, `zstd_dictionary`, `byte_5gram`: all on the same text."""
    bits_per_byte_by_source: dict[str, float]
    answers: Measure | None = None
    """Bits per byte of the assistant's turns and of completions, each after all that was said before it, rendered as
    in training; None if the test split has none."""
    base: BaseComparison | None = None
    """None if training started from new weights."""
    choices: dict[str, ChoiceReport]
    """`continuation`, `signature` and the names of `evaluate.files`."""
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
