"""The manifest: every changed, missing or added byte is found and named."""

import json
import os
import random

import pytest

from slipway.errors import Refusal, UserError
from slipway.files import sha256_file
from slipway.release.bundle import manifest


def test_a_bundle_as_built_is_in_order(bundle):
    manifest.check(bundle)
    assert manifest.read(bundle).name == "pydocs"
    assert manifest.digest(bundle) == sha256_file(bundle / "manifest.json")
    assert set(manifest.read(bundle).files) == set(manifest.entries(bundle)) - {"manifest.json"}


def test_a_number_in_the_card_edited_by_hand_is_refused(bundle):
    card = bundle / "README.md"
    card.write_text(card.read_text().replace("| 1.987 |", "| 1.087 |"))
    with pytest.raises(Refusal, match=r"README\.md: changed"):
        manifest.check(bundle)


def test_every_flipped_bit_is_found(bundle):
    generator = random.Random(5)
    for path in manifest.read(bundle).files:
        content = bytearray((bundle / path).read_bytes())
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        original = (bundle / path).read_bytes()
        (bundle / path).write_bytes(content)
        with pytest.raises(Refusal, match=path):
            manifest.check(bundle)
        (bundle / path).write_bytes(original)
    manifest.check(bundle)


def test_all_faults_are_named_at_once(bundle):
    (bundle / "LICENSE").unlink()
    (bundle / "DATA.md").write_text("short")
    (bundle / ".hidden").write_text("x")
    with pytest.raises(Refusal) as refusal:
        manifest.check(bundle)
    assert all(words in str(refusal.value) for words in ("LICENSE: missing", "DATA.md: changed", ".hidden: not in"))


def test_what_a_release_lays_beside_may_lie_there(bundle):
    (bundle / "model.sig").write_text("{}")
    manifest.check(bundle, beside={"model.sig"})
    with pytest.raises(Refusal, match=r"model\.sig"):
        manifest.check(bundle)


@pytest.mark.parametrize("what", ["file", "directory"])
def test_links_are_refused(bundle, tmp_path, what):
    target = tmp_path / "target"
    target.mkdir() if what == "directory" else target.write_text("x")
    (bundle / "link").symlink_to(target)
    with pytest.raises(Refusal, match="link"):
        manifest.check(bundle)


def test_a_pipe_is_refused(bundle):
    os.mkfifo(bundle / "pipe")
    with pytest.raises(Refusal, match="pipe"):
        manifest.check(bundle)


def test_no_bundle(tmp_path):
    with pytest.raises(UserError, match=r"manifest\.json: no such file"):
        manifest.check(tmp_path)


@pytest.mark.parametrize("path", ["../evil", "/etc/passwd", "a//b", "a/./b", "a\\b", "manifest.json", ""])
def test_paths_that_leave_the_bundle_are_refused(bundle, path):
    values = json.loads((bundle / "manifest.json").read_text())
    values["files"][path] = {"sha256": "00" * 32, "bytes": 1}
    text = manifest.Manifest.model_validate(values).to_json()
    with pytest.raises(Refusal, match="not inside the bundle"):
        manifest.parse(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{}", b"[]", b'{"format": "slipway-manifest-2", "name": "x", "files": {}}', b"\xff",
        b'{"format": "slipway-manifest-1", "name": "x", "files": {"a": {"sha256": "short", "bytes": 1}}}',
        b'{"format": "slipway-manifest-1", "name": "x", "files": {}}',
    ],
)  # fmt: skip
def test_what_is_no_canonical_manifest_is_refused(bundle, text):
    (bundle / "manifest.json").write_bytes(text)
    with pytest.raises(Refusal, match=r"manifest\.json"):
        manifest.check(bundle)
