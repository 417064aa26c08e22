"""Task files: multiple-choice questions, checked strictly, as `data/tasks/<name>.parquet`.

Evaluation asks them and cleaning takes them out of the training data, so both read this very table: `item`
(file and row), `question`, `choices` (two or more different strings), `answer` (index of the right one).
"""

from pathlib import Path
from typing import Any

from slipway.data.sources import formats
from slipway.data.sources.checks import short
from slipway.data.sources.files import is_unicode
from slipway.data.sources.held import Held
from slipway.data.sources.licences import normalised
from slipway.errors import UserError
from slipway.records import TaskRecord
from slipway.settings import Limits, TaskFile


def read_task(task: TaskFile, held: Held, limits: Limits, target: Path) -> TaskRecord:
    """Write one task file as a table and return its record; raises UserError naming file, row and value."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not (licence := normalised(task.licence)):
        raise UserError(f"task {task.name}: licence `{task.licence}` is not an SPDX expression; see spdx.org/licenses")
    items: list[dict[str, Any]] = []
    for number, row in formats.rows(held, "jsonl", None, limits):
        items.append({"item": f"{task.name}#{number}", **_item(task, row, f"{held.path}:{number}")})
    if not items:
        raise UserError(f"{held.path}: no question in it")
    columns = pa.schema(
        [("item", pa.string()), ("question", pa.string()), ("choices", pa.list_(pa.string())), ("answer", pa.int64())]
    )
    pq.write_table(pa.Table.from_pylist(items, columns), target / f"{task.name}.parquet", compression="zstd")
    return TaskRecord(name=task.name, location=task.path, licence=licence, digest=held.sha256, items=len(items))


def _item(task: TaskFile, row: dict[str, Any], where: str) -> dict[str, Any]:
    for column in (task.question_column, task.choices_column, task.answer_column):
        if column not in row:
            raise UserError(f"{where}: no column `{column}`; columns here: {', '.join(list(row)[:20])}")
    question, choices, answer = row[task.question_column], row[task.choices_column], row[task.answer_column]
    if not _is_text(question):
        raise UserError(f"{where}: `{task.question_column}` must be a string that is not empty: {short(question)}")
    if not isinstance(choices, list) or len(choices) < 2 or not all(map(_is_text, choices)):
        raise UserError(f"{where}: `{task.choices_column}` must be a list of two strings or more: {short(choices)}")
    if len(set(choices)) < len(choices):
        raise UserError(f"{where}: `{task.choices_column}` holds a choice twice: {short(choices)}")
    if isinstance(answer, bool) or not isinstance(answer, int) or not 0 <= answer < len(choices):
        raise UserError(
            f"{where}: `{task.answer_column}` must be the index of the right choice, 0 to {len(choices) - 1}: "
            f"{short(answer)}"
        )
    return {"question": question, "choices": choices, "answer": answer}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and is_unicode(value)
