"""Local files as sources: JSON lines, parquet, plain text; a file, a directory or a glob below the project.

Rules:
- `text`: one document per file. `jsonl` and `parquet`: one document per row, in file order.
- Files must be UTF-8 (a byte-order mark is dropped), every JSON line an object, the text a string: else an
  error names file, line and value. Blank lines of JSON lines are ignored.
- A row whose text is null is skipped and counted. Empty and very long text is passed on: `validate` and
  `prepare` judge length, so that nothing is cut in silence.
- Ids are `<source>/<value of id_column>`, or `<source>/<file>#<row>`, counted from 1.
- Without `group_column` every row stands alone; with it, rows with the same value stay together.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slipway.data.sources.documents import Document, is_unicode
from slipway.data.sources.licences import normalised
from slipway.errors import UserError
from slipway.files import combined, sha256_file
from slipway.records import SourceRecord
from slipway.settings import FileSource

_SUFFIXES = {"jsonl": (".jsonl", ".ndjson"), "parquet": (".parquet",), "text": (".txt", ".md", ".rst")}


def resolve(source: FileSource, root: Path) -> list[str]:
    """POSIX paths, relative to `root`, of the files that `source.path` names, sorted.

    Raises:
        UserError: if the path is absolute, or no file is there.
    """
    where = f"source {source.name}: path `{source.path}`"
    if Path(source.path).is_absolute():
        raise UserError(f"{where} is absolute; give it relative to the project (a symbolic link inside it will do)")
    place = root / source.path
    if place.is_file():
        return [Path(source.path).as_posix()]
    if place.is_dir():
        suffixes = _SUFFIXES[source.kind]
        found = [p.relative_to(root) for p in place.rglob("*") if p.suffix in suffixes and p.is_file()]
        hint = f"holds no file that ends in {' or '.join(suffixes)}; give a glob for other names"
    else:
        try:
            found = [p.relative_to(root) for p in root.glob(source.path) if p.is_file()]
        except (ValueError, NotImplementedError) as error:
            raise UserError(f"{where} is no path or glob inside the project: {error}") from None
        hint = "matches no file; it may be a file, a directory or a glob, relative to the project"
    if not found:
        raise UserError(f"{where} {hint}")
    return sorted(p.as_posix() for p in found)


def lock_entry(source: FileSource, root: Path) -> dict[str, str]:
    """Path -> sha256 of each file of the source."""
    return {path: sha256_file(root / path) for path in resolve(source, root)}


def licence(source: FileSource) -> str:
    """The recipe's licence of the source in SPDX spelling; raises UserError if it is no SPDX expression."""
    if expression := normalised(source.licence):
        return expression
    raise UserError(
        f"source {source.name}: licence `{source.licence}` is not an SPDX expression; "
        "see spdx.org/licenses for the ids, e.g. CC-BY-4.0"
    )


def read(source: FileSource, path: str, root: Path, skipped: Counter[str]) -> Iterator[tuple[Document, str]]:
    """Documents of one file with the place of each (`file:line`); rules in the module's docstring."""
    expression = licence(source)
    if source.kind == "text":
        text = _decoded((root / path).read_bytes(), path)
        yield Document(f"{source.name}/{path}#1", text, source.name, f"{source.name}/{path}", expression, None), path
        return
    rows = _json_rows(root / path, path) if source.kind == "jsonl" else _parquet_rows(source, root / path, path)
    for number, row in rows:
        where = f"{path}:{number}" if source.kind == "jsonl" else f"{path}, row {number}"
        text = _field(row, source.text_column, where)
        if text is None:
            skipped[f"{source.name}: `{source.text_column}` is null"] += 1
            continue
        if not isinstance(text, str):
            raise UserError(f"{where}: `{source.text_column}` is {_kind(text)}, not a string; it holds {_short(text)}")
        if not is_unicode(text):
            skipped[f"{source.name}: `{source.text_column}` is not valid Unicode"] += 1
            continue
        name = f"{source.name}/{path}#{number}"
        if source.id_column:
            name = f"{source.name}/{_key(row, source.id_column, where)}"
        group = f"{source.name}/{_key(row, source.group_column, where)}" if source.group_column else name
        yield Document(name, text, source.name, group, expression, None), where


def record(source: FileSource, digests: dict[str, str], documents: int, characters: int) -> SourceRecord:
    """The source record of the whole set of files."""
    return SourceRecord(
        source=source.name,
        kind=source.kind,
        version=None,
        licence=licence(source),
        licence_evidence="the recipe",
        files=len(digests),
        digest=combined(digests),
        documents=documents,
        characters=characters,
    )


def _decoded(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{where}: not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}; "
            "convert the file, e.g. `iconv -f latin1 -t utf-8`"
        ) from None


def _json_rows(place: Path, path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    with open(place, "rb") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                row = json.loads(_decoded(line, where))
            except ValueError as error:
                raise UserError(f"{where}: not JSON ({error}); each line must be one JSON object") from None
            except RecursionError:
                raise UserError(f"{where}: JSON nested too deeply; each line must be one flat JSON object") from None
            if not isinstance(row, dict):
                raise UserError(f"{where}: {_kind(row)} where a JSON object was expected; it holds {_short(row)}")
            yield number, row


def _parquet_rows(source: FileSource, place: Path, path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(place)
        wanted = [c for c in (source.text_column, source.id_column, source.group_column) if c]
        for column in wanted:
            if column not in table.schema_arrow.names:
                raise UserError(_missing(column, table.schema_arrow.names, path))
        number = 0
        for batch in table.iter_batches(batch_size=1024, columns=list(dict.fromkeys(wanted))):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except (pa.ArrowInvalid, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: not readable as parquet ({str(error).splitlines()[0]}); write it again") from None


def _field(row: dict[str, Any], column: str, where: str) -> Any:
    if column not in row:
        raise UserError(_missing(column, list(row), where))
    return row[column]


def _key(row: dict[str, Any], column: str, where: str) -> str:
    value = _field(row, column, where)
    if isinstance(value, bool) or not isinstance(value, str | int) or not is_unicode(str(value)):
        raise UserError(f"{where}: `{column}` is {_kind(value)}; ids and groups are strings or whole numbers")
    return str(value)


def _missing(column: str, columns: list[str], where: str) -> str:
    known = ", ".join(columns[:20]) or "none"
    return f"{where}: no column `{column}`; columns here: {known}. Set text_column, id_column or group_column to fit"


def _kind(value: Any) -> str:
    names = {
        type(None): "null",
        bool: "true/false",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), f"a {type(value).__name__}")


def _short(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=True)
    return text if len(text) <= 60 else f"{text[:59]}…"
