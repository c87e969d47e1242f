"""Digests: what `sha256sum` and `wc -c` print, and nothing else."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_compile.ir.digest import Digest, digest_of, is_sha256
from mlops_compile.ir.value import freeze
from tests.strategies import digests, values


@given(st.binary(max_size=200))
def test_a_digest_is_sha256_and_size(data: bytes) -> None:
    assert digest_of(data) == Digest(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


@given(digests)
def test_round_trip(digest: Digest) -> None:
    assert Digest.from_dict(digest.to_dict()) == digest


@pytest.mark.parametrize(
    "text", ["", "ab", "AB" * 32, "ab" * 31 + "a", "ab" * 33, "xy" * 32, "ab" * 32 + "\n", "../x"]
)
def test_other_texts_are_no_sha256(text: str) -> None:
    assert not is_sha256(text)
    with pytest.raises(ValueError, match="sha256"):
        Digest(sha256=text, size=1)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        Digest(sha256="ab" * 32, size=-1)


@given(values)
def test_other_values_are_no_digest(value: Any) -> None:
    with pytest.raises(ValueError):
        Digest.from_dict(value)


@pytest.mark.parametrize(
    "value",
    [
        {"digest": "ab" * 32},
        {"digest": "ab" * 32, "size": "1"},
        {"digest": "ab" * 32, "size": 1.0},
        {"digest": "ab" * 32, "size": True},
        {"digest": 5, "size": 1},
        {"digest": "ab" * 32, "size": 1, "more": 1},
        {"digest": "AB" * 32, "size": 1},
    ],
)
def test_almost_a_digest_is_none(value: Any) -> None:
    with pytest.raises(ValueError):
        Digest.from_dict(freeze(value))
