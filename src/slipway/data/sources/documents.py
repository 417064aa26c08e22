"""The document: what every source yields, and the one writer of `data/raw/documents.parquet`.

Rules that hold for every source: an id occurs once in the whole data set (a second one is an error, because
rejects and failing rows are named by id); text that UTF-8 cannot hold is skipped and counted by the source.
"""

from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from slipway.errors import UserError

BATCH = 4096


class Document(NamedTuple):
    """One document as its source states it."""

    id: str
    text: str
    source: str
    """Name in the recipe, with the package where there is one: `pydocs/numpy`."""
    group: str
    """Module, file or conversation: documents of one group stay on one side of the split."""
    licence: str | None
    """SPDX expression, or None if the source states none that could be read."""
    signature: str | None
    """When set, `text == signature + "\\n" + docstring`."""


def is_unicode(text: str) -> bool:
    """False for text with lone surrogates, which no UTF-8 file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class DocumentWriter:
    """Writes documents to parquet in row groups of 4096, so that memory does not grow with the text."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = [pa.field(name, pa.string(), nullable=True) for name in Document._fields]
        self._schema = pa.schema(columns)
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[Document] = []
        self._ids: set[str] = set()
        self.documents: Counter[str] = Counter()
        self.characters: Counter[str] = Counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        self._writer.close()

    def add(self, document: Document, where: str) -> None:
        """Append a document; `where` (file and row) is named if its id was already used."""
        if document.id in self._ids:
            raise UserError(
                f"{where}: the id `{document.id}` was already used by an earlier document. Ids must be unique: "
                "remove the row, or leave `id_column` out so that ids are made of file name and row number"
            )
        self._ids.add(document.id)
        self.documents[document.source] += 1
        self.characters[document.source] += len(document.text)
        self._rows.append(document)
        if len(self._rows) == BATCH:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        columns = zip(*self._rows, strict=True) if self._rows else [[] for _ in Document._fields]
        arrays = [pa.array(column, pa.string()) for column in columns]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows.clear()
