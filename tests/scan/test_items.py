"""The one data file of a release: the item table passes, and whatever else is parquet or says so does not."""

import io
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway import items
from slipway.items import Item
from slipway.scan.verdict import scan
from tests.scan import thrift

NAME = f"records/{items.NAME}"
LIMIT = 16 << 20


def rows(count=300):
    rng = random.Random(5)
    return [
        Item(
            task="signature", model=rng.choice(["model", "base"]), item=f"numpy.core.f{i}({'ä' * (i % 3)})",
            family=f"numpy {i % 7}", prompt_sha256=f"{rng.getrandbits(256):064x}", value=float(i % 2), weight=1.0,
            seed=17 if i % 5 else None, scores=tuple(rng.random() for _ in range(i % 5)), right=1, picked=2,
        )
        for i in range(count)
    ]  # fmt: skip


def table(count=300, **changed):
    columns = pa.Table.from_pylist(
        [{f: getattr(row, f) for f in Item.__slots__} for row in rows(count)], items.schema()
    )
    for name, values in changed.items():
        place = columns.schema.get_field_index(name)
        columns = columns.set_column(
            place, items.schema().field(name), pa.array(values, items.schema().field(name).type)
        )
    return columns


def encoded(content, **options):
    stream = io.BytesIO()
    pq.write_table(content, stream, **options)
    return stream.getvalue()


@pytest.fixture
def judge(bare):
    def findings(content: bytes):
        (bare / NAME).write_bytes(content)
        found = scan(bare, LIMIT).findings
        assert {finding.path for finding in found} <= {NAME}
        return [(finding.rule, finding.reason) for finding in found]

    return findings


def first(found):
    """The rule of the only finding."""
    assert len(found) == 1, found
    return found[0][0]


@pytest.mark.parametrize("count", [0, 1, 300, 20_000])
def test_the_table_as_evaluate_writes_it_passes(bare, judge, count):
    items.write(rows(count), bare / NAME)
    assert judge((bare / NAME).read_bytes()) == []


def test_several_row_groups_and_long_columns_pass(judge):
    assert judge(encoded(table(5000), row_group_size=700, data_page_size=900)) == []


def test_only_at_its_place(bare):
    for name in ("evaluate_items.parquet", "records/items.parquet", "records/evaluate_items.parquet.parquet"):
        items.write(rows(3), bare / name)
        assert "file.unknown" in {finding.rule for finding in scan(bare, LIMIT).findings}
        (bare / name).unlink()
    items.write(rows(3), bare / "LICENSE")
    assert {finding.rule for finding in scan(bare, LIMIT).findings} >= {"format.unsupported"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PAR1",
        b"PAR1PAR1",
        b"PAR1\xff\xff\xff\xffPAR1",
        b"PAR1" + bytes(500) + b"\x08\0\0\0PAR1",
        b"x" * 4096,
        b"PK\3\4",
    ],
)
def test_garbage_is_refused(judge, content):
    assert judge(content)


def test_a_cut_table_is_refused(judge):
    content = encoded(table())
    for end in (len(content) - 1, len(content) // 2, 13):
        assert first(judge(content[:end])) == "items.form"


def test_flipped_bytes_are_refused_or_change_nothing_but_a_number(judge):
    """No flip crashes the scanner; what still passes is a table that reads as one."""
    content, rng = encoded(table(50)), random.Random(1)
    for _ in range(150):
        changed = bytearray(content)
        changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        found = judge(bytes(changed))
        assert not [reason for rule, reason in found if rule == "scan.incomplete"], found
        if not found:
            assert pq.read_table(pa.BufferReader(bytes(changed))).schema.equals(items.schema())


def test_other_columns_are_refused(judge):
    extra = table().append_column("text", pa.array(["Lorem ipsum"] * 300))
    assert first(judge(encoded(extra))) == "items.schema"
    assert first(judge(encoded(table().drop_columns(["seed"])))) == "items.schema"
    assert first(judge(encoded(table().rename_columns(["text", *table().column_names[1:]])))) == "items.schema"
    wide = table().set_column(10, pa.field("picked", pa.int64()), pa.array([1] * 300))
    assert first(judge(encoded(wide))) == "items.schema"


@pytest.mark.parametrize("where", ["table", "field", "element"])
def test_metadata_is_refused(judge, where):
    content = table()
    if where == "table":
        content = content.replace_schema_metadata({"note": "hello"})
    elif where == "field":
        content = content.set_column(0, content.schema.field(0).with_metadata({"note": "hello"}), content.column(0))
    else:
        inner = pa.field("element", pa.float64(), metadata={"note": "hello" * 400})
        content = content.set_column(8, pa.field("scores", pa.list_(inner)), content.column(8).cast(pa.list_(inner)))
    assert first(judge(encoded(content))) in {"items.schema", "items.form"}


WAYS = (
    {"compression": "gzip"},
    {"compression": "zstd"},
    {"data_page_version": "2.0"},
    {"write_page_index": True},
    {"compression": "lz4"},
)


@pytest.mark.parametrize("options", WAYS)
def test_other_ways_to_write_are_refused(judge, options):
    assert first(judge(encoded(table(), **options))) == "items.form"


SECRET = "AKIA" + "ABCDEFGHIJKLMNOP"


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("item", f"key {SECRET}", "items.secret"),
        ("family", "ghp_" + "a1B2" * 9, "items.secret"),
        ("item", "someone@example.org", "items.personal"),
        ("item", "x" * 1100, "items.value"),
        ("item", "two\nlines", "items.value"),
        ("item", "a\ttab", "items.value"),
        ("family", "bell\x07", "items.value"),
        ("family", "\u202eevil", "items.value"),
        ("task", "a task with words", "items.value"),
        ("model", "another", "items.value"),
        ("prompt_sha256", "What is the capital of France?", "items.value"),
        ("prompt_sha256", "0" * 64 + "\n", "items.value"),
        ("item", None, "items.value"),
        ("value", float("nan"), "items.value"),
        ("value", float("inf"), "items.value"),
        ("value", None, "items.value"),
        ("weight", -1.0, "items.value"),
        ("scores", [1.0, float("-inf")], "items.value"),
        ("scores", [None], "items.value"),
        ("scores", None, "items.value"),
    ],
)
def test_what_stands_in_a_column_is_judged(judge, column, value, rule):
    values = table().column(column).to_pylist()
    values[137] = value
    assert first(judge(encoded(table(**{column: values})))) == rule


def test_a_text_that_is_no_utf8_is_refused(judge):
    content = encoded(table(item=["ascii"] * 300), compression="none")
    assert first(judge(content.replace(b"ascii", b"asc\xff\xff"))) in {"items.form", "items.value"}


def test_a_dictionary_entry_that_no_row_names_is_found(judge):
    """Rows are read through the dictionary, so a reader never sees it; the file holds it all the same."""
    shown, hidden = "a" * 20, SECRET
    content = encoded(table(item=[shown] * 299 + [hidden], count=300), compression="none", write_statistics=False)
    assert first(judge(content)) == "items.secret"
    pages, footer = thrift.split(content)
    (column,) = (column for column in thrift.columns(footer) if column[3][1][1] == [b"item"])
    assert pages.count(hidden.encode()) == 1
    start = column[9][1]
    index = pages[start : start + 40]
    assert b"\x01" in index, "the last row's index, which becomes the first entry's"


def test_bytes_between_columns_and_footer_are_found(judge):
    pages, footer = thrift.split(encoded(table()))
    assert judge(thrift.join(pages, footer)) == []
    assert first(judge(thrift.join(pages + b"hidden", footer))) == "items.gap"
    assert first(judge(thrift.join(pages, footer, hidden=b"hidden"))) == "items.gap"


def test_bytes_between_two_columns_are_found(judge):
    pages, footer = thrift.split(encoded(table()))
    last = thrift.columns(footer)[-1]
    start = last[11][1]
    last[11][1], last[9][1] = last[11][1] + 6, last[9][1] + 6
    changed = thrift.join(pages[:start] + b"hidden" + pages[start:], footer)
    assert pq.read_table(pa.BufferReader(changed)) == table(), "a reader does not notice"
    assert first(judge(changed)) == "items.gap"


def test_bytes_behind_the_last_page_of_a_column_are_found(judge):
    pages, footer = thrift.split(encoded(table()))
    last = thrift.columns(footer)[-1]
    last[7][1], last[6][1] = last[7][1] + 6, last[6][1] + 6
    changed = thrift.join(pages + b"hidden", footer)
    assert pq.read_table(pa.BufferReader(changed)) == table(), "a reader does not notice"
    assert first(judge(changed)) in {"items.gap", "items.form"}


def test_an_unknown_field_in_a_page_header_is_found(judge):
    pages, footer = thrift.split(encoded(table()))
    last = thrift.columns(footer)[-1]
    start = last[9][1]
    header, end = thrift.read(pages, start)
    header[9] = [8, b"hidden"]
    longer = thrift.write(header)
    last[7][1], last[6][1] = last[7][1] + len(longer) - (end - start), last[6][1] + len(longer) - (end - start)
    changed = thrift.join(pages[:start] + longer + pages[end:], footer)
    assert pq.read_table(pa.BufferReader(changed)) == table(), "a reader does not notice"
    assert first(judge(changed)) == "items.form"


@pytest.mark.parametrize("where", ["file", "column", "writer"])
def test_an_unknown_field_in_the_footer_is_found(judge, where):
    pages, footer = thrift.split(encoded(table()))
    if where == "file":
        footer[12] = [8, b"hidden"]
    elif where == "column":
        thrift.columns(footer)[3][8] = [9, (12, [{1: [8, b"note"], 2: [8, b"hidden"]}])]
    else:
        footer[6] = [8, b"parquet-cpp-arrow version 1.0 (and a note)"]
    assert first(judge(thrift.join(pages, footer))) == "items.form"


@pytest.mark.parametrize("number", [10**12, 2**31 - 1, -5, 299])
def test_row_counts_that_are_not_true_are_refused(judge, number):
    pages, footer = thrift.split(encoded(table()))
    footer[3][1] = number
    footer[4][1][1][0][3][1] = number
    assert judge(thrift.join(pages, footer))
    for column in thrift.columns(footer):
        column[5][1] = number
    assert judge(thrift.join(pages, footer))


def test_a_page_that_unpacks_to_more_than_memory_is_refused(judge):
    pages, footer = thrift.split(encoded(table()))
    column = thrift.columns(footer)[0]
    start = column[11][1]
    header, end = thrift.read(pages, start)
    header[2][1] = 2**31 - 1
    longer = thrift.write(header)
    pages = pages[:start] + longer + pages[end:]
    moved = len(longer) - (end - start)
    for index, each in enumerate(thrift.columns(footer)):
        each[9][1] += moved
        each[11][1] += moved if index else 0
    column[7][1], column[6][1] = column[7][1] + moved, 2**40
    assert first(judge(thrift.join(pages, footer))) == "items.size"
    column[6][1] = 2**29
    assert first(judge(thrift.join(pages, footer))) == "items.gap"


def test_a_long_text_that_many_rows_name_is_not_repeated_in_memory(judge):
    import tracemalloc

    content = encoded(table(count=300, item=["x" * 1_000_000] * 300))
    tracemalloc.start()
    assert first(judge(content)) == "items.value"
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()


def test_a_table_that_is_a_zip_as_well_is_refused(judge):
    pages, footer = thrift.split(encoded(table(50)))
    raw = thrift.write(footer)
    tail = b"PK\5\6" + bytes(16) + (len(raw) + 8).to_bytes(2, "little")
    assert "content.polyglot" in {rule for rule, _ in judge(thrift.join(pages + tail, footer))}


def test_a_table_that_is_too_large_is_refused(judge, monkeypatch):
    from slipway.scan import items as checker

    monkeypatch.setattr(checker, "SIZE", 1000)
    assert first(judge(encoded(table()))) == "items.size"
    monkeypatch.setattr(checker, "SIZE", 1 << 20)
    monkeypatch.setattr(checker, "ROWS", 299)
    assert first(judge(encoded(table()))) == "items.size"
