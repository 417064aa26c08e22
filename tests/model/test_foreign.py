# ruff: noqa: ARG005, S102, S301, S605, S606, SIM115, PTH107, PTH211  attacks
"""Pickles come in as safetensors with equal tensors, or not at all; no payload runs, and nothing is left behind."""

import contextlib
import ctypes
import io
import json
import os
import pickle
import re
import signal
import socket
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from slipway.cli import main
from slipway.errors import Refusal, UserError
from slipway.model import foreign, torch_files, unpickling
from tests.scan.corpus import pickles
from tests.scan.corpus.foreign import cases as foreign_cases
from tests.scan.corpus.pickles import by_hand, gadgets, legacy, payload, torch_zip, zip_tricks


@pytest.fixture
def forked(monkeypatch):
    """The loader's process, forked from this one, where torch is imported already; all else is as in a real one."""

    def run(command, folder, seconds, source):
        reading, writing = os.pipe()
        if not (child := os.fork()):
            try:
                os.dup2(writing, 1)
                os.chdir(folder)
                result = unpickling.convert(command[4], command[5], json.loads(command[6]))
                os.write(1, json.dumps(result).encode() + b"\n")
                os._exit(0)
            finally:
                os._exit(99)
        os.close(writing)
        deadline = time.monotonic() + min(seconds, 30)
        while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.01)
        with os.fdopen(reading) as stream:
            told = stream.read()
        if ended[1]:
            raise Refusal(f"ended with {ended[1]}")
        return told

    monkeypatch.setattr(foreign, "_run", run)


def state():
    shared, base = torch.randn(6, 4), torch.randn(4, 4)
    return {
        "a.weight": shared, "b.weight": shared, "half": torch.randn(3).half(), "brain": torch.randn(2, 2).bfloat16(),
        "turned": torch.randn(3, 5).t(), "row": base[1], "column": base[:, 1], "scalar": torch.tensor(2.5),
        "parameter": torch.nn.Parameter(torch.ones(2, 3)), "number": torch.arange(5), "flag": torch.tensor([True]),
    }  # fmt: skip


def same(found, wanted):
    assert set(found) == set(wanted)
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor.detach()), name


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_tensors_come_in_as_they_were(tmp_path, capsys, zipped):
    wanted = state()
    torch.save(wanted, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    assert main(["import", str(tmp_path / "pytorch_model.bin"), str(tmp_path / "out")]) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["model.safetensors"]
    same(load_file(tmp_path / "out" / "model.safetensors"), wanted)
    assert "11 tensors in safetensors, 1 files, scanned" in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "pytorch_model.bin"]


def test_a_model_of_transformers_with_what_lies_beside_it(tmp_path, capsys):
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=40, tie_word_embeddings=True, **sizes))
    source = tmp_path / "source"
    model.config.architectures = ["LlamaForCausalLM"]
    model.config.save_pretrained(source)
    torch.save(model.state_dict(), source / "pytorch_model.bin")
    (source / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["evil.T", null]}}')
    (source / "evil.py").write_text("import os")
    assert main(["import", str(source), str(tmp_path / "out")]) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["config.json", "model.safetensors"]
    assert "left out: tokenizer_config.json (json.code" in capsys.readouterr().out
    back, found = LlamaForCausalLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(found[kind] for kind in ("missing_keys", "mismatched_keys"))
    same(back.state_dict(), model.state_dict())


def shards(source):
    source.mkdir()
    parts = {
        "pytorch_model-00001-of-00002.bin": {"a": torch.ones(2)},
        "pytorch_model-00002-of-00002.bin": {"b": torch.ones(3)},
    }
    for name, tensors in parts.items():
        torch.save(tensors, source / name)
    index = {"metadata": {}, "weight_map": {"a": next(iter(parts)), "b": "pytorch_model-00002-of-00002.bin"}}
    (source / foreign.INDEX).write_text(json.dumps(index))
    return index


@pytest.mark.usefixtures("forked")
def test_shards_come_in_with_their_index(tmp_path):
    shards(tmp_path / "source")
    assert main(["import", str(tmp_path / "source"), str(tmp_path / "out")]) == 0
    index = json.loads((tmp_path / "out" / foreign.TARGET_INDEX).read_text())["weight_map"]
    assert index == {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    same(load_file(tmp_path / "out" / index["b"]), {"b": torch.ones(3)})


@pytest.mark.parametrize("wrong", ["../x.bin", "/etc/x-00001-of-00002.bin", "missing-00001-of-00002.bin", "evil.py", 3])
@pytest.mark.usefixtures("forked")
def test_an_index_that_leads_elsewhere(tmp_path, wrong):
    index = shards(tmp_path / "source")
    index["weight_map"]["b"] = wrong
    (tmp_path / "source" / foreign.INDEX).write_text(json.dumps(index))
    assert main(["import", str(tmp_path / "source"), str(tmp_path / "out")]) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("forked")
def test_an_index_that_names_other_tensors(tmp_path, capsys):
    index = shards(tmp_path / "source")
    index["weight_map"]["c"] = index["weight_map"]["a"]
    (tmp_path / "source" / foreign.INDEX).write_text(json.dumps(index))
    assert main(["import", str(tmp_path / "source"), str(tmp_path / "out")]) == 1
    assert "do not agree on 'c'" in capsys.readouterr().err


@pytest.mark.usefixtures("forked")
def test_a_checkpoint_is_refused_until_one_says_which_part(tmp_path, capsys):
    torch.save({"epoch": 3, "model": {"w": torch.ones(3)}}, tmp_path / "model.pt")
    assert main(["import", str(tmp_path / "model.pt"), str(tmp_path / "out")]) == 1
    assert "it holds 'model': choose one with --key" in capsys.readouterr().err.replace("\\'", "'")
    assert main(["import", str(tmp_path / "model.pt"), str(tmp_path / "out"), "--key", "model"]) == 0
    same(load_file(tmp_path / "out" / "model.safetensors"), {"w": torch.ones(3)})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"w": torch.tensor([1.0, torch.nan])}, "weights.not_finite"),
        ({"w": torch.zeros(3, 3)}, "weights.all_zero"),
        ({"../w": torch.ones(3)}, "safetensors.name"),
        ({"w": 3}, "is int, not a tensor"),
        ({3: torch.ones(3)}, "is Tensor, not a tensor"),
        ([torch.ones(3)], "holds list where names of tensors are expected"),
        ({}, "holds nothing where names of tensors are expected"),
        ({"w": torch.ones(3).to_sparse()}, "cannot be read|asks for|cannot hold|nothing was imported"),
        ({"w": torch.ones(1).expand(1 << 40)}, "claim more than"),
        ({"w": torch.ones(3, device="meta")}, "nothing was imported|asks for"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("forked")
def test_what_is_no_plain_tensor_is_refused(tmp_path, capsys, value, words):
    torch.save(value, tmp_path / "model.pt")
    assert main(["import", str(tmp_path / "model.pt"), str(tmp_path / "out")]) == 1
    assert re.search(words, capsys.readouterr().err)
    assert [p.name for p in tmp_path.iterdir()] == ["model.pt"]


@pytest.mark.usefixtures("forked")
def test_a_configuration_that_runs_code_stops_the_import(tmp_path, capsys):
    torch.save({"w": torch.ones(3)}, tmp_path / "pytorch_model.bin")
    (tmp_path / "config.json").write_text('{"model_type": "llama", "auto_map": {"AutoModel": "evil.M"}}')
    target = tmp_path.parent / f"{tmp_path.name}-out"
    assert main(["import", str(tmp_path), str(target)]) == 1
    assert "json.code" in capsys.readouterr().err
    assert not target.exists()


def hostile(mark):
    """Every pickle, archive and torch file of the scan's corpus, and the calls again inside a zip of torch."""
    kinds = ("pickle", "broken pickle", "joblib", "torch", "archives", "polyglot", "numpy")
    found = {
        f"{case.category}: {case.id}": content
        for case in [*pickles.cases(mark), *foreign_cases(mark)]
        if case.category.startswith(kinds)
        for content in case.files.values()
    }
    for number, (module, name, arguments) in enumerate(gadgets(mark)):
        found[f"{module}.{name}, zipped"] = torch_zip(by_hand(module, name, *arguments, protocol=(0, 2, 4)[number % 3]))
    return found | {"empty": b"", "text": b"PK\x03\x04", "dictionary": pickle.dumps({"a": 1}, 2)}


@pytest.mark.usefixtures("forked")
def test_no_hostile_file_is_imported(tmp_path, capsys):
    mark, source, target = tmp_path / "mark", tmp_path / "model.pt", tmp_path / "out"
    with pytest.warns(UserWarning, match="Duplicate name"):
        files = hostile(mark)
    assert len(files) >= 220
    passed = []
    for name, content in files.items():
        source.write_bytes(content.encode() if isinstance(content, str) else content)
        assert main(["import", str(source), str(target)]) == 1, name
        assert not target.exists()
        assert "Traceback" not in capsys.readouterr().err
        with contextlib.suppress(Refusal):
            torch_files.check(source)
            passed.append(name.partition(": ")[2])
    assert not mark.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.pt"]
    # Bytes beside an empty dictionary do nothing; that there is no tensor is found behind the look.
    assert [name.partition(" as ")[0] for name in passed] == [
        "tensors only",
        "pickle",
        "zip in zip",
        "legacy, storages only",
    ]


@pytest.mark.usefixtures("forked")
def test_behind_the_look_the_process_refuses_on_its_own(tmp_path, monkeypatch):
    """The look is left out: the second wall must hold alone."""
    monkeypatch.setattr(torch_files, "check", lambda _: None)
    mark = tmp_path / "mark"
    with pytest.warns(UserWarning, match="Duplicate name"):
        files = zip_tricks(mark)
    names = ["call in data.pkl", "encrypted flag, both", "names differ", "code of TorchScript"]
    contents = [files[name] for name in names] + [payload(mark), legacy(mark)["legacy with a call"]]
    for number, content in enumerate(contents):
        (tmp_path / "model.pt").write_bytes(content)
        out = tmp_path / str(number)
        out.mkdir()
        with pytest.raises(Refusal):
            foreign.convert(tmp_path / "model.pt", out / "model.safetensors")
        assert not list(out.iterdir())
    assert not mark.exists()


ATTACKS = {
    "shell": lambda mark, source: os.system(f"touch {mark}"),
    "process": lambda mark, source: subprocess.Popen(["touch", str(mark)]),
    "exec": lambda mark, source: os.execv("/usr/bin/touch", ["touch", str(mark)]),
    "write": lambda mark, source: mark.write_text("x"),
    "append to the source": lambda mark, source: Path(source).open("a"),
    "read": lambda mark, source: Path("/etc/passwd").read_text(),
    "network": lambda mark, source: socket.create_connection(("127.0.0.1", 9)),
    "code": lambda mark, source: exec("1"),
    "library": lambda mark, source: ctypes.CDLL("libm.so.6"),
    "fork": lambda mark, source: os.fork(),
    "remove": lambda mark, source: os.remove(source),
    "link": lambda mark, source: os.symlink("/etc/passwd", mark),
    "pickle": lambda mark, source: pickle.loads(b"cos\nsystem\n."),
    "memory": lambda mark, source: bytearray(32 << 30),
    "time": lambda mark, source: [0 for _ in iter(int, 1)],
    "error that is caught": lambda mark, source: caught(mark),
}


def caught(mark):
    with contextlib.suppress(BaseException):
        mark.write_text("x")


@pytest.mark.parametrize("name", sorted(ATTACKS))
@pytest.mark.usefixtures("forked")
def test_code_that_ran_would_find_every_door_shut(tmp_path, name, monkeypatch):
    """The attacker is given what the loader should not give: a function that runs inside of it."""
    mark, source, out = tmp_path / "mark", tmp_path / "model.pt", tmp_path / "out"
    out.mkdir()
    torch.save({"w": torch.ones(3)}, source)
    real, fast = torch.load, foreign._run

    def load(path, **options):
        if path == str(source):
            ATTACKS[name](mark, path)
        return real(path, **options)

    monkeypatch.setattr(torch, "load", load)
    monkeypatch.setattr(foreign, "_run", lambda command, folder, _, path: fast(command, folder, 3, path))
    with pytest.raises(Refusal):
        foreign.convert(source, out / "model.safetensors")
    assert not mark.exists()
    assert source.exists()
    assert not list(out.iterdir())


def test_the_process_has_no_secrets_and_usually_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert not {"AWS_SECRET_ACCESS_KEY", "HOME", "PATH"} & set(foreign._environment())
    torch.save({"w": torch.ones(3)}, tmp_path / "model.pt")
    (tmp_path / "out").mkdir()
    result = foreign.convert(tmp_path / "model.pt", tmp_path / "out" / "model.safetensors")
    assert result["tensors"] == ["w"]
    assert isinstance(result["network"], bool)


@pytest.mark.usefixtures("forked")
def test_a_target_that_is_there_is_not_touched(tmp_path):
    torch.save({"w": torch.ones(3)}, tmp_path / "model.pt")
    (tmp_path / "out").mkdir()
    assert main(["import", str(tmp_path / "model.pt"), str(tmp_path / "out")]) == 2
    assert main(["import", str(tmp_path / "model.pt"), str(tmp_path / "no" / "out")]) == 2
    assert main(["import", str(tmp_path / "nothing"), str(tmp_path / "new")]) == 2


def test_which_file_is_meant(tmp_path):
    with pytest.raises(UserError, match="found: none"):
        foreign.find(tmp_path)
    for name in ("a.pt", "b.pt"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UserError, match=r"a\.pt, b\.pt"):
        foreign.find(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    assert list(foreign.find(tmp_path).files) == [tmp_path / "pytorch_model.bin"]


def test_a_large_claim_in_a_small_pickle(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02\x8b\xff\xff\xff\x7f")
    (tmp_path / "model.pt").write_bytes(stream.getvalue())
    with pytest.raises(Refusal, match="cannot be read"):
        torch_files.check(tmp_path / "model.pt")
