"""Questions are fair, scored as defined, and answered by a model that learnt them."""

import numpy as np
import pytest

from slipway.evaluation.tasks import continuation, signature
from slipway.evaluation.tasks.choice import Candidate, draw, judged, posed, scores
from tests.evaluation.made import document


def questions(candidates, items, choices, seed):
    return posed(draw(candidates, items, choices, seed), candidates)


def share_right(scorer, made):
    given = zip(made, scores(scorer, made), strict=True)
    return float(np.mean([judged(question, own, "signature", "model").value for question, own in given]))


class TestQuestions:
    candidates = tuple(Candidate(f"d{i}", f"f{i // 2}", (i,), (i, i % 5)) for i in range(20))

    def test_are_the_same_for_the_same_seed_and_others_for_another(self):
        assert questions(self.candidates, 9, 4, 1) == questions(self.candidates, 9, 4, 1)
        assert questions(self.candidates, 9, 4, 1) != questions(self.candidates, 9, 4, 2)

    def test_have_one_true_answer_and_wrong_ones_of_other_families(self):
        by_answer = {candidate.answer: candidate for candidate in self.candidates}
        by_item = {candidate.item: candidate for candidate in self.candidates}
        made = questions(self.candidates, 50, 4, 3)
        assert len(made) == 20 == len({question.item for question in made})
        for question in made:
            own = by_item[question.item]
            assert question.choices[question.right] == own.answer
            others = [by_answer[c].family for i, c in enumerate(question.choices) if i != question.right]
            assert len(others) == 3
            assert own.family not in others
        assert {question.right for question in made} == {0, 1, 2, 3}

    def test_equal_answers_never_stand_beside_each_other(self):
        same = [Candidate(f"d{i}", f"f{i}", (i,), (1, 2)) for i in range(9)]
        assert questions(same, 9, 4, 0) == []
        assert len(questions([*same, *self.candidates], 99, 4, 0)) == 29

    @pytest.mark.parametrize("count", [0, 1, 3])
    def test_fewer_documents_than_choices_make_no_question(self, count):
        assert questions([Candidate(f"d{i}", f"f{i}", (i,), (i,)) for i in range(count)], 5, 4, 0) == []


def test_continuation_cuts_the_documents_own_tokens(scorer):
    texts = ["array axis " * 3, "value index sort return " * 9, "x" * 400]
    found = continuation.candidates(scorer, [document(i, text) for i, text in enumerate(texts)], 20, 8)
    tokens = dict(zip(("d000", "d001", "d002"), scorer.encode(texts), strict=True))
    assert {c.item for c in found} == {name for name, own in tokens.items() if len(own) >= 16}
    for candidate in found:
        size = len(candidate.prompt)
        assert 8 <= size <= 20
        assert len(candidate.answer) == 8
        assert [*candidate.prompt, *candidate.answer] == tokens[candidate.item][: size + 8]


def test_signature_pairs_header_and_docstring(scorer):
    header = "def sort(a, axis)"
    long = f"def {'long' * 60}()"
    documents = [
        document(0, f"{header}\nReturn the array.", header=header),
        document(1, "No signature here."),
        document(2, "def nothing()\n", header="def nothing()"),
        document(3, f"{long}\nSum.", header=long),
    ]
    found = {c.item: c for c in signature.candidates(scorer, documents, 30, 6)}
    assert set(found) == {"d000", "d003"}
    assert scorer.decode(found["d000"].prompt) == header + "\n"
    assert "Return the array.".startswith(scorer.decode(found["d000"].answer))
    assert 0 < len(found["d000"].answer) <= 6
    assert len(found["d003"].prompt) == 30
    assert scorer.decode(found["d003"].prompt).endswith("\n")


def test_a_model_that_learnt_pairs_answers_right(tokenizer):
    """A hundred and twenty steps on signatures and docstrings lift a small model from chance to nearly all right."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from slipway.evaluation.scoring import Scorer

    torch.manual_seed(1)
    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=64,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    scorer = Scorer(model, tokenizer, context=64)
    words = ["array", "axis", "value", "index", "sort", "return", "shape", "matrix", "number", "input"]
    pairs = [(f"def {word}()", f"The {word} of it.") for word in words]
    documents = [document(i, f"{head}\n{doc}", header=head) for i, (head, doc) in enumerate(pairs)]
    made = questions(signature.candidates(scorer, documents, 30, 20), 60, 4, 0)
    before = share_right(scorer, made)
    rows = [[0, *tokens, 0] for tokens in scorer.encode([item.text for item in documents])]
    width = max(map(len, rows))
    batch = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    for _ in range(120):
        optimizer.zero_grad()
        model(batch, labels=batch).loss.backward()
        optimizer.step()
    scorer = Scorer(model, tokenizer, context=64)
    after = share_right(scorer, made)
    assert before < 0.6
    assert after >= 0.9
    assert np.isfinite(scorer.documents([row[1:-1] for row in rows], 32)).all()
