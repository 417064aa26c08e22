"""Values that nobody expects, and memory that does not grow with the text."""

# ruff: noqa: S608

import duckdb
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.data import contract
from slipway.data.contract import language
from slipway.data.contract.drift import distance

from .conftest import TEXT, documents, write

HOSTILE = ["'; DROP TABLE rows; --", "\x00", "a\x00b", "\u202etxt", "é" * 300, "row 3", "", " ", "<b>&amp;</b>", "🦊"]


def test_hostile_ids_sources_and_labels_stay_what_they_are(judged):
    data = documents(len(HOSTILE))
    for row, value in zip(data, HOSTILE, strict=True):
        row |= {"id": value, "source": value, "licence": value, "group": value, "label": value, "text": TEXT + "\x00"}
    found = judged(data)
    assert found["no NUL characters"].failing_ids == tuple(HOSTILE)
    assert found.report.documents_by_label == dict.fromkeys(sorted(HOSTILE, key=str.encode), 1)
    assert set(found.report.characters_by_source) == set(HOSTILE)
    assert [v["id"] for v in pq.read_table(found.rows).to_pylist()] == HOSTILE
    assert "<b>&amp;</b>" not in found.page


def test_all_null_columns(judged):
    rows = [dict.fromkeys(documents(1)[0]) for _ in range(12)]
    found = judged(rows)
    assert {n for n, (failing, _) in found.broken().items() if failing == 12} >= {
        "every document has an id",
        "every document has text",
        "every document has a source",
        "every document has a group",
        "sources state a licence",
        "conversations are well-formed",
    }
    assert found["ids are unique"].status == "met"
    assert found["few exact copies"].status == "met"
    assert found["the text is diverse"].status == "not run"
    assert found["every document has an id"].failing_ids[0] == "row 0"
    assert found.report.characters_by_source == {"none": 0}


def test_one_very_long_row(judged):
    data = documents()
    data[5]["text"] = "long words of a text " * 500_000
    assert judged(data).broken() == {"no source dominates": (0, ())}
    found = judged(data, max_largest_source=1.0, max_outside_length=0)
    assert found.broken() == {"texts have 20 to 200,000 characters": (1, ("d05",))}


def test_what_is_kept_of_a_document_does_not_depend_on_its_length(tmp_path):
    """The table of rows holds hashes, codes and bits; only the sample keeps text, and only its beginning."""
    from slipway.settings import Validate

    settings, sizes = Validate(sample=100), []
    lines = contract.suite(settings, ())
    for factor in (1, 50):
        rows = [row | {"text": row["text"] * factor} for row in documents(1000)]
        raw = write(tmp_path / str(factor), rows[:500], rows[500:])
        with contract.opened(list(contract.shard_columns(raw))) as database:
            contract.measure(database, lines, settings)
            kinds = dict(
                database.execute(
                    "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'rows'"
                ).fetchall()
            )
            assert [name for name, kind in kinds.items() if kind in ("VARCHAR", "BLOB")] == ["sample"]
            count, longest = database.execute("SELECT count(sample), max(length(sample)) FROM rows").fetchall()[0]
            sizes.append(count)
            assert longest <= language.PREFIX
    assert sizes[0] == sizes[1]
    assert 50 <= sizes[0] <= 200


def test_it_works_in_little_memory(tmp_path, monkeypatch):
    """27 MB of text in 5,000 rows under a limit of 100 MB for all of DuckDB."""
    from slipway.data.contract import database as room

    monkeypatch.setattr(room, "_MEMORY", "100MB")
    filler = "words of a text that goes on and on and is very long " * 100
    shards = [[row | {"text": f"{k} {row['text']} {filler}"} for row in documents(100)] for k in range(5)]
    raw = write(tmp_path, *(shard * 10 for shard in shards))
    with contract.opened(list(contract.shard_columns(raw))) as database:
        from slipway.settings import Validate

        assert contract.measure(database, contract.suite(Validate(), ()), Validate()).documents == 5000
        limit = database.execute("SELECT current_setting('memory_limit')").fetchall()[0][0]
        assert limit.startswith("95.")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(st.text(max_size=3), st.integers(0, 10**9), max_size=6),
    st.dictionaries(st.text(max_size=3), st.integers(0, 10**9), max_size=6),
)
def test_distance_is_a_distance(ours, theirs):
    value = distance(ours, theirs)
    if value is None:
        assert not sum(ours.values()) or not sum(theirs.values())
    else:
        assert 0 <= value <= 1
        assert value == distance(theirs, ours)
        assert distance(ours, ours) == 0


@settings(max_examples=80, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_the_checks_of_characters_agree_with_python(text):
    from slipway.settings import Validate

    lines = {line.name: line for line in contract.suite(Validate(), ()) if line.condition}
    control = {c for c in range(32) if c not in (0, 9, 10, 12, 13)} | set(range(127, 160))
    bidi = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
    expected = {
        "no NUL characters": {0},
        "no characters that turn the direction of text": bidi,
        "few control characters": control,
        "few replacement characters": {0xFFFD},
        "few private-use characters": {*range(0xE000, 0xF900), *range(0xF0000, 0x110000)},
    }
    with duckdb.connect() as database:
        for name, codes in expected.items():
            query = f"SELECT {lines[name].condition} FROM (SELECT $text AS text, length($text) AS characters)"
            assert database.execute(query, {"text": text}).fetchall()[0][0] is not bool(set(map(ord, text)) & codes)
