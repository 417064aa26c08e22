"""Starting the processes of a job with several devices, and what they leave for the stage that started them.

torchrun (torch elastic) starts the ranks and restarts all of them when one dies; each then goes on from what is
finished: the newest valid checkpoint, or the journal of scored batches. A mistake that a person must mend is not worth
a restart: it is written down, and ranks that find it leave at once.
"""

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, overload

from slipway.errors import Refusal, UserError
from slipway.files import write_atomic
from slipway.processes import die_with
from slipway.records import Record, TrainReport
from slipway.settings import Devices

MODULE = "pipelines.train"
REPORT, FAILURE = "report.json", "failure.txt"
ENVIRONMENT = {
    # Until the recipe's number is set; torchrun says so at length if nobody does.
    "OMP_NUM_THREADS": "1",
    # A store of its own for each attempt: the old one holds the addresses of processes that are dead.
    "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
}
"""What a launcher must have; launch files for other machines set it too."""
_OWNER = "SLIPWAY_STAGE_PROCESS"
Report = TypeVar("Report", bound=Record)


def wanted(devices: Devices) -> bool:
    """Whether the recipe asks for more than one process."""
    return devices.count * devices.nodes > 1


def inside() -> bool:
    """Whether this process is a rank."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def first() -> bool:
    """Whether this process speaks for the job: the first rank, or one that stands alone."""
    return os.environ.get("RANK", "0") == "0"


def restarted() -> bool:
    """Whether this rank was started again after one of the job had died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def _command(devices: Devices, module: str = MODULE) -> list[str]:
    """What starts the ranks: `SLIPWAY_LAUNCHER`, or torchrun on this machine."""
    if given := os.environ.get("SLIPWAY_LAUNCHER"):
        return [*shlex.split(given), "-m", module]
    if devices.nodes > 1:
        raise UserError(
            f"train.devices.nodes is {devices.nodes}: say how processes are started on the other machines, in "
            "SLIPWAY_LAUNCHER; infra/slurm and infra/kubernetes have examples"
        )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return [*torchrun, "--nproc-per-node", str(devices.count), "--max-restarts", str(devices.restarts), "-m", module]


@overload
def launch(devices: Devices, work: Path) -> TrainReport: ...
@overload
def launch(devices: Devices, work: Path, module: str, report: type[Report]) -> Report: ...
def launch(devices: Devices, work: Path, module: str = MODULE, report: type[Any] = TrainReport) -> Any:
    """Run the job to its end and return what its first rank reports.

    Args:
        devices: how many processes.
        work: where they leave the report.
        module: of the stage, which each process runs.
        report: what the stage's report is.

    Raises:
        UserError: what a rank had to say, or that the job died more often than it may be restarted.
    """
    command = _command(devices, module)
    work.mkdir(parents=True, exist_ok=True)
    for name in (REPORT, FAILURE):
        (work / name).unlink(missing_ok=True)
    environment = ENVIRONMENT | os.environ | {_OWNER: f"{socket.gethostname()} {os.getpid()}"}
    code = subprocess.call(command, env=environment)
    if (failure := work / FAILURE).is_file():
        error, _, text = failure.read_text("utf-8").partition("\n")
        raise (Refusal if error == "Refusal" else UserError)(text)
    if code or not (work / REPORT).is_file():
        raise UserError(
            f"the job ended with code {code} and left no report; what its processes said stands above. Run it again: "
            "it goes on from what is finished"
        )
    return report.model_validate_json((work / REPORT).read_bytes())


def serve(body: Callable[[], Record | None], work: Path) -> None:
    """Be a rank: do the work, and leave the report or the reason why there is none."""
    host, _, pid = os.environ.get(_OWNER, "").rpartition(" ")
    if host == socket.gethostname():
        die_with(int(pid))
    if restarted() and (work / FAILURE).is_file():
        return
    try:
        report = body()
    except (UserError, OSError) as error:  # a full disk is a person's to mend too
        write_atomic(work / FAILURE, f"{type(error).__name__}\n{error}")
        os._exit(1)  # the others wait for this rank; the launcher ends them
    if report is not None:
        write_atomic(work / REPORT, report.to_json())
