"""Energy: RAPL's counters over their wrap, NVML where there is a GPU, and a reason where nothing can be read."""

from pathlib import Path

import pytest
import torch

from slipway.model.energy import Meter

RANGE = 262143328850


def domain(powercap: Path, number: str, name: str, microjoules: int) -> Path:
    """A folder as the kernel shows it."""
    folder = powercap / f"intel-rapl:{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "max_energy_range_uj").write_text(f"{RANGE}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    return folder / "energy_uj"


def test_packages_are_summed_and_their_parts_are_not(tmp_path):
    first, second = domain(tmp_path, "0", "package-0", 5_000_000), domain(tmp_path, "1", "package-1", 7_000_000)
    core, platform = domain(tmp_path, "0:0", "core", 1), domain(tmp_path, "2", "psys", 1)
    meter = Meter.start("cpu", powercap=tmp_path)
    assert meter.joules() == 0
    for counter, value in ((first, 6_500_000), (second, 8_000_000), (core, 9 << 20), (platform, 9 << 20)):
        counter.write_text(f"{value}\n")
    assert meter.joules() == pytest.approx(2.5)
    assert meter.method.startswith("RAPL: 2 processor packages")


def test_a_counter_that_wraps_goes_on(tmp_path):
    counter = domain(tmp_path, "0", "package-0", RANGE - 1_000_000)
    meter = Meter.start("cpu", powercap=tmp_path)
    for lap in range(3):
        counter.write_text("2000000\n")
        assert meter.joules() == pytest.approx(3 + lap * RANGE / 1e6)
        counter.write_text(f"{RANGE - 1_000_000}\n")
        assert meter.joules() == pytest.approx((lap * RANGE + RANGE) / 1e6)


def test_what_cannot_be_read_is_unknown_with_the_reason(tmp_path):
    for place in (tmp_path / "none", tmp_path):
        meter = Meter.start("cpu", powercap=place)
        assert (meter.joules(), meter.method) == (None, f"unknown: no RAPL counter in {place}")
    domain(tmp_path, "0", "package-0", 1).write_text("what\n")
    meter = Meter.start("cpu", powercap=tmp_path)
    assert meter.joules() is None
    assert meter.method.startswith("unknown: RAPL cannot be read")


def test_a_counter_that_goes_away_is_unknown_from_then_on(tmp_path):
    counter = domain(tmp_path, "0", "package-0", 1)
    meter = Meter.start("cpu", powercap=tmp_path)
    counter.unlink()
    assert meter.joules() is None
    assert "could not be read any more" in meter.method
    counter.write_text("5\n")
    assert meter.joules() is None, "a gap is not bridged"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_its_energy_is_unknown():
    meter = Meter.start("cuda")
    assert meter.joules() is None
    assert meter.method.startswith("unknown: NVML")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_that_works_uses_energy():
    pytest.importorskip("pynvml")
    meter = Meter.start("cuda")
    matrix = torch.randn(4096, 4096, device="cuda")
    for _ in range(200):
        matrix = (matrix @ matrix).clamp(-1, 1)
    torch.cuda.synchronize()
    assert meter.joules() > 1, meter.method
    assert meter.method == "NVML: 1 GPU board, without the machine around"
