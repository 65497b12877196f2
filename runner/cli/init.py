"""A first study of a package: a commented matrix.yaml, and a script if there is none."""

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from runner.cli import written
from runner.cli.arguments import Options
from runner.errors import ConfigError
from runner.records import patterns
from runner.text import quoted

SCRIPT = "bench.py"
LONGEST_NAME = 63
QUESTIONS = {
    "package": "Which package? ",
    "versions": "Which versions, the old one first (such as 1.26.4,2.3.1)? ",
    "script": f"Which script [{SCRIPT}]? ",
}

Ask = Callable[[str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answers:
    """What the study is about. A range of versions has one entry."""

    package: str
    versions: tuple[str, ...]
    script: str


def begin(options: Options, ask: Ask) -> tuple[Path, ...]:
    """Write the files of a first study that do not exist, and return their paths.

    ``ask`` asks a person for what the options do not say. ConfigError if there is a matrix.
    """
    matrix = options.matrix
    if matrix.exists() or matrix.is_symlink():
        raise ConfigError(f"{matrix} exists and is kept; remove it, or give another --matrix.")
    answers = _answers(options, ask)
    script = matrix.parent / answers.script
    is_ours = not (script.exists() or script.is_symlink())
    files = {script: _script(answers)} if is_ours else {}
    files[matrix] = _matrix(answers, is_ours=is_ours)
    for path, text in files.items():
        written.write(path, text)
    return tuple(reversed(files))


def _answers(options: Options, ask: Ask) -> _Answers:
    """Return what was given or answered; ConfigError if something is missing or wrong."""
    given = {"package": options.package, "versions": options.versions, "script": options.script}
    missing = [name for name, value in given.items() if not value]
    if missing and not sys.stdin.isatty():
        options_ = " ".join(f"--{name} {name.upper()}" for name in missing)
        raise ConfigError(f"there is nobody to ask; give {options_}.")
    found = {name: given[name] or ask(QUESTIONS[name]).strip() for name in QUESTIONS}
    return _checked(found)


def _checked(found: Mapping[str, str]) -> _Answers:
    package, script = found["package"], found["script"] or SCRIPT
    if not patterns.fits(package, patterns.PACKAGE):
        raise ConfigError(f"{quoted(package)} is not the name of a package; give only its name.")
    if patterns.fits(found["versions"], patterns.SPECIFIERS):
        versions: tuple[str, ...] = (found["versions"],)
    else:
        versions = tuple(one.strip() for one in found["versions"].split(",") if one.strip())
        if len(versions) < 2 or not all(  # noqa: PLR2004 (two can be compared)
            patterns.fits(one, patterns.VERSION) for one in versions
        ):
            raise ConfigError(
                f"{quoted(found['versions'])} cannot be compared; give two or more versions, such "
                'as 1.26.4,2.3.1, or a range such as ">=1.22,<2.3".'
            )
    path = PurePosixPath(script)
    if path.is_absolute() or ".." in path.parts or path.suffix != ".py":
        raise ConfigError(f"{quoted(script)} is no script in this folder; give a name like a.py.")
    return _Answers(package=package, versions=versions, script=str(path))


def _matrix(answers: _Answers, *, is_ours: bool) -> str:
    package = written.key(answers.package)
    is_range = patterns.fits(answers.versions[0], patterns.SPECIFIERS)
    versions = written.texts(answers.versions)
    if is_range:
        versions = f"{written.text(answers.versions[0])}, take: latest-minor"
    return MATRIX.format(
        head=written.HEAD,
        name=written.key(answers.package[:LONGEST_NAME]),
        axis=f"{package}: {{package: {package}, versions: {versions}}}",
        script=written.text(answers.script),
        metrics=METRICS if is_ours else MEASURED,
        metric="work_seconds" if is_ours else "wall_time",
    )


def _script(answers: _Answers) -> str:
    module = re.sub("[^a-z0-9]", "_", answers.package.lower())
    in_file_names = re.sub("[._-]+", "[._-]", answers.package)
    return (
        TRIAL.replace("PACKAGE", answers.package)
        .replace("PATTERN", in_file_names)
        .replace("MODULE", module)
    )


MATRIX = """\
{head}format: 1
name: {name}

# What differs. Every other version is compared with the first one, the baseline. A range works,
# too: versions: ">=1.22,<2.3", take: latest-minor. Add axes for what else you vary.
axes:
  {axis}

# Environments are resolved as they were when each version was released. Name other packages here.
environment:
  python: auto
  packages: []

# What each trial runs, in a fresh container without a network. It gets no other file than these.
experiment:
  script: {script}
  files: []

{metrics}
# How often each version runs, in random order. Run again with --blocks 14 to narrow the intervals.
blocks: 7

# What an upgrade may cost. Then the report says adopt or hold, and --gate sets the exit code.
# policy: {{{metric}: +3%}}
"""
METRICS = """\
# The numbers to compare, as the script writes them. The first one counts most.
metrics:
  work_seconds: {unit: s, better: lower}
  import_seconds: {unit: s, better: lower}
"""
MEASURED = """\
# Without `metrics`, the wall time is compared, and CPU time and peak memory are shown. Numbers that
# the script prints or writes can be compared, too:
# metrics:
#   accuracy: {from: {stdout: "accuracy: ([0-9.]+)"}, better: higher}
"""
TRIAL = '''\
"""One trial: import PACKAGE and do some work. Put the work that matters to you there."""
import glob, importlib, json, os, re, sys, time

# Its module has the same name, or else it is the first one among the files of the package.
name, pattern = "MODULE", "(?i)/PATTERN-[^/]*/RECORD"
lists = (one for folder in sys.path for one in glob.glob(folder + "/*.dist-info/RECORD"))
files = "".join(open(one).read() for one in lists if re.search(pattern, one))
names = re.findall(r"(?m)^([A-Za-z]\\w*)(?:/__init__)?[.](?:py|\\S*so),", files)
began = time.perf_counter()
package = importlib.import_module(name if name in names else (names + [name])[0])
values, series = {"import_seconds": time.perf_counter() - began}, {"work_seconds": []}
for _ in range(20):
    began = time.perf_counter()
    for _ in range(100):
        sorted(map(str, dir(package)))  # the work
    series["work_seconds"].append(time.perf_counter() - began)
with open(os.environ["RESULT_PATH"], "w") as file:
    json.dump({"format": 1, "values": values, "series": series}, file)
'''
"""Works on every Python. The files of a package say how its module is called."""
