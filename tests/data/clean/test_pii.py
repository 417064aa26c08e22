"""Personal data: what is found, and what technical text must not set off."""

import pytest

from slipway.data.clean.pii import scrub
from slipway.patterns import KINDS

REDACT = dict.fromkeys(KINDS, "redact")


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Write to ana.lima+x@mail.example.org.", "Write to <EMAIL>."),
        ("Call +49 30 1234 5678 now", "Call <PHONE> now"),
        ("Call +442071838750, or (415) 555-2671.", "Call <PHONE>, or <PHONE>."),
        ("card 4111 1111 1111 1234 no, 4539 1488 0343 6467 yes", "card 4111 1111 1111 1234 no, <CARD> yes"),
        ("amex 378282246310005", "amex <CARD>"),
        ("from 81.2.69.142 and 2a02:26f0:00aa:0000:0000:0000:0000:1234", "from <IP> and <IP>"),
        ("ping 81.2.69.142:8080.", "ping <IP>:8080."),
        ("key AKIAIOSFODNN7EXAMPLE", "key <SECRET>"),
        ("token ghp_" + "a1B2" * 9, "token <SECRET>"),
        ("-----BEGIN RSA PRIVATE KEY-----\n" + "MIIB" * 20 + "\n", "<SECRET>-----"[:8]),
    ],
)
def test_found_and_replaced(text, clean):
    assert scrub(text, REDACT).text == clean


@pytest.mark.parametrize(
    "text",
    [
        "array([ 4539148803436467., 1.4539148803436467, 4539148803436467.5])",
        "[+1.5 +22.25 +333.125] and +2147483647 and 1+2",
        "2020-01-02 12:30:45+00:00, 100-200-300, 12-34-56",
        "versions 1.2.3.4, 10.1.2.3 and v8.8.8.8, at 127.0.0.1, 0.0.0.0 or 192.168.0.1; 999.1.1.1",
        "4444 4444 4444 4444",
        "A @ B, x@y, decorator @property, user@localhost",
        "sk-learn, ghp_short, hf_hub, xoxo, 00:11:22:33:44:55",
        "seed=6011000990139424999 and 1234567890123",
    ],
)
def test_technical_text_is_left_alone(text):
    assert scrub(text, REDACT).text == text


def test_other_actions_only_report():
    actions = REDACT | {"email": "drop", "ip": "fail"}
    result = scrub("a@b.example from 81.2.69.142, +49 30 1234 5678", actions)
    assert result.kept == ("email", "ip")
    assert result.redacted == {"phone": 1}
    assert "a@b.example" in result.text
