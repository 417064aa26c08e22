"""LEDGER.md: what training cost, beside the card of a release.

It varies from run to run, so it is no file of the bundle: it is rendered at signing from the ledger inside the signed
statement, the signature covers it, and the manifest does not list it.
"""

import json
from typing import Any

from pydantic import ValidationError

from slipway.errors import Refusal
from slipway.page import number
from slipway.records import LedgerReport, LedgerTotal
from slipway.records.ledger import INTERVAL
from slipway.release.bundle.render import markdown, share

NAME = "LEDGER.md"
ROWS = ("How they ended", "Devices", "Device-hours", "Tokens", "FLOPs", "MFU", "Energy", "Cost")
ENDS = ("finished", "failed", "interrupted", "killed", "running")


def stated(content: dict[str, Any]) -> bool:
    """Whether a release statement speaks of a ledger; releases made before there were ledgers do not."""
    return "ledger" in content["predicate"]["buildDefinition"].get("internalParameters", {})


def read(content: dict[str, Any], what: str) -> LedgerReport:
    """The ledger in the content of a release statement that states one.

    Raises:
        Refusal: if it is none that this version can read.
    """
    found = content["predicate"]["buildDefinition"]["internalParameters"]["ledger"]
    try:
        return LedgerReport.model_validate_json(json.dumps(found))
    except ValidationError as error:
        raise Refusal(
            f"{what}: its ledger cannot be read ({error.error_count()} faults); release with the version of Slipway "
            "that wrote it"
        ) from None


def _energy(total: LedgerTotal) -> str:
    if total.energy_kwh is None:
        return "unknown"
    lacking = f"; {total.energy_unknown} of {total.attempts} attempts unknown" if total.energy_unknown else ""
    return f"{number(total.energy_kwh)} kWh{lacking}"


def _mfu(total: LedgerTotal) -> str:
    lacking = f"; {total.peak_unknown} of {total.attempts} attempts without a peak" if total.peak_unknown else ""
    return "unknown" if total.mfu is None else f"{share(total.mfu)}{lacking}"


def _cost(total: LedgerTotal) -> str:
    return "no price in the recipe" if total.cost is None else f"{total.cost:,.2f} {total.currency}"


def _rows(total: LedgerTotal) -> dict[str, str]:
    if not total.attempts:
        # Trained elsewhere, or before there was a ledger: unknown, which is not nothing.
        return dict.fromkeys(ROWS, "unknown")
    ends = [f"{getattr(total, end)} {end}" for end in ENDS if getattr(total, end)]
    values = (
        ", ".join(ends),
        ", ".join(total.devices),
        number(total.device_hours),
        number(total.tokens),
        f"{total.flops:.3e}",
        _mfu(total),
        _energy(total),
        _cost(total),
    )
    return dict(zip(ROWS, values, strict=True))


def render(report: LedgerReport) -> str:
    """The text of LEDGER.md."""
    this, every = _rows(report.this_run), _rows(report.all_runs)
    return markdown(
        "ledger.md.j2",
        report=report,
        rows=[(name, value, every[name]) for name, value in this.items()],
        methods=report.all_runs.energy_methods,
        interval=INTERVAL,
    )


def line(report: LedgerReport) -> str:
    """The ledger in one line, for a terminal."""
    total = report.all_runs
    parts = [
        f"{total.attempts} attempt{'' if total.attempts == 1 else 's'} ({report.this_run.attempts} of this run)",
        f"{number(total.device_hours)} device-hours",
        f"{number(total.tokens)} tokens",
        f"MFU {_mfu(total)}",
        f"energy {_energy(total)}",
        _cost(total),
    ]
    return ", ".join(parts)
