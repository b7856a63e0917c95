"""What is asked for is done beside, once and in order, and whoever asked hears how it went."""

from __future__ import annotations

import threading

import pytest

from lambda_fn.core.threads import Threads


def test_tasks_are_begun_in_the_order_in_which_they_are_asked_for() -> None:
    begun: list[int] = []
    with Threads(1, "beside") as beside:
        tasks = [beside.do(begun.append, number) for number in range(100)]
        for task in tasks:
            task.result()
    assert begun == [*range(100)]


def test_two_threads_work_at_once() -> None:
    meeting = threading.Barrier(2)
    with Threads(2, "beside") as beside:
        assert {task.result() for task in [beside.do(meeting.wait, 60) for _ in range(2)]} == {0, 1}


def test_a_result_can_be_had_twice() -> None:
    with Threads(1, "beside") as beside:
        task = beside.do(sum, [1, 2])
        assert (task.result(), task.result(), task.done) == (3, 3, True)


@pytest.mark.parametrize("error", [ValueError, MemoryError, KeyboardInterrupt])
def test_whoever_asked_gets_the_error_and_the_thread_goes_on(error: type[BaseException]) -> None:
    def fails() -> None:
        raise error("so it is")

    with Threads(1, "beside") as beside:
        failing, next_one = beside.do(fails), beside.do(len, "abc")
        with pytest.raises(error, match="so it is"):
            failing.result()
        assert next_one.result() == 3


def test_closing_ends_what_has_begun_and_leaves_the_rest_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    before, done = threading.active_count(), list[str]()
    begun, waited_for = threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        waited_for.wait(60)
        done.append("first")

    def join(thread: threading.Thread) -> None:
        waited_for.set()
        joined(thread)

    joined = threading.Thread.join
    monkeypatch.setattr(threading.Thread, "join", join)
    beside = Threads(1, "beside")
    beside.do(first)
    second = beside.do(done.append, "second")
    begun.wait(60)
    beside.close()
    assert done == ["first"]
    with pytest.raises(RuntimeError, match="closed before this was begun"):
        second.result()
    assert threading.active_count() == before
