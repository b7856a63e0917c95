"""The place of one output in S3: published all or nothing, on condition that nobody else did, and proved."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from queue import Empty, SimpleQueue
from typing import Any, Callable, Iterator, Mapping, Optional
from uuid import uuid4

from botocore.exceptions import ClientError

from ...core import recipe as recipes
from ...core.errors import InvalidRequest, OutputChanged, OutputNotProved, RepackError, StoreFull
from ...core.recipe import Copy, Literal, Recipe
from ...core.store import Present, Progress, Published, Source
from ..local import LocalSource
from . import checksum, known, metadata, parts
from .access import Place, S3Access, code, named_errors, status
from .checksum import Crc
from .multipart import MultipartUpload
from .parts import Part, Upload
from .source import S3Source

PARALLEL = 6
"""Parts under way at once."""
TICK = 1.0
"""Seconds between two reports of progress while S3 is busy."""


class S3Target:
    """A `core.store.Target`. Raises AccessDenied, InvalidRequest and StoreUnavailable at open."""

    copies_beside = False

    def __init__(self, uri: str, access: S3Access) -> None:
        self.place = Place.parse(uri)
        self.access = access
        head = self._head()
        if not head:
            self._bucket_exists()
        self.present: Optional[Present] = None
        if head:
            self.present = Present(head["ContentLength"], head["ETag"], head.get("VersionId"), metadata.note_of(head))
        self._condition = {"IfMatch": head["ETag"]} if head else {"IfNoneMatch": "*"}
        self._publication = uuid4().hex
        self._model: Optional[Source] = None
        """What the output is a repack of, where its bytes come from an earlier output."""
        self._warnings: tuple[str, ...] = ()

    def earlier(self, source: Source, made_of: Mapping[str, str]) -> Optional[Source]:
        """The object that lies there now, or one in the same bucket that a pointer leads to."""
        place: Optional[Place] = self.place
        if self.present is None or not made_of.items() <= self.present.note.items():
            pointer = self._pointer(source, made_of)
            place = known.follow(pointer, self.access) if pointer else None
        if place is None or place.bucket != self.place.bucket:
            return None
        try:
            output = S3Source(str(place), self.access)
        except RepackError:
            return None
        self._model = source
        return output if made_of.items() <= output.note.items() else None

    def remember(self, source: Source, made_of: Mapping[str, str]) -> None:
        """Make the pointer lead here."""
        if pointer := self._pointer(source, made_of):
            known.point(pointer, self.access, self.place)

    def _pointer(self, source: Source, made_of: Mapping[str, str]) -> Optional[Place]:
        if self.access.known_sources is None or not isinstance(source, S3Source):
            return None
        return known.pointer_to(self.access.known_sources, source, made_of, self.place.bucket)

    def anticipate(self, source: Source, shift: int) -> Iterator[bytes]:
        """The stream alone: S3's copies are a few requests, whenever they are made."""
        return source.stream()

    def publish(self, source: Source, recipe: Recipe, note: Mapping[str, str], progress: Progress) -> Published:
        """Copies inside S3 what comes from a source in S3, and uploads the rest."""
        inside = source if isinstance(source, S3Source) else None
        if inside and self._is(inside) and recipe == [Copy(0, source.size)]:
            return Published(source.size, source.etag, source.version_id, 0, 0, None)
        planned = parts.plan(recipe, source.size, copies=inside is not None)
        crc = inside.checksums.crc if inside and inside.checksums else checksum.known()[0]
        if len(planned) == 1 and isinstance(planned[0], Upload):
            return self._put(_bytes_of(planned[0], source), source, note, crc)
        size = recipes.size(recipe)
        crcs = [0] * len(planned)

        def send(number: int, part: Part) -> int:
            if isinstance(part, Upload):
                crcs[number - 1] = upload.upload(number, BytesIO(_bytes_of(part, source)))
            elif inside:
                upload.copy(number, inside, part)
            return part.size

        with MultipartUpload(self.place, self.access, crc, self._attributes(source, note)) as upload:
            self._send_all(planned, send, upload, lambda sent: progress(sent, size))
            if inside:
                expected = _crc_of(recipe, crc, inside)
            else:
                expected = crc.joined(zip(crcs, (part.size for part in planned)))
            answer = self._settled(lambda: upload.complete(size, expected, self._condition))
        copied = sum(part.size for part in planned if isinstance(part, Copy))
        return self._proved(answer, crc, expected, size, copied)

    def write(
        self, source: Source, head_size: int, body: Iterator[bytes], head: Callable[[], bytes], note: Mapping[str, str]
    ) -> Published:
        """Streams parts up as they are made; the first, which begins with the head, goes last."""
        crc = checksum.known()[0]
        # No sane encoder doubles an archive.
        part_size = parts.upload_part(max(source.size, min(2 * source.size, parts.MOST_UPLOADED)))
        made = _in_parts(body, parts.UPLOAD_PART - head_size, part_size)
        first = next(made, BytesIO())
        part = next(made, None)
        if part is None:
            return self._put(head() + first.getvalue(), source, note, crc)
        crcs: list[tuple[int, int]] = []

        def send(number: int, part: BytesIO) -> tuple[int, int]:
            return upload.upload(number, part), part.getbuffer().nbytes

        with MultipartUpload(self.place, self.access, crc, self._attributes(source, note)) as upload:
            under_way: deque[Future[tuple[int, int]]] = deque()
            # Larger parts go one after the other: beside a compressor's threads, two of them are too much memory.
            meanwhile = 1 if part_size == parts.UPLOAD_PART else 0
            with ThreadPoolExecutor(1, thread_name_prefix="s3-write") as pool:
                number = 1
                while part is not None:
                    number += 1
                    if number > parts.MAX_PARTS:
                        raise StoreFull(f"{self.place} grows beyond {parts.MOST_UPLOADED} bytes; pack the model anew")
                    under_way.append(pool.submit(send, number, part))
                    part = None  # or it would be in memory beside the next
                    while len(under_way) > meanwhile:
                        crcs.append(under_way.popleft().result())
                    part = next(made, None)
                crcs.extend(future.result() for future in under_way)
            crcs.insert(0, send(1, BytesIO(head() + first.getvalue())))
            expected, size = crc.joined(crcs), sum(length for _, length in crcs)
            answer = self._settled(lambda: upload.complete(size, expected, self._condition))
        return self._proved(answer, crc, expected, size, copied=0)

    def close(self) -> None:
        """Nothing is open between publications."""

    def _is(self, source: S3Source) -> bool:
        return self.place == source.place and self._condition == {"IfMatch": source.etag}

    def _send_all(
        self,
        planned: list[Part],
        send: Callable[[int, Part], int],
        upload: MultipartUpload,
        report: Callable[[int], None],
    ) -> None:
        """All parts, several at once; the first failure, ours or `report`'s, ends them all."""
        finished: SimpleQueue[Future[int]] = SimpleQueue()
        sent = done = 0
        largest = max((part.size for part in planned if isinstance(part, Upload)), default=1)
        at_once = min(PARALLEL, parts.at_once(largest))
        with ThreadPoolExecutor(at_once, thread_name_prefix="s3-publish") as pool:
            try:
                for number, part in enumerate(planned, 1):
                    pool.submit(send, number, part).add_done_callback(finished.put)
                while done < len(planned):
                    try:
                        sent += finished.get(timeout=TICK).result()
                        done += 1
                    except Empty:
                        pass
                    report(sent)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                upload.abort()  # at once, before the parts under way have ended: this machine may not live so long
                raise

    def _put(self, data: bytes, source: Source, note: Mapping[str, str], crc: Crc) -> Published:
        """An output too small for parts, in one request."""
        value = crc.of(data, 0)

        def put() -> Mapping[str, Any]:
            with named_errors(self.place, missing=OutputChanged, changed=OutputChanged):
                answer: Mapping[str, Any] = self.access.client.put_object(
                    **self.access.on(self.place),
                    **self.access.encryption,
                    **self._attributes(source, note),
                    **self._condition,
                    **{crc.field: crc.encode(value)},
                    Body=data,
                )
            return answer

        return self._proved(self._settled(put), crc, value, len(data), copied=0)

    def _settled(self, publish: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """The answer to the request that makes the output; if it fails, the output's own word whether it did.

        When an answer is lost, its repetition finds our own output there and fails on the condition.
        """
        try:
            return publish()
        except RepackError:
            head = self._head()
            if metadata.publication_of(head) != self._publication:
                raise
            return head

    def _proved(
        self, answer: Mapping[str, Any], crc: Crc, expected: Optional[int], size: int, copied: int
    ) -> Published:
        """Compares what S3 says of the output with what was sent; an output that differs is deleted."""
        if expected is None or crc.field not in answer or not answer.get("ETag"):  # Ceph answers an empty one
            head = self._head()
            if metadata.publication_of(head) == self._publication or head.get("ETag") == answer.get("ETag"):
                answer = {**answer, **head}
        given = answer.get(crc.field)
        provable = expected is not None and given is not None
        if answer.get("ContentLength", size) != size or (provable and given != crc.encode(expected or 0)):
            self._delete(answer)
            raise OutputNotProved(f"{self.place}: S3 holds other bytes than were sent; it was deleted")
        return Published(
            size=size,
            etag=answer.get("ETag"),
            version_id=answer.get("VersionId"),
            uploaded=size - copied,
            copied=copied,
            proof=crc.name if provable else None,
            warnings=self._warnings,
        )

    def _delete(self, answer: Mapping[str, Any]) -> None:
        """Exactly what was written: by its version, or else while its ETag is still there."""
        version = answer.get("VersionId")
        exactly = {"VersionId": version} if version else {"IfMatch": answer["ETag"]}
        with named_errors(self.place, missing=OutputChanged, changed=OutputChanged):
            try:
                self.access.client.delete_object(**self.access.on(self.place), **exactly)
            except ClientError as error:
                if code(error) != "NotImplemented":
                    raise
                self.access.client.delete_object(**self.access.on(self.place))

    def _attributes(self, source: Source, note: Mapping[str, str]) -> dict[str, Any]:
        """The arguments that say what stands beside the output."""
        model = self._model or source
        head: Mapping[str, Any] = model.head if isinstance(model, S3Source) else {}
        attributes = metadata.kept(head, model.tags() if isinstance(model, S3Source) else {})
        attributes["Metadata"] = metadata.user_metadata(head, note, self._publication)
        if self.access.storage_class:
            attributes["StorageClass"] = self.access.storage_class
        self._warnings = () if metadata.NOTE in attributes["Metadata"] else (metadata.NO_ROOM,)
        return attributes

    def _head(self) -> Mapping[str, Any]:
        """What lies there now; empty if nothing does."""
        with named_errors(self.place):
            try:
                head: Mapping[str, Any] = self.access.client.head_object(
                    **self.access.on(self.place), ChecksumMode="ENABLED"
                )
            except ClientError as error:
                if status(error) != 404:
                    raise
                return {}
        return head

    def _bucket_exists(self) -> None:
        """A HEAD of nothing does not tell a missing object from a missing bucket; a scan should not begin for that."""
        with named_errors(f"the bucket of {self.place}", missing=InvalidRequest):
            try:
                arguments = self.access.on(self.place)
                self.access.client.head_bucket(
                    **{name: value for name, value in arguments.items() if name in ("Bucket", "ExpectedBucketOwner")}
                )
            except ClientError as error:
                if status(error) == 404:
                    raise  # whoever may write but not list is told when writing


def _bytes_of(part: Upload, source: Source) -> bytes:
    data = b"".join(
        piece.data if isinstance(piece, Literal) else source.read(piece.start, piece.stop) for piece in part.pieces
    )
    if isinstance(source, LocalSource):
        source.check()
    return data


def _crc_of(recipe: Recipe, crc: Crc, source: S3Source) -> Optional[int]:
    """The output's CRC by its literals and what is known of the source; None if nothing is."""
    prefixes = source.checksums
    if prefixes is None:
        return None
    return crc.joined(
        (
            crc.of(piece.data, 0)
            if isinstance(piece, Literal)
            else prefixes.between(piece.start, piece.stop, source.read),
            piece.size,
        )
        for piece in recipe
    )


def _in_parts(body: Iterator[bytes], first: int, others: int) -> Iterator[BytesIO]:
    """The body in parts of just over the wanted size; the last is what is left."""
    wanted, part = first, BytesIO()
    for chunk in body:
        part.write(chunk)
        if part.tell() >= wanted:
            yield part
            wanted, part = others, BytesIO()
    if part.tell():
        yield part
