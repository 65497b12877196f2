"""The answer says what was shown, of which cells, and nothing else."""

import json
import math
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from runner.records.study import Better, Metric, PolicyLimit, Scale
from runner.report import contents
from runner.report.records import Section, Statement
from runner.report.words import NOTHING
from runner.runs.folder import StoredRun
from tests.support.grids import Place, grid
from tests.support.judging import ACCURACY, SECONDS
from tests.support.reports import view_of

SPACE = "\N{NO-BREAK SPACE}"
SIZE = Metric(name="size", unit="", better=Better.NEITHER, title="size")
MODELS = {"lib": ["1", "2"], "model": ["a", "b", "c", "d", "e", "f"]}


def answer(run: StoredRun) -> Section:
    """The answer of a report."""
    return next(one for one in view_of(run).sections if one.name == "answer")


def statements(run: StoredRun) -> list[Statement]:
    """The statements about candidates, with ordinary spaces."""
    return [
        replace(
            one,
            head=one.head.replace(SPACE, " "),
            notes=tuple(note.replace(SPACE, " ") for note in one.notes),
        )
        for one in answer(run).statements
        if one.head != "How sure?"
    ]


def limit(change: float, metric: str = "seconds", *, relative: bool = True) -> PolicyLimit:
    """A limit of the policy."""
    return PolicyLimit(metric=metric, change=change, relative=relative)


def slower(**models: float) -> StoredRun:
    """A run without a policy in which some models become slower or faster with ``lib=2``."""
    return grid(MODELS, lambda place, _: factor(place, models))


def factor(place: Place, models: dict[str, float]) -> float:
    """How much slower a cell is than the same cell with ``lib=1``."""
    return models.get(str(place["model"]), 1.0) if place["lib"] == "2" else 1.0


def test_a_slowdown_is_said_although_more_cells_became_faster() -> None:
    """What became worse comes first, and only changes in the same direction are called less."""
    [said] = statements(slower(a=1.4, b=0.5, c=0.7, d=0.8, e=0.9))
    assert said.head.startswith("lib 2 against 1: time 40 % slower (")
    assert "for a, 50 % faster (" in said.head
    assert said.head.endswith("for b, less for 3 more cells.")
    assert said.tone == "open"
    assert said.notes == ("No difference beyond the margin in time for f.",)


def test_a_change_of_a_metric_without_a_better_direction_is_a_difference() -> None:
    """It is neither good nor bad, but it was shown."""
    [said] = statements(grid({"lib": ["1", "2"]}, lambda p, _: int(str(p["lib"])), metrics=[SIZE]))
    assert said.head.startswith("lib 2 against 1: size 100 % higher (")
    assert said.tone == ""


def test_a_negligible_change_is_not_called_unclear() -> None:
    """The interval excludes no change, and lies inside the margin."""
    models = {"lib": ["1", "2"]}
    [said] = statements(grid(models, lambda p, _: 1.01 if p["lib"] == "2" else 1.0, noise=0.001))
    assert said.head == "lib 2 against 1: no difference beyond the margin in time."


def test_what_is_known_of_a_metric_is_not_said_of_another() -> None:
    """A cell with a difference in one metric is not named as one without in general."""
    axes = {"lib": ["1", "2"], "model": ["a", "b"]}

    def usual(place: Place, metric: str) -> float | None:
        if metric == "size":
            return None if place == {"lib": "2", "model": "b"} else 1.0
        return 1.4 if place == {"lib": "2", "model": "a"} else 1.0

    [said] = statements(grid(axes, usual, metrics=[SECONDS, SIZE]))
    assert said.notes == (
        "No difference beyond the margin in size for a; time for b.",
        "No verdict on size for b.",
    )


def test_each_replaced_value_has_its_own_answer() -> None:
    """A comparison with another version is not one with the baseline."""
    run = grid(
        {"lib": ["1", "2", "3"], "model": ["a", "b"]},
        lambda place, _: {"1": 1.0, "2": 1.4, "3": 1.0}[str(place["lib"])],
        compare=[("lib=3,model=a", "lib=1,model=a"), ("lib=3,model=a", "lib=2,model=a")],
    )
    first, second = statements(run)
    assert first.head == "lib 3 against 1: no difference beyond the margin in time."
    assert second.head.startswith("lib 3 against 2: time 29 % faster (")
    assert view_of(run).question == "What changes if lib 1 is replaced by lib 3?"


def test_a_row_names_what_its_cell_is_compared_with() -> None:
    """Unless only the baseline's value is replaced."""
    pairs = [("lib=1,model=b", "lib=1,model=a"), ("lib=2,model=a", "lib=1,model=a")]
    run = grid({"lib": ["1", "2"], "model": ["a", "b"]}, lambda *_: 1.0, compare=pairs)
    names = [row.texts[0] for row in answer(run).tables[0].rows]
    assert names == ["model b against a, lib=1", "2, a"]
    run = replace(run, run=replace(run.run, matrix=replace(run.run.matrix, baseline=())))
    assert answer(run).tables[0].rows[1].texts[0] == "lib 2 against 1, a"


@pytest.mark.parametrize("change", [0.0, -0.1])
def test_the_worst_of_adopted_times_is_the_slowest(change: float) -> None:
    """Also if the limit is zero or demands that they become faster."""
    models = dict(zip("abcdef", (0.5, 0.6, 0.8, 0.7, 0.5, 0.5), strict=True))
    [said] = statements(
        grid(MODELS, lambda place, _: factor(place, models), policy=[limit(change)])
    )
    assert said.head.startswith("Upgrade to lib 2 (adopt): at worst time 20 % faster (")
    assert said.head.endswith("for c.")


def test_a_limit_that_demands_more_is_named() -> None:
    """Faster is not reason enough to hold."""
    run = grid(
        {"lib": ["1", "2"]}, lambda p, _: 0.95 if p["lib"] == "2" else 1.0, policy=[limit(-0.1)]
    )
    [said] = statements(run)
    assert said.head.startswith("Do not upgrade to lib 2 (hold): time 5")
    assert "; limit \N{MINUS SIGN}10 %; " in said.head


def test_cells_may_lack_the_axis_that_carries_a_change() -> None:
    """As included cells may, they are named by their id."""
    cells = [{"lib": lib, **more} for more in ({"model": "a"}, {}) for lib in "12"]
    run = grid(
        {"lib": ["1", "2"], "model": ["a"]},
        lambda place, _: 1.4 if place == {"lib": "2", "model": "a"} else 1.0,
        policy=[limit(0.03)],
        cells=cells,
    )
    [said] = statements(run)
    assert said.notes == ("Beyond a limit: model a; within every limit: lib=2.",)


def test_an_absolute_limit_of_a_ratio_has_its_own_row_and_no_margin() -> None:
    """The metric's margin is a share, so it says nothing of seconds."""
    run = grid(
        {"lib": ["1", "2"]},
        lambda place, _: 1.02 if place["lib"] == "2" else 1.0,
        policy=[limit(0.5, relative=False)],
    )
    table = answer(run).tables[0]
    assert table.columns[5] == "limit or margin"
    assert [row.texts[5].replace(SPACE, " ") for row in table.rows] == ["+0.5 s", "\u00b13 %"]
    assert not any("0.03 s" in text for row in table.rows for text in row.basis)
    names = Counter(addresses(contents(run)["report.html"]))
    assert max(names.values()) == 1
    assert {"answer/seconds/lib=2", "answer/seconds/lib=2/2"} <= names.keys()
    assert len({figure.name for figure in view_of(run).figures}) == 2


def addresses(page: str) -> list[str]:
    """The ids of all elements of a page."""
    found: list[str] = []

    class Ids(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(value or "" for name, value in attrs if name == "id")

    Ids().feed(page)
    return found


@pytest.mark.parametrize("axes", [{}, {"lib": ["1", "2"]}, MODELS], ids=str)
def test_no_address_is_empty_or_given_twice(axes: dict[str, list[str]]) -> None:
    """Not if a cell does not run, nor if there is only one cell."""
    run = grid(
        axes,
        lambda p, _: 1.0 if p.get("lib") == "1" else None,
        policy=[limit(0.03)] if axes else [],
    )
    names = Counter(addresses(contents(run)["report.html"]))
    assert "" not in names
    assert max(names.values()) == 1


def test_a_relative_limit_of_a_difference_is_also_said_in_its_unit() -> None:
    """The change beside it is in points, and so is the limit in the files for programs."""
    run = grid(
        {"lib": ["1", "2"]},
        lambda *_: 90.0,
        metrics=[ACCURACY],
        policy=[limit(-0.01, "accuracy")],
        noise=0.0001,
    )
    assert ACCURACY.scale is Scale.DIFFERENCE
    text = answer(run).tables[0].rows[0].texts[5].replace(SPACE, " ")
    assert text == "\N{MINUS SIGN}1 % (\N{MINUS SIGN}0.9 points)"
    [change] = [one for one in json.loads(contents(run)["report.json"])["changes"] if one["named"]]
    assert math.isclose(change["limit"], -0.9, rel_tol=0.01)


def test_a_tiny_limit_is_not_zero() -> None:
    """It keeps its digits."""
    run = grid({"lib": ["1", "2"]}, lambda *_: 1e-6, policy=[limit(2e-7, relative=False)])
    assert answer(run).tables[0].rows[0].texts[5].replace(SPACE, " ") == "+0.0000002 s"


def test_what_cannot_be_judged_still_shows_its_numbers() -> None:
    """Here every trial was disturbed, and there is no CPU time."""
    run = grid({"lib": ["1", "2"]}, lambda *_: 1.0)
    disturbed = tuple(replace(one, disturbed="another process") for one in run.results)
    row = answer(replace(run, results=disturbed)).tables[0].rows[0]
    assert row.texts[-1] == "not judged"
    assert NOTHING not in row.texts[2:4]


def test_an_unclear_check_does_not_say_that_there_is_no_difference() -> None:
    """The interval of the A/A check may include large changes."""
    run = grid({"lib": ["1", "2"]}, lambda *_: 1.0, noise=0.3)
    assert checked(run).startswith("time: no clear difference (")
    run = grid({"lib": ["1", "2"]}, lambda *_: 1.0)
    assert checked(run).startswith("time: no difference beyond the margin (")


def checked(run: StoredRun) -> str:
    """What the A/A check found."""
    [check] = next(one for one in view_of(run).sections if one.name == "sensitivity").statements
    return check.head


def test_the_only_cell_has_a_name() -> None:
    """Also where it failed."""
    section = view_of(grid({}, lambda *_: None)).sections[0]
    assert section.statements[0].head == "The only cell: failed, expected: ok"


@pytest.mark.parametrize("relative", [True, False])
def test_a_limit_or_a_margin_of_zero_has_no_forecast(relative: bool) -> None:
    """No number of blocks makes an interval so narrow."""
    run = grid(
        {"lib": ["1", "2"]},
        lambda *_: 1.0,
        metrics=[replace(SECONDS, margin=0.0)],
        policy=[limit(0.0, relative=relative)],
    )
    [said] = statements(run)
    assert said.head.startswith("Not clear yet whether to upgrade to lib 2 (cannot tell): time ")
    assert said.notes == ()
