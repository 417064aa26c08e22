"""Which docstring belongs to this signature?"""

from collections.abc import Sequence

from slipway.evaluation.documents import Document
from slipway.evaluation.tasks.choice import Asks, Candidate, Task


def candidates(scorer: Asks, documents: Sequence[Document], prompt_tokens: int, answer_tokens: int) -> list[Candidate]:
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


TASK = Task(
    name="signature",
    definition=(
        "Given the signature of a held-out Python object, which docstring is its own? The wrong ones begin the "
        "docstrings of held-out objects of other families."
    ),
    needs="a signature and a docstring",
    candidates=candidates,
)
