r"""What a model makes of tokens: log-likelihoods of continuations, nats of documents, generated text.

It knows nothing of tasks, probes or files, and stands on the ground floor only. Three things make it fast:
rows are sorted by length and batched by tokens; the vocabulary-sized logits are computed only where a target
is scored; and the choices of one question share one copy of their prompt, as branches of a tree that do not
see each other (the tree mask of SpecInfer, Miao et al. 2023, arXiv:2305.09781).

    >>> scorer = Scorer(model, tokenizer, context=128)
    >>> prompt, good, bad = scorer.encode(["def add(a, b)\n", "Add two numbers.", "Close the file."])
    >>> scorer.loglikelihoods([[scorer.separator, *prompt]], [[good, bad]])
    [[-31.2, -40.9]]

Texts become tokens without control tokens: a text that contains `<|endoftext|>` gets its letters.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from slipway.errors import UserError
from slipway.evaluation.scoring.rows import Row, Tokens, question_rows, window_rows

Progress = Callable[[int, int], None]


class Scorer:
    """A causal language model and its tokenizer, ready to score.

    `context` is the most tokens the model sees at once; `batch_tokens` and `batch_logits` (values of
    a batch's logits) bound the memory and change no result beyond rounding.
    """

    def __init__(
        self, model: Any, tokenizer: Any, context: int, batch_tokens: int = 2048, batch_logits: int = 1 << 22
    ) -> None:
        if tokenizer.eos_token_id is None:
            raise UserError("the tokenizer names no end-of-text token; set `eos_token` in tokenizer_config.json")
        self.model, self.tokenizer, self.context = model.eval(), tokenizer, context
        self.separator: int = tokenizer.eos_token_id
        self.batch_tokens, self.batch_logits = batch_tokens, batch_logits
        self.shares_prompts: bool | None = None
        """Whether the architecture obeys the tree mask; found out with the first question."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of each text, with no control token added or recognised."""
        if not texts:
            return []
        return self.tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)["input_ids"]

    def decode(self, tokens: Tokens) -> str:
        """Text of `tokens`; control tokens are left out."""
        return self.tokenizer.decode(list(tokens), skip_special_tokens=True)

    def loglikelihoods(
        self, prompts: Sequence[Tokens], choices: Sequence[Sequence[Tokens]], progress: Progress | None = None
    ) -> list[list[float]]:
        """Score choices: log p(choice | prompt) in nats, summed over the choice's tokens: one list per prompt.

        A prompt that is too long for its longest choice loses its beginning; an empty choice scores 0.

        Raises:
            UserError: for an empty prompt, a choice as long as the context, or a score that is not a number.
        """
        if self.shares_prompts is None:
            self.shares_prompts = self._obeys_tree_mask(prompts, choices)
        starts = np.cumsum([0, *(len(options) for options in choices)])
        rows = [
            row
            for prompt, options, start in zip(prompts, choices, starts, strict=False)
            for row in question_rows(prompt, options, int(start), self.context, self._row_tokens(self.shares_prompts))
        ]
        sums = self._run(rows, int(starts[-1]), progress)
        return [sums[a:b].tolist() for a, b in itertools.pairwise(starts)]

    def documents(self, documents: Sequence[Tokens], stride: int, progress: Progress | None = None) -> np.ndarray:
        """Nats of each document, from a separator before it to the separator after it, which counts too.

        Windows of `context` tokens move by `stride`, so that from the second window on every scored token
        has at least `context - stride` tokens before it. Returns float64 of shape (documents,).

        Raises:
            UserError: for a stride that is not between 1 and the context, or a score that is not a number.
        """
        if not 1 <= stride <= self.context:
            raise UserError(f"evaluate.stride is {stride}; it must lie between 1 and the context, {self.context}")
        rows = [
            row
            for slot, tokens in enumerate(documents)
            for row in window_rows([self.separator, *tokens, self.separator], stride, slot, self.context)
        ]
        return -self._run(rows, len(documents), progress)

    @torch.inference_mode()
    def generate(
        self, prompts: Sequence[Tokens], new_tokens: int, uniforms: np.ndarray | None = None
    ) -> list[list[int]]:
        """Continue each prompt by at most `new_tokens`, up to and without the separator.

        Greedy; or, where `uniforms` of shape (prompts, new_tokens) in [0, 1) is given, drawn from the model's
        distribution by inverting its cumulative sum, so that a sample depends on nothing but its own row.

        Raises:
            UserError: if `new_tokens` leaves no room for a prompt.
        """
        if new_tokens > self.context:
            raise UserError(f"{new_tokens} new tokens do not fit a context of {self.context}; ask for fewer")
        room = self.context - new_tokens + 1
        kept = [list(prompt)[-room:] for prompt in prompts]
        results: list[list[int]] = [[] for _ in prompts]
        by_length: dict[int, list[int]] = {}
        for index, prompt in enumerate(kept):
            by_length.setdefault(len(prompt), []).append(index)
        for length, members in sorted(by_length.items()):
            # A step feeds one token a row: more rows than in scoring keep the processor as busy.
            size = max(1, 4 * self.batch_tokens // (length + new_tokens))
            for start in range(0, len(members), size):
                self._decode_batch(kept, members[start : start + size], new_tokens, uniforms, results)
        return results

    def _decode_batch(
        self,
        prompts: list[list[int]],
        members: list[int],
        new_tokens: int,
        uniforms: np.ndarray | None,
        results: list[list[int]],
    ) -> None:
        """Extend `results` for prompts of equal length; rows that are done leave the batch."""
        alive = np.array(members)
        inputs, cache = torch.tensor([prompts[i] for i in members], device=self.model.device), None
        for step in range(new_tokens):
            output = self.model(inputs, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache, logits = output.past_key_values, output.logits[:, -1]
            if uniforms is None:
                chosen = logits.argmax(-1).cpu().numpy()
            else:
                cumulative = logits.double().softmax(-1).cumsum(-1)
                drawn = torch.from_numpy(uniforms[alive, step]).to(cumulative) * cumulative[:, -1]
                chosen = torch.searchsorted(cumulative, drawn[:, None], right=True)[:, 0].cpu().numpy()
            going = chosen != self.separator
            for index, token in zip(alive[going].tolist(), chosen[going].tolist(), strict=True):
                results[index].append(token)
            if not going.any():
                return
            if not going.all():
                cache.batch_select_indices(torch.from_numpy(np.flatnonzero(going)).to(self.model.device))
            alive = alive[going]
            inputs = torch.from_numpy(chosen[going])[:, None].to(self.model.device)

    def _obeys_tree_mask(self, prompts: Sequence[Tokens], choices: Sequence[Sequence[Tokens]]) -> bool:
        """Score one question both ways: an architecture with its own masks is fed a row per choice."""
        for prompt, options in zip(prompts, choices, strict=True):
            some = [option for option in options if len(option) > 1][:4]
            if len(some) > 1:
                tree, plain = (
                    self._run(list(question_rows(prompt, some, 0, self.context, self._row_tokens(shared))), len(some))
                    for shared in (True, False)
                )
                return bool(np.allclose(tree, plain, rtol=1e-3, atol=1e-3))
        return False

    def _row_tokens(self, shared: bool) -> int:
        """Length up to which further choices join a row; 0 gives every choice a row of its own."""
        return 2 * self.context if shared else 0

    def _batches(self, rows: list[Row]) -> Iterator[list[Row]]:
        vocabulary = self.model.get_output_embeddings().weight.shape[0]
        batch: list[Row] = []
        # Longest first: a batch that is too big for the memory fails at once, not after minutes.
        for row in sorted(rows, key=lambda row: (row.scored[0], len(row.tokens)), reverse=True):
            longest = max(len(row.tokens), *(len(other.tokens) for other in batch)) if batch else len(row.tokens)
            kept = (len(batch) + 1) * (longest - row.scored[0])
            if batch and ((len(batch) + 1) * longest > self.batch_tokens or kept * vocabulary > self.batch_logits):
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    @torch.inference_mode()
    def _run(self, rows: list[Row], slots: int, progress: Progress | None = None) -> np.ndarray:
        """Sums of log-probabilities of the targets, by slot: float64 of shape (slots,)."""
        sums, done = np.zeros(slots), 0
        for batch in self._batches(rows):
            sums += np.bincount(
                np.concatenate([row.slots for row in batch]), weights=self._target_scores(batch), minlength=slots
            )
            done += len(batch)
            if progress:
                progress(done, len(rows))
        if not np.isfinite(sums).all():
            raise UserError("the model's scores are not numbers (NaN or infinite): its weights are damaged or diverged")
        return sums

    def _target_scores(self, batch: list[Row]) -> np.ndarray:
        """Log-probability of every target of the batch, row after row: float64."""
        width = max(len(row.tokens) for row in batch)
        device = self.model.device

        def padded(rows: Sequence[list[int]], fill: int) -> torch.Tensor:
            return torch.tensor([row + [fill] * (width - len(row)) for row in rows], device=device)

        arguments: dict[str, Any] = {}
        if any(row.branched for row in batch):
            branches = padded([row.branches for row in batch], -1)
            seen = (branches[:, None, :] == 0) | (branches[:, None, :] == branches[:, :, None])
            seen &= torch.ones(width, width, dtype=torch.bool, device=device).tril()
            hidden = torch.finfo(self.model.dtype).min
            arguments["attention_mask"] = torch.where(seen, 0.0, hidden).to(self.model.dtype)[:, None]
            arguments["position_ids"] = padded([row.depths for row in batch], 0)
        first = min(row.scored[0] for row in batch)
        kept = torch.arange(first, width, device=device)
        inputs = padded([row.tokens for row in batch], self.separator)
        logits = self.model(inputs, logits_to_keep=kept, use_cache=False, **arguments).logits
        lines = np.repeat(np.arange(len(batch)), [len(row.scored) for row in batch])
        places = np.concatenate([row.scored for row in batch]) - first
        targets = np.concatenate([row.targets for row in batch])
        where = [torch.from_numpy(index).to(device) for index in (lines, places, targets)]
        # Nearly all kept positions are scored, so normalising them in place beats copying out the scored ones.
        scores = logits[where[0], where[1], where[2]].float() - logits.float().logsumexp(-1)[where[0], where[1]]
        return scores.double().cpu().numpy()
