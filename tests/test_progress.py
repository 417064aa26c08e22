"""Bytes on their way: silent while it is quick, then how many, how fast and how long still."""

from slipway import progress


def run(monkeypatch, seconds: list[float]) -> None:
    clock = iter(seconds)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))


def test_what_takes_less_than_a_second_says_nothing(monkeypatch, capsys):
    run(monkeypatch, [0.0, 0.5])
    shown = progress.Transfer("send", 100)
    shown(50)
    shown.end()
    assert capsys.readouterr().out == ""


def test_a_longer_one_says_how_many_how_fast_and_how_long_still(monkeypatch, capsys):
    run(monkeypatch, [0.0, 2.0, 10.0, 20.0, 20.0])
    shown = progress.Transfer("send", 2_000_000_000)
    shown(500_000_000)
    shown.end()
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("send ██████░")
    assert first.endswith(" 25% 0.5 of 2.0 GB, 250 MB/s, 6 s left")
    assert "100% 2.0 of 2.0 GB, 100 MB/s" in last


def test_what_has_to_go_again_is_taken_back(monkeypatch, capsys):
    run(monkeypatch, [0.0, 0.1, 0.2, 4.0, 10.0])
    shown = progress.Transfer("send", 1_000_000_000)
    shown(800_000_000)
    shown(-800_000_000)
    shown(200_000_000)
    assert "20% 0.2 of 1.0 GB, 50 MB/s, 16 s left" in capsys.readouterr().out
