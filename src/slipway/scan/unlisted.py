"""Weights of any architecture against config.json: what holds of every model, whatever its type.

Judged is what has a name that is the same everywhere: the table of words, and numbered layers. Their sizes must be
among the numbers that the configuration gives for such things, at any depth. A configuration that does not speak of
them, and tensors of other names, are not judged.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from slipway.scan import structure
from slipway.scan.values import Tensor

TABLE = re.compile(
    r"(?:^|\.)(?:embed_tokens|word_embeddings?|tok_embeddings|wte|embed_in|token_embedding|shared|embed_positions_tokens)"
    r"\.weight$"
)
"""A table of words: one row for each, as wide as the model."""
LAYERS = re.compile(r"^(?P<place>(?:[a-z_]+\.){0,4}?(?:layers?|blocks?|h))\.(?P<number>\d{1,5})\.")
_ROWS = re.compile(r"(?i).*(vocab|n_words|num_embeddings|n_tokens|num_tokens).*")
_WIDE = re.compile(r"(?i).*(hidden|embed|embd|emb_|d_model|dim|width|channels|units|size|rank).*")
_DEEP = re.compile(r"(?i).*(layer|block|depth|stage|pattern).*")
_SAYS = {
    "rows": re.compile(r"vocab_size|n_words"),
    "wide": re.compile(r"hidden_size|d_model|n_embd|dim|emb_dim|embed_dim"),
    "deep": re.compile(r"num_hidden_layers|n_layers?|num_layers|encoder_layers|num_blocks|n_blocks"),
}
NEAR = 8
"""Rows that some add for themselves: a token of silence, one for padding, those for pictures."""


class Promised:
    """Numbers that a configuration gives, by what they are for."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.rows: set[int] = set()
        self.wide: set[int] = set()
        self.deep: set[int] = set()
        self.says: set[str] = set()
        for _, key, value in structure.nodes(config):
            self.says |= {what for what, pattern in _SAYS.items() if type(value) is int and pattern.fullmatch(key)}
            numbers = {number for number in _numbers(value) if number >= 0}
            for pattern, known in ((_ROWS, self.rows), (_WIDE, self.wide), (_DEEP, self.deep)):
                known.update(numbers if pattern.fullmatch(key) else ())
            if _DEEP.fullmatch(key) and isinstance(value, list):
                self.deep |= {len(value)}


def _numbers(value: Any) -> set[int]:
    """Whole numbers in a value and in lists in it."""
    if type(value) is int:
        return {value}
    return set().union(*map(_numbers, value)) if isinstance(value, list) else set()


def judge(config: Mapping[str, Any], tensors: Iterable[Tensor], *, whole: bool) -> Iterator[tuple[str, str]]:
    """(rule, reason) of what contradicts the configuration.

    Args:
        config: what config.json holds.
        tensors: what the header lists.
        whole: the file holds all of the model, so that missing layers are missing.
    """
    promised = Promised(config)
    seen: dict[str, set[int]] = {}
    for tensor in tensors:
        if TABLE.search(tensor.name) and len(tensor.shape) == 2 and (reason := _table(tensor, promised)):
            yield "shape", reason
        if found := LAYERS.match(tensor.name):
            seen.setdefault(found["place"], set()).add(int(found["number"]))
    if seen and "deep" in promised.says and not any(_fits(numbers, promised.deep, whole) for numbers in seen.values()):
        held = ", ".join(f"{len(numbers)} of `{place}`" for place, numbers in sorted(seen.items())[:4])
        yield "layers", f"holds layers ({held}) as no number in config.json says: {sorted(promised.deep)}"


def _table(tensor: Tensor, promised: Promised) -> str | None:
    rows, width = tensor.shape
    if "rows" in promised.says and not any(abs(rows - known) <= NEAR for known in promised.rows):
        return f"tensor {tensor.name!r} has {rows} rows, but config.json speaks of {sorted(promised.rows)} words"
    if "wide" in promised.says and width not in promised.wide:
        return f"tensor {tensor.name!r} is {width} wide, and no size in config.json is"
    return None


def _fits(numbers: set[int], deep: set[int], whole: bool) -> bool:
    """Whether layers are as many as some key says, or as two keys say together (layers for drafting, stages)."""
    if not whole:
        return max(numbers) < sum(sorted(deep)[-2:])
    return len(numbers) in deep or any(len(numbers) - one in deep for one in deep)
