"""The hunt: generated archives read by us and by others, for minutes or hours, until somebody sees something else.

`make hunt` runs it; what it finds is printed with the seed that makes it again.
"""
