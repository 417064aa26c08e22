"""What in a chat template's texts is said to a model: words beside control tokens, names of roles, addresses."""

import re

from jinja2 import nodes

ADDRESS = re.compile(r"(?i)\b[a-z][a-z0-9+.-]{1,20}://|\bwww\.|\bmailto:")
ROLE = re.compile(r"(?i)\b(system|assistant|user|developer|human|ipython)\b")
FEW = 3
"""So many words are prose."""
_TAGS = re.compile(r"<[^<>]{0,80}>|\[/?[A-Z_ ]{1,40}\]")
_WORD = re.compile(r"[^\W\d_]{2,}")
_WITHOUT_SPACES = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")


def words(text: str) -> int:
    """How many words a text has beside control tokens; of a script without spaces, two characters count as one."""
    plain = _TAGS.sub(" ", text)
    return len(_WORD.findall(_WITHOUT_SPACES.sub("", plain))) + len(_WITHOUT_SPACES.findall(plain)) // 2


def address(tree: nodes.Template) -> tuple[str, int] | None:
    """An address that stands anywhere in a template, and its line."""
    for node in tree.find_all((nodes.Const, nodes.TemplateData)):
        text = node.data if isinstance(node, nodes.TemplateData) else getattr(node, "value", None)
        if isinstance(text, str) and (found := ADDRESS.search(text)):
            return text[found.start() :], node.lineno
    return None


def telling(texts: set[str]) -> bool:
    """Whether texts together are prose, or one of them names a role or an address."""
    return sum(map(words, texts)) >= FEW or any(ROLE.search(text) or ADDRESS.search(text) for text in texts)
