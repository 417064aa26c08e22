"""What the machine can do is probed, and what it cannot is said."""

import pytest
import torch

from slipway.errors import UserError
from slipway.model.device import FULL_RUN, choose, compiles, has_bfloat16, matmul_peak
from tests.model.conftest import settings

CPU = {"kind": "cpu"}


def test_a_processor_is_named_by_what_it_computes_with() -> None:
    device = choose(settings(devices=CPU, precision="float32"))
    assert device.place == torch.device("cpu")
    assert not device.on_gpu
    assert device.name == f"cpu {torch.backends.cpu.get_cpu_capability()}"
    assert device.dtype == torch.float32


def test_half_precision_is_taken_only_where_the_processor_computes_in_it() -> None:
    able = has_bfloat16("cpu")
    assert able == bool(torch.cpu.get_capabilities().get("avx512_bf16") or torch.cpu.get_capabilities().get("amx_bf16"))
    assert choose(settings(devices=CPU, precision="auto")).dtype == (torch.bfloat16 if able else torch.float32)
    if able:
        assert choose(settings(devices=CPU, precision="bfloat16")).dtype == torch.bfloat16
    else:
        with pytest.raises(UserError, match="this cpu does not compute in it; set it to auto, which takes float32"):
            choose(settings(devices=CPU, precision="bfloat16"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="for machines without a GPU")
@pytest.mark.parametrize("devices", [{"kind": "cuda"}, {"count": 8}, {"kind": "cuda", "count": 2}])
def test_gpus_that_are_not_there_are_named(devices: dict) -> None:
    count = devices.get("count", 1)
    with pytest.raises(
        UserError, match=rf"asks for {count} GPUs, and this machine has none that torch can use.*kind: cpu"
    ):
        choose(settings(devices=devices, batch_size=8))


def test_compiling_is_decided_by_recipe_device_and_length_of_the_run() -> None:
    device = choose(settings(devices=CPU))
    assert compiles(settings(compile="on"), device, 0) == (True, "the recipe says so")
    assert compiles(settings(compile="off"), device, 0) == (False, "the recipe says so")
    assert compiles(settings(), device, int(10 * FULL_RUN)) == (False, "it does not pay on a processor")


def test_the_peak_is_measured_and_leaves_random_numbers_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert 1e8 < matmul_peak(choose(settings(devices=CPU, precision="float32"))) < 1e14
    assert torch.equal(before, torch.get_rng_state())
