"""What the index offers for a request, with an index in memory."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

import pytest

from runner.errors import ConfigError, PackagesError
from runner.lock.releases import Options, options, released
from runner.python import interpreters
from runner.python.index import File
from runner.python.interpreters import Interpreter
from runner.records.environment import EnvironmentRequest, Requirement
from tests.support.index_files import compiled, index, source, wheel


def request(
    version: str = "1.15.0", python: str = "auto", as_of: str = "release"
) -> EnvironmentRequest:
    """Return the request of a cell."""
    need = Requirement(
        axis="tensorflow", distributions=("tensorflow-cpu", "tensorflow"), version=version
    )
    return EnvironmentRequest(requirements=(need,), python=python, as_of=as_of)


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a machine with some interpreters that cannot download others."""
    minors = ("3.13", "3.8", "3.7", "3.6")
    here = tuple(Interpreter(path=Path(f"python{one}"), version=f"{one}.1") for one in minors)
    monkeypatch.setattr(interpreters, "available", lambda *_: here)


def find(minor: str) -> Interpreter:
    """Find an interpreter, but download none."""
    for one in interpreters.available():
        if one.minor == minor:
            return one
    raise PackagesError(f"no network to download {minor}")


def found(asked: EnvironmentRequest, pages: Mapping[str, Sequence[File]]) -> Options:
    """Return where a request may be resolved."""
    answer = options(asked, index(pages), find)
    assert isinstance(answer, Options), answer
    return answer


def reason(asked: EnvironmentRequest, pages: Mapping[str, Sequence[File]]) -> str:
    """Return why a request cannot be resolved."""
    answer = options(asked, index(pages), find)
    assert isinstance(answer, str), answer
    return answer


def minors(answer: Options) -> list[str]:
    """Return the minor versions of the interpreters in their order."""
    return [one.minor for one in answer.days]


def test_the_first_distribution_with_a_wheel_serves() -> None:
    """The interpreters are those with a wheel, the newest first."""
    pages = {
        "tensorflow-cpu": compiled("1.15.0", "3.6", "3.7"),
        "tensorflow": compiled("1.15.0", "3.13"),
    }
    answer = found(request(), pages)
    assert answer.lines == ("tensorflow-cpu==1.15.0",)
    assert minors(answer) == ["3.7", "3.6"]


def test_the_second_distribution_serves_what_the_first_does_not_have() -> None:
    """A version that the first distribution does not have comes from the second."""
    pages = {"tensorflow-cpu": compiled("1.15.0", "3.7"), "tensorflow": compiled("2.0", "3.7")}
    assert found(request("2.0.0"), pages).lines == ("tensorflow==2.0.0",)


def test_the_index_is_used_as_of_the_day_after_the_upload() -> None:
    """The instant is the upload for that interpreter plus one day, in whole seconds."""
    later = datetime(2019, 12, 1, 8, 0, 0, 500, tzinfo=timezone.utc)
    pages = {
        "tensorflow": [*compiled("1.15.0", "3.7"), *compiled("1.15.0", "3.6", uploaded_at=later)]
    }
    days = {one.minor: day for one, day in found(request(), pages).days.items()}
    assert days == {
        "3.7": datetime(2019, 10, 17, 17, 33, 59, tzinfo=timezone.utc),
        "3.6": datetime(2019, 12, 2, 8, 0, 0, tzinfo=timezone.utc),
    }


def test_interpreters_of_a_later_time_come_last() -> None:
    """A pure wheel fits them all, but only 3.8 and older had been released by then."""
    answer = found(request(), {"tensorflow": [wheel("1.15.0", "py3-none-any")]})
    assert minors(answer) == ["3.8", "3.7", "3.6", "3.13"]
    assert {one.minor for one in answer.younger} == {"3.13"}


def test_a_version_older_than_every_interpreter_gets_the_oldest() -> None:
    """No interpreter here had been released by then."""
    old = datetime(2014, 1, 1, tzinfo=timezone.utc)
    answer = found(request(), {"tensorflow": [wheel("1.15.0", "py2.py3-none-any", old)]})
    assert minors(answer) == ["3.6", "3.7", "3.8", "3.13"]
    assert answer.only_younger


def test_the_interpreter_follows_a_date() -> None:
    """Without any version, too."""
    plain = EnvironmentRequest(requirements=(), as_of="2020-01-31")
    answer = found(plain, {})
    assert minors(answer) == ["3.8", "3.7", "3.6", "3.13"]
    assert set(answer.days.values()) == {datetime(2020, 2, 1, tzinfo=timezone.utc)}
    assert minors(found(EnvironmentRequest(requirements=()), {}))[0] == "3.13"


def test_files_may_exclude_interpreters() -> None:
    """``Requires-Python`` of the file counts."""
    pure = wheel("1.15.0", "py3-none-any", requires=">=3.6,<3.8")
    assert minors(found(request(), {"tensorflow": [pure]})) == ["3.7", "3.6"]


def test_no_instant_lies_in_the_future() -> None:
    """A recent upload is locked as of now, because tomorrow the index may have changed."""
    now = datetime.now(timezone.utc).replace(microsecond=0)
    pages = {"tensorflow": [wheel("1.15.0", "py3-none-any", now)]}
    (day,) = set(found(request(), pages).days.values())
    assert now <= day <= datetime.now(timezone.utc)


def test_a_day_before_the_upload_is_unsupported() -> None:
    """If the version did not exist on that day, the reason gives the day of its upload."""
    pages = {"tensorflow": compiled("1.15.0", "3.7")}
    said = reason(request(as_of="2019-01-01"), pages)
    assert "was uploaded on 2019-10-16, after the day in `as_of: 2019-01-01`" in said


def test_a_day_that_does_not_exist_is_refused() -> None:
    """The 31st of February is not a date."""
    with pytest.raises(ConfigError, match="'2019-02-31' is not a date"):
        options(request(as_of="2019-02-31"), index({}), find)


def test_a_version_that_does_not_exist_has_neighbours() -> None:
    """The reason gives the names that were looked up, and the nearest versions."""
    some = [
        file for one in ("1.13", "1.14", "1.15.5", "2.0", "2.1") for file in compiled(one, "3.7")
    ]
    assert reason(request("1.15.9"), {"tensorflow": some}) == (
        "tensorflow 1.15.9 is not on the package index as tensorflow-cpu or tensorflow; the "
        "nearest versions are 1.14, 1.15.5, 2.0 and 2.1"
    )
    assert reason(request(), {}).endswith("as tensorflow-cpu or tensorflow; check the spelling")
    assert reason(request("1-x!"), {"tensorflow": some}).endswith(
        "1-x! is not a version, the newest one is 2.1"
    )


def test_a_package_that_does_not_exist_is_named() -> None:
    """Nothing has to be resolved to see that."""
    asked = EnvironmentRequest(requirements=(), packages=("numpy<2", "nunpy[fast]>=1; os_name"))
    assert reason(asked, {"numpy": compiled("1.0", "3.8")}) == (
        "nunpy is not on the package index; check the spelling"
    )


def test_wheels_for_absent_pythons_are_unsupported() -> None:
    """If no Python with a wheel is on this machine, the reason lists them."""
    pages = {"tensorflow": compiled("1.15.0", "3.9", "3.10")}
    said = reason(request(), pages)
    assert "has wheels only for Python 3.9, 3.10, and this machine has none of them" in said


def test_a_missing_python_is_downloaded() -> None:
    """The newest Python with a wheel is downloaded if possible."""
    got = Interpreter(path=Path("python3.10"), version="3.10.1")
    pages = {"tensorflow": compiled("1.15.0", "3.9", "3.10")}
    answer = options(request(), index(pages), lambda minor: {"3.10": got}[minor])
    assert isinstance(answer, Options)
    assert minors(answer) == ["3.10"]


def test_a_named_python_without_a_wheel_is_unsupported() -> None:
    """A Python that the matrix names is not replaced by another."""
    pages = {"tensorflow": compiled("1.15.0", "3.6", "3.7")}
    said = reason(request(python="3.13"), pages)
    assert "has no wheel for Python 3.13, only for 3.6, 3.7" in said


def test_wheels_for_other_platforms_are_unsupported() -> None:
    """The reason names the platforms."""
    mac = wheel("1.15.0", "cp37-cp37m-macosx_12_0_arm64")
    said = reason(request(), {"tensorflow": [mac]})
    assert said.startswith("tensorflow 1.15.0 has wheels only for macosx_12_0_arm64, not for linux")


def test_source_is_taken_where_there_is_no_wheel_for_this_platform() -> None:
    """Of a version that is only available as source, every fitting interpreter may build it."""
    pages = {"tensorflow": [source("1.15.0", requires=">=3.7")]}
    assert minors(found(request(), pages)) == ["3.8", "3.7", "3.13"]
    pages["tensorflow"].append(wheel("1.15.0", "py2-none-any"))
    assert minors(found(request(), pages)) == ["3.8", "3.7", "3.13"]
    pages["tensorflow"] += compiled("1.15.0", "3.6")
    assert minors(found(request(), pages)) == ["3.6"]


def test_source_for_other_pythons_is_unsupported() -> None:
    """The reason says which Python it needs."""
    said = reason(request(python="3.7"), {"tensorflow": [source("1.15.0", requires=">=3.99")]})
    assert said == (
        "tensorflow 1.15.0 needs Python >=3.99, not 3.7; choose such a Python or `python: auto`"
    )


def test_requirements_must_share_a_python() -> None:
    """Versions without a common Python are unsupported."""
    pages = {"a": compiled("1", "3.6"), "b": compiled("2", "3.13")}
    needs = (
        Requirement(axis="a", distributions=("a",), version="1"),
        Requirement(axis="b", distributions=("b",), version="2"),
    )
    said = reason(EnvironmentRequest(requirements=needs), pages)
    assert said == "no Python here has files for a==1 and b==2; choose versions from the same time"


def test_an_index_without_upload_times_works_only_as_of_today() -> None:
    """The index of a company may not publish them."""
    pages = {"tensorflow": [wheel("1.15.0", "py3-none-any", None)]}
    with pytest.raises(PackagesError, match="write `as_of: today` under `environment`"):
        options(request(), index(pages), find)
    assert minors(found(request(as_of="today"), pages))[0] == "3.13"


def test_every_october_brings_a_python() -> None:
    """Those that are not known yet are expected then."""
    assert released("3.8").year == 2019
    assert released("3.14").year == 2025
    assert (released("3.16").year, released("3.16").month) == (2027, 10)
