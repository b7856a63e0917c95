"""The life of one multipart upload: begun, filled part by part from several threads, completed once or aborted."""

from __future__ import annotations

import logging
import re
import threading
import time
from datetime import timedelta
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import Any, Mapping, Optional

from botocore.exceptions import ClientError

from ...core.errors import (
    AccessDenied,
    InvalidRequest,
    OutputChanged,
    OutputNotProved,
    RepackError,
    SourceChanged,
    StoreUnavailable,
)
from ...core.recipe import Copy
from .access import S3Access
from .checksum import Crc
from .failures import code, named_errors, required, retries, took_too_long
from .place import Place
from .source import S3Source

CHUNK = 1 << 20
A_WHILE = timedelta(seconds=2)
"""S3 tells its time in whole seconds."""
OTHER_BYTES = re.compile("checksum|size", re.IGNORECASE)
"""What S3's refusal of an upload speaks of where its parts are not what was sent."""
log = logging.getLogger(__name__)


class MultipartUpload:
    """A context manager: whatever leaves the block uncompleted is aborted, and its parts are gone."""

    def __init__(self, place: Place, access: S3Access, crc: Crc, again: bool = True) -> None:
        self.place = place
        self.access = access
        self.crc = crc
        self.checked = True
        """Whether the store takes checksums."""
        self.overdue = False
        """Whether S3 took too long over a copy."""
        self._again = again
        """Whether such a copy is asked for once more."""
        self._parts: dict[int, dict[str, Any]] = {}
        self._filling = threading.Lock()
        self._upload_id: Optional[str] = None
        self._patient: Any = None

    def __enter__(self) -> MultipartUpload:
        return self

    def __exit__(self, *raised: object) -> None:
        self.abort()

    def upload(self, number: int, part: BytesIO) -> int:
        """One part from here; S3 checks it as it arrives. Returns its CRC."""
        value = part.seek(0)
        while chunk := part.read(CHUNK):
            value = self.crc.of(chunk, value)
        part.seek(0)
        checksum = {self.crc.field: self.crc.encode(value)} if self.checked else {}
        with named_errors(self.place):
            answer = self.access.client.upload_part(**self._on(number), Body=part, **checksum)
        self._fill(number, answer)
        return value

    def copy(self, number: int, source: S3Source, part: Copy) -> None:
        """One part out of the source, inside S3. Raises SourceChanged if it is no longer what was read."""

        def ask(version: Mapping[str, str]) -> Any:
            with named_errors(source.place, missing=SourceChanged, changed=SourceChanged):
                return self._patient.upload_part_copy(
                    **self._on(number),
                    **self.access.copying(source.place, version.get("VersionId"), source.etag),
                    CopySourceRange=f"bytes={part.start}-{part.stop - 1}",
                )

        try:
            answer = source.pinned(ask)
        except StoreUnavailable as failed:
            self.overdue |= took_too_long(failed)
            if not (self._again and took_too_long(failed)):
                raise
            answer = source.pinned(ask)
        self._fill(number, answer.get("CopyPartResult", {}))

    def complete(self, size: int, expected: Optional[int], condition: Mapping[str, str]) -> Mapping[str, Any]:
        """Make the output of the parts, if the condition holds and their CRC is the expected one.

        Raises OutputChanged if it does not hold, OutputNotProved if the CRC or the size differ.
        """
        proof: dict[str, Any] = {}
        if self.checked:
            proof["MpuObjectSize"] = size
        if self.checked and expected is not None:
            proof |= {self.crc.field: self.crc.encode(expected), "ChecksumType": "FULL_OBJECT"}
        with named_errors(self.place, missing=OutputChanged, changed=OutputChanged):
            try:
                answer: Mapping[str, Any] = self._patient.complete_multipart_upload(
                    **self.access.on(self.place),
                    UploadId=self._upload_id,
                    MultipartUpload={"Parts": [self._parts[number] for number in sorted(self._parts)]},
                    **proof,
                    **condition,
                )
            except ClientError as error:
                if code(error) == "BadDigest" or (code(error) == "InvalidRequest" and OTHER_BYTES.search(str(error))):
                    raise OutputNotProved(f"{self.place}: S3 holds other bytes than were sent: {error}") from error
                if code(error) == "InvalidPart" and self.access.is_aws:  # which takes parts of any sizes
                    raise StoreUnavailable(f"{self.place}: S3 lost or changed a part after its answer") from error
                raise
        self._upload_id = None
        return answer

    def abort(self) -> None:
        """Let go of the parts. Call it again when the last thread has ended: a part under way may land after it."""
        if self._upload_id is not None:
            self._abort(self._upload_id)

    @property
    def begun(self) -> bool:
        """Whether it is open."""
        return self._upload_id is not None

    def begin(self, attributes: Mapping[str, Any]) -> None:
        """Open it, with checksums if the store takes any."""
        self._patient = self.access.patient  # parts ask for it from several threads, and only one may make a client
        try:
            self._create({**attributes, "ChecksumAlgorithm": self.crc.name, "ChecksumType": "FULL_OBJECT"})
        except InvalidRequest as refused:
            if "checksum" not in str(refused).lower():
                raise
            self.checked = False
            self._create(attributes)

    def _create(self, arguments: Mapping[str, Any]) -> None:
        began = time.monotonic()
        retried = True
        try:
            with named_errors(self.place, missing=InvalidRequest):
                answer = self.access.client.create_multipart_upload(**self.access.on(self.place), **arguments)
            self._upload_id = required(answer, "UploadId", self.place)
            retried = bool(answer["ResponseMetadata"].get("RetryAttempts"))
        except (AccessDenied, InvalidRequest) as refused:
            retried = retries(refused.__cause__) > 0
            raise
        finally:
            if retried:
                self._abort_orphans(began)

    def _abort_orphans(self, began: float) -> None:
        """Abort the upload whose beginning S3 answered but we did not hear.

        It is known by its key, its time by S3's clock and that it has no parts. Another run that began in the same
        moment looks alike; aborting its upload costs that run a retry, never the output.
        """
        try:
            with named_errors(self.place):
                listed = self.access.client.list_multipart_uploads(
                    **self.access.on_bucket(self.place), Prefix=self.place.key
                )
                now = parsedate_to_datetime(listed["ResponseMetadata"]["HTTPHeaders"]["date"])
                since = now - timedelta(seconds=time.monotonic() - began) - A_WHILE
                for upload in listed.get("Uploads", ()):
                    ours = upload["Key"] == self.place.key and upload["Initiated"] >= since
                    if not ours or upload["UploadId"] == self._upload_id:
                        continue
                    filled = self.access.client.list_parts(**self.access.on(self.place), UploadId=upload["UploadId"])
                    if not filled.get("Parts"):
                        self._abort(upload["UploadId"])
        except (RepackError, KeyError, ValueError) as error:
            log.warning("an upload of %s may have been left open: %s", self.place, error)

    def _abort(self, upload_id: str) -> None:
        try:
            with named_errors(self.place):
                self.access.client.abort_multipart_upload(**self.access.on(self.place), UploadId=upload_id)
        except RepackError as error:
            gone = isinstance(error.__cause__, ClientError) and code(error.__cause__) == "NoSuchUpload"
            if not gone:
                log.warning("upload %s of %s could not be aborted: %s", upload_id, self.place, error)

    def _on(self, number: int) -> dict[str, Any]:
        return {**self.access.on(self.place), "UploadId": self._upload_id, "PartNumber": number}

    def _fill(self, number: int, answer: Mapping[str, Any]) -> None:
        part: dict[str, Any] = {"PartNumber": number, "ETag": required(answer, "ETag", self.place)}
        if self.checked and self.crc.field in answer:
            part[self.crc.field] = answer[self.crc.field]
        with self._filling:
            self._parts[number] = part
