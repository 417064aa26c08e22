"""What a pattern alone cannot say: check digits, assigned ranges, and how much chance is in a value.

Each check is a few lines after its standard: payment cards (ISO/IEC 7812-1: issuer's range and the check digit of
Luhn), bank accounts (ISO 13616: length by country, 1 modulo 97), calling codes (ITU-T E.164), the North American plan.
"""

import ipaddress
import math
from collections import Counter

_IBAN = (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 "
    "EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 "
    "IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 "
    "NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 "
    "SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30 "
)
IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _IBAN.split()}
"""Country to characters of an account number, from the registry of ISO 13616."""

_TWO = (
    "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90"
)
_THREE = (
    *(211, 212, 213, 216, 218, *range(220, 270), 290, 291, 297, 298, 299, *range(350, 360), *range(370, 384)),
    *(385, 386, 387, 389, 420, 421, 423, *range(500, 510), *range(590, 600), 670, *range(672, 684), *range(685, 693)),
    *(850, 852, 853, 855, 856, 880, 886, *range(960, 969), *range(970, 978), *range(992, 997), 998),
)
CALLING_CODES = frozenset({"1", "7", *_TWO.split(), *map(str, _THREE)})
_NATIONAL = {"1": (10, 10), "7": (10, 10), "33": (9, 9), "34": (9, 9), "41": (9, 9), "44": (9, 10), "91": (10, 10)}
_ANY_NATIONAL = (7, 12)
_SIXTEEN = ((5100, 5599), (2221, 2720), (3528, 3589), (6011, 6011), (6440, 6599))


def luhn(digits: str) -> bool:
    """Whether the last digit is right for the others (ISO/IEC 7812-1, annex B)."""
    values = [int(digit) for digit in reversed(digits)]
    return (sum(values[::2]) + sum(sum(divmod(2 * value, 10)) for value in values[1::2])) % 10 == 0


def card(digits: str) -> bool:
    """Whether an issuer of cards has this range at this length, and the check digit is right."""
    two, four = int(digits[:2]), int(digits[:4])
    lengths: tuple[int, ...] = ()
    if digits[0] == "4" or any(low <= four <= high for low, high in _SIXTEEN):
        lengths = (16,)
    elif two == 62:
        lengths = (16, 17, 18, 19)
    elif two in {34, 37}:
        lengths = (15,)
    elif two in {36, 38} or 3000 <= four <= 3059:
        lengths = (14,)
    return len(digits) in lengths and len(set(digits)) > 1 and luhn(digits)


def iban(account: str) -> bool:
    """Whether `account`, without separators, has its country's length and is 1 modulo 97."""
    if IBAN_LENGTHS.get(account[:2]) != len(account):
        return False
    return int("".join(str(int(character, 36)) for character in account[4:] + account[:4])) % 97 == 1


def north_american(digits: str) -> bool:
    """Ten digits of the North American plan: neither area nor exchange begins with 0 or 1."""
    return len(digits) == 10 and digits[0] in "23456789" and digits[3] in "23456789" and len(set(digits)) > 2


def international(digits: str) -> bool:
    """Digits after the plus sign: an assigned calling code, and a length its country can have (E.164)."""
    code = next((digits[:size] for size in (1, 2, 3) if digits[:size] in CALLING_CODES), None)
    if code is None or len(digits) > 15 or len(set(digits)) < 3:
        return False
    national = digits[len(code) :]
    if code == "1":
        return north_american(national)
    low, high = _NATIONAL.get(code, _ANY_NATIONAL)
    return low <= len(national) <= high and (national[0] != "0" or code == "39")


def public(address: str) -> bool:
    """An IP address that could be somebody's: globally routable, unlike a version (1.2.3.4) or a slice (2000::2)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed.is_global and not parsed.is_multicast and max(parsed.packed) >= 32
    return parsed.is_global and sum(bool(group) for group in address.split(":")) >= 3


def entropy(value: str) -> float:
    """Bits per character, from the frequencies of the characters of `value` itself."""
    counts = Counter(value)
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())


def random_looking(value: str) -> bool:
    """Letters and digits, at least 3.3 bits per character: a key far more often than a word or an example."""
    has_letter = any("a" <= character <= "z" or "A" <= character <= "Z" for character in value)
    return has_letter and any("0" <= character <= "9" for character in value) and entropy(value) >= 3.3
