"""Slipway takes an open-weight model from data to a signed release that a stranger can check.

Importing the package sets the privacy and safety defaults of the libraries it drives (no telemetry, no
hub access, no pickle), because most of them read their environment once, at import. A value that is
already set in the environment wins.
"""

import os

__version__ = "0.1.0"

ENVIRONMENT = {
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    # 20 s, the library's own limit, is too short for a first start on a cold disk.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "GX_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1",
    # A thread that spins while it waits takes the core that another stage could use.
    "OMP_WAIT_POLICY": "passive",
    "TOKENIZERS_PARALLELISM": "true",
}

# DVC's own choice is a folder for all users of the machine, with pickles in it that anybody could put there.
ENVIRONMENT["DVC_SITE_CACHE_DIR"] = os.path.join(  # noqa: PTH118  pathlib would be imported for this line alone
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),  # noqa: PTH111
    "slipway",
    "dvc",
)

for _name, _value in ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)


def private_cache() -> None:
    """Make DVC's folder of its own for this user alone, before DVC makes it for all."""
    os.makedirs(os.environ["DVC_SITE_CACHE_DIR"], mode=0o700, exist_ok=True)  # noqa: PTH103
