"""Releases in MLflow's model registry: one version per bundle digest, pointing at the release in the store."""

import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from slipway.adapters.tracking.client import DIGEST, client, experiment, in_use
from slipway.adapters.tracking.verdicts import CHANNEL, alias_of, briefly

VERSION, WITHDRAWN = "slipway.version", "slipway.withdrawn"
"""Tags of a model version: of its release, and why that was withdrawn."""

SMALL = ("manifest.json", "README.md", "DATA.md", "config.json", "report.html", "bom.cdx.json", "provenance.json")
"""Files of a bundle that are copied into MLflow where they exist; the weights stay in the store."""


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
    registered = _version_of(mlflow, name, digest)
    if registered is None:
        tags = {DIGEST: digest, VERSION: version, "slipway.uri": uri}
        model = _logged_model(mlflow, experiment(mlflow, root, name), name, bundle, tags=tags, run_id=run_id)
        created = mlflow.create_model_version(
            name,
            model.artifact_location,
            run_id=run_id,
            tags=tags,
            model_id=model.model_id,
            description=f"Release {version}, {uri}",
        )
        registered = str(created.version)
    for key, value in told.items():
        mlflow.set_model_version_tag(name, registered, key, value)
    mlflow.set_registered_model_alias(name, "candidate", registered)
    return registered


def _version_of(mlflow: Any, name: str, digest: str) -> str | None:
    for found in mlflow.search_model_versions(f"name = '{name}'"):
        if found.tags.get(DIGEST) == digest:
            return str(found.version)
    return None


def _logged_model(
    mlflow: Any, experiment_id: str, name: str, bundle: Path, *, tags: dict[str, str], run_id: str | None
) -> Any:
    """A LoggedModel with the bundle's small files; one that an interrupted release made is taken up again."""
    for left in mlflow.search_logged_models([experiment_id]):
        if left.tags.get(DIGEST) == tags[DIGEST]:
            model = left
            break
    else:
        model = mlflow.create_logged_model(
            experiment_id, name=name, source_run_id=run_id, tags=tags, model_type="safetensors"
        )
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
    if version := _version_of(mlflow, name, digest):
        for key, value in told.items():
            mlflow.set_model_version_tag(name, version, key, value)


def mark_released(root: Path, name: str, digest: str) -> str | None:
    """Move the alias of its channel (`alias_of`) to the version of `digest`; the version, None if not registered."""
    mlflow = client(root)
    for found in mlflow.search_model_versions(f"name = '{name}'"):
        if found.tags.get(DIGEST) == digest:
            mlflow.set_registered_model_alias(name, alias_of(found.tags.get(CHANNEL, "")), found.version)
            return str(found.version)
    return None


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
        found = {str(v.tags.get(VERSION)): v for v in mlflow.search_model_versions(f"name = '{name}'")}
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
