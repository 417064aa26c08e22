"""Starting a job of several processes: what it leaves is read, and what an earlier one left is not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.errors import Refusal, UserError
from slipway.model import ranks
from slipway.settings import Devices

TWO = Devices(kind="cpu", count=2)


@pytest.fixture
def launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A launcher that runs lines of Python in place of ranks."""
    script = tmp_path / "launcher.py"
    monkeypatch.setenv("SLIPWAY_LAUNCHER", f"{sys.executable} {script} --nodes 2")
    return script


def test_the_recipe_says_whether_a_launcher_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not ranks.wanted(Devices())
    assert ranks.wanted(TWO)
    assert ranks.wanted(Devices(nodes=2))
    monkeypatch.delenv("SLIPWAY_LAUNCHER", raising=False)
    assert ranks._command(TWO)[-6:] == ["--nproc-per-node", "2", "--max-restarts", "3", "-m", "pipelines.train"]
    with pytest.raises(UserError, match=r"nodes is 2: say how processes are started.*SLIPWAY_LAUNCHER"):
        ranks._command(Devices(nodes=2))


def test_ranks_get_what_a_restart_needs_and_the_module_to_run(launcher: Path, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    launcher.write_text(
        f"import json, os, sys; open({str(told)!r}, 'w').write(json.dumps([sys.argv[1:], dict(os.environ)]))"
    )
    with pytest.raises(UserError, match="ended with code 0 and left no report"):
        ranks.launch(TWO, tmp_path / "work")
    arguments, environment = json.loads(told.read_text())
    assert arguments == ["--nodes", "2", "-m", "pipelines.train"]
    assert environment.items() >= ranks.ENVIRONMENT.items()


def test_what_an_earlier_job_left_is_not_taken_for_this_one(launcher: Path, tmp_path: Path) -> None:
    launcher.write_text("raise SystemExit(7)")
    for name in (ranks.REPORT, ranks.FAILURE):
        (tmp_path / name).write_text("Refusal\nof yesterday")
    with pytest.raises(UserError, match=r"ended with code 7 and left no report.*Run it again"):
        ranks.launch(TWO, tmp_path)


@pytest.mark.parametrize("kind", [UserError, Refusal])
def test_what_a_rank_had_to_say_is_said_by_the_stage(launcher: Path, tmp_path: Path, kind: type[UserError]) -> None:
    launcher.write_text(f"open({str(tmp_path / ranks.FAILURE)!r}, 'w').write('{kind.__name__}\\nlower it\\nnow')")
    with pytest.raises(UserError, match=r"^lower it\nnow$") as error:
        ranks.launch(TWO, tmp_path)
    assert type(error.value) is kind


RANK = """
import sys
from pathlib import Path
from slipway.errors import UserError
from slipway.model import ranks

def body():
    print("worked")
    raise {error}

ranks.serve(body, Path(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("error", "left"),
    [
        ("UserError('a wrong number')", "UserError\na wrong number"),
        ("OSError(28, 'No space left on device')", "OSError\n[Errno 28] No space left on device"),
    ],
)
def test_a_rank_writes_down_what_a_person_must_mend_and_does_not_try_again(
    tmp_path: Path, error: str, left: str
) -> None:
    def rank(restarts: str) -> tuple[int, str]:
        command = [sys.executable, "-c", RANK.format(error=error), str(tmp_path)]
        environment = os.environ | {"TORCHELASTIC_RESTART_COUNT": restarts}
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
        return done.returncode, done.stdout

    assert rank("0")[0] == 1
    assert (tmp_path / ranks.FAILURE).read_text() == left
    assert rank("1") == (0, "")
