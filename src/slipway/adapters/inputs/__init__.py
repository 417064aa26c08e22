"""Where inputs that are not on this machine come from (remote extends this)."""

from pathlib import Path
from typing import Any


def remotes(root: Path) -> dict[str, Any]:
    """Scheme to remote."""
    return {}
