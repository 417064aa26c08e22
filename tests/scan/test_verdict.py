"""The verdict: clean bundles pass, everything that could not be judged is refused, reports are equal every time."""

import json
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway.chat import FILE, TEMPLATE
from slipway.errors import UserError
from slipway.records import ScanReport
from slipway.scan import verdict
from slipway.scan.verdict import scan
from tests.scan.corpus import CARD, clean_files, header, seal, tensor

LIMIT = 1 << 20


def test_a_clean_bundle_passes(bare):
    digest = seal(bare)
    report = scan(bare, LIMIT, digest)
    assert report == ScanReport(bundle_digest=digest, files_scanned=10, passed=True, findings=())
    assert scan(bare, LIMIT) == report


@pytest.mark.parametrize("name", sorted(name for name in clean_files() if "/" not in name))
def test_a_single_file_is_judged_as_if_it_stood_in_a_bundle(bare, name):
    report = scan(bare / name, LIMIT)
    assert (report.passed, report.files_scanned, report.bundle_digest) == (True, 1, ""), report.findings


def test_a_single_file_that_may_not_be_published(tmp_path):
    (tmp_path / "model.py").write_text("x = 1")
    assert [finding.rule for finding in scan(tmp_path / "model.py", LIMIT).findings] == ["file.unknown"]


def test_the_chat_template_that_slipway_ships_may_be_published(bare):
    (bare / FILE).write_text(TEMPLATE)
    config = json.loads((bare / "tokenizer_config.json").read_text()) | {"chat_template": TEMPLATE}
    (bare / "tokenizer_config.json").write_text(json.dumps(config))
    assert scan(bare, LIMIT).passed


def test_an_empty_directory_is_not_clean(tmp_path):
    assert [finding.rule for finding in scan(tmp_path, LIMIT).findings] == ["scan.empty"]


def test_nothing_there(tmp_path):
    with pytest.raises(UserError, match="nothing is there"):
        scan(tmp_path / "missing", LIMIT)


def test_another_bundle_than_expected(bare):
    seal(bare)
    assert [finding.rule for finding in scan(bare, LIMIT, "00" * 32).findings] == ["bundle.digest"]


def test_no_manifest_where_one_is_expected(bare):
    assert [finding.rule for finding in scan(bare, LIMIT, "00" * 32).findings] == ["bundle.manifest"]


@pytest.mark.parametrize("change", ["added", "removed", "longer"])
def test_files_that_the_manifest_does_not_list(bare, change):
    seal(bare)
    if change == "added":
        (bare / "NOTICE").write_text("x")
    elif change == "removed":
        (bare / "LICENSE").unlink()
    else:
        (bare / "LICENSE").write_text("longer " * 50)
    findings = scan(bare, LIMIT).findings
    assert [(f.rule, f.path) for f in findings] == [("bundle.manifest", "NOTICE" if change == "added" else "LICENSE")]


def test_a_checker_that_fails_refuses_the_file(bare, monkeypatch):
    def broken(subject):
        raise MemoryError("no memory")
        yield

    monkeypatch.setitem(verdict.CHECKERS, "card", (broken,))
    findings = scan(bare, LIMIT).findings
    assert [(f.rule, f.path) for f in findings] == [("scan.incomplete", "README.md")]
    assert "MemoryError" in findings[0].reason


def test_a_file_that_cannot_be_opened_is_refused(bare, monkeypatch):
    from slipway.scan.subject import Subject

    def denied(self, size, offset=0):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Subject, "read", denied)
    assert {f.rule for f in scan(bare, LIMIT).findings} == {"scan.incomplete"}


def test_every_word_may_begin_a_licence(bare):
    for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ(0123456789":
        (bare / "LICENSE").write_text(f"{letter}opyright, all of it.\nAnd so on (really).\n" * 20)
        assert scan(bare, LIMIT).passed, letter


def test_safetensors_written_by_the_library_pass(tmp_path):
    import numpy as np
    from safetensors.numpy import save_file

    tensors = {
        f"layer.{i}.weight": np.ones((i, 3), dtype=d) for i, d in enumerate(["float32", "float16", "int64", "bool"])
    }
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert scan(tmp_path, LIMIT).passed


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutated_files_give_a_verdict_and_never_an_error(tmp_path, data):
    name = data.draw(
        st.sampled_from(["model.safetensors", "config.json", "README.md", "report.html", "tokenizer.json"])
    )
    content = clean_files()[name]
    mutated = bytearray(content if isinstance(content, bytes) else content.encode())
    for _ in range(data.draw(st.integers(1, 8))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / name).write_bytes(bytes(mutated))
    assert "scan.incomplete" not in {finding.rule for finding in scan(tmp_path / name, LIMIT).findings}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_header_gives_a_verdict(tmp_path, raw):
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(raw).to_bytes(8, "little") + raw)
    assert "scan.incomplete" not in {finding.rule for finding in scan(path, LIMIT).findings}


def test_large_headers_are_judged_quickly(tmp_path):
    count = 20_000
    entries = {f"layer.{i}": tensor(4 * i, 4 * i + 4) for i in range(count)}
    (tmp_path / "model.safetensors").write_bytes(header(entries, b"\0\0\x80\x3f" * count))
    assert scan(tmp_path, 1 << 30).passed


def test_a_card_with_many_ticks_ends(bare):
    (bare / "README.md").write_text(CARD + "`" * 3000 + " a ``` " * 3000 + "<" * 3000)
    assert scan(bare, LIMIT).files_scanned > 0


def test_neither_torch_nor_transformers_is_imported(bare):
    code = (
        f"import sys; from slipway.scan.verdict import scan; scan({str(bare)!r}, 1 << 20); print(sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.replace("'", '"')))
    assert not loaded & {"torch", "transformers", "safetensors", "pandas"}
