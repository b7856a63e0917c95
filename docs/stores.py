"""What a store of S3's kind does for a repack: `python -m docs.stores NAME URL` tries it and prints its row of s3.md.

It makes buckets of its own there and removes nothing. Credentials come from the environment.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

from lambda_fn.core.errors import OutputChanged, RepackError, SourceChanged
from lambda_fn.core.recipe import Copy, Late, Literal, Made, Recipe
from lambda_fn.core.store import Published
from lambda_fn.stores.s3 import S3Access, S3Source, S3Target

NO = "**no**"
NOISE = random.Random(3).randbytes(23 << 20)


class Trial:
    """One store, one bucket."""

    def __init__(self, url: str) -> None:
        self.access = S3Access.default(endpoint_url=url, region="us-east-1")
        self.bucket = f"trial-{uuid4().hex[:12]}"
        self.client = self.access.client
        self.client.create_bucket(Bucket=self.bucket)
        self.put("in", NOISE)

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=data, ContentType="application/gzip")

    def open(self, key: str = "in") -> S3Source:
        return S3Source(f"s3://{self.bucket}/{key}", self.access)

    def target(self, key: str = "out") -> S3Target:
        return S3Target(f"s3://{self.bucket}/{key}", self.access)

    def publish(self, target: S3Target, source: S3Source, recipe: Recipe | None = None) -> Published:
        graft: Recipe = [Literal(b"head"), Copy(10, len(NOISE) - 8), Literal(b"trailer!")]
        return target.publish(source, recipe or graft, {"made": "here"}, lambda done, total: None)

    def content(self, key: str = "out") -> bytes:
        data: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return data

    def copied_inside(self) -> str:
        source = self.open()
        for _ in source.stream():
            pass
        published = self.publish(self.target(), source)
        right = self.content() == b"head" + NOISE[10:-8] + b"trailer!"
        return yes(right and published.copied > 0)

    def streamed(self) -> str:
        recipe: Recipe = [Late(4, lambda: b"head"), Made(lambda: iter([NOISE[: 12 << 20]])), Copy(0, len(NOISE))]
        self.publish(self.target("streamed"), self.open(), recipe)
        return yes(self.content("streamed") == b"head" + NOISE[: 12 << 20] + NOISE)

    def proof(self) -> str:
        source = self.open()
        for _ in source.stream():
            pass
        small, large = (self.publish(self.target(key), source, recipe).proof for key, recipe in PROVED.items())
        return large or (f"{small}, small outputs only" if small else "none")

    def source_pinned(self) -> str:
        self.put("changing", NOISE)
        source = self.open("changing")
        self.put("changing", NOISE[::-1])
        read = copied = False
        try:
            source.read(0, 10)
        except SourceChanged:
            read = True
        try:
            self.publish(self.target("of-changing"), source, [Copy(0, len(NOISE))])
        except SourceChanged:
            copied = True
        return {(True, True): "yes", (True, False): "reads only", (False, True): "copies only"}.get(
            (read, copied), "no"
        )

    def output_kept(self) -> str:
        kept: list[bool] = []
        for recipe in PROVED.values():
            first, second = self.target(f"raced-{len(kept)}"), self.target(f"raced-{len(kept)}")
            self.publish(first, self.open(), recipe)
            try:
                self.publish(second, self.open(), recipe)
            except OutputChanged:
                kept.append(True)
            else:
                kept.append(False)
        return {(True, True): "yes", (True, False): "small outputs only"}.get((kept[0], kept[1]), NO)

    def known_again(self) -> str:
        self.access = replace(self.access, known_sources=f"s3://{self.bucket}/known/")
        self.publish(self.target("known-output"), self.open())
        return yes(self.open("known-output").ours)

    def tags(self) -> str:
        tags = {"TagSet": [{"Key": "a b", "Value": "1+1"}]}
        self.client.put_object_tagging(Bucket=self.bucket, Key="in", Tagging=tags)
        self.publish(self.target("tagged"), self.open())
        return yes(self.open("tagged").tags() == {"a b": "1+1"})

    def keys(self) -> str:
        bad = []
        for key in ("a b+c%2Fd/%41.gz", "ä/ö//ü ✓", "k?v=1#f&=", "quo'te\"<>~*(!)"):
            self.put(key, NOISE)
            self.publish(self.target(key), self.open(key))
            if self.content(key) != b"head" + NOISE[10:-8] + b"trailer!":
                bad.append(key)
        return f"not {bad}" if bad else "yes"

    def nothing_left(self) -> str:
        def stop(done: int, total: int) -> None:
            raise OutputChanged("stop")

        target = self.target("stopped")
        with suppress(OutputChanged):
            target.publish(self.open(), [Literal(b"head"), Copy(0, len(NOISE))], {}, stop)
        return yes(not self.client.list_multipart_uploads(Bucket=self.bucket).get("Uploads"))


PROVED: dict[str, Recipe | None] = {"small": [Literal(b"small")], "large": None}
TRIALS: dict[str, Callable[[Trial], str]] = {
    "copied inside": Trial.copied_inside,
    "streamed": Trial.streamed,
    "proof": Trial.proof,
    "source pinned": Trial.source_pinned,
    "output of others kept": Trial.output_kept,
    "known again": Trial.known_again,
    "tags": Trial.tags,
    "odd keys": Trial.keys,
    "nothing left": Trial.nothing_left,
}


def yes(fact: bool) -> str:
    """As the table says it."""
    return "yes" if fact else NO


def tried(trial: Callable[[Trial], str], url: str) -> str:
    """What came of it; each has a bucket of its own."""
    try:
        return trial(Trial(url))
    except RepackError as error:
        print(f"{trial.__name__}: {error.name}: {error}", file=sys.stderr)
        return error.name
    except Exception as error:  # noqa: BLE001 - what another store answers to its own set-up
        print(f"{trial.__name__}: {error!r}", file=sys.stderr)
        return "cannot be set up"


def main() -> None:
    """Print a row."""
    name, url = sys.argv[1:]
    print("| " + " | ".join([name, *(tried(trial, url) for trial in TRIALS.values())]) + " |")


if __name__ == "__main__":
    main()
