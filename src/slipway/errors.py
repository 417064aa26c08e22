"""Errors that a person can act on: what went wrong, where, which value, and what to do next.

`UserError` is for the user's set-up, data or recipe; it ends a command with its message, its exit code
and no traceback. `Refusal` is its strict cousin: something was checked and did not hold (a digest, a
signature, a gate). Anything else that escapes is a bug of ours and keeps its traceback.
"""


class UserError(Exception):
    """Something the user can put right; `str(error)` is one complete, readable message."""

    exit_code = 2


class Refusal(UserError):
    """A check did not hold. Nothing was loaded, published or changed after it failed."""

    exit_code = 1


class Damaged(UserError):
    """A model gives no numbers; nothing that is said of it would be true, so no probe is merely left out."""


class Waiting(UserError):
    """Nothing is wrong, but a person must act first, e.g. approve."""

    exit_code = 3
