"""The command behind `slipway rescan`: the nightly look without Prefect, and what is told of one."""

import argparse
import sys
from pathlib import Path

from flows import events, watching
from slipway.errors import UserError
from slipway.records import Incident


def text(night: watching.Night) -> str:
    """What was found, in Markdown: a line per channel, then what is wrong."""
    lines = []
    for look in night.looks:
        named = f"{look.name} {look.version}" if look.version else f"{look.name}: no release"
        counts = f"{look.files} files as signed, {look.files_scanned} scanned, software {look.audit}"
        lines.append(f"- {look.channel}: {named}; {counts if look.files else 'not as signed' if look.version else ''}")
    for title, found in (("NEW", night.new), ("still open", night.standing), ("mended", night.mended)):
        lines += [f"- **{title}** {line(incident)}" for incident in found]
    lines += [f"- **not told** {fault}" for fault in night.undelivered]
    return "\n".join(lines) or "nothing was released yet"


def line(incident: Incident) -> str:
    """One line on an incident."""
    return f"{incident.severity} `{incident.kind}` {incident.release} since {incident.time}: {incident.details}"


def main(argv: list[str] | None = None) -> int:
    """`python -m flows.rescan_console [--all]`; 1 if the flow would fail."""
    parser = argparse.ArgumentParser(prog="slipway rescan", description="Look at what is published.")
    parser.add_argument("--all", action="store_true", help="every name in the store, not only the recipe's")
    everything, root = parser.parse_args(argv).all, Path.cwd()
    try:
        night = watching.rescan(root, everything=everything)
    except UserError as error:
        print(f"slipway rescan: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        print("slipway rescan: stopped", file=sys.stderr, flush=True)
        return 130
    print(text(night), flush=True)
    if line := events.send(root, events.of_night(night)):
        print(f"- {line}", flush=True)
    return 1 if night.failed else 0


if __name__ == "__main__":
    sys.exit(main())
