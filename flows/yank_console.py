"""The command behind `slipway yank`: withdraws a release without Prefect, in seconds, and says what was done."""

import argparse
import sys
from pathlib import Path

from flows import events, watching
from slipway.errors import UserError


def split(release: str) -> tuple[str, str]:
    """Name and version of NAME@VERSION; raises UserError for anything else."""
    name, _, version = release.partition("@")
    if not name or not version or "/" in release:
        raise UserError(f"{release}: names no version; write NAME@VERSION (`slipway releases` lists them)")
    return name, version


def summary(told: watching.Told) -> str:
    """What was done and what users see, in lines."""
    done = told.done
    yanked = done.yanked
    seen = f"use {yanked.replaced_by} instead" if yanked.replaced_by else "wait for the next release"
    lines = [f"mlflow     {told.tracking or 'was not told'}"]
    lines += [f"NOT DONE   {fault}" for fault in told.undone]
    lines += [
        f"{yanked.name} {yanked.version} {'is withdrawn' if done.new else 'was withdrawn already'}: {yanked.reason}",
        f"{'channels that could be moved do not name it' if done.unlike else 'no channel names it'} any more, "
        f"after {done.seconds:.1f} s",
        f"who fetches or verifies it is refused and told: {seen}",
    ]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """`python -m flows.yank_console NAME@VERSION --reason TEXT`; 0 only if all is done, 1 if a part is not."""
    parser = argparse.ArgumentParser(prog="slipway yank", description="Withdraw a release.")
    parser.add_argument("release", metavar="NAME@VERSION")
    parser.add_argument("--reason", required=True)
    parser.add_argument("--severity", choices=watching.SEVERITIES)
    parser.add_argument("--advisory")
    parser.add_argument("--dry-run", action="store_true")
    arguments = parser.parse_args(argv)
    root = Path.cwd()
    try:
        name, version = split(arguments.release)
        if arguments.dry_run:
            print(_foreseen(watching.foresee(root, name, version)), flush=True)
            return 0
        cause = watching.Cause(arguments.reason, arguments.severity, arguments.advisory)
        told = watching.withdraw(root, name, version, cause, lambda line: print(line, flush=True))
    except UserError as error:
        print(f"slipway yank: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        print("slipway yank: stopped; run it again, it carries on", file=sys.stderr, flush=True)
        return 130
    print(summary(told), flush=True)
    if line := events.send(root, [events.of_withdrawal(arguments.release, told)]):
        print(line, flush=True)
    return 1 if told.undone else 0


def _foreseen(plan: watching.Plan) -> str:
    """What a dry run says."""
    release = f"{plan.claim.name} {plan.claim.version}"
    lines = [f"would withdraw {release} (sha256 {plan.claim.manifest_sha256}); nothing was changed"]
    lines += [f"channel {channel}: {plan.claim.version} -> {to or 'nothing'}" for channel, to in plan.moves.items()]
    lines += [f"channel {channel}: keeps its release, lists {plan.claim.version}" for channel in plan.listed]
    lines += [f"would NOT be done: {fault}" for fault in plan.faults]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
