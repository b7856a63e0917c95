"""S3: a recipe is carried out inside the store, by UploadPart for literals and UploadPartCopy for ranges.

place      where an object lies, as its URI says it
access     the client and the options of every request
failures   S3's refusals and botocore's failures as our named errors
metadata   what an output takes over from its source, and the note beside it
checksum   CRCs of joined and cut byte ranges, from which the proof is made
pointer    small objects of ours that name an output by all that tells its bytes
source     one pinned version of an object, read by parallel ranged GETs
known      from a source that was scanned once to an output made of it
listing    what there is: the objects whose keys begin with a prefix
parts      a recipe as parts that S3 accepts
witness    what the output's checksum must be, told by the recipe alone
multipart  the life of one multipart upload: completed once or aborted
sending    parts on their way: several at once, within memory
target     publish: all or nothing, conditional, proved
"""

from .access import S3Access
from .place import Place
from .source import S3Source
from .target import S3Target

__all__ = ["Place", "S3Access", "S3Source", "S3Target"]
