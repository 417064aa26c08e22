"""How the model was trained, in words and numbers for the card and the report page.

Only what is the same in every run with this recipe; what a run took (hours, energy, cost) is in LEDGER.md.
"""

from slipway.page import number
from slipway.records import TrainReport
from slipway.release.bundle.material import Material
from slipway.release.bundle.render import share
from slipway.settings import Train

OBJECTIVES = {
    "pretrain": "next-token prediction",
    "sft": "next-token prediction of the assistant's turns and of completions",
    "dpo": "direct preference optimisation against the starting weights",
    "simpo": "preference optimisation without reference weights",
    "distill": "knowledge distillation from a teacher",
}
WIDTHS, DEPTHS = ("hidden_size", "n_embd", "d_model"), ("num_hidden_layers", "n_layer", "num_layers")
"""Names of the same thing in configurations of transformers."""


def unit(report: TrainReport) -> str:
    """Of the losses of the objective."""
    return "nats per pair" if report.objective in ("dpo", "simpo") else "nats per token"


def architecture(material: Material) -> str:
    """Kind of model, layers and width, as far as `config.json` says."""
    config = material.architecture
    parts = [str(config.get("model_type", "unknown"))]
    parts += [f"{config[name]} layers" for name in DEPTHS if name in config][:1]
    parts += [f"width {number(config[name])}" for name in WIDTHS if name in config][:1]
    return ", ".join(parts)


def parameters(material: Material) -> str:
    """How many, in which type they are stored, and how many were trained."""
    report, config = material.train, material.architecture
    stored = config.get("dtype") or config.get("torch_dtype") or "float32"
    some = (
        f"; {number(report.trained_parameters)} were trained" if report.trained_parameters != report.parameters else ""
    )
    return f"{number(report.parameters)} ({stored}){some}"


def _objective(settings: Train, report: TrainReport) -> str:
    def shown(value: object) -> str:
        return ("yes" if value else "no") if isinstance(value, bool) else str(value)

    numbers = settings.objective.model_dump(exclude={"kind"})
    given = ", ".join(f"{name.replace('_', ' ')} {shown(value)}" for name, value in numbers.items())
    words = OBJECTIVES.get(report.objective, report.objective)
    return f"{report.objective}: {words}{f' ({given})' if given else ''}"


def _start(report: TrainReport) -> str:
    return "new weights" if report.start == "scratch" else "the weights of the base model"


def _schedule(settings: Train) -> str:
    rise = f"warm-up over {share(settings.warmup_share)} of the steps"
    if settings.schedule == "wsd":
        return f"{rise}, plateau, linear fall over the last {share(settings.decay_share)}"
    return f"{rise}, half a cosine down to {share(settings.floor_share)} of the peak"


def _optimizer(settings: Train) -> str:
    peak = f"peak learning rate {settings.learning_rate:g}"
    if settings.optimizer == "muon":
        peak += f", of the hidden matrices {settings.matrix_learning_rate:g}"
    return (
        f"{settings.optimizer}, {peak}, weight decay {settings.weight_decay:g}, gradient norm at most {settings.clip:g}"
    )


def rows(material: Material) -> list[tuple[str, str]]:
    """The table `Training` of the card."""
    settings, report = material.recipe.train, material.train
    pairs = "pairs" if unit(report) == "nats per pair" else f"rows of {number(settings.sequence_length)} tokens"
    bits = report.validation_bits_per_byte
    found = [("Objective", _objective(settings, report)), ("Started from", _start(report))]
    if report.adapter:
        error = "not measured" if report.merge_error is None else f"{report.merge_error:.1e}"
        merged = f"merged into the weights; largest difference of a logit before and after: {error}"
        found.append(("Adapter", f"{report.adapter}, {merged}"))
    if settings.base_bits:
        found.append(("Base while training", f"held in {settings.base_bits} bits"))
    early = ", stopped early" if report.stopped_early else ""
    average = f"exponential moving average, decay {settings.average:g} per step" if report.averaged else "none"
    return [
        *found,
        (
            "Steps",
            f"{number(report.steps)} of {number(settings.steps)}{early}; weights of step {number(report.best_step)}",
        ),
        ("Batch", f"{settings.batch_size} {pairs}"),
        ("Optimizer", _optimizer(settings)),
        ("Schedule", _schedule(settings)),
        ("Average of the weights", average),
        ("Training loss", f"{number(report.train_loss)} {unit(report)}"),
        (
            "Validation loss",
            f"{number(report.validation_loss)} {unit(report)}" + (f" ({number(bits)} bits per byte)" if bits else ""),
        ),
        ("Gap", f"{number(report.gap)} {unit(report)}, validation less training: what overfitting opens"),
        ("Seed", str(material.recipe.seed)),
    ]


def compute(material: Material) -> list[tuple[str, str]]:
    """The table `Compute` of the card: what the same recipe takes each time."""
    report = material.train
    processes = "process" if report.world_size == 1 else "processes"
    threads = "thread" if report.threads == 1 else "threads each" if report.world_size > 1 else "threads"
    return [
        (
            "Tokens seen",
            f"{number(report.tokens_seen)}, filling included; {number(report.tokens_learnt)} counted in the loss",
        ),
        ("FLOPs", f"{report.flops:.3e}, {number(report.flops_per_token)} per token: {report.flops_method}"),
        ("Device", f"{report.device}; {report.world_size} {processes}, {report.threads} {threads}"),
        ("Computed in", f"{report.dtype}; parameters and optimizer in float32"),
        ("Compiled", report.compiled),
    ]
