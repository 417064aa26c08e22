"""The contract from shards to verdict, with the real judge: every line can be met, and broken by one defect."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.data import contract
from slipway.data.documents import Turn, dumped, text_of
from slipway.errors import UserError
from slipway.records import StageRecord
from slipway.settings import Validate
from slipway.settings.validate import Classes, Drift

from .conftest import TEXT, documents, write

ALWAYS_RUN = 19


def _spoken(shape: str, *turns: tuple[str, str]) -> dict:
    listed = [Turn(*turn) for turn in turns]
    return {"shape": shape, "turns": dumped(listed), "text": text_of(listed)}


CHAT = _spoken("chat", ("system", "Be kind."), ("user", "What is a fox?"), ("assistant", "An animal of the forest."))
COMPLETION = _spoken("completion", ("prompt", "A fox is"), ("completion", "an animal that jumps."))
PAIR = _spoken("preference", ("user", "What is it?"), ("chosen", "It is a fox."), ("rejected", "It is a dog."))


def test_good_data_meets_all_that_can_be_asked(judged):
    found = judged(documents(), languages=("en",))
    status = [item.status for item in found.report.expectations]
    assert "not met" not in status
    assert status.count("met") == ALWAYS_RUN
    reasons = {item.name: item.observed for item in found.report.expectations if item.status == "not run"}
    assert reasons["conversations are well-formed"] == "no document is a conversation"
    assert reasons["no class dominates"] == "no document has a label"
    assert all("no baseline" in why for name, why in reasons.items() if name.startswith("little drift"))
    assert len(reasons) == 7
    assert found.report.passed


@pytest.mark.parametrize(
    ("change", "rows", "name"),
    [
        ({"id": None}, [3], "every document has an id"),
        ({"id": "d05"}, [5, 6], "ids are unique"),
        ({"text": None}, [4], "every document has text"),
        ({"source": None}, [7], "every document has a source"),
        ({"group": None}, [8], "every document has a group"),
        ({"text": "short"}, [1], "texts have 20 to 200,000 characters"),
        ({"text": TEXT + "\x00"}, [9], "no NUL characters"),
        ({"text": TEXT + "\u202e"}, [9], "no characters that turn the direction of text"),
        ({"text": TEXT + "\u2069"}, [9], "no characters that turn the direction of text"),
        ({"text": TEXT + "\x1b[0m"}, [9], "few control characters"),
        ({"text": TEXT + "\x7f"}, [9], "few control characters"),
        ({"text": TEXT + "\x85"}, [9], "few control characters"),
        ({"text": TEXT + "\ufffd"}, [9], "few replacement characters"),
        ({"text": TEXT + "\ue000"}, [9], "few private-use characters"),
        ({"text": TEXT + "\U0010fffd"}, [9], "few private-use characters"),
        ({"signature": "def other()"}, [10], "a signature is the first line of its text"),
        ({"licence": None}, [1], "sources state a licence"),
    ],
)
def test_each_defect_breaks_exactly_its_line_and_names_the_rows(judged, change, rows, name):
    data = documents()
    for row in rows:
        data[row] |= change
    found = judged(data[:25], data[25:], max_outside_length=0)
    ids = tuple("row 3" if data[row]["id"] is None else data[row]["id"] for row in rows)
    assert found.broken() == {name: (len(rows), ids)}
    verdicts = pq.read_table(found.rows).to_pylist()
    assert [v["id"] for v in verdicts] == [d["id"] for d in data]
    assert {n: v["fails"] for n, v in enumerate(verdicts) if v["fails"]} == {row: [name] for row in rows}


@pytest.mark.parametrize("spoken", [CHAT, COMPLETION, PAIR])
def test_conversations_are_run_when_there_are_any(judged, spoken):
    data = documents()
    data[2] |= spoken
    assert judged(data)["conversations"].status == "met"


@pytest.mark.parametrize(
    "broken",
    [
        CHAT | {"turns": "not json"},
        CHAT | {"turns": '{"role": "user"}'},
        CHAT | {"turns": "[]"},
        CHAT | {"turns": "null"},
        CHAT | {"turns": '[["user"]]', "text": TEXT},
        CHAT | {"turns": '["user", "x"]', "text": TEXT},
        CHAT | {"turns": '[["user", 5]]', "text": "5"},
        CHAT | {"turns": '[["wizard", "x"]]', "text": "x"},
        CHAT | {"text": CHAT["text"] + " and more"},
        CHAT | {"text": None},
        CHAT | {"shape": "text"},
        CHAT | {"shape": "unheard of"},
        CHAT | {"shape": None},
        PAIR | {"shape": "completion"},
        {"shape": "chat", "turns": None, "text": TEXT},
        {"shape": None, "turns": None, "text": TEXT},
    ],
)
def test_a_conversation_that_is_none_is_found(judged, broken):
    data = documents()
    data[2] |= broken
    assert judged(data, min_characters=1)["conversations"].failing_ids == ("d02",)


def test_copies_are_all_but_the_first_and_a_share_allows_some(judged):
    data = documents()
    for row in (1, 2, 30):
        data[row]["text"] = data[0]["text"]
    met = judged(data)["few exact copies"]
    assert (met.status, met.failing, met.failing_ids) == ("met", 3, ("d01", "d02", "d30"))
    assert met.observed == "3 of 40 outside (7.5 %)"
    assert judged(data, max_duplicate_share=0.05)["few exact copies"].status == "not met"


def test_too_few_documents_a_dominant_source_and_dull_text(judged):
    assert judged(documents(), min_documents=41)["enough documents"].status == "not met"
    assert judged(documents(), max_largest_source=0.2)["no source"].observed.startswith("25.")
    assert judged(documents(), max_largest_source=0.2)["no source"].status == "not met"
    dull = [row | {"text": f"word{n} " + "again " * 90} for n, row in enumerate(documents())]
    found = judged(dull, min_type_token_ratio=0.1)["the text is diverse"]
    assert found.status == "not met"
    assert float(found.observed) == pytest.approx(12 / 1000, abs=0.002)


def test_languages(judged):
    data = documents()
    for row in (3, 5, 7):
        data[row]["text"] = f"Der schnelle braune Fuchs springt {row} Mal über den faulen Hund und läuft dann davon."
    data[9]["text"] = "x = f(y[0], z) -> None ~ == 12345 !!! ***"
    line = judged(data, languages=("en",))["documents are in en"]
    assert (line.status, line.failing, line.failing_ids) == ("not met", 3, ("d03", "d05", "d07"))
    assert line.observed == "3 of 39 outside (7.692 %)"
    found = judged(data, languages=("en", "de"))
    assert found["documents are in en, de"].status == "met"
    assert set(found.report.characters_by_language) == {"de", "en", "unknown"}
    assert "of 40 documents" in found.report.language_method
    assert "names no languages" in judged(data)["documents are in"].observed
    nameless = [row | {"text": f"{n} + {n} == {2 * n} " * 3} for n, row in enumerate(documents())]
    untold = judged(nameless, languages=("en",))["documents are in en"]
    assert (untold.status, untold.failing) == ("not run", 0)


def test_classes(judged):
    data = [row | {"label": "a" if n < 36 else "b"} for n, row in enumerate(documents())]
    found = judged(data, classes=Classes(largest=0.89, smallest=0.1))
    assert (found["no class dominates"].status, found["no class dominates"].observed) == ("not met", "90 % (a)")
    assert (found["no class is rare"].status, found["no class is rare"].observed) == ("met", "10 % (b)")
    assert judged(data, classes=Classes(smallest=0.2))["no class is rare"].status == "not met"
    assert found.report.documents_by_label == {"a": 36, "b": 4}
    assert "Labels</h2>" in found.page


def _record(report, stage: str = "validate") -> str:
    return StageRecord(
        stage=stage, slipway="0.1.0", settings={}, inputs={}, outputs={}, result=report.model_dump(mode="json")
    ).to_json()


def test_drift_is_measured_against_the_earlier_record(judged, tmp_path):
    earlier = tmp_path / "validate.json"
    earlier.write_text(_record(judged(documents()).report))
    same = judged(documents(), baseline=earlier)
    assert same.report.drift == {"length": 0, "source": 0, "language": 0, "licence": 0}
    assert all(item.status == "met" for item in same.report.expectations if item.name.startswith("little drift"))
    assert same.report.baseline_sha256 is not None
    other = [row | {"source": "new", "licence": "Apache-2.0", "text": row["text"] * 3} for row in documents()]
    moved = judged(other, baseline=earlier, max_largest_source=1.0)
    assert set(moved.broken()) == {"little drift in length", "little drift in source", "little drift in licence"}
    assert moved.report.drift["licence"] == pytest.approx(1)
    assert "the baseline" in moved.page
    everything = Drift(length=1, source=1, language=1, licence=1)
    assert judged(other, baseline=earlier, max_largest_source=1.0, drift=everything).report.passed


@pytest.mark.parametrize("content", ["", "{}", '{"stage": 1}'])
def test_a_baseline_that_is_no_record_is_named(tmp_path, content):
    path = tmp_path / "validate.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"validate.baseline: old.json is not"):
        contract.baseline(path, "old.json")
    with pytest.raises(UserError, match="run acquire again"):
        contract.baseline(tmp_path / "missing.json", "old.json")
    assert contract.baseline(path, None) is None


def test_a_record_of_another_stage_is_no_baseline(judged, tmp_path):
    path = tmp_path / "validate.json"
    path.write_text(_record(judged(documents()).report, stage="prepare"))
    with pytest.raises(UserError, match="record of `prepare`"):
        contract.baseline(path, "old.json")


def test_the_message_names_every_broken_line_with_rows_and_remedy(judged):
    data = documents()
    data[3]["text"] = TEXT + "\x00"
    for row in range(10, 35):
        data[row]["licence"] = None
    found = judged(data, min_documents=100)
    assert "enough documents: expected at least 100; observed 40" in found.message
    assert "no NUL characters: expected for every document; observed 1 of 40" in found.message
    assert "rows: d03\n" in found.message
    assert "d29 and 5 more" in found.message
    assert found.message.count("remedy:") == 3
    assert len(found["sources state"].failing_ids) == 20


def test_the_page_is_offline_escaped_and_redacted(judged):
    data = documents()
    data[3]["text"] = "<script>alert(1)</script> write to jane.doe@company.com \u202e now"
    found = judged(data)
    assert "&lt;script&gt;" in found.page
    assert "<script" not in found.page
    assert "jane.doe" not in found.page
    assert "&lt;EMAIL&gt;" in found.page
    assert "\\u202e" in found.page
    assert "http" not in found.page.replace("http-equiv", "")
    for sign in ("✓", "✗", "○"):
        assert sign in found.page
    assert found.page == judged(data).page


def test_figures(judged):
    data = documents(10)
    for row, length in zip(data, (20, 20, 20, 20, 21, 31, 32, 63, 64, 200), strict=True):
        row["text"] = f"{row['id']} word" + "é漢 x" * 99
        row["text"] = row["text"][:length]
    report = judged(data, min_documents=1, max_duplicate_share=1.0).report
    assert report.length_histogram == ((16, 6), (32, 2), (64, 1), (128, 1))
    assert report.statistics["characters"] == 491
    assert report.statistics["characters_p50"] == 21
    assert report.statistics["characters_p5"] == 20
    assert report.statistics["characters_p95"] == 200
    assert report.documents_by_licence == {"MIT": 10}
    assert sum(report.characters_by_source.values()) == 491


def test_equal_data_gives_equal_bytes_whatever_the_shards(judged, tmp_path):
    data = documents()
    one = judged(data[:10], data[10:20], data[20:])
    two = judged(data[:30], data[30:39], data[39:])
    assert one.report.to_json() == two.report.to_json()
    assert one.page == two.page


def test_no_row_at_all_is_an_error(judged):
    with pytest.raises(UserError, match="holds no document"):
        judged([])


def test_shards_with_other_columns_are_named(tmp_path):
    raw = write(tmp_path, documents())
    pq.write_table(pa.table({"id": [1], "text": ["x"]}), raw / "documents-00001.parquet")
    columns = contract.shard_columns(raw)
    (shape,) = [line for line in contract.suite(Validate(), ()) if line.table == "shards"]
    from slipway.adapters.expectations import judge

    answers = judge({"shards": contract.shard_table(columns)}, [shape])
    assert not answers[shape.name].met
    message = str(contract.broken_shape([shape], columns, answers[shape.name]))
    assert "documents-00001.parquet: id int64, text string" in message
    assert "documents-00000.parquet:" not in message


def test_a_truncated_shard_is_named(tmp_path):
    raw = write(tmp_path, documents())
    path = raw / "documents-00000.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"data/raw/documents-00000.parquet is no complete parquet file"):
        contract.shard_columns(raw)
    with pytest.raises(UserError, match="no shard"):
        contract.shard_columns(tmp_path)


def test_a_shard_with_broken_pages_is_an_error_and_not_half_a_verdict(tmp_path):
    rows = [
        row | {"text": TEXT.format(n=json.dumps([n * k for k in range(50)]))} for n, row in enumerate(documents(200))
    ]
    raw = write(tmp_path, rows)
    path = raw / "documents-00000.parquet"
    data = bytearray(path.read_bytes())
    data[300:900] = bytes(600)
    path.write_bytes(data)
    settings = Validate()
    lines = contract.suite(settings, ())
    with (
        contract.opened(list(contract.shard_columns(raw))) as database,
        pytest.raises(UserError, match="cannot be read"),
    ):
        contract.measure(database, lines, settings)
