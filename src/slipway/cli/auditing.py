"""`slipway audit`."""

import argparse
from datetime import UTC, datetime
from pathlib import Path

from slipway.cli.common import project
from slipway.cli.releasing import find
from slipway.errors import Refusal, UserError

EXIT = {"clean": 0, "affected": 1, "stale": 2, "not run": 2}


def audit(arguments: argparse.Namespace) -> int:
    """Look up the software behind a release in a snapshot of advisories.

    Audits the packages of the bill of materials of RELEASE, by default of the bundle that lies in the project. Nothing
    is downloaded; docs/audit.md says how to get a snapshot. Exit code 0: no known vulnerability, 1: at least one,
    2: stale or not run, so nobody knows.
    """
    from slipway.recipe import load
    from slipway.release.audit import examine, of_bundle, read_bom, table
    from slipway.settings.release import Audit

    try:
        root = project()
        settings = load(root / "params.yaml").release.audit
    except UserError:
        if arguments.release == "bundle" or arguments.advisories is None:
            raise
        root, settings = Path(), Audit()  # outside of a project there is no recipe to ask
    place = Path(arguments.advisories) if arguments.advisories else root / settings.advisories
    today = datetime.now(UTC).date()
    if arguments.release == "bundle":
        report = of_bundle(root / "bundle", place, today, settings.max_age_days)
    else:
        data, what = _released(arguments.release, arguments.key)
        report = examine(read_bom(data, what), place, today, settings.max_age_days)
    print(table(report))
    if arguments.json:
        Path(arguments.json).write_text(report.to_json(), "utf-8")
    return EXIT[report.status]


def _released(reference: str, key: str | None) -> tuple[bytes, str]:
    """The signed bill of materials of a release that holds, and where it lies."""
    from slipway.files import sha256_bytes
    from slipway.release.audit.bundle import BOM
    from slipway.release.reading.verify import signed_files

    found = find(reference, key)
    name = f"{found.prefix.strip('/')}/{BOM}".lstrip("/")
    what = f"{found.store.url}/{name}"
    try:
        data, _ = found.store.read(name)
    except FileNotFoundError:
        raise UserError(f"{what}: missing; a release without a bill of materials cannot be audited") from None
    if sha256_bytes(data) != signed_files(found.store, found.prefix, found.public).get(BOM):
        raise Refusal(f"{what}: not the bytes that were signed; do not use this release")
    return data, what
