"""Work side by side: as much as there are places, and never more."""

import threading

import pytest

from runner.execute.side_by_side import side_by_side


def test_work_runs_in_every_place_at_the_same_time() -> None:
    """Neither of two works could end without the other one."""
    both = threading.Barrier(2)

    def meet(work: str, place: int) -> tuple[str, int]:
        both.wait(timeout=20)
        return work, place

    done = list(side_by_side("abcd", [1, 2], meet, lambda: None))
    assert {work for work, _ in done} == set("abcd")
    assert {place for _, place in done} == {1, 2}


def test_work_begins_in_its_order_as_soon_as_a_place_is_free() -> None:
    """What is done comes at once, even while something that began before still goes on."""
    slow = threading.Event()
    begun: list[str] = []

    def do(work: str, _: int) -> str:
        begun.append(work)
        if work == "a":
            slow.wait(20)
        return work

    done = side_by_side("abcd", [1, 2], do, lambda: None)
    assert [next(done) for _ in range(3)] == ["b", "c", "d"]
    slow.set()
    assert list(done) == ["a"]
    assert begun == ["a", "b", "c", "d"]


@pytest.mark.parametrize("early", [False, True])
def test_what_is_in_progress_is_ended(early: bool) -> None:
    """After an error in another place, or because nobody wants the rest."""
    ended = threading.Event()
    threads: list[threading.Thread] = []

    def do(work: str, _: int) -> str:
        if work == "waits":
            threads.append(threading.current_thread())
            ended.wait(20)
            return "late"
        if work == "fails":
            raise LookupError(work)
        return work

    works = side_by_side(["waits", "ends" if early else "fails"], [1, 2], do, ended.set)
    if early:
        assert next(works) == "ends"
        works.close()  # type: ignore[attr-defined]  # it is a generator
    else:
        with pytest.raises(LookupError, match="fails"):
            list(works)
    assert ended.is_set()
    assert [thread.is_alive() for thread in threads] == [False]
