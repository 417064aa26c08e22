"""Items in documents: as a search word by word finds them, whatever stands around them."""

import pickle
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.data.clean import contamination, phrases, postings
from slipway.data.clean.contamination import Hit
from slipway.data.clean.postings import Postings
from slipway.settings import Decontaminate

from .corpora import Sought

THIRTEEN = "one two three four five six seven eight nine ten eleven twelve thirteen"
LONG = " ".join(f"w{number}" for number in range(40))


def run(count: int, start: int = 0) -> str:
    return " ".join(f"w{number}" for number in range(start, start + count))


@pytest.fixture
def build(tmp_path):
    return lambda items, settings: Sought(tmp_path, items, settings)


@pytest.mark.parametrize(
    "document",
    [
        THIRTEEN,
        THIRTEEN.upper(),
        THIRTEEN.replace(" ", ", "),
        f"before {THIRTEEN}\n\nafter",
        "(" + THIRTEEN.replace(" ", "\n\t") + ")!",
    ],
)
def test_case_punctuation_and_surroundings_make_no_difference(document, build):
    items = build([("set", "1", THIRTEEN)], Decontaminate())
    assert items.hits(["nothing", document]) == [(1, "set/1", 1.0)]


def test_coverage_is_the_share_of_different_runs(build):
    items = build([("set", "1", f"{LONG} {LONG}")], Decontaminate(words=10, coverage=0.25))
    # 31 runs in the first time over, 9 across the seam.
    assert items.hits([run(20), run(18)]) == [(0, "set/1", 11 / 40)]


def test_a_short_item_is_looked_for_as_a_whole(build):
    items = build([("set", "1", "five words are just enough"), ("set", "2", "four are too few")], Decontaminate())
    documents = ["And five words are just enough.", "five words are just", "four are too few"]
    assert items.hits(documents) == [(0, "set/1", 1.0)]


@pytest.mark.parametrize("length", range(phrases.SHORTEST, 13))
def test_short_items_that_begin_alike_are_told_apart(build, length):
    texts = [("set", str(size), run(size)) for size in range(phrases.SHORTEST, 13)]
    found = build(texts, Decontaminate()).hits([run(length), f"a {run(length)} b"])
    assert {(document, item) for document, item, _ in found} == {
        (document, f"set/{size}") for document in range(2) for size in range(phrases.SHORTEST, length + 1)
    }


def test_runs_do_not_reach_from_one_document_into_the_next(build):
    items = build([("set", "1", THIRTEEN)], Decontaminate())
    first, second = THIRTEEN[:30].rsplit(" ", 1)[0], THIRTEEN[len(THIRTEEN[:30].rsplit(" ", 1)[0]) :]
    assert items.hits([first, second, THIRTEEN]) == [(2, "set/1", 1.0)]


def test_the_texts_of_an_item_count_as_one(build):
    choices = f"{run(20)} {run(200, 1000)}"
    items = build([("quiz", "a", choices), ("quiz", "a", run(20)), ("quiz", "b", "too short")], Decontaminate())
    assert items.hits([run(20)]) == [(0, "quiz/a", 1.0)]


def test_a_common_phrase_counts_for_no_item_but_items_that_are_alike_are_still_found(build):
    preamble = run(30)
    many = [("quiz", str(n), f"{preamble} {run(20, 1000 * (n + 1))}") for n in range(postings.COMMON + 1)]
    items = build(many, Decontaminate(coverage=0.4))
    assert items.hits([preamble, run(20, 3000)]) == [(1, "quiz/2", 8 / 20)]
    alike = build([("quiz", str(n), preamble) for n in range(3 * postings.COMMON)], Decontaminate())
    assert len(alike.hits([preamble])) == postings.COMMON


def test_what_remains_is_told_by_words(build):
    items = build([("a", "1", run(20)), ("a", "2", run(20, 100)), ("b", "1", run(26, 200))], Decontaminate())
    held = items.look([run(14), f"x {run(13, 213)}"], below=0).held
    assert items.covered(held) == [14, 0, 13]
    assert items.covered(held[:0]) == [0, 0, 0]


def test_a_look_leaves_out_what_hits_hold(build):
    items = build([("a", "1", run(20)), ("b", "1", run(40, 100))], Decontaminate())
    found = items.look([run(20), run(15, 100)])
    assert found.hits == [Hit(0, 0, 1.0)]
    assert items.covered(found.held) == [0, 15]


def test_items_may_be_left_out_by_number(build):
    items = build([("a", str(n), run(20, 100 * n)) for n in range(3)], Decontaminate())
    documents = [run(20, 100 * n) for n in range(3)]
    assert items.hits(documents, below=2) == [(0, "a/0", 1.0), (1, "a/1", 1.0)]
    assert items.hits(documents, below=2, gone=[0]) == [(1, "a/1", 1.0)]
    assert items.hits(documents, gone=[0, 2]) == [(1, "a/1", 1.0)]


def test_no_items_no_documents(build):
    nothing = build([], Decontaminate())
    assert nothing.hits(["some text"]) == []
    assert nothing.covered(nothing.look(["some text"]).held) == []
    assert build([("a", "1", LONG)], Decontaminate()).hits([]) == []
    assert build([("a", "1", LONG)], Decontaminate()).hits(["", "..."]) == []
    short = build([("a", "1", "x")], Decontaminate())
    assert short.hits(["x"]) == []


def test_what_travels_is_small(build):
    items = build([("a", str(n), run(50, 50 * n)) for n in range(200)], Decontaminate())
    sent = pickle.dumps(items.items)
    assert len(sent) < 1000
    assert contamination.look(pickle.loads(sent), [run(50)]).hits == [Hit(0, 0, 1.0)]  # noqa: S301 - our own


def test_neither_pieces_nor_parts_change_the_table(tmp_path):
    shared = run(30)
    texts = [("s", str(n), f"{shared} {run(n % 17, 100 * n)}" if n % 3 else run(n % 17, n)) for n in range(400)]
    found = []
    for pieces, part in ((1, 1 << 20), (1, 50), (7, 1 << 20), (7, 333)):
        directory = tmp_path / f"{pieces}-{part}"
        directory.mkdir()
        sought = Sought(directory, texts, Decontaminate(), pieces)
        postings.merge(sought.pieces, sought.item_of, directory, part)
        table = Postings.load(directory)
        width, counting = table.counting(np.arange(len(table.runs)))
        found.append([table.runs, table.width, table.distinct, width, counting, table.gate.table, table.heads.table])
    for other in found[1:]:
        for one, another in zip(found[0], other, strict=True):
            assert np.array_equal(one, another)


def brute(items: list[tuple[str, str, str]], documents: list[str], size: int, coverage: float) -> list[tuple]:
    def runs(text: str, length: int) -> set[tuple[str, ...]]:
        parts = re.findall(r"\w+", text.lower())
        return {tuple(parts[i : i + length]) for i in range(len(parts) - length + 1)}

    found = []
    for number, document in enumerate(documents):
        for group, item, text in items:
            length = min(size, len(text.split()))
            if length >= phrases.SHORTEST:
                wanted = runs(text, length)
                share = len(wanted & runs(document, length)) / len(wanted)
                if share >= coverage:
                    found.append((number, f"{group}/{item}", share))
    return found


TEXTS = st.lists(st.lists(st.sampled_from("abAB"), max_size=30).map(" ".join), max_size=6)


@settings(max_examples=150, deadline=None)
@given(TEXTS, TEXTS, st.integers(5, 9), st.sampled_from([0.1, 0.5, 1.0]), st.integers(1, 3))
def test_as_a_search_word_by_word(texts, documents, size, coverage, pieces):
    numbered = [("set", str(number), text) for number, text in enumerate(texts)]
    with tempfile.TemporaryDirectory() as directory:
        found = Sought(Path(directory), numbered, Decontaminate(words=size, coverage=coverage), pieces).hits(documents)
    assert found == brute(numbered, documents, size, coverage)


@given(st.integers(1, 40), st.integers(1, 60))
def test_a_run_has_one_hash_wherever_it_stands(length, words):
    hashes = np.random.default_rng(1).integers(0, 2**64, words, np.uint64)
    runs = phrases.Runs(hashes)
    every = runs.every(length)
    assert len(np.unique(every)) == len(every) == max(words - length + 1, 0)
    assert np.array_equal(runs.at(np.arange(len(every)), length), every)
    for start in range(len(every)):
        assert every[start] == phrases.Runs(hashes[start : start + length]).every(length)[0]
