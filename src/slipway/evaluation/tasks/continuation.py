"""Which continuation follows the beginning of a held-out document?"""

from collections.abc import Sequence

from slipway.evaluation.documents import Document
from slipway.evaluation.tasks.choice import Asks, Candidate, Task


def candidates(scorer: Asks, documents: Sequence[Document], prompt_tokens: int, answer_tokens: int) -> list[Candidate]:
    """Documents of at least twice `answer_tokens` tokens, cut in two inside their own token sequence."""
    found = []
    for document, tokens in zip(documents, scorer.encode([document.text for document in documents]), strict=True):
        if len(tokens) >= 2 * answer_tokens:
            cut = min(prompt_tokens, len(tokens) - answer_tokens)
            answer = tuple(tokens[cut : cut + answer_tokens])
            found.append(Candidate(document.id, document.family, tuple(tokens[:cut]), answer))
    return found


TASK = Task(
    name="continuation",
    definition=(
        "Given the beginning of a held-out document, which continuation follows? The wrong ones are the "
        "continuations of held-out documents of other families, equally long in tokens."
    ),
    needs="twice answer_tokens tokens",
    candidates=candidates,
)
