"""`slipway scan`."""

import argparse
from pathlib import Path

from slipway.cli.common import project
from slipway.errors import UserError


def scan(arguments: argparse.Namespace) -> int:
    """Scan files or directories as a release would be.

    A directory is judged as a bundle, a file as if it stood in one. Nothing is loaded or executed; what
    is not known to be safe is refused.
    """
    from slipway.recipe import load
    from slipway.scan.verdict import scan as examine

    try:
        limit = load(project() / "params.yaml").scan.max_file_bytes
    except UserError:
        limit = 50_000_000_000  # outside of a project there is no recipe to ask
    reports = {path: examine(Path(path), limit) for path in arguments.paths}
    for path, report in reports.items():
        print(f"{path}: {'PASS' if report.passed else 'REFUSE'} ({report.files_scanned} files)")
        for finding in report.findings:
            where = finding.path + (f" at byte {finding.offset}" if finding.offset is not None else "")
            print(f"  {finding.rule}  {where}: {finding.reason}. {finding.remedy}")
    if arguments.json:
        import json

        document = {path: report.model_dump(mode="json") for path, report in reports.items()}
        Path(arguments.json).write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    return 0 if all(report.passed for report in reports.values()) else 1
