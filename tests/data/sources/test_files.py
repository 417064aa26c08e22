"""Local files: every kind is read, and every sort of bad input is a clear error or a counted rule."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.data.sources import write_lock
from slipway.errors import UserError


def test_jsonl_rows_become_documents_with_ids_from_file_and_line(read, jsonl):
    report, rows = read(jsonl({"text": "One."}, {"text": "Zwei é."}))
    assert [row["id"] for row in rows] == ["mine/rows.jsonl#1", "mine/rows.jsonl#2"]
    assert rows[1]["text"] == "Zwei é."
    assert rows[0]["licence"] == "CC0-1.0"
    assert rows[0]["group"] != rows[1]["group"]
    assert (report.documents, report.characters, report.sources[0].documents) == (2, 11, 2)


def test_columns_for_text_id_and_group_are_the_recipes(read, jsonl):
    source = jsonl({"body": "a", "key": 7, "talk": "x"}, {"body": "b", "key": 8, "talk": "x"})
    _, rows = read(source | {"text_column": "body", "id_column": "key", "group_column": "talk"})
    assert [(row["id"], row["group"]) for row in rows] == [("mine/7", "mine/x"), ("mine/8", "mine/x")]


def test_parquet_and_text_directories_are_read(read, tmp_path):
    pq.write_table(pa.table({"text": ["p1", "p2"]}), tmp_path / "a.parquet")
    (tmp_path / "notes" / "deep").mkdir(parents=True)
    (tmp_path / "notes" / "b.txt").write_bytes(b"\xef\xbb\xbfwith a mark")
    (tmp_path / "notes" / "deep" / "a.md").write_text("deeper")
    (tmp_path / "notes" / "ignored.bin").write_bytes(b"\xff")
    _, rows = read(
        {"kind": "parquet", "name": "table", "path": "*.parquet", "licence": "MIT"},
        {"kind": "text", "name": "notes", "path": "notes", "licence": "cc-by-4.0"},
    )
    assert [row["text"] for row in rows] == ["p1", "p2", "with a mark", "deeper"]
    assert rows[2]["id"] == "notes/notes/b.txt#1"
    assert rows[2]["licence"] == "CC-BY-4.0"


def test_null_text_is_skipped_and_counted_and_empty_text_is_passed_on(read, jsonl):
    report, rows = read(jsonl({"text": None}, {"text": ""}, b"", {"text": "x"}))
    assert report.skipped == {"mine: `text` is null": 1}
    assert [row["text"] for row in rows] == ["", "x"]


def test_lone_surrogates_are_skipped_and_counted(read, jsonl):
    report, rows = read(jsonl(b'{"text": "\\ud800"}', {"text": "x"}))
    assert report.skipped == {"mine: `text` is not valid Unicode": 1}
    assert len(rows) == 1


def test_five_megabytes_in_one_document_are_passed_on_whole(read, jsonl):
    _, rows = read(jsonl({"text": "word " * 1_000_000}))
    assert len(rows[0]["text"]) == 5_000_000


@pytest.mark.parametrize(
    ("rows", "settings", "said"),
    [
        ([b'{"text": "a"}', b'{"text": '], {}, ["rows.jsonl:2", "not JSON"]),
        ([b'{"text": "caf\xe9"}'], {}, ["rows.jsonl:1", "not UTF-8", "0xe9"]),
        ([b"[1, 2]"], {}, ["rows.jsonl:1", "a list where a JSON object"]),
        ([b"[" * 100_000], {}, ["rows.jsonl:1"]),
        ([{"text": 5}], {}, ["rows.jsonl:1", "`text` is a number, not a string", "5"]),
        ([{"body": "a"}], {}, ["rows.jsonl:1", "no column `text`", "body"]),
        ([{"text": "a", "k": 1}, {"text": "b", "k": 1}], {"id_column": "k"}, ["rows.jsonl:2", "`mine/1`", "unique"]),
        ([{"text": "a", "k": None}], {"id_column": "k"}, ["rows.jsonl:1", "`k` is null"]),
        ([], {}, ["no document in any source (mine)"]),
        ([{"text": None}], {}, ["no document", "`text` is null: 1"]),
        ([{"text": "a"}], {"licence": "free as in beer"}, ["source mine", "free as in beer", "SPDX"]),
        ([{"text": "a"}], {"path": "nowhere/*.jsonl"}, ["source mine", "nowhere/*.jsonl", "no file"]),
        ([{"text": "a"}], {"path": "/etc/passwd"}, ["source mine", "absolute"]),
    ],
)
def test_bad_input_is_one_clear_message(read, jsonl, rows, settings, said):
    with pytest.raises(UserError) as error:
        read(jsonl(*rows, **settings))
    for part in said:
        assert part in str(error.value)


def test_bad_parquet_names_file_and_column(read, tmp_path):
    source = {"kind": "parquet", "name": "table", "path": "a.parquet", "licence": "MIT"}
    pq.write_table(pa.table({"body": ["p"]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet: no column `text`; columns here: body"):
        read(source)
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet, row 1: `text` is a number"):
        read(source)
    (tmp_path / "a.parquet").write_bytes(b"PAR1 this is not parquet")
    with pytest.raises(UserError, match=r"a\.parquet: not readable as parquet"):
        read(source)


def test_a_directory_without_fitting_files_is_named(read, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"path `empty` holds no file that ends in \.jsonl"):
        read({"kind": "jsonl", "name": "mine", "path": "empty", "licence": "MIT"})


def test_the_same_sources_give_the_same_bytes(read, jsonl, tmp_path):
    source = jsonl(*({"text": f"document {n}"} for n in range(5000)))
    read(source)
    first = (tmp_path / "data/raw/documents-00000.parquet").read_bytes()
    read(source)
    assert (tmp_path / "data/raw/documents-00000.parquet").read_bytes() == first


@pytest.mark.parametrize("name", [b"a\xff.jsonl", b"a\nb.jsonl", b"a\x1b[2K.jsonl"])
def test_a_file_whose_name_no_record_can_hold_is_named(with_sources, jsonl, tmp_path, name):
    recipe = with_sources({**jsonl({"text": "a"}), "path": "corpus"})
    (tmp_path / "corpus").mkdir()
    (tmp_path / "rows.jsonl").rename(tmp_path / "corpus" / os.fsdecode(name))
    with pytest.raises(UserError, match=r"source mine: the name 'corpus/a\\.*\.jsonl' holds .*: rename the file"):
        write_lock(recipe, tmp_path, {})
    assert not (tmp_path / "inputs.lock").exists()


def test_an_empty_path_is_not_the_whole_project(with_sources, jsonl, tmp_path):
    with pytest.raises(UserError, match=r"source mine: path `` is empty"):
        write_lock(with_sources({**jsonl({"text": "a"}), "path": ""}), tmp_path, {})


def test_a_directory_that_may_not_be_read_is_an_error_and_no_smaller_source(with_sources, jsonl, tmp_path, monkeypatch):
    recipe = with_sources({**jsonl({"text": "a"}), "path": "corpus"})
    (tmp_path / "corpus" / "closed").mkdir(parents=True)
    (tmp_path / "rows.jsonl").rename(tmp_path / "corpus" / "a.jsonl")
    scandir = os.scandir

    def guarded(path):
        if os.fspath(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    with pytest.raises(PermissionError, match="closed"):
        write_lock(recipe, tmp_path, {})
