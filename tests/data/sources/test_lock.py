"""`inputs.lock`: what changed is named; nothing is read from a source that is not what was locked."""

import json
from pathlib import Path

import pytest

from slipway.data.sources import acquire, check_lock, write_lock
from slipway.errors import Refusal, UserError


def quiet(done: int, total: int, note: str) -> None:
    """Progress that nobody watches."""


def test_lock_then_check_passes_and_a_second_lock_changes_nothing(with_sources, jsonl, tmp_path):
    recipe = with_sources(jsonl({"text": "a"}), {"kind": "pydocs", "name": "docs", "packages": ["tqdm"]})
    assert write_lock(recipe, tmp_path) == ["source mine: not in the lock", "source docs: not in the lock"]
    before = (tmp_path / "inputs.lock").read_bytes()
    check_lock(recipe, tmp_path)
    assert write_lock(recipe, tmp_path) == ["no change"]
    assert (tmp_path / "inputs.lock").read_bytes() == before


def test_a_flipped_byte_in_a_local_file_is_refused_with_its_name(with_sources, jsonl, tmp_path):
    recipe = with_sources(jsonl({"text": "a"}))
    write_lock(recipe, tmp_path)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(path.read_bytes().replace(b"a", b"b"))
    with pytest.raises(Refusal, match=r"source mine: rows\.jsonl: sha256 \w+… in the lock, sha256 \w+… here"):
        acquire(recipe, tmp_path, quiet)
    assert not (tmp_path / "data").exists()


def test_added_and_removed_files_are_named(with_sources, tmp_path):
    recipe = with_sources({"kind": "text", "name": "notes", "path": "notes", "licence": "MIT"})
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("a")
    write_lock(recipe, tmp_path)
    (tmp_path / "notes" / "a.txt").rename(tmp_path / "notes" / "b.txt")
    with pytest.raises(Refusal) as error:
        check_lock(recipe, tmp_path)
    assert "notes/a.txt: sha256" in str(error.value)
    assert "notes/b.txt: nothing in the lock" in str(error.value)


def test_another_version_of_a_package_is_refused(with_sources, tmp_path: Path):
    recipe = with_sources({"kind": "pydocs", "name": "docs", "packages": ["tqdm"]})
    write_lock(recipe, tmp_path)
    lock = json.loads((tmp_path / "inputs.lock").read_text())
    lock["sources"]["docs"]["packages"]["tqdm"]["version"] = "1.0"
    (tmp_path / "inputs.lock").write_text(json.dumps(lock))
    with pytest.raises(Refusal, match=r"source docs: tqdm: version 1\.0 .* in the lock, version"):
        check_lock(recipe, tmp_path)


def test_missing_and_damaged_locks_say_what_to_do(with_sources, jsonl, tmp_path):
    recipe = with_sources(jsonl({"text": "a"}))
    with pytest.raises(Refusal, match=r"inputs\.lock: missing.*slipway lock"):
        check_lock(recipe, tmp_path)
    (tmp_path / "inputs.lock").write_text("{")
    with pytest.raises(Refusal, match=r"inputs\.lock is damaged.*slipway lock"):
        check_lock(recipe, tmp_path)
    assert write_lock(recipe, tmp_path)[0].startswith("replaced, because it could not be read")


def test_a_source_name_used_twice_is_an_error(with_sources, jsonl, tmp_path):
    with pytest.raises(UserError, match="`mine` is used twice"):
        write_lock(with_sources(jsonl({"text": "a"}), jsonl({"text": "b"})), tmp_path)


def test_the_projects_own_lock_fits_its_recipe_and_this_environment(recipe):
    check_lock(recipe, Path(__file__).resolve().parents[3])
