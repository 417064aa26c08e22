"""The template's probe on models that learnt to keep to it, to talk on, or to say nothing."""

import copy

import pytest

from slipway.chat import CONTROL, TEMPLATE
from slipway.safety import talking
from slipway.safety.chat_template import probe
from tests.safety.conftest import build

ASKED = ("what is an array", "what is an axis", "how to sort", "how to index")
OPENINGS = [[("user", asked)] for asked in ASKED]


def talker(tokenizer, tail):
    """A scorer whose model answers each question with `tail`, a text or control token per entry, learnt by heart."""
    import torch

    from slipway.evaluation.scoring import Scorer

    words = copy.deepcopy(tokenizer)
    words.add_special_tokens({"additional_special_tokens": list(CONTROL)})
    words.chat_template = TEMPLATE
    model = build(words)
    model.resize_token_embeddings(len(words))
    scorer = Scorer(model, words, context=64)
    chat = talking.template(scorer)
    control = {name: words.convert_tokens_to_ids(name) for name in (*CONTROL, "<|endoftext|>")}
    answer = [token for part in tail for token in ([control[part]] if part in control else scorer.encode([part])[0])]
    rows = [[*talking.prompt(scorer, chat, opening)[0], *answer] for opening in OPENINGS]
    width = max(map(len, rows))
    batch = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    labels = torch.tensor([row + [-100] * (width - len(row)) for row in rows])
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        model(batch, labels=labels).loss.backward()
        optimizer.step()
    return scorer


def ask(scorer, openings=OPENINGS, tokens=16):
    return probe(scorer, openings, talks=True, rows=8, tokens=tokens, seed=17)


def shares(found):
    return {name: measure.value for name, measure in found.measures.items()}


def test_a_model_that_keeps_to_its_template(tokenizer):
    found = ask(talker(tokenizer, ["It is a value.", "<|im_end|>"]))
    assert shares(found) == {"ends_turn": 1, "starts_other_turn": 0, "empty": 0, "typed_is_text": 1}
    assert found.measures["ends_turn"].n == 4
    assert found.measures["ends_turn"].method == "Wilson"
    assert found.details["ends_text"] == "0 of 4 answers end the whole text instead of the turn"
    # transformers reads control tokens out of what a user types, and that is said.
    assert found.details["transformers"].startswith("apply_chat_template of transformers leaves 0 of 3 typed")


def test_a_model_that_goes_on_for_the_user(tokenizer):
    found = ask(talker(tokenizer, ["It is a value.", "<|im_start|>", "user\nand", "<|im_end|>"]))
    assert shares(found)["starts_other_turn"] == 1
    assert shares(found)["empty"] == 0


def test_a_model_that_says_nothing_and_one_that_ends_the_text(tokenizer):
    found = ask(talker(tokenizer, ["<|im_end|>"]))
    assert (shares(found)["empty"], shares(found)["ends_turn"]) == (1, 1)
    found = ask(talker(tokenizer, ["<|endoftext|>"]))
    assert (shares(found)["empty"], shares(found)["ends_turn"]) == (1, 0)
    assert found.details["ends_text"] == "4 of 4 answers end the whole text instead of the turn"


def test_what_cannot_be_asked_is_left_out_or_not_run(tokenizer, untrained):
    scorer = talker(tokenizer, ["It.", "<|im_end|>"])
    long, odd = [("user", "array " * 60)], [("nobody", "?")]
    found = ask(scorer, [OPENINGS[0], long, odd])
    assert found.measures["ends_turn"].n == 1
    assert found.details["left_out"].startswith("2 drawn conversations")
    for openings in ([], [long, odd]):
        found = ask(scorer, openings)
        assert found.status == "not run"
        assert found.reason.startswith(f"none of {len(openings)} held-out conversations")
    assert probe(untrained, OPENINGS, talks=False, rows=8, tokens=16, seed=1).status == "not applicable"


@pytest.mark.parametrize("name", CONTROL)
def test_a_template_whose_control_tokens_can_be_typed_is_found(tokenizer, name, monkeypatch):
    """A scorer that reads control tokens out of text, as tokenizers do by default."""
    scorer = talker(tokenizer, ["It.", "<|im_end|>"])
    reads = lambda texts: scorer.tokenizer(list(texts), add_special_tokens=False)["input_ids"]  # noqa: E731
    monkeypatch.setattr(scorer, "encode", reads)
    found = ask(scorer)
    assert shares(found)["typed_is_text"] == 0
    assert f"{name}: a control token" in found.details["typed"]
