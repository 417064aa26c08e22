"""`slipway replay`: a segment of a released run is trained again, and its digest compared."""

import argparse
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipway.cli.common import project
from slipway.cli.releasing import Found, find
from slipway.errors import UserError

if TYPE_CHECKING:
    from slipway.model.replay import Recorded, Replayed, Segment
    from slipway.model.told import Places


@dataclass(frozen=True)
class _Sources:
    """Where checkpoints may lie: folders here, then stores with what their keys begin with."""

    folders: list[Path]
    stores: list[tuple[Any, str]]

    def take(self, step: int, digest: str, into: Path) -> tuple[Path | None, list[str]]:
        """A checkpoint, whole and compared, from here or fetched into `into`; and what was passed over."""
        from slipway.model import kept
        from slipway.release.publishing import checkpoints

        at, passed = kept.find(self.folders, step, digest)
        for number, (store, top) in enumerate(self.stores):
            if at is None and checkpoints.fetch(store, digest, into / str(number) / digest, top):
                at, damaged = kept.find([into / str(number)], step, digest)
                passed += [f"from {store.url}: {Path(text).name}" for text in damaged]
        return at, passed

    def has(self, step: int, digest: str) -> bool:
        """Whether it is at hand."""
        from slipway.model import kept
        from slipway.release.publishing.checkpoints import FOLDER

        here = kept.find(self.folders, step, digest)[0] is not None
        return here or any(store.list(f"{top}{FOLDER}/{digest}") for store, top in self.stores)


def _sources(root: Path, found: Found, given: str | None) -> _Sources:
    from slipway.adapters.store import open_store
    from slipway.release.publishing.pointer import release_prefix

    if given and not Path(given).is_dir():
        raise UserError(f"{given}: no such directory; --checkpoints names one that holds checkpoints")
    release = found.verified.release
    stores: list[tuple[Any, str]] = [(open_store(root=root), "")]
    if found.prefix.endswith(at := release_prefix(release.name, release.version)):
        stores.insert(0, (found.store, found.prefix.removesuffix(at)))
        stores = stores[:1] if stores[0][0].url == stores[1][0].url else stores
    return _Sources([*([Path(given)] if given else []), root / ".slipway" / "checkpoints"], stores)


def _recorded(found: Found) -> "Recorded":
    from slipway.model.replay import Recorded
    from slipway.release.reading.recorded import read_run

    run = read_run(found.store, found.prefix, found.public, found.verified.release.manifest_sha256)
    record = run.record
    return Recorded(run.recipe.train, run.recipe.seed, record.inputs, run.report, record.slipway, run.libraries)


def _start(part: "Segment", recorded: "Recorded", sources: _Sources, into: Path) -> Path | None:
    """Directory of the checkpoint that the segment begins with; None for the first, which needs none."""
    if part.number == 1:
        return None
    at, passed = sources.take(part.start, part.start_sha256, into)
    for text in passed:
        print(f"passed over: {text}", flush=True)
    if at is not None:
        print(f"begins with {at} (sha256 {part.start_sha256})", flush=True)
        return at
    chain = recorded.report.checkpoints[:-1]
    others = [number for number, one in enumerate(chain, start=1) if number == 1 or sources.has(*one)]
    places = ", ".join([*map(str, sources.folders), *(store.url for store, _ in sources.stores)])
    raise UserError(
        f"segment {part.number} begins with the checkpoint of step {part.start} (sha256 {part.start_sha256}), which is "
        f"not at hand; looked in {places}. Get its directory from the publisher and name it with --checkpoints, or "
        f"replay a segment whose start is at hand: --segment {' or '.join(map(str, others))}"
    )


def _places(root: Path, scratch: Path) -> "Places":
    from slipway.model.told import Places

    return Places(
        tokens=root / "data" / "tokens",
        base=root / "models" / "base",
        teacher=root / "models" / "teacher",
        work=scratch / "work",
        ledger=scratch / "ledger",
        model_out=scratch / "trained",
        log_out=scratch / "log.jsonl",
    )


def replay(arguments: argparse.Namespace) -> int:
    """Train a segment of a released run again and compare digests.

    Verifies RELEASE as `slipway verify` does. Segment K leads from the K-th checkpoint on record to the next. Says
    equal, or not equal and what differs here. Needs the release's data/tokens (and base, teacher) in this project.
    """
    from slipway.model import replay as replaying
    from slipway.model.told import Told
    from slipway.progress import Progress

    root = project()
    found = find(arguments.release, arguments.key)
    release = found.verified.release
    print(f"{release.name} {release.version}: verified, signed by key {found.verified.signed_by[:16]}…", flush=True)
    recorded = _recorded(found)
    segments = replaying.count(recorded.report)
    asked: int | None = arguments.segment
    part = replaying.segment(recorded.report, secrets.randbelow(segments) + 1 if asked is None else asked)
    print(f"{part} (of {segments} segments{'; chosen at random' if asked is None else ''})", flush=True)
    replaying.compare_inputs(root, recorded)
    sources = _sources(root, found, arguments.checkpoints)
    (root / ".slipway").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root / ".slipway", prefix="replay-") as scratch:
        start = _start(part, recorded, sources, Path(scratch) / "fetched")
        told = Told(progress=Progress("replay"), say=print)
        outcome = replaying.replay(recorded, part, start, _places(root, Path(scratch)), told)
    return _say(part, outcome)


def _say(part: "Segment", outcome: "Replayed") -> int:
    """Print what a replay came to; its exit code."""
    if outcome.equal:
        print(f"{part}: equal (sha256 {outcome.found})")
        return 0
    print(f"{part}: NOT equal at step {outcome.step}: recorded {outcome.recorded}, got {outcome.found or 'nothing'}")
    if outcome.differences:
        print("not comparable: what bits depend on differs from the record, so equal ones were not expected")
        print(*(f"  {line}" for line in outcome.differences), sep="\n")
    else:
        print("nothing on record differs here (device, precision, threads, versions, code): equal bits were expected")
    return 1
