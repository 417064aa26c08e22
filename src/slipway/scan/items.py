"""The item table, the one data file of a release: parquet, and by content nothing but the columns of `slipway.items`.

A table is compressed and its readers pass over what they do not know, so it is accounted for byte by byte: magic,
pages without a gap (`slipway.scan.pages`), footer, magic. What stands in it is then held to the form of each column.
"""

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from slipway import items, patterns
from slipway.records import Finding
from slipway.scan import containers, pages, text
from slipway.scan.subject import Subject
from slipway.scan.thrift import Fault

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

NAME = f"records/{items.NAME}"
SIZE = 256 << 20
"""Largest table, in bytes."""
UNPACKED = 1 << 30
"""Most bytes that its pages may unpack to."""
ROWS = 2_000_000
NUMBERS = 32_000_000
"""Most entries of the column `scores`."""
GROUPS = 64
FOOTER = 1 << 20
TEXT = 1 << 10
"""Longest id, in bytes."""
MAGIC = b"PAR1"
CODECS = {"UNCOMPRESSED", "SNAPPY"}
FORMS = {
    "task": r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,100}$",
    "model": r"^(model|base)$",
    "prompt_sha256": r"^[0-9a-f]{64}$",
}
STRINGS = ("task", "model", "item", "family", "prompt_sha256")
WHOLE = (*STRINGS, "value", "weight", "scores")
"""Columns without nulls."""
_OTHER_IDS = (
    "items and families are named after documents: give the source another `id_column` or `group_column`, or none "
    "(ids are then file name and row number), and rebuild"
)
_REMEDY = "publish the table as `evaluate` wrote it; rebuild with `slipway build --force evaluate`"


def _footer(content: bytes) -> int:
    """Offset of the footer."""
    if len(content) < 12 or content[:4] != MAGIC or content[-4:] != MAGIC:
        raise Fault("form", "does not begin and end as parquet", 0)
    length = struct.unpack_from("<I", content, len(content) - 8)[0]
    if length > min(FOOTER, len(content) - 12):
        raise Fault("form", f"says that its footer has {length} bytes", len(content) - 8)
    return len(content) - 8 - length


def _check_schema(file: "pq.ParquetFile") -> None:
    expected = items.schema()
    if not file.schema_arrow.equals(expected):
        raise Fault("schema", f"has other columns than the item table: {', '.join(file.schema_arrow.names)[:200]}")
    # The schema that Arrow keeps beside parquet's own may carry more; what Parquet itself says of a field is its place.
    fields = [field.name for field in file.schema_arrow if set(field.metadata or {}) - {b"PARQUET:field_id"}]
    if file.schema_arrow.metadata or fields:
        raise Fault("schema", f"carries metadata of its own: {file.schema_arrow.metadata or fields!a:.200}")


def _check_layout(content: bytes, end: int, metadata: "pq.FileMetaData") -> None:
    """Pages from the magic to the footer, without a gap, and no more of them than a table may unpack to."""
    if metadata.num_rows > ROWS or metadata.num_row_groups > GROUPS:
        raise Fault(
            "size",
            f"says {metadata.num_rows} rows in {metadata.num_row_groups} groups; at most {ROWS} in {GROUPS} are read",
        )
    position, unpacked = len(MAGIC), 0
    for group in (metadata.row_group(index) for index in range(metadata.num_row_groups)):
        for column in (group.column(index) for index in range(group.num_columns)):
            listed = column.path_in_schema.startswith("scores")
            if column.num_values > (NUMBERS if listed else ROWS) or (
                not listed and column.num_values != group.num_rows
            ):
                raise Fault("size", f"{column.path_in_schema}: says {column.num_values} values")
            if column.compression not in CODECS or column.file_path:
                raise Fault("form", f"{column.path_in_schema}: {column.compression} or another file's")
            start = column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
            if start != position or column.total_compressed_size < 0:
                raise Fault(
                    "gap", f"{column.path_in_schema}: begins at byte {start}, not where the one before ends", position
                )
            position += column.total_compressed_size
            if position > end:
                raise Fault("gap", f"{column.path_in_schema}: reaches into the footer", start)
            unpacked += column.total_uncompressed_size
            if unpacked > UNPACKED:
                raise Fault("size", f"unpacks to more than {UNPACKED} bytes")
            pages.check(content, start, position, column, searched=_unhidden)
    if position != end:
        raise Fault("gap", f"holds {end - position} bytes between its columns and its footer", position)


def _unhidden(raw: bytes, start: int) -> None:
    """No secret in what a page unpacks to: a dictionary may hold what no row names."""
    for words, at, _ in patterns.secrets(raw.decode("latin-1")):
        raise Fault("secret", f"holds what looks like {words} ({raw[at : at + 4].decode('latin-1')}…)", start)


def _check_texts(name: str, values: "pa.Array") -> None:
    import pyarrow.compute as pc

    if (longest := pc.max(pc.binary_length(values)).as_py() or 0) > TEXT:
        raise Fault("value", f"{name}: holds a text of {longest} bytes; an id has at most {TEXT}")
    if name in FORMS:
        if pc.all(pc.match_substring_regex(values, FORMS[name])).as_py() is False:
            raise Fault("value", f"{name}: holds what does not have the form {FORMS[name]}")
        return
    texts = values.to_pylist()
    joined = "\n".join(texts)
    if found := text.odd(joined):
        raise Fault("value", f"{name}: holds {found[0]}")
    if "\t" in joined or joined.count("\n") != max(len(texts) - 1, 0):
        raise Fault("value", f"{name}: holds a tab or a line end")
    for words, at, _ in patterns.secrets(joined):
        raise Fault("secret", f"{name}: holds what looks like {words} ({joined[at : at + 4]}…)")
    if addresses := patterns.find(joined, ("email",)):
        raise Fault("personal", f"{name}: holds an e-mail address ({joined[addresses[0].start :][:4]}…)")


def _check_values(file: "pq.ParquetFile") -> None:
    import pyarrow.compute as pc

    for index in range(file.num_row_groups):
        group: Any = file.read_row_group(index)
        group.validate(full=True)
        for name in WHOLE:
            if group.column(name).null_count:
                raise Fault("value", f"{name}: an item has none")
        for name in STRINGS:
            # All of a dictionary, whether a row names it or not; and a text that many rows name, once.
            for chunk in group.column(name).chunks:
                _check_texts(name, chunk.dictionary)
        for name in ("value", "weight", "scores"):
            numbers = pc.list_flatten(group.column(name)) if name == "scores" else group.column(name)
            if numbers.null_count or pc.all(pc.is_finite(numbers)).as_py() is False:
                raise Fault("value", f"{name}: not every number is one (NaN or infinite)")
        if (pc.min(group.column("weight")).as_py() or 0) < 0:
            raise Fault("value", "weight: less than nothing")


def check(subject: Subject) -> Iterator[Finding]:
    """Findings `items.*` unless the file is the item table and nothing else."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    yield from containers.check_table(subject)
    if subject.size > SIZE:
        yield subject.finding("items.size", f"has {subject.size} bytes; at most {SIZE} are read", "ask fewer items")
        return
    content = subject.read(subject.size)
    try:
        end = _footer(content)
        pages.check_footer(content, end, len(content) - 8)
        _unhidden(content[end:], end)
        file = pq.ParquetFile(pa.BufferReader(content))
        _check_schema(file)
        _check_layout(content, end, file.metadata)
        # Else a long text that many rows name would be as many copies of it.
        _check_values(pq.ParquetFile(pa.BufferReader(content), read_dictionary=STRINGS))
    except Fault as fault:
        remedy = _OTHER_IDS if fault.what in ("value", "secret", "personal") else _REMEDY
        yield subject.finding(f"items.{fault.what}", fault.reason, remedy, fault.offset)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = f"is not parquet that can be read: {' '.join(str(error).split())[:160]}"
        yield subject.finding("items.form", reason, _REMEDY)
