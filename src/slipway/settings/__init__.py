"""The sections of the recipe as typed, frozen settings: what each number is, in which unit; a file per section.

`slipway.recipe` reads them from `params.yaml`; rooms receive the section of their stage.
"""

from slipway.settings.acquire import Acquire, Base, FileSource, Limits, PydocsSource, Shape, Source
from slipway.settings.base import Count, Name, Settings, Share
from slipway.settings.evaluate import Choice, Evaluate, HarnessTask, TaskFile
from slipway.settings.gate import Check, Gate, NonInferiority, Waiver
from slipway.settings.objective import Distill, Dpo, Objective, Pretrain, Sft, Simpo
from slipway.settings.prepare import Action, Canaries, Decontaminate, Pii, Prepare, Quality
from slipway.settings.release import Approval, Bundle, Price, Release, Scan
from slipway.settings.safety import Poisoning, Safety
from slipway.settings.tokenize import Tokenize
from slipway.settings.train import Devices, Keep, Lora, Train, Watch
from slipway.settings.validate import Validate

__all__ = [
    "Acquire",
    "Action",
    "Approval",
    "Base",
    "Bundle",
    "Canaries",
    "Check",
    "Choice",
    "Count",
    "Decontaminate",
    "Devices",
    "Distill",
    "Dpo",
    "Evaluate",
    "FileSource",
    "Gate",
    "HarnessTask",
    "Keep",
    "Limits",
    "Lora",
    "Name",
    "NonInferiority",
    "Objective",
    "Pii",
    "Poisoning",
    "Prepare",
    "Pretrain",
    "Price",
    "PydocsSource",
    "Quality",
    "Release",
    "Safety",
    "Scan",
    "Settings",
    "Sft",
    "Shape",
    "Share",
    "Simpo",
    "Source",
    "TaskFile",
    "Tokenize",
    "Train",
    "Validate",
    "Waiver",
    "Watch",
]
