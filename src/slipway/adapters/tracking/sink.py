"""Metrics of a training run, sent to MLflow in batches; a single call per step would cost more than the step.

Without an open run (`SLIPWAY_MLFLOW_RUN_ID`) the sink takes everything and sends nothing, so that training needs no
tracker.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from slipway.adapters.tracking.client import client

INTERVAL = 5.0
"""Seconds between two batches; a batch costs 0.1 s."""
BATCH = 1000
"""Metrics per request, MLflow's limit."""

Log = Callable[[int, Mapping[str, float]], None]


class _Sink:
    def __init__(self, run_id: str, root: Path) -> None:
        self.run_id, self.root = run_id, root
        self.waiting: list[Any] = []
        self.last = time.monotonic()
        self.mlflow = client(root)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.waiting += [Metric(key, float(value), now, step) for key, value in values.items()]
        if time.monotonic() - self.last > INTERVAL:
            self.flush()

    def flush(self) -> None:
        from mlflow.exceptions import MlflowException

        self.last = time.monotonic()
        try:
            while self.waiting:
                self.mlflow.log_batch(self.run_id, metrics=self.waiting[:BATCH])
                del self.waiting[:BATCH]
        except MlflowException as error:
            # Hours of training are worth more than their live curve, which is in the training log as well.
            print(f"mlflow: {len(self.waiting)} metrics not sent yet: {error}", file=sys.stderr, flush=True)


@contextmanager
def metric_sink(root: Path = Path()) -> Iterator[Log]:
    """A function `log(step, {name: value})`; what it was given is with MLflow when the context ends.

    If MLflow cannot be reached it says so on stderr, keeps the metrics and tries again with the next batch.
    """
    run_id = os.environ.get("SLIPWAY_MLFLOW_RUN_ID")
    if not run_id:
        yield lambda *_: None
        return
    sink = _Sink(run_id, root)
    try:
        yield sink.log
    finally:
        sink.flush()
