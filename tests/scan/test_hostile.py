"""A corpus of hostile files: each is refused, under the rule that names the true reason, and nothing runs."""

import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import pickletools
import struct
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path

import pytest

from slipway.chat import TEMPLATE
from slipway.scan.verdict import scan
from tests.scan.corpus import CARD, PAGE, header, tensor

LIMIT = 1 << 20


MARK = Path(tempfile.gettempdir()) / f"slipway-payload-{os.getpid()}"


class Payload:
    """Would create a file if it were unpickled."""

    def __reduce__(self):
        return os.system, (f"touch {MARK}",)


def zipped(name="archive/data.pkl", content=b"x"):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def tarred():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../../evil"), io.BytesIO())
    return stream.getvalue()


def config(**changes):
    return json.dumps({"model_type": "llama", **changes})


def tokenizer(**parts):
    return json.dumps({"added_tokens": [], **parts})


def card(text):
    return CARD + "\n" + text + "\n"


def page(text):
    return PAGE.replace("<p>", text + "<p>")


GOOD = {"a": tensor()}
DATA = b"\0\0\0\0"
ST, CFG, TOK, MD, HTML, REC = (
    "model.safetensors", "config.json", "tokenizer.json", "README.md", "report.html", "records/train.json",
)  # fmt: skip
GITHUB = "ghp_" + "a1B2" * 9
AWS = "AKIA" + "ABCDEFGHIJKLMNOP"
TWICE = f'{{"a": {json.dumps(tensor())}, "a": {json.dumps(tensor())}}}'
REWRITE = {"type": "Replace", "content": "ignore all"}
ADDRESS = [{"content": "https://evil.example"}]
INDEX = "model.safetensors.index.json"
NESTED = "[" * 5000 + "]" * 5000

CASES = {
    # Pickles and containers, by content
    "pickle protocol 4 as safetensors": (ST, pickle.dumps(Payload()), "content.pickle"),
    "pickle protocol 0 as config": (CFG, pickle.dumps(Payload(), protocol=0), "content.pickle"),
    "pickle protocol 1 as card": (MD, pickle.dumps(Payload(), protocol=1), "content.pickle"),
    "pickle by hand as licence": ("LICENSE", b"cos\nsystem\n(S'touch x'\ntR.", "content.pickle"),
    "pickle with INST": ("LICENSE", b"(S'touch x'\nios\nsystem\n.", "content.pickle"),
    "pickle without end": ("LICENSE", b"cos\nsystem\n(S'touch x'\ntR", "content.pickle"),
    "two pickles": (CFG, pickle.dumps(1) + pickle.dumps(Payload()), "content.pickle"),
    "pickle behind a long string": ("NOTICE", b"S'" + b"A" * 99999 + b"'\n0cos\nsystem\n(S'x'\ntR.", "content.pickle"),
    "pickle that builds": ("NOTICE", b"cbuiltins\nobject\n)\x81}b.", "content.pickle"),
    "pickle that only imports": ("NOTICE", b"cantigravity\nx\n.", "content.pickle"),
    "optimised pickle": ("merges.txt", pickletools.optimize(pickle.dumps(Payload(), 2)), "content.pickle"),
    "bare pickle under its own name": ("model.pkl", pickle.dumps(Payload()), "content.pickle"),
    "torch zip as safetensors": (ST, zipped(), "content.archive"),
    "pytorch_model.bin": ("pytorch_model.bin", zipped(), "content.archive"),
    "gzip joblib": ("tokenizer_config.json", gzip.compress(pickle.dumps(Payload())), "content.archive"),
    "bzip2 joblib": (CFG, bz2.compress(b"x"), "content.archive"),
    "xz joblib": (CFG, lzma.compress(b"x"), "content.archive"),
    "lzma joblib": (CFG, lzma.compress(b"x", format=lzma.FORMAT_ALONE), "content.archive"),
    "zlib joblib": (CFG, zlib.compress(b"x" * 50), "content.archive"),
    "7z": (ST, b"7z\xbc\xaf\x27\x1c" + b"\0" * 40, "content.archive"),
    "tar": (ST, tarred(), "content.archive"),
    "zip behind safetensors": (ST, header(GOOD, DATA) + zipped(), "content.polyglot"),
    "zip behind a card": (MD, CARD.encode() + zipped(), "content.polyglot"),
    "numpy array": (ST, b"\x93NUMPY\x01\x00v\x00", "content.numpy"),
    "hdf5": (ST, b"\x89HDF\r\n\x1a\n", "content.foreign"),
    "gguf": ("model.gguf", b"GGUF\x03\0\0\0", "content.foreign"),
    "parquet": ("train.parquet", b"PAR1xxxxPAR1", "content.data"),
    "elf": ("LICENSE", b"\x7fELF\x02", "content.program"),
    "shell script as licence": ("LICENSE", b"#!/bin/sh\ntouch x\n", "content.program"),
    # safetensors
    "eight bytes": (ST, b"\x01\0\0\0\0\0\0\0", "safetensors.size"),
    "header of 2^63": (ST, struct.pack("<Q", 2**63) + b"{}", "safetensors.size"),
    "header past the end": (ST, struct.pack("<Q", 999) + b"{}", "safetensors.size"),
    "header not an object": (ST, header("[1]"), "safetensors.header"),
    "space before the header": (ST, header(" " + json.dumps(GOOD), DATA), "safetensors.header"),
    "no tensor": (ST, header({"__metadata__": {"format": "pt"}}), "safetensors.header"),
    "duplicate tensor": (ST, header(TWICE, DATA), "safetensors.duplicate"),
    "deep header": (ST, header('{"a": ' + NESTED + "}"), "safetensors.depth"),
    "header not UTF-8": (ST, struct.pack("<Q", 4) + b'{"\xff"', "safetensors.encoding"),
    "unknown dtype": (ST, header({"a": tensor(dtype="PICKLE")}, DATA), "safetensors.dtype"),
    "dtype is a list": (ST, header({"a": tensor(dtype=["F32"])}, DATA), "safetensors.dtype"),
    "extra field": (ST, header({"a": {**tensor(), "code": "x"}}, DATA), "safetensors.header"),
    "negative shape": (ST, header({"a": tensor(shape=(-1, -1))}, DATA), "safetensors.header"),
    "shape true": (ST, header({"a": tensor(shape=(True,))}, DATA), "safetensors.header"),
    "huge shape": (ST, header({"a": tensor(shape=(2**62, 2**62))}, DATA), "safetensors.span"),
    "shape and span differ": (ST, header({"a": tensor(shape=(2,))}, DATA), "safetensors.span"),
    "offsets past the end": (ST, header({"a": tensor(0, 400, (100,))}, DATA), "safetensors.bounds"),
    "offsets backwards": (ST, header({"a": tensor(4, 0)}, DATA), "safetensors.bounds"),
    "overlap": (ST, header({"a": tensor(), "b": tensor()}, DATA), "safetensors.overlap"),
    "hole": (ST, header({"a": tensor(4, 8)}, DATA * 2), "safetensors.hole"),
    "tail": (ST, header(GOOD, DATA + b"evil"), "safetensors.tail"),
    "name with dots": (ST, header({"../a": tensor()}, DATA), "safetensors.name"),
    "name with slash": (ST, header({"/a": tensor()}, DATA), "safetensors.name"),
    "name with direction": (ST, header({"a\u202eb": tensor()}, DATA), "safetensors.name"),
    "metadata a number": (ST, header({"__metadata__": {"a": 1}, **GOOD}, DATA), "safetensors.metadata"),
    "metadata a list": (ST, header({"__metadata__": [], **GOOD}, DATA), "safetensors.metadata"),
    "secret in metadata": (ST, header({"__metadata__": {"by": GITHUB}, **GOOD}, DATA), "text.secret"),
    "NaN in header": (ST, header('{"a": NaN}', DATA), "safetensors.constant"),
    # JSON
    "auto_map": (CFG, config(auto_map={"AutoModel": "evil.Model"}), "json.code"),
    "auto_map nested": (CFG, config(text_config={"vision": [{"auto_map": {"AutoModel": "a--b.C"}}]}), "json.code"),
    "trust_remote_code": (CFG, config(deep={"trust_remote_code": True}), "json.code"),
    "custom_pipelines": (CFG, config(custom_pipelines={"x": {"impl": "evil.P"}}), "json.code"),
    "custom_generate": ("generation_config.json", config(custom_generate="org/repo"), "json.code"),
    "attention from a repository": (CFG, config(_attn_implementation="org/kernels"), "json.code"),
    "attention nested": (CFG, config(attn_implementation={"text": "org/kernels@main:flash"}), "json.code"),
    "internal attention": (CFG, config(_attn_implementation_internal="org/kernels"), "json.code"),
    "model_type with a path": (CFG, config(model_type="../evil"), "json.code"),
    "architecture with a path": (CFG, config(architectures=["org/repo--x.Y"]), "json.code"),
    "model_file": (CFG, config(model_file="model.py"), "json.code"),
    "hydra target": (REC, json.dumps({"a": [{"_target_": "os.system"}]}), "json.code"),
    "use_safetensors false": (CFG, config(use_safetensors=False), "json.code"),
    "foreign tokenizer class": ("tokenizer_config.json", '{"tokenizer_class": "org/repo--tok.T"}', "json.code"),
    "chat template": ("tokenizer_config.json", '{"chat_template": "{{ x.__class__ }}"}', "json.template"),
    "chat template, one more space": (
        "tokenizer_config.json", json.dumps({"chat_template": TEMPLATE + " "}), "json.template",
    ),
    "chat templates by name": (
        "tokenizer_config.json", json.dumps({"chat_template": [{"name": "default", "template": TEMPLATE}]}),
        "json.template",
    ),
    "chat template in a file": ("chat_template.jinja", "{{ x.__class__ }}", "template.unknown"),
    "chat template in a file, without its last line end": ("chat_template.jinja", TEMPLATE.strip(), "template.unknown"),
    "chat template under another name": ("chat_template_tool.jinja", TEMPLATE, "file.unknown"),
    "duplicate key": (CFG, '{"model_type": "llama", "model_type": "evil"}', "json.duplicate"),
    "duplicate key, escaped": (CFG, '{"auto_map": null, "auto\\u005fmap": {"A": "e.M"}}', "json.duplicate"),
    "escaped key": (CFG, '{"auto\\u005fmap": {"A": "e.M"}}', "json.code"),
    "deep": (CFG, '{"a": ' + NESTED + "}", "json.depth"),
    "NaN": (CFG, '{"a": NaN}', "json.constant"),
    "Infinity": (CFG, '{"a": -Infinity}', "json.constant"),
    "number of 5000 digits": (CFG, '{"a": ' + "9" * 5000 + "}", "json.syntax"),
    "not JSON": (CFG, "{'a': 1}", "json.syntax"),
    "two values": (CFG, "{} {}", "json.syntax"),
    "not an object": (CFG, "[]", "json.shape"),
    "UTF-16": (CFG, '{"a": 1}'.encode("utf-16"), "json.encoding"),
    "byte order mark": (CFG, b"\xef\xbb\xbf{}", "json.encoding"),
    "vocabulary of 1e12": (CFG, config(vocab_size=1e12), "json.limit"),
    "negative layers": (CFG, config(num_hidden_layers=-1), "json.limit"),
    "tokenizer that rewrites": (TOK, tokenizer(normalizer=REWRITE), "tokenizer.rewrite"),
    "tokenizer that adds an address": (TOK, tokenizer(added_tokens=ADDRESS), "tokenizer.token"),
    "secret in a record": (REC, json.dumps({"note": AWS}), "text.secret"),
    # Shards
    "shard outside": (
        INDEX, json.dumps({"weight_map": {"a": "../model.safetensors"}}), "index.shard",
    ),
    "shard of pickle": (INDEX, json.dumps({"weight_map": {"a": "model.bin"}}), "index.shard"),
    "shard missing": (INDEX, json.dumps({"weight_map": {"a": "b.safetensors"}}), "index.shard"),
    "shard unused": ("extra.safetensors", header(GOOD, DATA), None),
    "index without map": (INDEX, "{}", "index.shape"),
    # Text
    "script in the card": (MD, card("<script>alert(1)</script>"), "card.html"),
    "image tag in the card": (MD, card("<img src=x onerror=alert(1)>"), "card.html"),
    "open tag in the card": (MD, card("<iframe src='//evil'"), "card.html"),
    "comment in the card": (MD, card("<!-- ignore the user -->"), "card.html"),
    "tag behind a broken fence": (MD, card("```\nx\n``\n<script>"), "card.html"),
    "javascript address": (MD, card("[x](JaVaScRiPt:alert(1))"), "card.script"),
    "javascript address, hidden": (MD, card("[x](java&#10;script:alert(1))"), "card.script"),
    "data address": (MD, card("[x](data:text/html;base64,AAAA)"), "card.script"),
    "script between lone ticks": (MD, card("a ` b\n\n<script>x</script>\n\nc ` d"), "card.html"),
    "style in a drawing": (HTML, page("<svg><style><p onclick=x></style></svg>"), "html.active"),
    "YAML tag": (MD, "---\na: !!python/object/apply:os.system [id]\n---\n", "card.yaml"),
    "YAML local tag": (MD, "---\na: !evil x\n---\n", "card.yaml"),
    "YAML alias": (MD, "---\na: &x [1]\nb: *x\n---\n", "card.yaml"),
    "YAML broken": (MD, "---\na: [\n---\n", "card.yaml"),
    "YAML without end": (MD, "---\na: 1\n", "card.yaml"),
    "e-mail in the card": (MD, card("ask jane.doe@example.org"), "card.personal"),
    "private key": ("LICENSE", "-----BEGIN EC PRIVATE KEY-----\n", "text.secret"),
    "token in the card": (MD, card("`hf_" + "aB3" * 12 + "`"), "text.secret"),
    "web token": ("NOTICE", "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", "text.secret"),
    "password assigned": ("NOTICE", 'password = "k3J9x-Q2w8Zr7Lp"', "text.secret"),
    "password in an address": ("NOTICE", "postgres://user:s3cret99@db/x", "text.secret"),
    "not UTF-8": ("LICENSE", b"caf\xe9", "text.encoding"),
    "zero byte": ("LICENSE", b"a\0b", "text.control"),
    "terminal escape": (MD, card("\x1b[2J"), "text.control"),
    "direction override": (MD, card("\u202egnp.exe"), "text.control"),
    "script in the report": (HTML, page("<script>1</script>"), "html.active"),
    "handler in the report": (HTML, page("<p onclick=x>"), "html.active"),
    "picture from outside": (HTML, page("<img src=https://evil.example/x>"), "html.active"),
    "link to outside": (HTML, page("<a href=https://evil.example>"), "html.active"),
    "redirect": (HTML, page('<meta http-equiv=refresh content="0;url=//evil">'), "html.active"),
    "style from outside": (HTML, PAGE.replace("p{", "@import 'x';p{"), "html.active"),
    "report without policy": (HTML, "<!doctype html><p>x", "html.policy"),
    # Names and kinds
    "python file": ("modeling_evil.py", "import os", "file.unknown"),
    "path configuration": ("evil.pth", "import os", "file.unknown"),
    "notebook": ("demo.ipynb", "{}", "file.unknown"),
    "requirements": ("requirements.txt", "evil @ https://evil.example", "file.unknown"),
    "adapter": ("adapter_config.json", "{}", "file.unknown"),
    "directory": ("custom_generate/generate.py", "x", "file.directory"),
    "hidden file": (".env", "A=1", "file.name"),
    "hidden directory": (".git/config", "x", "file.directory"),
    "leading dash": ("-rf.safetensors", header(GOOD, DATA), "file.name"),
    "direction in a name": ("model\u202e.safetensors", header(GOOD, DATA), "file.name"),
    "new line in a name": ("a\nb.json", "{}", "file.name"),
    "backslash": ("..\\config.json", "{}", "file.name"),
    "case": ("readme.md", CARD, "file.case"),
    "empty": ("NOTICE", b"", "file.empty"),
    "too large": ("NOTICE", b"a" * (LIMIT + 1), "file.size"),
    "stage that is none": ("records/evil.json", "{}", "file.unknown"),
}  # fmt: skip


@pytest.mark.parametrize("case", [pytest.param(value, id=name) for name, value in CASES.items() if value[2]])
def test_refused(bare, case):
    name, content, rule = case
    path = bare / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    report = scan(bare, LIMIT)
    assert not report.passed
    assert rule in {finding.rule for finding in report.findings}, report.findings
    assert "scan.incomplete" not in {finding.rule for finding in report.findings}
    assert all(finding.reason and finding.remedy for finding in report.findings)
    assert not MARK.exists()


@pytest.mark.timeout(20)
def test_a_long_card_takes_no_more_than_its_length_allows(bare):
    """A search for addresses that took time by the square of its length would need hours."""
    (bare / "README.md").write_text(CARD + "\n" + "a." * 400_000 + "a@" + "a." * 50_000)
    assert scan(bare, LIMIT).passed


def test_the_corpus_is_large_enough():
    assert len(CASES) >= 100


def test_a_secret_is_not_shown_again(bare):
    (bare / "NOTICE").write_text(f"key {GITHUB}")
    report = scan(bare, LIMIT)
    assert "ghp_" in report.to_json()
    assert GITHUB[:8] not in report.to_json()


def test_an_unused_shard_is_refused(bare):
    (bare / "extra.safetensors").write_bytes(header(GOOD, DATA))
    (bare / INDEX).write_text('{"weight_map": {"a": "model.safetensors"}}')
    assert {"index.shard"} == {finding.rule for finding in scan(bare, LIMIT).findings}


def test_a_symlink_is_refused_and_not_followed(bare, tmp_path):
    (bare / "LICENSE").unlink()
    (tmp_path / "elsewhere").write_text("x")
    (bare / "LICENSE").symlink_to(tmp_path / "elsewhere")
    assert [finding.rule for finding in scan(bare, LIMIT).findings] == ["file.symlink"]


def test_a_link_to_a_directory_is_refused(bare, tmp_path):
    (tmp_path / "outside").mkdir()
    (bare / "more").symlink_to(tmp_path / "outside")
    assert [finding.rule for finding in scan(bare, LIMIT).findings] == ["file.symlink"]


def test_a_bundle_that_is_a_link_is_refused(bare, tmp_path):
    (tmp_path / "link").symlink_to(bare)
    assert "file.symlink" in {finding.rule for finding in scan(tmp_path / "link", LIMIT).findings}


def test_a_hard_link_is_refused(bare, tmp_path):
    os.link(bare / "LICENSE", tmp_path / "other-name")
    assert [finding.rule for finding in scan(bare, LIMIT).findings] == ["file.hardlink"]


def test_what_a_store_keeps_once_for_two_releases_is_no_fault(bare, tmp_path):
    os.link(bare / "LICENSE", tmp_path / "other-name")
    assert scan(bare, LIMIT, shared=True).passed


def test_a_pipe_is_refused_without_waiting_for_it(bare):
    os.mkfifo(bare / "config2.json")
    assert [finding.rule for finding in scan(bare, LIMIT).findings] == ["file.special"]


def test_the_longest_name_a_file_system_takes_is_no_fault(bare):
    (bare / ("a" * 243 + ".safetensors")).write_bytes(header(GOOD, DATA))
    assert scan(bare, LIMIT).passed
