"""The study that a line of ``compare`` describes, written as the text of a matrix.yaml."""

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from runner.cli import written
from runner.cli.arguments import Options
from runner.errors import ConfigError
from runner.lock.file import lock_path
from runner.plan import FEWEST_BLOCKS
from runner.records import patterns
from runner.runs.files import disk
from runner.system import atomic, digest, safe
from runner.text import cut, listed, one_line, quoted

FOLDER = "compare"
"""Where studies that nobody saved lie, in the folder of all runs."""
MEASURED = ("wall_time", "cpu_time", "peak_memory")
LIMIT = "3%"
"""The loss that ``--gate`` allows in the first metric."""
USUAL_BLOCKS = 7
LONGEST_NAME, LONGEST_TITLE = 63, 200
SCRIPT_ENDING, TEST_PROGRAM = ".py", "pytest"
FORMS = (
    "a version of a package (numpy==1.26.4) or of Python (python==3.12), a lock file "
    "(uv.lock, git:main:uv.lock), or a revision of a project (.@v1.0)"
)

_PACKAGE = re.compile(r"([A-Za-z0-9._-]+)(\[[^\]]*\])?==(.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """What differs: the name of the axis, its YAML, and its values as people call them."""

    name: str
    yaml: str
    values: tuple[str, ...]


def as_matrix(options: Options) -> Options:
    """Write the study that the line describes, and return the options of its run.

    It lies in the folder of all runs, in a folder of its own, so the same line finds its lock and
    its run again. Its paths begin at the working folder. With ``--save``, it lies there, too.
    """
    axis = _axis(options.values)
    body = _study(axis, options)
    own = f"{axis.name}-{digest.of_content(f'{body}{_blocks(USUAL_BLOCKS)}')[:8]}"
    text = f"{_head(options)}{body}{_blocks(_first_look(options.blocks))}{_policy(options)}"
    path = options.reports / FOLDER / own / "matrix.yaml"
    if options.save is None:
        written.write(path, text)
        return options._replace(verb="run", matrix=path, root=Path())
    _save(options.save, text, known=lock_path(path))
    return options._replace(verb="run", matrix=options.save)


def _head(options: Options) -> str:
    """Return the first lines: how the study came about, and how to go on with it."""
    line = shlex.join((*options.values, "--", *options.command))
    return f"{written.HEAD}# matrix-runner compare {one_line(line)}\n"


def _study(axis: _Axis, options: Options) -> str:
    """Return the part of a study on which measurements depend."""
    if not options.command:
        raise ConfigError(
            "there is nothing to run; end the line with `-- SCRIPT [ARGUMENT ...]`, such as "
            "`-- bench.py --size 1000`, or with a command such as `-- pytest bench`."
        )
    words, script = _command(options)
    title = f"{' '.join(words)} with {axis.name} {listed(axis.values)}"
    lines = [
        "format: 1",
        f"name: {_name(axis.name)}",
        f"title: {written.text(cut(one_line(title), LONGEST_TITLE))}",
        "",
        "# What differs. Every other version is compared with the first one, the baseline.",
        "axes:",
        f"  {axis.yaml}",
        "",
        *_environment(axis, options),
        "# What each trial runs, in a fresh container without a network.",
        f"experiment: {{{', '.join(_experiment(words, script, options.files))}}}",
        "",
        *_metrics(options),
        "",
    ]
    return "\n".join(lines) + "\n"


def _first_look(blocks: int | None) -> int:
    """Return after how many blocks verdicts are read first: at the end of fewer than usual.

    It is in the study before its first trial, and a run that began keeps its looks.
    """
    wanted = blocks or USUAL_BLOCKS
    return wanted if FEWEST_BLOCKS <= wanted < USUAL_BLOCKS else USUAL_BLOCKS


def _blocks(blocks: int) -> str:
    """Return the number of blocks. No measurement depends on it."""
    why = "# How often each version runs, in random order. Add blocks to narrow the intervals."
    return f"{why}\nblocks: {blocks}\n"


# --- what differs ---


def _axis(values: Sequence[str]) -> _Axis:
    """Return the axis that the values are on; ConfigError if they are not on one."""
    if len(set(values)) < len(values):
        raise ConfigError(f"{listed(values)}: each value can be given once; remove the other.")
    if len(values) == 1:
        raise ConfigError(f"{values[0]} alone compares nothing; give two or more values.")
    kinds = {value: _kind(value) for value in values}
    for value, kind in kinds.items():
        if kind is None:
            single = re.fullmatch(r"([A-Za-z0-9._-]+)=([^=]+)", value)
            hint = f"; did you mean {single[1]}=={single[2]}?" if single else ""
            raise ConfigError(f"{quoted(value)} is not {FORMS}{hint or '; check it.'}")
    if len(set(kinds.values())) > 1:
        raise ConfigError(f"{listed(values)} differ in kind; compare values of one kind.")
    match kinds[values[0]]:
        case "python":
            versions = tuple(value.partition("==")[2] for value in values)
            return _Axis(
                name="python",
                yaml=f"python: {{python: {written.texts(versions)}}}",
                values=versions,
            )
        case "package":
            return _of_packages(values)
        case "revision":
            return _of_revisions(values)
        case _:
            named = {_label(value): value for value in values}
            pairs = ", ".join(
                f"{written.text(name)}: {written.text(of)}" for name, of in named.items()
            )
            return _Axis(name="lock", yaml=f"lock: {{lock: {{{pairs}}}}}", values=tuple(named))


def _kind(value: str) -> str | None:
    """Return of which kind a value is; ``None`` if nobody can tell."""
    found = _PACKAGE.fullmatch(value)
    if found and found[1] == "python":
        return "python" if patterns.fits(found[3], patterns.PYTHON_NAME) else None
    if found:
        is_sound = patterns.fits(found[1], patterns.PACKAGE)
        return "package" if is_sound and patterns.fits(found[3], patterns.VERSION) else None
    folder, at, revision = value.partition("@")
    if at and not value.startswith("git:"):
        return "revision" if folder and patterns.fits(revision, patterns.REVISION) else None
    in_git = value.startswith("git:") and value.count(":") > 1
    return "lock" if in_git or Path(value).is_file() else None


def _of_packages(values: Sequence[str]) -> _Axis:
    parts = [value.replace("[", "==[").split("==") for value in values]
    names, versions = {part[0] for part in parts}, tuple(part[-1] for part in parts)
    if len(names) == 1 and not any("[" in value for value in values):
        name = written.key(names.pop())
        yaml = f"{name}: {{package: {name}, versions: {written.texts(versions)}}}"
        return _Axis(name=parts[0][0], yaml=yaml, values=versions)
    yaml = f"package: {{packages: {written.texts(values)}}}"
    return _Axis(name="package", yaml=yaml, values=tuple(values))


def _of_revisions(values: Sequence[str]) -> _Axis:
    """Return the axis of a project; ConfigError if there are several projects."""
    folders = sorted({value.partition("@")[0] for value in values})
    if len(folders) > 1:
        raise ConfigError(f"{listed(folders)}: revisions of one project can be compared; name one.")
    revisions = [value.partition("@")[2] for value in values]
    named = {_label(one): one for one in revisions}
    at = ", ".join(f"{written.text(name)}: {written.text(one)}" for name, one in named.items())
    yaml = f"project: {{project: {written.text(folders.pop())}, at: {{{at}}}}}"
    return _Axis(name="project", yaml=yaml, values=tuple(named))


def _label(value: str) -> str:
    """Return a value as ids can have it: ``git main uv.lock``."""
    return re.sub("[,=@/:]+", " ", value.removeprefix("git:")).strip()


# --- the rest of the study ---


def _environment(axis: _Axis, options: Options) -> Iterator[str]:
    if not options.packages and not options.requirements:
        return
    if axis.name == "lock":
        raise ConfigError("all packages come from the lock files; remove --with.")
    if len(options.requirements) > 1:
        raise ConfigError("one file of requirements can be given; write them into one file.")
    yield "# Other packages, as they were when each version was released."
    yield "environment:"
    if options.packages:
        yield f"  packages: {written.texts(options.packages)}"
    for name in options.requirements:
        yield f"  requirements: {written.text(name)}"
    yield ""


def _command(options: Options) -> tuple[tuple[str, ...], str | None]:
    """Return the command, and its script if it is one.

    An environment has no programs, but ``python -m`` starts those of its packages.
    """
    words = options.command
    if words[0] in {TEST_PROGRAM, *map(_distribution, options.packages)}:
        return ("python", "-m", *words), None
    has_script = len(words) > 1 and words[1].endswith(SCRIPT_ENDING)
    if words[0] in {"python", "python3"} and has_script:
        words = words[1:]
    if not words[0].endswith(SCRIPT_ENDING):
        return tuple(words), None
    if not Path(words[0]).is_file():
        raise ConfigError(f"there is no script {quoted(words[0])} here; check the path.")
    if not Path(words[0]).resolve().is_relative_to(Path.cwd()):
        raise ConfigError(f"{words[0]} is outside of this folder; go to its folder, or copy it.")
    script = Path(words[0]).resolve().relative_to(Path.cwd()).as_posix()
    return tuple(words), script


def _distribution(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]


def _experiment(words: Sequence[str], script: str | None, files: Sequence[str]) -> Iterator[str]:
    """Yield the keys of the experiment. What the words name goes along."""
    arguments = words if script is None else words[1:]
    literal = [patterns.literal(word) for word in arguments]
    if script is None:
        yield f"command: {written.texts(literal)}"
    else:
        yield f"script: {written.text(script)}"
        if literal:
            yield f"args: {written.texts(literal)}"
    found = dict.fromkeys((*_named(arguments), *files))
    if found:
        yield f"files: {written.texts(found)}"


def _named(words: Iterable[str]) -> Iterator[str]:
    """Yield patterns for the files and folders here that words name: ``bench``, ``--to=a.csv``."""
    for word in words:
        name = word.partition("::")[0]
        name = name.partition("=")[2] if name.startswith("--") else name
        path = PurePosixPath(name)
        if not name or path.is_absolute() or ".." in path.parts:
            continue
        try:
            is_folder, exists = Path(path).is_dir(), Path(path).exists()
        except (OSError, ValueError):  # far too long for a name
            continue
        if exists:
            yield str(path / "**") if is_folder else str(path)


def _metrics(options: Options) -> Iterator[str]:
    if not options.metrics:
        yield "# Without `metrics`, the wall time is compared, and CPU time and peak memory, too."
        return
    yield "# The numbers to compare. The first one counts most."
    yield "metrics:"
    for metric in options.metrics:
        name, _, regex = metric.partition("=")
        source = f"from: {{stdout: {written.text(regex)}}}, " if regex else ""
        if not regex and name in MEASURED:
            source = f"from: {name}, "
        yield f"  {written.key(name)}: {{{source}better: {options.better}}}"


def _policy(options: Options) -> str:
    """Return the limit that ``--gate`` asks for. No measurement depends on it."""
    if not options.gate:
        return ""
    metric = options.metrics[0].partition("=")[0] if options.metrics else MEASURED[0]
    sign = "-" if options.metrics and options.better == "higher" else "+"
    return (
        "\n# The loss that you would accept. `--gate` stops beyond it, with exit code 4.\n"
        f'policy: {{{written.key(metric)}: "{sign}{LIMIT}"}}\n'
    )


def _name(axis: str) -> str:
    return re.sub("[^A-Za-z0-9._-]", "-", f"{FOLDER}-{axis}")[:LONGEST_NAME]


def _save(path: Path, text: str, known: Path) -> None:
    """Save a study in the working folder, with its lock if that is known; replace nothing."""
    if path.parent != Path():
        raise ConfigError(f"{path} is not in this folder, where its paths begin; save it here.")
    with disk(path):
        if path.exists() or path.is_symlink():
            if safe.read(path) != written.content(text):
                raise ConfigError(f"{path} exists and is another study; save under another name.")
            return
        written.write(path, text)
    with disk(known):
        if known.is_file() and not lock_path(path).exists():
            atomic.write(lock_path(path), safe.read(known))
