"""The `slipway` command: parse, call, exit code.

Exit codes: 0 success · 1 a check said no (scan, verification; the gate: NO-GO or INCONCLUSIVE) ·
2 something for you to put right · 3 waiting for an approval · 130 interrupted. No option overrides a number of
the recipe.
"""

import argparse
import inspect
import sys
from collections.abc import Sequence

from slipway import __version__
from slipway.cli import approving, countersigning, keying
from slipway.cli.approving import approve
from slipway.cli.auditing import audit
from slipway.cli.building import build, lock
from slipway.cli.countersigning import countersign
from slipway.cli.fetching import fetch, releases
from slipway.cli.importing import import_
from slipway.cli.keying import keys
from slipway.cli.releasing import gate, release, verify, verify_options
from slipway.cli.replaying import replay
from slipway.cli.running import doctor, down, status, up
from slipway.cli.scanning import scan
from slipway.cli.withdrawing import rescan, yank
from slipway.errors import Refusal, UserError

COMMANDS = (
    lock,
    build,
    gate,
    release,
    approve,
    verify,
    fetch,
    releases,
    yank,
    rescan,
    keys,
    countersign,
    replay,
    scan,
    import_,
    audit,
    status,
    up,
    down,
    doctor,
)


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
    subs["gate"].add_argument("--json", metavar="OUT", help="write the verdict to this file")
    subs["release"].add_argument("--no-build", action="store_true", help="release bundle/ as it is, or refuse")
    approving.options(subs["approve"])
    verify_options(subs["verify"])
    keying.options(subs["keys"])
    countersigning.options(subs["countersign"])
    subs["replay"].add_argument("release", metavar="RELEASE", help="as for `slipway verify`")
    subs["replay"].add_argument("--segment", type=int, metavar="K", help="from 1; default: a random one")
    subs["replay"].add_argument("--checkpoints", metavar="DIR", help="look here first for the checkpoint to begin with")
    subs["replay"].add_argument("--key", metavar="FILE", help="public key (PEM); default: this project's own")
    subs["audit"].add_argument("release", nargs="?", default="bundle", metavar="RELEASE", help="default: bundle/")
    subs["audit"].add_argument("--advisories", metavar="PATH", help="directory or zip; default: as the recipe says")
    subs["audit"].add_argument("--key", metavar="FILE", help="public key (PEM); default: this project's own")
    subs["audit"].add_argument("--json", metavar="OUT", help="write the report to this file")
    subs["fetch"].add_argument("release", metavar="NAME[@VERSION]", help="without a version: what the channel names")
    subs["fetch"].add_argument("directory", nargs="?", metavar="DIR", help="where it goes; default: NAME-VERSION")
    subs["fetch"].add_argument("--channel", metavar="C", help="default: the project's, else stable")
    subs["fetch"].add_argument("--json", action="store_true", help="print what was done as JSON")
    subs["releases"].add_argument("name", nargs="?", metavar="NAME")
    subs["releases"].add_argument("--json", action="store_true", help="print the list as JSON")
    for name in ("fetch", "releases"):
        subs[name].add_argument(
            "--store", metavar="URL", help="s3://bucket/prefix or directory; default: the project's"
        )
        subs[name].add_argument(
            "--key", metavar="FILE", help="publisher's public key (PEM); default: the project's own"
        )
    subs["yank"].add_argument("release", metavar="NAME@VERSION")
    subs["yank"].add_argument("--reason", required=True, metavar="TEXT", help="for those who use it: what is wrong")
    subs["yank"].add_argument("--severity", choices=("low", "moderate", "high", "critical"), help="of the fault")
    subs["yank"].add_argument("--advisory", metavar="URL_OR_ID", help="what else describes the fault, e.g. CVE-…")
    subs["yank"].add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    subs["rescan"].add_argument("--all", action="store_true", help="every name in the store, not only the recipe's")
    subs["doctor"].add_argument("--security", action="store_true", help="check every safe default, on the servers too")
    subs["scan"].add_argument("paths", nargs="+", metavar="PATH")
    subs["scan"].add_argument("--json", metavar="OUT", help="write the findings to this file")
    subs["import"].add_argument("source", metavar="SOURCE", help="file of torch.save, or a directory that holds one")
    subs["import"].add_argument("target", metavar="TARGET", help="new directory for the safetensors")
    subs["import"].add_argument("--key", metavar="NAME", help="take the weights under this key of the checkpoint")
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
