"""Who made a run, as far as this machine can tell: the key that signs it, the commit it is made from, and who runs it.

Where two or more must approve, none of these is counted, for nobody is a second pair of eyes on their own work.
"""

import subprocess
import unicodedata
from dataclasses import dataclass
from email.utils import parseaddr
from pathlib import Path

from slipway.errors import UserError

WHO = {
    "%aE": "wrote the commit that is released",
    "%aN": "wrote the commit that is released",
    "%cE": "committed what is released",
    "%cN": "committed what is released",
}


_TOGETHER = "%(trailers:key=Co-authored-by,valueonly)"
"""A line for each further author that the commit names."""


@dataclass(frozen=True)
class Authors:
    """The identities behind a run."""

    key: bytes | None
    """Public key that the release is signed with, PEM."""
    known: tuple[tuple[str, str], ...]
    """Name or e-mail address, and what that person did."""

    def why(self, name: str, identity: str | None, key: bytes) -> str | None:
        """Why an approver is an author of the run; None if nothing says so.

        Args:
            name: of the approver.
            identity: e-mail address that the recipe gives; without one the name is looked for, as a whole name, as an
                address and as what stands before the `@`.
            key: public key of the approver, PEM.
        """
        if self.key is not None and key == self.key:
            return "holds the key that signs the release"
        wanted = _folded(identity or name)
        for who, did in self.known:
            person = _folded(who)
            if wanted == person or (identity is None and wanted == person.partition("@")[0]):
                return f"{did} ({who})"
        return None


def of(root: Path, key: bytes | None) -> Authors:
    """The authors of what is released from the project at `root` and signed with `key` (PEM).

    Raises:
        UserError: if there is a checkout of which git does not say who made it; nobody must approve unknown.
    """
    commit = _git(root, "-c", "log.showSignature=false", "log", "-1", f"--format={'%n'.join([*WHO, _TOGETHER])}")
    told = (commit or "").split("\n")
    known = [(who, did) for who, did in zip(told, WHO.values(), strict=False) if who]
    known += [(part, "wrote a part of the commit") for line in told[len(WHO) :] for part in parseaddr(line) if part]
    mail = (_git(root, "config", "--default", "", "user.email") or "").strip()
    return Authors(key, (*known, *([(mail, "makes the release")] if mail else [])))


def _folded(person: str) -> str:
    """One spelling of what looks alike: composed or not, in capitals or not."""
    return unicodedata.normalize("NFKC", person).casefold().strip()


def _git(root: Path, *arguments: str) -> str | None:
    """What git says; None outside of a checkout, where there is no commit to have an author.

    Raises:
        UserError: if there is a checkout, but no git, or git does not answer.
    """
    checkout = next((folder for folder in (root, *root.resolve().parents) if (folder / ".git").exists()), None)
    if checkout is None:
        return None
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False, timeout=60)
        fault = " ".join(done.stderr.split())[:300] or f"exit code {done.returncode}" if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        fault = str(error)
    if fault:
        raise UserError(
            f"{checkout}: git does not say who made the commit ({fault}), and its author must not be one of those who "
            "approve; mend that first"
        )
    return done.stdout
