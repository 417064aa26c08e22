"""What comes from elsewhere is judged in a process of its own: a judge that dies or hangs has not passed anything."""

import os
import time

import pytest

from slipway.errors import UserError
from slipway.scan import isolation, verdict
from slipway.scan.incoming import scan_input, scan_inputs


def test_a_clean_directory_passes(bare):
    assert scan_input(bare).passed


def test_nothing_is_there(tmp_path):
    with pytest.raises(UserError, match="nothing is there"):
        scan_input(tmp_path / "none")


def test_a_judge_that_dies_has_refused(bare, monkeypatch):
    """The function is replaced for the child, which is forked from here; the code around it is what is tested."""
    monkeypatch.setattr(verdict, "scan", lambda *_, **__: os._exit(70))
    assert [finding.rule for finding in scan_input(bare).findings] == ["scan.incomplete"]


def test_a_judge_that_takes_too_much_has_refused(bare, monkeypatch):
    monkeypatch.setattr(verdict, "scan", lambda *_, **__: bytearray(4 * isolation.MEMORY))
    report = scan_input(bare)
    assert not report.passed
    assert "memory" in report.findings[0].reason


def test_several_are_judged_each_for_itself(bare, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "x.py").write_text("x")
    assert [report.passed for report in scan_inputs([bare, tmp_path / "b"])] == [True, False]


def test_a_file_that_is_stored_nowhere_takes_no_time(bare):
    """A terabyte of holes: neither is it read, nor does it buy the time that a terabyte would."""
    with (bare / "more.safetensors").open("wb") as stream:
        head = b'{"w":{"dtype":"U8","shape":[1099511627776],"data_offsets":[0,1099511627776]}} '
        stream.write((len(head)).to_bytes(8, "little") + head)
        stream.truncate(8 + len(head) + (1 << 40))
    began = time.monotonic()
    rules = {finding.rule for finding in scan_input(bare).findings}
    assert "file.sparse" in rules
    assert time.monotonic() - began < 20
