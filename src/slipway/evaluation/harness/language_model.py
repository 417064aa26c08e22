"""Our scorer as a language model of lm-evaluation-harness: same tokens as its `hf` backend, less work.

Continuations of one context share it, rows are sorted by length, and logits are computed only where they are scored.
Where a text is cut into tokens, which tokens a long one loses and what follows a stop text are as in `hf`
(`lm_eval.models.huggingface`), so that the log-likelihoods are those that it gives.
"""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import (
    handle_stop_sequences,
    has_bos_prefix,
    normalize_gen_kwargs,
    postprocess_generated_text,
)
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from slipway.evaluation.scoring import Sampling, Scorer
from slipway.evaluation.scoring.texts import tokenized

NEW_TOKENS = 256
"""Of a generation whose task names no limit, as in `hf`."""
_NEUTRAL = {"num_beams": 1, "num_return_sequences": 1, "repetition_penalty": 1.0}


class CannotAnswerError(Exception):
    """A request that this model cannot answer; `str` says why."""


class LanguageModel(TemplateLM):
    """Answers the harness's three kinds of request. `seed` is that of drawn tokens."""

    def __init__(self, scorer: Scorer, seed: int = 0) -> None:
        super().__init__()
        self.scorer, self.seed = scorer, seed
        self.tokenizer = scorer.tokenizer

    @property
    def eot_token_id(self) -> int:
        return self.scorer.separator

    @property
    def prefix_token_id(self) -> int:
        """What stands before a text without context."""
        begin = self.tokenizer.bos_token_id
        return self.eot_token_id if begin is None else begin

    @property
    def max_length(self) -> int:
        """Tokens that the model sees at once."""
        return self.scorer.context

    @property
    def max_gen_toks(self) -> int:
        return NEW_TOKENS

    @property
    def tokenizer_name(self) -> str:
        return str(self.tokenizer.name_or_path).replace("/", "__")

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        return self.encode([string], add_special_tokens)[0]

    def encode(self, strings: Sequence[str], special: bool | None = None) -> list[list[int]]:
        """Tokens of each string, with what the tokenizer adds at its beginning, unless that is there already."""
        begin = self.tokenizer.decode([self.prefix_token_id])
        adds = [special if special is not None else not has_bos_prefix(string, begin) for string in strings]
        result: list[list[int]] = [[] for _ in strings]
        for kind in (True, False):
            some = [index for index, add in enumerate(adds) if add is kind]
            if some:
                encoded = tokenized(self.tokenizer, [strings[index] for index in some], add_special_tokens=kind)
                for index, tokens in zip(some, encoded, strict=True):
                    result[index] = tokens
        return result

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:  # noqa: ARG002
        """Log-likelihood (nats) of each continuation after its context, and whether greedy decoding would write it."""
        pairs = [request.args for request in requests]
        moved = [_moved(context, continuation) for context, continuation in pairs]
        contexts = {
            text: number for number, text in enumerate(dict.fromkeys(context for context, _ in moved if context))
        }
        heads = self.encode(list(contexts))
        wholes = iter(self.encode([context + continuation for context, continuation in moved if context]))
        alone = iter(self.encode([continuation for context, continuation in moved if not context], special=False))
        cut = []
        for context, continuation in moved:
            if context:
                head = heads[contexts[context]]
                cut.append((head, next(wholes)[len(head) :]))
            else:
                tokens = next(alone)
                known = tokens[:1] == [self.prefix_token_id]
                cut.append((tokens[:1], tokens[1:]) if known else ([self.prefix_token_id], tokens))
            if not cut[-1][1]:
                raise CannotAnswerError(f"the continuation {continuation!r} has no tokens, so it has no likelihood")
        return self._loglikelihood_tokens([(pair, *both) for pair, both in zip(pairs, cut, strict=True)])

    def _loglikelihood_tokens(self, requests: Any, **_: Any) -> list[tuple[float, bool]]:
        questions: dict[tuple[int, ...], list[int]] = {}
        for number, (_, context, continuation) in enumerate(requests):
            if len(continuation) > self.max_length:
                raise CannotAnswerError(
                    f"a continuation of {len(continuation)} tokens does not fit a context of {self.max_length}"
                )
            # As long as it fits with its own continuation: `hf` cuts each pair by itself.
            kept = tuple(context[-(self.max_length + 1 - len(continuation)) :])
            questions.setdefault(kept, []).append(number)
        choices = [[requests[number][2] for number in numbers] for numbers in questions.values()]
        found = self.scorer.judged(list(questions), choices)
        results: list[tuple[float, bool]] = [(0.0, False)] * len(requests)
        for numbers, judged in zip(questions.values(), found, strict=True):
            for number, one in zip(numbers, judged, strict=True):
                results[number] = one
        return results

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:  # noqa: ARG002
        """Log-likelihood (nats) of each whole text, in windows that do not overlap but for one token."""
        windows, texts = [], []
        for number, tokens in enumerate(self.encode([request.args[0] for request in requests])):
            for pair in get_rolling_token_windows(tokens, self.prefix_token_id, self.max_length, context_len=1):
                windows.append((None, *make_disjoint_window(pair)))
                texts.append(number)
        scores = [score for score, _ in self._loglikelihood_tokens(windows)]
        return np.bincount(np.array(texts, int), weights=scores, minlength=len(requests)).tolist()

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:  # noqa: ARG002
        """Continue each context up to the first of its stop texts, which is left out."""
        end = self.tokenizer.decode([self.eot_token_id])
        given = [normalize_gen_kwargs(request.args[1], NEW_TOKENS) for request in requests]
        stops = [handle_stop_sequences(kwargs.pop("until", None), eos=end) for kwargs in given]
        groups: dict[tuple[bool, Sampling], list[int]] = {}
        for number, kwargs in enumerate(given):
            groups.setdefault(_sampling(kwargs), []).append(number)
        contexts = self.encode([request.args[0] for request in requests])
        results = [""] * len(requests)
        for (draws, sampling), members in groups.items():
            limits = [int(given[number]["max_gen_toks"]) for number in members]
            prompts = [self._kept(contexts[number], limit) for number, limit in zip(members, limits, strict=True)]
            tokens = self.scorer.generate(
                prompts,
                limits,
                self._uniforms(members, max(limits)) if draws else None,
                stops=[stops[number] for number in members],
                ends=self._ends(),
                sampling=sampling,
            )
            for number, added in zip(members, tokens, strict=True):
                results[number] = postprocess_generated_text(self.scorer.decode(added), stops[number], None)
        return results

    def _kept(self, context: list[int], limit: int) -> list[int]:
        if limit >= self.max_length:
            raise CannotAnswerError(
                f"up to {limit} tokens are to be generated, and the model sees {self.max_length}; set max_gen_toks in "
                "the task's generation_kwargs"
            )
        return context[-(self.max_length - limit) :] or [self.prefix_token_id]

    def _ends(self) -> list[int]:
        """Further tokens at which the model's own generation ends."""
        own = getattr(getattr(self.scorer.model, "generation_config", None), "eos_token_id", None)
        return [] if own is None else [own] if isinstance(own, int) else list(own)

    def _uniforms(self, members: Sequence[int], width: int) -> np.ndarray:
        """Of each request's own number, so that no request moves another's draws."""
        return np.stack(
            [np.random.default_rng(zlib.crc32(f"{self.seed} {number}".encode())).random(width) for number in members]
        )

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """Text of a conversation. A template that knows no system role is given the rest, as in `hf`."""
        import jinja2

        def rendered(messages: list[dict[str, str]]) -> str:
            return self.tokenizer.apply_chat_template(
                messages,
                tokenize=False,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=not add_generation_prompt,
            )

        try:
            return rendered(chat_history)
        except jinja2.exceptions.TemplateError:
            return rendered([message for message in chat_history if message["role"] != "system"])


def _moved(context: str, continuation: str) -> tuple[str, str]:
    """Spaces that end the context begin the continuation: tokenizers join them to the word that follows."""
    kept = context.rstrip()
    return (kept, context[len(kept) :] + continuation) if context else ("", continuation)


def _sampling(kwargs: dict[str, Any]) -> tuple[bool, Sampling]:
    """Whether tokens are drawn, and from what.

    Raises:
        CannotAnswerError: for a way of decoding that we do not have.
    """
    known = {"do_sample", "temperature", "top_k", "top_p", "max_gen_toks"}
    for name, value in kwargs.items():
        if name not in known and _NEUTRAL.get(name, ...) != value:
            raise CannotAnswerError(
                f"generation_kwargs.{name} is {value!r}; only greedy decoding and sampling are supported"
            )
    draws = bool(kwargs.get("do_sample")) and kwargs.get("temperature", 1.0) > 0
    if not draws:
        return False, Sampling()
    # As in `hf`, a top_k of 0 leaves nothing out.
    return True, Sampling(float(kwargs.get("temperature", 1.0)), kwargs.get("top_k") or None, kwargs.get("top_p"))
