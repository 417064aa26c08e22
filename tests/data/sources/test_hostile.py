"""Files that are damaged, made to do harm, or changed under the reader's hands: one clear message, nothing written."""

import gzip
import json
import resource
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from slipway.data.sources import formats
from slipway.data.sources.held import Held
from slipway.errors import Refusal, UserError
from slipway.files import sha256_file
from slipway.settings import Limits
from slipway.shards import shards

PACKERS = {".gz": gzip.compress, ".zst": zstandard.compress}
ROWS = b"".join(json.dumps({"text": f"row {n}"}).encode() + b"\n" for n in range(20_000))


def source(path: str, kind: str = "jsonl", **settings: Any) -> dict[str, Any]:
    return {"kind": kind, "name": "mine", "path": path, "licence": "CC0-1.0", **settings}


def refused(read: Any, nothing_written: Any, *said: str, **arguments: Any) -> None:
    with pytest.raises(UserError) as error:
        read(*arguments.pop("sources"), **arguments)
    for part in said:
        assert part in str(error.value)
    nothing_written()


@pytest.mark.parametrize("suffix", PACKERS)
def test_packed_files_are_read_and_text_too(read, tmp_path, suffix):
    (tmp_path / f"a.jsonl{suffix}").write_bytes(PACKERS[suffix](ROWS))
    (tmp_path / f"b.md{suffix}").write_bytes(PACKERS[suffix]("# Überschrift".encode()))
    report, rows = read(source("*.jsonl*"), source("b.*", "text") | {"name": "notes"})
    assert report.documents == 20_001
    assert rows[-2:] == [rows[-2], {**rows[-1], "text": "# Überschrift"}]
    assert rows[19_999]["text"] == "row 19999"


@pytest.mark.parametrize("suffix", PACKERS)
def test_files_of_several_packed_members_are_read_whole(read, tmp_path, suffix):
    (tmp_path / f"a.jsonl{suffix}").write_bytes(PACKERS[suffix](ROWS) + PACKERS[suffix](b'{"text": "last"}\n'))
    assert read(source("*.jsonl*"))[1][-1]["text"] == "last"


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("share", [0.5, 0.999])
def test_a_truncated_packed_file_is_named(read, nothing_written, tmp_path, suffix, share):
    packed = PACKERS[suffix](ROWS)
    (tmp_path / f"a.jsonl{suffix}").write_bytes(packed[: int(len(packed) * share)])
    refused(read, nothing_written, f"a.jsonl{suffix}", "cut short", sources=[source("*.jsonl*")])


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_packed_file_that_is_none_is_named(read, nothing_written, tmp_path, suffix):
    (tmp_path / f"a.jsonl{suffix}").write_bytes(ROWS)
    refused(read, nothing_written, f"a.jsonl{suffix}", "damaged", sources=[source("*.jsonl*")])


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("line", [b'{"text": "x"}\n' * 1000, b" " * 1_000_000])
def test_a_decompression_bomb_stops_early_in_flat_memory(read, nothing_written, tmp_path, suffix, line):
    with open(tmp_path / f"bomb.jsonl{suffix}", "wb") as stream:
        packer: Any = gzip.GzipFile(fileobj=stream, mode="wb") if suffix == ".gz" else zstandard.open(stream, "wb")
        with packer:
            for _ in range(300_000_000 // len(line)):
                packer.write(line)
    before = _memory()
    refused(read, nothing_written, f"bomb.jsonl{suffix}", sources=[source("bomb.*")], limits={"expansion": 50})
    assert _memory() - before < 150


def test_a_line_of_200_megabytes_is_not_read_to_its_end(read, nothing_written, tmp_path):
    with open(tmp_path / "long.jsonl", "wb") as stream:
        stream.write(b'{"text": "ok"}\n{"text": "')
        stream.writelines(b"x" * 1_000_000 for _ in range(200))
        stream.write(b'"}\n')
    before = _memory()
    refused(read, nothing_written, "long.jsonl:2", "16,000,000 bytes", "row_bytes", sources=[source("long.jsonl")])
    assert _memory() - before < 150


def test_one_long_cell_among_short_ones_is_named_with_its_row(read, nothing_written, tmp_path):
    rows = [
        {"messages": [{"role": "user", "content": "q" * n}, {"role": "assistant", "content": "a"}]} for n in (1, 900)
    ]
    pq.write_table(pa.Table.from_pylist(rows * 2), tmp_path / "a.parquet")
    limits = {"row_bytes": 600}
    refused(read, nothing_written, "a.parquet, row 2", "600", sources=[source("a.parquet", "parquet")], limits=limits)


def test_a_dictionary_that_repeats_a_long_text_does_not_fill_memory(read, tmp_path):
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 100, pa.int32()), pa.array(["x" * 8_000_000]))
    pq.write_table(pa.table({"text": text}), tmp_path / "a.parquet", compression="none")
    held = Held("a.parquet", tmp_path / "a.parquet", sha256_file(tmp_path / "a.parquet"))
    before = _memory()
    rows = formats.rows(held, "parquet", ["text"], Limits())
    assert sum(len(row["text"]) for _, row in rows) == 800_000_000
    assert _memory() - before < 400


def test_a_cell_of_200_megabytes_is_named(read, nothing_written, tmp_path):
    pq.write_table(pa.table({"text": ["ok", "x" * 200_000_000]}), tmp_path / "a.parquet")
    refused(read, nothing_written, "a.parquet", "16,000,000 bytes", sources=[source("a.parquet", "parquet")])


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_truncated_parquet_file_is_named(read, nothing_written, tmp_path, share):
    pq.write_table(pa.table({"text": [f"row {n}" for n in range(1000)]}), tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(data[: int(len(data) * share)])
    refused(read, nothing_written, "a.parquet", "parquet", sources=[source("*.parquet", "parquet")])


def test_damage_in_the_pages_of_a_parquet_file_is_named(read, nothing_written, tmp_path):
    pq.write_table(pa.table({"text": [f"row {n}" for n in range(1000)]}), tmp_path / "a.parquet", compression="zstd")
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[100:200] = bytes(100)
    (tmp_path / "a.parquet").write_bytes(data)
    refused(read, nothing_written, "a.parquet", "not readable", sources=[source("*.parquet", "parquet")])


@pytest.mark.parametrize(
    "case",
    [
        ({"text": "a"}, {"body": "a"}, ["b.jsonl:1", "no column `text`", "a.jsonl has it"]),
        ({"text": "a"}, {"text": 1}, ["b.jsonl has `text` as a number", "a.jsonl has `text` as a string"]),
        ({"text": "a", "k": 1}, {"text": "a", "k": "1"}, ["b.jsonl has `k`", "a.jsonl has `k`"]),
        ({"prompt": "a", "completion": "b"}, {"text": "c"}, ["b.jsonl has no `completion`", "a.jsonl has"]),
        ({"messages": [{"role": "user"}]}, {"text": "c"}, ["b.jsonl has no `messages`", "a.jsonl has"]),
    ],
)
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_mixed_schemas_name_both_files(read, nothing_written, tmp_path, case, kind):
    first, second, said = case
    for name, row in (("a", first), ("b", second)):
        if kind == "jsonl":
            (tmp_path / f"{name}.jsonl").write_text(json.dumps(row))
        else:
            pq.write_table(pa.Table.from_pylist([row]), tmp_path / f"{name}.parquet")
    settings = {"id_column": "k"} if "k" in first else {}
    if kind == "parquet":
        said = [part.split(" as ")[0].replace(":1", "").replace(".jsonl", ".parquet") for part in said]
    refused(read, nothing_written, *said, sources=[source(f"*.{kind}", kind, **settings)])


def test_the_same_column_stored_in_other_ways_is_no_mixture(read, tmp_path):
    pq.write_table(
        pa.table({"text": pa.array(["a"], pa.large_string()), "k": pa.array([1], pa.int32())}), tmp_path / "a.parquet"
    )
    pq.write_table(
        pa.table({"text": pa.array(["b"]).dictionary_encode(), "k": pa.array([2], pa.uint64())}), tmp_path / "b.parquet"
    )
    _, rows = read(source("*.parquet", "parquet", id_column="k"))
    assert [(row["id"], row["text"]) for row in rows] == [("mine/1", "a"), ("mine/2", "b")]


def test_nul_bytes_and_bidi_controls_are_passed_on(read, jsonl):
    texts = ["a\x00b", "a\u202eb\u2066c", "\ufeff", "\x1b[2J"]
    _, rows = read(jsonl(*({"text": text} for text in texts)))
    assert [row["text"] for row in rows] == texts


def test_invalid_utf8_is_named_with_file_line_and_offset(read, nothing_written, tmp_path, jsonl):
    refused(
        read, nothing_written, "rows.jsonl:2", "0xff", "offset 11", sources=[jsonl({"text": "a"}, b'{"text": "a\xff"}')]
    )
    (tmp_path / "a.txt").write_bytes(b"abc\xe9")
    refused(read, nothing_written, "a.txt", "0xe9", "offset 3", sources=[source("a.txt", "text")])
    broken = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff")])
    pq.write_table(pa.table({"text": broken}), tmp_path / "a.parquet")
    refused(read, nothing_written, "a.parquet", "utf-8", sources=[source("a.parquet", "parquet")])


def test_ids_beyond_64_bits_are_whole_numbers_like_others(read, jsonl, tmp_path):
    big = 2**63
    _, rows = read(jsonl({"text": "a", "k": big}, {"text": "b", "k": -(10**30)}, id_column="k"))
    assert [row["id"] for row in rows] == [f"mine/{big}", f"mine/-{10**30}"]
    for values in (pa.array([2**64 - 1], pa.uint64()), pa.array([Decimal(10**30)], pa.decimal128(38, 0))):
        pq.write_table(pa.table({"text": ["a"], "k": values}), tmp_path / "a.parquet")
        _, rows = read(source("a.parquet", "parquet", id_column="k"))
        assert rows[0]["id"] == f"mine/{values[0].as_py()}"


@pytest.mark.parametrize(
    "key", [b"1.5", b"1e3", b"NaN", b"-Infinity", b"true", b"null", b"[1]", b'"\\ud800"', b"9" * 5000]
)
def test_ids_that_are_no_string_and_no_whole_number_are_refused(read, nothing_written, jsonl, key):
    refused(read, nothing_written, "rows.jsonl:1", sources=[jsonl(b'{"text": "a", "k": ' + key + b"}", id_column="k")])


@pytest.mark.parametrize("values", [pa.array([1.0]), pa.array([Decimal("1.5")]), pa.array([float("nan")])])
def test_ids_with_a_fraction_are_refused_in_parquet(read, nothing_written, tmp_path, values):
    pq.write_table(pa.table({"text": ["a"], "k": values}), tmp_path / "a.parquet")
    refused(read, nothing_written, "a.parquet, row 1", "`k`", sources=[source("a.parquet", "parquet", id_column="k")])


def test_an_id_in_two_files_names_both_places(read, nothing_written, tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_text('{"text": "x", "k": 7}\n')
    refused(read, nothing_written, "b.jsonl:1", "a.jsonl:1", "`mine/7`", sources=[source("*.jsonl", id_column="k")])


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"text":' * 50_000, b'{"a":' * 500 + b"1" + b"}" * 500])
def test_deep_nesting_is_an_error_and_no_crash(read, nothing_written, jsonl, line):
    refused(read, nothing_written, "rows.jsonl:1", sources=[jsonl(line)])


def test_empty_files_hold_no_document(read, nothing_written, tmp_path):
    for name in ("a.jsonl", "b.jsonl.gz", "c.parquet"):
        (tmp_path / name).write_bytes(gzip.compress(b"") if name.endswith("gz") else b"")
    refused(read, nothing_written, "no document", sources=[source("*.jsonl*")])
    refused(read, nothing_written, "c.parquet", sources=[source("c.parquet", "parquet")])
    (tmp_path / "a.jsonl").write_text('{"text": "x"}')
    assert read(source("*.jsonl*"))[0].documents == 1


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "text"])
def test_a_file_that_is_replaced_after_it_was_checked_is_refused(tmp_path, kind):
    place = tmp_path / "file"

    def write(word: str) -> None:
        if kind == "parquet":
            pq.write_table(pa.table({"text": [word]}), place)
        else:
            place.write_text(json.dumps({"text": word}))

    write("one")
    held = Held("file", place, sha256_file(place))
    assert list(formats.rows(held, kind, None, Limits()))
    write("two")
    with pytest.raises(Refusal, match="file: changed while it was read"):
        list(formats.rows(held, kind, None, Limits()))


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path):
    place = tmp_path / "rows.jsonl"
    place.write_bytes(ROWS * 4)
    rows: Iterator[Any] = formats.rows(Held("rows.jsonl", place, sha256_file(place)), "jsonl", None, Limits())
    next(rows)
    writer = threading.Thread(target=lambda: place.open("ab").write(b'{"text": "new"}\n'))
    writer.start()
    writer.join()
    with pytest.raises(Refusal, match=r"rows\.jsonl: changed while it was read"):
        list(rows)


def test_shards_follow_characters_and_not_files(read, tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.jsonl").write_text("".join(f'{{"text": "{"x" * 10}"}}\n' for _ in range(10)))
    report, rows = read(source("*.jsonl"), shard_characters=95)
    assert (report.shards, report.documents, report.characters) == (3, 30, 300)
    assert [pq.read_metadata(path).num_rows for path in shards(tmp_path / "data/raw", "documents")] == [10, 10, 10]
    assert [row["id"] for row in rows] == [f"mine/{name}.jsonl#{n}" for name in "abc" for n in range(1, 11)]
