"""What was published beside what we measured: numbers, and claims with their verdicts."""

from runner.judge.claims import published_change
from runner.judge.records import ClaimVerdict, JudgedClaim
from runner.records.study import Cell, Published
from runner.report import verdict_words as words
from runner.report.evidence import Evidence, places, standing
from runner.report.page import Section, Statement, Table, left, right
from runner.report.wording import NOTHING, heading, printed

_VERDICTS = {
    ClaimVerdict.REPRODUCED: "Reproduced",
    ClaimVerdict.DIRECTION_ONLY: "Direction reproduced, size not",
    ClaimVerdict.CONTRADICTED: "Contradicted on this machine",
    ClaimVerdict.INCONCLUSIVE: "Inconclusive",
}


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
    """Say of each published sentence whether it holds here, with the evidence in words."""
    matrix, judgement = evidence.run.matrix, evidence.judgement
    if not matrix.claims:
        return None
    judged = {one.claim.id: one for one in judgement.claims}
    return Section(
        title="Published claims",
        lead=("A claim is judged for this host and these inputs, not for all machines.",),
        statements=tuple(
            _judged(evidence, judged[claim.id])
            if claim.id in judged
            else Statement(head=f"{_quoted(claim.text)} Not judged before the first look.")
            for claim in matrix.claims
        ),
    )


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


def _judged(evidence: Evidence, judged: JudgedClaim) -> Statement:
    claim, compared = judged.claim, judged.comparison
    head = f"{_quoted(claim.text)} {_VERDICTS[judged.verdict]}."
    if compared is None:
        return Statement(head=head, text=" ".join(judged.evidence))
    of, against, shared = words.sides(evidence, compared)
    where = f"{shared}: " if shared else ""
    ours = f"Here: {where}{words.finding(evidence, compared, of, against)}"
    size = published_change(claim, compared.scale)
    said = ""
    if claim.published is not None and size is not None:
        numbers = " against ".join(map(printed, claim.published))
        said = f"Published: {numbers} ({words.signed(size, compared.metric)}). "
    text = f"{said}{ours}; {words.basis(evidence, compared)} {' '.join(judged.evidence)}"
    return Statement(head=head, text=text.strip())


def _quoted(text: str) -> str:
    return f"\N{LEFT DOUBLE QUOTATION MARK}{text}\N{RIGHT DOUBLE QUOTATION MARK}"
