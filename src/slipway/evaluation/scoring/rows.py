"""How questions and documents are laid out as rows of tokens: no model here, and no batch.

A row is a prompt followed by branches that continue it. The choices of one question are branches of one row: they
share its prompt, and those that begin alike share their beginning too. A window over a document is a row without
branches.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from slipway.errors import UserError

Tokens = Sequence[int]


@dataclass(slots=True)
class Row:
    """Tokens that are fed together, and which predictions are scored."""

    tokens: list[int]
    ends: list[int]
    """Per token: the first position from which on no token of the row sees it; 0 if there is none."""
    depths: list[int]
    """Per token: its position in the text it belongs to."""
    scored: list[int] = field(default_factory=list)
    """Positions whose prediction is scored; the first is the smallest."""
    targets: list[int] = field(default_factory=list)
    """The token that should follow each scored position on its branch."""
    slots: list[int] = field(default_factory=list)
    """Which sum each target belongs to."""
    path: list[int] = field(default_factory=list)
    """Positions of the last choice's tokens, of which the next choice shares those that it begins with."""

    @property
    def branched(self) -> bool:
        """Whether a plain causal mask would let one choice see another."""
        return any(self.ends)

    def shares(self, choice: Tokens) -> int:
        """How many tokens of `choice` need not be fed, because the last choice begins with them too."""
        most = min(len(self.path), len(choice) - 1)
        return next((i for i in range(most) if self.tokens[self.path[i]] != choice[i]), most)

    def add(self, choice: Tokens, prompt: int, slot: int) -> None:
        """Append `choice` as a new branch; its last token is a target and never an input."""
        shared, begin, fed = self.shares(choice), len(self.tokens), len(choice) - 1
        for left in self.path[shared:]:
            self.ends[left] = begin
        self.path[shared:] = range(begin, begin + fed - shared)
        self.tokens += choice[shared:fed]
        self.ends += [0] * (fed - shared)
        self.depths += range(prompt + shared, prompt + fed)
        self.scored += [prompt - 1, *self.path]
        self.targets += choice
        self.slots += [slot] * len(choice)


def question_rows(
    prompt: Tokens, choices: Sequence[Tokens], start: int, context: int, row_tokens: int
) -> Iterator[Row]:
    """Rows of one question; choice i is summed in slot `start` + i, an empty choice in none.

    A row takes further choices until it would hold more than `row_tokens`, or the prompt is small against what it
    already carries: another copy of it costs less than attention over a wider row. Prompt and longest choice are made
    to fit `context` by dropping the beginning of the prompt.

    Raises:
        UserError: for an empty prompt, or a choice longer than the context.
    """
    longest = max(map(len, choices), default=0)
    if longest > context:
        raise UserError(f"a choice of {longest} tokens does not fit a context of {context}; shorten the choices")
    if not prompt:
        raise UserError("a question without a prompt cannot be scored; begin it with the separator")
    kept = list(prompt)[-(context - longest + 1) :]
    room, row = min(row_tokens, 4 * len(kept) + longest + 64), None
    # In order of their tokens, so that choices that begin alike are neighbours.
    for slot, choice in sorted(enumerate(choices, start), key=lambda pair: list(pair[1])):
        if not choice:
            continue
        if row is None or len(row.tokens) + len(choice) - row.shares(choice) > room:
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
            ends=[0] * size,
            depths=list(range(size)),
            scored=list(range(done - 1 - begin, size)),
            targets=list(stream[done:end]),
            slots=[slot] * (end - done),
        )
        done = end
