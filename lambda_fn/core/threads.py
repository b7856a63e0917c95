"""Threads that work beside: what is used here of `concurrent.futures`, which imports logging and starts slowly."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Callable, Generic, Optional, TypeVar

T = TypeVar("T")


class Task(Generic[T]):
    """Something to be done beside."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work: Optional[Callable[[], T]] = work
        self._made: Optional[T] = None
        self._error: Optional[BaseException] = None
        self._open = Lock()
        self._open.acquire()

    def run(self) -> None:
        """Do it, and keep what it gives or raises."""
        assert self._work
        try:
            self._made = self._work()
        except BaseException as error:  # noqa: BLE001 # of whatever kind: it is the asking thread's
            self._error = error
        self._work = None
        self._open.release()

    def leave(self) -> None:
        """Leave it undone: who waits for it gets an error."""
        self._error = RuntimeError("the threads were closed before this was begun")
        self._open.release()

    @property
    def done(self) -> bool:
        """Whether it was done, rightly or not."""
        return not self._open.locked()

    def result(self) -> T:
        """What it gives, as soon as it is done. Raises what it raised."""
        with self._open:
            if self._error is not None:
                raise self._error
            return self._made  # type: ignore[return-value] # it is a T if there was no error


class Threads:
    """Some threads that do tasks in the order in which they are asked for."""

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self._asked: SimpleQueue[Optional[Task[Any]]] = SimpleQueue()
        self._threads = [Thread(target=self._work, name=f"{name}-{at}", daemon=True) for at in range(number)]
        for thread in self._threads:
            thread.start()

    def do(self, work: Callable[..., T], *arguments: Any) -> Task[T]:
        """Ask for a task."""
        task = Task(partial(work, *arguments))
        self._asked.put(task)
        return task

    def _work(self) -> None:
        while task := self._asked.get():
            task.run()

    def close(self) -> None:
        """Leave undone what has not begun, which is an error to who waits for it; and wait for what has."""
        with suppress(Empty):
            while task := self._asked.get_nowait():
                task.leave()
        for _ in self._threads:
            self._asked.put(None)
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Threads:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
