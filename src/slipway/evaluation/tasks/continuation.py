"""Which continuation follows the beginning of a held-out document?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from slipway.evaluation.documents import Document
from slipway.evaluation.tasks.choice import SCORE, Candidate, Choices, draw, posed, too_few
from slipway.evaluation.tasks.task import Facts, Material, NotAsked, Task
from slipway.statistics import derived

if TYPE_CHECKING:
    from slipway.evaluation.scoring import Scorer

NAME = "continuation"


def candidates(
    scorer: "Scorer", documents: Sequence[Document], prompt_tokens: int, answer_tokens: int
) -> list[Candidate]:
    """Documents of at least twice `answer_tokens` tokens, cut in two inside their own token sequence."""
    found = []
    for document, tokens in zip(documents, scorer.encode([document.text for document in documents]), strict=True):
        if len(tokens) >= 2 * answer_tokens:
            cut = min(prompt_tokens, len(tokens) - answer_tokens)
            answer = tuple(tokens[cut : cut + answer_tokens])
            found.append(Candidate(document.id, document.family, tuple(tokens[:cut]), answer))
    return found


def make(scorer: "Scorer", material: Material) -> Choices | NotAsked:
    """Questions from the test split, as `evaluate.continuation` says."""
    asked, seed = material.settings.continuation, derived(material.seed, NAME)
    found = candidates(scorer, material.test, asked.prompt_tokens, asked.answer_tokens)
    draws = draw(found, asked.items, asked.choices, seed)
    if not draws:
        return NotAsked(too_few(len(found), len(material.test), "twice answer_tokens tokens", asked.choices))
    groups = {document.id: document.source for document in material.test}
    facts = Facts(NAME, {"seed": seed, **asked.model_dump()}, material.test_sha256, groups=groups)
    return Choices(facts, {"template": posed(draws, found)})


TASK = Task(
    name=NAME,
    version=1,
    definition=(
        "Given the beginning of a held-out document, which continuation follows? The wrong ones are the "
        f"continuations of held-out documents of other families, equally long in tokens. {SCORE}"
    ),
    template="{end of text}{beginning}{continuation}",
    make=make,
)
