"""Everything that is measured on the test split, as one report and a table of answered questions.

A task for which the split has fewer than `choices` suitable documents is left out, and the report says so;
an empty split is an error before any model is asked.
"""

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

import numpy as np

from slipway.evaluation.answers import Asked, measured, score, template
from slipway.evaluation.answers import answers as answers_of
from slipway.evaluation.baselines import baselines
from slipway.evaluation.beside import Base, Found, Say, compare, document_nats
from slipway.evaluation.documents import Document
from slipway.evaluation.scoring import Scorer
from slipway.evaluation.statistics import DIGITS, bits_per_byte, derived
from slipway.evaluation.tasks import continuation, file, signature
from slipway.evaluation.tasks.choice import Answer, ask, questions, summarise
from slipway.records import ChoiceReport, EvaluateReport, Measure
from slipway.settings import Choice, Evaluate

TASKS = (continuation.TASK, signature.TASK)
SAMPLES, SAMPLE_PROMPT, SAMPLE_TOKENS = 6, 16, 48
"""Texts shown to people, and the tokens given and generated for each."""


def evaluate(
    scorer: Scorer,
    test: Sequence[Document],
    train: Sequence[str],
    settings: Evaluate,
    seed: int,
    *,
    weights_sha256: str,
    test_sha256: str,
    files: Sequence[file.FileTask] = (),
    base: Base | None = None,
    say: Say = lambda *_: None,
) -> tuple[EvaluateReport, dict[str, list[Answer]]]:
    """Measure the model on `test` (not empty, sorted by id); `train` teaches the baselines.

    `test_sha256` is the digest of the test shards, `files` are the tasks that the recipe brings, `base` is what
    training started from. Returns the report and, by task, the answers.
    """
    nats = document_nats(scorer, test, settings, say, "bits per byte")
    measures, by_source = _bits_per_byte(nats, test, settings, seed)
    texts = [document.text for document in test]
    measures |= baselines(
        train, texts, [document.family for document in test], settings.bootstrap, derived(seed, "baselines")
    )
    asked = answers_of(scorer, test, template(scorer))
    found = Found(test, nats, score(scorer, asked))
    reports, answers, left_out = _choices(scorer, test, files, settings=settings, seed=seed, say=say)
    report = EvaluateReport(
        weights_sha256=weights_sha256,
        test_sha256=test_sha256,
        test_documents=len(test),
        test_bytes=sum(len(text.encode()) for text in texts),
        bits_per_byte=measures,
        bits_per_byte_by_source=by_source,
        answers=measured(found.answers, settings.bootstrap, derived(seed, "answers")),
        base=compare(found, base, settings, seed, say) if base else None,
        choices=reports,
        choices_left_out=left_out,
        samples=_samples(scorer, test, asked, derived(seed, "samples")),
    )
    return report, answers


def _choices(
    scorer: Scorer,
    test: Sequence[Document],
    files: Sequence[file.FileTask],
    *,
    settings: Evaluate,
    seed: int,
    say: Say,
) -> tuple[dict[str, ChoiceReport], dict[str, list[Answer]], dict[str, str]]:
    """Reports and answers of the tasks that can be asked, and the reasons why the others cannot."""
    reports: dict[str, ChoiceReport] = {}
    answers: dict[str, list[Answer]] = {}
    left_out: dict[str, str] = {}
    total = len(TASKS) + len(files)
    for task in TASKS:
        asked: Choice = getattr(settings, task.name)
        candidates = task.candidates(scorer, test, asked.prompt_tokens, asked.answer_tokens)
        made = questions(candidates, asked.items, asked.choices, derived(seed, task.name))
        if made:
            answers[task.name] = ask(scorer, made)
            reports[task.name] = summarise(task.definition, answers[task.name])
        else:
            left_out[task.name] = (
                f"{len(candidates)} of {len(test)} test documents have {task.needs}; "
                f"a question needs {asked.choices} of different families with different answers"
            )
        say(len(reports) + len(left_out), total, f"{task.name}: {len(made)} questions")
    for brought in files:
        made = file.questions(scorer, brought, scorer.context)
        if made:
            answers[brought.name] = ask(scorer, made)
            definition = file.definition(brought, made, scorer.context)
            reports[brought.name] = summarise(definition, answers[brought.name])
        else:
            left_out[brought.name] = "its file holds no question"
        say(len(reports) + len(left_out), total, f"{brought.name}: {len(made)} questions")
    return reports, answers, left_out


def _bits_per_byte(
    nats: np.ndarray, test: Sequence[Document], settings: Evaluate, seed: int
) -> tuple[dict[str, Measure], dict[str, float]]:
    sizes = np.array([len(document.text.encode()) for document in test])
    families = [document.family for document in test]
    model = bits_per_byte(nats, sizes, families, settings.bootstrap, derived(seed, "bits per byte"))
    sources = np.array([document.source for document in test])
    by_source = {
        str(source): round(float(nats[sources == source].sum() / sizes[sources == source].sum() / np.log(2)), DIGITS)
        for source in np.unique(sources)
    }
    return {"model": model}, by_source


def _samples(
    scorer: Scorer, test: Sequence[Document], asked: Sequence[Asked], seed: int
) -> tuple[tuple[str, str], ...]:
    """Prompts from held-out documents and what the model adds, greedily, up to where its generations end.

    A prompt is what was said before a document's first answer, or its signature, or its first tokens.
    """
    chosen = np.random.default_rng(seed).permutation(len(test))[:SAMPLES]
    new_tokens = min(SAMPLE_TOKENS, scorer.context // 2)
    said = {one.item: one.prompt for one in asked}
    # With a chat template the end of the assistant's turn is among them.
    stated = scorer.model.generation_config.eos_token_id
    ends = stated if isinstance(stated, list) else [stated]
    samples = []
    for index in sorted(chosen):
        document = test[index]
        start = f"{document.signature}\n" if document.signature else document.text
        (tokens,) = scorer.encode([start])
        prompt = said.get(f"{document.id}#0") or (tokens if document.signature else tokens[:SAMPLE_PROMPT])
        (generated,) = scorer.generate([[scorer.separator, *prompt]], new_tokens)
        shown = takewhile(lambda token: token not in ends, generated)
        samples.append((scorer.decode(prompt), scorer.decode(list(shown))))
    return tuple(samples)


def write_answers(answers: dict[str, list[Answer]], path: str | Path) -> None:
    """One row per question: task, item, prompt digest, a score per choice, right and picked index, correct."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [(task, answer) for task, given in answers.items() for answer in given]
    schema = pa.schema(
        [
            ("task", pa.string()),
            ("item", pa.string()),
            ("prompt_sha256", pa.string()),
            ("scores", pa.list_(pa.float64())),
            ("right", pa.int32()),
            ("picked", pa.int32()),
            ("correct", pa.bool_()),
        ]
    )
    columns = [
        [task for task, _ in rows],
        *([getattr(answer, name) for _, answer in rows] for name in schema.names[1:]),
    ]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns, schema=schema), path)
