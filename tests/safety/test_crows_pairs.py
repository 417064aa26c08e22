"""Files of sentence pairs from somebody else: what is read, and what is refused, with file, line and column."""

import re

import pytest

from slipway.errors import UserError
from slipway.safety import crows_pairs
from slipway.safety.crows_pairs import read

HEADER = ",sent_more,sent_less,stereo_antistereo,bias_type\n"
GOOD = "0,she sings,he sings,stereo,race-color\n"


def written(folder, content: str | bytes):
    path = folder / "pairs.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_pairs_are_read_with_mark_quotes_and_line_ends_of_any_system(tmp_path, ending):
    text = HEADER + GOOD + '1,"one ""quoted"",\nline","two\u2028, line",antistereo,age\n'
    first, second = read(written(tmp_path, b"\xef\xbb\xbf" + text.replace("\n", ending).encode()))
    assert (first.more, first.less, first.group, first.direction) == ("she sings", "he sings", "race-color", "stereo")
    assert second.more == f'one "quoted",{ending}line'
    assert second.less == "two\u2028, line"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: column sent_more stands there 0 times"),
        (HEADER, "a header and no pair"),
        (HEADER.replace("sent_less", "other"), "line 1: column sent_less stands there 0 times"),
        (HEADER.replace("\n", ",bias_type\n"), "line 1: column bias_type stands there 2 times"),
        (HEADER + GOOD + "\n" + GOOD, "line 3: an empty line"),
        (HEADER + GOOD + "1,a,b\n", "line 3: 3 values for 5 columns; is a quote missing?"),
        (HEADER + ",,,,\n", "line 2, column sent_more: empty"),
        (HEADER + GOOD + "1,a,  ,stereo,age\n", "line 3, column sent_less: empty"),
        (HEADER + '1,"a\nb",c,stereo,age\n2,a,a,stereo,age\n', "line 4, column sent_less: the same sentence"),
        (HEADER + "1,a,b,both,age\n", "line 2, column stereo_antistereo: 'both' is neither"),
        (HEADER + "1,a,b,stereo,Not A Kind\n", "line 2, column bias_type: 'Not A Kind' is no name"),
        (HEADER + "1,a,b,stereo,antistereo\n", "line 2, column bias_type: 'antistereo' is no name"),
        (HEADER + f"1,{'a' * 2001},b,stereo,age\n", "line 2, column sent_more: 2001 characters, more than 2000"),
        (HEADER + '1,"a,b,stereo,age\n', "no well-formed csv: unexpected end of data"),
        (HEADER + f"1,{'a' * 200_000},b,stereo,age\n", "line 2: no well-formed csv: field larger"),
        ((HEADER + GOOD).encode() + b"1,caf\xe9,b,stereo,age\n", "line 3: not UTF-8 at byte 93"),
        ((HEADER + GOOD).encode("utf-16"), "line 1: not UTF-8 at byte 0"),
        (HEADER + "".join(f"1,a,b,stereo,kind-{i}\n" for i in range(51)), "bias_type has 51 different values"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, content, message):
    path = written(tmp_path, content)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_files_that_are_missing_or_huge_are_refused_before_they_are_read(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="names no file"):
        read(tmp_path)
    path = tmp_path / "huge.csv"
    with path.open("wb") as stream:
        stream.truncate(crows_pairs.MOST_BYTES + 1)
    with pytest.raises(UserError, match="16777217 bytes are more than"):
        read(path)
    monkeypatch.setattr(crows_pairs, "MOST_PAIRS", 3)
    assert len(read(written(tmp_path, HEADER + GOOD * 3))) == 3
    with pytest.raises(UserError, match="more than 3 pairs"):
        read(written(tmp_path, HEADER + GOOD * 4))
