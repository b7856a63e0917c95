"""Every request of every method, gone wrong in every way: the right output or the old one, and nothing left behind."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lambda_fn.core.errors import AccessDenied, RepackError, StoreUnavailable
from lambda_fn.core.recipe import Copy, Late, Literal, Made, Recipe
from lambda_fn.repacker import repack
from lambda_fn.stores.s3 import S3Access, S3Source, S3Target
from tests.stand_ins.faults import DELAYED, DENIED, FAILED, FAULTS, LOST, SLOW_DOWN, TRUNCATED, Proxy, Seen, always, at
from tests.stores.s3.models import (
    MEDIUM,
    MEDIUM_MANY,
    MEDIUM_ONCE,
    NEW,
    OLD,
    SCALE,
    SMALL,
    SMALL_MANY,
    SMALL_ONCE,
    hyperparameters_in,
)


@pytest.fixture(scope="module")
def scale() -> int:
    return SCALE


@dataclass(frozen=True)
class Case:
    """A repack of one archive; `own` of our own output, `up` and `down` from and to the local disk."""

    name: str
    model: bytes
    method: str
    copies: bool = False
    """Whether S3 copies from the model."""
    own: bool = False
    up: bool = False
    down: bool = False


CASES = [
    Case("graft", MEDIUM, "graft", copies=True),
    Case("small graft", SMALL, "graft"),
    Case("splice", MEDIUM_ONCE, "splice", copies=True),
    Case("rewrite", MEDIUM_MANY, "rewrite"),
    Case("small rewrite", SMALL_MANY, "rewrite"),
    Case("own output", MEDIUM, "graft", copies=True, own=True),
    Case("unchanged", SMALL_ONCE, "unchanged"),
    Case("upload", MEDIUM, "graft", up=True),
    Case("download", SMALL, "graft", down=True),
]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))


class Stage:
    """A bucket with the model of a case, and an old output; repacks go through the proxy."""

    def __init__(self, case: Case, s3: Any, bucket: str, access: S3Access, proxy: Proxy, folder: Path) -> None:
        self.case, self.s3, self.bucket, self.access, self.proxy = case, s3, bucket, access, proxy
        self.wanted = OLD if case.method == "unchanged" else NEW
        self.folder = folder
        self.model = f"s3://{bucket}/in"
        if case.up:
            self.model = str(folder / "in")
            (folder / "in").write_bytes(case.model)
        else:
            s3.put_object(Bucket=bucket, Key="in", Body=case.model)
        if case.own:
            repack(self.model, f"s3://{bucket}/own", {"hyperparameters.json": OLD}, s3=access)
            self.model = f"s3://{bucket}/own"

    def clear(self) -> None:
        """A fresh place with an old output."""
        self.key = uuid4().hex
        self.proxy.reset()
        if self.case.down:
            (self.folder / self.key).write_bytes(b"old")
        else:
            self.s3.put_object(Bucket=self.bucket, Key=self.key, Body=b"old")

    def repack(self) -> str:
        output = str(self.folder / self.key) if self.case.down else f"s3://{self.bucket}/{self.key}"
        return repack(self.model, output, {"hyperparameters.json": self.wanted}, s3=self.access).method

    def output(self) -> bytes:
        if self.case.down:
            return (self.folder / self.key).read_bytes()
        data: bytes = self.s3.get_object(Bucket=self.bucket, Key=self.key)["Body"].read()
        return data

    def check(self, failed: RepackError | None) -> None:
        """All or nothing, and nothing else."""
        output = self.output()
        assert output == b"old" if failed else hyperparameters_in(output) == [self.wanted]
        self.check_nothing_left()

    def check_nothing_left(self) -> None:
        assert "Uploads" not in self.s3.list_multipart_uploads(Bucket=self.bucket)
        assert not [file for file in self.folder.iterdir() if file.name.startswith(".")]

    def disturbed(self) -> RepackError | None:
        """One repack; how it failed."""
        try:
            self.repack()
        except RepackError as error:
            return error
        return None

    def check_rerun(self) -> None:
        self.proxy.reset()
        self.repack()
        assert hyperparameters_in(self.output()) == [self.wanted]


@pytest.fixture
def stage(s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, tmp_path: Path) -> Callable[[Case], Stage]:
    return lambda case: Stage(case, s3, bucket, proxied, proxy, tmp_path)


@every_case
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != SLOW_DOWN])  # which is retried as a 500 is
def test_one_fault_at_any_request_is_got_over(stage: Callable[[Case], Stage], case: Case, fault: str) -> None:
    here = stage(case)
    here.clear()
    assert here.repack() == case.method
    operations = here.proxy.operations
    assert ("UploadPartCopy" in operations) == case.copies
    points: Iterable[int] = range(len(operations))
    if fault in (DELAYED, FAILED):  # LOST later, and repeated as DROPPED is: once for each kind of request
        points = [operations.index(operation) for operation in sorted(set(operations))]
    for number in points:
        here.clear()
        here.proxy.fault = at(number, fault)
        failed = here.disturbed()
        assert failed is None, (operations[number], failed)
        here.check(failed)
    assert len(list(points)) >= 2
    here.check_rerun()


@every_case
@pytest.mark.parametrize("fault", [SLOW_DOWN, DENIED])
def test_what_always_fails_ends_the_repack_and_leaves_nothing(
    stage: Callable[[Case], Stage], case: Case, fault: str
) -> None:
    here = stage(case)
    here.clear()
    here.repack()
    for operation in sorted(set(here.proxy.operations)):
        here.clear()
        here.proxy.fault = always(operation, fault)
        failed = here.disturbed()
        optional = operation == "GetObjectTagging" and fault == DENIED
        assert bool(failed) != optional, operation
        here.check(failed)
        here.check_rerun()


@pytest.mark.parametrize("fault", FAULTS)
def test_an_abort_that_goes_wrong_is_repeated(stage: Callable[[Case], Stage], fault: str) -> None:
    here = stage(CASES[0])
    here.clear()
    aborts = []

    def denied_and_hard_to_abort(seen: Seen) -> str | None:
        if seen.operation == "AbortMultipartUpload":
            aborts.append(seen)
            return fault if len(aborts) == 1 else None
        return DENIED if seen.operation == "UploadPartCopy" else None

    here.proxy.fault = denied_and_hard_to_abort
    failed = here.disturbed()
    assert isinstance(failed, AccessDenied)
    assert len(aborts) >= 2
    here.check(failed)


MiB = (1 << 20) // SCALE
SIZE = 36 * MiB


def pieces(stream: bool) -> tuple[Recipe, bytes]:
    """Copies, neighbourhoods made anew between them and a file put in, and what they make of the model."""
    data = random.Random(1).randbytes(SIZE)
    file = random.Random(2).randbytes(11 * MiB)

    def made() -> Iterator[bytes]:
        yield from (file[start : start + 7000] for start in range(0, len(file), 7000))

    recipe: Recipe = [
        Late(4, lambda: b"head"),
        Made(made, None if stream else len(file)),
        Copy(10, 11 * MiB),
        Literal(b"first"),
        Copy(12 * MiB, 23 * MiB),
        Made(lambda: iter([b"second"]), 6),
        Copy(24 * MiB, SIZE - 8),
        Late(4, lambda: b"tail"),
    ]
    wanted = b"head" + file + data[10 : 11 * MiB] + b"first" + data[12 * MiB : 23 * MiB] + b"second"
    return recipe, wanted + data[24 * MiB : -8] + b"tail"


@pytest.mark.parametrize(("stream", "fault"), [(True, LOST), (True, TRUNCATED), (False, LOST)])
def test_one_fault_at_any_request_of_a_recipe_with_all_pieces_is_got_over(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, stream: bool, fault: str
) -> None:
    s3.put_object(Bucket=bucket, Key="in", Body=random.Random(1).randbytes(SIZE))
    recipe, wanted = pieces(stream)

    def publish() -> None:
        source = S3Source(f"s3://{bucket}/in", proxied)
        S3Target(f"s3://{bucket}/out", proxied).publish(source, recipe, {"n": "1"}, lambda done, total: None)

    publish()
    assert proxy.operations.count("UploadPartCopy") == 3
    assert s3.get_object(Bucket=bucket, Key="out")["Body"].read() == wanted
    checksum = s3.head_object(Bucket=bucket, Key="out", ChecksumMode="ENABLED")["ChecksumCRC64NVME"]
    for number in range(len(proxy.seen)):
        s3.put_object(Bucket=bucket, Key="out", Body=b"old")
        proxy.reset()
        proxy.fault = at(number, fault)
        publish()
        proxy.reset()
        assert s3.head_object(Bucket=bucket, Key="out", ChecksumMode="ENABLED")["ChecksumCRC64NVME"] == checksum
        assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def copied(seen: Seen) -> int:
    """How many bytes a request asks S3 to copy; 0 if it asks for no copy."""
    headers = {name.lower(): value for name, value in seen.headers.items()}
    start, _, end = headers.get("x-amz-copy-source-range", "bytes=1-0").removeprefix("bytes=").partition("-")
    return int(end) + 1 - int(start)


@pytest.fixture
def large(s3: Any, bucket: str, proxied: S3Access) -> S3Source:
    """A source of which a graft copies more than 40 MiB."""
    s3.put_object(Bucket=bucket, Key="in", Body=random.Random(4).randbytes(48 * MiB))
    return S3Source(f"s3://{bucket}/in", proxied)


def graft(source: S3Source) -> Recipe:
    return [Literal(b"head"), Copy(10, source.size - 8), Literal(b"trailer!")]


def test_after_a_copy_that_takes_too_long_smaller_ones_are_asked_for(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, large: S3Source
) -> None:
    proxy.fault = lambda seen: DELAYED if copied(seen) > 20 * MiB else None
    published = S3Target(f"s3://{bucket}/out", proxied).publish(large, graft(large), {}, lambda done, total: None)
    first, *others = [size for size in map(copied, proxy.seen) if size]
    assert first > 40 * MiB
    assert len(others) == 3
    assert sum(others) == first
    assert published.proof
    data = random.Random(4).randbytes(48 * MiB)
    assert s3.get_object(Bucket=bucket, Key="out")["Body"].read() == b"head" + data[10:-8] + b"trailer!"
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


@pytest.mark.parametrize(("stream", "asked"), [(False, [1, 3, 2 * 5]), (True, [2])])
def test_copies_that_always_take_too_long_are_asked_for_a_few_times(
    s3: Any, bucket: str, proxied: S3Access, proxy: Proxy, large: S3Source, stream: bool, asked: list[int]
) -> None:
    """Made bytes of unknown size cannot be asked for again, so nothing can be begun anew."""
    recipe = [*graft(large), Made(lambda: iter([b"new"]))] if stream else graft(large)
    proxy.fault = always("UploadPartCopy", DELAYED)
    with pytest.raises(StoreUnavailable):
        S3Target(f"s3://{bucket}/out", proxied).publish(large, recipe, {}, lambda done, total: None)
    uploads = [seen for seen in proxy.seen if seen.operation == "CreateMultipartUpload"]
    assert len(uploads) == len(asked)
    assert sum(map(bool, map(copied, proxy.seen))) <= sum(asked)  # a failure ends those that wait
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
