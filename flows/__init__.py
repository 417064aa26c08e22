"""When and where: Prefect flows over the build graph and the release steps.

Importing this package sets Prefect's defaults before Prefect reads them: its state lies under `.slipway/`,
and its console chatter is off, because the flows print their own lines. A value that is already set in the
environment wins.
"""

import os
from pathlib import Path

import slipway

STATE = Path(".slipway")

os.environ.setdefault("PREFECT_HOME", str((STATE / "prefect").absolute()))
os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
if Path("dvc.yaml").exists():
    slipway.private_cache()
    # Prefect makes the last directory of its home, not those above.
    Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
