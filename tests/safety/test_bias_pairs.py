"""Paired likelihoods: what a model that was taught a preference shows, and pairs that tell nothing."""

from collections import Counter
from difflib import SequenceMatcher
from pathlib import Path

import pytest

from slipway.errors import UserError
from slipway.safety import bias_pairs, pairs
from slipway.safety.bias_pairs import own_pairs, probe
from slipway.safety.pairs import Pair, compare, measured

HEADER = ",sent_more,sent_less,stereo_antistereo,bias_type,annotations\n"


class Words:
    """A scorer of words, each with a likelihood of its own: what a model prefers is what the test says."""

    separator, context = 0, 64

    def __init__(self, **nats):
        self.nats, self.known = nats, {}

    def encode(self, texts):
        return [[self.known.setdefault(word, len(self.known) + 1) for word in text.split()] for text in texts]

    def loglikelihoods(self, prompts, choices):
        assert all(prompt[0] == self.separator for prompt in prompts)
        names = {number: word for word, number in self.known.items()}
        return [[sum(self.nats.get(names[token], -1.0) for token in one) for one in options] for options in choices]


def test_own_pairs_are_many_minimal_balanced_and_all_different():
    own = own_pairs()
    assert len(own) >= 200
    assert len({pair.group for pair in own}) >= 5
    assert len({frozenset((pair.more, pair.less)) for pair in own}) == len(own)
    changed = Counter()
    for pair in own:
        more, less = pair.more.split(), pair.less.split()
        blocks = SequenceMatcher(None, more, less, autojunk=False).get_opcodes()
        ((_, a, b, c, d),) = [block for block in blocks if block[0] != "equal"]
        assert b - a == d - c == 1, pair
        changed[(pair.group, more[a], less[c])] += 1
        assert "{" not in pair.more + pair.less
    for (group, one, other), count in changed.items():
        assert changed[(group, other, one)] == count, "a word that is likelier everywhere must win as often as it loses"


def test_a_word_that_is_likelier_everywhere_moves_nothing():
    (own, _) = probe(Words(he=5.0, man=3.0, young=2.0, Italian=1.0), file=None, seed=1)
    assert own.measures["share_gender_and_occupation"].value == 0.5
    assert own.measures["difference"].value == 0
    assert own.measures["difference"].low < 0 < own.measures["difference"].high


def test_a_preference_for_the_stereotype_is_seen_in_its_kind_with_its_size():
    likes = [Pair(f"the {role} said she", f"the {role} said he", "gender", role) for role in "abcdefgh"]
    other = [Pair(f"the {role} said old", f"the {role} said young", "age", role) for role in "abcdefgh"]
    found = measured(compare(Words(she=0.0, he=-2.0, old=-3.0, young=-1.0), [*likes, *other]), seed=1)
    assert found["share_gender"].value == 1
    assert found["share_age"].value == 0
    assert (found["share"].value, found["share"].n, found["share"].method) == (0.5, 16, "Wilson")
    assert found["difference_gender"].value > 0 > found["difference_age"].value
    gender = measured(compare(Words(she=0.0, he=-2.0), likes), seed=1)
    size = (len(b"the a said she") + len(b"the a said he")) / 2
    assert gender["difference"].value == pytest.approx(2 / 0.6931472 / size, abs=1e-5)


def test_the_difference_sees_a_stereotype_where_one_word_wins_every_pair():
    class Leaning(Words):
        def loglikelihoods(self, prompts, choices):
            nurse = self.known["nurse"]
            found = super().loglikelihoods(prompts, choices)
            return [
                [more, less + 1] if nurse in prompt else [more, less]
                for prompt, (more, less) in zip(prompts, found, strict=True)
            ]

    frames = "abcdefgh"
    some = [Pair(f"the nurse {x} she", f"the nurse {x} he", "gender", f"nurse {x}") for x in frames]
    some += [Pair(f"the pilot {x} he", f"the pilot {x} she", "gender", f"pilot {x}") for x in frames]
    found = measured(compare(Leaning(he=0.0, she=-5.0), some), seed=1)
    assert found["share"].value == 0.5
    assert found["difference"].value < 0
    assert found == measured(compare(Leaning(he=0.0, she=-5.0), some), seed=1)


def test_a_real_model_prefers_what_it_has_read(remembering, texts):
    read = [Pair(text, text.replace(" ", " shape ", 1), "read", text) for text in texts[:10]]
    assert measured(compare(remembering, read), seed=1)["share_read"].value == 1


def test_only_whole_sentences_count_so_what_both_begin_with_cancels_out(untrained):
    pair = Pair("the array of index values", "the array of sort values", "x", "x")
    (difference,) = compare(untrained, [pair]).nats
    whole = [
        untrained.loglikelihoods([[untrained.separator]], [[tokens]])[0][0]
        for tokens in untrained.encode([pair.more, pair.less])
    ]
    assert difference == pytest.approx(whole[0] - whole[1], abs=1e-4)


def test_one_sentence_that_begins_the_other_is_compared():
    (difference,) = compare(Words(), [Pair("we sing", "we sing loudly", "x", "x")]).nats
    assert difference == 1


def test_pairs_that_tie_or_do_not_fit_prefer_nothing_and_are_counted(monkeypatch):
    long = " ".join(f"w{i}" for i in range(70))
    some = [Pair("a b", "a c", "x", "1"), Pair(f"{long} b", f"{long} c", "x", "2")]
    monkeypatch.setattr(bias_pairs, "own_pairs", lambda: some)
    own, crows = probe(Words(), file=None, seed=1)
    assert own.status == "not run"
    assert own.reason == (
        "no pair tells anything: 1 of 2 pairs, too long for the context; 1 of 2 pairs, whose sentences are exactly "
        "equally likely"
    )
    assert crows.status == "not run"
    assert "safety.bias_file names no file" in crows.reason
    monkeypatch.setattr(bias_pairs, "own_pairs", lambda: [*some, Pair("a b", "a d", "x", "3")])
    (own, _) = probe(Words(b=0.0, c=0.0), file=None, seed=1)
    assert (own.measures["share"].value, own.measures["share"].n) == (1, 1)
    assert own.measures["difference"].low is not None


def test_scores_that_are_no_numbers_end_the_probe(tokenizer):
    import torch

    from slipway.evaluation.scoring import Scorer
    from tests.safety.conftest import build

    model = build(tokenizer)
    with torch.no_grad():
        model.model.norm.weight[0] = float("nan")
    with pytest.raises(UserError, match="not numbers"):
        probe(Scorer(model, tokenizer, context=64), file=None, seed=1)


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "pairs.csv"
    path.write_text(header + "".join(f"{row}\n" for row in rows), "utf-8")
    return path


def test_crows_pairs_by_kind_and_direction(tmp_path):
    path = write(
        tmp_path,
        '0,"she is, well, late",he is late,stereo,gender,"[[\'gender\'], []]"',
        "1,old people sing,young people sing,antistereo,age,[]",
        "2,old people walk,young people walk,stereo,age,[]",
    )
    _, crows = probe(Words(old=0.0, young=-2.0), file=path, seed=1)
    assert crows.name == "crows_pairs"
    values = {name: (measure.value, measure.n) for name, measure in crows.measures.items() if "share" in name}
    assert values == {
        "share": (0.666667, 3),
        "share_gender": (0, 1),
        "share_age": (1, 2),
        "share_stereo": (0.5, 2),
        "share_antistereo": (1, 1),
    }
    assert "on 3 pairs of pairs.csv, sha256 " in crows.details["claim"]
    assert "pseudo-log-likelihood" in crows.details["counterpart"]
    assert "Blodgett" in crows.details["criticism"]
    assert "late" not in crows.to_json()


def test_both_probes_are_the_same_twice(untrained, tmp_path):
    path = write(tmp_path, "0,she sings,he sings,stereo,gender,[]")
    assert probe(untrained, file=path, seed=3) == probe(untrained, file=path, seed=3)
    assert pairs.RESAMPLES >= 1000
