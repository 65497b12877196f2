"""Workflows of GitHub Actions for studies: what ``ci github`` writes into a repository.

They use the actions in ``action.yml`` and ``comment/action.yml`` at the top of this project.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from runner import __version__
from runner.errors import ConfigError
from runner.lock.file import lock_path, read_lock
from runner.read import Locked, read
from runner.records import shown
from runner.records.environment import SourceKind
from runner.records.study import Axis, AxisKind
from runner.text import quoted

WORKFLOWS = Path(".github/workflows")
DEPENDABOT = Path(".github/dependabot.yml")
OWN = "./"
"""How the workflows of this project name its action."""
OWN_DIRECTORIES = ("/", "/comment", "/runner/ci/github/templates")
"""Where this project names actions: in its workflows, its actions and these templates."""
MARK = "# Written by `matrix-runner ci github`"
BASE = "HEAD^1"
"""The base branch, in the merge commit that is checked out for a pull request."""

_ACTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+@[0-9a-f]{40}")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]*")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the workflows are for.

    ``matrix`` is the study of the weekly run and of the shards. ``pull_request`` has an axis of
    lock files, which are compared on pull requests. ``action`` is OWNER/NAME@SHA, or ``./``.
    """

    matrix: Path
    pull_request: Path | None
    action: str
    shards: int

    @property
    def command(self) -> str:
        """The command that writes them again."""
        words = ["matrix-runner", "ci", "github", "--matrix", str(self.matrix)]
        if self.pull_request is not None:
            words += ["--pull-request", str(self.pull_request)]
        if self.action != OWN:
            words += ["--action", self.action]
        return shlex.join([*words, "--shards", str(self.shards)])


def files(wanted: Wanted) -> dict[Path, str]:
    """Return the workflows and the file for Dependabot, by path in the repository.

    ConfigError if a matrix is wrong, or if nothing can be compared on pull requests.
    """
    if wanted.action != OWN and not _ACTION.fullmatch(wanted.action):
        raise ConfigError(
            f"--action: {quoted(wanted.action)} is not a pinned action; write OWNER/NAME@SHA, with "
            "the whole hash of a commit of matrix-runner."
        )
    weekly: Path | None = wanted.matrix
    compared, axis = wanted.pull_request, _axis(wanted.matrix)
    if compared is not None:
        axis = _axis(compared)
        if axis is None:
            raise ConfigError(
                f"{compared} has no axis of lock files whose first one is in git; add one such as "
                "`packages: {lock: {before: git:main:uv.lock, after: uv.lock}}`."
            )
    elif axis is not None:
        weekly, compared = None, wanted.matrix  # on a branch, before and after are the same
    names = ["matrix", "matrix-sharded"] if weekly else []
    names += ["matrix-pull-request", "matrix-comment"] if compared else []
    known = _values(wanted, weekly, compared, axis)
    render = partial(_rendered, command=wanted.command, values=known)
    return {
        **{WORKFLOWS / f"{name}.yml": render(f"{name}.yml.j2") for name in names},
        DEPENDABOT: render("dependabot.yml.j2"),
    }


def is_ours(text: str) -> bool:
    """Whether a file was written by ``ci github``."""
    return text.startswith(MARK)


def _axis(matrix: Path) -> Axis | None:
    """Return the axis of lock files of which the baseline is in git, if there is one."""
    study = read(matrix, _Unread(read_lock(lock_path(matrix))))
    of_locks = (axis for axis in study.axes if axis.kind is AxisKind.LOCK)
    return next((axis for axis in of_locks if _in_git(_meanings(axis)[0][1])), None)


@dataclass(frozen=True, slots=True)
class _Unread(Locked):
    """Other files and revisions that a matrix mentions: they need not be there now."""

    def digest(self, kind: SourceKind, written: str) -> str:  # noqa: ARG002
        return f"sha256:{0:064}"


def _meanings(axis: Axis) -> list[tuple[str, str]]:
    """Return the names of the values of an axis, and what they stand for, the baseline first."""
    return [(shown(value), axis.meaning(value)) for value in axis.values]


def _in_git(meaning: str) -> bool:
    return meaning.startswith("git:")


def _values(
    wanted: Wanted, weekly: Path | None, compared: Path | None, axis: Axis | None
) -> Mapping[str, object]:
    """Return the values that the templates need."""
    is_own = wanted.action == OWN
    version = "" if is_own else f" # v{__version__}"
    name, at, commit = wanted.action.partition("@")
    found: dict[str, object] = {
        "is_own": is_own,
        "action": f"{wanted.action}{version}",
        "comment": "./comment" if is_own else f"{name}/comment{at}{commit}{version}",
        "directories": json.dumps(OWN_DIRECTORIES if is_own else ["/"]),
        "shards": json.dumps(list(range(1, wanted.shards + 1))),
        "matrix": "",
    }
    if weekly is not None:
        found["matrix"] = _path(weekly)
        found["locked"] = "--locked " if lock_path(weekly).is_file() else ""
    if compared is not None and axis is not None:
        found["pull_request"] = _path(compared)
        found["before"] = _before(axis)
        found["paths"] = json.dumps([*_paths(axis, compared.parent), compared.as_posix()])
    return found


def _before(axis: Axis) -> str:
    """Return the argument that makes the baseline that of the base branch."""
    (label, meaning), *_ = _meanings(axis)
    if not (_PLAIN_KEY.fullmatch(axis.name) and _PLAIN_KEY.fullmatch(label)):
        raise ConfigError(
            f"the axis {quoted(axis.name)} and its first value {quoted(label)} may have only "
            "letters, digits, - and _ in their names, because the workflow sets this value; rename "
            "them."
        )
    return f"--set axes.{axis.name}.lock.{label}=git:{BASE}:{_checked(_file(meaning))}"


def _paths(axis: Axis, folder: Path) -> Iterator[str]:
    """Yield the files that are compared; a pull request that changes one of them is measured."""
    seen = dict.fromkeys(_file(meaning) for _, meaning in _meanings(axis))
    yield from ((folder / _checked(one)).as_posix() for one in seen)


def _file(meaning: str) -> str:
    return meaning.rpartition(":")[2] if _in_git(meaning) else meaning


def _path(path: Path) -> str:
    return json.dumps(_checked(path.as_posix()))


def _checked(path: str) -> str:
    """Return a path in the repository that a workflow can contain; ConfigError for others."""
    if not _PLAIN_PATH.fullmatch(path) or ".." in path.split("/"):
        raise ConfigError(
            f"{quoted(path)} cannot be used in a workflow: use a path below the top folder of the "
            "repository, with letters, digits and the characters ._/- only."
        )
    return path


def _rendered(template: str, *, command: str, values: Mapping[str, object]) -> str:
    environment = Environment(
        loader=PackageLoader("runner.ci.github"),
        autoescape=False,  # noqa: S701 (YAML; every value is checked or JSON)
        undefined=StrictUndefined,
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    head = f"{MARK}; the same command writes it again:\n# {command}\n"
    return head + environment.get_template(template).render(values)
