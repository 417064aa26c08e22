"""The table of personal data and secrets: what it must find, what it must not, and that no text takes it long."""

import itertools
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slipway.patterns import KINDS, Found, find, redact, secrets, suspects
from slipway.patterns.checks import CALLING_CODES, card, iban, international, luhn, public
from tests.planted import PERSONAL, SECRETS


def kinds(text: str) -> list[str]:
    return [one.kind for one in find(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Call 212 555-1234 or (212) 555-1234, or 1-800-555-1234.", ["212 555-1234", "(212) 555-1234", "800-555-1234"]),
        ("+14155552671 +4915112345678", ["+14155552671", "+4915112345678"]),
        ("+33 1 23 45 67 89, +49 (0)30 1234-5678; +1.415.555.2671", None),
        ("Tel.: 030 / 1234567, fax 01 23 45 67 89", ["030 / 1234567", "01 23 45 67 89"]),
        ("Phone: <PHONE> 12 34 56 78, tel 030 1234567", ["030 1234567"]),
        ("+1 415 555 2671 2024-01-01", ["+1 415 555 2671"]),
        ("＋４９ ３０ １２３４５６７", None),
    ],
)
def test_forms_of_phone_numbers(text, found):
    wordings = [text[one.start : one.end] for one in find(text)]
    assert {one.kind for one in find(text)} == {"phone"}
    assert found is None or wordings == found


@pytest.mark.parametrize(
    ("text", "kind", "wording"),
    [
        ("to GB82 WEST 1234 5698 7654 32 OK", "iban", "GB82 WEST 1234 5698 7654 32"),
        ("SSN: 123456789.", "ssn", "123456789"),
        ("social security number 123 45 6789", "ssn", "123 45 6789"),
        ("at 2606:4700:4700::1111.", "ip", "2606:4700:4700::1111"),
        ("http://81.2.69.142/", "ip", "81.2.69.142"),
        ("<a.b@c-d.example.co.uk>", "email", "a.b@c-d.example.co.uk"),
        ("ana@mail.example.org--or not", "email", "ana@mail.example.org"),
        ("ana.müller@straße.example", "email", "ana.müller@straße.example"),
        ("4539-1488-0343-6467 expires", "card", "4539-1488-0343-6467"),
        ("api_key='k3J9x-Q2w8Zr7Lp'", "secret", "k3J9x-Q2w8Zr7Lp"),
    ],
)
def test_where_a_finding_begins_and_ends(text, kind, wording):
    start = text.index(wording)
    assert find(text) == [Found(kind, start, start + len(wording))]


@pytest.mark.parametrize(
    "text",
    [
        "X@Y.mean and A@B.T, a@b.mean(0), a@b.x-y, git@github.com:org/repo, https://user@host.example.com/",
        "rng = np.random.default_rng(348932549825235)",
        "1500000000000000000 ns, 1700000000000 ms, id 1234567890123456",
        "a[2000::2], x[2001:2020:3], 2020-01-02T10:20:30, de:ad:be:ef:00:11, 2001:db8::1:2",
        "000-12-3456, 666-12-3456, 912-34-5678, 123-00-4567, 123-45-0000, 2024-11-23",
        "shape (100, 200, 3000) and [250 300 1000], +12 345 678, +2147483647",
        'password = "changeme", token="<your-token-here>", api_key = os.environ["API_KEY"]',
        'secret = "xxxxxxxxxxxxxxxx"',
        "DE89 3704 0044 0532 0130 01, AB12 3456, US12 3456 7890 1234 5678",
        "phone model 2024-01-15, tel 12-34, telescope 030 1234567, fax: see 1.2.3",
        "postgresql://user:password@localhost/db",
    ],
)
def test_what_only_looks_alike(text):
    assert find(text) == []


def test_addresses_with_passwords_count_for_the_strict():
    assert [words for words, _, _ in secrets("postgres://user:s3cret99@db/x")] == ["a password in an address"]


@pytest.mark.parametrize("line", ["API_KEY=a8f5f167f44f4964e6c998dee827110c", "export DB_PASSWORD=Sup3rS3cretPw99 "])
def test_settings_without_quotes_count_for_the_strict(line):
    assert [words for words, *_ in secrets(f"# settings\n{line}\n")] == ["a password or key"]
    assert find(f"# settings\n{line}\n") == []


@pytest.mark.parametrize("line", ["api_key=your-api-key-here", "password: ${DB_PASSWORD}", "api_key = os.environ[...]"])
def test_a_place_for_a_secret_is_none(line):
    assert list(secrets(line)) == []


def test_overlaps_go_to_the_more_telling():
    text = 'password = "kovacs81x@mail.example.org"'
    assert kinds(text) == ["secret"]
    assert [one.kind for one in find(text, ["email"])] == ["email"]


def test_a_private_key_goes_as_a_whole():
    text = "a\n" + SECRETS["private key"](random.Random(1)) + "\nb"
    assert redact(text) == "a\n<SECRET>\nb"


def test_unknown_kinds_are_named():
    with pytest.raises(ValueError, match="no such kind of personal data: fone"):
        find("x", ["fone"])


def test_check_digits_and_lengths():
    assert luhn("79927398713")
    assert not luhn("79927398710")
    assert card("378282246310005")
    assert not card("1234567812345670")  # right digit, no issuer
    assert not card("4" * 16)
    assert iban("NO9386011117947")
    assert not iban("NO938601111794")
    assert international("442071838750")
    assert not international("0442071838750")
    assert not international("2102071838750")  # no such calling code
    assert public("81.2.69.142")
    assert not public("10.200.0.1")
    assert not public("224.0.0.251")
    assert {"1", "44", "353", "886"} <= CALLING_CODES
    assert not any(code[:size] in CALLING_CODES for code in CALLING_CODES for size in range(1, len(code)))


def makers():
    return st.sampled_from([*PERSONAL.values(), *SECRETS.values()])


@st.composite
def passages(draw):
    """Text with findings side by side, with and without something between them."""
    rng = draw(st.randoms(use_true_random=False))
    between = st.text("ab 1.-+@:/\"'()=\n\u00a0é", max_size=6)
    return "".join(draw(between) + make(rng) for make in draw(st.lists(makers(), max_size=5))) + draw(between)


@settings(max_examples=100, deadline=None)
@given(passages() | st.text(max_size=60) | st.text("0123456789+-. ()@ab:\"'=pasword", max_size=80))
@example("212-555-1234-555-1234")
def test_nothing_is_left_after_redaction(text):
    clean = redact(text)
    assert find(clean) == []
    assert redact(clean) == clean


@settings(max_examples=100, deadline=None)
@given(passages() | st.text("0123456789+-. ()@ab:\"'=pasword", max_size=80))
def test_findings_stand_in_order_and_apart_and_are_suspected(text):
    found = find(text)
    assert all(0 <= one.start < one.end <= len(text) for one in found)
    assert all(first.end <= second.start for first, second in itertools.pairwise(found))
    assert not found or suspects([text]) == [0]
    for kind in KINDS:
        assert not find(text, [kind]) or suspects([text], [kind]) == [0]


def test_suspects_are_places_among_many():
    assert suspects(["plain", "a@b.org", "", "+49 30 1234567", "half \ud800 of x@y.org"]) == [1, 3, 4]


HOSTILE = {
    "emails": "a.a-" * 50_000 + "@",
    "at signs": "a@" * 100_000,
    "domain": "a@" + "a." * 100_000,
    "dashes": "1-" * 100_000,
    "plus": "+1 " * 60_000,
    "groups": "+" + "1 " * 100_000,
    "digits": "4" * 200_000,
    "fours": "4444 " * 40_000,
    "iban": "GB82 WEST " * 20_000,
    "dots": "81.2.69." * 25_000,
    "colons": "2001:" * 40_000,
    "tokens": "sk-" * 60_000,
    "web tokens": "eyJ" * 60_000,
    "web token parts": "eyJaaaaaaaa." * 16_000,
    "pem": "-----BEGIN PRIVATE KEY-----" * 7_000,
    "pem names": "-----BEGIN " + "RSA " * 50_000,
    "pem headers": "-----BEGIN PRIVATE KEY-----\n" + "Comment: x\n" * 18_000,
    "addresses": "http://a:" * 20_000,
    "aws": "aws" * 60_000,
    "aws secret": "aws secret " * 18_000,
    "assigned": 'password = "' * 16_000,
    "open quote": 'password = "' + "a1" * 100_000,
    "phone words": "phone: " * 28_000,
    "phone number": "phone: " + "1 " * 100_000,
    "ssn": "ssn " * 50_000,
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", HOSTILE)
def test_no_text_takes_more_than_its_length_allows(name):
    """One that took time by the square of its length would need minutes."""
    assert find(redact(HOSTILE[name])) == []
