"""Links in directories and globs: what is followed, and what is an error rather than left out in silence."""

import pytest

from slipway.errors import UserError


@pytest.fixture
def corpus(tmp_path, tmp_path_factory):
    """A project with `in/a.jsonl`, and a directory outside with `b.jsonl`."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_text('{"text": "a"}')
    outside = tmp_path_factory.mktemp("outside")
    (outside / "b.jsonl").write_text('{"text": "b"}')
    return tmp_path / "in", outside


def source(path: str) -> dict[str, str]:
    return {"kind": "jsonl", "name": "mine", "path": path, "licence": "MIT"}


@pytest.mark.parametrize("path", ["in", "in/*.jsonl", "**/*.jsonl"])
def test_a_link_out_of_the_project_is_refused_by_name(read, corpus, path):
    inside, outside = corpus
    (inside / "b.jsonl").symlink_to(outside / "b.jsonl")
    with pytest.raises(UserError, match=r"in/b\.jsonl: leads out of the project"):
        read(source(path))


@pytest.mark.parametrize("path", ["in", "in/*.jsonl"])
@pytest.mark.parametrize("target", ["nowhere.jsonl", "b.jsonl"])
def test_a_link_to_nowhere_or_to_itself_is_an_error(read, corpus, path, target):
    (corpus[0] / "b.jsonl").symlink_to(target)
    with pytest.raises(UserError, match=r"in/b\.jsonl: a link that leads nowhere"):
        read(source(path))


def test_a_linked_directory_inside_a_directory_is_an_error_and_no_loop(read, corpus):
    (corpus[0] / "again").symlink_to(corpus[0])
    with pytest.raises(UserError, match="in/again: a link to a directory"):
        read(source("in"))
    assert len(read(source("in/*.jsonl"))[1]) == 1
    assert len(read(source("in/**/*.jsonl"))[1]) == 1


@pytest.mark.parametrize("path", ["corpus", "corpus/*.jsonl", "corpus/b.jsonl"])
def test_a_corpus_may_be_linked_into_the_project(read, corpus, tmp_path, path):
    (tmp_path / "corpus").symlink_to(corpus[1])
    (corpus[1] / "c.txt").symlink_to("/etc/passwd")
    if path == "corpus":
        (corpus[1] / "c.txt").unlink()
    assert [row["id"] for row in read(source(path))[1]] == ["mine/corpus/b.jsonl#1"]


def test_links_within_the_project_are_files_like_others(read, corpus):
    (corpus[0] / "b.jsonl").symlink_to("a.jsonl")
    assert [row["text"] for row in read(source("in"))[1]] == ["a", "a"]
