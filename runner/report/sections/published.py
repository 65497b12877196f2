"""Published numbers beside ours, and published claims with their verdicts."""

from collections.abc import Sequence

from runner.judge.records import ClaimVerdict, JudgedClaim
from runner.records.study import Cell, Published
from runner.report import words
from runner.report.evidence import Evidence
from runner.report.records import Row, Section, Statement

_VERDICTS = {
    ClaimVerdict.REPRODUCED: "Reproduced",
    ClaimVerdict.DIRECTION_ONLY: "Direction reproduced, but not the size",
    ClaimVerdict.CONTRADICTED: "Contradicted on this machine",
    ClaimVerdict.INCONCLUSIVE: "Inconclusive",
}


def claims(evidence: Evidence) -> Section | None:
    """Say of each published claim whether it holds here, with the evidence."""
    matrix = evidence.run.matrix
    if not matrix.claims:
        return None
    judged: dict[str, list[JudgedClaim]] = {}
    for one in evidence.judgement.claims:
        judged.setdefault(one.claim.id, []).append(one)
    hosts = "this host" if len(evidence.strata) == 1 else "these hosts"
    return Section(
        "claims",
        "Published claims",
        (f"These verdicts hold for {hosts} and these inputs, not for every machine.",),
        tuple(
            _judged(evidence, judged[claim.id])
            if claim.id in judged
            else Statement(f"{_quoted(claim.text)} Not judged before the first look.")
            for claim in matrix.claims
        ),
        key=True,
    )


def _judged(evidence: Evidence, judged: Sequence[JudgedClaim]) -> Statement:
    """Say whether a claim holds; if it was judged on several hosts, also on which."""
    found = [_found(evidence, one) for one in judged]
    verdicts = {_VERDICTS[one.verdict] for one in judged}
    same = verdicts.pop() if len(verdicts) == 1 else "The hosts differ"
    head = f"{_quoted(judged[0].claim.text)} {same}."
    if len(judged) == 1:
        return Statement(head, found[0])
    notes = (
        f"{one.stratum.capitalize()}: {_VERDICTS[one.verdict].lower()}. {text}"
        for one, text in zip(judged, found, strict=True)
    )
    return Statement(head, notes=tuple(notes))


def _found(evidence: Evidence, judged: JudgedClaim) -> str:
    """Return what was published and what was found, with the evidence."""
    claim, compared, sentences = judged.claim, judged.comparison, []
    if compared is not None:
        size = claim.published_change(compared.scale)
        if claim.published is not None and size is not None:
            numbers = " against ".join(map(words.printed, claim.published))
            unit = words.symbol(compared.metric)
            change = words.signed(size, compared.metric)
            sentences.append(f"Published: {f'{numbers} {unit}'.rstrip()} ({change}).")
        found = words.headline(evidence, compared)
        basis = f"; {words.basis(evidence, compared)}" if compared.usable else "."
        sentences.append(f"Here: {found}{basis}")
    return " ".join([*sentences, *judged.evidence])


def _quoted(text: str) -> str:
    return f"\N{LEFT DOUBLE QUOTATION MARK}{text}\N{RIGHT DOUBLE QUOTATION MARK}"


def numbers(evidence: Evidence) -> Section | None:
    """Show published numbers beside ours."""
    matrix = evidence.run.matrix
    entries = {entry.cell: entry for entry in matrix.published}
    pairs = [(cell, entries[cell.id]) for cell in evidence.cells if cell.id in entries]
    if not pairs:
        return None
    source = f"Published in {matrix.source}. " if matrix.source else ""
    title = "Published numbers beside ours"
    rows = [(cell, row) for cell, entry in pairs for row in _beside_ours(evidence, cell, entry)]
    numbers = ("published", "ours")
    notes = (f"{cell.id}: {entry.note}" for cell, entry in pairs if entry.note and entry.values)
    return Section(
        "published",
        title,
        (f"{source}Our numbers are medians over the trials on this host, with the range.",),
        tables=(words.cell_table(evidence, title, ("metric",), rows, numbers),),
        notes=tuple(notes),
    )


def _beside_ours(evidence: Evidence, cell: Cell, entry: Published) -> list[Row]:
    if not entry.values:
        ending = words.ending(evidence, cell)
        return [Row(("does it run?", entry.note or words.NOTHING, ending))]
    return [
        Row(
            (
                words.heading(metric),
                words.printed(entry.values[metric.name]),
                words.measurement(evidence, cell, metric),
            ),
            metric=metric.name,
        )
        for metric in evidence.run.matrix.metrics
        if metric.name in entry.values
    ]
