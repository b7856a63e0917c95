"""The repack: a short book about one trick.

The trick: to put something small into a packed model, nearly all of its bytes can stay as they are. What is new becomes
deflate data of its own, the old data is copied in ranges, and the joins are a matter of a few bits and of arithmetic on
checksums. docs/how-it-works.md tells it with pictures. Nothing here knows of disks, of S3 or of AWS, and the standard
library is enough.

What a repack is
    value       a few named fields that never change: what most of the following is made of
    digest      SHA-256, without loading OpenSSL for a few bytes
    recipe      the output as new bytes and ranges of the source
    store       what is asked of the places where archives lie
    errors      every way in which it can end without an output

tar
    names       the path that a name means, and the paths that other readers take it for
    ustar       the fields of a header, each with its place
    pax         the records that say what a header has no room for
    tar         a stream of blocks, read as entries
    header      headers as we write them, and those of others spelled anew
    links       symbolic links through which an entry lies elsewhere than its name says
    edit        what is wanted of an archive, as a value

gzip and deflate
    crc         the checksum of a whole from those of its parts
    inflate     the fastest inflater at hand
    blocks      where deflate data can be entered, and how to begin a block at any bit
    threads     what is done beside
    feed        what an inflater is fed
    legs        how one who begins in the middle is found to be right
    relay       how many cores inflate one stream
    gzip        members, read in one pass and checked in full
    deflate     the fastest compressor at hand

The two tricks
    prefix      the graft: our entries in front of the source's data, and the mark that remembers where they end
    walk        from a known place on, block boundaries found exactly
    splice      patches of the tar carried into deflate data, almost all of which stays

The repack
    search      what an edit makes of each entry
    survey      one pass over the source that checks all of it and finds what the edit touches
    rewrite     the safety net: everything is made anew, in constant memory
    plan        the cheapest correct way from what was found to what is wanted
    history     what need not be surveyed, because it is known to have been
    read        one entry, and no more of the archive than it takes
    repack      recall or survey, plan, publish

Each chapter needs only those before it.

Ten words
    archive     a .tar.gz
    member      what gzip is made of: a header, deflate data, a trailer with CRC and length; an archive may have several
    block       what deflate data is made of; it begins at any bit. tar's 512 bytes are called blocks, too
    entry       what a tar is made of: a file, a folder or a link, with its header
    edit        what is wanted: what is put in, what goes, what a folder shall hold
    patch       a stretch of the uncompressed tar, and what shall stand there instead
    recipe      literals (new bytes) and copies (ranges of the source) that make the output
    prefix      our own entries, at the very front of the first member; the source's data behind it is the rest
    mark        in the gzip header's comment: where the prefix ends, and what the rest's CRC and length are
    note        beside an output in its store: what it was made of
"""
