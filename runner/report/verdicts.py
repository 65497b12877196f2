"""What is concluded: the decision, verdicts, the screening, and what this host could have shown."""

from collections.abc import Iterable
from itertools import islice

from runner.judge.divergence import learning_curves
from runner.judge.records import Advice, Check, Comparison, Decision, JudgedLimit, Verdict
from runner.judge.samples import gather
from runner.records import shown
from runner.records.study import Metric, PolicyLimit
from runner.report import figures
from runner.report import verdict_words as words
from runner.report.evidence import Evidence
from runner.report.page import Figure, Section, Statement, Table, left, right
from runner.report.wording import NOTHING, heading, printed
from runner.text import counted, unbroken

_TWIN = (
    "Each block held a second copy of {cell}, hidden among the others. A run that is honest finds "
    "no difference between the two; this check never changes a verdict."
)
_TAINTED = (
    "A trial is disturbed by what the machine did to it and never by what it measured: other "
    "processes or the hypervisor took its core, it was throttled, or memory was swapped. It is "
    "repeated at the end of its block, at most twice; all attempts are kept, and wall times of one "
    "that stays disturbed are not compared."
)
_SCREENED = (
    "Nobody named them before the run. At most one in twenty of those that differ is expected to "
    "be luck, their intervals are widened for having been selected, and their sizes are a little "
    "overstated. Name a comparison under `compare:` to have a verdict of it."
)
_ADVICE = {
    Advice.ADOPT: "adopt: every limit of the policy is kept, at the bad end of its interval too",
    Advice.HOLD: "hold",
    Advice.CANNOT_TELL: "cannot tell yet",
}


def decision(evidence: Evidence) -> Section | None:
    """Say what the policy says of each candidate, and why."""
    matrix, judgement = evidence.run.matrix, evidence.judgement
    if not matrix.policy:
        return None
    against = ", ".join(f"{axis}={shown(value)}" for axis, value in matrix.baseline)
    limits = ", ".join(
        f"{evidence.run.matrix.metric(limit.metric).title} {limit_text(evidence, limit)}"
        for limit in matrix.policy
    )
    lead = f"The worst change that an upgrade from {against} may bring: {limits}."
    if judgement.look is None:
        return Section(title="Decision", lead=(lead,), statements=(_no_look(evidence),))
    return Section(
        title="Decision",
        lead=(lead,),
        statements=tuple(_decided(evidence, one) for one in judgement.decisions),
        tables=(_limits(evidence, judgement.decisions),),
    )


def verdicts(evidence: Evidence) -> Section | None:
    """Say of each comparison that was named before the run which cell is better, and how surely."""
    judgement = evidence.judgement
    if not evidence.run.matrix.compare:
        return None
    if judgement.look is None:
        return Section(title="Verdicts", statements=(_no_look(evidence),))
    named = [one for one in judgement.comparisons if one.named]
    return Section(
        title="Verdicts",
        lead=(words.of_look(judgement.look), *_later(evidence), *_host(evidence)),
        statements=tuple(words.statement(evidence, one) for one in named),
        figures=tuple(_figures(evidence, named)),
    )


def what_could_be_seen(evidence: Evidence) -> Section | None:
    """Show the A/A check: the baseline against its control, and the smallest change to be seen."""
    checks = evidence.judgement.checks
    if not checks:
        return None
    return Section(
        title="What this host could have shown",
        lead=(_TWIN.format(cell=checks[0].comparison.of),),
        statements=tuple(_check(evidence, one) for one in checks),
    )


def disturbance(evidence: Evidence) -> Section | None:
    """Show how many trials the machine disturbed, by cell; nothing where there was none."""
    state = evidence.judgement.disturbance
    if not any(state.disturbed.values()):
        return None
    notes = tuple(
        f"{cell} was disturbed far more often than the others: look for what it starts."
        for cell in state.uneven
    )
    return Section(
        title="Disturbed trials",
        lead=(_TAINTED,),
        tables=(
            Table(
                caption="Disturbed trials",
                columns=(*left("cell"), *right("trials executed", "disturbed")),
                rows=tuple(
                    (cell, str(tries), str(state.disturbed.get(cell, 0)))
                    for cell, tries in sorted(state.attempts.items())
                ),
            ),
        ),
        notes=notes,
    )


def screening(evidence: Evidence) -> Section | None:
    """Show the rest of the grid, folded: what was not named before the run is only screened."""
    rest = [one for one in evidence.judgement.comparisons if not one.named]
    if not rest:
        return None
    found = sum(one.verdict in {Verdict.LOWER, Verdict.HIGHER} for one in rest)
    return Section(
        title="Screening",
        lead=(f"{counted(len(rest), 'further comparison')}, {found} of which differ. {_SCREENED}",),
        tables=(
            Table(
                caption=f"All {len(rest)} comparisons",
                columns=left("of", "against", "metric", "verdict", "interval"),
                rows=tuple(_screened(evidence, one) for one in rest),
                folded=True,
            ),
        ),
    )


def learning(evidence: Evidence) -> Section | None:
    """Draw the learning curves, and in matched mode say where they part."""
    results = (one for results in evidence.results.values() for one in results)
    samples = gather(evidence.run.matrix, evidence.plan, results, evidence.plan.blocks)
    series: dict[str, dict[str, list[tuple[float, ...]]]] = {}
    for cell in evidence.cells[: figures.MOST_CURVES]:
        for named in learning_curves(samples, cell.id).values():
            for name, numbers in named.items():
                if len(numbers) > 1:
                    series.setdefault(name, {}).setdefault(cell.id, []).append(tuple(numbers))
    if not series:
        return None
    drawn = dict(islice(series.items(), figures.MOST_SERIES))
    left_out = (
        (
            len(evidence.cells) - figures.MOST_CURVES,
            f"The first {figures.MOST_CURVES} cells are drawn.",
        ),
        (len(series) - figures.MOST_SERIES, f"The first {figures.MOST_SERIES} series are drawn."),
    )
    titles = {one.name: heading(one) for one in evidence.run.matrix.metrics}
    titled: dict[str, dict[str, list[tuple[float, ...]]]] = {}
    for name, cells in drawn.items():
        title = titles.get(name, name.replace("_", " "))
        titled[name if title in titled else title] = cells
    return Section(
        title="Learning curves",
        lead=tuple(sentence for count, sentence in left_out if count > 0),
        statements=tuple(_partings(evidence)),
        figures=(figures.curves("learning-curves", titled),),
    )


def limit_text(evidence: Evidence, limit: PolicyLimit) -> str:
    """Return a limit of the policy: ``+3 %``."""
    metric = evidence.run.matrix.metric(limit.metric)
    size, unit = (limit.change * 100, "%") if limit.relative else (limit.change, words.unit(metric))
    sign = "+" if size > 0 else ""
    return unbroken(f"{sign}{printed(round(size, 6))} {unit}".rstrip())


def _no_look(evidence: Evidence) -> Statement:
    judgement = evidence.judgement
    return Statement(
        head="Cannot tell yet",
        text=f"verdicts are read after {counted(judgement.next_look or 0, 'complete block')}, and "
        f"{judgement.complete} are complete. To look at every block would find differences that "
        "are not there.",
    )


def _later(evidence: Evidence) -> tuple[str, ...]:
    """Say what was executed since the look, and who left the plan."""
    judgement, plan = evidence.judgement, evidence.plan
    sentences = []
    since = judgement.complete - judgement.look.blocks if judgement.look else 0
    if since:
        until = f"until the look at {judgement.next_look}" if judgement.next_look else "any more"
        sentences.append(
            f"{counted(since, 'block')} executed since then are in the tables and not in the "
            f"verdicts {until}."
        )
    if plan.left:
        cells = ", ".join(f"{cell} after {blocks}" for cell, blocks in sorted(plan.left.items()))
        sentences.append(f"Everything was decided about these, which left the plan: {cells}.")
    return (" ".join(sentences),) if sentences else ()


def _host(evidence: Evidence) -> tuple[str, ...]:
    state = evidence.judgement.disturbance
    sentence = (
        f"The host was too busy for claims about wall time: {state.stayed} of {state.trials} "
        "trials stayed disturbed. CPU time is compared in its place."
    )
    return (sentence,) if state.busy else ()


def _decided(evidence: Evidence, decision: Decision) -> Statement:
    reasons = [one for one in decision.limits if one.advice is decision.advice]
    return Statement(
        head=f"{decision.candidate}: {_ADVICE[decision.advice]}",
        notes=()
        if decision.advice is Advice.ADOPT
        else tuple(_reason(evidence, one) for one in reasons),
    )


def _reason(evidence: Evidence, limit: JudgedLimit) -> str:
    if limit.comparison is None:
        return f"{limit.of}: {limit.reason}"
    compared = limit.comparison
    of, against, shared = words.sides(evidence, compared)
    where = f"{shared}: " if shared else ""
    found = words.finding(evidence, compared, of, against)
    if compared.estimate is None or compared.verdict is Verdict.NO_COMPARISON:
        return f"{where}{found}; {words.basis(evidence, compared)}"
    beyond = f"{limit.reason} of {limit_text(evidence, limit.limit)}"
    return f"{where}{found}; {words.basis(evidence, compared)} {beyond[0].upper()}{beyond[1:]}."


def _limits(evidence: Evidence, decisions: Iterable[Decision]) -> Table:
    return Table(
        caption="Each limit",
        columns=left("cell", "metric", "worst acceptable", "interval here", "says"),
        rows=tuple(
            (
                limit.of,
                evidence.run.matrix.metric(limit.limit.metric).title
                if limit.comparison
                else "does it run?",
                limit_text(evidence, limit.limit) if limit.comparison else NOTHING,
                _interval(evidence, limit.comparison),
                limit.advice.value,
            )
            for decision in decisions
            for limit in decision.limits
        ),
        folded=True,
    )


def _interval(evidence: Evidence, compared: Comparison | None) -> str:
    if compared is None or compared.estimate is None:
        return NOTHING
    if compared.identical:
        return "identical"
    return words.stretch(evidence, compared.estimate, compared.measured)


def _screened(evidence: Evidence, one: Comparison) -> tuple[str, ...]:
    verdict = "identical" if one.identical else one.verdict.value
    return (one.of, one.against, one.measured.title, verdict, _interval(evidence, one))


def _check(evidence: Evidence, check: Check) -> Statement:
    compared, metric = check.comparison, check.comparison.measured
    if compared.estimate is None or compared.verdict is Verdict.NO_COMPARISON:
        return Statement(head=metric.title, text=f"no check: {compared.reason}.")
    if compared.identical:
        return Statement(
            head=metric.title, text="identical in both copies: the seed alone decides it."
        )
    wrong = compared.verdict in {Verdict.LOWER, Verdict.HIGHER}
    said = "a difference that is none: be careful with verdicts of it" if wrong else "no difference"
    smallest = (
        f"; the smallest change seen nine times in ten is {words.amount(check.smallest, metric)}"
        if check.smallest is not None
        else ""
    )
    span = words.stretch(evidence, compared.estimate, metric)
    name = words.interval_name(compared.estimate)
    return Statement(head=metric.title, text=f"{said} ({name}: {span}){smallest}.")


def _figures(evidence: Evidence, named: list[Comparison]) -> Iterable[Figure]:
    """Draw one figure for each metric that was measured."""
    look = evidence.judgement.look
    metrics: dict[str, Metric] = {one.measured.name: one.measured for one in named}
    for metric in metrics.values():
        rows = [(_label(evidence, one), one) for one in named if one.measured == metric]
        figure = figures.changes(
            f"change-of-{metric.name}", metric, rows, look.level if look else 0
        )
        if figure is not None:
            yield figure


def _label(evidence: Evidence, one: Comparison) -> str:
    of, against, shared = words.sides(evidence, one)
    return f"{of} against {against}" + (f" ({shared})" if shared else "")


def _partings(evidence: Evidence) -> Iterable[Statement]:
    for one in evidence.judgement.divergences:
        epochs = [first for first in one.first.values() if first is not None]
        title = one.series.replace("_", " ")
        if not epochs:
            said = f"the same in all {one.epochs} epochs, but for the rounding of float32"
        else:
            said = f"parts in epoch {min(epochs)}, at the earliest"
            said += f" ({len(epochs)} of {counted(len(one.first), 'block')})"
        yield Statement(head=f"{title} of {one.of} and {one.against}", text=f"{said}.")
