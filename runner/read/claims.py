"""Published numbers, claims and the policy: what must hold for them, and their records."""

from runner.read.grid import Grid
from runner.read.problems import Keys, Problem, repeated, unknown
from runner.read.schema import ClaimSection, Document
from runner.records.study import Better, Claim, PolicyLimit, Published
from runner.text import listed


def policy_problems(document: Document) -> list[Problem]:
    """Return the problems of ``policy``."""
    problems = []
    for name, (change, relative) in document.policy.items():
        path = ("policy", name)
        problems += unknown("metric", name, document.metrics, path, at_key=True)
        if name in document.metrics and document.metrics[name].better is Better.NEITHER:
            sentence = "this metric has no better direction, so it cannot get worse"
            problems.append(Problem(path, f"{sentence}; remove the limit"))
        if relative and change <= -1:
            sentence = "nothing falls by 100% or more; write a smaller percentage"
            problems.append(Problem(path, sentence))
    return problems


def policy(document: Document) -> tuple[PolicyLimit, ...]:
    """Return the limits of a document without problems."""
    return tuple(
        PolicyLimit(metric=name, change=change, relative=relative)
        for name, (change, relative) in document.policy.items()
    )


def published_problems(document: Document, grid: Grid) -> list[Problem]:
    """Return the problems of ``published``."""
    cells = document.published.cells if document.published else []
    problems = []
    for index, entry in enumerate(cells):
        path: Keys = ("published", "cells", index)
        problems += grid.cell_problems(entry.cell, (*path, "cell"))
        if entry.values is None and entry.note is None:
            problems.append(Problem(path, "nothing is published here; give `values` or a `note`"))
        for name in entry.values or ():
            here = (*path, "values", name)
            problems += unknown("metric", name, document.metrics, here, at_key=True)
    ids = ((("published", "cells", i, "cell"), grid.id(one.cell)) for i, one in enumerate(cells))
    return problems + repeated(ids)


def published(document: Document, grid: Grid) -> tuple[Published, ...]:
    """Return the published numbers of a document without problems."""
    return tuple(
        Published(cell=grid.id(entry.cell), values=entry.values or {}, note=entry.note)
        for entry in (document.published.cells if document.published else ())
    )


def claim_problems(document: Document, grid: Grid) -> list[Problem]:
    """Return the problems of ``claims``."""
    problems = []
    for index, claim in enumerate(document.claims):
        path: Keys = ("claims", index)
        problems += _form_problems(claim, path)
        problems += grid.cell_problems(claim.of, (*path, "of"))
        if claim.against is not None:
            here = (*path, "against")
            problems += grid.cell_problems(claim.against, here)
            if grid.id(claim.of) == grid.id(claim.against):
                sentence = "a cell cannot be compared with itself; name another one"
                problems.append(Problem(here, sentence))
        if claim.metric is not None:
            problems += unknown("metric", claim.metric, document.metrics, (*path, "metric"))
    return problems + repeated(
        (("claims", index, "id"), claim.id) for index, claim in enumerate(document.claims)
    )


def _form_problems(claim: ClaimSection, path: Keys) -> list[Problem]:
    """Return a problem if a claim is neither a comparison nor a status, or both."""
    keys = {"against": claim.against, "metric": claim.metric, "says": claim.says}
    missing = [f"`{key}`" for key, value in keys.items() if value is None]
    if claim.status is None and missing:
        sentence = f"a comparison also needs {listed(missing)}; add them, or give `status`"
        return [Problem(path, sentence)]
    if claim.status is not None and (len(missing) < len(keys) or claim.published):
        sentence = "a claim has either a comparison or a `status`; remove the other keys"
        return [Problem(path, sentence)]
    return []


def claims(document: Document, grid: Grid) -> tuple[Claim, ...]:
    """Return the claims of a document without problems."""
    return tuple(
        Claim(
            id=claim.id,
            text=claim.text,
            of=grid.id(claim.of),
            against=None if claim.against is None else grid.id(claim.against),
            metric=claim.metric,
            says=claim.says,
            published=(claim.published[0], claim.published[1]) if claim.published else None,
            status=claim.status,
        )
        for claim in document.claims
    )
