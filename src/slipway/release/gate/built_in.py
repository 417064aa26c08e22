"""What the gate asks of every bundle, whatever the recipe says: that it is whole, scanned, licensed and itself.

All reports must speak of these very bytes, and the bundle must have been built by the rules that are in force.
"""

from pathlib import Path

from slipway import items
from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes, sha256_file, weights_of
from slipway.recipe import Recipe
from slipway.records import REPORTS, GateLine, ScanReport, StageRecord, Verdict, read_record, read_report
from slipway.release.bundle import licence, manifest
from slipway.release.bundle.provenance import recipe_json

AFTER_THE_BUNDLE = ("bundle", "scan")
"""Stages whose reports are not in the bundle, because they are about it."""
Pair = tuple[str, str | None, str | None]
"""Name, what was found, what is expected."""


def lines(recipe: Recipe, root: Path, scanned: ScanReport) -> list[GateLine]:
    """The built-in lines about the bundle in `root`; `scanned` is what a scan of it finds now."""
    bundle, reports = root / "bundle", root / "reports"
    digest = manifest.digest(bundle)
    whole, reason = "the bundle fits its manifest", "what is signed is what was built"
    try:
        manifest.check(bundle)
    except Refusal as refusal:
        again = "run `slipway build --force bundle`"
        return [_line("manifest", whole, "NO-GO", str(refusal), reason=reason, action=again)]
    return [
        _line("manifest", whole, "GO", "every byte", reason=reason),
        *_scans(bundle, reports, digest, scanned),
        *_identity(bundle, reports),
        _licence(recipe, reports),
        _origin(recipe, root, bundle),
    ]


def _line(name: str, check: str, verdict: Verdict, observed: str, *, reason: str, action: str = "") -> GateLine:
    return GateLine(
        id=name, check=check, tier="built-in", verdict=verdict, observed=observed, reason=reason, action=action
    )


def _same(name: str, check: str, pairs: list[Pair], reason: str, action: str) -> GateLine:
    """GO if, for every pair, both are there and equal."""
    wrong = [
        f"{what}: {found or 'missing'}, expected {expected or 'nothing like it'}"
        for what, found, expected in pairs
        if found is None or found != expected
    ]
    verdict: Verdict = "NO-GO" if wrong or not pairs else "GO"
    observed = "; ".join(wrong) or f"{len(pairs)} equal"
    return _line(name, check, verdict, observed, reason=reason, action=action if verdict == "NO-GO" else "")


def _digest(path: Path) -> str | None:
    return sha256_file(path) if path.is_file() else None


def _record(path: Path) -> StageRecord | None:
    try:
        return read_record(path)
    except UserError:
        return None


def _scan(name: str, check: str, report: ScanReport, digest: str, *, files: int, reason: str) -> GateLine:
    found = "; ".join(f"{finding.rule} {finding.path}" for finding in report.findings[:3])
    pairs: list[Pair] = [
        ("scan", report.bundle_digest, digest),
        ("passed", str(report.passed), "True"),
        (f"{len(report.findings)} findings", found or "none", "none"),
        ("files scanned", str(report.files_scanned), str(files)),
    ]
    action = "`slipway scan bundle` lists the findings with their remedies; mend them, then `slipway build`"
    return _same(name, check, pairs, reason, action)


def _scans(bundle: Path, reports: Path, digest: str, now: ScanReport) -> list[GateLine]:
    """The stage's report, and the scan made for the gate, which no edited report can stand in for."""
    files = len(manifest.read(bundle).files) + 1  # the manifest does not list itself
    check, reason = "scan is of this bundle and passed", "the bytes that were scanned are the bytes to publish"
    again = "run `slipway build --force scan`"
    try:
        report = read_report(reports / "scan.json")
        if not isinstance(report, ScanReport):
            raise UserError(f"{reports / 'scan.json'}: the report of another stage; {again}")
        line = _scan("scan", check, report, digest, files=files, reason=reason)
    except UserError as error:
        line = _line("scan", check, "NO-GO", str(error), reason=reason, action=again)
    later = "a report is a file, and a file can be edited"
    return [line, _scan("scan now", "a scan made now finds nothing", now, digest, files=files, reason=later)]


def _identity(bundle: Path, reports: Path) -> list[GateLine]:
    """That every report is about these bytes, so that none can be swapped for a better one."""
    try:
        weights: str | None = weights_of({name: entry.sha256 for name, entry in manifest.read(bundle).files.items()})
    except UserError:
        weights = None
    records = {stage: _record(reports / f"{stage}.json") for stage in ("train", "evaluate", "safety")}
    measured = {name: record.result.get("weights_sha256") if record else None for name, record in records.items()}
    inside = [f"{stage}.json" for stage in REPORTS if stage not in AFTER_THE_BUNDLE] + [items.NAME]
    evaluated, table = records["evaluate"], _digest(reports / items.NAME)
    stated = evaluated.outputs.get(f"reports/{items.NAME}") if evaluated else None
    return [
        _same(
            "weights",
            "training, evaluation and safety are of these weights",
            [(stage, found, weights) for stage, found in measured.items()],
            "a number belongs to the weights it was measured on",
            "run `slipway build`: it measures these weights",
        ),
        _same(
            "reports",
            "reports and items in the bundle are those of the stages",
            [
                *((name, _digest(bundle / "records" / name), _digest(reports / name)) for name in inside),
                (f"{items.NAME} as evaluate wrote it", table, stated),
            ],
            "the bundle shows the numbers that are judged",
            "run `slipway build`; if it finds nothing to do, `slipway build --force evaluate`",
        ),
    ]


def _licence(recipe: Recipe, reports: Path) -> GateLine:
    """That the licence of the release is the one that the licences of the training data were found to permit."""
    wanted, record = recipe.bundle.licence, _record(reports / "prepare.json")
    found = str(record.result.get("release_licence")) if record else None
    return _same(
        "licence",
        "the licence of the release is the one that the data was held against",
        [("prepare", wanted if found and licence.same(found, wanted) else found, wanted)],
        "the licences of the training data permit this licence, and no other was looked at",
        "run `slipway build --force prepare`",
    )


def _origin(recipe: Recipe, root: Path, bundle: Path) -> GateLine:
    """That the bundle was built from what is in force, so that no bound was loosened after the build."""
    in_force = sha256_bytes(recipe_json(recipe).encode())
    return _same(
        "recipe",
        "recipe and lock in force are those in the bundle",
        [
            ("recipe.json", _digest(bundle / "recipe.json"), in_force),
            ("inputs.lock", _digest(bundle / "inputs.lock"), _digest(root / "inputs.lock")),
        ],
        "the bundle states the rules it was judged by",
        "run `slipway build`",
    )
