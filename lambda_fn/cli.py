"""The command line: repack, inspect and verify archives on the local disk or in S3.

Results go to stdout; progress and errors go to stderr, an error as one line `error: NAME: sentence`. The exit status
is 0 when all is done, 1 when something was refused or failed, 2 when the command line itself is wrong.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import os
import signal
import stat
import sys
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, NoReturn, Optional

from . import hyperparameters
from .contract import IF_PRESENT, VERIFY, MissingHyperparameters, RepackError, Request, Result
from .core.gzip import Limits
from .core.prefix import read_head
from .core.scan import Findings, scan
from .core.tar import SHARED_RECORDS, Entry
from .progress import shown_progress
from .repacker import run
from .stores import open_source

if TYPE_CHECKING:
    from .stores.s3 import S3Access

KINDS = {
    b"1": ("hard link", stat.S_IFREG),
    b"2": ("symbolic link", stat.S_IFLNK),
    b"3": ("character device", stat.S_IFCHR),
    b"4": ("block device", stat.S_IFBLK),
    b"5": ("directory", stat.S_IFDIR),
    b"6": ("fifo", stat.S_IFIFO),
}
LINES = "\t\n"
EXAMPLES = """examples:
  %(prog)s model.tar.gz --hyperparameters hyperparameters.json --output out/model.tar.gz
  %(prog)s model.tar.gz --set depth=6 --set 'objective="reg"' --add code=src/ --output out/model.tar.gz
  %(prog)s s3://models/in/model.tar.gz --hyperparameters hp.json --output s3://models/out/model.tar.gz --json
"""


def main(arguments: Optional[list[str]] = None) -> int:
    """Run a command line; the exit status."""
    gc.freeze()  # what is imported lives to the end: there is no need to look for cycles in it at exit
    options = parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, terminate)
    try:
        options.command(options)
        sys.stdout.flush()
        return 0
    except RepackError as error:
        print(f"error: {error.name}: {escaped(str(error))}", file=sys.stderr)
    except KeyboardInterrupt:
        print("error: Interrupted: nothing was written", file=sys.stderr)
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # that is a reader who has seen enough
            print(f"error: StoreUnavailable: cannot print: {error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def repack() -> int:
    """The installed command `repack`: the subcommand of that name by itself."""
    return main(["repack", *sys.argv[1:]])


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    invoked = Path(sys.argv[0]).name
    top = argparse.ArgumentParser(
        prog=invoked if invoked == "model-repacker" else "python -m lambda_fn",
        description="Put files into a packed model (.tar.gz) without extracting or recompressing it.",
    )
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    one = commands.add_parser(
        "repack",
        prog=invoked if invoked == "repack" else None,
        help="put hyperparameters and other files into an archive",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.set_defaults(command=repack_command)
    one.add_argument("source", metavar="SOURCE", help="the model: a path or an s3:// URI")
    one.add_argument("--output", metavar="DEST", required=True, help="where the new archive goes; may be SOURCE itself")
    one.add_argument("--hyperparameters", metavar="FILE", help="goes in as hyperparameters.json, byte for byte")
    one.add_argument(
        "--set",
        metavar="KEY=VALUE",
        type=assignment,
        action="append",
        default=[],
        help="a hyperparameter over the given ones; VALUE is JSON, or else a string",
    )
    one.add_argument(
        "--add",
        metavar="NAME=FILE",
        type=addition,
        action="append",
        default=[],
        help="a further file to put in as NAME; of a folder all files, below NAME",
    )
    one.add_argument("--if-present", choices=IF_PRESENT, default="replace", help="(default: replace)")
    one.add_argument(
        "--verify",
        choices=VERIFY,
        default="once",
        help="when to scan all of SOURCE: once (default), always, or never for our own output",
    )
    one.add_argument(
        "--known-sources",
        metavar="S3_PREFIX",
        help="s3://bucket/prefix/ where a scanned SOURCE is remembered: its next output in that bucket needs no scan",
    )

    look = commands.add_parser("inspect", help="list what is inside, without extracting")
    look.set_defaults(command=inspect_command)
    look.add_argument("source", metavar="SOURCE", help="a path or an s3:// URI")

    check = commands.add_parser("verify", help="check that an archive is intact")
    check.set_defaults(command=verify_command)
    check.add_argument("source", metavar="SOURCE", help="a path or an s3:// URI")

    for command in (one, look, check):
        command.add_argument("--json", action="store_true", help="print one JSON document")
        command.add_argument("--quiet", action="store_true", help="show no progress")
        command.add_argument(
            "--max-uncompressed",
            metavar="BYTES",
            type=int,
            default=Limits.uncompressed,
            help="refuse more as a bomb (default: %(default)s)",
        )
        command.add_argument(
            "--max-ratio",
            metavar="N",
            type=float,
            default=Limits.ratio,
            help="refuse what is packed more densely than 1 to N as a bomb (default: %(default)s)",
        )
    return top


def repack_command(options: argparse.Namespace) -> None:
    """Repack and print the Result."""
    if options.hyperparameters is None and not options.set and not options.add:
        raise MissingHyperparameters("nothing to put in: give --hyperparameters, --set or --add")
    request = Request(
        model_uri=options.source,
        output_uri=options.output,
        hyperparameters=dict(options.set) or None,
        hyperparameters_uri=options.hyperparameters,
        files=dict(files(options.add)),
        if_present=options.if_present,
        verify=options.verify,
    )
    with shown_progress(not options.quiet) as progress:
        result = run(request, s3=s3(options), limits=limits(options), progress=progress)
    if options.json:
        print(json.dumps(result.to_json()))
    else:
        print(describe(result))
        warn(result.warnings)


def inspect_command(options: argparse.Namespace) -> None:
    """Print the entries as they come, and the hyperparameters after them."""
    separator = '{"entries": [\n' if options.json else ""

    def show(entry: Entry) -> None:
        nonlocal separator
        if entry.type != SHARED_RECORDS:
            print(separator + (json.dumps(fields(entry)) if options.json else line(entry)), end="")
            separator = ",\n" if options.json else "\n"

    findings = scan_all(options, show)
    hits = findings.search.hits.get(hyperparameters.ENTRY)
    data = hits.content if hits else None
    shown = None if data is None else data.decode("utf-8", "backslashreplace")
    if options.json:
        opening = separator if findings.entries == 0 else ""
        print(f'{opening}\n], "hyperparameters": {json.dumps(shown)}, "warnings": {json.dumps(findings.warnings)}}}')
    else:
        print(f"\n\n{hyperparameters.ENTRY}: {'none' if shown is None else escaped(shown, keep=LINES)}".rstrip())
        warn(findings.warnings)


def verify_command(options: argparse.Namespace) -> None:
    """Print what a full scan says."""
    findings = scan_all(options, lambda entry: None)
    if options.json:
        facts = {"intact": True, "entries": findings.entries, "uncompressed_size": findings.uncompressed_size}
        print(json.dumps({**facts, "warnings": findings.warnings}))
    else:
        print(f"intact: {findings.entries:,} entries, {findings.uncompressed_size:,} bytes uncompressed")
        warn(findings.warnings)


def scan_all(options: argparse.Namespace, visit: Callable[[Entry], None]) -> Findings:
    """Scan the source to its end, whatever is in it."""
    with closing(open_source(options.source)) as source, shown_progress(not options.quiet) as progress:
        head, names = read_head(source).unmarked(), (hyperparameters.ENTRY,)
        findings = scan(source, head, names, limits(options), progress, visit=visit)
    assert findings is not None
    return findings


def s3(options: argparse.Namespace) -> Optional[S3Access]:
    """The way to S3 that the command line asks for, None if the usual one will do."""
    if options.known_sources is None:
        return None
    from .stores.s3 import S3Access

    return S3Access.default(known_sources=options.known_sources)


def limits(options: argparse.Namespace) -> Limits:
    """What counts as a bomb."""
    return Limits(options.max_uncompressed, options.max_ratio)


def describe(result: Result) -> str:
    """A Result for a person."""
    moved = result.bytes
    return (
        f"{result.output_uri}: {result.method}, {result.output.size:,} bytes in {result.seconds:.2f} s "
        f"(read {moved.read:,}, written {moved.uploaded:,}, copied {moved.copied:,}"
        + (f", proved by {result.output.proof})" if result.output.proof else ")")
    )


def line(entry: Entry) -> str:
    """An entry as `tar -tv` shows it, control characters escaped."""
    shown = fields(entry)
    link = {"symbolic link": " -> ", "hard link": " link to "}.get(shown["type"])
    text = f"{shown['mode']} {shown['size']:>15,} {shown['mtime']} {shown['name']}" + (
        link + shown["link"] if link else ""
    )
    return escaped(text)


def escaped(text: str, keep: str = "") -> str:
    """The text without control characters, which could fool a terminal; those in `keep` stay."""
    return "".join(char if char.isprintable() or char in keep else ascii(char)[1:-1] for char in text)


def fields(entry: Entry) -> dict[str, Any]:
    """An entry as JSON."""
    kind, bits = KINDS.get(entry.type, ("file", stat.S_IFREG))
    if entry.is_directory:
        kind, bits = KINDS[b"5"]
    shown = {
        "name": entry.name,
        "type": kind,
        "mode": stat.filemode(entry.mode & 0o7777 | bits),
        "size": entry.size,
        "mtime": moment(entry.mtime),
    }
    return {**shown, "link": entry.link} if entry.link else shown


def moment(seconds: float) -> str:
    """A time in UTC as ISO 8601, the bare seconds where the calendar ends."""
    try:
        return datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(seconds)


def warn(warnings: Iterable[str]) -> None:
    """What a person should know, on stderr."""
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def assignment(text: str) -> tuple[str, Any]:
    """KEY=VALUE, the value as JSON if it is JSON."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    try:
        parsed = hyperparameters.parse(f'{{"value": {value}}}'.encode("utf-8", "surrogatepass"))
    except RepackError:
        return key, value
    return key, parsed["value"] if len(parsed) == 1 else value


def addition(text: str) -> tuple[str, str]:
    """NAME=FILE."""
    name, equals, path = text.partition("=")
    if not name or not equals or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FILE")
    return name, path


def files(additions: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Names and paths, a folder's files one by one. Raises MissingHyperparameters for a folder without any."""
    for name, path in additions:
        if not os.path.isdir(path):
            yield name, path
            continue
        found = sorted(item for item in Path(path).rglob("*") if item.is_file() and "__pycache__" not in item.parts)
        if not found:
            raise MissingHyperparameters(f"there is no file in {path} to put in")
        for item in found:
            yield f"{name.rstrip('/')}/{item.relative_to(path).as_posix()}", str(item)


def terminate(signum: int, frame: object) -> NoReturn:
    """End by SIGTERM as by an error, so that nothing is left behind."""
    raise SystemExit(128 + signum)
