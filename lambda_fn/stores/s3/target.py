"""The place of one output in S3: published all or nothing, on condition that nobody else did, and proved."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from typing import Any, Callable, Iterator, Mapping, Optional
from uuid import uuid4

from botocore.exceptions import ClientError

from ...core.errors import InvalidRequest, OutputChanged, OutputNotProved, RepackError
from ...core.recipe import Copy, Recipe
from ...core.store import CopiesAhead, Memory, Present, Progress, Published, Source
from . import checksum, metadata, parts, pointer
from .access import Place, S3Access, named_errors, status
from .checksum import Crc
from .known import Known
from .multipart import MultipartUpload
from .parts import Part, Upload
from .pointer import Output
from .sending import Sending, Sent
from .source import S3Source
from .witness import Witness


class S3Target:
    """A `core.store.Target`. Raises AccessDenied, InvalidRequest and StoreUnavailable at open."""

    ahead: Optional[CopiesAhead] = None
    """S3's copies are a few requests, whenever they are made."""

    def __init__(self, uri: str, access: S3Access) -> None:
        self.place = Place.parse(uri)
        self.access = access
        head = self._head()
        if not head:
            self._bucket_exists()
        self.present: Optional[Present] = None
        if head:
            note = pointer.note_of(self.place, head, access) or {}
            self.present = Present(head["ContentLength"], head["ETag"], head.get("VersionId"), note)
        self._known = Known(self.place, access, self.present.note if self.present else {})
        self._condition = {"IfMatch": head["ETag"]} if head else {"IfNoneMatch": "*"}
        self._publication = uuid4().hex
        self._warnings: tuple[str, ...] = ()

    @property
    def memory(self) -> Memory:
        """Known sources, and what lies here now."""
        return self._known

    def publish(self, source: Source, recipe: Recipe, note: Mapping[str, str], progress: Progress) -> Published:
        """Copies inside S3 what comes from a source in S3, and uploads the rest."""
        inside = source if isinstance(source, S3Source) else None
        if inside and self._is(inside) and list(recipe) == [Copy(0, source.size)]:
            return Published(source.size, source.etag, source.version_id, 0, 0, None)
        crc = inside.checksums.crc if inside and inside.checksums else checksum.known()[0]
        shape = parts.shape(recipe, source.size, copies=inside is not None)
        witness = Witness(recipe, crc, source)
        foreseen = witness.foreseen()
        with closing(parts.cut(witness.recipe, shape, source.stream)) as cut:
            begun = [next(cut)]
            if isinstance(begun[0], Upload) and begun[0].size < parts.UPLOAD_PART:
                begun.extend(islice(cut, 1))  # a copy, if anything
                if isinstance(begun[-1], Upload):
                    return self._put(begun[0], source, note, crc)
            told = metadata.of_bytes(note, foreseen.size, crc, foreseen.crc) if foreseen else note
            known = sum(piece.size or 0 for piece in recipe)
            with MultipartUpload(self.place, self.access, crc, self._attributes(source, told)) as upload:
                sent = Sending(upload, inside, shape, known, progress).all(_chained(begun, cut))
                seen = foreseen or witness.seen()
                expected = seen.crc if seen else None
                answer = self._settled(lambda: upload.complete(sent.size, expected, self._condition))
        return self._proved(answer, crc, expected, sent, note)

    def close(self) -> None:
        """Nothing is open between publications."""

    def _is(self, source: S3Source) -> bool:
        return self.place == source.place and self._condition == {"IfMatch": source.etag}

    def _put(self, part: Upload, source: Source, note: Mapping[str, str], crc: Crc) -> Published:
        """An output too small for parts, in one request."""
        part.fill_in()
        data = part.data.getvalue()
        value = crc.of(data, 0)
        attributes = self._attributes(source, metadata.of_bytes(note, len(data), crc, value))

        def put() -> Mapping[str, Any]:
            with named_errors(self.place, missing=OutputChanged, changed=OutputChanged):
                answer: Mapping[str, Any] = self.access.client.put_object(
                    **self.access.on(self.place),
                    **self.access.encryption,
                    **attributes,
                    **self._condition,
                    **{crc.field: crc.encode(value)},
                    Body=data,
                )
            return answer

        return self._proved(self._settled(put), crc, value, Sent(uploaded=len(data)), note)

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
        self, answer: Mapping[str, Any], crc: Crc, expected: Optional[int], sent: Sent, note: Mapping[str, str]
    ) -> Published:
        """Compares what S3 says of the output with what was sent; an output that differs is deleted."""
        if expected is None or crc.field not in answer or not answer.get("ETag"):  # Ceph answers an empty one
            head = self._head()
            if metadata.publication_of(head) == self._publication or head.get("ETag") == answer.get("ETag"):
                answer = {**answer, **head}
        name, _, given = (checksum.told(answer) or "").partition(":")
        provable = expected is not None and name == crc.name
        if answer.get("ContentLength", sent.size) != sent.size or (provable and given != crc.encode(expected or 0)):
            raise OutputNotProved(f"{self.place}: S3 holds other bytes than were sent; {self._deleted(answer)}")
        output = Output.of(self.place, {"ETag": "", **answer, "ContentLength": sent.size}, note)
        return Published(
            size=sent.size,
            etag=answer.get("ETag"),
            version_id=answer.get("VersionId"),
            uploaded=sent.uploaded,
            copied=sent.copied,
            proof=crc.name if provable else None,
            warnings=(*self._warnings, *self._known.vouch(output)),
        )

    def _deleted(self, answer: Mapping[str, Any]) -> str:
        """Deletes exactly what was written, by its version or while its ETag is still there; says what became of it."""
        version = answer.get("VersionId")
        exactly = {"VersionId": version} if version else {"IfMatch": answer["ETag"]}
        try:
            with named_errors(self.place):
                self.access.client.delete_object(**self.access.on(self.place), **exactly)
        except RepackError as error:
            return f"it could not be deleted, so delete it: {error}"
        return "it was deleted"

    def _attributes(self, source: Source, note: Mapping[str, str]) -> dict[str, Any]:
        """The arguments that say what stands beside the output."""
        model = source.model or source if isinstance(source, S3Source) else None
        head: Mapping[str, Any] = model.head if model else {}
        attributes = metadata.kept(head, model.tags() if model else {})
        attributes["Metadata"] = metadata.user_metadata(head, note, self._publication)
        if self.access.storage_class:
            attributes["StorageClass"] = self.access.storage_class
        if metadata.NOTE not in attributes["Metadata"] and self.access.known_sources is None:
            self._warnings = (metadata.NO_ROOM,)
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


def _chained(begun: list[Part], others: Iterator[Part]) -> Iterator[Part]:
    """All of them; the begun ones are let go of, or they would be in memory to the end."""
    while begun:
        yield begun.pop(0)
    yield from others
