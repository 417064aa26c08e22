"""Releases in MLflow's model registry: one version per bundle digest, pointing at the release in the store.

Which version it is, registering wrote down in the project. One of another machine, or of an attempt that was cut short,
is found by its tags and taken only if it holds this bundle's files: anybody who reaches MLflow can set a tag.
"""

import filecmp
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from slipway.adapters.tracking.client import DIGEST, client, experiment, in_use
from slipway.adapters.tracking.verdicts import CHANNEL, alias_of, briefly
from slipway.errors import UserError
from slipway.files import write_atomic
from slipway.records import Record

KEPT = Path(".slipway", "models")
"""Which model version a bundle has, in the project."""

VERSION, WITHDRAWN = "slipway.version", "slipway.withdrawn"
"""Tags of a model version: of its release, and why that was withdrawn."""

SMALL = ("manifest.json", "README.md", "DATA.md", "config.json", "report.html", "bom.cdx.json", "provenance.json")
"""Files of a bundle that are copied into MLflow where they exist; the weights stay in the store."""


class Registered(Record):
    """The model version of a bundle, as registering wrote it down."""

    name: str
    """Of the registered model."""
    version: str


def register(
    root: Path,
    name: str,
    bundle: Path,
    *,
    digest: str,
    version: str,
    uri: str,
    run_id: str | None = None,
    told: Mapping[str, str],
) -> str:
    """Register a bundle as the next version of the model `name`, with the alias `candidate`; returns the version.

    A bundle that is registered already keeps its version.

    Args:
        root: the project.
        name: registered model and experiment.
        bundle: the bundle's directory.
        digest: bundle digest.
        version: version of the release.
        uri: where the release lies, or is about to.
        run_id: the build's run.
        told: further tags of the version: what the gate said.
    """
    from mlflow.exceptions import MlflowException

    mlflow = client(root)
    try:
        mlflow.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    place = experiment(mlflow, root, name)
    registered = _version_of(root, mlflow, name, digest) or _found(mlflow, place, name, digest, bundle)
    if registered is None:
        tags = {DIGEST: digest, VERSION: version, "slipway.uri": uri}
        model = _logged_model(mlflow, place, name, bundle, tags=tags, run_id=run_id)
        created = mlflow.create_model_version(
            name,
            model.artifact_location,
            run_id=run_id,
            tags=tags,
            model_id=model.model_id,
            description=f"Release {version}, {uri}",
        )
        registered = str(created.version)
    write_atomic(root / KEPT / f"{digest}.json", Registered(name=name, version=registered).to_json())
    for key, value in told.items():
        mlflow.set_model_version_tag(name, registered, key, value)
    mlflow.set_registered_model_alias(name, "candidate", registered)
    return registered


def _version_of(root: Path, mlflow: Any, name: str, digest: str) -> str | None:
    """The version that was written down for a bundle, if this MLflow has it."""
    from mlflow.exceptions import MlflowException

    place = root / KEPT / f"{digest}.json"
    if not place.is_file():
        return None
    kept = _kept(place)
    try:
        found = mlflow.get_model_version(kept.name, kept.version)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return None  # another tracker is set now
        raise
    # Of another tracker, this number may be of another bundle.
    return kept.version if kept.name == name and found.tags.get(DIGEST) == digest else None


def _kept(place: Path) -> Registered:
    try:
        return Registered.model_validate_json(place.read_bytes())
    except ValidationError:
        raise UserError(f"{place}: not what a release wrote; remove it and run this again") from None


def _found(mlflow: Any, experiment_id: str, name: str, digest: str, bundle: Path) -> str | None:
    """The oldest version that says it is of this bundle, and holds its files and nothing else."""
    models = {model.artifact_location: model for model in _said(mlflow, experiment_id, digest)}
    found = [v for v in mlflow.search_model_versions(f"name = '{name}'") if v.tags.get(DIGEST) == digest]
    for version in sorted(found, key=lambda version: int(version.version)):
        if (model := models.get(version.source)) is not None and _holds(mlflow, model, bundle):
            return str(version.version)
    return None


def _said(mlflow: Any, experiment_id: str, digest: str) -> list[Any]:
    """LoggedModels that say that they are of a bundle."""
    return [model for model in mlflow.search_logged_models([experiment_id]) if model.tags.get(DIGEST) == digest]


def _holds(mlflow: Any, model: Any, bundle: Path) -> bool:
    """Whether a LoggedModel holds the bundle's small files, byte for byte, and nothing else."""
    from mlflow.artifacts import download_artifacts

    names = {path for path in SMALL if (bundle / path).is_file()}
    if {item.path for item in mlflow.list_logged_model_artifacts(model.model_id)} != names:
        return False
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(names):
            got = download_artifacts(artifact_uri=f"{model.artifact_location}/{path}", dst_path=folder)
            if not filecmp.cmp(got, bundle / path, shallow=False):
                return False
    return True


def _fits(mlflow: Any, model: Any, bundle: Path) -> bool:
    """Whether a LoggedModel is whole, or can be made so: what it holds until it is ready is written once more."""
    if str(model.status) == "READY":
        return _holds(mlflow, model, bundle)
    return {item.path for item in mlflow.list_logged_model_artifacts(model.model_id)} <= set(SMALL)


def _logged_model(
    mlflow: Any, experiment_id: str, name: str, bundle: Path, *, tags: dict[str, str], run_id: str | None
) -> Any:
    """A LoggedModel with the bundle's small files; one that an interrupted release made is taken up again."""
    model = next((m for m in _said(mlflow, experiment_id, tags[DIGEST]) if _fits(mlflow, m, bundle)), None)
    if model is None:
        more = {"source_run_id": run_id, "tags": tags, "model_type": "safetensors"}
        model = mlflow.create_logged_model(experiment_id, name=name, **more)
    if str(model.status) == "READY":
        return model
    with tempfile.TemporaryDirectory() as folder:
        for path in SMALL:
            if (bundle / path).is_file():
                shutil.copyfile(bundle / path, Path(folder, path))
        mlflow.log_model_artifacts(model.model_id, folder)
    return mlflow.finalize_logged_model(model.model_id, "READY")


def tell(root: Path, name: str, digest: str, told: Mapping[str, str]) -> None:
    """Set tags of the version of `digest`; nothing if it is not registered."""
    mlflow = client(root)
    if version := _version_of(root, mlflow, name, digest):
        for key, value in told.items():
            mlflow.set_model_version_tag(name, version, key, value)


def mark_released(root: Path, name: str, digest: str) -> str | None:
    """Move the alias of its channel (`alias_of`) to the version of `digest`; the version, None if not registered."""
    mlflow = client(root)
    version = _version_of(root, mlflow, name, digest)
    if version is not None:
        channel = mlflow.get_model_version(name, version).tags.get(CHANNEL, "")
        mlflow.set_registered_model_alias(name, alias_of(channel), version)
    return version


def _mine(root: Path, name: str) -> set[str]:
    """Versions of a model that were registered from here."""
    return {kept.version for path in (root / KEPT).glob("*.json") if (kept := _kept(path)).name == name}


def withdraw(
    root: Path,
    name: str,
    version: str,
    *,
    reason: str,
    channels: Mapping[str, str | None],
    passed: Collection[str] = (),
) -> str | None:
    """Say of the model version of a release that it was withdrawn, and move its aliases on.

    Args:
        root: the project.
        name: registered model.
        version: of the release.
        reason: for those who use it.
        channels: channel -> version of the release that it names now; None if it names none.
        passed: further versions that an alias may have been moved to, and that do not hold.

    Returns: what became of it, in a line; None if MLflow is not in use here, or knows no such release.

    Raises:
        UserError: if MLflow cannot be reached.
    """
    if not in_use(root):
        return None
    with briefly("MLflow was not told", "the release is withdrawn all the same; run this again when MLflow answers"):
        mlflow = client(root)
        mine = _mine(root, name)
        every = mlflow.search_model_versions(f"name = '{name}'")
        # Where two say that they are of one release: the one that was registered from here, else the older one.
        found = {
            str(v.tags.get(VERSION)): v for v in sorted(every, key=lambda v: (str(v.version) in mine, -int(v.version)))
        }
        if version not in found:
            return None
        gone = found[version]
        mlflow.set_model_version_tag(name, gone.version, WITHDRAWN, reason)
        stale = {str(found[past].version) for past in (version, *passed) if past in found}
        aliases = mlflow.get_registered_model(name).aliases
        lines = [f"version {gone.version} tagged withdrawn"]
        for channel, instead in channels.items():
            alias = alias_of(channel)
            if str(aliases.get(alias)) not in stale:
                continue
            if instead in found:
                mlflow.set_registered_model_alias(name, alias, found[instead].version)
            else:
                mlflow.delete_registered_model_alias(name, alias)
            lines.append(f"alias {alias} -> {f'version {found[instead].version}' if instead in found else 'nothing'}")
        if str(aliases.get("candidate")) == str(gone.version):
            mlflow.delete_registered_model_alias(name, "candidate")
    return ", ".join(lines)
