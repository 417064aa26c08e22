"""A base model from a hub to `models/base`: pinned, checked, scanned before anything loads it; and the whole stage."""

import json
import struct

import pytest

from pipelines.acquire import main
from pipelines.frame import Frame
from slipway.adapters.inputs import Hub
from slipway.data.sources import write_lock
from slipway.data.sources.base import place_model
from slipway.data.sources.held import Held
from slipway.errors import Refusal, UserError
from slipway.files import sha256_bytes
from slipway.recipe import parse
from slipway.settings import Base
from tests.adapters import hub_stub

HEADER = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
WEIGHTS = struct.pack("<Q", len(HEADER)) + HEADER + bytes(4)
FILES = {
    "config.json": b'{"model_type": "llama"}',
    "tokenizer.json": b'{"version": "1.0"}',
    "tokenizer_config.json": b'{"tokenizer_class": "PreTrainedTokenizerFast"}',
    "model.safetensors": WEIGHTS,
    "chat_template.jinja": b"{{ messages }}",
    "LICENSE": b"Free.\n",
    "pytorch_model.bin": b"\x80\x04pickle",
    "modeling_own.py": b"print('never')",
    "README.md": b"---\nlicense: mit\n---\n",
    "original/model.safetensors": WEIGHTS,
}


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with hub_stub.serve() as served:
        monkeypatch.setattr("pipelines.acquire.remotes", lambda: {"hf": Hub(served.url)})
        yield served


@pytest.fixture
def frame(default_values, tmp_path):
    """A project whose text and base lie on the hub."""
    values = json.loads(json.dumps(default_values))
    values["acquire"] = {
        "sources": [{"kind": "jsonl", "name": "far", "path": "hf://datasets/o/text@main/*.jsonl", "licence": "MIT"}],
        "base": {"path": "hf://o/base@main", "licence": "mit"},
    }
    (tmp_path / "params.yaml").write_text(json.dumps(values))
    return Frame("acquire", tmp_path)


def lock(frame, hub):
    write_lock(frame.recipe, frame.root, {"hf": Hub(hub.url)})


def test_text_and_base_come_from_their_pinned_commits_though_the_branches_moved(hub, frame):
    text, base = hub.add("datasets", "o/text"), hub.add("models", "o/base")
    first = text.commit({"a.jsonl": b'{"text": "one"}\n{"text": "two"}\n'})
    pinned = base.commit(FILES)
    lock(frame, hub)
    assert not [path for path in hub.downloads() if "safetensors" in path], "the hub states the digest of weights"
    text.commit({"a.jsonl": b'{"text": "other"}\n'})
    base.commit(FILES | {"config.json": b"{}"})
    report = main(frame)
    assert (report.documents, report.sources[0].version) == (2, first)
    assert (report.base.version, report.base.licence, report.base.files) == (pinned, "MIT", 6)
    there = {path.name: path.read_bytes() for path in (frame.root / "models" / "base").iterdir()}
    wanted = {name: data for name, data in FILES.items() if name in there}
    assert there == wanted
    assert sorted(there) == sorted(list(FILES)[:6])
    assert not [path for path in hub.downloads() if path.endswith((".bin", ".py"))]
    hub.asked.clear()
    main(frame)
    assert not hub.asked, "what is kept is not asked for again"


@pytest.mark.parametrize(
    ("name", "data", "rule"),
    [
        ("config.json", b'{"auto_map": {"AutoModel": "modeling_own.Own"}}', "json.code"),
        ("model.safetensors", WEIGHTS + b"PK\x03\x04 something behind the tensors", "safetensors"),
        ("tokenizer.json", b"\x80\x04\x95pickle", "tokenizer.json"),
    ],
)
def test_a_base_that_the_scan_refuses_is_named_and_gone_and_nothing_was_read(hub, frame, name, data, rule):
    hub.add("datasets", "o/text").commit({"a.jsonl": b'{"text": "one"}\n'})
    hub.add("models", "o/base").commit(FILES | {name: data})
    lock(frame, hub)
    with pytest.raises(Refusal, match=r"the scan refuses") as error:
        main(frame)
    assert name in str(error.value)
    assert rule in str(error.value)
    assert not (frame.root / "models" / "base").exists()
    assert not (frame.root / "data").exists()


def test_a_base_that_differs_from_the_lock_is_refused_before_it_is_placed(hub, frame):
    hub.add("datasets", "o/text").commit({"a.jsonl": b'{"text": "one"}\n'})
    base = hub.add("models", "o/base")
    commit = base.commit(FILES)
    lock(frame, hub)
    base.commits[commit] = FILES | {"model.safetensors": WEIGHTS[:-1] + b"\x01"}
    with pytest.raises(Refusal, match=r"hf://o/base/model\.safetensors: .*slipway lock"):
        main(frame)
    assert not (frame.root / "models").exists()


def test_without_a_base_the_directory_is_there_and_empty(tmp_path):
    (tmp_path / "old.safetensors").write_bytes(b"x")
    assert place_model(None, (), tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_base_needs_a_licence_and_something_to_load(tmp_path):
    (tmp_path / "config.json").write_bytes(b"{}")
    held = Held("base/config.json", tmp_path / "config.json", sha256_bytes(b"{}"), None)
    with pytest.raises(UserError, match=r"acquire.base: licence `free` is not an SPDX expression"):
        place_model(Base(path="base", licence="free"), (held,), tmp_path / "base")
    with pytest.raises(UserError, match=r"holds neither a .safetensors file nor tokenizer.json"):
        place_model(Base(path="base", licence="MIT"), (held,), tmp_path / "base")


def test_a_file_that_changes_between_check_and_copy_is_refused(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"changed")
    held = Held("base/model.safetensors", tmp_path / "model.safetensors", sha256_bytes(b"locked"), None)
    with pytest.raises(Refusal, match=r"base/model.safetensors: changed while it was copied"):
        place_model(Base(path="base", licence="MIT"), (held,), tmp_path / "base")


def test_the_settings_of_a_base_are_read_from_the_recipe(default_values):
    default_values = json.loads(json.dumps(default_values))
    default_values["acquire"]["base"] = {"path": "hf://o/base@main", "licence": "MIT"}
    assert parse(default_values).acquire.base == Base(path="hf://o/base@main", licence="MIT")


def test_the_names_of_a_base_lead_nowhere_else(tmp_path):
    """Keys of an object store may hold `..`."""
    (tmp_path / "x").write_bytes(b"x")
    target = tmp_path / "models" / "base"

    def place(*paths):
        held = [Held(path, tmp_path / "x", sha256_bytes(b"x"), None) for path in paths]
        return place_model(Base(path="s3://b/base", licence="MIT"), held, target)

    with pytest.raises(UserError, match=r"files of several folders, s3://b/base/\.\. and s3://b/base/a"):
        place("s3://b/base/a/model.safetensors", "s3://b/base/../config.json")
    assert place("s3://b/base/../../model.safetensors", "s3://b/base/../../config.json").files == 2
    found = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(found) == ["models/base/config.json", "models/base/model.safetensors", "x"]


def test_a_teacher_comes_like_a_base_into_its_own_directory(hub, frame):
    hub.add("datasets", "o/text").commit({"a.jsonl": b'{"text": "one"}\n'})
    hub.add("models", "o/base").commit(FILES)
    teacher = hub.add("models", "o/teacher").commit(FILES | {"config.json": b'{"model_type": "gpt2"}'})
    lock(frame, hub)
    alone = (frame.root / "inputs.lock").read_text()
    assert "teacher" not in json.loads(alone)
    assert main(frame).teacher is None
    assert list((frame.root / "models" / "teacher").iterdir()) == []
    values = json.loads((frame.root / "params.yaml").read_text())
    values["acquire"]["teacher"] = {"path": "hf://o/teacher@main", "licence": "apache-2.0"}
    (frame.root / "params.yaml").write_text(json.dumps(values))
    taught = Frame("acquire", frame.root)
    with pytest.raises(Refusal, match="teacher: not in the lock"):
        main(taught)
    lock(taught, hub)
    assert json.loads(alone)["base"] == json.loads((frame.root / "inputs.lock").read_text())["base"]
    report = main(taught)
    assert (report.teacher.version, report.teacher.licence, report.teacher.files) == (teacher, "Apache-2.0", 6)
    assert (frame.root / "models/teacher/config.json").read_bytes() == b'{"model_type": "gpt2"}'
    assert (frame.root / "models/base/config.json").read_bytes() == FILES["config.json"]
    assert type(report).model_validate_json(report.to_json()) == report


def test_a_teacher_that_the_scan_refuses_is_named_and_gone(hub, frame):
    hub.add("datasets", "o/text").commit({"a.jsonl": b'{"text": "one"}\n'})
    hub.add("models", "o/base").commit(FILES | {"tokenizer.json": b"\x80\x04\x95pickle"})
    values = json.loads((frame.root / "params.yaml").read_text())
    values["acquire"]["teacher"] = values["acquire"].pop("base")
    (frame.root / "params.yaml").write_text(json.dumps(values))
    taught = Frame("acquire", frame.root)
    lock(taught, hub)
    with pytest.raises(Refusal, match=r"acquire\.teacher hf://o/base@main: nothing was loaded"):
        main(taught)
    assert not (frame.root / "models" / "teacher").exists()
    assert not (frame.root / "data").exists()
