"""The life of one multipart upload: begun, filled part by part from several threads, completed once or aborted."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta, timezone
from io import BytesIO
from typing import Any, Mapping, Optional

from botocore.exceptions import ClientError

from ...core.errors import InvalidRequest, OutputChanged, OutputNotProved, RepackError, SourceChanged
from ...core.recipe import Copy
from .access import Place, S3Access, code, named_errors
from .checksum import Crc
from .source import S3Source

CHUNK = 1 << 20
CLOCKS_DIFFER = timedelta(minutes=1)
log = logging.getLogger(__name__)


class MultipartUpload:
    """A context manager: whatever leaves the block uncompleted is aborted, and its parts are gone."""

    def __init__(self, place: Place, access: S3Access, crc: Crc, attributes: Mapping[str, Any]) -> None:
        self.place = place
        self.access = access
        self.crc = crc
        self._parts: dict[int, dict[str, Any]] = {}
        self._filling = threading.Lock()
        self._upload_id: Optional[str] = None
        self._begin(attributes)

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
        with named_errors(self.place):
            answer = self.access.client.upload_part(
                **self._on(number), Body=part, **{self.crc.field: self.crc.encode(value)}
            )
        self._fill(number, answer)
        return value

    def copy(self, number: int, source: S3Source, part: Copy) -> None:
        """One part out of the source, inside S3. Raises SourceChanged if it is no longer what was read."""
        with named_errors(source.place, missing=SourceChanged, changed=SourceChanged):
            answer = self.access.client.upload_part_copy(
                **self._on(number),
                **self.access.copying(source.place, source.version_id, source.etag),
                CopySourceRange=f"bytes={part.start}-{part.stop - 1}",
            )
        self._fill(number, answer["CopyPartResult"])

    def complete(self, size: int, expected: Optional[int], condition: Mapping[str, str]) -> Mapping[str, Any]:
        """Make the output of the parts, if the condition holds and their CRC is the expected one.

        Raises OutputChanged if it does not hold, OutputNotProved if the CRC or the size differ.
        """
        proof = {} if expected is None else {self.crc.field: self.crc.encode(expected), "ChecksumType": "FULL_OBJECT"}
        with named_errors(self.place, missing=OutputChanged, changed=OutputChanged):
            try:
                answer: Mapping[str, Any] = self.access.client.complete_multipart_upload(
                    **self.access.on(self.place),
                    UploadId=self._upload_id,
                    MultipartUpload={"Parts": [self._parts[number] for number in sorted(self._parts)]},
                    MpuObjectSize=size,
                    **proof,
                    **condition,
                )
            except ClientError as error:
                if code(error) in ("BadDigest", "InvalidRequest"):
                    raise OutputNotProved(f"{self.place}: S3 holds other bytes than were sent: {error}") from error
                raise
        self._upload_id = None
        return answer

    def abort(self) -> None:
        """Let go of the parts. Call it again when the last thread has ended: a part under way may land after it."""
        if self._upload_id is not None:
            self._abort(self._upload_id)

    def _begin(self, attributes: Mapping[str, Any]) -> None:
        began = datetime.now(timezone.utc)
        retried = True
        try:
            with named_errors(self.place, missing=InvalidRequest):
                answer = self.access.client.create_multipart_upload(
                    **self.access.on(self.place),
                    **self.access.encryption,
                    **attributes,
                    ChecksumAlgorithm=self.crc.name,
                    ChecksumType="FULL_OBJECT",
                )
            self._upload_id = answer["UploadId"]
            retried = answer["ResponseMetadata"].get("RetryAttempts", 0) > 0
        finally:
            if retried:
                self._abort_orphans(began)

    def _abort_orphans(self, began: datetime) -> None:
        """Abort the upload whose beginning S3 answered but we did not hear.

        It is known by its key, its time and that it has no parts. Another run that began in the same moment looks
        alike; aborting its upload costs that run a retry, never the output.
        """
        try:
            with named_errors(self.place):
                listed = self.access.client.list_multipart_uploads(
                    **{name: value for name, value in self.access.on(self.place).items() if name != "Key"},
                    Prefix=self.place.key,
                )
                for upload in listed.get("Uploads", ()):
                    ours = upload["Key"] == self.place.key and upload["Initiated"] >= began - CLOCKS_DIFFER
                    if not ours or upload["UploadId"] == self._upload_id:
                        continue
                    filled = self.access.client.list_parts(**self.access.on(self.place), UploadId=upload["UploadId"])
                    if not filled.get("Parts"):
                        self._abort(upload["UploadId"])
        except RepackError as error:
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
        part = {"PartNumber": number, "ETag": answer["ETag"]}
        if self.crc.field in answer:
            part[self.crc.field] = answer[self.crc.field]
        with self._filling:
            self._parts[number] = part
