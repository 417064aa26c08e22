"""Cleaning as a whole: personal data where one would not look for it, and input in another order."""

import random

import pytest

from slipway.data.clean import prepare
from slipway.data.clean.split import SPLITS
from slipway.data.documents import Turn, dumped, text_of
from slipway.errors import UserError
from slipway.files import digests
from slipway.settings import Pii

from .corpora import document, prose, quiet, read, write_raw


def _prepared(recipe, root, rows, parts=1, **changes):
    write_raw(root, rows, parts)
    return prepare(recipe.prepare.model_copy(update=changes), 17, "Apache-2.0", root, quiet)


def test_what_stretches_over_two_turns_or_stands_in_a_label_is_not_kept(recipe, tmp_path):
    secret = "k3J9x-Q2w8Zr7Lp"
    split_up = [("user", "password ="), ("assistant", f'"{secret}" {prose("a")}')]
    key = "-----BEGIN PRIVATE KEY-----\n" + "MIIBk3J9" * 20
    in_pieces = [("user", key), ("assistant", f"{'QyJ9HLb4' * 20}\n-----END PRIVATE KEY-----\n{prose('b')}")]
    rows = [document(f"s#{n:03}", prose(n)) for n in range(200)]
    for name, parts in (("assigned", split_up), ("key", in_pieces)):
        turns = [Turn(*part) for part in parts]
        rows.append(document(name, text_of(turns), shape="chat", turns=dumped(turns)))
    rows.append(document("label", prose("label"), label="ana@mail.example.org"))
    report = _prepared(recipe, tmp_path, rows, pii=Pii(secret="redact"))
    assert report.rejects == {"personal data: secret": 2}
    assert report.redactions == {"email": 1}
    kept = {row["id"]: row for name in SPLITS for row in read(tmp_path, "clean", name)}
    assert kept["label"]["label"] == "<EMAIL>"
    rejects = {row["id"]: row["text"] for row in read(tmp_path, "rejects", "rejects")}
    assert rejects.keys() == {"assigned", "key"}
    assert not [text for text in rejects.values() if secret in text or "MIIB" in text or "QyJ9" in text]
    with pytest.raises(UserError, match=r"secret in 2: assigned, key"):
        _prepared(recipe, tmp_path, rows, pii=Pii(secret="fail"))


def test_rejects_are_redacted_in_all_that_their_source_wrote(recipe, tmp_path):
    rows = [document(f"s#{n:03}", prose(n)) for n in range(200)]
    rows.append(document("stated", prose("a"), licence="ask ana@mail.example.org"))
    rows.append(document("hidden", "Write to ana@ma\u202eil.exam\x00ple.org", licence="GPL-3.0-only"))
    _prepared(recipe, tmp_path, rows)
    rejects = {row["id"]: row for row in read(tmp_path, "rejects", "rejects")}
    assert rejects["stated"]["detail"] == "ask <EMAIL>"
    assert rejects["hidden"]["text"] == "Write to <EMAIL>"


def test_the_order_of_the_input_changes_no_byte(recipe, tmp_path):
    # Of each nine, one a near duplicate of another, and seven equally similar to each other, on either side.
    rows = [
        document(f"s#{n:03}", f"{prose(n // 9)} {prose(n, words=(0, 2, *[12] * 7)[n % 9])}".strip(), f"m{n}")
        for n in range(600)
    ]
    report = _prepared(recipe, tmp_path / "0", rows)
    assert report.rejects_by_step["near duplicates"] > 20
    assert report.rejects_by_step["split"] > 5
    before = {name: digests(tmp_path / "0" / "data" / name, tmp_path / "0") for name in ("clean", "rejects")}
    for seed in ("1", "2"):
        shuffled = random.Random(seed).sample(rows, len(rows))
        assert _prepared(recipe, tmp_path / seed, shuffled, 3) == report
        assert {name: digests(tmp_path / seed / "data" / name, tmp_path / seed) for name in before} == before
