"""Problems of published numbers, claims and the policy."""

from collections.abc import Iterator

from runner.read.grid import Grid
from runner.read.problems import Keys, Problem, repeated, unknown
from runner.read.schema import ClaimSection, Document
from runner.records.study import Better
from runner.text import listed


def policy_problems(document: Document) -> Iterator[Problem]:
    """Yield the problems of ``policy``."""
    for name, (change, relative) in document.policy.items():
        path = ("policy", name)
        yield from unknown("metric", name, document.metrics, path, at_key=True)
        if name in document.metrics and document.metrics[name].better is Better.NEITHER:
            sentence = "this metric has no better direction, so it cannot get worse"
            yield Problem(path, f"{sentence}; remove the limit")
        if relative and change <= -1:
            yield Problem(path, "nothing falls by 100% or more; write a smaller percentage")


def published_problems(document: Document, grid: Grid) -> Iterator[Problem]:
    """Yield the problems of ``published``."""
    cells = document.published.cells if document.published else []
    for index, entry in enumerate(cells):
        path: Keys = ("published", "cells", index)
        yield from grid.cell_problems(entry.cell, (*path, "cell"))
        if entry.values is None and entry.note is None:
            yield Problem(path, "nothing is published here; give `values` or a `note`")
        for name in entry.values or ():
            here = (*path, "values", name)
            yield from unknown("metric", name, document.metrics, here, at_key=True)
    yield from repeated(
        (("published", "cells", index, "cell"), grid.id(entry.cell))
        for index, entry in enumerate(cells)
    )


def claim_problems(document: Document, grid: Grid) -> Iterator[Problem]:
    """Yield the problems of ``claims``."""
    for index, claim in enumerate(document.claims):
        path: Keys = ("claims", index)
        yield from _form_problems(claim, path)
        yield from grid.cell_problems(claim.of, (*path, "of"))
        if claim.against is not None:
            yield from grid.cell_problems(claim.against, (*path, "against"))
            if grid.id(claim.of) == grid.id(claim.against):
                sentence = "a cell cannot be compared with itself; name another one"
                yield Problem((*path, "against"), sentence)
        if claim.metric is not None:
            yield from unknown("metric", claim.metric, document.metrics, (*path, "metric"))
    yield from repeated(
        (("claims", index, "id"), claim.id) for index, claim in enumerate(document.claims)
    )


def _form_problems(claim: ClaimSection, path: Keys) -> Iterator[Problem]:
    """Yield a problem if a claim is neither a comparison nor a status, or both."""
    keys = {"against": claim.against, "metric": claim.metric, "says": claim.says}
    missing = [f"`{key}`" for key, value in keys.items() if value is None]
    if claim.status is None and missing:
        sentence = f"a comparison also needs {listed(missing)}; add them, or give `status`"
        yield Problem(path, sentence)
    if claim.status is not None and (len(missing) < len(keys) or claim.published):
        yield Problem(path, "a claim is either a comparison or a `status`; remove the other keys")
