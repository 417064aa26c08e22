"""The LICENSE file: the full text behind the SPDX expression under which the weights are released."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import TemplateNotFound
from license_expression import ExpressionError, Licensing, get_spdx_licensing

from slipway.errors import UserError
from slipway.release.bundle.render import markdown


@cache
def licensing() -> Licensing:
    """The SPDX index, built once: it takes a tenth of a second."""
    return get_spdx_licensing()


def ids(expression: str) -> list[str]:
    """The SPDX ids in `expression`, sorted; raises UserError if it is not a valid expression."""
    index = licensing()
    try:
        return sorted(str(key) for key in index.license_keys(index.parse(expression, validate=True)))
    except ExpressionError as error:
        raise UserError(
            f"params.yaml, bundle.licence: {expression!r} is not an SPDX expression ({error}); see spdx.org/licenses"
        ) from None


def same(one: str, other: str) -> bool:
    """Whether two SPDX expressions mean the same, whatever their spelling."""
    index = licensing()
    return bool(index.is_equivalent(one, other, simplify=True))


def _text(root: Path, licence: str, title: str) -> str:
    own = root / "LICENSES" / f"{licence}.txt"
    if own.exists():
        return own.read_text("utf-8")
    try:
        return markdown(f"{licence}.j2", title=title).lstrip("\n")
    except TemplateNotFound:
        raise UserError(
            f"params.yaml, bundle.licence: the text of {licence} is not part of Slipway; put it into {own}"
        ) from None


def text(root: Path, expression: str, title: str) -> str:
    """The text of each licence in `expression`, from `LICENSES/<id>.txt` of the project or from Slipway.

    Raises:
        UserError: if the expression is not valid, or a text is in neither place.
    """
    found = ids(expression)
    texts = [_text(root, licence, title) for licence in found]
    if len(texts) == 1:
        return texts[0]
    parts = [f"{'=' * 78}\n{licence}\n{'=' * 78}\n\n{body}" for licence, body in zip(found, texts, strict=True)]
    return f"SPDX-License-Identifier: {expression}\n\n" + "\n".join(parts)


def hub_name(expression: str) -> dict[str, Any]:
    """The licence as Hugging Face card metadata: a lower-case id for a single licence, else `other` with a name."""
    found = ids(expression)
    if [expression] == found:
        return {"license": expression.lower()}
    return {"license": "other", "license_name": expression.lower().replace(" ", "-"), "license_link": "LICENSE"}
