"""The places where archives lie, each with a Source and a Target as `core.store` asks for them.

A URI tells which: `s3://bucket/key` is an object, everything else a path on the local disk.
"""
