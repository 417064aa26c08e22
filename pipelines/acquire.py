"""acquire: the recipe's inputs into data/ and models/base/, every file checked against inputs.lock first."""

import shutil

from pipelines.frame import Frame, run
from slipway.adapters.inputs import pull, remotes
from slipway.data.sources import acquire, fetch
from slipway.data.sources.base import place_base
from slipway.data.sources.wanted import wants
from slipway.errors import Refusal
from slipway.records import AcquireReport
from slipway.scan.verdict import scan_input


def main(frame: Frame) -> AcquireReport:
    """Fetch, check, scan the base, read; then count and say what was skipped."""
    pull(frame.root, [want.path for want in wants(frame.recipe)])
    inputs = fetch(frame.recipe, frame.root, remotes(), frame.progress)
    target = frame.root / "models" / "base"
    base = place_base(frame.recipe.acquire.base, inputs.base, target)
    if base and (findings := scan_input(target).findings):
        shutil.rmtree(target)
        listed = "\n".join(f"  {finding.rule}: {finding.path}: {finding.reason}" for finding in findings)
        raise Refusal(f"acquire.base {base.location}: nothing was loaded, because the scan refuses\n{listed}")
    report = acquire(frame.recipe, frame.root, inputs, frame.progress, frame.spread)
    print(f"{report.documents:,} documents, {report.characters:,} characters from {len(report.sources)} sources")
    for reason, count in report.skipped.items():
        print(f"skipped: {count:,} · {reason}")
    return report.model_copy(update={"base": base})


if __name__ == "__main__":
    run("acquire", main)
