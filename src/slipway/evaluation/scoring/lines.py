"""Keys and values of texts under way, aligned at their last tokens, in one buffer per layer of the model.

A line is a text. Steps write a column in place instead of copying all before it, a line is freed by copying one, and
columns that no text uses any more are shifted out.
"""

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

SLACK = 64
"""Columns that may lie idle at the beginning before the lines are shifted."""


class _Layer(DynamicLayer):
    """A layer's buffer, (lines, heads, columns, width); it shows the lines and columns in use."""

    def __init__(self, lines: "Lines") -> None:
        super().__init__()
        self.lines = lines

    def reserve(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        for name, given in (("keys", keys), ("values", values)):
            size = (self.lines.capacity, given.shape[1], self.lines.columns, given.shape[3])
            setattr(self, name, torch.zeros(size, dtype=given.dtype, device=given.device))
        self.is_initialized = True

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> tuple[Any, Any]:
        used, at = len(self.lines.begins), self.lines.end
        new = key_states.shape[-2]
        shown = []
        for buffer, given in ((self.keys, key_states), (self.values, value_states)):
            buffer[:used, :, at : at + new] = given  # type: ignore[index]
            shown.append(buffer[:used, :, : at + new])  # type: ignore[index]
        return shown[0], shown[1]

    def get_seq_length(self) -> int:
        return self.lines.end


class Lines:
    """At most `capacity` texts of at most `longest` tokens."""

    def __init__(self, model: Any, capacity: int, longest: int) -> None:
        self.model, self.capacity, self.columns = model, capacity, longest + SLACK
        self.end = 0
        """Columns in use."""
        self.begins: list[int] = []
        """Column of each text's first token."""
        layers = model.config.get_text_config(decoder=True).num_hidden_layers
        self.layers = [_Layer(self) for _ in range(layers)]
        self.cache = Cache(layers=list(self.layers))
        self.hidden = torch.finfo(model.dtype).min
        self.mask = torch.full((capacity, self.columns), 0.0, dtype=model.dtype, device=model.device)

    def make_room(self, size: int) -> None:
        """See that texts of `size` tokens can be added: the newest column is at least that far to the right."""
        if not self.begins:
            self.end = size
        elif self.end < size:
            self._shift(self.end - size)

    def add(self, cache: Any, line: int, size: int) -> None:
        """Take the first `size` tokens of a line of `cache`."""
        here, begin = len(self.begins), self.end - size
        for mine, given in zip(self.layers, cache.layers, strict=True):
            if not mine.is_initialized:
                mine.reserve(given.keys, given.values)
            for buffer, source in ((mine.keys, given.keys), (mine.values, given.values)):
                buffer[here, :, begin : self.end] = source[line, :, :size]  # type: ignore[index]
        self.begins.append(begin)
        self.mask[here, :begin], self.mask[here, begin:] = self.hidden, 0.0

    def drop(self, line: int) -> None:
        """End a text; the last one takes its line."""
        last = len(self.begins) - 1
        if line != last:
            for layer in self.layers:
                for buffer in (layer.keys, layer.values):
                    buffer[line, :, : self.end] = buffer[last, :, : self.end]  # type: ignore[index]
            self.mask[line] = self.mask[last]
        self.begins[line] = self.begins[last]
        self.begins.pop()

    def arguments(self) -> dict[str, Any]:
        """What a step must be told: each text's position and which columns it sees.

        The step writes column `end`; whoever runs it then counts `end` up.
        """
        if min(self.begins) >= SLACK:
            self._shift(min(self.begins))
        positions = torch.tensor([[self.end - begin] for begin in self.begins], device=self.mask.device)
        seen = self.mask[: len(self.begins), None, None, : self.end + 1]
        return {"past_key_values": self.cache, "position_ids": positions, "attention_mask": seen}

    def _shift(self, by: int) -> None:
        """Move all texts `by` columns to the left (negative: to the right)."""
        used, begin = len(self.begins), min(self.begins)
        for layer in self.layers:
            for buffer in (layer.keys, layer.values):
                moved = buffer[:used, :, begin : self.end].clone()  # type: ignore[index]
                buffer[:used, :, begin - by : self.end - by] = moved  # type: ignore[index]
        self.begins, self.end = [start - by for start in self.begins], self.end - by
        for line, start in enumerate(self.begins):
            self.mask[line, :start], self.mask[line, start:] = self.hidden, 0.0
