"""The energy that the devices of this machine use, read from their own counters: NVML of GPUs, RAPL of processors.

What cannot be read is unknown, with the reason. Nothing is estimated from a rated power.

>>> meter = Meter.start("cpu")
>>> meter.joules(), meter.method
(1520.3, 'RAPL: 2 processor packages, with all else that ran on them')
"""

from collections.abc import Callable
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")

Reader = Callable[[], float]
"""Joules since some moment in the past; never less than at the call before."""


class _Package:
    """One processor package of RAPL, whose counter wraps."""

    def __init__(self, folder: Path) -> None:
        self._counter = folder / "energy_uj"
        self._range = int((folder / "max_energy_range_uj").read_text("ascii"))
        self._last, self._laps = self._read(), 0

    def _read(self) -> int:
        return int(self._counter.read_text("ascii"))

    def joules(self) -> float:
        """Right as long as the counter wraps at most once between two calls; it takes minutes to."""
        now = self._read()
        self._laps += now < self._last
        self._last = now
        return (self._laps * self._range + now) / 1e6


def _rapl(powercap: Path) -> tuple[Reader | None, str]:
    try:
        names = {folder: (folder / "name").read_text("ascii").strip() for folder in powercap.glob("intel-rapl:*")}
        # The domains inside a package are part of it, and so is `psys` the sum of all.
        packages = [_Package(folder) for folder, name in sorted(names.items()) if name.startswith("package")]
        if not packages:
            return None, f"unknown: no RAPL counter in {powercap}"
    except PermissionError as error:
        return None, f"unknown: {error.filename} may be read by the superuser only"
    except (OSError, ValueError) as error:
        return None, f"unknown: RAPL cannot be read ({error})"
    count = f"{len(packages)} processor package{'s' if len(packages) > 1 else ''}"
    return lambda: sum(package.joules() for package in packages), f"RAPL: {count}, with all else that ran on them"


def _nvml(devices: int) -> tuple[Reader | None, str]:
    """Counters of the first so many GPUs that this process may use."""
    import torch

    try:
        import pynvml
    except ImportError:
        return None, "unknown: NVML needs the package nvidia-ml-py (extra `gpu` of slipway)"
    try:
        pynvml.nvmlInit()
        # By identity: NVML counts all GPUs of the machine, in another order than CUDA.
        identities = [f"GPU-{torch.cuda.get_device_properties(number).uuid}" for number in range(devices)]
        boards = [pynvml.nvmlDeviceGetHandleByUUID(identity) for identity in identities]

        def read() -> float:
            return sum(pynvml.nvmlDeviceGetTotalEnergyConsumption(board) for board in boards) / 1e3

        read()
    except (pynvml.NVMLError, RuntimeError, AssertionError) as error:  # torch without CUDA, or without a driver
        return None, f"unknown: NVML cannot be read ({error})"
    return read, f"NVML: {devices} GPU board{'s' if devices > 1 else ''}, without the machine around"


class Meter:
    """Joules since `start`."""

    def __init__(self, read: Reader | None, method: str) -> None:
        self.method = method
        """What was read, or why it is not known."""
        self._read = read
        self._first = read() if read else 0.0

    @classmethod
    def start(cls, kind: str, devices: int = 1, *, powercap: Path = POWERCAP) -> "Meter":
        """Begin to measure.

        Args:
            kind: `cuda` for GPUs, anything else for the processor.
            devices: GPUs of this machine that are used, the first so many.
            powercap: where Linux shows RAPL.
        """
        return cls(*(_nvml(devices) if kind == "cuda" else _rapl(powercap)))

    def joules(self) -> float | None:
        """Joules since the start; None if they are not known. Call it at least every few minutes."""
        if self._read is None:
            return None
        try:
            return self._read() - self._first
        except Exception as error:  # noqa: BLE001  a counter that goes away must not end the training that it measures
            self._read, self.method = None, f"unknown: the counter could not be read any more ({error})"
            return None
