"""The advisory about a release that was withdrawn: in OSV format, as text for people, and signed.

`advisories/NAME/ID.json` is plain OSV (https://ossf.github.io/osv-schema/), so that scanners read it as it is; the same
document signed is `ID.dsse.json`, and `ID.md` is for people. All three follow from the tombstone, so that whoever
finishes an interrupted withdrawal writes the same bytes. Ids begin with `x_`, which OSV keeps for private databases.
"""

import json
import re
from typing import TYPE_CHECKING, Any

from slipway.errors import Refusal
from slipway.release.publishing.claim import Store
from slipway.release.reading.reader import Reader
from slipway.release.signing import keyring
from slipway.release.signing.envelope import seal
from slipway.release.signing.keys import public_of
from slipway.release.withdrawal.tombstone import Yanked

if TYPE_CHECKING:
    from securesystemslib.signer import Signer

TYPE = "application/vnd.osv+json"
SCHEMA = "1.7.0"


def identifier(name: str, version: str) -> str:
    """Id of the advisory about a release."""
    return f"x_slipway-{name}-{version}"


def key_of(name: str, version: str) -> str:
    """Where the plain advisory lies; the signed one and the text stand beside it."""
    return f"advisories/{name}/{identifier(name, version)}.json"


def compose(yanked: Yanked) -> dict[str, Any]:
    """The advisory about a withdrawn release as an OSV document."""
    time = yanked.time.replace("+00:00", "Z")
    own: dict[str, Any] = {"name": yanked.name, "manifest_sha256": yanked.manifest_sha256}
    own |= {"release": f"releases/{yanked.name}/{yanked.version}", "replaced_by": yanked.replaced_by}
    # OSV's `severity` holds scores only; the word stands where GitHub's advisories have it.
    own |= {"severity": yanked.severity.upper()} if yanked.severity else {}
    found = {
        "schema_version": SCHEMA,
        "id": identifier(yanked.name, yanked.version),
        "published": time,
        "modified": time,
        "summary": f"{yanked.name} {yanked.version} was withdrawn by its publisher"[:120],
        "details": yanked.reason,
        "affected": [{"versions": [yanked.version], "database_specific": own}],
        "database_specific": own,
    }
    if yanked.advisory and re.match(r"https?://", yanked.advisory):
        found["references"] = [{"type": "ADVISORY", "url": yanked.advisory}]
    elif yanked.advisory:
        found["related"] = [yanked.advisory]
    return found


def text(yanked: Yanked) -> str:
    """The advisory for people, in Markdown."""
    lines = [
        f"# {yanked.name} {yanked.version} was withdrawn",
        f"On {yanked.time}: {yanked.reason}",
        f"Use {yanked.name} {yanked.replaced_by} instead." if yanked.replaced_by else "There is no replacement yet.",
        f"Severity: {yanked.severity or 'not stated'}",
    ]
    lines += [f"See: {yanked.advisory}"] if yanked.advisory else []
    lines += [f"Manifest of the withdrawn release: sha256 {yanked.manifest_sha256}"]
    return "\n\n".join(lines) + "\n"


def write(store: Store, yanked: Yanked, signer: "Signer") -> str:
    """Write what is missing of the three files; key of the plain one.

    Raises:
        Refusal: if another document lies in their place.
    """
    document, key = compose(yanked), key_of(yanked.name, yanked.version)
    plain = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    stem = key.removesuffix(".json")
    for at, content in ((key, plain), (f"{stem}.md", text(yanked))):
        try:
            store.create(at, content.encode())
        except FileExistsError:
            if store.read(at)[0] != content.encode():
                raise Refusal(f"{store.url}/{at}: another document lies there; remove it and run this again") from None
    try:
        store.create(f"{stem}.dsse.json", seal(document, TYPE, signer))
    except FileExistsError:
        read(store, yanked, public_of(signer))
    return key


def read(store: Reader, yanked: Yanked, public: bytes) -> dict[str, Any]:
    """The signed advisory about a withdrawn release.

    Raises:
        FileNotFoundError: if there is none.
        Refusal: if its signature does not hold, or it is about another release.
    """
    key = key_of(yanked.name, yanked.version).removesuffix(".json") + ".dsse.json"
    what = f"{store.url}/{key}"
    found, _ = keyring.read(store, public).lasting(store.read(key)[0], TYPE, what)
    if found != compose(yanked):
        raise Refusal(f"{what}: about {found.get('id')}, and not what its tombstone says; someone copied it here")
    return found
