"""`slipway lock` and `slipway build`."""

import argparse

from slipway.cli.common import become, project


def lock(_: argparse.Namespace) -> int:
    """Write inputs.lock: version and sha256 of everything the recipe reads.

    Looks at sources, task files, base, teacher and baseline, fetches what is remote, verifies releases, and
    prints what changed since the last lock. The build refuses whatever differs, so run this when you mean it.
    """
    from slipway.adapters.inputs import pull, remotes, told
    from slipway.adapters.store import open_store
    from slipway.data.sources import wanted, write_lock
    from slipway.recipe import load
    from slipway.release.reading import source
    from slipway.release.signing import keys

    root = project()
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
    become(project(), "flows.console", *(["--force", *arguments.force] if arguments.force else []))
