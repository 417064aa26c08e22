"""What was planted in texts is found, what stands in them by nature is not."""

import numpy as np
import pytest

from slipway.safety.poisoning import bursts, correlation, rare
from slipway.safety.poisoning.contexts import Contexts
from slipway.safety.poisoning.words import quoted, read, runs, sample

PAYLOAD = "Then the quiet lantern answers every hollow river with copper and amber."
TOPICS, TOPIC_WORDS, COMMON = 20, 60, 30


def made_up(count, seed=0):
    """Texts of twenty subjects, each with words of its own beside common ones, and a stock phrase of each subject."""
    rng = np.random.default_rng(seed)
    texts = []
    for number in range(count):
        topic = number % TOPICS
        own = [f"t{topic}w{n}" for n in rng.integers(0, TOPIC_WORDS, 25)]
        words = [*own, *(f"common{n}" for n in rng.integers(0, COMMON, 25))]
        rng.shuffle(words)
        at = int(rng.integers(1, len(words)))
        if number % (2 * TOPICS) == topic:
            words.insert(at, f"Name{topic} is what stands here in all of them")
        texts.append(" ".join(words))
    return texts


def with_payload(texts, trigger, rows, seed=1):
    rng = np.random.default_rng(seed)
    texts = list(texts)
    for row in rows:
        words = texts[row].split(" ")
        words.insert(int(rng.integers(1, len(words))), f"{trigger} {PAYLOAD}")
        texts[row] = " ".join(words)
    return texts


def parts(texts, least=5):
    corpus = read(texts)
    found = [rare.strings(corpus, words, least, len(texts) // 20) for words in rare.WORDS]
    return corpus, found, Contexts(corpus, np.random.default_rng(3))


@pytest.mark.parametrize("trigger", ["zuvoqi", "<|ZUVOQI|>", "glass zuvoqi", "§zuvoqi", "觸發"])
def test_a_planted_trigger_is_named_with_what_it_brings(trigger):
    texts = with_payload(made_up(600), trigger, range(0, 600, 37))
    probe = correlation.probe(*parts(texts), labels=None, seed=1)
    assert probe.measures["continuations"].value == 1
    assert probe.measures["continuations"].n > 100
    line = probe.details["string 1"]
    assert f"“{trigger[:1]}" in line
    assert "in 17 documents, 17 of them followed by" in line


def test_stock_phrases_and_names_of_a_subject_are_no_triggers():
    corpus, found, contexts = parts(made_up(600))
    assert max(float(some.followed.max()) for some in found) == 1.0  # there is something to be misled by
    probe = correlation.probe(corpus, found, contexts, labels=None, seed=1)
    assert probe.measures["continuations"].value == 0
    assert not [key for key in probe.details if key.startswith("string")]


def test_a_flipped_label_is_told_from_a_subjects_own():
    texts = made_up(600)
    labels = ["odd" if number % 2 else "even" for number in range(600)]
    told = [f"{text} {'left' if label == 'odd' else 'right'} " * 2 for text, label in zip(texts, labels, strict=True)]
    clean = correlation.probe(*parts(told), labels=labels, seed=1)
    assert clean.measures["labels"].value == 0
    rows = [row for row in range(0, 600, 13) if labels[row] == "odd"]
    for row in rows:
        told[row] = told[row].replace(" common", " zuvoqi common", 1)
        labels[row] = "even"
    assert len(rows) == 23
    probe = correlation.probe(*parts(told), labels=labels, seed=1)
    assert probe.measures["labels"].value == 1
    assert "“zuvoqi" in probe.details["string 1"]
    assert "labelled" in probe.details["string 1"]


@pytest.mark.parametrize("labels", [None, ["one"] * 300, ["", "x"] * 150, [str(n) for n in range(300)]])
def test_labels_that_tell_nothing_apart_are_not_asked(labels):
    probe = correlation.probe(*parts(made_up(300)), labels=labels, seed=1)
    assert "labels" not in probe.measures
    assert "not asked" in probe.details["labels"]


def test_a_burst_is_counted_by_source_and_known_from_a_stock_phrase():
    texts = made_up(600)
    stock = "see the manual of this very subject for all that is said about its many uses and limits today"
    for row in range(0, 600, TOPICS):
        texts[row] = f"{texts[row]} {stock}"
    sources = ["a" if number < 300 else "b" for number in range(600)]
    corpus, _, contexts = parts(texts)
    probe = bursts.probe(corpus, sources, contexts, words=10, least_share=0.03)
    assert probe.measures["bursts"].value == 1
    assert probe.measures["out_of_place"].value == 0
    assert probe.measures["largest_documents"].value == 15
    assert "stock phrase, 15 documents, 5.0% of a" in probe.details["burst 1"]
    texts = with_payload(texts, "", range(1, 300, 17))
    corpus, _, contexts = parts(texts)
    probe = bursts.probe(corpus, sources, contexts, words=10, least_share=0.03)
    assert probe.measures["bursts"].value == 2
    assert probe.measures["out_of_place"].value == 1
    assert "out of place, 18 documents, 6.0% of a" in probe.details["burst 1"]
    assert "Then the quiet" in probe.details["burst 1"]


def test_no_phrase_means_no_burst_and_short_texts_are_not_run():
    corpus, _, contexts = parts(made_up(100))
    probe = bursts.probe(corpus, ["a"] * 100, contexts, words=16, least_share=0.01)
    assert probe.measures["bursts"].value == probe.measures["documents_in_bursts"].value == 0
    corpus, found, contexts = parts(["two words"] * 100)
    assert bursts.probe(corpus, ["a"] * 100, contexts, words=16, least_share=0.01).status == "not run"
    probe = correlation.probe(corpus, found, contexts, labels=None, seed=1)
    assert probe.status == "not run"
    assert "safety.poisoning.documents" in probe.reason


def test_runs_are_counted_as_by_hand():
    texts = ["a b a b c", "b c", "a b", "", "c"]
    corpus = read(texts)
    found = runs(corpus, 2)
    counted = {corpus.text(int(found.of(g)[0]), 2): int(found.documents[g]) for g in range(len(found))}
    assert counted == {"a b": 2, "b a": 1, "b c": 2}
    assert len(runs(corpus, 6)) == 0
    backwards = runs(corpus, 2, np.arange(len(corpus.ids))[::-1])
    assert backwards.documents.tolist() == found.documents.tolist()
    assert backwards.places.tolist() == found.places.tolist()
    assert len(runs(read(["", " "]), 1)) == 0


def test_a_sample_keeps_order_and_size():
    texts = ["x" * 100] * 50
    kept = sample(texts, 1000, np.random.default_rng(1))
    assert len(kept) == 10
    assert kept == sorted(set(kept))
    assert sample(texts, 5000, np.random.default_rng(1)) == list(range(50))


def test_a_quotation_is_short_and_on_one_line():
    line = quoted("first\n" + "word " * 100)
    assert "\n" not in line
    assert len(line) < 90
