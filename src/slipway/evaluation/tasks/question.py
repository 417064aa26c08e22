"""Which answer belongs to this question? For models that people will talk to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from slipway.errors import UserError
from slipway.evaluation.conversations import Asked, answers, template
from slipway.evaluation.tasks.choice import Candidate, Choices, draw, posed
from slipway.evaluation.tasks.task import Facts, Material, NotAsked, Task
from slipway.statistics import derived

if TYPE_CHECKING:
    from slipway.evaluation.scoring import Scorer

NAME = "question"


def candidates(asked: Sequence[Asked], prompt_tokens: int, answer_tokens: int) -> list[Candidate]:
    """What was said, when it is long its end, and the beginning of the answer."""
    return [
        Candidate(one.item, one.family, one.prompt[-prompt_tokens:], one.answer[:answer_tokens], one.lead)
        for one in asked
    ]


def make(scorer: "Scorer", material: Material) -> Choices | NotAsked:
    """Questions from held-out conversations, as `evaluate.question` says."""
    settings, seed = material.settings.question, derived(material.seed, NAME)
    if settings is None:
        raise UserError("evaluate.question is null, so no question can be made; give it items and prompt_tokens")
    chat = template(scorer)
    if chat is None:
        return NotAsked("the tokenizer has no chat template")
    said = [one for one in answers(scorer, material.test, chat) if one.templated]
    plain = {one.item: one for one in answers(scorer, material.test, chat, plain=True)}
    sizes = settings.prompt_tokens, settings.answer_tokens
    found = candidates(said, *sizes)
    draws = draw(found, settings.items, settings.choices, seed)
    if not draws:
        return NotAsked(
            f"the test split holds {len(said)} answers of conversations; a question needs {settings.choices} of "
            "different families that differ"
        )
    facts = Facts(
        NAME,
        {"seed": seed, **settings.model_dump()},
        material.test_sha256,
        chat.sha256,
        groups={one.item: one.source for one in said},
    )
    in_plain = candidates([plain[one.item] for one in said], *sizes)
    return Choices(facts, {"template": posed(draws, found), "plain": posed(draws, in_plain)})


TASK = Task(
    name=NAME,
    version=1,
    definition=(
        "Given what was said in a held-out conversation, which answer is its own? The wrong ones are answers of "
        "held-out conversations of other families. A choice scores log p(choice | prompt) - log p(choice), summed over "
        "its tokens; the prompt follows an end-of-text token, and log p(choice) is taken after one and what the chat "
        "template puts before any answer."
    ),
    template="{end of text}{what was said before, as the chat template renders it}{answer}",
    make=make,
)
