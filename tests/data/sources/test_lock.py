"""`inputs.lock`: what changed is named; nothing is read from an input that is not what was locked."""

import json
import shutil
from pathlib import Path

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from slipway.adapters.inputs import S3
from slipway.cli import main
from slipway.data.sources import check_lock, fetch, write_lock
from slipway.errors import Refusal, UserError
from slipway.recipe import parse
from tests.data.sources.places import Place

COMMIT, LATER = "a" * 40, "b" * 40


@pytest.fixture
def s3(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket="corpus")
        yield client


@pytest.fixture
def project(default_values, tmp_path):
    """A recipe with an input of every part, local and remote, its files, and the place of the remote ones."""
    files = {
        "rows.jsonl": b'{"text": "a"}\n',
        "notes/a.txt": b"a",
        "notes/b.txt": b"bb",
        "tasks/quiz.jsonl": b'{"question": "q", "choices": ["a", "b"], "answer": 0}\n',
        "base/config.json": b"{}",
        "base/model.safetensors": b"\x02\x00\x00\x00\x00\x00\x00\x00{}",
        "earlier/validate.json": b"{}",
    }
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    licence = {"licence": "CC0-1.0"}
    values = json.loads(json.dumps(default_values))
    values["acquire"]["sources"] = [
        {"kind": "pydocs", "name": "docs", "packages": ["tqdm"]},
        {"kind": "jsonl", "name": "rows", "path": "rows.jsonl", **licence},
        {"kind": "text", "name": "notes", "path": "notes", **licence},
        {"kind": "jsonl", "name": "far", "path": "hf://datasets/o/n", **licence},
    ]
    values["acquire"]["base"] = {"path": "base", "licence": "MIT"}
    values["evaluate"]["files"] = [{"name": "quiz", "path": "tasks/quiz.jsonl", **licence}]
    values["validate"]["baseline"] = "earlier/validate.json"
    place = Place({f"hf://datasets/o/n/{name}.jsonl": name.encode() * 9 for name in "xyz"}, COMMIT)
    return parse(values), tmp_path, place


def locked(project):
    recipe, root, place = project
    write_lock(recipe, root, {"hf": place})
    return recipe, root, place


def test_a_lock_lists_every_part_and_a_second_one_changes_nothing(project):
    recipe, root, place = project
    lines = write_lock(recipe, root, {"hf": place})
    assert lines == [
        "source docs: not in the lock (1 packages)",
        "source rows: not in the lock (1 files, 14 bytes)",
        "source notes: not in the lock (2 files, 3 bytes)",
        "source far: not in the lock (3 files, 27 bytes)",
        "task quiz: not in the lock (1 files, 54 bytes)",
        "base: not in the lock (2 files, 12 bytes)",
        "baseline: not in the lock (1 files, 2 bytes)",
    ]
    before = (root / "inputs.lock").read_bytes()
    assert sorted(json.loads(before)) == ["base", "baseline", "lock", "sources", "tasks"]
    assert write_lock(recipe, root, {"hf": place}) == ["no change"]
    assert (root / "inputs.lock").read_bytes() == before


def test_what_is_handed_on_is_what_was_locked(project):
    recipe, root, place = locked(project)
    inputs = fetch(recipe, root, {"hf": place})
    assert {name: len(held) for name, held in inputs.sources.items()} == {"rows": 1, "notes": 2, "far": 3}
    far = inputs.sources["far"][0]
    assert (far.path, far.version, far.place.read_bytes()) == ("hf://datasets/o/n/x.jsonl", COMMIT, b"x" * 9)
    assert inputs.tasks["quiz"].place == root / "tasks" / "quiz.jsonl"
    assert [held.path for held in inputs.base] == ["base/config.json", "base/model.safetensors"]
    assert inputs.baseline.version is None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_of_any_input_is_refused_with_the_files_name(project, data):
    recipe, root, place = locked(project)
    shutil.rmtree(root / ".slipway")
    mine = sorted(path.relative_to(root).as_posix() for path in root.glob("*/*") if path.is_file())
    name = data.draw(st.sampled_from(["rows.jsonl", *mine, *sorted(place.files)]))
    before = place.files[name] if name in place.files else (root / name).read_bytes()
    bit = data.draw(st.integers(0, 8 * len(before) - 1))
    after = bytes(byte ^ (1 << bit % 8 if number == bit // 8 else 0) for number, byte in enumerate(before))

    def put(content):
        if name in place.files:
            place.files[name] = content
        else:
            (root / name).write_bytes(content)

    put(after)
    try:
        with pytest.raises(Refusal) as error:
            fetch(recipe, root, {"hf": place})
    finally:
        put(before)
    assert name in str(error.value)
    assert "slipway lock" in str(error.value)
    fetch(recipe, root, {"hf": place})


def test_a_difference_shows_both_sizes_and_digests(project):
    recipe, root, _ = locked(project)
    (root / "rows.jsonl").write_text('{"text": "changed"}\n')
    shown = r"source rows: rows\.jsonl: 14 bytes, sha256 \w{16}… in the lock, 20 bytes, sha256 \w{16}… here"
    with pytest.raises(Refusal, match=shown):
        check_lock(recipe, root)


def test_added_removed_and_changed_files_are_named_and_many_are_counted(project):
    recipe, root, place = locked(project)
    (root / "notes" / "a.txt").rename(root / "notes" / "c.txt")
    with pytest.raises(Refusal) as error:
        check_lock(recipe, root)
    assert "notes/a.txt: 1 bytes, sha256" in str(error.value)
    assert "notes/c.txt: nothing in the lock" in str(error.value)
    for number in range(30):
        (root / "notes" / f"{number}.txt").write_text("more")
    (root / "notes" / "b.txt").write_text("other")
    lines = write_lock(recipe, root, {"hf": place})
    assert len(lines) == 11
    assert lines[-1] == "source notes: 23 more files: 21 added, 1 removed, 1 changed"


def test_a_moved_branch_is_shown_by_lock_and_never_read_by_a_build(project):
    recipe, root, place = locked(project)
    shutil.rmtree(root / ".slipway")
    place.revision = LATER
    fetch(recipe, root, {"hf": place})
    assert {revision for _, revision in place.fetched[3:]} == {COMMIT}
    place.files["hf://datasets/o/n/x.jsonl"] = b"new"
    lines = write_lock(recipe, root, {"hf": place})
    assert lines[0] == f"source far: revision {COMMIT} in the lock, {LATER} here"
    assert lines[1].startswith("source far: hf://datasets/o/n/x.jsonl: 9 bytes, sha256")
    assert len(lines) == 2


def test_an_unpinned_or_redirected_input_is_refused_without_asking_its_place(project, default_values):
    recipe, root, place = locked(project)
    place.fetched.clear()
    document = json.loads((root / "inputs.lock").read_text())
    del document["sources"]["far"]
    (root / "inputs.lock").write_text(json.dumps(document))
    with pytest.raises(Refusal, match=r"source far: not in the lock.*\n.*slipway lock"):
        fetch(recipe, root, {"hf": place})
    write_lock(recipe, root, {"hf": place})
    place.fetched.clear()
    source = recipe.acquire.sources[3].model_copy(update={"path": "hf://datasets/o/n@v2"})
    sources = (*recipe.acquire.sources[:3], source)
    other = recipe.model_copy(update={"acquire": recipe.acquire.model_copy(update={"sources": sources})})
    with pytest.raises(Refusal, match=r"source far: path hf://datasets/o/n in the lock, hf://datasets/o/n@v2 here"):
        fetch(other, root, {"hf": place})
    assert not place.fetched


def test_what_the_recipe_dropped_is_named(project):
    recipe, root, _ = locked(project)
    without = recipe.model_copy(update={"acquire": recipe.acquire.model_copy(update={"base": None})})
    with pytest.raises(Refusal, match=r"base: in the lock, not in the recipe"):
        check_lock(without, root)


def test_another_version_of_a_package_is_refused(project):
    recipe, root, _ = locked(project)
    lock = json.loads((root / "inputs.lock").read_text())
    lock["sources"]["docs"]["packages"]["tqdm"]["version"] = "1.0"
    (root / "inputs.lock").write_text(json.dumps(lock))
    with pytest.raises(Refusal, match=r"source docs: tqdm: version 1\.0 .* in the lock, version"):
        check_lock(recipe, root)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"inputs\.lock is damaged.*slipway lock"),
        ("[]", r"inputs\.lock is damaged.*slipway lock"),
        ('{"lock": 1, "sources": {}}', r"inputs\.lock has format 1, and this version of Slipway reads 2.*slipway lock"),
        ('{"lock": 2, "sources": {"rows": {"files": 3}}}', "source rows lists neither packages nor files"),
        ('{"lock": 2, "base": {"files": {"a": {"bytes": 1, "sha256": "../x"}}}}', "base: a has no size or no sha256"),
        ('{"lock": 2, "sources": {"far": {"path": "hf://o/n", "files": {}}}}', "source far lists neither packages"),
        ('{"lock": 2, "sources": {"docs": {"packages": {"tqdm": 3}}}}', "source docs: tqdm has no version"),
    ],
)
def test_missing_old_and_damaged_locks_say_what_to_do(project, content, message):
    recipe, root, place = project
    with pytest.raises(Refusal, match=r"inputs\.lock: missing.*slipway lock"):
        check_lock(recipe, root)
    (root / "inputs.lock").write_text(content)
    with pytest.raises(Refusal, match=message):
        check_lock(recipe, root)
    assert write_lock(recipe, root, {"hf": place})[0].startswith("replaced, because it could not be read")
    check_lock(recipe, root)


def test_a_lock_that_was_changed_by_hand_reads_nothing_from_elsewhere(project):
    recipe, root, place = locked(project)
    whole = json.loads((root / "inputs.lock").read_text())
    far = whole["sources"]["far"]
    far["files"] = {"/etc/hostname": next(iter(far["files"].values()))}
    (root / "inputs.lock").write_text(json.dumps(whole))
    with pytest.raises(Refusal, match=r"source far: /etc/hostname is not at hf://datasets/o/n"):
        fetch(recipe, root, {"hf": place})
    del whole["sources"]["far"]["files"], whole["sources"]["rows"]["revision"]
    far["files"] = {"hf://datasets/o/n/x.jsonl": {"bytes": 9, "sha256": "0" * 64}}
    (root / "inputs.lock").write_text(json.dumps(whole))
    with pytest.raises(Refusal, match=r"inputs\.lock is damaged .*revision"):
        fetch(recipe, root, {"hf": place})


def test_a_base_is_locked_without_what_nobody_loads(project):
    recipe, root, place = project
    for name in ("pytorch_model.bin", "run.py", "preprocessor_config.json", "original/params.json", "README.md"):
        (root / "base" / name).parent.mkdir(exist_ok=True)
        (root / "base" / name).write_bytes(b"x")
    write_lock(recipe, root, {"hf": place})
    files = json.loads((root / "inputs.lock").read_text())["base"]["files"]
    assert list(files) == ["base/config.json", "base/model.safetensors"]


def test_names_used_twice_and_unknown_schemes_are_errors(with_sources, jsonl, tmp_path):
    with pytest.raises(UserError, match=r"`mine` is used twice"):
        write_lock(with_sources(jsonl({"text": "a"}), jsonl({"text": "b"})), tmp_path, {})
    with pytest.raises(UserError, match=r"source mine: path `ftp://x`: .*not ftp://"):
        write_lock(with_sources(jsonl({"text": "a"}, path="ftp://x")), tmp_path, {"s3": Place()})


def test_a_file_that_dvc_tracks_and_is_not_here_says_so(with_sources, jsonl, tmp_path):
    recipe = with_sources(jsonl({"text": "a"}))
    (tmp_path / "rows.jsonl").rename(tmp_path / "rows.jsonl.dvc")
    with pytest.raises(UserError, match=r"tracked by DVC and not here; bring it: dvc pull rows.jsonl"):
        write_lock(recipe, tmp_path, {})


def test_the_command_takes_in_an_object_and_prints_what_changed(with_sources, tmp_path, monkeypatch, capsys, s3):
    far = {"kind": "jsonl", "name": "far", "path": "s3://corpus/*.jsonl", "licence": "MIT"}
    recipe = with_sources(far)
    (tmp_path / "params.yaml").write_text(recipe.model_dump_json(by_alias=True))
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.chdir(tmp_path)
    s3.put_object(Bucket="corpus", Key="a.jsonl", Body=b'{"text": "a"}\n')
    assert main(["lock"]) == 0
    printed = capsys.readouterr()
    assert "source far: not in the lock (1 files, 14 bytes)" in printed.out
    assert printed.err == "fetched 14 of 14 bytes: s3://corpus/a.jsonl\n"
    remotes = {"s3": S3()}
    assert fetch(recipe, tmp_path, remotes).sources["far"][0].place.read_bytes() == b'{"text": "a"}\n'
    s3.put_object(Bucket="corpus", Key="a.jsonl", Body=b'{"text": "b"}\n')
    fetch(recipe, tmp_path, remotes)
    shutil.rmtree(tmp_path / ".slipway")
    with pytest.raises(Refusal, match=r"s3://corpus/a\.jsonl: what is there now has sha256"):
        fetch(recipe, tmp_path, remotes)
    assert main(["lock"]) == 0
    assert "far: s3://corpus/a.jsonl: 14 bytes, sha256" in capsys.readouterr().out


def test_the_projects_own_lock_fits_its_recipe_and_this_environment(recipe):
    check_lock(recipe, Path(__file__).resolve().parents[3])
