"""How well are answers predicted: the assistant's turns of held-out conversations, and completions of prompts?

Each is scored after all that was said before it, so the figure is conditional and belongs beside no compressor's.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from slipway.evaluation.conversations import Asked, answers, template
from slipway.evaluation.tasks.likelihood import Likelihoods, Stretch
from slipway.evaluation.tasks.task import Facts, Form, Material, NotAsked, Say, Task

if TYPE_CHECKING:
    from slipway.evaluation.scoring import Scorer

NAME = "answers"
NONE = "no test document is a completion, or a conversation for which the tokenizer has a chat template"


def make(scorer: "Scorer", material: Material) -> Likelihoods | NotAsked:
    """The answers that fit the context, in either form."""
    chat = template(scorer)
    asked: dict[Form, list[Asked]] = {
        "template": answers(scorer, material.test, chat),
        "plain": answers(scorer, material.test, chat, plain=True),
    }
    if not asked["template"]:
        return NotAsked(NONE)
    stretches: dict[Form, list[Stretch]] = {
        form: [
            Stretch(one.item, one.family, one.prompt, one.answer, one.size)
            for one in some
            if len(one.answer) < scorer.context
        ]
        for form, some in asked.items()
    }
    every, fitting = len(asked["template"]), len(stretches["template"])
    if not fitting:
        return NotAsked(f"none of the {every} answers in the test split fits a context of {scorer.context} tokens")
    left = every - fitting
    facts = Facts(
        NAME,
        {},
        material.test_sha256,
        chat.sha256 if chat and any(one.templated for one in asked["template"]) else "none",
        f"{left} of {every} answers do not fit the context and are left out." if left else "",
        {one.item: one.source for one in asked["template"]},
    )
    return Likelihoods(facts, stretches, _nats)


def _nats(scorer: "Scorer", some: Sequence[Stretch], say: Say) -> np.ndarray:
    scores = scorer.loglikelihoods(
        [(scorer.separator, *one.prompt) for one in some],
        [[one.tokens] for one in some],
        lambda done, total: say(done, total, NAME),
    )
    return -np.array(scores).reshape(-1)


TASK = Task(
    name=NAME,
    version=1,
    definition=(
        "Bits that the model needs for the answers of held-out conversations and the completions of held-out prompts, "
        "after all that was said before, over the UTF-8 bytes of the answers. What ends an answer counts as a part of "
        "it."
    ),
    template="{end of text}{what was said before, as the chat template renders it}{answer}{what ends it}",
    make=make,
)
