"""AWS's service models, read once a process: megabytes of JSON, which each new session would parse again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from botocore.loaders import JSONFileLoader


@contextmanager
def read_once() -> Iterator[None]:
    """While it is entered, all sessions share what one of them has read, as the clients of a session do."""
    load, found = JSONFileLoader.load_file, dict[str, Any]()

    def shared(self: JSONFileLoader, path: str) -> Any:
        if found.get(path) is None:  # there may be no such file yet
            found[path] = load(self, path)
        return found[path]

    with patch.object(JSONFileLoader, "load_file", shared):
        yield
