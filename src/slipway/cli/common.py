"""What several commands need: the project they run in, and turning into a flow."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from slipway import private_cache
from slipway.errors import UserError


def project() -> Path:
    """The project that the working directory lies in."""
    for directory in (Path.cwd(), *Path.cwd().parents):
        if (directory / "dvc.yaml").is_file() and (directory / "params.yaml").is_file():
            private_cache()
            return directory
    raise UserError(
        f"{Path.cwd()}: neither here nor above is a Slipway project (dvc.yaml and params.yaml); change into one"
    )


def become(root: Path, module: str, *arguments: str) -> NoReturn:
    """Turn this process into the flow, so that signals and the exit code are the flow's own."""
    sys.stdout.flush()
    os.chdir(root)
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606  the flow is ours
