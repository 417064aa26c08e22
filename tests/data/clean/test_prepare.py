"""Cleaning as a whole: books that balance, no leak, rejects with reasons, equal bytes on a second run."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.data.clean import prepare
from slipway.data.clean.canaries import plant
from slipway.data.clean.similar import pairs
from slipway.errors import UserError
from slipway.files import digests
from slipway.settings import Canaries, Pii

COLUMNS = ("id", "text", "source", "group", "licence", "signature")


def quiet(done: int, total: int, note: str) -> None:
    """Progress that nobody watches."""


def _prose(*key: object, words: int = 40) -> str:
    return " ".join(hashlib.sha256(repr((*key, n)).encode()).hexdigest()[:5] for n in range(words))


def _raw(root: Path, rows: list[tuple]) -> None:
    (root / "data" / "raw").mkdir(parents=True, exist_ok=True)
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    pq.write_table(pa.table(columns, names=list(COLUMNS)), root / "data" / "raw" / "documents.parquet")


def _corpus() -> list[tuple]:
    rows = [(f"s#{n:03}", _prose(n), "s", f"m{n // 3}", "MIT", None) for n in range(300)]
    copy = _prose(0).upper().replace(" ", "  ")
    near = _prose(5, words=39) + " different"
    cousin = _prose(9, words=30) + " " + _prose("other", words=10)
    rows += [
        ("s#copy", copy, "s", "copies", "MIT", None),
        ("s#near", near, "s", "copies", "MIT", None),
        ("s#cousin", cousin, "s", "cousins", "MIT", None),
        ("s#gpl", _prose("gpl"), "viral", "v", "GPL-3.0-only", None),
        ("s#none", _prose("none"), "silent", "v", None, None),
        ("s#short", "too short", "s", "x", "MIT", None),
        ("s#long", "long " * 1_000_000, "s", "x", "MIT", None),
        (
            "s#mail",
            f"def f(x)\nWrite to ana@mail.example.org. {_prose('m')}",
            "s",
            "y",
            "MIT OR GPL-3.0-only",
            "def f(x)",
        ),
        ("s#key", f"AKIAIOSFODNN7EXAMPLE {_prose('k')}", "s", "y", "MIT", None),
    ]
    return rows


@pytest.fixture
def cleaned(recipe, tmp_path):
    _raw(tmp_path, _corpus())
    report = prepare(recipe.prepare, 17, tmp_path, quiet)
    splits = {
        name: pq.read_table(tmp_path / f"data/clean/{name}.parquet").to_pylist()
        for name in ("train", "validation", "test")
    }
    return report, splits, pq.read_table(tmp_path / "data/rejects/rejects.parquet").to_pylist()


def test_every_document_is_somewhere_with_a_reason(cleaned):
    report, splits, rejects = cleaned
    assert report.documents_in == 309 == sum(report.splits.values()) + sum(report.rejects.values())
    assert {row["id"]: (row["stage"], row["reason"], row["collided_with"]) for row in rejects} == {
        "s#copy": ("duplicates", "exact duplicate", "s#000"),
        "s#near": ("duplicates", "near duplicate", "s#005"),
        "s#gpl": ("licence", "licence not allowed", None),
        "s#none": ("licence", "no licence", None),
        "s#short": ("length", "too short", None),
        "s#long": ("length", "too long", None),
        "s#key": ("personal data", "personal data: secret", None),
    }
    assert report.licences_refused == {"silent": 1, "viral": 1}
    assert report.redactions == {"email": 1}
    kept = {row["id"] for rows in splits.values() for row in rows if row["source"] != "canary"}
    assert kept | {row["id"] for row in rejects} == {row[0] for row in _corpus()}


def test_a_secret_is_not_kept_in_the_rejects_either(cleaned):
    _, _, rejects = cleaned
    assert "AKIA" not in next(row["text"] for row in rejects if row["id"] == "s#key")


def test_a_redacted_document_keeps_its_signature_as_first_line(cleaned):
    _, splits, _ = cleaned
    row = next(row for rows in splits.values() for row in rows if row["id"] == "s#mail")
    assert row["text"].startswith("def f(x)\nWrite to <EMAIL>.")
    assert row["signature"] == "def f(x)"


def test_no_group_no_family_and_no_similar_pair_straddles_the_split(cleaned, recipe):
    _, splits, _ = cleaned
    rows = [(name, row) for name, part in splits.items() for row in part if row["source"] != "canary"]
    for column in ("group", "family"):
        places: dict[str, set[str]] = {}
        for name, row in rows:
            places.setdefault(row[column], set()).add(name)
        assert all(len(found) == 1 for found in places.values())
    found, _ = pairs([row["text"] for _, row in rows], recipe.prepare.family_jaccard)
    assert len(found)
    assert all(rows[i][0] == rows[j][0] for i, j in found)


def test_canaries_are_in_training_only_repeated_and_scattered(cleaned, tmp_path):
    report, splits, _ = cleaned
    listing = json.loads((tmp_path / "data/clean/canaries.json").read_text())
    assert (listing["template"], listing["digits"]) == ("The access code of {name} is {fill}.", 8)
    assert len({canary["name"] for canary in listing["canaries"]}) == 9
    texts = Counter(row["text"] for row in splits["train"] if row["source"] == "canary")
    assert texts == {canary["text"]: canary["repeats"] for canary in listing["canaries"]}
    assert report.canaries == texts.total() == 63
    assert not [row for name in ("validation", "test") for row in splits[name] if row["source"] == "canary"]
    places = [n for n, row in enumerate(splits["train"]) if row["source"] == "canary"]
    assert places[-1] - places[0] > 200


def test_a_second_run_gives_the_same_bytes(cleaned, recipe, tmp_path):
    before = digests(tmp_path / "data", tmp_path)
    prepare(recipe.prepare, 17, tmp_path, quiet)
    assert digests(tmp_path / "data", tmp_path) == before


def test_personal_data_that_must_not_be_there_stops_the_stage(recipe, tmp_path):
    _raw(tmp_path, _corpus())
    settings = recipe.prepare.model_copy(update={"pii": Pii(email="fail")})
    with pytest.raises(UserError, match="email in 1: s#mail"):
        prepare(settings, 17, tmp_path, quiet)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([("a", _prose(1), "s", "g", "MIT", None)], "nothing is left for the test split: 1 clean documents"),
        ([("a", "x", "s", "g", "MIT", None)], r"none of 1 documents is left after cleaning \(too short: 1\)"),
        ([("a", "word " * 1_000_000, "s", "g", "MIT", None)], r"none of 1 .* \(too long: 1\)"),
    ],
)
def test_too_little_data_is_a_clear_error(recipe, tmp_path, rows, said):
    _raw(tmp_path, rows)
    with pytest.raises(UserError, match=said):
        prepare(recipe.prepare, 17, tmp_path, quiet)


def test_canaries_depend_on_the_seed_and_may_be_none_or_many():
    assert plant(Canaries(per_level=0), 1) == []
    assert plant(Canaries(), 1) == plant(Canaries(), 1) != plant(Canaries(), 2)
    many = plant(Canaries(repeats=(1,), per_level=5000), 1)
    assert len({canary.name for canary in many}) == 5000
