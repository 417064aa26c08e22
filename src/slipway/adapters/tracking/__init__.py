"""MLflow: one run per build, its metrics in batches, and every release as a model version found by its digest.

Without a server everything lies in `.slipway/mlflow.db` and `.slipway/mlartifacts`; `MLFLOW_TRACKING_URI` names a
server. Weights are never copied into MLflow: versions point at the release in the store. Nothing here decides
anything; a tag or alias set by hand releases nothing.
"""

from slipway.adapters.tracking.registry import mark_released, register, tell, withdraw
from slipway.adapters.tracking.runs import fail_build_run, find_run, finish_build_run, start_build_run
from slipway.adapters.tracking.sink import metric_sink
from slipway.adapters.tracking.verdicts import CHANNEL, keep_verdict, released, tags

__all__ = [
    "CHANNEL",
    "fail_build_run",
    "find_run",
    "finish_build_run",
    "keep_verdict",
    "mark_released",
    "metric_sink",
    "register",
    "released",
    "start_build_run",
    "tags",
    "tell",
    "withdraw",
]
