"""Items in documents: as a search word by word finds them, whatever stands around them."""

import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.data.clean import contamination, phrases
from slipway.data.clean.contamination import Hit, build, hits, look, residual, seen
from slipway.settings import Decontaminate

THIRTEEN = "one two three four five six seven eight nine ten eleven twelve thirteen"
LONG = " ".join(f"w{number}" for number in range(40))


def run(count: int, start: int = 0) -> str:
    return " ".join(f"w{number}" for number in range(start, start + count))


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
def test_case_punctuation_and_surroundings_make_no_difference(document):
    items = build([("set", "1", THIRTEEN)], Decontaminate())
    assert hits(items, ["nothing", document]) == [Hit(1, "set/1", 1.0)]


def test_coverage_is_the_share_of_different_runs():
    items = build([("set", "1", f"{LONG} {LONG}")], Decontaminate(words=10, coverage=0.25))
    # 31 runs in the first time over, 9 across the seam.
    assert hits(items, [run(20), run(18)]) == [Hit(0, "set/1", 11 / 40)]


def test_a_short_item_is_looked_for_as_a_whole():
    items = build([("set", "1", "five words are just enough"), ("set", "2", "four are too few")], Decontaminate())
    assert (items.counts, items.too_short) == ({"set": 1}, {"set": 1})
    assert hits(items, ["And five words are just enough.", "five words are just", "four are too few"]) == [
        Hit(0, "set/1", 1.0)
    ]


def test_runs_do_not_reach_from_one_document_into_the_next():
    items = build([("set", "1", THIRTEEN)], Decontaminate())
    first, second = THIRTEEN[:30].rsplit(" ", 1)[0], THIRTEEN[len(THIRTEEN[:30].rsplit(" ", 1)[0]) :]
    assert hits(items, [first, second, THIRTEEN]) == [Hit(2, "set/1", 1.0)]


def test_the_texts_of_an_item_count_as_one():
    choices = f"{run(20)} {run(200, 1000)}"
    items = build([("quiz", "a", choices), ("quiz", "a", run(20)), ("quiz", "b", "too short")], Decontaminate())
    assert (items.counts, items.too_short) == ({"quiz": 1}, {"quiz": 1})
    assert hits(items, [run(20)]) == [Hit(0, "quiz/a", 1.0)]


def test_a_common_phrase_counts_for_no_item_but_items_that_are_alike_are_still_found():
    preamble = run(30)
    many = [("quiz", str(n), f"{preamble} {run(20, 1000 * (n + 1))}") for n in range(phrases.COMMON + 1)]
    items = build(many, Decontaminate(coverage=0.4))
    assert hits(items, [preamble, run(20, 3000)]) == [Hit(1, "quiz/2", 8 / 20)]
    alike = build([("quiz", str(n), preamble) for n in range(3 * phrases.COMMON)], Decontaminate())
    assert len(hits(alike, [preamble])) == phrases.COMMON


def test_what_remains_is_told_by_words():
    items = build([("a", "1", run(20)), ("a", "2", run(20, 100)), ("b", "1", run(26, 200))], Decontaminate())
    held = seen(items, [run(14), f"x {run(13, 213)}"])
    assert residual(items, held) == {"a": 14 / 40, "b": 13 / 26}
    assert residual(items, seen(items, [])) == {"a": 0.0, "b": 0.0}


def test_a_look_leaves_out_what_hits_hold():
    items = build([("a", "1", run(20)), ("b", "1", run(40, 100))], Decontaminate())
    found = look(items, [run(20), run(15, 100)])
    assert found.hits == hits(items, [run(20), run(15, 100)]) == [Hit(0, "a/1", 1.0)]
    assert (found.seen == seen(items, [run(15, 100)])).all()


def test_no_items_no_documents():
    nothing = build([], Decontaminate())
    assert hits(nothing, ["some text"]) == []
    assert residual(nothing, seen(nothing, ["some text"])) == {}
    assert hits(build([("a", "1", LONG)], Decontaminate()), []) == []
    assert hits(build([("a", "1", LONG)], Decontaminate()), ["", "..."]) == []
    short = build([("a", "1", "x")], Decontaminate())
    assert (short.counts, short.too_short, hits(short, ["x"])) == ({"a": 0}, {"a": 1}, [])


def test_items_travel():
    items = build([("a", "1", LONG)], Decontaminate())
    sent = pickle.loads(pickle.dumps(items))  # noqa: S301 - our own
    assert hits(sent, [LONG]) == hits(items, [LONG]) == [Hit(0, "a/1", 1.0)]


def brute(items: list[tuple[str, str, str]], documents: list[str], size: int, coverage: float) -> list[Hit]:
    def runs(text: str, length: int) -> set[tuple[str, ...]]:
        parts = re.findall(r"\w+", text.lower())
        return {tuple(parts[i : i + length]) for i in range(len(parts) - length + 1)}

    found = []
    for number, document in enumerate(documents):
        for group, item, text in items:
            length = min(size, len(text.split()))
            if length >= contamination.SHORTEST:
                wanted = runs(text, length)
                share = len(wanted & runs(document, length)) / len(wanted)
                if share >= coverage:
                    found.append(Hit(number, f"{group}/{item}", share))
    return found


TEXTS = st.lists(st.lists(st.sampled_from("abAB"), max_size=30).map(" ".join), max_size=6)


@settings(max_examples=150, deadline=None)
@given(TEXTS, TEXTS, st.integers(5, 9), st.sampled_from([0.1, 0.5, 1.0]))
def test_as_a_search_word_by_word(texts, documents, size, coverage):
    numbered = [("set", str(number), text) for number, text in enumerate(texts)]
    found = hits(build(numbered, Decontaminate(words=size, coverage=coverage)), documents)
    assert found == brute(numbered, documents, size, coverage)


@given(st.integers(1, 40), st.integers(1, 60))
def test_a_run_has_one_hash_wherever_it_stands(length, words):
    hashes = np.random.default_rng(1).integers(0, 2**64, words, np.uint64)
    rolled = phrases.rolled(hashes, length)
    for start in range(words - length + 1):
        assert rolled[start] == phrases.rolled(hashes[start : start + length], length)[0]
    assert len(np.unique(rolled[: max(words - length + 1, 0)])) == max(words - length + 1, 0)
