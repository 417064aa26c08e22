"""A small clean bundle made by hand: every kind of file that may be published."""

import pytest

from tests.scan.corpus import clean_files


@pytest.fixture
def bare(tmp_path):
    """A clean directory without a manifest, to which a test adds something hostile."""
    directory = tmp_path / "bundle"
    for name, content in clean_files().items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return directory
