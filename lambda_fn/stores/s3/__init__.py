"""S3: a recipe is carried out inside the store, by UploadPart for literals and UploadPartCopy for ranges.

access     the client and the options of every request; botocore's failures as our named errors
metadata   what an output takes over from its source, and the note beside it
checksum   CRCs of joined and cut byte ranges, from which the proof is made
source     one pinned version of an object, read by parallel ranged GETs
listing    the objects below a prefix
known      from a source that was scanned once to an output made of it
parts      recipe → parts that S3 accepts; arithmetic alone
multipart  the life of one multipart upload: completed once or aborted
target     publish and write: all or nothing, conditional, proved
"""

from .access import Place, S3Access
from .source import S3Source
from .target import S3Target

__all__ = ["Place", "S3Access", "S3Source", "S3Target"]
