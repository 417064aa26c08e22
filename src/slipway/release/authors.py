"""Who made a run, as far as this machine can tell: the key that signs it, the commit it is made from, and who runs it.

Where two or more must approve, none of these is counted, for nobody is a second pair of eyes on their own work.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

WHO = {
    "%aE": "wrote the commit that is released",
    "%aN": "wrote the commit that is released",
    "%cE": "committed what is released",
    "%cN": "committed what is released",
}


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
        wanted = (identity or name).casefold()
        for who, did in self.known:
            person = who.casefold()
            if wanted == person or (identity is None and wanted == person.partition("@")[0]):
                return f"{did} ({who})"
        return None


def of(root: Path, key: bytes | None) -> Authors:
    """The authors of what is released from the project at `root` and signed with `key` (PEM)."""
    told = (_git(root, "log", "-1", f"--format={'%n'.join(WHO)}") or "").splitlines()
    known = [(who, did) for who, did in zip(told, WHO.values(), strict=False) if who]
    known += [(who.strip(), "makes the release") for who in [_git(root, "config", "user.email") or ""] if who.strip()]
    return Authors(key, tuple(known))


def _git(root: Path, *arguments: str) -> str | None:
    """What git says; None outside a checkout or without git, where there is no commit to have an author."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
