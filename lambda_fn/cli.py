"""The command line: repack, inspect, read and verify archives on the local disk or in S3.

Results go to stdout; progress and errors go to stderr, an error as one line `error: NAME: sentence`. The exit status
is 0 when all is done, 1 when something was refused or failed, 2 when the command line itself is wrong. Ctrl-C ends it
as it ends any other program, so that a shell's loop over many models ends with it.

Most archives that somebody looks at are small, so that the start is most of the work: what one command alone needs is
imported in it.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import os
import signal
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Callable, Iterable, Iterator, NoReturn, Optional

from .arguments import limits_of, parser, request_of, s3_of
from .core.errors import InvalidArchive, RepackError, of_archive
from .listing import escaped
from .progress import shown_progress

if TYPE_CHECKING:
    from .contract import Forecast, Result
    from .core.edit import Edit
    from .core.survey import Survey
    from .core.tar import Entry

LINES = "\t\n"
OBJECTS = 50_000
"""New objects until cycles are looked for: a client of S3 is made of as many, and takes a tenth less time so."""
NAMES_SHOWN = 5


def main(arguments: Optional[list[str]] = None) -> int:
    """Run a command line; the exit status."""
    gc.freeze()  # what is imported lives to the end
    gc.set_threshold(OBJECTS)
    replace_closed_streams()
    given = sys.argv[1:] if arguments is None else arguments
    options = parser(given).parse_args(given)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    end_tidily()
    try:
        COMMANDS[options.command](options)
        sys.stdout.flush()
        return 0
    except RepackError as error:
        print(f"error: {error.name}: {escaped(str(error))}", file=sys.stderr)
    except KeyboardInterrupt:
        print("error: Interrupted: it was stopped before its end; no output is half written", file=sys.stderr)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # that is a reader who has seen enough
            print(f"error: StoreUnavailable: cannot print: {error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def repack() -> int:
    """The installed command `repack`: the subcommand of that name by itself."""
    return main(["repack", *sys.argv[1:]])


def repack_command(options: argparse.Namespace) -> None:
    """Repack and print the Result, or print what it would be."""
    from .repacker import forecast, run

    request = request_of(options)
    done: Result | Forecast
    with shown_progress(not options.quiet) as progress:
        if options.dry_run:
            done = forecast(request, s3=s3_of(options), limits=limits_of(options), progress=progress)
            lines = foreseen(done)
        else:
            done = run(request, s3=s3_of(options), limits=limits_of(options), progress=progress)
            lines = described(done)
    if options.json:
        print(json.dumps(done.to_json()))
        return
    print(escaped("\n".join(lines), keep=LINES))
    warn(done.warnings)


def inspect_command(options: argparse.Namespace) -> None:
    """Print the entries as they come, and the hyperparameters after them."""
    from .core.edit import Content, Edit
    from .hyperparameters import ENTRY
    from .inspection import Inspection
    from .listing import File, fields, line

    separator = '{"entries": [\n' if options.json else ""
    inspection, hyperparameters = Inspection(), File(ENTRY)

    def show(entry: Entry) -> None:
        nonlocal separator
        inspection.see(entry)
        hyperparameters.see(entry)
        print(separator + (json.dumps(fields(entry)) if options.json else line(entry)), end="")
        separator = ",\n" if options.json else "\n"

    # Whoever would keep hyperparameters has to look at them.
    keeping = Edit({ENTRY: Content.of(b"")}, if_present="keep")
    try:
        found = surveyed(options, keeping, show)
    except RepackError as error:
        if separator == ",\n":  # what was begun is ended, so that a program can read it
            print(f"\n], {json.dumps({'error': error.name, 'why': str(error)})[1:]}")
        raise
    held = found.search.hits[ENTRY].content if ENTRY in found.search.hits else None
    what, text = hyperparameters.described(held)
    warnings = [warning for warning in found.warnings if warning not in found.search.warnings]  # those of the edit
    warnings += inspection.warnings(held)
    if options.json:
        opening = separator if found.entries == 0 else ""
        facts = {"hyperparameters": text, "hyperparameters_are": what or "one file", "warnings": warnings}
        print(f"{opening}\n], {json.dumps(facts)[1:]}")
    else:
        shown = "\n".join(filter(None, (what, escaped(text or "", keep=LINES))))
        print(f"\n\n{ENTRY}: {shown}".rstrip())
        warn(warnings)


def cat_command(options: argparse.Namespace) -> None:
    """Print the bytes of one file."""
    from .repacker import read_entry

    for chunk in read_entry(options.source, options.name, s3=s3_of(options), limits=limits_of(options)):
        sys.stdout.buffer.write(chunk)


def verify_command(options: argparse.Namespace) -> None:
    """Print what a full survey says, which takes nothing that zlib refuses."""
    from .core.edit import Edit

    try:
        found = surveyed(options, Edit(), lambda entry: None, strict=True)
    except InvalidArchive as error:
        if options.json:
            print(json.dumps({"intact": False, "error": error.name, "why": str(error)}))
        raise
    if options.json:
        facts = {"intact": True, "entries": found.entries, "uncompressed_size": found.uncompressed_size}
        print(json.dumps({**facts, "warnings": found.warnings}))
    else:
        print(f"intact: {found.entries:,} entries, {found.uncompressed_size:,} bytes uncompressed")
        warn(found.warnings)


COMMANDS = {"repack": repack_command, "inspect": inspect_command, "cat": cat_command, "verify": verify_command}


def surveyed(options: argparse.Namespace, edit: Edit, visit: Callable[[Entry], None], strict: bool = False) -> Survey:
    """Survey the source to its end, whatever is in it."""
    from .core.prefix import read_head
    from .core.survey import survey
    from .stores import open_source

    uri, wanted = options.source, not options.quiet
    opened = open_source(uri, s3_of(options), only_read=True)
    with closing(opened) as source, of_archive(uri), shown_progress(wanted) as progress:
        return survey(
            source, read_head(source).unmarked(), edit, limits_of(options), progress, visit=visit, strict=strict
        )


def described(result: Result) -> Iterator[str]:
    """A Result for a person."""
    moved = result.bytes
    proof = f", proved by {result.output.proof}" if result.output.proof else ""
    yield (
        f"{result.output_uri}: {result.method}, {result.output.size:,} bytes in {result.seconds:.2f} s "
        f"(read {moved.read:,}, written {moved.uploaded:,}, copied {moved.copied:,}{proof})"
    )
    if result.method != "graft":
        yield f"  {result.method} because {result.why}"
    if result.removed_count:
        yield f"  out: {some(result.removed, result.removed_count)}"
    yield from laid_over(result)


def foreseen(plan: Forecast) -> Iterator[str]:
    """A Forecast for a person."""
    known, moved = plan.output_size is not None, plan.bytes
    size = f"{plan.output_size:,} bytes" if known else "of a size that is known when all is packed"
    yield (
        f"{plan.output_uri} would be: {plan.method}, {size} (read {moved.read:,}, "
        f"to write {'' if known else 'more than '}{moved.uploaded:,}, to copy {moved.copied:,})"
    )
    yield f"  {plan.method} because {plan.why}"
    if plan.put:
        yield f"  in: {some(plan.put, plan.put_count)}"
    if plan.removed_count:
        yield f"  out: {some(plan.removed, plan.removed_count)}"
    yield from laid_over(plan)


def laid_over(done: Result | Forecast) -> Iterator[str]:
    """What --set does to the hyperparameters of the archive."""
    for what, keys in (("changed", done.hyperparameters_changed), ("kept", done.hyperparameters_kept)):
        if keys and done.hyperparameters_kept:
            yield f"  hyperparameters {what}: {some(keys, len(keys))}"


def some(names: Iterable[str], count: int) -> str:
    """The first of many names."""
    shown = list(names)[:NAMES_SHOWN]
    return ", ".join(shown) + (f" and {count - len(shown):,} more" if count > len(shown) else "")


def warn(warnings: Iterable[str]) -> None:
    """What a person should know, on stderr."""
    for warning in warnings:
        print(f"warning: {escaped(warning)}", file=sys.stderr)


def replace_closed_streams() -> None:
    """Write to nowhere what a caller who closed stdout or stderr does not want; no archive is opened in their place."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - it lives to the end


def end_tidily() -> None:
    """Leave nothing behind when somebody ends the process or closes its terminal, unless told to outlive that."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no terminals that hang up
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, terminate)


def terminate(signum: int, frame: object) -> NoReturn:
    """End by a signal as by an error, so that nothing is left behind."""
    raise SystemExit(128 + signum)
