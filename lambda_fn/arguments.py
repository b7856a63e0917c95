"""The grammar of the command line, and what a parsed line asks for."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Callable, Iterable, NoReturn, Optional, Sequence

from . import __version__
from .core.errors import InvalidHyperparameters, MissingHyperparameters

if TYPE_CHECKING:
    from argparse import _ArgumentGroup as Group

    from .contract import Request
    from .core.gzip import Limits
    from .stores.s3 import S3Access

EXAMPLES = """examples:
  %(prog)s model.tar.gz --hyperparameters hyperparameters.json --output out/model.tar.gz
  %(prog)s model.tar.gz --set depth=6 --set objective=reg --add code=src/ --output out/model.tar.gz
  %(prog)s model.tar.gz --replace-folder code=src/ --remove '*.ckpt' --output model.tar.gz --dry-run
  %(prog)s s3://models/in/model.tar.gz --hyperparameters hp.json --output s3://models/out/model.tar.gz --json
"""
S3_OPTIONS = (
    *("profile", "region", "endpoint_url", "expected_bucket_owner", "request_payer"),
    *("sse_kms_key_id", "storage_class", "acl", "known_sources"),
)


def parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """The command line, with the arguments of the commands that are named in what is given.

    Those of all four would take as long as parsing. Every argument stands in a group, for whoever reads the help, and
    since argparse formats the others at each start.
    """
    invoked = sys.argv[0].replace("\\", "/").rpartition("/")[2]
    name = invoked if invoked == "model-repacker" else "python -m lambda_fn"
    top = argparse.ArgumentParser(
        prog=name,
        description="Edit a packed model (.tar.gz) without extracting or recompressing it.",
        add_help=False,
    )
    general = top.add_argument_group("options")
    general.add_argument("-h", "--help", action="help", help="say how it is used, also after COMMAND")
    general.add_argument("--version", action="version", version=f"model-repacker {__version__}", help="say which it is")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True, prog=name)
    repack = commands.add_parser(
        "repack",
        prog=invoked if invoked == "repack" else None,
        usage="%(prog)s SOURCE --output DEST [what to change …]",
        help="put hyperparameters and other files into an archive, and take files out",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    inspect = commands.add_parser(
        "inspect", help="list what is inside, and what SageMaker would stumble over", add_help=False
    )
    cat = commands.add_parser("cat", help="print one file of an archive", add_help=False)
    verify = commands.add_parser("verify", help="check that an archive is intact", add_help=False)
    for command, one in (("repack", repack), ("inspect", inspect), ("cat", cat), ("verify", verify)):
        if command not in given:
            continue
        one.set_defaults(command=command, refuse=one.error)
        what = one.add_argument_group("what")
        what.add_argument("source", metavar="SOURCE", type=_place, help="the model: a path or an s3:// URI")
        if one is repack:
            what.add_argument(
                "--output",
                metavar="DEST",
                required=True,
                type=_place,
                help="where the new archive goes; may be SOURCE itself",
            )
            _add_edits(one.add_argument_group("what to change"))
        if one is cat:
            what.add_argument("name", metavar="NAME", help="the file's path in the archive")
        how = one.add_argument_group("how")
        if one is repack:
            _add_policies(how)
        if one is not cat:
            how.add_argument("--json", action="store_true", help="print one JSON document")
            how.add_argument("--quiet", action="store_true", help="show no progress")
        _add_limits(how)
        how.add_argument("-h", "--help", action="help", help="say this")
        _add_s3(one.add_argument_group("in S3"), writes=one is repack)
    return top


def _place(text: str) -> str:
    if text == "-":
        raise argparse.ArgumentTypeError("- would be a pipe, which can be neither read nor written twice; name a file")
    return text


def _prefix(text: str) -> str:
    if not text.startswith("s3://") or not text.endswith("/"):  # names are put right behind it
        raise argparse.ArgumentTypeError(f"{text} is not s3://bucket/prefix/")
    return text


def _ratio(text: str) -> float:
    ratio = float(text)
    if not ratio >= 1:  # nothing is above NaN, and so nothing would be refused
        raise argparse.ArgumentTypeError(f"{text} is no number from 1")
    return ratio


def _add_edits(edits: Group) -> None:
    def several(option: str, metavar: str, explained: str) -> None:
        edits.add_argument(option, metavar=metavar, action="append", default=[], help=explained)

    edits.add_argument(
        "--hyperparameters",
        metavar="FILE",
        type=_place,
        help="goes in as hyperparameters.json, byte for byte, for all that was there",
    )
    several(
        "--set",
        "KEY=VALUE",
        "a hyperparameter over those of --hyperparameters, or else over those that SOURCE holds, which stay otherwise; "
        "VALUE is JSON, or else a text",
    )
    several("--add", "NAME=FILE", "a further file to put in as NAME; of a folder all that is in it, below NAME")
    several("--replace-folder", "NAME=FOLDER", "NAME holds exactly what is in FOLDER, or in a .tar.gz, afterwards")
    several("--remove", "PATTERN", "take out what matches, like a line of .gitignore: '*.ckpt', 'code/tests/'")
    edits.add_argument("--strip-root", action="store_true", help="take away the one folder that holds everything else")


def _add_policies(how: Group) -> None:
    from .contract import IF_PRESENT, VERIFY  # only a repack asks for them

    how.add_argument("--dry-run", action="store_true", help="say what would be done, and why; write nothing")
    how.add_argument(
        "--if-present",
        choices=IF_PRESENT,
        default="replace",
        help="what becomes of a file that is put in and there already (default: replace)",
    )
    how.add_argument(
        "--verify",
        choices=VERIFY,
        default="once",
        help="when to check all of SOURCE: once (default), always, or never for our own output",
    )
    how.add_argument(
        "--everything", action="store_true", help="put in of folders what is left out else: .git, caches, ._* files"
    )


def _add_limits(how: Group) -> None:
    from .core.gzip import Limits  # it brings the inflaters, which the help does without

    how.add_argument(
        "--max-uncompressed",
        metavar="BYTES",
        type=int,
        default=Limits.uncompressed,
        help="refuse more as a bomb (default: %(default)s)",
    )
    how.add_argument(
        "--max-ratio",
        metavar="N",
        type=_ratio,
        default=Limits.ratio,
        help="refuse what is packed more densely than 1 to N as a bomb (default: %(default)s)",
    )


def _add_s3(s3: Group, writes: bool) -> None:
    s3.add_argument("--profile", metavar="NAME", help="of AWS's configuration (default: AWS_PROFILE)")
    s3.add_argument("--region", metavar="NAME", help="(default: AWS_REGION, or the profile's)")
    s3.add_argument("--endpoint-url", metavar="URL", help="of another S3 (default: AWS_ENDPOINT_URL_S3)")
    s3.add_argument("--expected-bucket-owner", metavar="ACCOUNT", help="refuse buckets of other accounts")
    s3.add_argument("--request-payer", action="store_true", help="pay for requests to requester-pays buckets")
    if writes:
        s3.add_argument(
            "--sse-kms-key-id", metavar="KEY", help="encrypt DEST with it (default: SOURCE's, or its bucket's)"
        )
        s3.add_argument("--storage-class", metavar="CLASS", help="of DEST (default: SOURCE's)")
        s3.add_argument("--acl", metavar="ACL", help="of DEST, such as bucket-owner-full-control")
        s3.add_argument(
            "--known-sources",
            metavar="S3_PREFIX",
            type=_prefix,
            help="s3://bucket/prefix/ where a checked SOURCE is remembered: the next output in that bucket needs none",
        )


def request_of(options: argparse.Namespace) -> Request:
    """What a `repack` asks for. Raises MissingHyperparameters and InvalidRequest; ends with usage where it is wrong."""
    from .contract import Request

    # Where what is there is kept, or is an error, nothing is laid over it.
    merges = options.hyperparameters is None and options.if_present == "replace"
    values = {key: _value(key, text, options) for key, text in _pairs("--set", "KEY=VALUE", options.set, options)}
    request = Request(
        model_uri=options.source,
        output_uri=options.output,
        hyperparameters=values or None,
        hyperparameters_uri=options.hyperparameters,
        merge_hyperparameters=bool(values) and merges,
        files=dict(_pairs("--add", "NAME=FILE", options.add, options)),
        folders=dict(_pairs("--replace-folder", "NAME=FOLDER", options.replace_folder, options)),
        remove=tuple(options.remove),
        strip_root=options.strip_root,
        everything=options.everything,
        if_present=options.if_present,
        verify=options.verify,
    )
    asked = (options.set, options.hyperparameters, request.files, request.folders, request.remove, request.strip_root)
    if not any(asked):
        edits = "--hyperparameters, --set, --add, --replace-folder, --remove or --strip-root"
        raise MissingHyperparameters(f"nothing to do: give {edits}")
    return request


def _pairs(option: str, form: str, texts: Iterable[str], options: argparse.Namespace) -> list[tuple[str, str]]:
    """The two sides of each `NAME=…`, every name given once, since another time would undo the first."""
    refuse: Callable[[str], NoReturn] = options.refuse
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals or not (value or option == "--set"):
            refuse(f"argument {option}: {text!r} is not {form}")
        if name in found:
            refuse(f"argument {option}: {name} is given twice")
        found[name] = value
    return list(found.items())


def _value(key: str, text: str, options: argparse.Namespace) -> object:
    from . import hyperparameters

    try:
        return hyperparameters.value(text)
    except InvalidHyperparameters as error:
        return options.refuse(f"argument --set: {key}={error}")


def s3_of(options: argparse.Namespace) -> Optional[S3Access]:
    """The way to S3 that the command line asks for, None if the usual one will do."""
    given = {name: value for name in S3_OPTIONS if (value := getattr(options, name, None))}
    if not given:
        return None
    from .stores import s3_access

    return s3_access(**given)


def limits_of(options: argparse.Namespace) -> Limits:
    """What counts as a bomb."""
    from .core.gzip import Limits

    return Limits(options.max_uncompressed, options.max_ratio)
