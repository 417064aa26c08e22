"""Conversations, completions and preferences: recognised by their columns, checked by their structure."""

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from slipway.data.documents import loaded
from slipway.errors import UserError


def said(*pairs: str) -> list[dict[str, str]]:
    """Messages from `role: content`."""
    return [dict(zip(("role", "content"), pair.split(": ", 1), strict=True)) for pair in pairs]


TALK = said("system: Be brief.", "user: Hi", "assistant: Ho", "user: And?", "assistant: So.")
SHAPES = [
    ({"messages": TALK}, "chat", "system user assistant user assistant"),
    ({"messages": said("user: a", "assistant: b", "tool: 7", "assistant: c")}, "chat", "user assistant tool assistant"),
    (
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "id": "x"},
        "chat",
        "user assistant",
    ),
    ({"prompt": "a", "completion": "b"}, "completion", "prompt completion"),
    ({"prompt": said("user: a"), "completion": said("assistant: b")}, "chat", "user assistant"),
    ({"prompt": "a", "chosen": "b", "rejected": "c"}, "preference", "prompt chosen rejected"),
    (
        {"chosen": said("user: a", "assistant: b"), "rejected": said("user: a", "assistant: c")},
        "preference",
        "user chosen rejected",
    ),
    (
        {"prompt": "a", "chosen": said("user: a", "assistant: b"), "rejected": said("user: a", "assistant: c")},
        "preference",
        "user chosen rejected",
    ),
    (
        {"prompt": said("system: s", "user: a"), "chosen": said("assistant: b"), "rejected": said("assistant: c")},
        "preference",
        "system user chosen rejected",
    ),
    ({"text": "a", "prompt": "unused"}, "text", ""),
]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("case", SHAPES)
def test_rows_are_recognised_and_become_turns(read, jsonl, tmp_path, case, kind):
    row, shape, roles = case
    source = jsonl(row)
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / "rows.parquet")
        source |= {"kind": "parquet", "path": "rows.parquet"}
    report, [document] = read(source)
    assert document["shape"] == shape
    assert report.shapes == {shape: 1}
    turns = loaded(document["turns"] or "[]")
    assert [turn.role for turn in turns] == roles.split()
    if turns:
        assert document["text"] == "\n\n".join(turn.content for turn in turns)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"messages": "Hi"}, ["`messages` is a string, not a list of messages", '"Hi"']),
        ({"messages": []}, ["`messages` is a list", "[]"]),
        ({"messages": None}, ["`messages` is null"]),
        ({"messages": ["Hi"]}, ["turn 1 is a string, not an object"]),
        ({"messages": said("user: Hi")}, ["ends with the user"]),
        ({"messages": said("assistant: Hi")}, ["turn 1: assistant after nothing", "system or user"]),
        ({"messages": said("user: a", "user: b", "assistant: c")}, ["turn 2: user after user", "assistant"]),
        ({"messages": said("user: a", "system: b", "assistant: c")}, ["turn 2: system after user"]),
        ({"messages": said("wizard: a", "assistant: c")}, ["turn 1: role", "wizard"]),
        ({"messages": [{"role": 7, "content": "a"}]}, ["turn 1: role 7"]),
        ({"messages": [{"role": "user", "content": 5}]}, ["turn 1", "the content is a number", "5"]),
        ({"messages": [{"role": "user", "content": None}]}, ["turn 1", "the content is null"]),
        ({"messages": said("user:  ", "assistant: b")}, ["turn 1", "the content is empty"]),
        ({"messages": [{"role": "user"}]}, ["turn 1", "the content is null"]),
        ({"prompt": "a", "completion": None}, ["`completion`", "null"]),
        ({"prompt": "a", "completion": ""}, ["`completion`", "empty"]),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, ["`chosen` and `rejected` are the same"]),
        ({"chosen": "b", "rejected": "c"}, ["a preference needs a prompt"]),
        ({"prompt": "a", "chosen": "b", "rejected": 5}, ["`rejected`", "a number"]),
        (
            {"chosen": said("user: a", "assistant: b"), "rejected": said("user: x", "assistant: c")},
            ["differ before their last message"],
        ),
        ({"chosen": said("user: a"), "rejected": said("user: b")}, ["`chosen` ends with the user"]),
        (
            {"chosen": said("user: a", "assistant: b"), "rejected": said("user: a", "assistant: b")},
            ["`chosen` and `rejected` are the same"],
        ),
    ],
)
def test_what_breaks_a_rule_is_named_with_file_and_row(read, nothing_written, jsonl, row, words):
    good: dict[str, Any] = next(good for good, _, _ in SHAPES if good.keys() >= row.keys())
    with pytest.raises(UserError) as error:
        read(jsonl(good, row))
    for word in ["rows.jsonl:2", *words]:
        assert word in str(error.value)
    nothing_written()


def test_the_recipe_may_say_the_shape(read, jsonl):
    row = {"text": "plain", "messages": TALK}
    assert read(jsonl(row))[1][0]["shape"] == "chat"
    assert read(jsonl(row, shape="text"))[1][0]["text"] == "plain"
    with pytest.raises(UserError, match=r"rows\.jsonl:1: no column `prompt`"):
        read(jsonl(row, shape="completion"))


def test_lone_surrogates_in_a_turn_leave_the_row_out_and_count_it(read, jsonl):
    bad = b'{"messages": [{"role": "user", "content": "\\ud800"}, {"role": "assistant", "content": "a"}]}'
    report, rows = read(jsonl({"messages": TALK}, bad))
    assert report.skipped == {"mine: `messages` is not valid Unicode": 1}
    assert len(rows) == 1


def test_labels_and_groups_are_kept(read, jsonl):
    _, rows = read(jsonl({"text": "a", "class": 3, "talk": "t"}, label_column="class", group_column="talk"))
    assert (rows[0]["label"], rows[0]["group"]) == ("3", "mine/t")


def test_rows_of_two_shapes_in_one_file_are_refused_wherever_they_stand(read, nothing_written, jsonl):
    plain = {"prompt": "a", "completion": "b"}
    messages = {"prompt": said("user: a"), "completion": said("assistant: b")}
    with pytest.raises(UserError, match=r"rows.jsonl holds completion, .*rows.jsonl holds chat; .*one shape"):
        read(jsonl(plain, plain, messages))
    nothing_written()
