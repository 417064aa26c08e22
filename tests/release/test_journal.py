"""The journal survives what a crash leaves behind; the lock says who holds it."""

import os

import pytest

from slipway.errors import Refusal, UserError
from slipway.release.journal import Journal, release_lock


@pytest.fixture
def journal(tmp_path):
    return Journal.of(tmp_path, "ab" * 32)


def test_the_last_result_of_a_step_counts(journal):
    assert journal.done("sign") is None
    journal.write("sign", "begin")
    assert journal.done("sign") is None
    journal.write("sign", "done", {"n": 1})
    journal.write("sign", "done", {"n": 2})
    assert journal.done("sign") == {"n": 2}
    journal.write("sign", "begin")
    assert journal.done("sign") is None, "it was begun again and came to nothing"


def test_a_torn_last_line_counts_as_not_written(journal):
    journal.write("gate", "done", {"n": 1})
    whole = journal.path.read_bytes()
    journal.write("sign", "done", {"n": 2})
    for length in range(len(whole), len(journal.path.read_bytes())):
        journal.path.write_bytes((whole + whole.replace(b"gate", b"sign"))[:length])
        assert [entry["step"] for entry in journal.entries()] == ["gate"]
        journal.write("sign", "begin")
        assert [entry["step"] for entry in journal.entries()] == ["gate", "sign"]


def test_a_damaged_line_before_the_last_is_refused(journal):
    journal.write("gate", "done", {})
    journal.write("sign", "done", {})
    journal.path.write_bytes(b"x" + journal.path.read_bytes())
    with pytest.raises(Refusal, match=r"journal\.jsonl:1: not readable"):
        journal.entries()


def test_a_second_release_is_told_who_holds_the_lock(tmp_path, capsys):
    with (
        release_lock(tmp_path),
        pytest.raises(UserError, match=f"process {os.getpid()} has held"),
        release_lock(tmp_path, 0.2),
    ):
        pass
    assert f"process {os.getpid()} is releasing" in capsys.readouterr().out
    with release_lock(tmp_path, 0):
        pass
