"""Values: a few named fields, compared and shown by them, and never changed.

Between a NamedTuple and a dataclass: no tuple, open to subclasses, and without the price of `dataclasses`, which
imports `inspect` and compiles methods for each class anew at every start: a third of the time that a small repack took.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, ClassVar, Mapping

if TYPE_CHECKING:
    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_: bool) -> Callable[[type], type]:
        """Has type checkers take each subclass for a frozen dataclass (PEP 681)."""
        return lambda cls: cls


@dataclass_transform(frozen_default=True)
class Value:
    """What a class has annotations for are its fields, after those of the class that it extends.

        >>> class Copy(Value):
        ...     start: int
        ...     stop: int = 0
        >>> Copy(3)._replace(stop=5)
        Copy(start=3, stop=5)

    Its fields, defaults and copies have the names that they have in a NamedTuple.
    """

    _fields: ClassVar[tuple[str, ...]] = ()
    _field_defaults: ClassVar[Mapping[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        own = cls.__dict__.get("__annotations__", {})  # noqa: RUF063 (Python 3.9 has nothing else)
        cls._fields = tuple(dict.fromkeys((*cls._fields, *own)))
        given = {name: cls.__dict__[name] for name in own if name in cls.__dict__}
        cls._field_defaults = {**cls._field_defaults, **given}

    def __init__(self, *values: Any, **named: Any) -> None:
        held = self.__dict__
        held.update(self._field_defaults)
        held.update(zip(self._fields, values))
        held.update(named)
        once = len(values) <= len(self._fields) and named.keys().isdisjoint(self._fields[: len(values)])
        if not once or held.keys() != set(self._fields):
            raise TypeError(f"{type(self).__name__} has the fields {', '.join(self._fields)}, each given once")
        self.__post_init__()

    def __post_init__(self) -> None:
        """For subclasses that refuse some values."""

    def _asdict(self) -> dict[str, Any]:
        """The fields by name, those of values in them likewise."""
        held = {name: getattr(self, name) for name in self._fields}
        return {name: field._asdict() if isinstance(field, Value) else field for name, field in held.items()}

    def _replace(self, **named: Any) -> Self:
        """The same with other fields."""
        return type(self)(**{**{name: getattr(self, name) for name in self._fields}, **named})

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a {type(self).__name__} does not change; make another one by _replace")

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._fields)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self._fields))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self._fields)})"
