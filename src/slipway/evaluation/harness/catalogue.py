"""Where a task of the harness comes from: a YAML of the project, or the installed ones."""

import difflib
from pathlib import Path
from typing import Any

from datasets.exceptions import DatasetsError
from jinja2 import TemplateError
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

from slipway.errors import UserError

WRONG = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, SyntaxError, TypeError, ValueError),
    *(DatasetsError, TemplateError),
)
"""What a task's templates, data and functions raise where they do not fit each other."""


def said(error: BaseException) -> str:
    """An error in words; of some only the cause says what is wrong."""
    kind, cause = type(error).__name__, error.__cause__ if isinstance(error, DatasetsError) else None
    return str(error) if isinstance(error, ValueError) else f"{kind}: {error}{f' ({cause})' if cause else ''}"


class NotRunError(Exception):
    """A task that cannot be asked here, though nothing is wrong with the recipe; `str` says why and what to do."""


class Catalogue:
    """Tasks by name. The project's own are looked up first, and the installed ones read (10 s) only when needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._own = TaskManager(include_path=str(folder), include_defaults=False) if folder.is_dir() else None
        self._every: TaskManager | None = None

    def _all(self) -> TaskManager:
        if self._every is None:
            self._every = TaskManager(include_path=str(self.folder) if self._own else None)
        return self._every

    def load(self, name: str) -> dict[str, Any]:
        """The tasks behind a name, by their own names: one, or those of a group or tag.

        Raises:
            UserError: if there is none of that name, or its YAML or data file is faulty.
            NotRunError: if it needs the network, a package that is not installed, or code of the model's.
        """
        manager = self._own if self._own and name in self._own.all_subtasks else self._all()
        if name not in manager.task_index:
            raise self._unknown(name, manager)
        path = manager.task_index[name].yaml_path
        try:
            tasks: dict[str, Any] = manager.load([name])["tasks"]
        except ImportError as error:
            if manager is self._own and error.name is None:
                raise UserError(f"task {name} ({path}) is not one that lm_eval takes: {said(error)}") from error
            needed = f"the package {error.name}" if error.name else f"a package that is not there: {error}"
            raise NotRunError(f"it needs {needed}; install it in this environment") from error
        except ConnectionError as error:
            raise NotRunError(
                f"its data is not on this machine ({error}), and evaluation uses no network. Fetch it once with "
                "`datasets.load_dataset` under the same HF_HOME, or write a YAML with local data_files to tasks/"
            ) from error
        except FileNotFoundError as error:
            if "Hub" in str(error):
                raise NotRunError("it needs code from the network, a metric for example, which is not used") from error
            raise UserError(f"task {name} ({path}): {error}") from error
        except (IndexError, StopIteration) as error:
            raise NotRunError(
                f"it has no items, or an empty choice in its first one ({said(error)}); see {Path(path).name}"
            ) from error
        except WRONG as error:
            raise UserError(f"task {name} ({path}) is not one that lm_eval takes: {said(error)}") from error
        _check(tasks)
        return tasks

    def _unknown(self, name: str, manager: TaskManager) -> UserError:
        for path in sorted(self.folder.rglob(f"{name}.yaml")):
            try:
                load_yaml(path, resolve_func=False, recursive=True)
            except Exception as error:  # noqa: BLE001  # a YAML library and file system of lm_eval's choice
                return UserError(f"{path}: cannot be read as a task: {error}")
        near = difflib.get_close_matches(name, manager.all_tasks, 5, 0.5)
        return UserError(
            f"evaluate.harness: lm_eval has no task {name}, and {self.folder} neither; "
            + (f"did you mean {', '.join(near)}?" if near else "`lm_eval ls tasks` lists those that are installed")
        )


def _check(tasks: dict[str, Any]) -> None:
    for name, task in tasks.items():
        if getattr(task, "UNSAFE_CODE", False) or getattr(task.config, "unsafe_code", False):
            raise NotRunError(f"{name} runs code that the model writes, which Slipway does not")
        if getattr(task, "MULTIMODAL", False):
            raise NotRunError(f"{name} shows pictures or sound, and the model reads text")
