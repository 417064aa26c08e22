"""The verdict over a path: every file judged by name and by content; what could not be judged is refused.

>>> scan(Path("bundle"), max_file_bytes=50_000_000_000).passed
True
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from slipway.errors import UserError
from slipway.files import sha256_file
from slipway.records import Finding, ScanReport
from slipway.scan import (
    card,
    containers,
    files,
    gguf,
    html,
    images,
    items,
    json,
    pieces,
    safetensors,
    structure,
    template,
    text,
)
from slipway.scan.subject import Checker, Subject, shown

CHECKERS: Mapping[str, tuple[Checker, ...]] = {
    "json": (containers.check, json.check),
    "index": (containers.check, safetensors.check_index, json.check),
    "safetensors": (containers.check, files.check_holes, safetensors.check),
    "gguf": (files.check_holes, gguf.check),
    "card": (containers.check, card.check),
    "html": (containers.check, html.check),
    "items": (items.check,),
    "template": (containers.check, template.check),
    "pieces": (containers.check, pieces.check),
    "image": (containers.check, images.check),
    "text": (containers.check, text.check),
}
Watch = Callable[[int, int, str], None]
MANIFEST = "manifest.json"
OUTSIDE = {MANIFEST, "statement.json", "LEDGER.md", "GATE.html", "model.sig", "yanked.json"}
"""What lies beside a bundle and is not in its manifest."""


def _judge(subject: Subject) -> list[Finding]:
    """All findings of one file; a checker that fails is itself a finding."""
    findings: list[Finding] = []
    for checker in CHECKERS.get(files.kind(subject.name) or "", (containers.check,)):
        try:
            findings += checker(subject)
        except Exception as error:  # noqa: BLE001  whatever went wrong, the file was not judged: fail closed
            reason = f"could not be judged: {type(error).__name__}: {str(error)[:160]}"
            remedy = "leave the file out; if it is harmless, report this as a fault of the scanner"
            findings.append(subject.finding("scan.incomplete", reason, remedy))
        if any(finding.rule == "file.sparse" for finding in findings):
            break  # a terabyte that is stored nowhere takes as long to read as one that is
    return findings


def _judge_manifest(root: Path, regular: Mapping[str, int], digest: str) -> list[Finding]:
    """The manifest must be the expected one and list exactly the files that were scanned."""
    subject = Subject(root / MANIFEST, MANIFEST, regular[MANIFEST], frozenset(regular))
    if digest and (actual := sha256_file(root / MANIFEST)) != digest:
        reason = f"its sha256 is {actual}, but the bundle to be scanned is {digest}"
        return [subject.finding("bundle.digest", reason, "rebuild with `slipway build --force bundle`")]
    value, findings = structure.parse(subject)
    listed = value.get("files") if isinstance(value, dict) else None
    if findings or not isinstance(listed, dict):
        return [subject.finding("bundle.manifest", "is not a manifest", "rebuild the bundle")]
    wrong = sorted((set(listed) ^ set(regular)) - OUTSIDE)
    wrong += sorted(
        n for n in set(listed) & set(regular) if not isinstance(listed[n], dict) or listed[n].get("bytes") != regular[n]
    )
    remedy = "publish exactly what was built; rebuild with `slipway build --force bundle`"
    return [
        Finding(
            rule="bundle.manifest",
            path=shown(n),
            offset=None,
            reason="is not what the manifest lists",
            remedy=remedy,
        )
        for n in wrong
    ]


def scan(
    path: Path, max_file_bytes: int, bundle_digest: str = "", *, shared: bool = False, watch: Watch | None = None
) -> ScanReport:
    """Judge a bundle, or a single file as if it stood in one.

    Args:
        path: a directory or a file; links are not followed.
        max_file_bytes: largest file that may be published.
        bundle_digest: expected sha256 of manifest.json; empty if there is none to expect.
        shared: files may be hard links, because a local store keeps what two releases share only once.
        watch: told bytes judged so far, bytes in all, and the file that comes next.

    Returns: a report that has passed only if at least one file was judged and nothing was found.

    Raises:
        UserError: if there is nothing at `path`.
    """
    path = Path(path)
    if not path.exists() and not path.is_symlink():
        raise UserError(f"{path}: nothing is there to scan; give a bundle or a file")
    is_bundle = path.is_dir() and not path.is_symlink()
    root = path if is_bundle else path.parent
    listed = list(files.entries(path)) if is_bundle else [(path.name, path.lstat())]
    regular, findings = files.judge(listed, max_file_bytes, shared=shared)
    total, done = sum(regular.values()), 0
    for name, size in regular.items():
        if watch:
            watch(done, total, name)
        done += size
        findings += _judge(Subject(root / name, name, size, frozenset(regular)))
    if is_bundle and MANIFEST in regular:
        findings += _judge_manifest(root, regular, bundle_digest)
    elif bundle_digest:
        reason = "there is no manifest, so this is not the bundle that was built"
        findings.append(
            Finding(rule="bundle.manifest", path=MANIFEST, offset=None, reason=reason, remedy="rebuild the bundle")
        )
    if not regular:
        remedy = "give the directory that holds the release"
        findings.append(Finding(rule="scan.empty", path=".", offset=None, reason="no file was scanned", remedy=remedy))
    digest = sha256_file(root / MANIFEST) if is_bundle and MANIFEST in regular else ""
    ordered = tuple(sorted(findings, key=lambda f: (f.path, f.rule, f.offset or 0, f.reason)))
    return ScanReport(bundle_digest=digest, files_scanned=len(regular), passed=not ordered, findings=ordered)
