"""What comes from elsewhere, judged before anything loads it: the rules of a release, in a process of its own.

>>> scan_input(Path("models/base")).passed
True
"""

from collections.abc import Sequence
from pathlib import Path

from slipway.errors import UserError
from slipway.records import ScanReport
from slipway.scan.isolation import Task, judge

ANY_SIZE = 1 << 62
"""A base may be larger than what we publish; what is read into memory has limits of its own."""
ONLY_RELEASED = {
    f"template.{rule}" for rule in ("content", "addition", "rewrite", "name", "call", "filter", "syntax", "role")
}
"""Rules for what is published: a base's own template is rendered in a sandbox, by `slipway.chat` alone, and judged
again by the release's scan."""


def scan_input(path: Path) -> ScanReport:
    """Judge a directory that came from elsewhere: the rules of a bundle, without a manifest, and without ONLY_RELEASED.

    Raises:
        UserError: if there is nothing at `path`.
    """
    return scan_inputs([path])[0]


def scan_inputs(paths: Sequence[Path]) -> list[ScanReport]:
    """As `scan_input`, of several at once."""
    for path in paths:
        if not path.exists() and not path.is_symlink():
            raise UserError(f"{path}: nothing is there to scan; give a bundle or a file")
    found = []
    for report in judge([Task(path, ANY_SIZE) for path in paths]):
        kept = tuple(finding for finding in report.findings if finding.rule not in ONLY_RELEASED)
        found.append(report.model_copy(update={"findings": kept, "passed": not kept}))
    return found
