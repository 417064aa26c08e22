"""acquire: the recipe's inputs into data/, models/base/ and models/teacher/, every file checked against inputs.lock."""

import shutil

from pipelines.frame import Frame, run
from slipway.adapters.inputs import pull, remotes
from slipway.adapters.store import open_store
from slipway.data.sources import acquire, fetch
from slipway.data.sources.base import place_model
from slipway.data.sources.held import Held
from slipway.data.sources.wanted import wants
from slipway.errors import Refusal
from slipway.records import AcquireReport, BaseRecord
from slipway.release.reading.source import Releases
from slipway.release.signing.keys import public_key
from slipway.scan.incoming import scan_input
from slipway.settings import Base


def _model(frame: Frame, part: str, model: Base | None, files: tuple[Held, ...]) -> BaseRecord | None:
    """Place the weights of a part of the recipe and scan them; nothing of what the scan refuses stays."""
    target = frame.root / "models" / part
    record = place_model(model, files, target)
    if record and (findings := scan_input(target).findings):
        shutil.rmtree(target)
        listed = "\n".join(f"  {finding.rule}: {finding.path}: {finding.reason}" for finding in findings)
        raise Refusal(f"acquire.{part} {record.location}: nothing was loaded, because the scan refuses\n{listed}")
    return record


def main(frame: Frame) -> AcquireReport:
    """Fetch, check, scan weights, read; then count and say what was skipped."""
    recipe, root = frame.recipe, frame.root
    pull(root, [want.path for want in wants(recipe)])
    releases = Releases(lambda: open_store(root=root), lambda: public_key(root), recipe.release.channel)
    inputs = fetch(recipe, root, {**remotes(), "release": releases}, frame.progress)
    # Also what is kept from an earlier build is used only as long as the signature of its release holds.
    releases.confirm((held.path, held.sha256, held.version) for held in (*inputs.base, *inputs.teacher))
    base = _model(frame, "base", recipe.acquire.base, inputs.base)
    teacher = _model(frame, "teacher", recipe.acquire.teacher, inputs.teacher)
    report = acquire(recipe, root, inputs, frame.progress, frame.spread)
    print(f"{report.documents:,} documents, {report.characters:,} characters from {len(report.sources)} sources")
    for reason, count in report.skipped.items():
        print(f"skipped: {count:,} · {reason}")
    return report.model_copy(update={"base": base, "teacher": teacher})


if __name__ == "__main__":
    run("acquire", main)
