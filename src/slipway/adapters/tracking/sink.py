"""Metrics of a training run, sent to MLflow in batches by a thread: the loop pays for putting them into a queue.

Without an open run (`SLIPWAY_MLFLOW_RUN_ID`) the sink takes everything and sends nothing, so that training needs no
tracker.
"""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from slipway.adapters.tracking.client import client

INTERVAL = 15.0
"""Seconds between two batches."""
PATIENCE = 60.0
"""Seconds that the end of a training waits for the last batch."""
BATCH = 1000
"""Metrics per request, MLflow's limit."""
WAITING = 10_000
"""Lines that are kept while MLflow cannot be reached; after that the oldest go."""

Log = Callable[[int, Mapping[str, float]], None]


class _Sink:
    def __init__(self, run_id: str, root: Path, interval: float) -> None:
        # Here, before training, so that no step waits for imports, and no thread imports while another does.
        from mlflow.entities import Metric

        self.run_id, self.mlflow, self.metric = run_id, client(root), Metric
        self.lines: deque[tuple[int, int, dict[str, float]]] = deque(maxlen=WAITING)
        self.batch: list[Any] = []
        """Taken from the lines and not with MLflow yet."""
        self.told = False
        self.lost = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._keep, args=(interval,), name="mlflow", daemon=True)
        self.thread.start()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.lost += len(self.lines) == WAITING
        self.lines.append((int(time.time() * 1000), step, {key: float(value) for key, value in values.items()}))

    def _keep(self, interval: float) -> None:
        while not self.over.wait(interval):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        try:
            while self.batch or self.lines:
                while self.lines and len(self.batch) < BATCH:
                    now, step, values = self.lines.popleft()
                    self.batch += [self.metric(key, value, now, step) for key, value in values.items()]
                self.mlflow.log_batch(self.run_id, metrics=self.batch[:BATCH])
                del self.batch[:BATCH]
        except Exception as error:  # noqa: BLE001  whatever a server does must not end hours of training
            if not self.told:
                self._say(f"metrics cannot be sent now, they are kept and sent later: {error}")
            self.told = True

    def close(self) -> None:
        """Send what is left; give up after PATIENCE seconds, because the training log has it all."""
        self.over.set()
        self.thread.join(PATIENCE)
        if self.thread.is_alive() or self.batch or self.lines or self.lost:
            left = f"{len(self.batch)} metrics and {len(self.lines) + self.lost} lines"
            self._say(f"{left} were not sent; reports/train_log.jsonl has the curve")

    @staticmethod
    def _say(text: str) -> None:
        print(f"mlflow: {text}", file=sys.stderr, flush=True)


@contextmanager
def metric_sink(root: Path = Path(), interval: float = INTERVAL) -> Iterator[Log]:
    """A function `log(step, {name: value})`; what it was given is with MLflow when the context ends.

    If MLflow cannot be reached it says so once on stderr, keeps the metrics and tries again with the next batch.

    Args:
        root: the project.
        interval: seconds between two batches.
    """
    run_id = os.environ.get("SLIPWAY_MLFLOW_RUN_ID")
    if not run_id:
        yield lambda *_: None
        return
    sink = _Sink(run_id, root, interval)
    try:
        yield sink.log
    finally:
        sink.close()
