"""Whatever makes it, the digest is the same."""

from __future__ import annotations

import hashlib
import os
import sys

import pytest

from lambda_fn.core import digest

DATA = os.urandom(100_000)


@pytest.mark.parametrize("left", [0, len(DATA) - 1, len(DATA), digest.SMALL])
def test_the_digest_is_that_of_hashlib(monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    monkeypatch.setattr(digest, "_left", left)
    assert digest.hexadecimal(DATA) == hashlib.sha256(DATA).hexdigest()


def test_a_python_without_its_own_has_openssls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "_left", digest.SMALL)
    for module in digest.OWN:
        monkeypatch.setitem(sys.modules, module, None)
    assert type(digest.sha256(1)) is type(hashlib.sha256())


def test_much_is_digested_by_openssl_in_however_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "_left", digest.SMALL)
    own, openssl = type(digest.sha256(0)), type(hashlib.sha256())
    made = [type(digest.sha256(len(DATA))) for _ in range(7)]
    assert made == [own] * 5 + [openssl] * 2
    assert own is not openssl
