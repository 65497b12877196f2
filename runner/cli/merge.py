"""The command ``merge``: join runs of the same plan into one. It needs no engine and no matrix."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from runner.cli.arguments import Options
from runner.cli.report import gated
from runner.errors import Exit, RunFolderError
from runner.records.attempts import Attempts
from runner.records.run import Plan, Run, Shard
from runner.report import answer
from runner.report import write as write_report
from runner.runs import identity
from runner.runs.files import disk
from runner.runs.folder import RunFolder, find_run
from runner.runs.merge import MergedRun, Part, begun, continued, found_runs, read_part
from runner.system import program
from runner.text import counted, listed, one_line

MOST_NAMED = 10


def merge(options: Options) -> Exit:
    """Join runs into a new run, or into a merged one, and write its report."""
    into = None if options.into is None else find_run(options.reports, options.into)
    parts = [read_part(one) for one in _folders(options, into)]
    with _target(options, parts, into) as merged:
        taken = merged.take(parts)
        lines = [*_taken(parts, taken), *_left_out(parts), *_missing(merged.part, parts)]
        path = write_report(merged.folder)
        for line in (*lines, *answer(merged.folder), f"report: {path}"):
            print(one_line(line))
        code = _exit_code(merged.part)
        return gated(code, merged.folder) if options.gate else code


def _folders(options: Options, into: RunFolder | None) -> list[RunFolder]:
    """Return the runs that the words name, each once, in their order."""
    found: dict[Path, RunFolder] = {}
    for word in options.runs:
        for folder in _named(options, word):
            with disk(folder.path):
                found.setdefault(folder.path.resolve(), folder)
    if into is not None:
        found.pop(into.path, None)
    return list(found.values())


def _named(options: Options, word: str) -> Sequence[RunFolder]:
    """Return the run that a word names, or the runs below the folder that it names."""
    path = Path(word)
    if not (path / "run.json").is_file() and path.is_dir():
        found = sorted(found_runs(path), key=lambda one: one.path)
        if found:
            return found
        raise RunFolderError(
            f"there is no run in {word}: no folder below it has a run.json; name another folder."
        )
    return [find_run(options.reports, word)]


@contextlib.contextmanager
def _target(options: Options, parts: Sequence[Part], into: RunFolder | None) -> Iterator[MergedRun]:
    if into is not None:
        with continued(into) as merged:
            yield merged
        return
    if not any(one.blocks for one in parts):
        raise RunFolderError(
            f"there is nothing to merge in {listed(options.runs)}: no block is complete yet; run "
            "the study further."
        )
    with begun(parts, options.reports) as merged:
        yield merged


def _taken(parts: Sequence[Part], taken: Mapping[int, Part]) -> Iterator[str]:
    """Yield which blocks come from which run, and which blocks others had, too."""
    for part in parts:
        own = [number for number in part.blocks if taken.get(number) is part]
        others = sorted(part.blocks.keys() - set(own))
        text = f"{part.folder.path}: took {_blocks(own)}" if own else f"{part.folder.path}: nothing"
        if others:
            text += f"; {_blocks(others)} already known"
        yield text


def _left_out(parts: Sequence[Part]) -> Iterator[str]:
    """Yield what is not taken because it is not whole, and why results do not count."""
    for part in parts:
        if part.halves:
            yield f"{part.folder.path}: left out incomplete {_blocks(list(part.halves))}"
        for one in part.refused[:MOST_NAMED]:
            yield f"{part.folder.path}: {one.name} is not counted, because {one.reason}"


def _missing(merged: Part, parts: Sequence[Part]) -> Iterator[str]:
    """Yield which blocks are still missing, and the commands that run them."""
    missing = sorted(merged.plan.own_blocks - merged.blocks.keys())
    if not missing:
        return
    have = f"{len(merged.blocks)} of {counted(merged.plan.blocks, 'block')}"
    yield f"{have} complete; {_blocks(missing)} missing. To complete the run, on any machine and"
    yield "with the matrix and the selection of the other runs:"
    settings = _settings(merged.run, merged.plan)
    of = _shards(parts) or merged.plan.blocks
    numbers = sorted({(number - 1) % of + 1 for number in missing})
    for number in numbers[:MOST_NAMED]:
        yield f"  {program.name()} run --shard {Shard(number, of)}{settings}"
    if len(numbers) > MOST_NAMED:
        yield f"  and {len(numbers) - MOST_NAMED} more shards"
    yield f"  {program.name()} merge RUN --into {merged.folder.path}"


def _shards(parts: Sequence[Part]) -> int | None:
    """Return the number of shards, if all runs are shards of as many."""
    found = {one.plan.shard.of if one.plan.shard else None for one in parts}
    return found.pop() if len(found) == 1 else None


def _settings(run: Run, plan: Plan) -> str:
    """Return the options without which a shard would have another plan."""
    quick = " --quick" if run.matrix.is_quick else ""
    blocks = f" --blocks {plan.blocks}" if plan.blocks != run.matrix.blocks else ""
    seed = f" --seed {plan.seed}" if plan.seed != identity.common_seed(run) else ""
    return quick + blocks + seed


def _blocks(numbers: Sequence[int]) -> str:
    some = [str(one) for one in numbers[:MOST_NAMED]]
    more = len(numbers) - len(some)
    named = listed([*some, *([f"{more} more"] if more else [])])
    return f"block{'' if len(numbers) == 1 else 's'} {named}"


def _exit_code(merged: Part) -> Exit:
    """Return 1 if a cell failed unexpectedly, else 0: as the run would."""
    expected = {cell.id: cell.expect for cell in merged.run.matrix.cells}
    results = (result for block in merged.blocks.values() for result in block)
    failed = any(
        one.failed_unexpectedly(expected[one.trial.cell]) for one in Attempts(results).counting()
    )
    return Exit.CELL_FAILED if failed else Exit.OK
