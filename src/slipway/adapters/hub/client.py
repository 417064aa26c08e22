"""The hub's client, quiet about tokens and presigned addresses, and errors that say what to do."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from slipway.errors import Refusal, UserError

SCHEME = "hub://"
_ADDRESS = re.compile(r"hub://([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)@([0-9a-f]{40})")


class Missing(Refusal, FileNotFoundError):
    """A file, commit or branch that is not on the hub; what reads a store knows it as FileNotFoundError."""


def parse(address: str) -> tuple[str, str]:
    """Repository and commit of `hub://OWNER/NAME@COMMIT`; raises UserError for anything else, a branch or tag too."""
    if not (parts := _ADDRESS.fullmatch(address)):
        raise UserError(
            f"{address}: names no release on a hub; write hub://OWNER/NAME@COMMIT with the 40 digits of the commit, "
            "because a branch or a tag can be moved"
        )
    return parts[1], parts[2]


def api(endpoint: str | None = None) -> Any:
    """An `HfApi`, by default of HF_ENDPOINT, else huggingface.co; it logs no address, for some are presigned."""
    import logging

    from huggingface_hub import HfApi
    from huggingface_hub.utils.logging import set_verbosity_error

    set_verbosity_error()
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    # The library reads it once, at its import; a process may import it before it knows where to publish.
    return HfApi(endpoint=endpoint or os.environ.get("HF_ENDPOINT") or None)


def ready(repository: str) -> None:
    """That the hub may be reached and has the repository, before anything is signed or sent.

    Raises:
        UserError: saying what is missing.
    """
    with explained(f"{SCHEME}{repository}"):
        api().repo_info(repository, repo_type="model")


TO_WRITE = (
    "the hub has no such model repository for you; make it there first, public or private as you decide, and set "
    "HF_TOKEN to a token that may write to it"
)
"""What to do about a repository that is not there when a release goes to it."""
ANOTHER = "take the address of another release"


@contextmanager
def explained(what: str, *, closed: str = TO_WRITE, gone: str = ANOTHER) -> Iterator[None]:
    """Turn the library's errors into ones that name the address and what to do; none repeats a presigned address.

    `closed` says what to do about a repository that one may not see, `gone` what else to do but to restore a file.

    Raises:
        Missing: for an entry or a revision that is not there.
        Refusal: for what the hub does not take.
        UserError: for everything else that keeps it from answering.
    """
    import httpx2
    from huggingface_hub import constants, errors

    if constants.is_offline_mode():
        raise UserError(
            f"{what}: lies on a hub, and HF_HUB_OFFLINE is 1 (set by Slipway, so that no library goes there unasked); "
            "allow it for this command: HF_HUB_OFFLINE=0 slipway …"
        )
    try:
        yield
    except (errors.GatedRepoError, errors.RepositoryNotFoundError):
        raise UserError(f"{what}: {closed}") from None
    except (errors.RevisionNotFoundError, errors.RemoteEntryNotFoundError):
        raise Missing(f"{what}: not on the hub; restore it, or {gone}") from None
    except (httpx2.HTTPError, errors.LocalEntryNotFoundError, errors.FileMetadataError, RuntimeError) as error:
        cause = error.__cause__ or error  # the library hides an answer behind another error
        answer = getattr(cause, "response", None)
        found = f"answers {answer.status_code}" if answer is not None else "is not reached"
        raise UserError(
            f"{what}: the hub {found} ({type(cause).__name__}); check HF_TOKEN, HF_ENDPOINT and the network, "
            "then repeat"
        ) from None
    except ValueError as error:
        # Of metadata that the hub does not take, or of an upload that it refuses; it holds no address.
        raise Refusal(f"{what}: the hub refuses it: {' '.join(str(error).split())[:300]}") from None
