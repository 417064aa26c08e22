"""The stage's work: the order of the steps, the books that must balance, and the files.

Order: licence, length, personal data, exact duplicates, near duplicates, families, split, canaries. Licence
comes first so that the copy that stays is one that may be used; the scrub comes before the comparison so
that texts are compared as they will be trained on. Each split is written in an order that depends on the
seed and the ids alone, so repeats of a canary do not stand side by side.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from slipway.data.clean import canaries, duplicates, similar, split
from slipway.data.clean.licences import AllowList, ids
from slipway.data.clean.pii import scrub
from slipway.data.clean.rows import Reject, Row, reject
from slipway.errors import UserError
from slipway.files import write_atomic
from slipway.records import PrepareReport
from slipway.settings import Pii, Prepare

Progress = Callable[[int, int, str], None]
SPLITS = ("train", "validation", "test")


def prepare(settings: Prepare, seed: int, root: Path, progress: Progress) -> PrepareReport:
    """Clean `data/raw` into `data/clean` and `data/rejects`; `progress` gets steps done, steps in all, a name.

    Raises:
        UserError: if nothing is left for a split, or personal data is found whose action is `fail`.
    """
    rows = _read(root / "data" / "raw" / "documents.parquet")
    steps = ("licences and length", "personal data", "exact duplicates", "similar pairs", "split", "writing", "done")

    def step(number: int) -> None:
        progress(number, len(steps) - 1, steps[number])

    step(0)
    allowed, rejects, refused = _licences(rows, AllowList(settings.licences))
    fitting, short = _lengths(allowed, settings)
    step(1)
    scrubbed, dropped, redactions = _personal_data(fitting, settings.pii)
    step(2)
    unique, copies = duplicates.exact(scrubbed)
    step(3)
    pairs, similarity = similar.pairs(
        [row.text for row in unique], min(settings.duplicate_jaccard, settings.family_jaccard)
    )
    keep, lookalikes = duplicates.near(unique, pairs, similarity, settings.duplicate_jaccard)
    step(4)
    rejects += short + dropped + copies + lookalikes
    kept = [row for row, stays in zip(unique, keep, strict=True) if stays]
    _something_left(kept, len(rows), rejects)
    # A pair with a rejected document still ties the two sides together, so pairs are kept before rows go.
    family = split.families(unique, pairs[similarity >= settings.family_jaccard])
    family = [name for name, stays in zip(family, keep, strict=True) if stays]
    where = split.assign(kept, family, seed, settings.test_share, settings.validation_share)
    planted = canaries.plant(settings.canaries, seed)
    step(5)
    members: dict[str, list[tuple[Row, str]]] = {name: [] for name in SPLITS}
    for row, name in zip(kept, family, strict=True):
        members[where[name]].append((row, name))
    report = _report(
        documents_in=len(rows),
        members=members,
        rejects=rejects,
        redactions=redactions,
        refused=refused,
        planted=canaries.rows(planted),
    )
    members["train"] += [(row, "canary") for row in canaries.rows(planted)]
    _write(root, seed, members, rejects, canaries.listing(planted))
    step(6)
    return report


def _read(path: Path) -> list[Row]:
    import pyarrow.parquet as pq

    columns = pq.read_table(path, columns=list(Row._fields)).to_pydict()
    rows = [Row(*values) for values in zip(*(columns[name] for name in Row._fields), strict=True)]
    return sorted(rows, key=lambda row: row.id)


def _licences(rows: Iterable[Row], allow: AllowList) -> tuple[list[Row], list[Reject], Counter[str]]:
    verdicts: dict[str | None, bool] = {}
    kept, rejects, refused = [], [], Counter[str]()
    for row in rows:
        if row.licence not in verdicts:
            verdicts[row.licence] = allow.passes(row.licence)
        if verdicts[row.licence]:
            kept.append(row)
            continue
        refused[row.source] += 1
        reason = "no licence" if row.licence is None else "licence not allowed"
        rejects.append(reject(row, "licence", reason, row.licence or "the source states none that could be read"))
    return kept, rejects, refused


def _lengths(rows: Iterable[Row], settings: Prepare) -> tuple[list[Row], list[Reject]]:
    kept, rejects = [], []
    for row in rows:
        if len(row.text) < settings.min_characters:
            rejects.append(
                reject(row, "length", "too short", f"{len(row.text)} < {settings.min_characters} characters")
            )
        elif len(row.text) > settings.max_characters:
            rejects.append(reject(row, "length", "too long", f"{len(row.text)} > {settings.max_characters} characters"))
        else:
            kept.append(row)
    return kept, rejects


def _personal_data(rows: Iterable[Row], settings: Pii) -> tuple[list[Row], list[Reject], Counter[str]]:
    actions = settings.model_dump()
    kept, rejects, redactions = [], [], Counter[str]()
    failing: dict[str, list[str]] = {}
    for row in rows:
        result = scrub(row.text, actions)
        for kind in result.kept:
            if actions[kind] == "fail":
                failing.setdefault(kind, []).append(row.id)
        if result.kept:
            # The text of a reject is kept for people to look at, but not what it was rejected for.
            hidden = scrub(row.text, dict.fromkeys(actions, "redact")).text
            reason = f"personal data: {result.kept[0]}"
            rejects.append(reject(row._replace(text=hidden), "personal data", reason, ", ".join(result.kept)))
            continue
        redactions += result.redacted
        kept.append(row if result.text == row.text else _with_text(row, result.text))
    if failing:
        found = "; ".join(f"{kind} in {len(names)}: {', '.join(names[:5])}" for kind, names in sorted(failing.items()))
        raise UserError(
            f"personal data that prepare.pii says must not be there ({found}). Take it out of the source, "
            "or set the action of that kind to redact or drop"
        )
    return kept, rejects, redactions


def _with_text(row: Row, text: str) -> Row:
    """The row with its scrubbed text; the signature stays the first line of it."""
    return row._replace(text=text, signature=None if row.signature is None else text.split("\n", 1)[0])


def _something_left(kept: list[Row], documents_in: int, rejects: list[Reject]) -> None:
    if kept:
        return
    reasons = Counter(item.reason for item in rejects)
    counted = ", ".join(f"{reason}: {count}" for reason, count in reasons.most_common())
    raise UserError(
        f"none of {documents_in} documents is left after cleaning ({counted}). "
        "Loosen prepare.licences, min_characters or max_characters, or add documents"
    )


def _report(
    *,
    documents_in: int,
    members: dict[str, list[tuple[Row, str]]],
    rejects: list[Reject],
    redactions: Counter[str],
    refused: Counter[str],
    planted: list[Row],
) -> PrepareReport:
    rows = [row for part in members.values() for row, _ in part]
    if len(rows) + len(rejects) != documents_in:
        raise RuntimeError(f"the books do not balance: {documents_in} in, {len(rows)} kept, {len(rejects)} rejected")
    licences: Counter[str] = Counter()
    for expression, count in Counter(row.licence for row in rows).items():
        licences.update(dict.fromkeys(ids(expression or ""), count))
    return PrepareReport(
        documents_in=documents_in,
        splits={name: len(part) for name, part in members.items()},
        split_characters={name: sum(len(row.text) for row, _ in part) for name, part in members.items()},
        rejects=dict(sorted(Counter(item.reason for item in rejects).items())),
        redactions=dict(sorted(redactions.items())),
        licences=dict(sorted(licences.items())),
        licences_refused=dict(sorted(refused.items())),
        documents_by_source=dict(sorted(Counter(row.source for row in rows).items())),
        families=len({name for part in members.values() for _, name in part}),
        canaries=len(planted),
    )


def _write(
    root: Path, seed: int, members: dict[str, list[tuple[Row, str]]], rejects: list[Reject], listing: dict[str, object]
) -> None:
    clean, turned_away = root / "data" / "clean", root / "data" / "rejects"
    for directory in (clean, turned_away):
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
    for name, part in members.items():
        ordered = sorted(part, key=lambda member: split.order_key(seed, member[0].id))
        _parquet(clean / f"{name}.parquet", (*Row._fields, "family"), [(*row, family) for row, family in ordered])
    in_order: list[Reject] = sorted(rejects, key=lambda item: item.id)
    _parquet(turned_away / "rejects.parquet", Reject._fields, in_order)
    write_atomic(clean / "canaries.json", json.dumps(listing, indent=2, ensure_ascii=False) + "\n")


def _parquet(path: Path, names: tuple[str, ...], rows: Sequence[tuple]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
    pq.write_table(pa.table([pa.array(c, pa.string()) for c in columns], names=list(names)), path, compression="zstd")
