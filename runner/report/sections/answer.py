"""The answer: may I upgrade, what does it cost, how sure is that? It needs no further section."""

from collections.abc import Iterator, Sequence

from runner.judge.records import AcrossHosts, Look, Verdict
from runner.plan import FEWEST_BLOCKS
from runner.report import words
from runner.report.changes import Change, asked
from runner.report.evidence import Evidence
from runner.report.records import Section, Statement
from runner.report.sections.advice import answers, some_of
from runner.report.sections.comparing import tables
from runner.text import counted, listed, unbroken

MOST_ACROSS = 12


def answer(evidence: Evidence) -> Section:
    """Answer the question of a run, or say why there is no answer yet."""
    changes = asked(evidence)
    if any(one.is_answered for one in changes):
        return Section(
            "answer",
            "Answer",
            statements=(
                *answers(evidence, changes),
                *_across_hosts(evidence),
                _how_sure(evidence),
            ),
            tables=tables(evidence, changes),
            key=True,
        )
    return Section(
        "answer",
        "So far",
        statements=tuple(_across_hosts(evidence)),
        tables=tables(evidence, changes),
        notes=(_why_no_verdict(evidence, changes),),
        key=True,
    )


# --- how sure ------------------------------------------------------------------------------------


def _how_sure(evidence: Evidence) -> Statement:
    """Say what the intervals mean, what this machine can find, and what is not included."""
    judgement = evidence.judgement
    sentences = [_intervals(judgement.look, len(judgement.strata))] if judgement.look else []
    sentences += [*_sensitivity(evidence), _as_expected(evidence)]
    return Statement("How sure?", " ".join(sentences), tuple(_restrictions(evidence)))


def _restrictions(evidence: Evidence) -> Iterator[str]:
    judgement, plan = evidence.judgement, evidence.plan
    since = judgement.complete - judgement.look.blocks if judgement.look else 0
    if since:
        following = counted(judgement.next_look or 0, "block")
        until = f"; the next look is after {following}" if judgement.next_look else ""
        yield f"{_are(since, 'later block')} not included in the verdicts{until}."
    if plan.left:
        cells = [
            f"{cell} after {counted(blocks, 'block')}" for cell, blocks in sorted(plan.left.items())
        ]
        yield (
            f"Some cells left the plan because everything about them was decided: {some_of(cells)}."
        )
    states = judgement.strata or {"the host": judgement.disturbance}
    if busy := {name: state for name, state in states.items() if state.busy}:
        names = some_of(list(busy))
        stayed = sum(state.stayed for state in busy.values())
        trials = counted(sum(state.trials for state in busy.values()), "trial")
        yield (
            f"{names[0].upper()}{names[1:]} {'was' if len(busy) == 1 else 'were'} too busy to "
            f"judge times and rates: {stayed} of {trials} stayed disturbed. A time with a "
            "`cpu_time` is judged by that; the others are not judged."
        )


def _as_expected(evidence: Evidence) -> str:
    surprises = sum(not evidence.as_expected(cell) for cell in evidence.cells)
    if surprises:
        return f"{counted(surprises, 'cell')} ended unexpectedly."
    return "All cells ended as expected."


def _intervals(look: Look, hosts: int) -> str:
    level = unbroken(f"{look.level * 100:.4g} %")
    which = f", look {look.number} of {look.of}" if look.of > 1 else ""
    blocks = counted(look.blocks, "block")
    where = f" on {hosts} hosts, each for its host alone" if hosts else ""
    return f"The ranges are {level} intervals from {blocks}{where}{which}."


def _sensitivity(evidence: Evidence) -> Iterator[str]:
    """Say in one line which changes the A/A check would find, and if it found one."""
    smallest, false_alarms = [], []
    for check in evidence.judgement.checks:
        compared = check.comparison
        if compared.usable is None or compared.identical or check.smallest is None:
            continue
        title = compared.measured.title
        title += f" on {compared.stratum}" if compared.stratum else ""
        smallest.append(f"{title} {words.amount(check.smallest, compared.measured)}")
        if compared.verdict in {Verdict.LOWER, Verdict.HIGHER}:
            false_alarms.append(title)
    if smallest:
        where = "each host" if evidence.judgement.strata else "this machine"
        found = some_of(smallest) if evidence.judgement.strata else ", ".join(smallest)
        yield f"Changes that {where} finds nine times in ten: {found}."
    if false_alarms:
        yield (
            f"Two copies of the baseline differ in {listed(false_alarms)}, so be careful with "
            f"{'it' if len(false_alarms) == 1 else 'them'}."
        )


def _across_hosts(evidence: Evidence) -> Iterator[Statement]:
    """Say what three hosts or more show together, one line for each comparison."""
    found = evidence.judgement.across
    if not found:
        return
    lines = [_across(evidence, one) for one in found[:MOST_ACROSS]]
    if more := len(found) - len(lines):
        lines.append(f"{counted(more, 'more comparison')}: see report.json.")
    levels = {words.interval_name(one) for found_ in found if (one := found_.comparison.estimate)}
    text = (
        "Each host counts once, with its mean change. The ranges are "
        f"{listed(sorted(levels))}s over hosts."
    )
    yield Statement("Across hosts.", text, tuple(lines))


def _across(evidence: Evidence, one: AcrossHosts) -> str:
    some = f"{one.hosts} of {one.of} hosts" if one.hosts < one.of else f"{one.hosts} hosts"
    return f"{words.headline(evidence, one.comparison)}: {some}."


def _are(count: int, noun: str) -> str:
    return f"{counted(count, noun)} {'is' if count == 1 else 'are'}"


# --- no verdict yet ------------------------------------------------------------------------------


def _why_no_verdict(evidence: Evidence, changes: Sequence[Change]) -> str:
    """Say in one sentence why there is no verdict."""
    judgement, complete = evidence.judgement, evidence.judgement.complete
    shard = evidence.plan.shard
    if shard is not None and judgement.look is None:
        return (
            f"No verdict: this is shard {shard}, with {len(evidence.plan.own_blocks)} of "
            f"{counted(evidence.plan.blocks, 'block')}. `merge` joins the shards of a study and "
            "gives the verdicts."
        )
    if not changes:
        return (
            "Nothing is compared, so there is no verdict. Name what to compare under `compare:`, "
            "or set a `baseline:`."
        )
    if judgement.look is not None:
        reasons = [one.comparison.reason for one in changes if one.comparison]
        return f"No verdict: {reasons[0]}." if reasons else "No verdict: no trial was executed."
    looks = [one for one in evidence.plan.looks if one > complete and one >= FEWEST_BLOCKS]
    if not looks:
        return (
            f"No verdict: a comparison needs {counted(FEWEST_BLOCKS, 'block')}, and this run plans "
            f"{len({one.block for one in evidence.plan.trials})}."
        )
    return (
        f"No verdict yet: the first is read after {counted(looks[0], 'complete block')}, and "
        f"{_are(complete, 'block')} complete."
    )
