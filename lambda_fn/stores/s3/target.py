"""The place of one output in S3: published all or nothing, on condition that nobody else did, and proved."""

from __future__ import annotations

from contextlib import closing
from itertools import combinations, islice
from typing import Any, Callable, Iterator, Mapping, Optional, TypeVar
from uuid import uuid4

from botocore.exceptions import ClientError

from ...core import recipe as recipes
from ...core.errors import (
    AccessDenied,
    InvalidRequest,
    OutputChanged,
    OutputNotProved,
    RepackError,
    SourceChanged,
    StoreUnavailable,
)
from ...core.recipe import Copy, Recipe
from ...core.store import CopiesAhead, Memory, Present, Progress, Published, Source
from . import checksum, metadata, parts, pointer
from .access import S3Access
from .checksum import Crc
from .failures import code, named_errors, required, status
from .known import Known
from .multipart import MultipartUpload
from .parts import Part, Upload
from .place import Place
from .pointer import Output
from .sending import Sending, Sent
from .source import S3Source
from .witness import Witness

Answer = TypeVar("Answer")

CARRIED_OVER = (
    (("Tagging",), "tags are not carried over (they ask for s3:PutObjectTagging)"),
    (metadata.ENCRYPTION, "the source's encryption key is not carried over, so that the bucket's default holds"),
)
"""What an output has from its source where that is permitted, and what is said where it is not."""


class S3Target:
    """A `core.store.Target`. Raises AccessDenied, InvalidRequest and StoreUnavailable at open."""

    ahead: Optional[CopiesAhead] = None
    """S3's copies are a few requests, whenever they are made."""

    def __init__(self, uri: str, access: S3Access) -> None:
        self.place = Place.of_output(uri)
        self.access = access
        self._blind: Optional[AccessDenied] = None
        """Why what lies here may not be looked at."""
        self._publication = uuid4().hex
        self._warnings: tuple[str, ...] = ()
        self._tagged = False
        head = self._look()
        if not head and not self._blind:
            self._bucket_exists()
        self.present: Optional[Present] = None
        note = (pointer.note_of(self.place, head, access) if head else None) or {}
        if head:
            etag = required(head, "ETag", self.place)
            kept = note if self._as_asked(head) else {}
            self.present = Present(head["ContentLength"], etag, head.get("VersionId"), kept)
        self._known = Known(self.place, access, note)
        self._condition = {"IfMatch": head["ETag"]} if head else {"IfNoneMatch": "*"}

    @property
    def memory(self) -> Memory:
        """Known sources, and what lies here now."""
        return self._known

    def publish(self, source: Source, recipe: Recipe, note: Mapping[str, str], progress: Progress) -> Published:
        """Copies inside S3 what comes from a source in S3, and uploads the rest.

        Where S3 takes too long over a copy it is asked for smaller ones, if the recipe can be carried out again.
        """
        if isinstance(source, S3Source) and self._is(source) and list(recipe) == [Copy(0, source.size)]:
            return Published(source.size, source.etag, source.version_id, 0, 0, None)
        again = recipes.size(recipe) is not None
        return self._publish(source, recipe, note, progress, *parts.DIVISIONS if again else parts.DIVISIONS[:1])

    def _publish(
        self, source: Source, recipe: Recipe, note: Mapping[str, str], progress: Progress, division: int, *smaller: int
    ) -> Published:
        inside = source.checksums if isinstance(source, S3Source) else None
        crc = inside.crc if inside else checksum.known()[0]
        upload = MultipartUpload(self.place, self.access, crc, again=not smaller)
        try:
            with upload:
                return self._carried_out(upload, source, recipe, note, progress, division)
        except StoreUnavailable:
            if not (smaller and upload.overdue):
                raise
        return self._publish(source, recipe, note, progress, *smaller)

    def _carried_out(
        self,
        upload: MultipartUpload,
        source: Source,
        recipe: Recipe,
        note: Mapping[str, str],
        progress: Progress,
        division: int,
    ) -> Published:
        inside = source if isinstance(source, S3Source) else None
        witness = Witness(recipe, upload.crc, source)
        foreseen = witness.foreseen()
        told = metadata.of_bytes(note, foreseen.size, upload.crc, foreseen.crc) if foreseen else note

        def begin() -> None:
            self._granted(upload.begin, self._attributes(source, told))

        copies = inside is not None and self._copies(inside, recipe, upload, begin)
        shape = parts.shape(recipe, source.size, copies, self.access.parts_are_equal, division)
        with closing(parts.cut(witness.recipe, shape, source.stream)) as cut:
            begun = [next(cut)]
            if isinstance(begun[0], Upload) and begun[0].size < parts.UPLOAD_PART:
                begun.extend(islice(cut, 1))  # a copy, if anything
                if isinstance(begun[-1], Upload) and not upload.begun:
                    return self._put(begun[0], source, note, upload.crc)
            if not upload.begun:
                begin()
            known = sum(piece.size or 0 for piece in recipe)
            sent = Sending(upload, inside, shape, known, progress).all(_chained(begun, cut))
        seen = foreseen or witness.seen()
        expected = seen.crc if seen and upload.checked else None
        self._still_so(inside)
        answer = self._settled(lambda: upload.complete(sent.size, expected, self._condition))
        return self._proved(answer, upload.crc, expected, sent, source, note)

    def close(self) -> None:
        """Nothing is open between publications."""

    def _is(self, source: S3Source) -> bool:
        same = self.place == source.place and self._condition == {"IfMatch": source.etag}
        return same and self._as_asked(source.head)

    def _as_asked(self, head: Mapping[str, Any]) -> bool:
        """Whether an object has the key and the storage class that outputs shall have, as far as HEAD tells."""
        key, storage_class = self.access.sse_kms_key_id, self.access.storage_class
        if storage_class and not self.place.express and head.get("StorageClass", "STANDARD") != storage_class:
            return False
        if (key or self.access.sse_kms) and not str(head.get("ServerSideEncryption")).startswith("aws:kms"):
            return False
        # Keys are told by their ARNs, and which key an alias stands for is not told.
        return key is None or "alias/" in key or str(head.get("SSEKMSKeyId")).endswith(key)

    def _copies(self, source: S3Source, recipe: Recipe, upload: MultipartUpload, begin: Callable[[], None]) -> bool:
        """Whether S3 copies from the source, found out by a part that is copied for a try where that is in doubt.

        It may not out of another region by way of a VPC endpoint, or where a policy says so; and Ceph does not find a
        key with percent signs.
        """
        starts = [piece.start for piece in recipe if isinstance(piece, Copy) and piece.size >= 2 * parts.MIN_PART]
        if not starts or (source.place.bucket == self.place.bucket and "%" not in source.place.key):
            return True
        begin()
        try:
            upload.copy(1, source, Copy(starts[0], starts[0] + parts.MIN_PART))
        except (AccessDenied, InvalidRequest, SourceChanged) as refused:
            if isinstance(refused, SourceChanged) and not source.is_there():
                raise
            self._warn(f"{source.place} was uploaded from here, since S3 does not copy it: {refused}")
            return False
        return True

    def _still_so(self, source: Optional[S3Source]) -> None:
        """Other stores than AWS may ignore conditions on copies and completions, so they are asked once more before.

        Raises SourceChanged, OutputChanged.
        """
        if self.access.is_aws:
            return
        if source and not source.is_there():
            raise SourceChanged(f"{source.place} was overwritten meanwhile")
        head = self._look()
        if not self._blind and head.get("ETag") != self._condition.get("IfMatch"):
            raise OutputChanged(f"{self.place} was written by somebody else meanwhile")

    def _put(self, part: Upload, source: Source, note: Mapping[str, str], crc: Crc) -> Published:
        """An output too small for parts, in one request."""
        part.fill_in()
        data = part.data.getvalue()
        value = crc.of(data, 0)
        attributes = self._attributes(source, metadata.of_bytes(note, len(data), crc, value))

        def put(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
            with named_errors(self.place, missing=OutputChanged, changed=OutputChanged):
                answer: Mapping[str, Any] = self.access.client.put_object(
                    **self.access.on(self.place), **attributes, **self._condition, Body=data
                )
            return answer

        def checked(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
            try:
                return put({**attributes, crc.field: crc.encode(value)})
            except InvalidRequest as refused:
                if "checksum" not in str(refused).lower():
                    raise
                return put(attributes)

        answer = self._settled(lambda: self._granted(checked, attributes))
        return self._proved(answer, crc, value, Sent(uploaded=len(data)), source, note)

    def _granted(self, ask: Callable[[Mapping[str, Any]], Answer], attributes: Mapping[str, Any]) -> Answer:
        """The answer to what is asked with all attributes, or else without some that the source brought."""
        own = self.access.ownership.keys()
        carried = [(fields, lost) for fields, lost in CARRIED_OVER if attributes.keys() & (set(fields) - own)]
        attempts = [left_out for count in range(len(carried) + 1) for left_out in combinations(carried, count)]
        refusals: list[RepackError] = []
        for left_out in attempts:
            without = {field for fields, _ in left_out for field in fields}
            try:
                answer = ask({field: value for field, value in attributes.items() if field not in without})
            except (AccessDenied, InvalidRequest) as refused:
                refusals.append(refused)
                continue
            for _, lost in left_out:
                self._warn(f"{lost}: {refusals[0]}")
            self._tagged = "Tagging" in attributes.keys() - without
            return answer
        raise refusals[0]

    def _settled(self, publish: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """The answer to the request that makes the output; if it fails, the output's own word whether it did.

        When an answer is lost, its repetition finds our own output there and fails on the condition.
        """
        try:
            return publish()
        except RepackError as failed:
            head = self._look()
            if metadata.publication_of(head) == self._publication:
                return head
            if self._blind and isinstance(failed, OutputChanged):
                raise AccessDenied(
                    f"something lies at {self.place} that may not be looked at, so it is not replaced; permit "
                    f"s3:GetObject and, so that its absence can be seen, s3:ListBucket: {self._blind}"
                ) from failed
            raise

    def _proved(
        self,
        answer: Mapping[str, Any],
        crc: Crc,
        expected: Optional[int],
        sent: Sent,
        source: Source,
        note: Mapping[str, str],
    ) -> Published:
        """Compares what S3 says of the output with what was sent; an output that differs is deleted."""
        if expected is None or crc.field not in answer or not answer.get("ETag"):  # Ceph answers an empty one
            head = self._look()
            if metadata.publication_of(head) == self._publication or head.get("ETag") == answer.get("ETag"):
                answer = {**answer, **head}
        name, _, given = (checksum.told(answer) or "").partition(":")
        provable = expected is not None and name == crc.name
        if answer.get("ContentLength", sent.size) != sent.size or (provable and given != crc.encode(expected or 0)):
            raise OutputNotProved(f"{self.place}: S3 holds other bytes than were sent; {self._deleted(answer)}")
        output = Output.of(self.place, {"ETag": "", **answer, "ContentLength": sent.size}, note)
        self._warn(
            *self._known.vouch(output), *self._tags_lost(), *(source.warnings if isinstance(source, S3Source) else ())
        )
        return Published(
            size=sent.size,
            etag=answer.get("ETag"),
            version_id=answer.get("VersionId"),
            uploaded=sent.uploaded,
            copied=sent.copied,
            proof=crc.name if provable else None,
            warnings=self._warnings,
        )

    def _tags_lost(self) -> tuple[str, ...]:
        """Ceph takes tags with the beginning of an upload and forgets them, so other stores than AWS are asked."""
        if not self._tagged or self.access.is_aws:
            return ()
        lost = (f"the store did not keep the tags of {self.place}",)
        try:
            with named_errors(self.place):
                answer = self.access.client.get_object_tagging(**self.access.on(self.place))
        except RepackError:
            return lost
        return () if answer.get("TagSet") else lost

    def _deleted(self, answer: Mapping[str, Any]) -> str:
        """Deletes exactly what was written, by its version or while its ETag is still there; says what became of it."""
        version, etag = answer.get("VersionId"), answer.get("ETag")
        if not version and not etag:
            return "it cannot be told from others, so delete it"
        exactly = {"VersionId": version} if version else {"IfMatch": etag}
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
        if self.access.storage_class:
            attributes["StorageClass"] = self.access.storage_class
        own = self.access.ownership
        unwanted: tuple[str, ...] = ("StorageClass", "Tagging") if self.place.express else ()
        unwanted += metadata.ENCRYPTION if "ServerSideEncryption" in own else ()
        if self.place.express and "Tagging" in attributes:
            self._warn("tags are not carried over: S3 Express has none")
        attributes = {name: value for name, value in attributes.items() if name not in unwanted}
        attributes["Metadata"] = metadata.user_metadata(head, note, self._publication)
        if metadata.NOTE not in attributes["Metadata"] and self.access.known_sources is None:
            self._warn(metadata.NO_ROOM)
        self._warn(*metadata.lost(head, self.access.storage_class), *(model.warnings if model else ()))
        return {**attributes, **own}

    def _warn(self, *sentences: str) -> None:
        self._warnings = tuple(dict.fromkeys((*self._warnings, *sentences)))

    def _look(self) -> Mapping[str, Any]:
        """What lies there now; empty if nothing does, or what does may not be looked at though it may be written."""
        try:
            with named_errors(self.place):
                return self.access.head(self.place)
        except AccessDenied as denied:
            if not self._blind and (code(denied.__cause__) != "AccessDenied" or not self._may_write()):
                raise
            self._blind = denied
        return {}

    def _may_write(self) -> bool:
        try:
            with MultipartUpload(self.place, self.access, checksum.known()[0]) as upload:
                upload.begin(self.access.ownership)
        except RepackError:
            return False
        return True

    def _bucket_exists(self) -> None:
        """A HEAD of nothing does not tell a missing object from a missing bucket; a scan should not begin for that."""
        with named_errors(f"the bucket of {self.place}", missing=InvalidRequest):
            try:
                self.access.client.head_bucket(**self.access.on_bucket(self.place))
            except ClientError as error:
                if status(error) == 404:
                    raise  # whoever may write but not list is told when writing


def _chained(begun: list[Part], others: Iterator[Part]) -> Iterator[Part]:
    """All of them; the begun ones are let go of, or they would be in memory to the end."""
    while begun:
        yield begun.pop(0)
    yield from others
