"""The ledger of training: every attempt that computed something, summed; failed and repeated ones included.

One attempt is one process, or one job of several, that trained. Each leaves a file in `.slipway/ledger/` of its
project, written by `slipway.model.ledger`. Unlike the other records a ledger varies from run to run: it stays out of
reports and bundles, and stands in the signed statement of a release.

    >>> project_ledger(Path.cwd(), recipe.bundle.price).all_runs.attempts
    3
"""

import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from slipway.errors import UserError
from slipway.processes import recorded
from slipway.records.base import Record
from slipway.records.stage import read_record
from slipway.settings import Price

FOLDER = Path(".slipway", "ledger")
"""Of a project."""
INTERVAL = 10.0
"""Seconds between two writes of an attempt; so much of a killed one may be missing."""
SILENCE = 600.0
"""Seconds without a write after which an attempt on another machine is taken to be dead."""
HOUR, KWH = 3600.0, 3.6e6

Outcome = Literal["running", "finished", "failed", "interrupted", "killed"]


class AttemptRecord(Record):
    """One attempt, as its file holds it."""

    key: str
    """`run_key` of what was trained: 16 hex digits."""
    recipe: str
    began: str
    """ISO 8601 with time zone."""
    host: str
    pid: int
    started: float
    """When the process was started, seconds since 1970; pids are used again."""
    device: str
    devices: int
    """Of the whole job."""
    seconds: float
    """From the first step to the last write, with validation and checkpoints."""
    tokens: int
    """Computed in training steps, those that an earlier attempt had computed already included."""
    flops: int
    """Of these tokens."""
    peak_flops: float | None
    """Per second, measured with matrix products, all devices together; None if it was not measured."""
    energy_joules: float | None
    energy_method: str
    """Where the energy was read, or why it is not known."""
    outcome: Outcome
    step: int | None
    """Of the run, at the end; None before."""

    @property
    def device_seconds(self) -> float:
        return self.seconds * self.devices


class LedgerTotal(Record):
    """The sum of some attempts."""

    attempts: int
    finished: int
    failed: int
    interrupted: int
    """Stopped by a signal or a person."""
    killed: int
    """Ended without a word; up to INTERVAL seconds of each are missing."""
    running: int
    devices: tuple[str, ...]
    """Kinds of device."""
    tokens: int
    flops: int
    device_hours: float
    mfu: float | None
    """FLOPs per second over the measured peak, of the attempts that have one; their whole time counts."""
    peak_unknown: int
    """Attempts without a measured peak."""
    energy_kwh: float | None
    """Of the attempts whose energy is known; None if that is none."""
    energy_unknown: int
    """Attempts without."""
    energy_methods: tuple[str, ...]
    cost: float | None
    """Device-hours at the recipe's price; None without one."""
    currency: str | None


class LedgerReport(Record):
    """What training cost."""

    key: str | None
    """Of the run whose weights are meant; None before there is one."""
    this_run: LedgerTotal
    """Attempts at that run: killed, resumed and finished ones."""
    all_runs: LedgerTotal
    """Every attempt in the project, whatever was trained and whatever came of it."""


def _dead(path: Path, attempt: AttemptRecord) -> bool:
    if attempt.host != socket.gethostname():
        return time.time() - path.stat().st_mtime > SILENCE
    return recorded(path) is None


def _read(path: Path) -> AttemptRecord:
    try:
        attempt = AttemptRecord.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise UserError(
            f"{path}: not an attempt of the ledger ({error.error_count()} faults), so what it spent is not known; "
            "restore it, or move it away and say so where you publish the ledger"
        ) from None
    if attempt.outcome == "running" and _dead(path, attempt):
        return attempt.model_copy(update={"outcome": "killed"})
    return attempt


def attempts(folder: Path) -> list[AttemptRecord]:
    """Every attempt in `folder`, oldest first; one that is written as running but is not any more is `killed`.

    Raises:
        UserError: for a file that is no attempt.
    """
    return sorted((_read(path) for path in folder.glob("*.json")), key=lambda one: one.began)


def total(some: Iterable[AttemptRecord], price: Price | None = None) -> LedgerTotal:
    """Sum attempts; `price` is the recipe's `bundle.price`."""
    some = list(some)
    outcomes = [one.outcome for one in some]
    rated = [(one.flops, one.seconds * one.peak_flops) for one in some if one.peak_flops]
    possible = sum(most for _, most in rated)
    joules = [one.energy_joules for one in some if one.energy_joules is not None]
    hours = sum(one.device_seconds for one in some) / HOUR
    return LedgerTotal(
        attempts=len(some),
        finished=outcomes.count("finished"),
        failed=outcomes.count("failed"),
        interrupted=outcomes.count("interrupted"),
        killed=outcomes.count("killed"),
        running=outcomes.count("running"),
        devices=tuple(sorted({one.device for one in some})),
        tokens=sum(one.tokens for one in some),
        flops=sum(one.flops for one in some),
        device_hours=hours,
        mfu=sum(done for done, _ in rated) / possible if possible else None,
        peak_unknown=len(some) - len(rated),
        energy_kwh=sum(joules) / KWH if joules else None,
        energy_unknown=len(some) - len(joules),
        energy_methods=tuple(sorted({one.energy_method for one in some})),
        cost=hours * price.per_device_hour if price and some else None,
        currency=price.currency if price else None,
    )


def read_ledger(folder: Path, key: str | None, price: Price | None) -> LedgerReport:
    """Sum the ledger in `folder`.

    Args:
        folder: `.slipway/ledger` of a project; it need not be there.
        key: `run_key` of the run whose weights are meant.
        price: the recipe's `bundle.price`.

    Raises:
        UserError: for a file in it that is no attempt.
    """
    found = attempts(folder)
    mine = [one for one in found if one.key == key]
    return LedgerReport(key=key, this_run=total(mine, price), all_runs=total(found, price))


def project_ledger(root: Path, price: Price | None) -> LedgerReport:
    """Sum the ledger of the project at `root`; `this_run` is the one in its report of `train`, if there is one."""
    path = root / "reports" / "train.json"
    # A report of before there were ledgers has no key.
    key = read_record(path).result.get("run_key") if path.is_file() else None
    return read_ledger(root / FOLDER, key, price)
