"""Documents of the clean splits as evaluation reads them.

A conversation and a prompt with its completion are measured as their `text`, the contents of their turns:
baselines know no chat template, and bits per byte must describe the same bytes for all of them (`answers` measures
what the template is for). Of a preference pair
the rejected answer is left out, as nobody wants it predicted.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from slipway import shards
from slipway.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("id", "text", "source", "family", "signature", "shape", "turns")


@dataclass(frozen=True, slots=True)
class Document:
    """One row of a clean split."""

    id: str
    text: str
    source: str
    family: str
    """Documents of one family resemble each other; they are never set against each other in a question."""
    signature: str | None
    """First line of `text` if it documents a Python object; the docstring follows it."""
    shape: str = "text"
    """`text`, `chat`, `completion` or `preference`."""
    turns: str | None = None
    """JSON list of `[role, content]`; None for plain text."""


def read_documents(clean: str | Path, split: str = "test") -> list[Document]:
    """The documents of a split in `data/clean`, sorted by id.

    Raises:
        UserError: if there is none.
    """
    found = []
    for batch in shards.batches(Path(clean), split, columns=COLUMNS):
        rows = zip(batch.to_pylist(), _texts(batch), strict=True)
        found += [Document(**row | {"text": text}) for row, text in rows]
    if not found:
        raise UserError(
            f"{clean}: split {split} holds no documents, so nothing can be measured; raise prepare.{split}_share "
            "or add data"
        )
    return sorted(found, key=lambda document: document.id)


def read_texts(clean: str | Path, split: str = "train") -> list[str]:
    """Texts of a split in the table's order, planted canaries left out."""
    import pyarrow.compute as pc

    found: list[str] = []
    for batch in shards.batches(Path(clean), split, columns=("text", "source", "shape", "turns")):
        found += _texts(batch.filter(pc.not_equal(batch["source"], "canary")))
    return found


def _texts(batch: "pa.RecordBatch") -> list[str]:
    texts = batch["text"].to_pylist()
    for row, shape in enumerate(batch["shape"].to_pylist()):
        if shape == "preference":
            turns = json.loads(batch["turns"][row].as_py())
            texts[row] = "\n\n".join(content for role, content in turns if role != "rejected")
    return texts
