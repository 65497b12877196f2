"""Which interpreter a study gets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import pytest

from runner.lock.choose import choose
from runner.lock.releases import Options
from runner.python.index import File
from runner.python.interpreters import Interpreter
from runner.records.environment import Environment, EnvironmentRequest, Package, Requirement
from tests.support.index_files import compiled, source, wheel

DAY = datetime(2024, 1, 1, tzinfo=timezone.utc)
HASH = "sha256:" + "0" * 64
PYTHONS = {
    minor: Interpreter(path=Path(f"python{minor}"), version=f"{minor}.1")
    for minor in ("3.12", "3.11", "3.10", "3.9")
}


def request(version: str) -> EnvironmentRequest:
    """Return the request of a version."""
    return EnvironmentRequest(
        requirements=(Requirement(axis="lib", distributions=("lib",), version=version),)
    )


def options(*minors: str, younger: tuple[str, ...] = ()) -> Options:
    """Return options with interpreters, of which some had not been released by then."""
    return Options(
        lines=(),
        days={PYTHONS[minor]: DAY for minor in minors},
        younger=frozenset(PYTHONS[minor] for minor in younger),
    )


@dataclass
class Study:
    """Versions of a package, with what is resolved for each."""

    where: Mapping[str, Options]
    fails: set[tuple[str, str]] = field(default_factory=set)
    """Versions and interpreters without a solution."""
    depends_on: str = "dependency"
    asked: list[tuple[str, str]] = field(default_factory=list)
    pages: Mapping[str, tuple[File, ...]] = field(default_factory=dict)

    def solve(
        self, asked: EnvironmentRequest, _: Options, interpreter: Interpreter
    ) -> Environment | str:
        """Return an environment with one dependency."""
        version = asked.requirements[0].version
        self.asked.append((version, interpreter.minor))
        if (version, interpreter.minor) in self.fails:
            return f"no solution for {version} on {interpreter.minor}"
        package = Package(name=self.depends_on, version="1.0", hashes=(HASH,))
        return Environment(
            request=asked,
            python=interpreter.minor,
            platform="linux-x86_64",
            as_of=DAY,
            packages=(package,),
        )

    def chosen(self, *preferred: str) -> dict[str, str]:
        """Return the Python of each version, or why it has none."""
        asked = {request(version): one for version, one in self.where.items()}
        found = choose(asked, preferred, self.solve, lambda name: self.pages.get(name, ()))
        return {
            one.requirements[0].version: entry if isinstance(entry, str) else entry.python
            for one, entry in found.items()
        }


def test_all_versions_get_the_newest_common_interpreter() -> None:
    """No other interpreter is even tried."""
    study = Study({"1.0": options("3.11", "3.10"), "2.0": options("3.12", "3.11", "3.10")})
    assert study.chosen() == {"1.0": "3.11", "2.0": "3.11"}
    assert sorted(study.asked) == [("1.0", "3.11"), ("2.0", "3.11")]


def test_without_a_common_interpreter_each_version_gets_its_newest() -> None:
    """The verdicts say that the Python changes, too."""
    study = Study({"1.0": options("3.10", "3.9"), "2.0": options("3.12", "3.11")})
    assert study.chosen() == {"1.0": "3.10", "2.0": "3.12"}


def test_an_interpreter_without_a_solution_serves_nobody() -> None:
    """The next one is tried for all of them."""
    where = {"1.0": options("3.11", "3.10"), "2.0": options("3.11", "3.10")}
    study = Study(where, fails={("1.0", "3.11")})
    assert study.chosen() == {"1.0": "3.10", "2.0": "3.10"}


def test_a_version_without_any_solution_has_a_reason() -> None:
    """It does not keep the others from a common interpreter."""
    where = {"1.0": options("3.11", "3.10"), "2.0": options("3.11", "3.10")}
    study = Study(where, fails={("1.0", "3.11"), ("1.0", "3.10")})
    assert study.chosen() == {"1.0": "no solution for 1.0 on 3.11", "2.0": "3.11"}


@pytest.mark.parametrize(
    "files",
    [
        (*compiled("1.0", "3.10", "3.9"), wheel("1.0", "py3-none-any")),
        (*compiled("1.0", "3.10", "3.9"), source("1.0")),
        (wheel("1.0", "cp310-none-any"), source("1.0")),
    ],
)
def test_wheels_made_for_an_interpreter_are_preferred(files: tuple[File, ...]) -> None:
    """No package of the resolution may be poorer than on another interpreter."""
    study = Study({"1.0": options("3.11", "3.10")}, pages={"dependency": files})
    assert study.chosen() == {"1.0": "3.10"}


@pytest.mark.parametrize("files", [(source("1.0"),), (wheel("1.0", "py3-none-any"),)])
def test_what_is_the_same_everywhere_decides_nothing(files: tuple[File, ...]) -> None:
    """A package without compiled wheels for anybody is no reason for an older Python."""
    study = Study({"1.0": options("3.11", "3.10")}, pages={"dependency": files})
    assert study.chosen() == {"1.0": "3.11"}


def test_wheels_of_other_versions_do_not_count() -> None:
    """Only files of the very version that was resolved are compared."""
    files = (*compiled("0.9", "3.10"), wheel("1.0", "py3-none-any"))
    study = Study({"1.0": options("3.11", "3.10")}, pages={"dependency": files})
    assert study.chosen() == {"1.0": "3.11"}


def test_a_younger_interpreter_is_the_last_resort() -> None:
    """It is neither common nor chosen while an older one has a solution."""
    where = {"1.0": options("3.10", "3.11", younger=("3.11",)), "2.0": options("3.11")}
    assert Study(where).chosen() == {"1.0": "3.10", "2.0": "3.11"}
    only = Study(where, fails={("1.0", "3.10")})
    assert only.chosen() == {"1.0": "3.11", "2.0": "3.11"}


def test_earlier_choices_are_kept() -> None:
    """A version that is added to a study gets the Python that the others have."""
    study = Study({"2.0": options("3.12", "3.11", "3.10")})
    assert study.chosen("3.10") == {"2.0": "3.10"}
