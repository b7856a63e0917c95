"""Other people's readers of tar: the names that each sees in a file, in order, up to where it gives up.

Each is a program that prints a line for every file, the names in hexadecimal, so that one process reads many files.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tests.readers import NODE

Names = list[str]
Reader = Callable[[Sequence[Path]], list[Names]]

PYTHON = """
import sys, tarfile
for file in sys.argv[1:]:
    names = []
    try:
        with tarfile.open(file, "r|") as tar:
            for info in tar:
                names.append(info.name.encode("utf-8", "surrogateescape").hex())
    except Exception: pass
    print(*names)
"""
GO = """package main
import ("archive/tar"; "bytes"; "fmt"; "io"; "os")
func main() {
	for _, name := range os.Args[1:] {
		data, _ := os.ReadFile(name)
		reader := tar.NewReader(bytes.NewReader(data))
		for {
			header, err := reader.Next()
			if err != nil { break }
			if header.Typeflag != tar.TypeXGlobalHeader { fmt.Printf("%x ", header.Name) }
			if _, err := io.Copy(io.Discard, reader); err != nil { break }
		}
		fmt.Println()
	}
}
"""
JAVA = """
import java.nio.file.*; import java.nio.charset.StandardCharsets; import java.util.*;
import org.apache.commons.compress.archivers.tar.*;
class Names { public static void main(String[] files) throws Exception {
  for (String file : files) {
    List<String> names = new ArrayList<>();
    try (TarArchiveInputStream tar = new TarArchiveInputStream(Files.newInputStream(Path.of(file)), "UTF-8")) {
      TarArchiveEntry entry;
      while ((entry = tar.getNextTarEntry()) != null)
        names.add(HexFormat.of().formatHex(entry.getName().getBytes(StandardCharsets.UTF_8)));
    } catch (Exception | Error failed) { }
    System.out.println(String.join(" ", names));
  } } }
"""
NODE_TAR = """
const tar = require('tar'), fs = require('fs');
for (const file of process.argv.slice(1)) {
  const names = [];
  const parser = new tar.Parser({ onReadEntry: e => { names.push(Buffer.from(e.path).toString('hex')); e.resume() } });
  parser.on('warn', () => {}).on('error', () => {});
  try { parser.end(fs.readFileSync(file)) } catch (failed) { }
  fs.writeSync(1, names.join(' ') + '\\n');
}
"""
TAR_STREAM = """
const tar = require('tar-stream'), fs = require('fs'), files = process.argv.slice(1);
let done = () => {};
process.on('beforeExit', () => done());  // it waits for ever where an archive is cut off
function next() {
  const file = files.shift(), names = [], extract = tar.extract();
  if (!file) process.exit(0);
  done = () => { done = () => {}; fs.writeSync(1, names.join(' ') + '\\n'); setImmediate(next) };
  const ended = done, end = () => { if (done === ended) ended() };
  extract.on('entry', (header, stream, go) => {
    names.push(Buffer.from(header.name).toString('hex'));
    stream.on('end', go).on('error', end).resume();
  });
  extract.on('error', end).on('finish', end).on('close', end);
  extract.end(fs.readFileSync(file));
}
next();
"""


def by_program(command: Sequence[str], files: Sequence[Path]) -> list[Names]:
    """What a program of those above prints."""
    done = subprocess.run([*command, *map(str, files)], capture_output=True, check=True)
    return [[os.fsdecode(bytes.fromhex(name)) for name in line.split()] for line in done.stdout.decode().splitlines()]


LETTERS = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def by_lister(command: Sequence[str], files: Sequence[Path]) -> list[Names]:
    """What a tar program lists or extracts, file by file; extracting goes into a folder beside it."""
    found = []
    for file in files:
        into = file.with_suffix(".out")
        into.mkdir()
        done = subprocess.run([*command, str(file)], cwd=into, capture_output=True)
        shutil.rmtree(into, ignore_errors=True)
        # GNU tar and bsdtar look for a header behind what is none; they say so, and fail
        searching = done.returncode and (command[0] == "tar" or b"Retrying" in done.stderr)
        lines = done.stdout.splitlines()
        if command[0] == "bsdtar":
            lines = [re.sub(rb"\\([0-7]{3}|.)", unescaped, line) for line in lines]
        found.append([] if searching else [os.fsdecode(line) for line in lines])
    return found


def unescaped(match: re.Match[bytes]) -> bytes:
    """The byte that bsdtar prints so."""
    code = match[1]
    return bytes([int(code, 8)]) if code.isdigit() else LETTERS.get(code, code)


def readers(workshop: Path) -> dict[str, Reader]:
    """Those that are installed; some are compiled in the workshop, and npm's packages are sought in NODE_PATH."""
    found: dict[str, Reader] = {"Python": partial(by_program, (sys.executable, "-c", PYTHON))}
    listers = {
        "GNU tar": ("tar", "--quoting-style=literal", "-tf"),
        "GNU tar, extracting": ("tar", "--quoting-style=literal", "--no-same-owner", "-xvf"),
        "bsdtar": ("bsdtar", "-tf"),
        "busybox": ("busybox", "tar", "-tf"),
        "busybox, extracting": ("busybox", "tar", "-xvf"),
    }
    found |= {name: partial(by_lister, command) for name, command in listers.items() if shutil.which(command[0])}
    if shutil.which("go"):
        source, program = workshop / "names.go", workshop / "names"
        source.write_text(GO)
        caches = {**os.environ, "GOCACHE": str(workshop / "go"), "GO111MODULE": "off"}
        subprocess.run(["go", "build", "-o", program, source], env=caches, check=True)
        found["Go"] = partial(by_program, (str(program),))
    jars = glob.glob("/usr/share/java/commons-compress*.jar")
    if jars and shutil.which("javac"):
        source, path = workshop / "Names.java", ":".join([*jars, str(workshop)])
        source.write_text(JAVA)
        subprocess.run(
            ["javac", "-J-XX:TieredStopAtLevel=1", "-cp", path, "-d", workshop, source], check=True, capture_output=True
        )
        found["commons-compress"] = partial(by_program, ("java", "-XX:TieredStopAtLevel=1", "-cp", path, "Names"))
    for name, code in {"tar": NODE_TAR, "tar-stream": TAR_STREAM}.items():
        if not subprocess.run([NODE, "-e", f"require('{name}')"], capture_output=True).returncode:
            found[f"node, {name}"] = partial(by_program, (NODE, "-e", code))
    return found
