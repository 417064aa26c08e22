"""The command behind `slipway release`: builds what is stale, then runs the flow; ends with a table.

Light on purpose: when everything is built and released already, no Prefect starts. The gate is asked again, every
published byte is verified again, and the table says where the release lies.
"""

import argparse
import os
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

from flows import gating, steps
from flows.console import end_by_exception, up_to_date
from slipway.errors import UserError
from slipway.records import GateVerdict


def line(name: str, result: dict) -> str:
    """One line on what a step came to."""
    if name == "gate":
        return f"{result['verdict']} ({len(result['lines'])} checks)"
    if name == "approve":
        return result["summary"]
    if name == "sign":
        return f"{result['claim']['name']} {result['claim']['version']}, release {result['claim']['sequence']}"
    if name == "register":
        return f"MLflow model version {result['model_version']}"
    if name == "publish":
        counts = (
            f"{result['sent']} files sent, {result['copied']} copied in the store, {result['present']} there already"
        )
        damaged = "".join(f"; damaged in the store, sent instead: {key}" for key in result["damaged"])
        also = "".join(f"; {result[name]}" for name in ("checkpoints", "hub") if name in result)
        return f"{counts}{damaged}{also}; channel {result['pointer']}"
    return f"{result['files']} files read back, every byte as signed"


def gate_table(verdict: GateVerdict) -> str:
    """The whole verdict as a Markdown table, the lines that are not GO first."""
    rows = ["| line | tier | verdict | found | to do |", "|---|---|---|---|---|"]
    for line in sorted(verdict.lines, key=lambda line: line.verdict == "GO"):
        state = f"{line.verdict}, waived by {line.waived_by}" if line.waived_by else line.verdict
        cells = (line.id, line.tier, state, line.observed, line.action)
        rows.append("| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |")
    beside = verdict.champion or verdict.stand_in or "nothing"
    return "\n".join([f"**{verdict.verdict}**, compared with {beside}", "", *rows])


def facts(context: steps.Context, verified: dict | None = None) -> dict[str, str]:
    """What somebody needs to know after a release: bundle, gate, place, how to verify, where to look.

    Args:
        context: a release whose steps are all done.
        verified: what verifying just now came to; the journal's entry if it was not done again.
    """
    results = {name: steps.done(context, name) or {} for name in steps.STEPS}
    verified = verified or results["verify"]
    where = verified["uri"]
    tracking = _without_password(os.environ.get("MLFLOW_TRACKING_URI", ""))
    claim = results["sign"]["claim"]
    return {
        "release": f"{claim['name']} {claim['version']}",
        "bundle": context.digest,
        "gate": line("gate", results["gate"]),
        "audit": gating.audited(results["gate"]),
        "approval": results["approve"]["summary"],
        "lies at": where,
        **({"hub": results["publish"]["hub"]} if "hub" in results["publish"] else {}),
        "channel": verified.get("channel", "not looked at; run `slipway release`"),
        "verify": f"slipway verify {where}",
        "report": str(context.bundle / "report.html"),
        "mlflow": f"{tracking} (model {claim['name']})" if tracking else "slipway up, then http://127.0.0.1:5000",
    }


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def print_facts(found: dict[str, str]) -> None:
    """The table, one fact per line, never broken, so that paths can be copied."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    for name, value in found.items():
        console.print(f"{name:<9}", style="bold", end=" ")
        console.print(value, markup=False)


def released_already(root: Path) -> bool:
    """Whether the bundle is released in the store that is set now; verifies it once more then, and prints the table.

    Raises:
        Refusal: if what was released does not hold any more.
    """
    context = steps.open_context(root)
    if not all(steps.done(context, name) for name in steps.STEPS):
        return False
    with steps.release_lock(root):
        gating.ask(context, again=True)
        steps.approve(context, again=True)
        verified = steps.reverify(context)
    print(f"nothing to do: this bundle is released; {line('verify', verified)}", flush=True)
    print_facts(facts(context, verified))
    return True


def _build(root: Path) -> None:
    from flows.graph import stale

    if stale(root):
        from flows.build import build

        build()


def _to_do(root: Path, to_build: bool) -> bool:
    if to_build and not up_to_date(root):
        return True
    return not released_already(root)


def main(argv: list[str] | None = None) -> int:
    """`python -m flows.release [--build | --no-build]`; 0 only if it is released and verified, 3 if approval lacks."""
    parser = argparse.ArgumentParser(prog="slipway release", description="Release the bundle.")
    parser.add_argument(
        "--build", action=argparse.BooleanOptionalAction, default=True, help="bring the bundle up to date first"
    )
    to_build = parser.parse_args(argv).build
    root = Path.cwd()
    signal.signal(signal.SIGTERM, end_by_exception)
    try:
        if not _to_do(root, to_build):
            return 0
        from flows.release import release
        from flows.server import prefect_api

        with prefect_api(root):
            if to_build:
                _build(root)
            release()
    except UserError as error:
        print(f"slipway release: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        print("slipway release: stopped; run it again to carry on", file=sys.stderr, flush=True)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
