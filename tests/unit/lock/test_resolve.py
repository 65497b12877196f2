"""How requests are resolved on one interpreter, with substitute answers of uv."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from runner.lock.resolve import resolve
from runner.python.interpreters import Interpreter
from runner.python.uv import Answer, Build
from runner.records.environment import Environment, EnvironmentRequest, IndexSettings, Requirement

DAY = datetime(2019, 10, 17, tzinfo=timezone.utc)
PYTHON = Interpreter(path=Path("python3.7"), version="3.7.1")
LOCKED = f"""[[packages]]
name = "six"
version = "1.12.0"
wheels = [{{ url = "y", upload-time = 2018-12-10T00:00:00Z, hashes = {{ sha256 = "{"a" * 64}" }} }}]
"""
UNBUILDABLE = Answer(
    found=False, text="Failed to download and build `old==1`\n  cause: Call to `setup.py` failed"
)
UNSOLVABLE = Answer(
    found=False,
    text="No solution found when resolving dependencies\n  cause: Because a needs b\n"
    "         and b is gone.\n\nhint: look elsewhere",
)
TOOLS = {"setuptools": ("41.4.0", "59.6.0"), "wheel": ("0.33.6", "0.46.0"), "packaging": ("", "26")}
"""The version of the day and the newest one, by build tool; packaging did not exist then."""


@dataclass
class Uv:
    """Answers like uv, which cannot resolve ``refuses``' requests without newer build tools."""

    refuses: Answer | None = None
    forever: bool = False
    wheels_suffice: bool = False
    asked: list[tuple[str, list[str], Mapping[str, str]]] = field(default_factory=list)

    def __call__(
        self,
        arguments: Sequence[str],
        *,
        purpose: str,
        timeout_s: float,
        files: Mapping[str, str],
        build: Build | None,
        index: IndexSettings | None,
    ) -> Answer:
        """Answer one question."""
        assert index is None
        options, wanted = list(arguments), files["wanted.txt"]
        self.asked.append((wanted, options, files))
        if wanted == "setuptools\nwheel\n":
            return Answer(found=True, text="".join(f"{one}=={TOOLS[one][1]}\n" for one in TOOLS))
        if wanted in TOOLS:
            old = TOOLS[wanted][0]
            return Answer(found=True, text=f"{wanted}=={old}\n") if old else UNSOLVABLE
        if "--no-build" in options and self.wheels_suffice:
            return Answer(found=True, text=LOCKED)
        if self.refuses is None or (files["tools.txt"] and not self.forever):
            return Answer(found=True, text=LOCKED)
        return self.refuses


def request(**settings: object) -> EnvironmentRequest:
    """Return the request of TensorFlow 1.15.0."""
    need = Requirement(axis="tensorflow", distributions=("tensorflow",), version="1.15.0")
    return replace(EnvironmentRequest(requirements=(need,)), **settings)  # type: ignore[arg-type]


def resolved(uv: Uv, *, newest_tools: bool = False, **settings: object) -> Environment:
    """Resolve a request that has a solution."""
    lines = ["tensorflow==1.15.0"]
    entry = resolve(request(**settings), lines, PYTHON, DAY, uv, newest_tools=newest_tools)
    assert isinstance(entry, Environment), entry
    return entry


def reason(uv: Uv, **settings: object) -> str:
    """Return why a request has no solution."""
    entry = resolve(request(**settings), ["tensorflow==1.15.0"], PYTHON, DAY, uv)
    assert isinstance(entry, str)
    return entry


def test_requirements_are_resolved_as_of_the_day() -> None:
    """The lines of the request come after those of its axes."""
    uv = Uv()
    entry = resolved(uv, packages=("numpy<2",))
    assert [(one.name, one.version) for one in entry.packages] == [("six", "1.12.0")]
    assert (entry.python, entry.as_of, entry.build_tools) == ("3.7", DAY, ())
    (wanted, options, _), *more = uv.asked
    assert (wanted, more) == ("tensorflow==1.15.0\nnumpy<2", [])
    assert {"--python=python3.7", "--exclude-newer=2019-10-17T00:00:00Z"} <= set(options)


def test_today_needs_no_upload_times() -> None:
    """An index that publishes none can be used."""
    uv = Uv()
    resolved(uv, as_of="today")
    assert not [one for one in uv.asked[0][1] if one.startswith("--exclude-newer")]


def test_today_s_build_tools_are_exempt_with_all_that_they_need() -> None:
    """They are recorded; those of the day are installed."""
    uv = Uv(refuses=UNBUILDABLE)
    entry = resolved(uv, newest_tools=True)
    assert entry.build_tools == ("setuptools==59.6.0", "wheel==0.46.0", "packaging==26")
    _, options, files = uv.asked[-1]
    exempt = [one for one in options if one.startswith("--exclude-newer-package=")]
    assert exempt == [f"--exclude-newer-package={one}=2200-01-01T00:00:00Z" for one in TOOLS]
    assert files["installed.txt"] == "setuptools==41.4.0\nwheel==0.33.6\n"


def test_only_a_final_resolution_may_build() -> None:
    """Questions about build tools never build; the final one does, unless the matrix refuses."""
    for policy, may_build in (("build", True), ("refuse", False)):
        uv = Uv()
        resolved(uv, source_packages=policy)
        assert ["--no-build" not in options for _, options, _ in uv.asked] == [may_build]


@pytest.mark.parametrize(
    ("uv", "settings", "advice"),
    [
        (Uv(UNSOLVABLE, forever=True), {}, "; `compile: true` allows a compiler"),
        (Uv(UNSOLVABLE, forever=True), {"compile": True}, ""),
        (
            Uv(UNSOLVABLE, forever=True, wheels_suffice=True),
            {},
            "; `source_packages: refuse` takes older packages that have wheels",
        ),
        (
            Uv(UNSOLVABLE, forever=True),
            {"source_packages": "refuse"},
            "; set `source_packages: build` to allow source packages",
        ),
    ],
)
def test_dependencies_without_a_solution_have_a_reason(
    uv: Uv, settings: Mapping[str, object], advice: str
) -> None:
    """It is uv's conclusion in one line, with the day, the Python and advice."""
    assert reason(uv, **settings) == (
        "tensorflow=1.15.0 cannot be resolved as of 2019-10-17 for Python 3.7: Because a needs b "
        f"and b is gone{advice}"
    )
