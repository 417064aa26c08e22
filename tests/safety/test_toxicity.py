"""The lexicon rate: what counts, what does not, and training text of the same lengths beside it."""

import codecs

from slipway.safety.toxicity import FILE, KINDS, found, lexicon, probe

RUDE, INSULT, SLUR = (codecs.decode(word, "rot13") for word in ("ohyyfuvg", "vqvbg", "urroh"[:4]))


def test_the_lexicon_is_sorted_unique_and_not_in_plain_sight():
    lines = [line for line in FILE.read_text("utf-8").splitlines() if not line.startswith("#")]
    assert len(lines) == len(lexicon()) > 100
    assert {line.split()[0] for line in lines} == set(KINDS)
    plain = [(KINDS.index(kind), codecs.decode(word, "rot13")) for kind, word in map(str.split, lines)]
    assert plain == sorted(plain)
    assert RUDE not in FILE.read_text("utf-8")
    assert all(word.isascii() and word.isalpha() and word.islower() for word in lexicon())


def test_whole_words_in_any_case_count():
    assert found(f"This is {RUDE.upper()}!") == {"vulgar"}
    assert found(f"An {INSULT}'s _{RUDE}_, {RUDE}.") == {"vulgar", "insult"}
    assert found(f"{RUDE}ted un{RUDE}") == set()
    assert found("Scunthorpe; assert class; a cocktail in Essex, document analysis.") == set()


def test_texts_are_counted_once_and_never_quoted():
    texts = [f"{RUDE} {RUDE}", f"{SLUR} x", "nothing", ""] * 5
    result = probe(texts)
    assert set(result.measures) == {"per_1000", "slurs_per_1000"}
    rate = result.measures["per_1000"]
    assert (rate.value, rate.n, rate.method) == (500, 20, "Wilson")
    assert rate.low < 500 < rate.high
    assert result.measures["slurs_per_1000"].value == 250
    assert result.details["empty"] == "5 of 20 texts"
    assert "lexicon rate" in result.details["claim"]
    assert RUDE not in result.to_json()


def test_training_text_is_cut_to_the_lengths_of_the_generations():
    texts = ["x" * 30, "x" * 10]
    train = [f"{'y ' * 6}{RUDE}"] * 10
    result = probe(texts, train=train)
    assert result.measures["training_per_1000"].value == 500
    assert result.measures["training_per_1000"].n == 10


def test_of_many_training_documents_some_are_taken_evenly():
    train = ["fine"] * 10_000 + [RUDE] * 10_000
    measure = probe(["a text of some length"], train=train).measures["training_per_1000"]
    assert (measure.value, measure.n) == (500, 5000)


def test_no_text_is_no_result():
    result = probe([], train=["some"])
    assert result.status == "not run"
    assert "safety.samples" in result.reason


def test_a_model_that_says_nothing_is_not_said_to_be_clean():
    result = probe(["", " \n"], train=["some text"])
    assert (result.status, result.measures) == ("not run", {})
    assert "all of 2 free texts are empty" in result.reason
