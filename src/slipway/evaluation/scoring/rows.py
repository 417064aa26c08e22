"""How questions and documents are laid out as rows of tokens: no model here, and no batch.

A row is a prompt followed by branches that continue it. The choices of one question are branches of one row
and share its prompt; a window over a document is a row without branches.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from slipway.errors import UserError

Tokens = Sequence[int]


@dataclass(slots=True)
class Row:
    """Tokens that are fed together, and which predictions are scored."""

    tokens: list[int]
    branches: list[int]
    """Per token: 0 for the prompt, else the number of its branch."""
    depths: list[int]
    """Per token: its position in the text it belongs to."""
    scored: list[int] = field(default_factory=list)
    """Positions whose prediction is scored; the first is the smallest."""
    targets: list[int] = field(default_factory=list)
    """The token that should follow each scored position on its branch."""
    slots: list[int] = field(default_factory=list)
    """Which sum each target belongs to."""

    @property
    def branched(self) -> bool:
        """Whether a plain causal mask would let one choice see another."""
        return self.branches[-1] > 1

    def add(self, choice: Tokens, prompt: int, slot: int) -> None:
        """Append `choice` as a new branch; its last token is a target and never an input."""
        begin, fed = len(self.tokens), len(choice) - 1
        self.branches += [self.branches[-1] + 1] * fed
        self.tokens += choice[:-1]
        self.depths += range(prompt, prompt + fed)
        self.scored += [prompt - 1, *range(begin, begin + fed)]
        self.targets += choice
        self.slots += [slot] * len(choice)


def question_rows(
    prompt: Tokens, choices: Sequence[Tokens], start: int, context: int, row_tokens: int
) -> Iterator[Row]:
    """Rows of one question; choice i is summed in slot `start` + i, an empty choice in none.

    A row takes further choices until it would hold more than `row_tokens`. Prompt and longest choice are
    made to fit `context` by dropping the beginning of the prompt.

    Raises:
        UserError: for an empty prompt, or a choice as long as the context.
    """
    longest = max(map(len, choices), default=0)
    if longest >= context:
        raise UserError(f"a choice of {longest} tokens does not fit a context of {context}; shorten the choices")
    if not prompt:
        raise UserError("a question without a prompt cannot be scored; begin it with the separator")
    kept = list(prompt)[-(context - longest + 1) :]
    row = None
    for slot, choice in enumerate(choices, start):
        if not choice:
            continue
        if row is None or len(row.tokens) + len(choice) > row_tokens:
            if row is not None:
                yield row
            row = Row(list(kept), [0] * len(kept), list(range(len(kept))))
        row.add(choice, len(kept), slot)
    if row is not None:
        yield row


def window_rows(stream: Tokens, stride: int, slot: int, context: int) -> Iterator[Row]:
    """Windows over `stream`, of which every token but the first is scored once, in `slot`."""
    done = 1
    while done < len(stream):
        end = min(len(stream), context + 1 if done == 1 else done + stride)
        begin = max(0, end - 1 - context)
        size = end - 1 - begin
        yield Row(
            tokens=list(stream[begin : end - 1]),
            branches=[0] * size,
            depths=list(range(size)),
            scored=list(range(done - 1 - begin, size)),
            targets=list(stream[done:end]),
            slots=[slot] * (end - done),
        )
        done = end
