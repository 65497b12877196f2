"""Verdicts about replays: reproduced, not reproduced, or cannot tell."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from runner.bundle.compare import Finding, Reproduced, Reproduction, reproduction
from runner.bundle.words import MOST_DIFFERENCES, MOST_FINDINGS, as_text
from runner.judge.records import Verdict
from runner.records.environment import BaseKind, Environment
from runner.records.run import TrialResult
from runner.records.study import Status
from runner.runs.folder import StoredRun
from tests.support.fakes import QUIET
from tests.support.judging import ACCURACY, Numbers, stored
from tests.support.samples import (
    failed_result,
    founding_images,
    founding_plan,
    founding_results,
    founding_run,
)

REPRODUCED, NOT_REPRODUCED, CANNOT_TELL = Reproduced

NOISE = (0.004, -0.011, 0.008, -0.002, 0.013, -0.009, -0.003)
BASE = [1.0 + noise for noise in NOISE]
LIKE_BASE = [1.0 + noise for noise in (-0.006, 0.009, -0.001, 0.012, -0.008, 0.003, -0.007)]
FASTER, SLOWER = [value * 0.8 for value in LIKE_BASE], [value * 1.2 for value in LIKE_BASE]
GIVEN = [93.1, 93.3, 92.9, 93.2, 93.0, 93.4, 93.1]


def with_results(
    run: StoredRun, change: Callable[[TrialResult], TrialResult | None], cell: str = "v=b"
) -> StoredRun:
    """Return the run with changed or removed results of one cell."""
    changed = [change(one) if one.trial.cell == cell else one for one in run.results]
    return replace(run, results=tuple(one for one in changed if one))


def failing(run: StoredRun, status: Status = Status.FAILED, blocks: int = 7) -> StoredRun:
    """Return the run with a cell that fails in the first blocks."""
    return with_results(
        run, lambda one: failed_result(one.trial, status) if one.trial.block <= blocks else one
    )


def of_status(found: Reproduction) -> list[Finding]:
    """The findings about statuses."""
    return [one for one in found.findings if one.metric is None]


def of_metric(found: Reproduction) -> list[Finding]:
    """The findings with a metric."""
    return [one for one in found.findings if one.metric is not None]


def test_the_same_change_on_a_slower_host_is_reproduced() -> None:
    """All times double and the noise differs, but the change is the same."""
    slower_host = {"a": [2 * one for one in LIKE_BASE], "b": [2.4 * one for one in BASE]}
    found = reproduction(stored({"a": BASE, "b": SLOWER}), stored(slower_host))
    assert found.verdict is REPRODUCED
    assert found.reason == "2 of 2 findings in the bundle came out the same here"
    [one] = of_metric(found)
    assert (one.verdict, one.reason) == (REPRODUCED, "the verdict is the same")
    assert one.difference
    assert not one.difference.excludes_zero


def test_a_faster_cell_that_is_slower_here_is_not_reproduced() -> None:
    """The change has the opposite direction."""
    found = reproduction(stored({"a": BASE, "b": FASTER}), stored({"a": BASE, "b": SLOWER}))
    assert found.verdict is NOT_REPRODUCED
    assert found.reason == "1 of 2 findings in the bundle came out differently here"
    [one] = of_metric(found)
    assert one.reason.startswith("'lower' in the bundle and 'higher' here")
    assert one.before
    assert one.after
    assert (one.before.verdict, one.after.verdict) == (Verdict.LOWER, Verdict.HIGHER)


def test_an_equivalent_cell_that_is_slower_here_is_not_reproduced() -> None:
    """Equivalence is a finding, too."""
    replay = stored({"a": BASE, "b": [1.1 * one for one in LIKE_BASE]})
    found = reproduction(stored({"a": BASE, "b": LIKE_BASE}), replay)
    assert found.verdict is NOT_REPRODUCED


def test_another_size_in_the_same_direction_is_reproduced() -> None:
    """The verdict counts, and the reason mentions the size."""
    replay = stored({"a": BASE, "b": [1.5 * one for one in LIKE_BASE]})
    found = reproduction(stored({"a": BASE, "b": SLOWER}), replay)
    [one] = of_metric(found)
    assert one.verdict is REPRODUCED
    assert one.reason == "the verdict is the same, but the change has a different size here"


def test_verdicts_that_differ_by_less_than_the_margin_are_reproduced() -> None:
    """A small change in the bundle and none here hardly differ."""
    quiet = [1 + 0.1 * noise for noise in NOISE]
    replay = stored({"a": quiet, "b": [1.01 * one for one in reversed(quiet)]})
    found = reproduction(stored({"a": quiet, "b": list(reversed(quiet))}), replay)
    [one] = of_metric(found)
    assert one.verdict is REPRODUCED
    assert one.reason.endswith("but the difference is smaller than the margin")


def test_noise_does_not_decide() -> None:
    """The verdicts differ, but the intervals are too wide to show that the changes do."""
    noisy = [1.35, 0.95, 1.3, 1.0, 1.25, 0.9, 1.2]
    found = reproduction(stored({"a": BASE, "b": SLOWER}), stored({"a": BASE, "b": noisy}))
    assert found.verdict is CANNOT_TELL
    assert found.reason.endswith("cannot be judged here, and none came out differently")
    assert of_metric(found)[0].reason.endswith("but noise could explain that; run more blocks")


def test_the_same_direction_is_enough() -> None:
    """A 95 % interval shows it without a verdict. The opposite direction is not reproduced."""
    noisy = [1.42, 0.98, 1.35, 1.05, 1.32, 1.02, 1.28]
    replay = stored({"a": BASE, "b": noisy})
    [one] = of_metric(reproduction(stored({"a": BASE, "b": SLOWER}), replay))
    assert one.after is not None
    assert one.after.verdict is Verdict.CANNOT_TELL
    assert (one.verdict, one.reason) == (REPRODUCED, "the change has the same direction here")
    faster = [1 / slower for slower in SLOWER]
    [one] = of_metric(reproduction(stored({"a": BASE, "b": faster}), replay))
    assert one.verdict is not REPRODUCED


def test_before_the_first_look_there_is_no_verdict() -> None:
    """The reason says how many blocks there are and how many are needed."""
    bundled = stored({"a": BASE, "b": SLOWER})
    found = reproduction(bundled, stored({"a": BASE, "b": SLOWER}, blocks=3))
    assert found.verdict is CANNOT_TELL
    assert of_metric(found)[0].reason == ("a verdict needs 7 complete blocks, and here there are 3")


def test_a_busy_host_cannot_repeat_wall_times() -> None:
    """CPU time here is not compared with wall time in the bundle."""
    bundled = stored({"a": BASE, "b": SLOWER})
    found = reproduction(bundled, stored({"a": BASE, "b": SLOWER}, disturbed=range(1, 6)))
    assert found.verdict is CANNOT_TELL
    assert of_metric(found)[0].reason == (
        "time was judged in the bundle and CPU time here: one of the hosts was too busy to judge "
        "wall time"
    )


def test_without_named_comparisons_all_others_count() -> None:
    """Each cell is compared with the baseline in every metric."""
    bundled = stored({"a": BASE, "b": SLOWER}, compared=False)
    found = reproduction(bundled, stored({"a": BASE, "b": SLOWER}, compared=False))
    assert found.verdict is REPRODUCED
    assert {one.metric.name for one in of_metric(found) if one.metric and one.counts} == {
        "seconds",
        "cpu",
    }


@pytest.mark.parametrize(("blocks", "reported"), [(3, []), (7, ["'cannot tell' in the bundle"])])
def test_an_undecided_comparison_does_not_count(blocks: int, reported: list[str]) -> None:
    """A run without verdicts has nothing to reproduce, even if its cells are ok."""
    noisy = stored({"a": BASE, "b": [1.3, 0.8, 1.1, 0.9, 1.25, 0.7, 1.0]}, blocks=blocks)
    found = reproduction(noisy, stored({"a": BASE, "b": SLOWER}))
    assert found.verdict is CANNOT_TELL
    assert found.reason == "the bundle contains no finding that could be reproduced"
    assert [one.reason for one in of_metric(found)] == [
        f"nothing to reproduce: {one}" for one in reported
    ]
    assert not any(one.counts for one in of_metric(found))


def test_undecided_comparisons_share_the_error_rate() -> None:
    """The outcome in the bundle must not select the comparisons to test."""
    noisy = [1.3, 0.8, 1.1, 0.9, 1.25, 0.7, 1.0]
    both = stored({"a": BASE, "b": SLOWER, "c": noisy})
    decided, opened = of_metric(reproduction(both, both))
    assert opened.difference is None
    assert decided.difference
    assert decided.difference.level == 1 - 0.05 / 2


@pytest.mark.parametrize("turned", [False, True])
def test_a_cell_that_fails_in_one_run_only_is_not_reproduced(turned: bool) -> None:
    """It does not matter in which one."""
    sound = stored({"a": BASE, "b": SLOWER})
    sides = (failing(sound), sound) if turned else (sound, failing(sound))
    found = reproduction(*sides)
    assert found.verdict is NOT_REPRODUCED
    same, one = of_status(found)
    assert (same.of, same.reason) == (None, "1 of 2 cells ended as in the bundle")
    reported = ["7 ok", "7 failed"]
    before, after = reversed(reported) if turned else reported
    assert (one.of, one.reason) == ("v=b", f"in the bundle {before}; here {after}")
    assert all(not one.difference for one in found.findings)


def test_a_cell_that_fails_sometimes_does_not_decide() -> None:
    """Some of its trials are ok."""
    sound = stored({"a": BASE, "b": SLOWER})
    _, one = of_status(reproduction(sound, failing(sound, blocks=2)))
    assert one.verdict is CANNOT_TELL
    assert one.reason == "in the bundle 7 ok; here 2 failed, 5 ok"


def test_a_cell_that_fails_in_both_runs_is_the_same() -> None:
    """But a failure alone is not enough for a verdict."""
    both = failing(stored({"a": BASE, "b": SLOWER}))
    found = reproduction(both, both)
    assert [one.reason for one in of_status(found)] == ["2 of 2 cells ended as in the bundle"]
    assert found.verdict is CANNOT_TELL
    _, one = of_status(reproduction(both, failing(both, Status.TIMED_OUT)))
    assert one.verdict is CANNOT_TELL


@pytest.mark.parametrize("status", [Status.ENGINE_LOST, None])
def test_without_a_trial_here_there_is_no_verdict(status: Status | None) -> None:
    """A lost trial does not count."""
    sound = stored({"a": BASE, "b": SLOWER})
    replay = with_results(sound, lambda one: failed_result(one.trial, status) if status else None)
    _, one = of_status(reproduction(sound, replay))
    assert one.verdict is CANNOT_TELL
    assert one.reason == "no trial ran here; in the bundle 7 ok"


def test_without_an_image_there_is_no_verdict() -> None:
    """A failed build says nothing about the experiment."""
    sound = stored({"a": BASE, "b": SLOWER})
    _, one = of_status(reproduction(sound, failing(sound, Status.NO_IMAGE)))
    assert one.verdict is CANNOT_TELL


def accuracies(before: Numbers, after: Numbers, blocks: int = 7) -> Reproduction:
    """Compare two runs with these accuracies and no other metric."""
    return reproduction(
        stored(accuracies=before), stored(accuracies=after, blocks=min(blocks, len(after["a"])))
    )


def test_one_block_with_the_same_accuracy_is_reproduced() -> None:
    """Equal numbers need no interval."""
    found = accuracies({"a": GIVEN}, {"a": GIVEN}, blocks=1)
    assert found.verdict is REPRODUCED
    assert [one.reason for one in of_metric(found)] == [
        "the numbers are identical in the single block"
    ]
    whole = accuracies({"a": GIVEN}, {"a": GIVEN})
    [one] = of_metric(whole)
    assert one.reason == "the numbers are identical in all 7 blocks"


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ([0.01, -0.02, 0.03, 0.0, -0.01, 0.02, 0.01], REPRODUCED),
        ([0.51, 0.48, 0.53, 0.5, 0.49, 0.52, 0.51], NOT_REPRODUCED),
        ([1.5, -0.4, 1.2, -0.9, 0.8, -1.1, 1.3], CANNOT_TELL),
        ([0.5] * 7, NOT_REPRODUCED),
        ([0.51, 0.48, 0.53, 0.5], CANNOT_TELL),
    ],
)
def test_accuracies_are_compared_by_block(changes: list[float], verdict: Reproduced) -> None:
    """Equal blocks have equal seeds, so margin and interval decide."""
    replay = [one + change for one, change in zip(GIVEN, changes, strict=False)]
    found = accuracies({"a": GIVEN}, {"a": replay}, len(replay))
    assert [one.verdict for one in of_metric(found)] == [verdict]


def test_different_seeds_are_not_paired() -> None:
    """The means are compared, which is less precise."""
    bundled = stored(accuracies={"a": GIVEN})
    replay = with_results(
        stored(accuracies={"a": [one + 0.01 for one in GIVEN]}),
        lambda one: replace(one, trial=replace(one.trial, seed=one.trial.seed + 1)),
        "v=a",
    )
    [one] = of_metric(reproduction(bundled, replay))
    assert one.verdict is CANNOT_TELL
    assert one.difference
    assert one.difference.df > 6


def test_times_are_not_compared_as_numbers() -> None:
    """Not even if a matrix compares them by difference."""
    timed = replace(ACCURACY, unit="s")
    bundled, replay = (
        replace(one, run=replace(one.run, matrix=replace(one.run.matrix, metrics=(timed,))))
        for one in (stored(accuracies={"a": GIVEN}), stored(accuracies={"a": GIVEN[::-1]}))
    )
    bundled, replay = (
        replace(one, run=replace(one.run, matrix=replace(one.run.matrix, compare=())))
        for one in (bundled, replay)
    )
    assert of_metric(reproduction(bundled, replay)) == []


# --- in words --------------------------------------------------------------------------------


def founding() -> StoredRun:
    """The run of the founding study in a bundle."""
    return StoredRun(
        run=founding_run(),
        plan=founding_plan(),
        images=founding_images(),
        results=tuple(replace(one, reading=QUIET) for one in founding_results()),
        logs={},
    )


def elsewhere() -> StoredRun:
    """The same run on another host: one cell is faster, one fails, one package differs."""
    bundled = founding()
    new = "tensorflow=2.0.0,model="
    run = replace(
        bundled.run,
        host=replace(bundled.run.host, kernel="6.12.1", cores=16, python="3.13.2"),
        engine=replace(bundled.run.engine, name="venv", version="bwrap 0.8.0", kernel="6.12.1"),
        lock=replace(
            bundled.run.lock,
            entries=tuple(
                replace(one, packages=one.packages[1:]) if isinstance(one, Environment) else one
                for one in bundled.run.lock.entries
            ),
        ),
        script_digest="0" * 64,
    )
    reading = replace(QUIET, processor="Other CPU", cpu_flags=("avx", "fma"))
    replay = replace(
        bundled,
        run=run,
        images=tuple(
            replace(one, base=replace(one.base, kind=BaseKind.PULLED)) for one in bundled.images
        ),
        results=tuple(replace(one, reading=reading) for one in bundled.results),
    )
    replay = with_results(replay, _halved, f"{new}sequential")
    return with_results(replay, lambda one: failed_result(one.trial), f"{new}functional")


def _halved(result: TrialResult) -> TrialResult:
    series = {name: tuple(one / 2 for one in found) for name, found in result.series.items()}
    return replace(result, series=series)


def text_of(bundled: StoredRun, replay: StoredRun) -> str:
    """Return the text about a replay."""
    return as_text(reproduction(bundled, replay), bundled, replay)


def test_the_text_equals_the_gold_file(gold: Callable[[str, str], None]) -> None:
    """The gold file has the whole text."""
    gold("reproduction.md", text_of(founding(), elsewhere()))


def test_an_identical_replay() -> None:
    """The verdict comes first, and one line lists what is the same."""
    text = text_of(founding(), founding())
    assert text.startswith("**reproduced**: 25 of 25 findings in the bundle came out")
    assert "- nothing\n\nThe same: script, 1 data file, 2 environments with 16 packages" in text


def test_untrusted_names_are_escaped() -> None:
    """Names from a bundle cannot end a line, be a link or colour a terminal."""
    bad = "x\x1b[31m](http://e.vil)\n# <b>*"
    bundled, replay = founding(), founding()
    reading = replace(QUIET, processor=bad, cpu_flags=(bad,))
    replay = replace(
        replay,
        run=replace(replay.run, host=replace(replay.run.host, kernel=bad, system=bad)),
        results=tuple(replace(one, reading=reading) for one in replay.results),
    )
    text = text_of(bundled, replay)
    assert "\x1b" not in text
    assert "<b>" not in text
    assert "x\\](http\\://e.vil) # &lt;b&gt;\\*" in text
    assert [line for line in text.splitlines() if line.startswith("#")] == ["## What differs"]


def test_lists_are_cut() -> None:
    """Only the first differences and findings are shown, with the number of the others."""
    bundled = stored({"a": BASE, "b": SLOWER})
    many = {f"{name:04}": "b" * 64 for name in range(500)}
    replay = replace(bundled, run=replace(bundled.run, data_digests=many))
    whole = reproduction(bundled, replay)
    repeated = replace(whole, findings=whole.findings * MOST_FINDINGS)
    findings, differences = as_text(repeated, bundled, replay).split("## What differs")
    assert findings.count("\n- ") == MOST_FINDINGS + 1
    assert f"- and {MOST_FINDINGS} more" in findings
    assert differences.count("\n- ") == MOST_DIFFERENCES + 1
    assert f"- and {501 - MOST_DIFFERENCES} more" in differences
