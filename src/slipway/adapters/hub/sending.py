"""Sending a signed directory to a hub: one commit over the very state that was looked at, then a tag for its version.

The commit's message names release and bundle digest, so that a rerun after a crash finds it. Objects that the hub's
large file storage holds already are not sent again: it is asked for each by its sha256.
"""

from pathlib import Path
from typing import Any, NamedTuple

from slipway.adapters.hub.client import SCHEME, api, explained
from slipway.adapters.hub.reader import ATTRIBUTES, TOMBSTONE, withdrawn_branch
from slipway.errors import Refusal, UserError
from slipway.files import walk

RACES = 10
"""Lost races for the branch in a row after which something else must be wrong."""
BRANCH = "main"


class Sent(NamedTuple):
    """Where a release lies on the hub."""

    repository: str
    commit: str

    @property
    def url(self) -> str:
        """`hub://OWNER/NAME@COMMIT`."""
        return f"{SCHEME}{self.repository}@{self.commit}"


def find(repository: str, title: str) -> list[Sent]:
    """The commits with this message, newest first; what they hold is for the caller to verify."""
    with explained(f"{SCHEME}{repository}"):
        commits = api().list_repo_commits(repository, repo_type="model", revision=BRANCH)
    return [Sent(repository, commit.commit_id) for commit in commits if commit.title == title]


def send(repository: str, directory: Path, *, title: str, text: str = "") -> Sent:
    """Make the branch hold exactly the files of `directory`, in one commit.

    Args:
        repository: OWNER/NAME on the hub; it must exist.
        directory: the signed release.
        title: first line of the commit's message; `find` looks for it.
        text: the rest of the message.

    Raises:
        UserError: if the hub is not reached, refuses, or others commit all the time.
    """
    what = f"{SCHEME}{repository}"
    hub = api()
    for _ in range(RACES):
        with explained(what):
            head = str(hub.repo_info(repository, repo_type="model", revision=BRANCH).sha)
            operations = _operations(hub, repository, head, directory)
            commit = _commit(hub, repository, operations, branch=BRANCH, head=head, title=title, text=text)
        if commit is not None:
            return Sent(repository, commit)
    raise UserError(
        f"{what}: lost {RACES} races for {BRANCH}; who else commits there? Then run `slipway release` again"
    )


def _operations(hub: Any, repository: str, head: str, directory: Path) -> list[Any]:
    """What makes the commit `head` into the directory: everything added, and deleted what else lies there."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    files = {path.relative_to(directory).as_posix(): path for path in walk(directory)}
    tree = hub.list_repo_tree(repository, repo_type="model", revision=head, recursive=True)
    present = {entry.path for entry in tree if hasattr(entry, "size")}
    added = [CommitOperationAdd(name, path) for name, path in sorted(files.items())]
    gone = sorted(present - files.keys() - {ATTRIBUTES})
    # An ignore file of the repository would leave files of the release out without a word.
    hub.preupload_lfs_files(
        repository, added, repo_type="model", revision=BRANCH, free_memory=False, gitignore_content=""
    )
    return [*added, *(CommitOperationDelete(name, is_folder=False) for name in gone)]


def _commit(
    hub: Any, repository: str, operations: list[Any], *, branch: str, head: str, title: str, text: str = ""
) -> str | None:
    """The commit over `head`; None if the branch moved meanwhile."""
    import warnings

    from huggingface_hub.errors import HfHubHTTPError

    try:
        with warnings.catch_warnings():
            # The items of an evaluation are a table; in the repository of a model it is meant to be there.
            warnings.simplefilter("ignore", UserWarning)
            made = hub.create_commit(
                repository,
                operations,
                commit_message=title,
                commit_description=text,
                repo_type="model",
                revision=branch,
                parent_commit=head,
            )
    except HfHubHTTPError as error:
        if error.response is not None and error.response.status_code in (409, 412):
            return None
        raise
    return str(made.oid)


def tag(sent: Sent, name: str) -> None:
    """Name a commit; a tag that names it already stays.

    Raises:
        Refusal: if the tag names another commit; a version is released once.
    """
    what, hub = f"{sent.url} tag {name}", api()
    with explained(what):
        refs = hub.list_repo_refs(sent.repository, repo_type="model")
        held = next((str(ref.target_commit) for ref in refs.tags if ref.name == name), None)
        if held is None:
            hub.create_tag(sent.repository, tag=name, revision=sent.commit, repo_type="model")
    if held not in (None, sent.commit):
        raise Refusal(
            f"{what}: names commit {held} already, and a version is released once; look who made it, then delete the "
            "tag there or raise release.version in params.yaml"
        )


def withdraw(repository: str, commit: str, tombstone: bytes, *, title: str) -> str:
    """Leave a signed tombstone for a release on the hub; returns the commit that holds it.

    It lies on a branch named after the release's commit, where `HubReader` looks, and on the main branch too as long as
    that one still holds the release. A repetition changes nothing.

    Args:
        repository: OWNER/NAME.
        commit: of the release.
        tombstone: content of `yanked.json`, signed.
        title: first line of the commits' messages.

    Raises:
        UserError: if the hub is not reached or refuses.
    """
    from huggingface_hub import CommitOperationAdd

    what, hub = f"{SCHEME}{repository}@{commit}", api()
    with explained(what):
        branch = withdrawn_branch(commit)
        hub.create_branch(repository, branch=branch, revision=commit, repo_type="model", exist_ok=True)
        for _ in range(RACES):
            head = str(hub.repo_info(repository, repo_type="model", revision=branch).sha)
            made = _commit(
                hub, repository, [CommitOperationAdd(TOMBSTONE, tombstone)], branch=branch, head=head, title=title
            )
            if made is not None:
                break
        else:
            raise UserError(f"{what}: lost {RACES} races for {branch}; repeat")
        # Only over the release itself: what main holds by then may be the release that replaces it.
        _commit(hub, repository, [CommitOperationAdd(TOMBSTONE, tombstone)], branch=BRANCH, head=commit, title=title)
    return made
