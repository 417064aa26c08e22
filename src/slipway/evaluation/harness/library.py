"""lm-evaluation-harness as we use it: without network, without telemetry, and without the same work twice."""

import functools
import logging
import os
from typing import Any

from slipway.errors import UserError

INSTALL = "lm-evaluation-harness is not installed; run `pip install -c constraints.txt -e .[harness]`"
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_EVALUATE_OFFLINE": "1",
    "HF_UPDATE_DOWNLOAD_COUNTS": "FALSE",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TQDM_DISABLE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Read by the libraries when they are imported."""


class NotInstalledError(UserError):
    """The harness, or what a task of it needs, is not there."""


def prepare() -> str:
    """Import the harness; its version.

    Raises:
        NotInstalledError: with the command that installs it.
    """
    os.environ |= OFFLINE
    try:
        import lm_eval
    except ModuleNotFoundError as error:
        if error.name != "lm_eval":
            raise
        raise NotInstalledError(INSTALL) from error
    _cut_off()
    _compile_once()
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    return str(lm_eval.__version__)


def _cut_off() -> None:
    """Libraries that were imported before have read another environment."""
    import datasets
    import huggingface_hub.constants

    huggingface_hub.constants.HF_HUB_OFFLINE = True
    datasets.config.HF_DATASETS_OFFLINE = datasets.config.HF_HUB_OFFLINE = True


def _compile_once() -> None:
    """The harness compiles the template of a task anew for every field of every item."""
    from lm_eval import utils

    environment: Any = utils.env
    if not hasattr(environment.from_string, "cache_info"):
        environment.from_string = functools.lru_cache(maxsize=4096)(environment.from_string)
