"""Who signs by Sigstore: the caller's identity token, which is as good as a key while it lasts, and told to nobody.

It is read from SLIPWAY_IDENTITY_TOKEN, else asked of the build service (GitHub, GitLab, Google, …).
"""

import os
import re
from collections.abc import Iterator

from slipway.errors import UserError

TOKEN = "SLIPWAY_IDENTITY_TOKEN"  # noqa: S105  the name of a variable
AUDIENCE = "sigstore"
"""For whom a token must be made; certificate authorities of Sigstore take no other."""
_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
_FAULTS = {
    "ExpiredSignatureError": "has expired; get a new one and sign at once, they last minutes",
    "ImmatureSignatureError": "is not valid yet; compare the clocks",
    "InvalidAudienceError": f"was made for others; ask your issuer for one with the audience {AUDIENCE!r}",
    "MissingRequiredClaimError": "lacks one of aud, sub, iat, exp, iss; ask your issuer for an ID token",
}


def token() -> str:
    """The identity token of the caller. Whether its signature holds, the certificate authority finds out.

    Raises:
        UserError: if there is none, or one that no certificate authority would take.
    """
    from sigstore.oidc import IdentityError, IdentityToken, detect_credential

    try:
        found = (os.environ.get(TOKEN) or detect_credential(AUDIENCE) or "").strip()
    except IdentityError as error:
        raise UserError(f"the build service hands out no identity token ({line(error)}); set {TOKEN}") from None
    if not found:
        raise UserError(
            f"no identity to sign with: set {TOKEN} to an OpenID Connect token made for Sigstore, or run in a build "
            "service that hands one out; no browser is opened"
        )
    try:
        if not _JWT.fullmatch(found):  # what cannot stand in a header would be repeated in the error about it
            raise IdentityError("malformed")
        IdentityToken(found, AUDIENCE)
    except IdentityError as error:
        why = _FAULTS.get(
            type(error.__cause__).__name__, "is no OpenID Connect token (three parts in base64, joined by dots)"
        )
        raise UserError(f"the identity token (e.g. {TOKEN}) {why}; nothing was written") from None
    return found


def failure(error: Exception, held: str) -> UserError:
    """What to say if no signature was made with the token `held`."""
    from requests import RequestException

    for cause in _causes(error):
        answer = cause.response if isinstance(cause, RequestException) else None
        if answer is not None and 400 <= answer.status_code < 500 and "Authorization" in answer.request.headers:
            return UserError(
                f"the certificate authority refused the identity token ({line(error, held)}); nothing was written. "
                f"Get a new token for the audience {AUDIENCE!r}, from an issuer that the authority knows"
            )
    return UserError(
        f"Sigstore was not reached, or refused ({line(error, held)}); nothing was written. The release stands by "
        "its own key; try again with network and a token that has not expired"
    )


def line(error: BaseException, held: str = "") -> str:
    """One line on an error and what it was raised from; without the token, or a part of it, whatever it repeats."""
    from requests import RequestException

    parts = []
    for cause in _causes(error):
        answer = cause.response if isinstance(cause, RequestException) else None
        parts.append(f"{type(cause).__name__}: {cause} {answer.text[:2000] if answer is not None else ''}")
    text = " <- ".join(" ".join(part.split()) for part in parts)
    for secret in (held, *held.split(".")):
        text = text.replace(secret, "…") if secret else text
    return plain(text)[:300]


def plain(text: str) -> str:
    """`text` without characters that move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what it was raised from, and so on."""
    while error is not None:
        yield error
        error = error.__cause__
