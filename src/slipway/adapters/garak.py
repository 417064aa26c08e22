"""garak, the vulnerability scanner for language models, run from an environment of its own.

Slipway neither installs nor imports it (it brings some two hundred packages). SLIPWAY_GARAK names the Python of an
environment where somebody did: `python -m venv garak && garak/bin/pip install garak`. It runs as a child process
that sees the model, an empty home and no network, and its report is read as data. Written for garak 0.17.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from slipway import processes
from slipway.errors import UserError
from slipway.records import Probe
from slipway.statistics import share

NAME = "garak"
VARIABLE = "SLIPWAY_GARAK"
PREFIX = "slipway"
LIMIT = 1800.0
"""Seconds, over all probes."""
GENERATIONS = 5
"""Per prompt."""
PROMPTS = 64
"""Of one of garak's probes, as far as the probe heeds it."""
NEW_TOKENS = 64
MOST_LINE = 64 << 20
"""Bytes of one line of the report; garak writes its list of plugins in one."""


Counts = dict[str, dict[str, tuple[int, int]]]
"""garak's probe -> its detector -> outputs that passed, and outputs."""


class NoResult(Exception):
    """Why garak gave no figures; it ends as the reason of a probe that was not run."""


def run(
    python: str | None,
    model_directory: Path,
    probes: Sequence[str],
    *,
    tokenizer_directory: Path | None = None,
    seed: int = 17,
    limit: float = LIMIT,
) -> Probe:
    """Ask garak for its verdicts: `pass_<module>_<Class>` for every probe of its own that ran.

    Each name is a run of its own, for garak stops at the first probe that it cannot judge. What gave no verdict is
    named in the details; if nothing did, the probe was not run.

    Args:
        python: of the environment that holds garak; None or empty if there is none.
        model_directory: config.json and safetensors.
        probes: garak's names, `lmrc.Profanity` or a whole module as `encoding`.
        tokenizer_directory: if the tokenizer lies elsewhere.
        seed: of garak's sampling.
        limit: seconds until it is ended, over all.

    Raises:
        UserError: for a name that cannot be one of garak's probes.
    """
    for name in probes:
        if not re.fullmatch(r"[a-z][a-z0-9_]*(\.[A-Z][A-Za-z0-9_]*)?", name):
            raise UserError(f"safety.garak: {name!r} is no probe of garak; `python -m garak --list_probes` lists them")
    if not probes:
        return _not_run("safety.garak names no probe of garak")
    if not python:
        return _not_run(f"{VARIABLE} is not set: garak runs only where it is installed in an environment of its own")
    if not (Path(python).is_file() and os.access(python, os.X_OK)):
        return _not_run(f"{VARIABLE} names no Python that can be run")
    # garak is started in another folder; and a link must stay one, for it tells Python its environment.
    python = str(Path(python).absolute())
    counts: Counts = {}
    versions, missed = set(), {}
    deadline = time.monotonic() + limit
    for name in dict.fromkeys(probes):
        with tempfile.TemporaryDirectory(prefix="slipway-garak-") as folder:
            model = _assemble(Path(folder) / "model", model_directory, tokenizer_directory)
            log = Path(folder) / "garak.log"
            try:
                _call(python, log, model, name, seed=seed, limit=deadline - time.monotonic())
                version, found = read(Path(folder) / "data" / "garak" / "garak_runs" / f"{PREFIX}.report.jsonl", name)
            except NoResult as reason:
                # garak's words hold paths of this machine, so they are shown and not recorded.
                print(f"garak gave no verdict on {name}: {reason}; its last lines:\n{processes.tail(log)}", flush=True)
                missed[name] = f"{reason}{_unloaded(log)}"
            else:
                counts |= found
                versions.add(version)
    if not counts:
        reasons = {reason: [name for name in missed if missed[name] == reason] for reason in missed.values()}
        return _not_run("; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items()))
    return _told(counts, versions, missed)


def _not_run(reason: str) -> Probe:
    return Probe(name=NAME, status="not run", reason=reason, measures={}, details={})


def _told(counts: Counts, versions: Iterable[str], missed: Mapping[str, str]) -> Probe:
    measures, details = {}, {}
    for probe, found in sorted(counts.items()):
        strictest = min(found.values(), key=lambda one: one[0] / one[1])
        measures[f"pass_{probe.replace('.', '_')}"] = share(*strictest)
        details[probe] = "; ".join(f"{detector} {passed} of {n}" for detector, (passed, n) in sorted(found.items()))
    details |= {f"{name} (not run)": reason for name, reason in missed.items()}
    details["version"] = f"garak {', '.join(sorted(versions))}"
    details["definition"] = (
        "share of outputs that passed, by the strictest detector of each probe; detectors are mostly string matches, "
        "and outputs to one prompt are alike, so the intervals are too narrow"
    )
    return Probe(name=NAME, status="run", reason="", measures=measures, details=details)


def _unloaded(log: Path) -> str:
    """What garak could not load: it ends quietly, with exit code 0, where a detector is a model that lies on a hub."""
    found = re.search(r"detector load failed: ([\w.]{1,100})", processes.tail(log, 1000)) if log.is_file() else None
    return f" (it could not load {found[1]}, which may be a model on a hub)" if found else ""


def _assemble(into: Path, model: Path, tokenizer: Path | None) -> Path:
    """One directory of links, because garak takes model and tokenizer from one place; the model's files win."""
    into.mkdir()
    for source in (model, tokenizer):
        for path in sorted(source.iterdir()) if source else ():
            if path.is_file() and not (into / path.name).exists():
                (into / path.name).symlink_to(path.resolve())
    return into


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of ours but where programs are: no credential, no telemetry, no hub, no proxy that answers."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "OMP_NUM_THREADS") if name in os.environ}
    homes = {"HOME": "home", "XDG_DATA_HOME": "data", "XDG_CACHE_HOME": "cache", "XDG_CONFIG_HOME": "config"}
    offline = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
    quiet = ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "PYTHONNOUSERSITE", "TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    dead = "http://127.0.0.1:9"
    return {
        **kept,
        **{name: str(folder / place) for name, place in homes.items()},
        **dict.fromkeys((*offline, *quiet), "1"),
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), dead),
        "TMPDIR": str(folder),
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONIOENCODING": "utf-8",
    }


def _guards() -> list[str]:
    """What starts a program without any network and ends it with us, as far as the system lets us."""
    found: list[str] = []
    for tool, *options in (("unshare", "--map-root-user", "--net"), ("setpriv", "--pdeathsig", "KILL")):
        if program := shutil.which(tool):
            guard = [program, *options, "--"]
            if subprocess.run([*found, *guard, "true"], capture_output=True, check=False).returncode == 0:
                found += guard
    return found


def _call(python: str, log: Path, model: Path, probe: str, *, seed: int, limit: float) -> None:
    folder = log.parent
    options = folder / "generator.json"
    settings = {"max_tokens": NEW_TOKENS, "hf_args": {"torch_dtype": "float32", "do_sample": True, "device": "cpu"}}
    options.write_text(json.dumps({"huggingface": {"Pipeline": settings}}), "utf-8")
    config = folder / "config.json"
    config.write_text(json.dumps({"run": {"soft_probe_prompt_cap": PROMPTS}}), "utf-8")
    command = [
        *(*_guards(), python, "-m", "garak", "--target_type", "huggingface.Pipeline", "--target_name", str(model)),
        *("--spec", f"probes.{probe}", "--report_prefix", PREFIX),
        # Without --deprefix the prompt would be judged as if the model had said it.
        *("--generations", str(GENERATIONS), "--seed", str(seed), "--deprefix", "--narrow_output"),
        *("--generator_option_file", str(options), "--config", str(config)),
    ]
    (folder / "home").mkdir()
    child = processes.start(command, cwd=folder, env=_environment(folder), log=log)
    try:
        code = child.wait(max(0.0, limit))
    except BaseException as error:
        processes.end(child.pid)
        child.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise NoResult("garak was not done in time and was ended") from None
        raise
    if code:
        missing = "No module named garak" in log.read_text("utf-8", errors="replace")
        raise NoResult(
            f"garak is not installed for the Python that {VARIABLE} names"
            if missing
            else f"garak ended with exit code {code}; the log of the stage shows its last lines"
        )


def _entries(report: Path) -> Iterator[Mapping[str, Any]]:
    """The lines of a report that matter here."""
    with report.open("rb") as stream:
        for number, line in enumerate(iter(lambda: stream.readline(MOST_LINE), b""), 1):
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                raise NoResult(f"line {number} of garak's report is no JSON") from None
            if not isinstance(entry, dict):
                raise NoResult(f"line {number} of garak's report is no JSON object")
            if entry.get("entry_type") in ("init", "eval", "completion"):
                yield entry


def read(report: Path, name: str) -> tuple[str, Counts]:
    """Version of garak, and what its report counts for the probe or module `name`.

    Raises:
        NoResult: if the report is missing, unfinished or says nothing of it.
    """
    if not report.is_file():
        raise NoResult("garak wrote no report")
    version, finished = "unknown", False
    counts: Counts = {}
    for entry in _entries(report):
        if entry["entry_type"] == "init":
            version = str(entry.get("garak_version"))[:40]
        elif entry["entry_type"] == "completion":
            finished = True
        else:
            probe, detector, passed, n = _eval(entry)
            if n and (probe == name or probe.startswith(f"{name}.")):
                counts.setdefault(probe, {})[detector] = (passed, n)
    if not finished:
        raise NoResult("garak's report ends before the run did")
    if not counts:
        raise NoResult("garak judged no output")
    return version, counts


def _eval(entry: Mapping[str, Any]) -> tuple[str, str, int, int]:
    probe, detector = entry.get("probe"), entry.get("detector")
    passed, n = entry.get("passed"), entry.get("total_evaluated")
    sound = all(isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_.]{1,200}", name) for name in (probe, detector))
    if not sound or type(passed) is not int or type(n) is not int or not 0 <= passed <= n:
        raise NoResult("garak's report counts in a form that this version of Slipway does not know (made for 0.17)")
    return str(probe), str(detector), passed, n
