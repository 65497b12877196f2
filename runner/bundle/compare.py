"""Whether a replay came out as the run in its bundle: how cells ended, comparisons, numbers.

Two hosts are not equally fast, so no absolute time is compared: of times only the changes between
cells of one host are. All differences share one error rate (Bonferroni), so that at most 5 of 100
faithful replays are called not reproduced. Reasons: ``docs/statistics.md``.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from runner.judge import estimate as statistics
from runner.judge import judge
from runner.judge.compare import FEWEST, is_inside, margin
from runner.judge.records import (
    DECIDED,
    Comparison,
    Estimate,
    Finding,
    Judgement,
    Reproduced,
    Reproduction,
    Verdict,
)
from runner.judge.samples import Samples, gather
from runner.records.attempts import Attempts
from runner.records.study import Scale, Status
from runner.runs.folder import StoredRun
from runner.summarise import is_time

ERROR = 0.05
"""How often, at most, a faithful replay is called not reproduced."""

_NOTHING_RAN = frozenset({Status.NO_IMAGE, Status.UNSUPPORTED})

_NOTHING = "the bundle holds no finding that could be reproduced"

_Asked = Finding | Callable[[float], Finding]
"""A finding, or what makes one as soon as the level of its interval is known."""


def reproduction(then: StoredRun, now: StoredRun) -> Reproduction:
    """Judge whether ``now``, a replay, says what ``then``, the run in the bundle, says."""
    asked: list[_Asked] = [
        *_endings(then, now),
        *_comparisons(then, now),
        *_numbers(then, now),
    ]
    level = 1 - ERROR / max(1, sum(map(_takes_its_share, asked)))
    return _together([one if isinstance(one, Finding) else one(level) for one in asked])


def _takes_its_share(asked: _Asked) -> bool:
    """Whether the error rate is shared with it: of comparisons with all that had numbers there.

    To share it only with those that were decided there would be to pick by the outcome, and would
    call faithful replays of many comparisons not reproduced twice as often as promised.
    """
    if isinstance(asked, Finding):
        return asked.then is not None and asked.then.estimate is not None
    return True


def _together(findings: Sequence[Finding]) -> Reproduction:
    """Read the verdict of a replay off its findings: one that is otherwise decides."""
    counted = [one for one in findings if one.counts]
    verdicts = Counter(one.verdict for one in counted)
    verdict, n = Reproduced.CANNOT_TELL, len(counted)
    if otherwise := verdicts[Reproduced.NOT_REPRODUCED]:
        verdict, what = Reproduced.NOT_REPRODUCED, f"{otherwise} of {n} came out otherwise here"
    elif untold := verdicts[Reproduced.CANNOT_TELL]:
        what = f"{untold} of {n} cannot be told here, and none came out otherwise"
    elif any(one.metric for one in counted):
        verdict, what = Reproduced.REPRODUCED, f"{n} of {n} came out the same here"
    else:
        what = ""
    reason = f"of the findings in the bundle, {what}" if what else _NOTHING
    return Reproduction(verdict=verdict, reason=reason, findings=tuple(findings))


# --- how cells ended -----------------------------------------------------------------------------


def _endings(then: StoredRun, now: StoredRun) -> Iterator[Finding]:
    """Yield one finding of all cells that ended as they did there, and one of each other cell."""
    there, here = _ended(then), _ended(now)
    findings = [
        _ending(cell.id, there[cell.id], here.get(cell.id, Counter()))
        for cell in then.run.matrix.cells
        if cell.id in there
    ]
    others = [one for one in findings if one.verdict is not Reproduced.REPRODUCED]
    same = len(findings) - len(others)
    if same:
        reason = f"{same} of {len(findings)} cells ended as they did there"
        yield Finding(of=None, verdict=Reproduced.REPRODUCED, reason=reason)
    yield from others


def _ended(stored: StoredRun) -> Mapping[str, Counter[Status]]:
    """Return by cell how often its trials ended how; a lost one says nothing."""
    found: dict[str, Counter[Status]] = {}
    for result in Attempts(stored.results).counting():
        if result.status is not Status.ENGINE_LOST and not result.trial.control:
            found.setdefault(result.trial.cell, Counter())[result.status] += 1
    return found


def _ending(cell: str, there: Counter[Status], here: Counter[Status]) -> Finding:
    """Say whether all trials of a cell ended in one way, and whether in the same."""
    if not here:
        why = f"no trial of it was executed here; there {_told(there)}"
        return Finding(of=cell, verdict=Reproduced.CANNOT_TELL, reason=why)
    before, after = set(there), set(here)
    executed = not _NOTHING_RAN & (before | after)
    if before == after and len(before) == 1:
        verdict = Reproduced.REPRODUCED
    elif {Status.OK} in (before, after) and not before & after and executed:
        verdict = Reproduced.NOT_REPRODUCED
    else:
        verdict = Reproduced.CANNOT_TELL
    return Finding(of=cell, verdict=verdict, reason=f"there {_told(there)}, here {_told(here)}")


def _told(counts: Counter[Status]) -> str:
    words = [f"{status.value} in {count}" for status, count in counts.items()]
    return f"{', '.join(words)} of {counts.total()} trial{'s' * (counts.total() > 1)}"


# --- comparisons ---------------------------------------------------------------------------------


def _comparisons(then: StoredRun, now: StoredRun) -> Iterator[_Asked]:
    """Yield the comparisons that were named before the run; where none was, the screened ones."""
    there, here = (judge(one.run.matrix, one.plan, one.results) for one in (then, now))
    known = {(one.of, one.against, one.metric.name): one for one in here.comparisons}
    for before in [one for one in there.comparisons if one.named] or there.comparisons:
        after = known.get((before.of, before.against, before.metric.name))
        draft = Finding(
            of=before.of,
            against=before.against,
            metric=before.metric,
            verdict=Reproduced.CANNOT_TELL,
            reason="",
            then=before,
            now=after,
        )
        if before.verdict not in DECIDED:
            nothing = f"nothing to reproduce: there it was {before.verdict.value!r}"
            yield replace(draft, reason=nothing, counts=False)
        elif after is None:
            yield replace(draft, reason=_not_compared(here))
        elif why := _hindrance(before, after):
            yield replace(draft, reason=why)
        else:
            yield partial(_compared, draft, before, after)


def _not_compared(here: Judgement) -> str:
    """Say why there is no such comparison here."""
    if here.look is not None:
        return "these cells were not compared here"
    return (
        f"{here.complete} of the {here.next_look} blocks are complete here after which verdicts "
        "are read"
    )


def _hindrance(before: Comparison, after: Comparison) -> str | None:
    """Say why two comparisons cannot be set beside one another; ``None`` if they can."""
    if before.measured.name != after.measured.name:
        return (
            f"there {before.measured.title} was judged and here {after.measured.title}: one of the "
            "hosts was too busy for wall time"
        )
    numbers = after.verdict is not Verdict.NO_COMPARISON and after.estimate
    if not numbers or (numbers.sd == 0 and after.verdict is Verdict.CANNOT_TELL):
        return f"here {after.reason}"
    n = min(len(before.changes), len(after.changes))
    return None if n >= FEWEST else _too_few(n)


def _compared(draft: Finding, before: Comparison, after: Comparison, level: float) -> Finding:
    """Compare two comparisons: by their verdicts, and by the difference between their changes."""
    ours, theirs = list(after.changes.values()), list(before.changes.values())
    difference = statistics.unpaired(ours, theirs, level)
    if difference is None:
        return replace(draft, reason="the numbers are too large for arithmetic")
    draft = replace(draft, difference=difference)
    inside = is_inside(difference, margin(before.measured))
    otherwise = difference.excludes_zero and not inside
    size = ", though the size of the change is another one here" if otherwise else ""
    if before.verdict is after.verdict:
        return _reproduced(draft, f"the verdict is the same{size}")
    if after.verdict is Verdict.CANNOT_TELL and _direction_is_shown(before, after):
        return _reproduced(draft, f"the direction is shown here, too{size}")
    verdicts = f"it is {after.verdict.value!r} here and was {before.verdict.value!r} there"
    if inside:
        return _reproduced(draft, f"{verdicts}, but the two differ by less than the margin")
    if otherwise:
        why = f"{verdicts}, and the two differ by more than luck explains"
        return replace(draft, verdict=Reproduced.NOT_REPRODUCED, reason=why)
    return replace(draft, reason=f"{verdicts}, but luck may explain that: more blocks would tell")


def _direction_is_shown(before: Comparison, after: Comparison) -> bool:
    """Whether the change here goes as it did there: one direction, which was named before.

    It needs neither the level of several looks nor of several comparisons: a change that is gone
    is taken for shown in at most 2.5 of 100 replays.
    """
    estimate = after.estimate
    if estimate is None or estimate.p >= ERROR:
        return False
    return before.verdict is (Verdict.HIGHER if estimate.mean > 0 else Verdict.LOWER)


# --- numbers that no host should change ----------------------------------------------------------


def _numbers(then: StoredRun, now: StoredRun) -> Iterator[_Asked]:
    """Yield the numbers of each cell that is ok on both sides, in metrics of differences."""
    matrix = then.run.matrix
    there, here = (
        gather(one.run.matrix, one.plan, one.results, one.plan.blocks) for one in (then, now)
    )
    for cell in matrix.cells:
        seeds, seeds_here = _seeds(there, cell.id), _seeds(here, cell.id)
        for metric in matrix.metrics if seeds and seeds_here else ():
            theirs, ours = there.numbers(cell.id, metric), here.numbers(cell.id, metric)
            if metric.scale is Scale.DIFFERENCE and not is_time(metric) and theirs:
                common = theirs.keys() & ours.keys()
                draft = Finding(
                    of=cell.id, metric=metric, verdict=Reproduced.CANNOT_TELL, reason=""
                )
                paired = all(seeds[block] == seeds_here[block] for block in common)
                yield _number(draft, theirs, ours, sorted(common) if paired else None)


def _seeds(samples: Samples, cell: str) -> Mapping[int, int]:
    """Return the seed of each block in which the cell was ok."""
    sound = [one.trial for one in samples.of(cell) if one.status is Status.OK]
    return {trial.block: trial.seed for trial in sound}


def _number(
    draft: Finding,
    theirs: Mapping[int, float],
    ours: Mapping[int, float],
    common: Sequence[int] | None,
) -> _Asked:
    """Compare numbers block by block, in ``common`` ones, or all if seeds differ (``None``)."""
    if common and all(ours[block] == theirs[block] for block in common):
        blocks = f"each of {len(common)} blocks" if len(common) > 1 else "the one block"
        return _reproduced(draft, f"the same numbers in {blocks}")
    n = min(len(theirs), len(ours)) if common is None else len(common)
    if n < FEWEST:
        return replace(draft, reason=f"the numbers differ, and {_too_few(n)}" if n else _too_few(n))
    if common is None:
        estimate = partial(statistics.unpaired, list(ours.values()), list(theirs.values()))
    else:
        size = max(abs(theirs[block]) for block in common)
        changes = [ours[block] - theirs[block] for block in common]
        estimate = partial(statistics.paired, changes, size=size)
    return partial(_differing, draft, estimate)


def _differing(
    draft: Finding, estimate: Callable[[float], Estimate | None], level: float
) -> Finding:
    """Say whether the numbers of a cell differ by more than the margin allows."""
    difference, metric = estimate(level), draft.metric
    if difference is None or metric is None:
        return replace(draft, reason="the numbers are too large for arithmetic")
    draft = replace(draft, difference=difference)
    if is_inside(difference, margin(metric)):
        return _reproduced(draft, "the numbers differ by less than the margin")
    if difference.excludes_zero:
        why = "the numbers differ by more than luck and the margin explain"
        return replace(draft, verdict=Reproduced.NOT_REPRODUCED, reason=why)
    return replace(draft, reason="the numbers differ, and luck may explain that")


def _reproduced(draft: Finding, reason: str) -> Finding:
    return replace(draft, verdict=Reproduced.REPRODUCED, reason=reason)


def _too_few(n: int) -> str:
    return f"{n} of the {FEWEST} blocks that a comparison needs at least are on both sides"
