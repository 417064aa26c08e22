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

Batches follow from the rows alone. So they are the same whether one process computes all of them or several deal
them out (see `group`), and whether or not some are already in the journal of a run that was killed: equal bits.
"""

import itertools
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from slipway.errors import UserError
from slipway.evaluation.scoring.batches import Batches, Progress
from slipway.evaluation.scoring.decoding import Decoder, Text, row
from slipway.evaluation.scoring.forward import Forward, damaged
from slipway.evaluation.scoring.rows import Row, Tokens, question_rows, window_rows
from slipway.evaluation.scoring.sampling import Sampling, Stops
from slipway.evaluation.scoring.texts import tokenized

Choices = Sequence[Sequence[Tokens]]


class Scorer:
    """A causal language model and its tokenizer, ready to score; the model lies on the device that computes.

    `context` is the most tokens the model sees at once; `batch_tokens` and `batch_logits` (values of
    a batch's logits) bound the memory and change no result beyond rounding. `journal` is a folder in which finished
    batches are kept; whoever runs the Scorer removes it when all is done.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        context: int,
        *,
        batch_tokens: int = 2048,
        batch_logits: int = 1 << 22,
        journal: Path | None = None,
    ) -> None:
        if tokenizer.eos_token_id is None:
            raise UserError("the tokenizer names no end-of-text token; set `eos_token` in tokenizer_config.json")
        self.model, self.tokenizer, self.context = model.eval(), tokenizer, context
        self.separator: int = tokenizer.eos_token_id
        self.batch_tokens = batch_tokens
        self.forward = Forward(model, self.separator, context, batch_logits)
        self.batches = Batches(self.forward, batch_tokens, journal)

    @property
    def shares_prompts(self) -> bool | None:
        """Whether the architecture obeys the tree mask; None while no question needed it."""
        return self.forward.shares_prompts

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokens of each text, with no control token added or recognised."""
        return tokenized(self.tokenizer, texts, add_special_tokens=False, split_special_tokens=True)

    def decode(self, tokens: Tokens) -> str:
        """Text of `tokens`; control tokens are left out."""
        return self.tokenizer.decode(list(tokens), skip_special_tokens=True)

    def loglikelihoods(
        self, prompts: Sequence[Tokens], choices: Choices, progress: Progress | None = None
    ) -> list[list[float]]:
        """Score choices: log p(choice | prompt) in nats, summed over the choice's tokens: one list per prompt.

        A prompt that is too long for its longest choice loses its beginning; an empty choice scores 0.

        Raises:
            UserError: for an empty prompt, a choice longer than the context, or a score that is not a number.
        """
        return [[score for score, _ in scores] for scores in self.judged(prompts, choices, progress)]

    def judged(
        self, prompts: Sequence[Tokens], choices: Choices, progress: Progress | None = None
    ) -> list[list[tuple[float, bool]]]:
        """As `loglikelihoods`, and of each choice whether it is what greedy decoding would write."""
        self.forward.try_tree_mask(prompts, choices)
        starts = np.cumsum([0, *(len(options) for options in choices)])
        row_tokens = 0 if self.shares_prompts is False else 2 * self.context
        rows = [
            row
            for prompt, options, start in zip(prompts, choices, starts, strict=False)
            for row in question_rows(prompt, options, int(start), self.context, row_tokens)
        ]
        sums, misses = self.batches.sums(rows, int(starts[-1]), progress)
        pairs = list(zip(sums.tolist(), (misses == 0).tolist(), strict=True))
        return [pairs[a:b] for a, b in itertools.pairwise(starts)]

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
        return -self.batches.sums(rows, len(documents), progress)[0]

    def token_scores(self, documents: Sequence[Tokens], progress: Progress | None = None) -> list[np.ndarray]:
        """Log p of every token of each document, which begins after a separator and ends with one: nats, float64.

        Of a document that does not fit the context, its first `context` tokens are scored, and no end.

        Raises:
            UserError: for a score that is not a number.
        """
        rows, ends = [], [0]
        for tokens in documents:
            stream = [self.separator, *tokens[: self.context], self.separator][: self.context + 1]
            (row,) = window_rows(stream, self.context, 0, self.context)
            row.slots = list(range(ends[-1], ends[-1] + len(row.targets)))
            rows.append(row)
            ends.append(ends[-1] + len(row.targets))
        scores = self.batches.sums(rows, ends[-1], progress)[0]
        return [scores[a:b] for a, b in itertools.pairwise(ends)]

    def next_scores(self, prompts: Sequence[Tokens]) -> np.ndarray:
        """Log-probabilities of the token that follows each prompt: float32 of shape (prompts, vocabulary).

        A prompt that does not fit the context loses its beginning. No journal is kept of them.

        Raises:
            UserError: for an empty prompt, or a score that is not a number.
        """
        _check_prompts(prompts)
        rows = [row(list(prompt)[-self.context :]) for prompt in prompts]
        for index, one in enumerate(rows):
            one.scored, one.slots = [len(one.tokens) - 1], [index]
        batches, result = self.batches.of(rows), np.empty((len(prompts), self.forward.vocabulary), np.float32)
        for batch, scores in zip(batches, self.batches.each(batches, self._next), strict=True):
            result[[one.slots[0] for one in batch]] = scores
        if not np.isfinite(result).all():
            raise damaged(self.model)
        return result

    def generate(
        self,
        prompts: Sequence[Tokens],
        new_tokens: int | Sequence[int],
        uniforms: np.ndarray | None = None,
        *,
        stops: Sequence[Sequence[str]] | None = None,
        ends: Collection[int] = (),
        sampling: Sampling | None = None,
        progress: Progress | None = None,
    ) -> list[list[int]]:
        """Continue each prompt, up to and without the separator; a prompt that is too long loses its beginning.

        Args:
            prompts: tokens; none may be empty.
            new_tokens: new tokens at most, for all or for each.
            uniforms: (prompts, most new tokens), numbers of [0, 1) from which tokens are drawn, so that a sample
                depends on nothing but its own row; None for greedy.
            ends: tokens that end a text as the separator does.
            stops: of each prompt, texts that end it; the tokens that complete one are still returned.
            sampling: what is drawn from; the model's whole distribution if None.
            progress: called with done and total.

        Raises:
            UserError: for an empty prompt, if there is no room for a prompt, or for a score that is not a number.
        """
        limits = [new_tokens] * len(prompts) if isinstance(new_tokens, int) else list(new_tokens)
        if (most := max(limits, default=0)) > self.context:
            raise UserError(f"{most} new tokens do not fit a context of {self.context}; ask for fewer")
        _check_prompts(prompts)
        texts = [
            Text(
                list(prompt)[-(self.context - limit + 1) :],
                limit,
                None if uniforms is None else uniforms[index],
                Stops(stops[index], self.tokenizer) if stops else None,
                frozenset({self.separator, *ends}),
            )
            for index, (prompt, limit) in enumerate(zip(prompts, limits, strict=True))
        ]
        self._continue([text for text in texts if text.limit], sampling or Sampling(), progress)
        return [text.added for text in texts]

    def _next(self, batch: Sequence[Row]) -> np.ndarray:
        return self.forward.next_logits(batch).float().log_softmax(-1).cpu().numpy()

    def _continue(self, texts: list[Text], sampling: Sampling, progress: Progress | None) -> None:
        if not texts:
            return
        # A step feeds one token a row: more rows than in scoring keep the processor as busy.
        lines = max(1, 4 * self.batch_tokens // max(len(text.prompt) + text.limit for text in texts))
        decoder = Decoder(self.forward, self.batch_tokens, sampling)

        def work(part: Sequence[Text]) -> list[list[int]]:
            decoder.run(part, lines)
            return [text.added for text in part]

        def told(part: Sequence[Text]) -> list[Any]:
            plain = [
                [text.prompt, text.limit, sorted(text.ends), text.stops.texts if text.stops else []] for text in part
            ]
            drawn = [np.array([]) if text.uniforms is None else text.uniforms[: text.limit] for text in part]
            return ["generate", lines, vars(sampling), plain, *drawn]

        texts = sorted(texts, key=lambda text: (-len(text.prompt), -text.limit))
        parts = [texts[start : start + 2 * lines] for start in range(0, len(texts), 2 * lines)]
        for part, added in zip(parts, self.batches.each(parts, work, told, progress), strict=True):
            for text, tokens in zip(part, added, strict=True):
                text.added = tokens


def _check_prompts(prompts: Sequence[Tokens]) -> None:
    if not all(len(prompt) for prompt in prompts):
        raise UserError("an empty prompt cannot be continued; begin it with the separator")
