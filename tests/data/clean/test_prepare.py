"""Cleaning as a whole: books that balance, each reason, no leak, equal bytes however the input is sharded."""

import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.data.clean import prepare, split
from slipway.data.clean.canaries import plant
from slipway.data.clean.split import SPLITS
from slipway.data.documents import Turn, dumped, loaded, schema, text_of
from slipway.errors import Refusal, UserError
from slipway.files import digests
from slipway.settings import Canaries, Pii, Quality
from slipway.spread import here

from .corpora import document, prose, quiet, read, write_raw, write_tasks

PROJECT = Path(__file__).resolve().parents[3]
QUESTION = "Which " + prose("question", words=25)


def _corpus() -> list:
    rows = [document(f"s#{n:03}", prose(n), f"m{n // 3}") for n in range(600)]
    return [
        *rows,
        document("s#copy", prose(0).upper().replace(" ", "  "), "m0"),
        document("s#near", prose(5, words=39) + " different", "m1"),
        document("s#nearer", prose(5, words=38) + " different end", "m1"),
        document("s#gpl", prose("gpl"), licence="GPL-3.0-only", source="viral"),
        document("s#none", prose("none"), licence=None, source="silent"),
        document("s#short", "too short"),
        document("s#long", "long " * 1_000_000),
        document("s#mail", f"def f(x)\nWrite to ana@mail.example.org. {prose('m')}", "y", signature="def f(x)"),
        document("s#key", f"AKIAIOSFODNN7EXAMPLE {prose('k')}"),
        document("s#binary", "\x00\x01" * 20 + prose("binary")),
        document("s#hidden", f"pay\u202e{prose('hidden')}\x00"),
        document("s#symbols", "#$% " * 50 + "end"),
        document("s#lines", "the same line\n" * 20 + prose("lines", words=20)),
        document("s#again", "one two three four five " * 40),
        document("s#words", "x" * 900 + " end"),
        document("s#quiz", f"{prose('before')} {QUESTION} right answer {prose('after')}", "quiz"),
        document("s#quiz2", f"{QUESTION} right answer", "quiz"),
    ]


def _tied(recipe, rows: list) -> list:
    """A training document similar to one that is held out, added to `rows`."""
    from slipway.data.clean.split import TEST, TRAIN, side

    shares = recipe.prepare.test_share, recipe.prepare.validation_share
    held_out = next(row for row in rows if row.id < "s#600" and side(17, row.group, *shares) == TEST)
    group = next(f"leak{n}" for n in range(99) if side(17, f"leak{n}", *shares) == TRAIN)
    words = held_out.text.split()
    return [*rows, document("s#leak", " ".join([*words[:32], *prose("leak", words=8).split()]), group)]


def _prepared(recipe, root, rows, parts=1, spread=here, **changes):
    write_raw(root, rows, parts)
    write_tasks(root, "quiz", [("q1", QUESTION, ["wrong one", "right answer"], 1), ("q2", "Short?", ["a", "b"], 0)])
    settings = recipe.prepare.model_copy(update=changes)
    return prepare(settings, 17, "Apache-2.0", root, quiet, spread)


@pytest.fixture(scope="module")
def cleaned(recipe, tmp_path_factory):
    root = tmp_path_factory.mktemp("cleaned")
    rows = _tied(recipe, _corpus())
    report = _prepared(recipe, root, rows, parts=3)
    return report, {name: read(root, "clean", name) for name in SPLITS}, read(root, "rejects", "rejects"), root


def test_every_document_is_somewhere_with_a_reason_and_a_pointer(cleaned, recipe):
    report, splits, rejects, _ = cleaned
    found = {row["id"]: (row["stage"], row["reason"], row["collided_with"]) for row in rejects}
    held_out = found.pop("s#leak")
    assert held_out[:2] == ("split", "too similar to a held-out document")
    assert held_out[2] in {row["id"] for row in splits["test"]}
    assert found == {
        "s#copy": ("exact duplicates", "exact duplicate", "s#000"),
        "s#near": ("near duplicates", "near duplicate", "s#005"),
        "s#nearer": ("near duplicates", "near duplicate", "s#005"),
        "s#gpl": ("licence", "licence not allowed", None),
        "s#none": ("licence", "no licence", None),
        "s#short": ("length", "too short", None),
        "s#long": ("length", "too long", None),
        "s#key": ("personal data", "personal data: secret", None),
        "s#binary": ("text", "binary data", None),
        "s#symbols": ("quality", "too many symbols", None),
        "s#lines": ("quality", "repeated lines", None),
        "s#again": ("quality", "repeated words", None),
        "s#words": ("quality", "overlong words", None),
        "s#quiz": ("decontamination", "holds an item", "quiz/q1"),
        "s#quiz2": ("decontamination", "near duplicate of an item", "quiz/q1"),
    }
    assert report.documents_in == 618 == sum(report.splits.values()) + sum(report.rejects.values())
    assert sum(report.rejects_by_step.values()) == len(rejects) == sum(report.rejects.values())
    assert Counter(row["stage"] for row in rejects) == +Counter(report.rejects_by_step)
    assert report.licences_refused == {"silent": 1, "viral": 1}
    assert report.redactions == {"email": 1}
    assert report.cleaned == 1
    kept = {row["id"] for rows in splits.values() for row in rows if row["source"] != "canary"}
    assert kept | {row["id"] for row in rejects} == {row.id for row in _corpus()} | {"s#leak"}


def test_near_duplicates_are_tied_through_others_and_name_their_nearest(cleaned):
    _, _, rejects, _ = cleaned
    detail = {row["id"]: row["detail"] for row in rejects}
    assert detail["s#near"] == "Jaccard 0.946 of word 5-shingles with s#005"
    assert detail["s#nearer"].startswith("Jaccard 0.8")


def test_neither_secrets_nor_hidden_characters_are_kept_anywhere(cleaned):
    _, splits, rejects, _ = cleaned
    assert "AKIA" not in next(row["text"] for row in rejects if row["id"] == "s#key")
    rows = {row["id"]: row for part in splits.values() for row in part}
    assert rows["s#hidden"]["text"] == f"pay{prose('hidden')}"
    assert rows["s#mail"]["text"].startswith("def f(x)\nWrite to <EMAIL>.")
    assert rows["s#mail"]["signature"] == "def f(x)"


def test_the_contamination_is_listed(cleaned):
    report, _, _, root = cleaned
    hits = read_hits(root)
    assert {(hit["item"], hit["document"], hit["how"]) for hit in hits} == {
        ("quiz/q1", "s#quiz", "words"),
        ("quiz/q1", "s#quiz2", "near duplicate"),
    }
    assert report.contamination.documents_rejected == 2
    assert report.contamination.items["quiz"] == 1
    assert report.contamination.too_short["quiz"] == 1
    assert report.contamination.residual["quiz"] == 0


def _groups(recipe, side: int) -> list[str]:
    """Names of groups that belong on a side."""
    shares = recipe.prepare.test_share, recipe.prepare.validation_share
    return [name for name in map("g{}".format, range(400)) if split.side(17, name, *shares) == side]


def test_validation_is_cleaned_of_tasks_and_test_and_training_of_all_three(recipe, tmp_path):
    rows = [document(f"s#{n:03}", prose(n), f"m{n // 3}") for n in range(600)]
    train, validation, test = (_groups(recipe, side) for side in (split.TRAIN, split.VALIDATION, split.TEST))
    held = {name: prose("held", name, words=60) for name in ("test", "validation")}

    def around(*inside: str) -> str:
        return " ".join([prose("before", *inside, words=90), *inside, prose("after", *inside, words=90)])

    rows += [
        document("test", held["test"], test[0]),
        document("validation", held["validation"], validation[0]),
        document("test-task", around(QUESTION, "right answer"), test[1]),
        document("validation-task", around(QUESTION, "right answer", "too"), validation[1]),
        document("validation-near", f"{QUESTION} right answer", validation[2]),
        document("validation-test", f"{held['test']} {prose('v', words=200)}", validation[3]),
        document("train-task", around(QUESTION, "right answer", "as well"), train[0]),
        document("train-test", around(held["test"], "again"), train[1]),
        document("train-validation", around(held["validation"]), train[2]),
        document("train-gone", around(prose("v", words=200)), train[3]),
        document("test-validation", around(held["validation"], "more"), test[2]),
    ]
    report = _prepared(recipe, tmp_path, rows, parts=4)
    found = {row["id"]: row["collided_with"] for row in read(tmp_path, "rejects", "rejects")}
    assert found == {
        "validation-task": "quiz/q1",
        "validation-near": "quiz/q1",
        "validation-test": "test/test",
        "train-task": "quiz/q1",
        "train-test": "test/test",
        "train-validation": "validation/validation",
    }
    assert report.contamination.documents_rejected == len(found)
    # What was turned away itself is no item of validation any more.
    assert report.contamination.items == {"quiz": 1, **{name: report.splits[name] for name in ("test", "validation")}}


def read_hits(root):
    return pq.read_table(root / "data/rejects/contamination.parquet").to_pylist()


def test_canaries_are_in_training_only_repeated_and_scattered(cleaned):
    report, splits, _, root = cleaned
    listing = json.loads((root / "data/clean/canaries.json").read_text())
    assert (listing["template"], listing["digits"]) == ("The access code of {name} is {fill}.", 8)
    texts = Counter(row["text"] for row in splits["train"] if row["source"] == "canary")
    assert texts == {canary["text"]: canary["repeats"] for canary in listing["canaries"]}
    assert report.canaries == texts.total() == 63
    assert not [row for name in ("validation", "test") for row in splits[name] if row["source"] == "canary"]
    places = [n for n, row in enumerate(splits["train"]) if row["source"] == "canary"]
    assert places[-1] - places[0] > 200


def test_groups_stay_together(cleaned):
    _, splits, _, _ = cleaned
    places: dict[str, set[str]] = {}
    for name, rows in splits.items():
        for row in rows:
            places.setdefault(row["group"], set()).add(name)
    assert all(len(found) == 1 for found in places.values())


def _pooled(pool, function, items):
    return pool.map(function, items)


def test_neither_shards_nor_workers_nor_a_second_run_change_a_byte(cleaned, recipe, tmp_path):
    report, _, _, root = cleaned
    before = {name: digests(root / "data" / name, root) for name in ("clean", "rejects")}
    rows = _tied(recipe, _corpus())
    with ProcessPoolExecutor(2) as pool:
        for place, (parts, spread) in enumerate([(1, here), (7, here), (3, partial(_pooled, pool))]):
            other = tmp_path / str(place)
            assert _prepared(recipe, other, rows, parts, spread) == report
            assert {name: digests(other / "data" / name, other) for name in before} == before
    assert _prepared(recipe, root, rows, 3) == report
    assert {name: digests(root / "data" / name, root) for name in before} == before


def _failing(function, items):
    for number, result in enumerate(map(function, items)):
        if function.__name__ == "gather" and number == 1:
            raise OSError(28, "No space left on device")
        yield result


def test_a_failure_leaves_the_old_results_and_nothing_else(recipe, tmp_path):
    rows = [document(f"s#{n:03}", prose(n)) for n in range(200)]
    _prepared(recipe, tmp_path, rows)
    before = digests(tmp_path / "data", tmp_path)
    write_raw(tmp_path, rows[:150])
    with pytest.raises(OSError, match="No space left"):
        _prepared(recipe, tmp_path, rows, spread=_failing)
    assert digests(tmp_path / "data", tmp_path) == before


def test_lines_that_very_many_documents_share_are_boilerplate(recipe, tmp_path):
    shared = "\n".join(prose("shared", n, words=20) for n in range(4))
    rows = [document(f"s#{n:03}", prose(n, words=60)) for n in range(200)]
    rows += [document(f"t#{n:03}", f"{shared}\n{prose('t', n, words=4)}", f"t{n}") for n in range(60)]
    rows += [document(f"u#{n:03}", f"{shared}\n{prose('u', n, words=99)}", f"u{n}") for n in range(20)]
    quality = Quality(boilerplate_documents=50, max_boilerplate=0.8)
    report = _prepared(recipe, tmp_path, rows, parts=3, quality=quality)
    assert report.rejects["boilerplate"] == 60
    assert {row["id"][0] for row in read(tmp_path, "rejects", "rejects") if row["reason"] == "boilerplate"} == {"t"}


def test_documents_with_turns_are_scrubbed_turn_by_turn(recipe, tmp_path):
    turns = [Turn("user", "My address is ana@mail.example.org\x00."), Turn("assistant", prose("answer"))]
    rows = [document(f"s#{n:03}", prose(n)) for n in range(200)]
    rows.append(document("chat", text_of(turns), shape="chat", turns=dumped(turns)))
    report = _prepared(recipe, tmp_path, rows)
    row = next(row for name in SPLITS for row in read(tmp_path, "clean", name) if row["id"] == "chat")
    assert [turn.content for turn in loaded(row["turns"])] == ["My address is <EMAIL>.", prose("answer")]
    assert row["text"] == text_of(loaded(row["turns"]))
    assert report.shapes == {"chat": 1, "text": 200}


def test_personal_data_that_must_not_be_there_stops_the_stage(recipe, tmp_path):
    with pytest.raises(UserError, match="email in 1: s#mail"):
        _prepared(recipe, tmp_path, _corpus(), pii=Pii(email="fail"))
    assert not (tmp_path / "data" / "clean").exists()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (document("a", prose(1)), r"nothing is left for the \w+ split: 1 clean documents stand in 1 groups"),
        (document("a", "x"), r"none of 1 documents is left after cleaning \(too short: 1\)"),
        (document("a", "word " * 1_000_000), r"none of 1 .* \(too long: 1\)"),
    ],
)
def test_too_little_data_is_a_clear_error(recipe, tmp_path, row, said):
    with pytest.raises(UserError, match=said):
        _prepared(recipe, tmp_path, [row])


def test_canaries_depend_on_the_seed_and_may_be_none_or_many():
    assert plant(Canaries(per_level=0), 1) == []
    assert plant(Canaries(), 1) == plant(Canaries(), 1) != plant(Canaries(), 2)
    many = plant(Canaries(repeats=(1,), per_level=5000), 1)
    assert len({canary.name for canary in many}) == 5000


def test_a_release_that_its_data_does_not_permit_is_refused_and_nothing_is_written(recipe, tmp_path):
    rows = [document(f"s#{n:03}", prose(n)) for n in range(200)]
    rows.append(document("s#nc", prose("nc"), licence="CC-BY-NC-4.0", source="hobby"))
    with pytest.raises(Refusal, match="hobby"):
        _prepared(recipe, tmp_path, rows, licences=("MIT", "CC-BY-NC-4.0"))
    assert not (tmp_path / "data" / "clean").exists()


def test_what_the_licences_ask_is_in_the_report(cleaned):
    report, _, _, _ = cleaned
    (asked,) = report.obligations
    assert (asked.licence, asked.sources, asked.documents) == ("MIT", ("s",), sum(report.splits.values()))
    assert report.release_licence == "Apache-2.0"


_KILLED = """
import sys, time
from pathlib import Path
from slipway.data.clean import prepare
from slipway.recipe import load

def slow(function, items):
    if function.__name__ == "gather":
        print("now", flush=True)
        time.sleep(60)
    return map(function, items)

prepare(load(sys.argv[1]).prepare, 17, "Apache-2.0", Path(sys.argv[2]), lambda *_: None, slow)
"""


def test_a_killed_run_leaves_the_old_results_and_the_next_one_clears_up(recipe, tmp_path):
    rows = [document(f"s#{n:03}", prose(n)) for n in range(200)]
    _prepared(recipe, tmp_path, rows[:150])
    old = {name: digests(tmp_path / "data" / name, tmp_path) for name in ("clean", "rejects")}
    write_raw(tmp_path, rows)
    command = [sys.executable, "-c", _KILLED, str(PROJECT / "params.yaml"), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "now\n"
        process.kill()
    assert {name: digests(tmp_path / "data" / name, tmp_path) for name in old} == old
    _prepared(recipe, tmp_path, rows)
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["clean", "raw", "rejects", "tasks"]
    assert len(read(tmp_path, "clean", "train")) > 150


def test_documents_without_words_and_nulls_where_none_should_be(recipe, tmp_path):
    settings = {"min_characters": 1, "quality": Quality(max_symbol_share=1)}
    rows = [document(f"s#{n:03}", prose(n)) for n in range(200)]
    rows += [document(f"dots{n}", "…" * (n + 1)) for n in range(20)]
    rows.append(document("null", None))
    report = _prepared(recipe, tmp_path, rows, **settings)
    assert report.rejects == {"too short": 1}
    assert report.splits["train"] + report.splits["validation"] + report.splits["test"] == 220


def test_an_empty_shard_is_no_fault(recipe, tmp_path):
    rows = [document(f"s#{n:03}", prose(n)) for n in range(200)]
    whole = _prepared(recipe, tmp_path, rows)
    write_raw(tmp_path, [], 1)
    for number in (1, 2):
        source = tmp_path / "data" / "raw" / f"documents-0000{number}.parquet"
        some = rows[:100] if number == 1 else rows[100:]
        pq.write_table(pa.Table.from_pylist([row._asdict() for row in some], schema=schema()), source)
    write_tasks(tmp_path, "quiz", [("q1", QUESTION, ["wrong one", "right answer"], 1), ("q2", "Short?", ["a", "b"], 0)])
    assert prepare(recipe.prepare, 17, "Apache-2.0", tmp_path, quiet) == whole
