"""Values are told apart by their fields, and do not change."""

from __future__ import annotations

import copy
import doctest
import pickle

import pytest

from lambda_fn.core import value
from lambda_fn.core.edit import Content, Merge
from lambda_fn.core.recipe import Copy
from lambda_fn.core.value import Value


class Point(Value):
    """Two fields, one of which need not be given."""

    x: int
    y: int = 2


class Named(Point):
    """Two more."""

    name: str = ""
    at: Point = Point(0)


def test_the_example_is_as_it_is_written() -> None:
    assert doctest.testmod(value).failed == 0


def test_fields_are_given_by_place_or_by_name_and_those_of_the_base_come_first() -> None:
    assert Named._fields == ("x", "y", "name", "at")
    assert Named(1, 3, "a") == Named(x=1, name="a", y=3)
    assert Point(1) == Point(1, 2) != Point(2, 1)
    assert Point(1) != Named(1)


@pytest.mark.parametrize(("values", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"x": 1}), ((1,), {"z": 1})])
def test_each_field_is_given_once(values: tuple[int, ...], named: dict[str, int]) -> None:
    with pytest.raises(TypeError, match=r"^Point has the fields x, y, each given once$"):
        Point(*values, **named)


def test_nothing_changes_but_another_can_be_made() -> None:
    point = Point(1)
    with pytest.raises(AttributeError, match="does not change"):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(AttributeError, match="does not change"):
        del point.x
    assert point._replace(y=5) == Point(1, 5)
    assert point == Point(1)
    with pytest.raises(TypeError):
        point._replace(z=1)


def test_it_is_shown_by_its_fields_and_serves_as_a_key() -> None:
    assert repr(Named(1)) == "Named(x=1, y=2, name='', at=Point(x=0, y=2))"
    assert {Point(1): "a"}[Point(1)] == "a"
    assert Named(1)._asdict() == {"x": 1, "y": 2, "name": "", "at": {"x": 0, "y": 2}}


def test_it_can_be_copied_and_pickled() -> None:
    assert copy.deepcopy(Copy(1, 2)) == pickle.loads(pickle.dumps(Copy(1, 2))) == Copy(1, 2)


def test_what_is_cached_is_no_field() -> None:
    one, other = Content.of(b"x"), Merge.by(lambda held: b"")
    assert one.identity == one.identity
    assert "identity" not in repr(one)
    assert isinstance(other, Content)
    assert other._fields == (*Content._fields, "settle")
