"""What was published beside what we measured: numbers, claims, and the policy of an upgrade."""

from runner.model import Better, Cell, Claim, Metric, PolicyLimit, Published, shown
from runner.report.evidence import Evidence, places, standing
from runner.report.page import Section, Table, left, right
from runner.report.wording import NOTHING, heading, printed, together

NOT_JUDGED = "not judged yet"
NOT_PLANNED = "not part of this run"


def published(evidence: Evidence) -> Section | None:
    """Show published numbers beside ours."""
    matrix = evidence.run.matrix
    entries = {entry.cell: entry for entry in matrix.published}
    pairs = [(cell, entries[cell.id]) for cell in evidence.cells if cell.id in entries]
    if not pairs:
        return None
    columns = (
        *left(*(axis.name for axis in matrix.axes), "metric"),
        *right("published", "ours"),
    )
    rows = tuple(row for cell, entry in pairs for row in _beside(evidence, cell, entry))
    source = f"Published in {matrix.source}. " if matrix.source else ""
    return Section(
        title="Published numbers beside ours",
        lead=(f"{source}Ours is the median over the trials on this host, with its range.",),
        tables=(Table(caption="Published numbers beside ours", columns=columns, rows=rows),),
        notes=tuple(
            f"{cell.id}: {entry.note}" for cell, entry in pairs if entry.note and entry.values
        ),
    )


def claims(evidence: Evidence) -> Section | None:
    """Show published sentences with their numbers and ours, without a verdict."""
    matrix = evidence.run.matrix
    if not matrix.claims:
        return None
    columns = left("claim", "what is compared", "published", "ours", "verdict")
    cells = {cell.id: cell for cell in evidence.cells}
    return Section(
        title="Published claims",
        lead=("Two medians alone do not say whether their difference is more than luck.",),
        tables=(
            Table(
                caption="Published claims",
                columns=columns,
                rows=tuple(_claim(evidence, claim, cells) for claim in matrix.claims),
            ),
        ),
    )


def policy(evidence: Evidence) -> Section | None:
    """Show the worst acceptable change of each metric, without a verdict."""
    matrix = evidence.run.matrix
    if not matrix.policy:
        return None
    against = ", ".join(f"{axis}={shown(value)}" for axis, value in matrix.baseline)
    return Section(
        title="Upgrade policy",
        lead=(f"The worst change that an upgrade may bring against {against or 'the baseline'}.",),
        tables=(
            Table(
                caption="Upgrade policy",
                columns=left("metric", "worst acceptable change", "verdict"),
                rows=tuple(
                    (heading(_metric(evidence, limit.metric)), _change(evidence, limit), NOT_JUDGED)
                    for limit in matrix.policy
                ),
            ),
        ),
    )


def contrast(of: Cell, against: Cell) -> str:
    """Say in what two cells differ, and then what they share.

    ``tensorflow=2.0.0 against tensorflow=1.15.0 (model=sequential)``.
    """
    ours, theirs = dict(of.coordinates), dict(against.coordinates)
    shared = [axis for axis in ours if axis in theirs and ours[axis] == theirs[axis]]
    sides = " against ".join(
        ", ".join(f"{axis}={shown(value)}" for axis, value in side.items() if axis not in shared)
        for side in (ours, theirs)
    )
    same = ", ".join(f"{axis}={shown(ours[axis])}" for axis in shared)
    return f"{sides} ({same})" if same else sides


def _beside(evidence: Evidence, cell: Cell, entry: Published) -> list[tuple[str, ...]]:
    place = places(evidence.run.matrix.axes, cell)
    if not entry.values:
        note = entry.note or NOTHING
        return [(*place, "does it run?", note, standing(evidence, cell))]
    return [
        (
            *place,
            heading(metric),
            printed(entry.values[metric.name]),
            evidence.median_and_range(cell, metric),
        )
        for metric in evidence.run.matrix.metrics
        if metric.name in entry.values
    ]


def _claim(evidence: Evidence, claim: Claim, cells: dict[str, Cell]) -> tuple[str, ...]:
    if claim.metric is None or claim.against is None:
        said = claim.status.value if claim.status else NOTHING
        ours = standing(evidence, cells[claim.of]) if claim.of in cells else NOT_PLANNED
        return (claim.text, f"how {claim.of} ends", said, ours, NOT_JUDGED)
    metric = _metric(evidence, claim.metric)
    said = _pair(*map(printed, claim.published)) if claim.published else NOTHING
    if claim.of in cells and claim.against in cells:
        sides = contrast(cells[claim.of], cells[claim.against])
        ours = _pair(*(evidence.median(cell, metric) for cell in (claim.of, claim.against)))
    else:
        sides, ours = f"{claim.of} against {claim.against}", NOT_PLANNED
    compared = f"{heading(metric)}: {sides}{_direction(claim)}"
    return (claim.text, compared, said, ours, NOT_JUDGED)


def _pair(of: str, against: str) -> str:
    return together(f"{of} against {against}")


def _direction(claim: Claim) -> str:
    if claim.says is None:
        return ""
    return ", said not to differ" if claim.says is Better.NEITHER else f", said {claim.says.value}"


def _metric(evidence: Evidence, name: str) -> Metric:
    return next(metric for metric in evidence.run.matrix.metrics if metric.name == name)


def _change(evidence: Evidence, limit: PolicyLimit) -> str:
    metric = _metric(evidence, limit.metric)
    if limit.relative:
        size, unit = limit.change * 100, "%"
    else:
        size, unit = limit.change, "points" if metric.unit == "%" else metric.unit
    sign = "+" if size > 0 else ""
    return f"{sign}{printed(round(size, 6))} {unit}".rstrip()
