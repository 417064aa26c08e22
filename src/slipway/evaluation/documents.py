"""Held-out documents as the tasks read them."""

from dataclasses import dataclass
from pathlib import Path

from slipway.errors import UserError


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


def read_documents(path: str | Path) -> list[Document]:
    """The documents of a split, sorted by id.

    Raises:
        UserError: if there is none.
    """
    import pyarrow.parquet as pq

    rows = pq.read_table(path, columns=["id", "text", "source", "family", "signature"]).to_pylist()
    if not rows:
        raise UserError(f"{path} holds no documents, so nothing can be measured; raise prepare.test_share or add data")
    return sorted((Document(**row) for row in rows), key=lambda document: document.id)


def read_texts(path: str | Path) -> list[str]:
    """Texts of a split in the file's order, planted canaries left out."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["text", "source"])
    return table.filter(pc.not_equal(table["source"], "canary"))["text"].to_pylist()
