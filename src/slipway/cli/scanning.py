"""`slipway scan`."""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from slipway.cli.common import project
from slipway.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    from slipway.records import ScanReport

LARGEST = 50_000_000_000
"""Bytes of the largest file outside of a project, where no recipe says."""


def scan(arguments: argparse.Namespace) -> int:
    """Scan files or directories as a release would be.

    A directory is judged as a bundle, a file as if it stood in one, each in a process of its own. Nothing is loaded
    or executed; what is not known to be safe is refused. Exit code 0 only if every PATH passes; see docs/scanning.md.
    """
    from slipway.files import write_atomic
    from slipway.scan.isolation import Task, judge

    for path in map(Path, arguments.paths):
        if not _is_there(path):
            raise UserError(f"{path}: nothing is there to scan; give a bundle or a file")
    limit = _limit()
    reports = judge([Task(Path(path), limit) for path in arguments.paths], _tell())
    for path, report in zip(arguments.paths, reports, strict=True):
        _say(path, report)
    passed = all(report.passed for report in reports)
    if len(reports) > 1:
        print(f"{sum(report.passed for report in reports)} of {len(reports)} pass")
    if arguments.json:
        listed = {path: report.model_dump(mode="json") for path, report in zip(arguments.paths, reports, strict=True)}
        document = {"format": "slipway-scan-1", "passed": passed, "paths": listed}
        write_atomic(Path(arguments.json), json.dumps(document, indent=2) + "\n")
    return 0 if passed else 1


def _is_there(path: Path) -> bool:
    """Whether something may be at a path; what cannot be looked at is judged, and refused with the reason."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _limit() -> int:
    from slipway.recipe import load

    try:
        root = project()
    except UserError:
        return LARGEST
    return load(root / "params.yaml").scan.max_file_bytes


def _tell() -> "Callable[[int, int, str], None]":
    """Shows how far it is, on a terminal, once it has taken a second."""
    from slipway.progress import Progress

    shown, started = Progress("scan"), time.monotonic()

    def tell(done: int, total: int, note: str) -> None:
        if sys.stdout.isatty() and time.monotonic() - started > 1:
            shown(done, total, note)

    return tell


def _say(path: str, report: "ScanReport") -> None:
    from slipway.scan.subject import shown

    print(f"{shown(path)}: {'PASS' if report.passed else 'REFUSE'} ({report.files_scanned} files)")
    for finding in report.findings:
        where = finding.path + (f" at byte {finding.offset}" if finding.offset is not None else "")
        print(f"  {finding.rule}  {where}: {finding.reason}. {finding.remedy}")
