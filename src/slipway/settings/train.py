"""Section `train`: where training starts, what it learns from, optimiser, schedule, devices."""

from typing import Annotated, Any, Literal

from pydantic import Field

from slipway.settings.base import Count, Settings, Share
from slipway.settings.objective import Objective, Pretrain


class Lora(Settings):
    """Low-rank adapters, merged into the weights at the end (Hu et al., arXiv:2106.09685)."""

    rank: Count = 16
    alpha: Annotated[float, Field(gt=0)] = 32.0
    """The update is scaled by alpha / rank."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    """Names of the linear layers, as in the model; `all-linear` is every one but the output head."""


class Keep(Settings):
    """Which checkpoints stay; that of the best validation always does."""

    last: Annotated[int, Field(ge=1)] = 2
    every: Count | None = None
    """Also those of each so-many steps (a multiple of checkpoint_every), for `slipway replay`."""


class Watch(Settings):
    """When a run is stopped because something is wrong with it; NaN and infinity always stop it."""

    window: Annotated[int, Field(ge=8)] = 64
    """Steps that a loss is compared with."""
    spike: Annotated[float, Field(gt=0)] = 20.0
    """Standard deviations above the mean of the window at which one loss is a spike (and at least 0.5 nats)."""
    divergence: Annotated[float, Field(gt=0)] = 1.5
    """Nats per token by which the mean of the window may exceed the lowest one so far."""


class Devices(Settings):
    """What training runs on. All numbers of the recipe hold for the whole job, whatever the number of devices."""

    kind: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto`: the accelerator if there is one, else the processor."""
    count: Count = 1
    """Processes per machine, a device each; more than one shards the model (FSDP2)."""
    nodes: Count = 1
    """Machines."""
    restarts: Annotated[int, Field(ge=0)] = 3
    """How often a job of several processes is restarted after one of them died."""


class Train(Settings):
    """Training of a causal language model."""

    start: Literal["scratch", "base"] = "scratch"
    """New weights from `architecture`, or those of `acquire.base`."""
    architecture: dict[str, Any] | None = None
    """For `scratch`: arguments of the transformers configuration class named by `model_type`."""
    objective: Objective = Pretrain()
    adapter: Lora | None = None
    """Train low-rank adapters on a base instead of all weights."""
    base_bits: Literal[4, 8] | None = None
    """Hold the base in so many bits while adapters are trained (needs bitsandbytes and an adapter)."""
    sequence_length: Annotated[int, Field(ge=8)]
    """Tokens per row."""
    batch_size: Count
    """Rows (or preference pairs) per step, over all devices."""
    micro_batch_size: Count | None = None
    """Rows per forward pass on one device; gradients are accumulated up to `batch_size`. null: as many as there are."""
    steps: Count
    optimizer: Literal["adamw", "muon"]
    learning_rate: Annotated[float, Field(gt=0)]
    """Peak of AdamW; with Muon, of the embedding and the norms."""
    matrix_learning_rate: Annotated[float, Field(gt=0)] = 0.02
    """Peak of Muon, for the hidden matrices."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["wsd", "cosine"] = "wsd"
    """Warm-up, plateau and linear fall; or warm-up and half a cosine."""
    warmup_share: Share = 0.02
    """Share of the steps with a rising learning rate."""
    decay_share: Share = 0.4
    """Share of the steps, at the end, with a falling learning rate (`wsd`)."""
    floor_share: Share = 0.0
    """Share of the peak that `cosine` ends at."""
    clip: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of the gradient."""
    average: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay per step of an exponential moving average of the weights; validation and release use the average."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`auto`: bfloat16 where the device computes in it, else float32. Parameters and optimiser stay float32."""
    deterministic: bool = True
    """Only algorithms that give the same bits each time; slower on some GPUs."""
    activation_checkpointing: bool = False
    """Compute activations twice to hold fewer."""
    compile: Literal["auto", "on", "off"] = "auto"
    """`torch.compile`; `auto`: on a GPU for runs long enough to earn it back, never on a processor."""
    validate_every: Count
    """Steps between two validations."""
    patience: Count
    """Validations without a better loss before training stops early."""
    checkpoint_every: Count
    """Steps between two checkpoints."""
    keep: Keep = Keep()
    watch: Watch = Watch()
    devices: Devices = Devices()
    threads: Count
    """CPU threads per process; part of the recipe because sums depend on how they are split."""
