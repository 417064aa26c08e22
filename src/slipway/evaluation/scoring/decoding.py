"""Continuing prompts: a batch that stays full while texts of different lengths begin and end.

The keys and values of the texts under way lie in one buffer, aligned at their last tokens, so that a step appends one
column for all. A text that has ended gives its line to the last one, and waiting prompts take the lines that are free
(continuous batching: Orca, Yu et al. 2022). An architecture that does not accept this, as one trial shows, is fed
prompts of equal length.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from slipway.evaluation.scoring.forward import Forward, damaged
from slipway.evaluation.scoring.lines import Lines
from slipway.evaluation.scoring.rows import Row
from slipway.evaluation.scoring.sampling import Sampling, Stops, choose


@dataclass
class Text:
    """One prompt and what follows it."""

    prompt: list[int]
    limit: int
    """New tokens at most."""
    uniforms: np.ndarray | None = None
    """A number of [0, 1) per new token; None for greedy."""
    stops: Stops | None = None
    ends: frozenset[int] = frozenset()
    """Tokens after which nothing follows; they are not added."""
    added: list[int] = field(default_factory=list)

    def take(self, token: int) -> bool:
        """Add a token; whether the text goes on."""
        if token in self.ends:
            return False
        self.added.append(token)
        return len(self.added) < self.limit and not (self.stops and self.stops.met(self.added))


def row(tokens: list[int]) -> Row:
    """A prompt as a row of its own."""
    return Row(tokens, [0] * len(tokens), list(range(len(tokens))))


class Decoder:
    """Continues texts with a model. `tokens` bounds the tokens that are fed at once."""

    def __init__(self, forward: Forward, tokens: int, sampling: Sampling) -> None:
        self.forward, self.tokens, self.sampling = forward, tokens, sampling

    @torch.inference_mode()
    def run(self, texts: Sequence[Text], lines: int) -> None:
        """Continue `texts`, at most `lines` at a time, the first ones first; each must have room for a token."""
        if not self.takes_lines():
            self._by_length(texts, lines)
            return
        waiting, longest = list(reversed(texts)), max(len(text.prompt) + text.limit for text in texts)
        under_way = Lines(self.forward.model, min(lines, len(texts)), longest)
        going: list[Text] = []
        while going or waiting:
            free = under_way.capacity - len(going)
            if waiting and (not going or free > under_way.capacity // 4):
                some = [waiting.pop() for _ in range(min(free, len(waiting)))]
                self._admit(some, under_way, going)
                continue
            last = torch.tensor([[text.added[-1]] for text in going], device=self.forward.model.device)
            logits = self._step(under_way, last)
            stays = self._take(logits, going)
            for line in reversed([line for line, stay in enumerate(stays) if not stay]):
                under_way.drop(line)
                going[line] = going[-1]
                going.pop()

    def _admit(self, some: list[Text], under_way: Lines, going: list[Text]) -> None:
        """Read prompts, choose the first token of each, and give lines to those that go on."""
        from transformers import DynamicCache

        under_way.make_room(max(len(text.prompt) for text in some))
        while some:
            size = max(1, self.tokens // len(some[0].prompt))
            part, some = some[:size], some[size:]
            cache = DynamicCache()
            logits = self.forward.next_logits([row(text.prompt) for text in part], cache)
            for line, stays in enumerate(self._take(logits, part)):
                if stays:
                    under_way.add(cache, line, len(part[line].prompt))
                    going.append(part[line])

    def _take(self, logits: torch.Tensor, texts: Sequence[Text]) -> list[bool]:
        """Choose the next token of each text; whether it goes on."""
        uniforms = None
        if texts[0].uniforms is not None:
            uniforms = np.array([text.uniforms[len(text.added)] for text in texts])  # type: ignore[index]
        chosen, sound = choose(logits, uniforms, self.sampling)
        if not sound:
            raise damaged(self.forward.model)
        return [text.take(token) for text, token in zip(texts, chosen.tolist(), strict=True)]

    def _step(self, under_way: Lines, last: torch.Tensor) -> torch.Tensor:
        """Logits after one more token of every line."""
        logits = self.forward.last_logits(last, **under_way.arguments())
        under_way.end += 1
        return logits

    def takes_lines(self) -> bool:
        """Whether the architecture gives its own logits when texts of different lengths share a buffer."""
        if self.forward.takes_lines is None:
            model = self.forward.model
            names = inspect.signature(model.forward).parameters
            able = {"position_ids", "past_key_values"} <= names.keys() and self.forward.plain
            self.forward.takes_lines = able and self.forward.context > 9 and self._agrees()
        return self.forward.takes_lines

    @torch.inference_mode()
    def _agrees(self) -> bool:
        from transformers import DynamicCache
        from transformers.cache_utils import DynamicLayer

        tokens = [number * 7 % self.forward.vocabulary for number in range(9)]
        under_way, caches = Lines(self.forward.model, 2, 9), [DynamicCache(), DynamicCache()]
        under_way.make_room(8)
        for cache, size in zip(caches, (8, 3), strict=True):
            self.forward.next_logits([row(tokens[:size])], cache)
            if not all(type(layer) is DynamicLayer and layer.is_initialized for layer in cache.layers):
                return False
            under_way.add(cache, 0, size)
        last = torch.tensor([[tokens[8]], [tokens[3]]], device=self.forward.model.device)
        found = self._step(under_way, last).float().log_softmax(-1)
        own = torch.cat([self.forward.next_logits([row(tokens[:size])]) for size in (9, 4)]).float().log_softmax(-1)
        return torch.allclose(found, own, rtol=1e-3, atol=1e-3, equal_nan=True)

    def _by_length(self, texts: Sequence[Text], lines: int) -> None:
        """Prompts of equal length side by side, each batch to its end."""
        lengths: dict[int, list[Text]] = {}
        for text in texts:
            lengths.setdefault(len(text.prompt), []).append(text)
        for members in lengths.values():
            for start in range(0, len(members), lines):
                self._together(members[start : start + lines])

    def _together(self, going: list[Text]) -> None:
        """Texts of equal length; those that are done leave."""
        model, cache = self.forward.model, None
        inputs = torch.tensor([text.prompt for text in going], device=model.device)
        while True:
            output = model(inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache = output.past_key_values
            stays = np.array(self._take(output.logits[:, -1], going))
            if not stays.any():
                return
            if not stays.all():
                cache.batch_select_indices(torch.from_numpy(np.flatnonzero(stays)).to(model.device))
                going = [text for text, stay in zip(going, stays, strict=True) if stay]
            inputs = torch.tensor([[text.added[-1]] for text in going], device=model.device)
