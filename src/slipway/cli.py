"""The `slipway` command: parse, call, exit code.

Exit codes: 0 success · 1 a check said no (gate, scan, verification) · 2 something for you to put right ·
3 waiting for an approval · 130 interrupted. No option overrides a number of the recipe.
"""

import argparse
import inspect
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from slipway import __version__
from slipway.errors import Refusal, UserError


def _project() -> Path:
    """The project that the working directory lies in."""
    for directory in (Path.cwd(), *Path.cwd().parents):
        if (directory / "dvc.yaml").is_file() and (directory / "params.yaml").is_file():
            return directory
    raise UserError(
        f"{Path.cwd()}: neither here nor above is a Slipway project (dvc.yaml and params.yaml); change into one"
    )


def _become(root: Path, module: str, *arguments: str) -> NoReturn:
    """Turn this process into the flow, so that signals and the exit code are the flow's own."""
    sys.stdout.flush()
    os.chdir(root)
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606  the flow is ours


def lock(_: argparse.Namespace) -> int:
    """Write inputs.lock: version and sha256 of everything the recipe reads.

    Looks at sources, task files, base, teacher and baseline, fetches what is remote, verifies releases, and
    prints what changed since the last lock. The build refuses whatever differs, so run this when you mean it.
    """
    from slipway.adapters.inputs import pull, remotes, told
    from slipway.adapters.store import open_store
    from slipway.data.sources import wanted, write_lock
    from slipway.recipe import load
    from slipway.release import keys, source

    root = _project()
    recipe = load(root / "params.yaml")
    pull(root, [want.path for want in wanted.wants(recipe)])
    releases = source.Releases(lambda: open_store(root=root), lambda: keys.public_key(root), recipe.release.channel)
    lines = write_lock(recipe, root, {**remotes(), "release": releases}, told)
    print("inputs.lock written; against the one before:", *lines, sep="\n  ")
    return 0


def build(arguments: argparse.Namespace) -> int:
    """Run the stages whose inputs changed.

    Runs what is stale in dvc.yaml as a Prefect flow: console, time and cache hit per stage, independent
    stages side by side. Ctrl-C is safe: the next build carries on, training from its last checkpoint.
    """
    _become(_project(), "flows.console", *(["--force", *arguments.force] if arguments.force else []))


def release(arguments: argparse.Namespace) -> int:
    """Build, then gate, approve, sign, register, publish and verify.

    Builds what is stale and releases the bundle to the store (SLIPWAY_STORE: a directory or
    s3://bucket/prefix; default .slipway/store). Every step is idempotent; after a crash, run it again.
    """
    _become(_project(), "flows.release_console", *(["--no-build"] if arguments.no_build else []))


def approve(arguments: argparse.Namespace) -> int:
    """Sign your approval of the bundle as it is now.

    Signs the digest of bundle/ with your own key. A changed byte voids the approval. Who may approve,
    and how many must, is in the recipe under release.approval.
    """
    from slipway.release.approval import approve as sign_approval
    from slipway.release.bundle import manifest

    root = _project()
    manifest.check(root / "bundle")
    digest = manifest.digest(root / "bundle")
    path = sign_approval(root, digest, arguments.name, Path(arguments.key))
    print(f"{arguments.name} approves bundle {digest}\nsigned: {path}")
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Check signature, statement and every byte of a release.

    RELEASE is a directory (any plain copy of a release), s3://bucket/prefix/releases/NAME/VERSION, or
    NAME or NAME@VERSION in the store. Needs the public key and no network for a directory.
    """
    from slipway.adapters.store import LocalStore, open_store
    from slipway.recipe import load
    from slipway.release import keys, source, verify

    public = keys.read_public(arguments.key) if arguments.key else keys.public_key(_project())
    reference = arguments.release
    if reference.startswith("s3://"):
        bucket, _, prefix = reference.removeprefix("s3://").partition("/")
        found = verify.verify(open_store(f"s3://{bucket}"), prefix, public)
    elif Path(reference).is_dir():
        found = verify.verify(LocalStore(reference), "", public)
    elif "/" in reference:
        raise UserError(f"{reference}: no such directory; name a release directory, s3://…, NAME or NAME@VERSION")
    else:
        root = _project()
        channel = load(root / "params.yaml").release.channel
        found = source.Releases(lambda: open_store(root=root), lambda: public, channel).find(reference)
    release = found.release
    print(f"{release.name} {release.version} (release {release.sequence}): verified\n{found.uri}")
    print(f"{found.files} files, {found.bytes:,} bytes, each as signed by key {found.signed_by[:16]}…")
    return 0


def scan(arguments: argparse.Namespace) -> int:
    """Scan files or directories as a release would be.

    A directory is judged as a bundle, a file as if it stood in one. Nothing is loaded or executed; what
    is not known to be safe is refused.
    """
    from slipway.recipe import load
    from slipway.scan.verdict import scan as examine

    try:
        limit = load(_project() / "params.yaml").scan.max_file_bytes
    except UserError:
        limit = 50_000_000_000  # outside of a project there is no recipe to ask
    reports = {path: examine(Path(path), limit) for path in arguments.paths}
    for path, report in reports.items():
        print(f"{path}: {'PASS' if report.passed else 'REFUSE'} ({report.files_scanned} files)")
        for finding in report.findings:
            where = finding.path + (f" at byte {finding.offset}" if finding.offset is not None else "")
            print(f"  {finding.rule}  {where}: {finding.reason}. {finding.remedy}")
    if arguments.json:
        import json

        document = {path: report.model_dump(mode="json") for path, report in reports.items()}
        Path(arguments.json).write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    return 0 if all(report.passed for report in reports.values()) else 1


def status(_: argparse.Namespace) -> int:
    """Show stages, the last release and the servers.

    Shows which stages are up to date, how far the last release got, and which servers run.
    """
    from slipway.adapters import servers

    root = _project()
    code = subprocess.call([sys.executable, "-m", "flows.status"], cwd=root)
    print(*servers.status(root), sep="\n")
    return code


def up(_: argparse.Namespace) -> int:
    """Start Prefect, MLflow and the scheduler on localhost.

    Starts both servers and a worker that runs the schedules in prefect.yaml, and prints their URLs.
    """
    from slipway.adapters import servers

    servers.up(_project())
    return 0


def down(_: argparse.Namespace) -> int:
    """Stop what `slipway up` started.

    Stops the worker and both servers. Their data stays in .slipway/.
    """
    from slipway.adapters import servers

    servers.down(_project())
    return 0


def doctor(_: argparse.Namespace) -> int:
    """Look for what would go wrong.

    Checks Python, git, pins, disk, recipe, inputs, environment and keys. Reads only.
    """
    from slipway.data.sources.lock import check_lock
    from slipway.doctor import examine
    from slipway.recipe import load

    root = _project()
    faults = 0
    for answer in examine(root, lambda: check_lock(load(root / "params.yaml"), root)):
        mark = {"ok": "✓", "note": "·", "fault": "✗"}[answer.verdict]
        print(f"{mark} {answer.subject:<12} {answer.finding}")
        faults += answer.verdict == "fault"
    return 1 if faults else 0


COMMANDS = (lock, build, release, approve, verify, scan, status, up, down, doctor)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="slipway",
        description="Takes an open-weight model from data to a signed release that a stranger can check.",
        epilog="Numbers live in params.yaml, stages in dvc.yaml. `slipway COMMAND --help` says more.",
    )
    parser.add_argument("--version", action="version", version=f"slipway {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    subs = {}
    for function in COMMANDS:
        summary, _, text = inspect.getdoc(function).partition("\n\n")  # type: ignore[union-attr]
        name = function.__name__
        subs[name] = commands.add_parser(name, help=summary[0].lower() + summary[1:-1], description=f"{summary} {text}")
        subs[name].set_defaults(function=function)
    subs["build"].add_argument("--force", nargs="+", metavar="STAGE", help="run these stages even if nothing changed")
    subs["release"].add_argument("--no-build", action="store_true", help="release bundle/ as it is, or refuse")
    subs["approve"].add_argument("--as", dest="name", required=True, metavar="NAME", help="your name in the recipe")
    subs["approve"].add_argument("--key", required=True, metavar="FILE", help="your private key (PEM)")
    subs["verify"].add_argument("release", metavar="RELEASE", help="directory, s3:// address, NAME or NAME@VERSION")
    subs["verify"].add_argument("--key", metavar="FILE", help="public key (PEM); default: this project's own")
    subs["scan"].add_argument("paths", nargs="+", metavar="PATH")
    subs["scan"].add_argument("--json", metavar="OUT", help="write the findings to this file")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, call, and turn the outcome into an exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.function(arguments)
    except UserError as error:
        word = "refused" if isinstance(error, Refusal) else "error"
        print(f"slipway {arguments.function.__name__}: {word}: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if error.errno is None:
            raise
        print(f"slipway {arguments.function.__name__}: error: {error.strerror}: {error.filename}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
