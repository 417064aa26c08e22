"""What `slipway status` says of the build and the release; it changes nothing and starts no Prefect."""

import sys
from pathlib import Path

from flows import steps
from flows.graph import stale
from flows.release_console import facts, print_facts
from slipway.errors import UserError
from slipway.graph import stages


def main() -> int:
    """Print the stages and the release of the bundle as it lies; returns the exit code."""
    root = Path.cwd()
    try:
        old = stale(root)
        for name in stages(root / "dvc.yaml"):
            print(f"{'stale' if name in old else 'up to date':<11} {name}")
        if trained := steps.spent(root):
            print(f"{'ledger':<11} {trained}")
        print()
        if not (root / "bundle" / "manifest.json").is_file():
            print("no bundle yet; `slipway release` makes one")
            return 0
        context = steps.open_context(root)
        missing = [step for step in steps.STEPS if steps.done(context, step) is None]
        if missing:
            print(f"bundle {context.digest}\nnot released: {', '.join(missing)} to do; run `slipway release`")
        else:
            print_facts(facts(context))
        print()
    except UserError as error:
        print(f"slipway status: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
