"""What a person should know about a study before it runs: answers that it cannot give."""

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from runner.inside import MODULES
from runner.plan import FEWEST_BLOCKS
from runner.records.run import Plan
from runner.records.study import Better, Experiment, Matrix, PolicyLimit
from runner.system import safe

LARGEST_SCRIPT_BYTES = 1 << 20


def warnings(matrix: Matrix, plan: Plan, cores: int, root: Path) -> Iterator[str]:
    """Yield what a study cannot answer on a machine with so many cores, and how to change that.

    ``root`` is the folder of the matrix.
    """
    yield from _too_few_blocks(matrix, plan)
    for limit in matrix.policy:
        yield from _wrong_sign(matrix, limit)
    yield from _too_many_cores(matrix, cores)
    yield from _left_out_modules(matrix.experiment, root)


def _too_few_blocks(matrix: Matrix, plan: Plan) -> Iterator[str]:
    asked = matrix.compare or matrix.policy or any(one.metric for one in matrix.claims)
    verdicts = [blocks for blocks in plan.looks if FEWEST_BLOCKS <= blocks <= plan.blocks]
    if verdicts or not asked:
        return
    gives = "1 block gives" if plan.blocks == 1 else f"{plan.blocks} give"
    problem = f"a comparison needs {FEWEST_BLOCKS} blocks, so {gives} no verdict"
    if plan.blocks >= FEWEST_BLOCKS:
        problem = f"verdicts are first read after {plan.looks[0]} blocks, so {gives} none"
    if matrix.is_quick:
        yield f"{problem}; run without --quick for verdicts"
        return
    later = [blocks for blocks in plan.looks if blocks >= FEWEST_BLOCKS]
    more = f", or give --blocks {later[0]}" if later else ""
    yield f"{problem}; write `blocks: {FEWEST_BLOCKS}` or more{more}"


def _wrong_sign(matrix: Matrix, limit: PolicyLimit) -> Iterator[str]:
    """Warn of a limit on the side of improvements: most people mean the largest loss."""
    better = matrix.metric(limit.metric).better
    if limit.change * (1 if better is Better.HIGHER else -1) <= 0:
        return
    size = f"{abs(limit.change) * 100:g}%" if limit.relative else f"{abs(limit.change):g}"
    sign = "-" if better is Better.HIGHER else "+"
    yield (
        f"policy.{limit.metric}: {better.value} is better, so this limit asks every candidate to "
        f"improve by {size}; to allow a loss of {size}, write `{limit.metric}: {sign}{size}`"
    )


def _too_many_cores(matrix: Matrix, cores: int) -> Iterator[str]:
    wanted, at_once = matrix.cpus, matrix.trials_at_once or 1
    if matrix.is_timed and at_once > 1 and wanted * at_once >= cores:
        yield (
            f"{at_once} trials side by side take all {cores} cores of this machine, so the runner "
            "itself disturbs them; lower `parallel` if times matter"
        )
    elif wanted > cores:
        yield f"limits.cpus is {wanted}, but this machine has only {cores}; lower it"
    elif wanted == cores:
        yield (
            f"a trial takes all {cores} cores of this machine, so the runner itself disturbs it; "
            "lower `limits: {cpus: ...}` if times matter"
        )


def _left_out_modules(experiment: Experiment, root: Path) -> Iterator[str]:
    """Warn of modules that the script imports and that are beside it, but not in a trial."""
    if experiment.script is None:
        return
    folder, inputs = PurePosixPath(experiment.script).parent, set(experiment.inputs)
    for name in sorted(_imported(root, experiment.script) - {one.stem for one in MODULES}):
        for path, pattern in ((f"{name}.py", f"{name}.py"), (f"{name}/__init__.py", f"{name}/**")):
            module = str(folder / path)
            if module not in inputs and (root / module).is_file():
                yield (
                    f"{experiment.script} imports {name}, which a trial does not get; write "
                    f"`files: [{folder / pattern}]` under `experiment`"
                )


def _imported(root: Path, script: str) -> set[str]:
    """Return the modules that a script names in its imports; none if it is not valid Python."""
    try:
        tree = ast.parse(safe.read(safe.inside(root, script), limit=LARGEST_SCRIPT_BYTES))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}
