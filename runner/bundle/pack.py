"""Packing: a run, or a study that has no run yet, becomes a bundle."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from runner import __version__
from runner.bundle import file, wheels
from runner.bundle.file import BundledEnvironment, Manifest, Writer
from runner.engines.protocol import Engine
from runner.errors import BundleError, ConfigError, RunFolderError
from runner.lock.file import lock_path, read_lock
from runner.plan import quick
from runner.prepare.context import write_context
from runner.prepare.recipe import distinct, image_key, ready
from runner.python import interpreters
from runner.records.environment import Base, BaseKind, Lock
from runner.records.run import Run, Start
from runner.records.study import Matrix
from runner.runs.enter import describe
from runner.runs.folder import RunFolder, find_run, newest_run
from runner.runs.identity import differences
from runner.system import safe, tempdir
from runner.system.retry import Note
from runner.text import listed

REPLAY = """\
#!/bin/sh
# Runs the study in this bundle again and compares the results. Needs no network.
# Needs Linux on x86-64 and Python {either}. Uses Docker or podman if there is one.
# Takes the options of `python -m runner replay`.
set -eu
bundle=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
ask='import sys; print("%d.%d" % sys.version_info[:2])'
for python in "${{PYTHON:-python3}}" {programs} none; do
    version=$("$python" -I -c "$ask" 2>/dev/null) || continue
    case " {pythons} " in *" $version "*) break ;; esac  # wheels/ supports it
done
if [ "$python" = none ]; then
    echo "this bundle needs Python {either}: install it, or set PYTHON to its path" >&2
    exit 2
fi
if [ ! -e "$bundle/.venv/ready" ]; then
    pip=$(echo "$bundle"/wheels/pip-*.whl)
    "$python" -I -m venv --clear --without-pip "$bundle/.venv" &&
        "$python" -I "$pip/pip" --isolated --python "$bundle/.venv/bin/python" \\
            install --quiet --no-index --find-links "$bundle/wheels" {name} &&
        touch "$bundle/.venv/ready" || {{
        echo "the runner could not be set up in $bundle/.venv (see above)" >&2
        exit 5
    }}
fi
# -I: ignore other runners in the working folder or on PYTHONPATH.
exec "$bundle/.venv/bin/python" -I -m runner replay "$bundle" "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleContents:
    """What goes into a bundle: a study, and its run if there is one."""

    matrix: Matrix
    lock: Lock
    path: Path
    """The path of matrix.yaml."""
    run: RunFolder | None


def run_to_pack(
    matrix: Matrix, path: Path, reports: Path, named: str | None, note: Note
) -> BundleContents | None:
    """Return the named run, or the newest run of the matrix; ``None`` if there is no run.

    ConfigError if the study has changed since the run.
    """
    if named is None:
        found = newest_run(matrix, reports)
        folder = None if found is None else found[0]
    else:
        folder = find_run(reports, named)
    if folder is None:
        note(f"no run of {matrix.name} in {reports}: the bundle will contain no results")
        return None
    if folder.is_occupied():
        raise RunFolderError(
            f"another process is executing {folder.path}; wait for it, or name another run."
        )
    run = folder.run()
    if len(run.machines) > 1:
        raise BundleError(
            f"{folder.path} was merged from {len(run.machines)} machines, and a bundle contains "
            "the run of one machine; name one of the merged runs."
        )
    start = Start(root=path.parent, reports=reports, matrix=path)
    if changed := _changes(run, matrix, start, path):
        fields = ", ".join(sorted({" ".join(field[:2]) for field in changed}))
        raise ConfigError(
            f"the study has changed since {folder.path} was measured ({fields}); undo the changes, "
            "or run the matrix again."
        )
    note(f"packing {folder.path}")
    return BundleContents(matrix=run.matrix, lock=run.lock, path=path, run=folder)


def _changes(run: Run, matrix: Matrix, start: Start, path: Path) -> Iterable[tuple[str, ...]]:
    """Return the fields that have changed since the run, which may be quick or of some cells."""
    lock, kept = read_lock(lock_path(path)), {cell.id for cell in run.matrix.cells}
    candidates = []
    for one in (matrix, quick(matrix)):
        same = replace(one, cells=tuple(cell for cell in one.cells if cell.id in kept))
        now = describe(
            same,
            lock,
            start,
            run.host,
            run.engine,
            bases=run.bases,
            parallel=run.parallel,
            bundle=run.bundle,
        )
        candidates.append(differences(run, now))
    return min(candidates, key=len)


def pack(
    contents: BundleContents, engine: Engine, pythons: Sequence[str], target: Path, note: Note
) -> None:
    """Write a bundle that includes the runner's wheels for these minor versions of Python.

    BundleError if it cannot be written, PackagesError if a package is not available.
    """
    if images := ready(contents.matrix, contents.lock):
        labels = listed([one.request.label for one in images])
        raise BundleError(
            f"a bundle cannot contain container images that were not built by matrix-runner "
            f"({labels}); pack a study without them."
        )
    with file.writing(target) as writer:
        _add_study(contents, writer)
        if contents.run is not None:
            writer.add_folder(contents.run.path, file.RESULTS)
        environments = tuple(_add_environments(contents, engine, writer, note))
        note(f"packing the runner's wheels for Python {listed(pythons)}")
        with tempdir.folder() as folder:
            wheels.collect(folder, pythons)
            writer.add_folder(folder, file.WHEELS)
        writer.add_text(_script(pythons), file.SCRIPT, 0o755)
        manifest = Manifest(
            created_at=datetime.now(timezone.utc),
            runner_version=__version__,
            matrix=f"{file.STUDY}/{contents.path.name}",
            environments=environments,
            files=writer.files,
        )
        writer.finish(manifest)


def _add_study(contents: BundleContents, writer: Writer) -> None:
    """Add the matrix, its lock and the inputs, with their relative paths."""
    experiment, root = contents.matrix.experiment, contents.path.parent
    writer.add(contents.path.resolve(), f"{file.STUDY}/{contents.path.name}")
    lock = lock_path(contents.path).name
    names = (lock, *experiment.inputs, *contents.matrix.files)
    for name in dict.fromkeys(names):
        writer.add(safe.inside(root, name), f"{file.STUDY}/{name}")


def _add_environments(
    contents: BundleContents, engine: Engine, writer: Writer, note: Note
) -> Iterator[BundledEnvironment]:
    """Add every environment, and one base for each interpreter."""
    bases: dict[str, tuple[Base, str]] = {}
    images = () if contents.run is None else contents.run.images()
    measured = {image.environment: image.base for image in images}
    for number, environment in enumerate(distinct(contents.matrix, contents.lock), start=1):
        label, python = environment.request.label, environment.python
        digest, key = image_key(environment)
        note(f"packing {label}")
        with tempdir.folder() as folder:
            context = write_context(environment, contents.matrix.base, engine, folder)
            place = f"{file.ENVIRONMENTS}/{number}"
            writer.add_folder(folder, place)
            if key not in bases:
                name = f"{file.BASES}/{python if key == python else number}.tar"
                bases[key] = _add_base(context.base, python, engine, writer, name), name
        base, base_file = bases[key]
        now = base if base.kind is BaseKind.ASSEMBLED else context.base
        then = measured.get(digest, now)
        if then.kind is now.kind and then.digest != now.digest:
            note(f"{label} was measured on another base than {now.name}, which is packed")
        yield BundledEnvironment(
            label=label,
            digest=digest,
            python=python,
            base_key=None if key == python else key,
            folder=place,
            base=base,
            base_file=base_file,
        )


def _add_base(base: Base, python: str, engine: Engine, writer: Writer, name: str) -> Base:
    """Add a base as a file; return its description in the bundle."""
    with tempdir.folder() as folder:
        saved = engine.save_base(base, interpreters.find(python), folder / "base.tar")
        writer.add(folder / "base.tar", name)
    return saved


def _script(pythons: Sequence[str]) -> str:
    return REPLAY.format(
        pythons=" ".join(pythons),
        either=listed(pythons, "or"),
        programs=" ".join(f"python{one}" for one in pythons),
        name=wheels.NAME,
    )
