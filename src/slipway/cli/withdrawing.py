"""`slipway yank` and `slipway rescan`."""

import argparse

from slipway.cli.common import become, project


def yank(arguments: argparse.Namespace) -> int:
    """Withdraw a release: tombstone, advisory, channels.

    From the first second on every verifier refuses NAME@VERSION. Channels that named it go back to their last good
    release, and MLflow's alias with them; nothing is deleted. Needs the signing key of the project. Run it again if it
    was interrupted: it finishes. Exit code 0 only if all of it is done. See docs/withdrawing.md.
    """
    options = ["--reason", arguments.reason, *(["--dry-run"] if arguments.dry_run else [])]
    for name in ("severity", "advisory"):
        options += [f"--{name}", getattr(arguments, name)] if getattr(arguments, name) else []
    become(project(), "flows.yank_console", arguments.release, *options)


def rescan(arguments: argparse.Namespace) -> int:
    """Look at what is published, as the nightly run does.

    Verifies every byte that the channels name, scans it with today's rules, audits its software with today's
    advisories and compares with the last time. Each new fault is an incident: it is printed, sent to SLIPWAY_WEBHOOK
    and kept under .slipway/watch/. Exit code 0: nothing new and nothing broken. See docs/withdrawing.md.
    """
    become(project(), "flows.rescan_console", *(["--all"] if arguments.all else []))
