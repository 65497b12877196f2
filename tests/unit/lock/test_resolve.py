"""How requests are resolved, with a small index in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

import pytest

from runner.errors import ConfigError, PackagesError
from runner.lock.resolve import resolve
from runner.python import interpreters
from runner.python.interpreters import Interpreter
from runner.python.uv import Answer, Build, Verdict
from runner.records.environment import Environment, EnvironmentRequest, Requirement, Unsupported

LOCKED = f"""[[packages]]
name = "six"
version = "1.12.0"
wheels = [{{ url = "y", upload-time = 2018-12-10T00:00:00Z, hashes = {{ sha256 = "{"a" * 64}" }} }}]
"""
UNBUILDABLE = Answer(
    verdict=Verdict.UNBUILDABLE,
    text="Failed to download and build `old==1`\n  cause: Call to `setup.py` failed",
)


@dataclass
class Index:
    """An index in memory that answers like uv: upload times, and wheels by Python."""

    wheels: Mapping[str, Sequence[str]]
    uploaded: str = "2019-10-16T17:33:59"
    refuses: Answer | None = None
    asked: list[tuple[str, list[str]]] = field(default_factory=list)

    def __call__(
        self,
        arguments: Sequence[str],
        *,
        purpose: str,
        timeout_s: float,
        files: Mapping[str, str],
        build: Build | None,
    ) -> Answer:
        """Answer one question."""
        options, wanted = list(arguments), files["wanted.txt"]
        self.asked.append((wanted, options))
        if wanted.startswith("setuptools"):
            old = "2200" not in _option(options, "--exclude-newer")
            tools = "setuptools==41.4.0" if old else "setuptools==59.6.0"
            return Answer(verdict=Verdict.YES, text=f"{tools}\n")
        if "--no-deps" not in options:
            exempt = any("--exclude-newer-package=" in option for option in options)
            locked = Answer(verdict=Verdict.YES, text=LOCKED)
            return locked if exempt or self.refuses is None else self.refuses
        return self._served(wanted, options)

    def _served(self, wanted: str, options: Sequence[str]) -> Answer:
        minors = self.wheels.get(wanted)
        day = _option(options, "--exclude-newer")
        if minors is None or day < self.uploaded:
            hint = (
                f"hint: v was published at {self.uploaded}Z. Consider" if minors is not None else ""
            )
            text = f"Because there is no version of {wanted}.\n{hint}"
            return Answer(verdict=Verdict.UNSOLVABLE, text=text)
        python = _option(options, "--python").removeprefix("python")
        if python in minors and "--format=pylock.toml" in options:
            wheel = f"sdist = {{}}\nwheels = [{{ upload-time = {self.uploaded}.16Z }}]"
            return Answer(verdict=Verdict.YES, text=wheel)
        if python in minors:
            return Answer(verdict=Verdict.YES, text=f"{wanted}==2.21.0\n")
        tags = ", ".join(f"`cp{minor.replace('.', '')}m`" for minor in minors)
        name = wanted.partition("==")[0]
        hint = f"we only found wheels for `{name}` (v1) with the following: {tags}"
        if not minors:
            hint = f"Wheels are required for `{name}` because building from source is disabled"
        return Answer(verdict=Verdict.UNSOLVABLE, text=f"No wheels.\nhint: {hint}")


def _option(options: Sequence[str], name: str) -> str:
    """Return the value of an option."""
    return next(option.partition("=")[2] for option in options if option.startswith(f"{name}="))


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a machine with three interpreters that cannot download others."""
    here = tuple(
        Interpreter(path=Path(f"python{minor}"), version=f"{minor}.1")
        for minor in ("3.13", "3.7", "3.6")
    )
    monkeypatch.setattr(interpreters, "available", lambda: here)
    monkeypatch.setattr("runner.python.uv.call", _offline)


def _offline(arguments: Sequence[str], *, purpose: str, timeout_s: float) -> Answer:
    raise PackagesError(f"no network to {purpose}")


def _request(
    version: str = "1.15.0", python: str = "auto", as_of: str = "release"
) -> EnvironmentRequest:
    need = Requirement(
        axis="tensorflow", distributions=("tensorflow-cpu", "tensorflow"), version=version
    )
    return EnvironmentRequest(requirements=(need,), python=python, as_of=as_of)


def _reason(entry: Environment | Unsupported) -> str:
    assert isinstance(entry, Unsupported)
    return entry.reason


def test_first_distribution_and_newest_python_with_a_wheel() -> None:
    """The first distribution that has the version is used, on the newest Python with a wheel."""
    index = Index({"tensorflow-cpu==1.15.0": ("3.6", "3.7"), "tensorflow==1.15.0": ("3.13",)})
    entry = resolve(_request(), index)
    assert isinstance(entry, Environment)
    assert entry.python == "3.7"
    assert index.asked[-1][0] == "tensorflow-cpu==1.15.0"
    assert entry.build_tools == ()


def test_second_distribution_serves_what_the_first_does_not_have() -> None:
    """A version that the first distribution does not have comes from the second."""
    index = Index({"tensorflow==2.0.0": ("3.6", "3.7")})
    assert isinstance(resolve(_request("2.0.0"), index), Environment)
    assert index.asked[-1][0] == "tensorflow==2.0.0"


def test_index_is_looked_at_as_of_the_day_after_the_upload() -> None:
    """The instant is the upload time plus one day, in whole seconds."""
    entry = resolve(_request(), Index({"tensorflow-cpu==1.15.0": ("3.7",)}))
    assert isinstance(entry, Environment)
    assert entry.as_of == datetime(2019, 10, 17, 17, 33, 59, tzinfo=timezone.utc)


def test_named_day_counts_as_a_whole() -> None:
    """A date in `as_of` means the end of that day."""
    entry = resolve(_request(as_of="2020-01-31"), Index({"tensorflow-cpu==1.15.0": ("3.7",)}))
    assert isinstance(entry, Environment)
    assert entry.as_of == datetime(2020, 2, 1, tzinfo=timezone.utc)


def test_no_instant_lies_in_the_future() -> None:
    """A recent upload is locked as of now, because tomorrow the index may have changed."""
    now = datetime.now(timezone.utc)
    index = Index({"tensorflow-cpu==1.15.0": ("3.7",)}, uploaded=f"{now:%Y-%m-%dT%H:%M:%S}")
    entry = resolve(_request(), index)
    assert isinstance(entry, Environment)
    assert now.replace(microsecond=0) <= entry.as_of <= datetime.now(timezone.utc)


def test_day_before_the_upload_is_unsupported() -> None:
    """If the version did not exist on that day, the reason gives the day of its upload."""
    index = Index({"tensorflow-cpu==1.15.0": ("3.7",)})
    reason = _reason(resolve(_request(as_of="2019-01-01"), index))
    assert "was uploaded on 2019-10-16, after the day in `as_of: 2019-01-01`" in reason


def test_day_that_does_not_exist_is_refused() -> None:
    """The 31st of February is not a date."""
    with pytest.raises(ConfigError, match="'2019-02-31' is not a date"):
        resolve(_request(as_of="2019-02-31"), Index({}))


def test_version_that_does_not_exist_is_unsupported() -> None:
    """The reason gives the names that were looked up, and the newest version."""
    index = Index({"tensorflow": ("3.13",)})
    assert _reason(resolve(_request("9.9.9"), index)) == (
        "tensorflow 9.9.9 is not on the package index as tensorflow-cpu or tensorflow; "
        "the newest for Python 3.13 is 2.21.0"
    )


def test_wheels_for_absent_pythons_are_unsupported() -> None:
    """If no Python with a wheel is on this machine, the reason lists them."""
    reason = _reason(resolve(_request(), Index({"tensorflow-cpu==1.15.0": ("2.7", "3.8", "3.10")})))
    assert "has wheels only for Python 3.8, 3.10, and this machine has none of them" in reason


def test_missing_python_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest Python with a wheel is downloaded if possible."""
    got = Interpreter(path=Path("python3.10"), version="3.10.1")
    monkeypatch.setattr(interpreters, "find", lambda minor: {"3.10": got}[minor])
    entry = resolve(_request(), Index({"tensorflow-cpu==1.15.0": ("3.8", "3.10")}))
    assert isinstance(entry, Environment)
    assert entry.python == "3.10"


def test_named_python_without_a_wheel_is_unsupported() -> None:
    """A Python that the matrix names is not replaced by another."""
    index = Index({"tensorflow-cpu==1.15.0": ("3.6", "3.7")})
    reason = _reason(resolve(_request(python="3.13"), index))
    assert "has no wheel for Python 3.13, only for 3.6, 3.7" in reason


def test_source_is_taken_where_there_is_no_wheel_at_all() -> None:
    """A version that is only available as source gets the newest Python."""
    entry = resolve(_request(), Index({"tensorflow==1.15.0": ()}))
    assert isinstance(entry, Environment)
    assert entry.python == "3.13"
    assert entry.as_of == datetime(2019, 10, 17, 17, 33, 59, tzinfo=timezone.utc)


def test_requirements_must_share_a_python() -> None:
    """Versions without a common Python are unsupported."""
    index = Index({"tensorflow==1.4.1": ("3.6",), "numpy==2.4.0": ("3.13",)})
    needs = (
        Requirement(axis="tensorflow", distributions=("tensorflow",), version="1.4.1"),
        Requirement(axis="numpy", distributions=("numpy",), version="2.4.0"),
    )
    reason = _reason(resolve(EnvironmentRequest(requirements=needs), index))
    assert "wheels for tensorflow==1.4.1 and numpy==2.4.0" in reason


def test_build_tools_are_exempt_only_where_nothing_builds_without() -> None:
    """Today's build tools are recorded, and those of the day are installed."""
    index = Index({"tensorflow-cpu==1.15.0": ("3.7",)}, refuses=UNBUILDABLE)
    entry = resolve(_request(), index)
    assert isinstance(entry, Environment)
    assert entry.build_tools == ("setuptools==59.6.0",)
    assert "--exclude-newer-package=setuptools=2200-01-01T00:00:00Z" in index.asked[-1][1]


def test_only_a_final_resolution_may_build() -> None:
    """Questions about wheels never build; the final one does, unless the matrix refuses."""
    for policy, may_build in (("build", True), ("refuse", False)):
        index = Index({"tensorflow-cpu==1.15.0": ("3.7",)})
        resolve(replace(_request(), source_packages=policy), index)
        builds = ["--no-build" not in options for _, options in index.asked]
        assert builds == [*([False] * (len(builds) - 1)), may_build]


def test_dependencies_without_a_solution_are_unsupported() -> None:
    """The reason is uv's conclusion in one line, with the day."""
    refuses = Answer(
        verdict=Verdict.UNSOLVABLE,
        text="No solution found when resolving dependencies\n  cause: Because a needs b\n"
        "         and b is gone.\n\nhint: look elsewhere",
    )
    index = Index({"tensorflow-cpu==1.15.0": ("3.7",)}, refuses=refuses)
    assert _reason(resolve(_request(), index)) == (
        "tensorflow=1.15.0 cannot be resolved as of 2019-10-17: Because a needs b and b is gone"
    )
