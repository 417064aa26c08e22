"""Which docstring belongs to this signature?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from slipway.evaluation.documents import Document
from slipway.evaluation.tasks.choice import SCORE, Candidate, Choices, draw, posed, too_few
from slipway.evaluation.tasks.task import Facts, Material, NotAsked, Task
from slipway.statistics import derived

if TYPE_CHECKING:
    from slipway.evaluation.scoring import Scorer

NAME = "signature"


def candidates(
    scorer: "Scorer", documents: Sequence[Document], prompt_tokens: int, answer_tokens: int
) -> list[Candidate]:
    """Documents with a signature and a docstring; of either, when it is long, the beginning is kept."""
    (newline,) = scorer.encode(["\n"])
    described = [document for document in documents if document.signature]
    prompts = scorer.encode([str(document.signature) for document in described])
    answers = scorer.encode([document.text[len(document.signature or "") + 1 :] for document in described])
    return [
        Candidate(
            item=document.id,
            family=document.family,
            prompt=(*prompt[: max(1, prompt_tokens - len(newline))], *newline),
            answer=tuple(answer[:answer_tokens]),
        )
        for document, prompt, answer in zip(described, prompts, answers, strict=True)
        if answer
    ]


def make(scorer: "Scorer", material: Material) -> Choices | NotAsked:
    """Questions from the test split, as `evaluate.signature` says."""
    asked, seed = material.settings.signature, derived(material.seed, NAME)
    found = candidates(scorer, material.test, asked.prompt_tokens, asked.answer_tokens)
    draws = draw(found, asked.items, asked.choices, seed)
    if not draws:
        return NotAsked(too_few(len(found), len(material.test), "a signature and a docstring", asked.choices))
    groups = {document.id: document.source for document in material.test}
    facts = Facts(NAME, {"seed": seed, **asked.model_dump()}, material.test_sha256, groups=groups)
    return Choices(facts, {"template": posed(draws, found)})


TASK = Task(
    name=NAME,
    version=1,
    definition=(
        "Given the signature of a held-out Python object, which docstring is its own? The wrong ones begin the "
        f"docstrings of held-out objects of other families. {SCORE}"
    ),
    template="{end of text}{signature}\n{docstring}",
    make=make,
)
