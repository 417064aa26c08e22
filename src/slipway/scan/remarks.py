r"""Remarks that the libraries write into model cards: huggingface_hub's template (1.x, 2.x), transformers' Trainer.

They are HTML, which a card may not hold, and they do not show. These are known word for word, by digest, so they hide
nothing; peft and others write them into every card. Any other remark is refused.

>>> without("# x\n<!-- Provide the basic links for the model. -->\n")
'# x\n \n'
"""

import hashlib
import re

KNOWN = frozenset({
    "0f85b2116b2336f8eb6de9aa93415c612cd7d525712a73bdd023d50c85781f13",
    "afe776f69d6b7df00460bb06c4e0d2cbef6da47b9b80e7ca0c62063b61a2253a",
    "3894c23be20f51b7c400c6390ad69a591f9252b054b2bf8ea85e0673ad65a446",
    "915ce78d601ced03f49f1b3bde0edd52b2b18cfa6301c401678b7d1107a74b39",
    "bbd137d044f8f52b0792203376c200a20abb0925a04b8c7bbb67b531f84b8a81",
    "773666719f9147395e113b0342b54fdf66d90721512f39b435b623dff8ef750e",
    "361c529e2a303944acef98ab3d676bb6345f0521f957584b9d60478eda186a86",
    "374d10cfd5391f624d150982ccf208da55acd2bf940b709e95931198d1b17923",
    "0663ec4ddfcaa63c8e4774978247b49f10c530723e581a0c473fc0e88c4024c5",
    "989b8eedeb2c30fbb84cd29476fbc42f701a5a297f42d64f8284d9c11afbbc68",
    "0ec98a4d7f5295b18045b7f1d087343ee6151d192bb743dc4357a0e56fdc16b7",
    "1dfdb05d887c956d9b206aace6e2d2c9bd451c55d2142bfd4456dbcb494e6f8b",
    "2ccc6cc0f74575b61de28c5fdc572e1d1cde319935f2e0f8d42b910bcb904ec9",
    "898a4e8f8565efb47f960b716ef34da44406b56b5cf9b8d9135fc5f05d9ed8d7",
    "d5ed9dc29d23a434c81da4ec67afe5a9f10e3eb75bc8c939400c63cdfae85b26",
    "3394e30a2d4b36b434af73af97e2b3f97d94e8d893f64272b4f5cc485a349470",
    "302cccfc8712c89a076f7f705b5cc8226e992ee1d6585410274e2679f91685d4",
    "d76692b1aad02ac9af6b758934f140f4b069aad7cce76063223e2cd6c2fe93f4",
    "dcc086cf0f3df47cec8d59856e1047b94bc22f1efabc2c2cb35d1dcc6d79f1f5",
    "73eab1eda95ff277b85b0e647d68970101ba73ea1481df574510afb2a8c4bd71",
    "60b1f9e8a812d86e533806c33bcd78a8a4343871d13079eedd5b9e9448bb2874",
    "5a83e178aa11d82ab3058d323762cc2d32fb779067cdb44969142b1283bb6e17",
    "babb7c97005a73044605c2990281c5c7c51a740f39af2a43bba08683142251a1",
    "994fd8db43497a38c5c49b99dd4ed3bba1ecc8cb1f68044abe13f3d364cbbfd3",
})  # fmt: skip
"""sha256 of each, white space folded. `tests/scan/test_remarks.py` compares them with the installed libraries."""
_REMARK = re.compile(r"<!--(.{1,400}?)-->", re.DOTALL)


def digest(remark: str) -> str:
    """The sha256 of a remark's words, in hexadecimal."""
    return hashlib.sha256(" ".join(remark.split()).encode()).hexdigest()


def without(content: str) -> str:
    """A card without the remarks that are known."""
    return _REMARK.sub(lambda found: " " if digest(found[1]) in KNOWN else found[0], content)
