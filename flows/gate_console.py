"""The command behind `slipway gate`: the verdict on the bundle as it lies, without a release and without Prefect."""

import argparse
import sys
from pathlib import Path

from flows import gating, steps
from slipway.errors import UserError
from slipway.files import write_atomic


def main(argv: list[str] | None = None) -> int:
    """`python -m flows.gate_console [--json OUT]`; 0 only for GO, 1 for NO-GO and for INCONCLUSIVE."""
    parser = argparse.ArgumentParser(prog="slipway gate", description="Judge the bundle without releasing it.")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the verdict to this file")
    out = parser.parse_args(argv).json
    try:
        context = steps.open_context(Path.cwd())
        verdict = gating.judge(context)
        print(gating.explain(verdict), flush=True)
        if out:
            _write(out, verdict.to_json())
        print("", *gating.keep(context, verdict), sep="\n", flush=True)
    except UserError as error:
        print(f"slipway gate: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        print("slipway gate: stopped", file=sys.stderr, flush=True)
        return 130
    return 0 if verdict.verdict == "GO" else 1


def _write(out: Path, text: str) -> None:
    try:
        write_atomic(out, text)
    except OSError as error:
        raise UserError(
            f"--json {out}: cannot be written ({error.strerror}); name a file in a folder of yours"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
