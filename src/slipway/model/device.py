"""What training runs on, and what that can do: probed, not assumed, and written into the record."""

import time
from dataclasses import dataclass

import torch

from slipway.errors import UserError
from slipway.settings import Devices, Train

FULL_RUN = 1e17
"""Floating-point operations from which compiling is taken to earn back its minutes on a GPU."""


@dataclass(frozen=True)
class Device:
    """One device and what it computes in."""

    place: torch.device
    dtype: torch.dtype
    """Of the forward pass; parameters and optimiser are float32."""
    name: str
    """Kind of device, e.g. `cpu AVX2` or `cuda NVIDIA H100`; equal names are expected to give equal bits."""

    @property
    def on_gpu(self) -> bool:
        return self.place.type == "cuda"


def _kind(devices: Devices) -> str:
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    wanted = f"train.devices asks for {devices.count} "
    if devices.kind == "cpu" or (devices.kind == "auto" and not found and devices.count == 1):
        return "cpu"
    if not found:
        raise UserError(
            f"{wanted}GPUs, and this machine has none that torch can use (torch {torch.__version__}); run it on a "
            "machine with GPUs, or set train.devices to {kind: cpu, count: 1}"
        )
    if devices.count > found:
        raise UserError(f"{wanted}GPUs, and this machine has {found}; set train.devices.count to at most {found}")
    return "cuda"


def has_bfloat16(kind: str) -> bool:
    """Whether the device computes in bfloat16; where it does not, bfloat16 is emulated, ten times slower."""
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    can = torch.cpu.get_capabilities()
    return bool(can.get("avx512_bf16") or can.get("amx_bf16"))


def choose(settings: Train, local_rank: int = 0) -> Device:
    """The device of this process.

    Raises:
        UserError: if the recipe asks for devices or a precision that are not there.
    """
    kind = _kind(settings.devices)
    able = has_bfloat16(kind)
    if settings.precision == "bfloat16" and not able:
        raise UserError(
            f"train.precision is bfloat16, and this {kind} does not compute in it; set it to auto, which takes float32"
        )
    half = able and settings.precision != "float32"
    if kind == "cpu":
        name = f"cpu {torch.backends.cpu.get_cpu_capability()}"
    else:
        torch.cuda.set_device(local_rank)
        name = f"cuda {torch.cuda.get_device_name(local_rank)}"
    place = torch.device(kind, local_rank) if kind == "cuda" else torch.device("cpu")
    return Device(place, torch.bfloat16 if half else torch.float32, name)


def compiles(settings: Train, device: Device, flops: int) -> tuple[bool, str]:
    """Whether to use `torch.compile`, and why; the same for every attempt at a run.

    Args:
        settings: the recipe's.
        device: of this process.
        flops: of the whole run.
    """
    if settings.compile != "auto":
        return settings.compile == "on", "the recipe says so"
    if not device.on_gpu:
        # Measured on two cores: 100 s of compiling, and a step no faster than with the chunked loss.
        return False, "it does not pay on a processor"
    if flops < FULL_RUN:
        return False, "the run is too short to earn it back"
    return True, "the run is long enough to earn it back"


def matmul_peak(device: Device) -> float:
    """FLOP/s of the best of several square matrix products in the run's precision and threads."""
    size, rounds = (8192, 8) if device.on_gpu else (1024, 5)
    a = torch.randn(size, size, device=device.place, dtype=device.dtype, generator=_generator(device))
    best = float("inf")
    for _ in range(rounds + 1):
        _wait(device)
        started = time.perf_counter()
        torch.mm(a, a)
        _wait(device)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def _generator(device: Device) -> torch.Generator:
    # Its own, so that measuring leaves the run's random numbers alone.
    return torch.Generator(device.place).manual_seed(0)


def _wait(device: Device) -> None:
    if device.on_gpu:
        torch.cuda.synchronize(device.place)
