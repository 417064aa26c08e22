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
