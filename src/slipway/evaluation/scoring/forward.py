"""What the model makes of one batch of rows, with as little work as its architecture permits.

Two shortcuts are tried out on the first rows and taken only if the model's own scores come of them: choices as
branches of one row (the tree mask), and the output head applied to the scored positions alone, some at a time, so
that logits over the vocabulary never exist for a whole batch.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from slipway.errors import Damaged
from slipway.evaluation.scoring.rows import Row, Tokens, question_rows

PART = 1 << 21
"""Logits computed at a time on a processor, few enough to stay in its cache until they are summed."""


class Forward:
    """A model that is fed rows. `batch_logits` bounds the logits that exist at once."""

    def __init__(self, model: Any, separator: int, context: int, batch_logits: int) -> None:
        self.model, self.separator, self.context = model.eval(), separator, context
        self.batch_logits = batch_logits
        self.vocabulary: int = model.get_output_embeddings().weight.shape[0]
        self.shares_prompts: bool | None = None
        """Whether the architecture obeys the tree mask; None until a question has two choices that would branch."""
        self._decoder: Any = None
        self._tried = False
        self.takes_lines: bool | None = None
        """Whether texts of different lengths can be continued side by side; found out with the first of them."""
        config = getattr(model, "config", None)
        window, kinds = getattr(config, "sliding_window", None), getattr(config, "layer_types", None) or ()
        # A window would have to slide along each branch, which one mask for all layers does not say.
        slides = window is not None and window < context
        self.plain = not slides and set(kinds) <= {"full_attention", "sliding_attention"}
        """Whether every layer attends to all that stands before."""

    @property
    def decoder(self) -> Any:
        """What gives the hidden states that the output head turns into logits; None if the model does more."""
        if not self._tried:
            self._tried, find = True, getattr(self.model, "get_decoder", None)
            decoder = find() if find else None
            if decoder is not None and decoder is not self.model and self._is_whole(decoder):
                self._decoder = decoder
        return self._decoder

    @torch.inference_mode()
    def _is_whole(self, decoder: Any) -> bool:
        """Whether head(decoder(x)) is what the model gives: some scale or cap their logits."""
        size = min(16, self.context)
        tokens = (torch.arange(size, device=self.model.device) * 7 % self.vocabulary)[None]
        hidden = decoder(tokens, use_cache=False).last_hidden_state
        own, ours = self.model(tokens, use_cache=False).logits, self.model.get_output_embeddings()(hidden)
        # Damaged weights are found where they are used, and named there.
        return own.shape == ours.shape and torch.allclose(own, ours, rtol=1e-4, atol=1e-5, equal_nan=True)

    def try_tree_mask(self, prompts: Sequence[Tokens], choices: Sequence[Sequence[Tokens]]) -> None:
        """Score one question both ways: an architecture with its own masks is fed a row per choice."""
        if self.shares_prompts is None:
            self.shares_prompts = self._obeys_tree_mask(prompts, choices) if self.plain else False

    def _obeys_tree_mask(self, prompts: Sequence[Tokens], choices: Sequence[Sequence[Tokens]]) -> bool | None:
        for prompt, options in zip(prompts, choices, strict=True):
            some = [option for option in options if len(option) > 1][:4]
            if len(some) > 1:
                tree = self.scores(list(question_rows(prompt, some, 0, self.context, 2 * self.context)))[0]
                plain = self.scores(list(question_rows(prompt, some, 0, self.context, 0)))[0]
                return bool(np.allclose(tree, plain, rtol=1e-3, atol=1e-3))
        return None

    @torch.inference_mode()
    def scores(self, batch: list[Row]) -> tuple[np.ndarray, np.ndarray]:
        """Of every target, row after row: its log-probability (nats, float64), and whether no token has a higher one.

        Raises:
            Damaged: for a score that is not a number, naming the damaged weights.
        """
        tokens, arguments = self._arguments(batch)
        width = tokens.shape[1]
        counts = [len(row.scored) for row in batch]
        targets = np.concatenate([row.targets for row in batch])
        lines, places = np.repeat(np.arange(len(batch)), counts), np.concatenate([row.scored for row in batch])
        if self.decoder is not None:
            hidden = self.decoder(tokens, **arguments, use_cache=False).last_hidden_state
        else:
            first = int(places.min())
            kept = torch.arange(first, width, device=self.model.device)
            hidden = self.model(tokens, **arguments, logits_to_keep=kept, use_cache=False).logits
            places, width = places - first, width - first
        # Choices of one question begin at the same position: its logits are computed once.
        spots, of = np.unique(lines * width + places, return_inverse=True)
        found, greedy = self._at(hidden.reshape(-1, hidden.shape[-1]), spots, of, targets)
        if not np.isfinite(found).all():
            raise damaged(self.model)
        return found, greedy

    def _arguments(self, batch: Sequence[Row]) -> tuple[torch.Tensor, dict[str, Any]]:
        """Tokens, and for branched rows the mask under which no choice sees another."""
        width, device = max(len(row.tokens) for row in batch), self.model.device

        def padded(rows: Sequence[list[int]], fill: int) -> torch.Tensor:
            array = np.full((len(rows), width), fill)
            for line, row in zip(array, rows, strict=True):
                line[: len(row)] = row
            return torch.from_numpy(array).to(device)

        arguments: dict[str, Any] = {}
        if any(row.branched for row in batch):
            ends, here = padded([row.ends for row in batch], 0)[:, None, :], torch.arange(width, device=device)[:, None]
            seen = ((ends == 0) | (here < ends)) & (here >= here.T)
            hidden = torch.finfo(self.model.dtype).min
            arguments["attention_mask"] = torch.where(seen, 0.0, hidden).to(self.model.dtype)[:, None]
            arguments["position_ids"] = padded([row.depths for row in batch], 0)
        return padded([row.tokens for row in batch], self.separator), arguments

    def _at(
        self, hidden: torch.Tensor, spots: np.ndarray, of: np.ndarray, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores of `targets`, where target i follows `spots[of[i]]`, an index into the lines of `hidden`."""
        device, head = hidden.device, self.model.get_output_embeddings()
        order = np.argsort(of, kind="stable")
        size = max(1, (self.batch_logits if device.type == "cuda" else min(PART, self.batch_logits)) // self.vocabulary)
        found, greedy = np.empty(len(targets)), np.empty(len(targets), bool)
        bounds = [*range(0, len(spots), size), len(spots)]
        edges = np.searchsorted(of[order], bounds)
        for start, end, begin, stop in zip(bounds, bounds[1:], edges, edges[1:], strict=False):
            some = order[begin:stop]
            lines = hidden[torch.from_numpy(spots[start:end]).to(device)]
            logits = (head(lines) if self.decoder is not None else lines).float()
            rows = torch.from_numpy(of[some] - start).to(device)
            picked, top = logits[rows, torch.from_numpy(targets[some]).to(device)], logits.amax(-1, keepdim=True)
            total = logits.sub_(top).exp_().sum(-1)
            best = top[:, 0][rows]
            found[some] = ((picked - best).double() - total.double().log()[rows]).cpu().numpy()
            greedy[some] = (picked >= best).cpu().numpy()
        return found, greedy

    @torch.inference_mode()
    def next_logits(self, batch: Sequence[Row], cache: Any = None) -> torch.Tensor:
        """Logits after the last token of each row: (rows, vocabulary). Keys and values go to `cache`, if given."""
        lines = torch.arange(len(batch), device=self.model.device)
        last = torch.tensor([len(row.tokens) - 1 for row in batch], device=self.model.device)
        tokens, arguments = self._arguments(batch)
        arguments |= {"use_cache": False} if cache is None else {"past_key_values": cache, "use_cache": True}
        if self.decoder is not None:
            return self.model.get_output_embeddings()(self.decoder(tokens, **arguments).last_hidden_state[lines, last])
        needed, where = torch.unique(last, return_inverse=True)
        return self.model(tokens, **arguments, logits_to_keep=needed).logits[lines, where]

    def last_logits(self, tokens: torch.Tensor, **arguments: Any) -> torch.Tensor:
        """Logits after the last column of `tokens`: (rows, vocabulary)."""
        if self.decoder is not None:
            hidden = self.decoder(tokens, **arguments, use_cache=True).last_hidden_state
            return self.model.get_output_embeddings()(hidden[:, -1])
        return self.model(tokens, **arguments, use_cache=True, logits_to_keep=1).logits[:, -1]


def damaged(model: Any) -> Damaged:
    """What to say of scores that are not numbers."""
    bad = [name for name, tensor in model.named_parameters() if not bool(torch.isfinite(tensor).all())]
    if not bad:
        return Damaged(
            "the model's scores are not numbers (NaN or infinite), though its weights are: they overflow; train again "
            "with a lower learning rate"
        )
    return Damaged(
        f"the model's scores are not numbers: NaN or infinite values in {bad[0]}"
        + (f" and {len(bad) - 1} more weights" if len(bad) > 1 else "")
        + "; the weights are damaged or training diverged. Build the model again"
    )
