"""Made-up personal data and secrets, valid by the rules of their kind and belonging to nobody."""

import itertools
import random
import string
from collections.abc import Callable

from slipway.patterns.checks import IBAN_LENGTHS

LETTERS = string.ascii_letters + string.digits
TOKEN = LETTERS + "_-"
Maker = Callable[[random.Random], str]


def pick(rng: random.Random, alphabet: str, count: int) -> str:
    """Letters and at least one digit, as issuers' keys have."""
    made = rng.choices(alphabet, k=count)
    made[rng.randrange(count)] = rng.choice(string.digits)
    return "".join(made)


def digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices(string.digits, k=count))


def luhn_completed(body: str) -> str:
    total = 0
    for place, digit in enumerate(map(int, reversed(body))):
        total += digit if place % 2 else sum(divmod(2 * digit, 10))
    return body + str(-total % 10)


def email(rng: random.Random) -> str:
    name = rng.choice(["ana.lima", "j_smith", "kovacs+list", "o.brien", "li.wei", "müller"]) + str(rng.randrange(1000))
    return f"{name}@{rng.choice(['mail.example', 'uni-x', 'cs.institute', 'post'])}.{rng.choice(['org', 'de', 'io'])}"


def phone(rng: random.Random) -> str:
    area = f"{rng.randrange(200, 1000)}"
    rest = f"{rng.randrange(200, 1000)}", f"{rng.randrange(10000):04d}"
    shapes = [
        f"+1{area}{''.join(rest)}",
        f"+1 {area} {rest[0]} {rest[1]}",
        f"+1 ({area}) {rest[0]}-{rest[1]}",
        f"{area} {rest[0]}-{rest[1]}",
        f"({area}) {rest[0]}-{rest[1]}",
        f"{area}-{rest[0]}-{rest[1]}",
        f"{area}.{rest[0]}.{rest[1]}",
        f"+33 {rng.randrange(1, 8)} " + " ".join(digits(rng, 2) for _ in range(4)),
        f"+49 {rng.randrange(30, 99)} {rng.randrange(10**6, 10**7)}",
        f"+49{rng.randrange(10**9, 10**10)}",
        f"+44 (0)20 {digits(rng, 4)} {digits(rng, 4)}",
        f"+44\u00a020\u00a0{digits(rng, 4)}\u00a0{digits(rng, 4)}",
        f"+351 {rng.randrange(200, 999)} {digits(rng, 3)} {digits(rng, 3)}",
        f"Tel. 0{rng.randrange(20, 99)} {digits(rng, 4)} {digits(rng, 3)}",
    ]
    return rng.choice(shapes)


def card(rng: random.Random) -> str:
    prefix, length = rng.choice(
        [("4", 16), ("53", 16), ("2345", 16), ("6011", 16), ("3530", 16), ("62", 16), ("37", 15)]
    )
    number = luhn_completed(prefix + digits(rng, length - len(prefix) - 1))
    between = rng.choice(["", " ", "-"])
    cuts = (0, 4, 10, 15) if length == 15 else (0, 4, 8, 12, 16)
    return between.join(number[a:b] for a, b in itertools.pairwise(cuts))


def iban(rng: random.Random) -> str:
    country = rng.choice(sorted(IBAN_LENGTHS))
    account = digits(rng, IBAN_LENGTHS[country] - 4)
    check = 98 - int("".join(str(int(c, 36)) for c in f"{account}{country}00")) % 97
    whole = f"{country}{check:02d}{account}"
    return whole if rng.random() < 0.5 else " ".join(whole[i : i + 4] for i in range(0, len(whole), 4))


def ssn(rng: random.Random) -> str:
    area = rng.choice([n for n in range(1, 900) if n != 666])
    return f"{area:03d}-{rng.randrange(1, 100):02d}-{rng.randrange(1, 10000):04d}"


def ip(rng: random.Random) -> str:
    if rng.random() < 0.5:
        return ".".join(
            map(str, (rng.choice([5, 62, 81, 93, 151, 212]), *rng.choices(range(1, 255), k=2), 40 + rng.randrange(200)))
        )
    groups = [f"{rng.randrange(1, 65536):x}" for _ in range(6)]
    start = rng.choice(["2a02:26f0", "2606:4700", "2001:4860"])
    return f"{start}:{':'.join(groups)}" if rng.random() < 0.5 else f"{start}:{groups[0]}::{groups[1]}"


PERSONAL: dict[str, Maker] = {"email": email, "phone": phone, "card": card, "iban": iban, "ssn": ssn, "ip": ip}


def pem(rng: random.Random) -> str:
    body = "\n".join(pick(rng, LETTERS + "+/", 64) for _ in range(12))
    kind = rng.choice(["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}==\n-----END {kind}PRIVATE KEY-----"


SECRETS: dict[str, Maker] = {
    "aws access key": lambda rng: rng.choice(["AKIA", "ASIA"]) + pick(rng, string.ascii_uppercase + string.digits, 16),
    "aws secret key": lambda rng: f"aws_secret_access_key = {pick(rng, LETTERS + '/+', 40)}",
    "github": lambda rng: rng.choice(["ghp_", "gho_", "ghs_"]) + pick(rng, LETTERS, 36),
    "github fine-grained": lambda rng: f"github_pat_{pick(rng, LETTERS, 22)}_{pick(rng, LETTERS, 59)}",
    "gitlab": lambda rng: "glpat-" + pick(rng, TOKEN, 20),
    "hugging face": lambda rng: "hf_" + pick(rng, LETTERS, 34),
    "slack": lambda rng: f"xoxb-{digits(rng, 12)}-{digits(rng, 12)}-{pick(rng, LETTERS, 24)}",
    "google": lambda rng: "AIza" + pick(rng, TOKEN, 35),
    "openai": lambda rng: rng.choice(["sk-", "sk-proj-"]) + pick(rng, LETTERS, 48),
    "anthropic": lambda rng: "sk-ant-api03-" + pick(rng, TOKEN, 90),
    "stripe": lambda rng: rng.choice(["sk_live_", "rk_live_"]) + pick(rng, LETTERS, 24),
    "npm": lambda rng: "npm_" + pick(rng, LETTERS, 36),
    "pypi": lambda rng: "pypi-AgEIcHlwaS5vcmc" + pick(rng, TOKEN, 100),
    "jwt": lambda rng: f"eyJhbGciOi{pick(rng, TOKEN, 20)}.eyJzdWIi{pick(rng, TOKEN, 40)}.{pick(rng, TOKEN, 43)}",
    "private key": pem,
    "assigned": lambda rng: (
        f'{rng.choice(["password", "api_key", "DB_PASSWORD", "client_secret"])} = "{pick(rng, LETTERS, 20)}"'
    ),
}
