"""What a matrix mentions without containing it."""

from pathlib import Path

import pytest

from runner.errors import ConfigError
from runner.lock import Outside
from runner.read import read
from runner.records.environment import Lock, Source, SourceKind
from tests.support.matrices import problems_of
from tests.support.repositories import ask, commit

MATRIX = """\
format: 1
name: pull
axes:
  deps: {lock: {before: "git:base:requirements.txt", after: requirements.txt}}
experiment: {script: run.py}
metrics: {seconds: {unit: s, better: lower}}
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose last change is not committed."""
    ask(tmp_path, "init", "--quiet")
    commit(tmp_path, {"requirements.txt": "six==1.15.0\n", "run.py": "", "matrix.yaml": MATRIX})
    ask(tmp_path, "branch", "base")
    (tmp_path / "requirements.txt").write_text("six==1.16.0\n")
    return tmp_path


def _outside(folder: Path) -> Outside:
    return Outside(folder / "matrix.yaml", Lock(entries=()))


def test_a_lock_file_is_read_from_a_commit_or_from_the_folder(repository: Path) -> None:
    """Its digest is part of the request, so that other content is another environment."""
    outside = _outside(repository)
    matrix = read(repository / "matrix.yaml", outside)
    before, after = (cell.request.sources[0] for cell in matrix.cells)
    assert [one.version for one in outside.pins(before).every] == ["1.15.0"]
    assert [one.version for one in outside.pins(after).every] == ["1.16.0"]
    assert (before.written, after.written) == ("git:base:requirements.txt", "requirements.txt")
    assert before.digest != after.digest
    (repository / "requirements.txt").write_text("six==1.15.0\n")
    again = _outside(repository).digest(SourceKind.LOCK, "requirements.txt")
    assert again == before.digest


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("poetry.lock", r"is no lock file that can be read: name uv\.lock, pylock\.toml or req"),
        ("none.txt", r"there is no file .*none\.txt; check the path"),
        ("git:bas:requirements.txt", r"has no branch, tag or commit \"bas\"; did you mean `base`"),
        ("git:base:none.txt", r"base has no file \"none\.txt\"; check the path"),
        ("git:base:uv.lock", r"base has no file \"uv\.lock\"; check the path"),
        (
            "../x.txt",
            r"leads out of the folder of the matrix; move it, or name a commit: `git:HEAD",
        ),
        ("link.txt", r"leads out of the folder of the matrix"),
        ("-x.txt", r"expected a path without special characters, or `git"),
    ],
)
def test_a_lock_file_that_cannot_be_read_is_a_problem_of_the_matrix(
    repository: Path, written: str, said: str
) -> None:
    """It is reported with its line and column."""
    (repository / "link.txt").symlink_to("/etc/passwd")
    (repository.parent / "x.txt").touch()
    text = MATRIX.replace("after: requirements.txt", f'after: "{written}"')
    (repository / "matrix.yaml").write_text(text)
    with pytest.raises(
        ConfigError, match=rf"matrix\.yaml:4:\d+: axes\.deps\.lock\.after: .*{said}"
    ):
        read(repository / "matrix.yaml", _outside(repository))


def test_packages_beside_lock_files_are_refused(repository: Path) -> None:
    """A lock file already has them all, so two answers could contradict each other."""
    more = "environment: {packages: [six]}\ninclude: [{deps: after, packages: [toml]}]\n"
    (repository / "matrix.yaml").write_text(
        MATRIX.replace("axes:\n", 'axes:\n  six: {package: six, versions: ["1.16.0"]}\n') + more
    )
    with pytest.raises(ConfigError) as refused:
        read(repository / "matrix.yaml", _outside(repository))
    sentence = "all packages come from the lock files of the axis `deps`; remove this"
    assert [line.partition("yaml:")[2] for line in str(refused.value).splitlines()] == [
        f"4:3: axes.six: {sentence}",
        f"8:15: environment.packages: {sentence}",
        f"9:25: include[0].packages: {sentence}",
    ]


def test_without_the_folder_the_lock_knows_the_digests(repository: Path) -> None:
    """A replay has neither the lock files nor git."""
    sentence = "is not locked yet; run `python -m runner lock` first"
    assert problems_of(repository, MATRIX) == [
        f"4:25: axes.deps.lock.before: git:base:requirements.txt {sentence}",
        f"4:61: axes.deps.lock.after: requirements.txt {sentence}",
    ]


def test_a_source_is_written_as_in_a_matrix() -> None:
    """A stored record cannot name anything else."""
    with pytest.raises(ValueError, match="written: expected a path"):
        Source(kind=SourceKind.LOCK, written="--x", digest="sha256:" + "0" * 64)
