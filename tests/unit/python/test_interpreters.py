"""How the interpreters of this machine are found."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from packaging.tags import Tag

from runner.errors import PackagesError
from runner.python import interpreters
from runner.python.interpreters import Interpreter, choose, examine, executable, find
from tests.support.studies import ROOT


def _executable(folder: Path, version: str, kind: str = "cpython", level: str = "final") -> Path:
    """Make a program that answers like an interpreter of that version."""
    minor = version.rpartition(".")[0]
    path = folder / "bin" / f"python{minor}"
    path.parent.mkdir(parents=True)
    answer = f"{kind}\n{version}{level}\n{folder}"
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return path


def test_newest_first_and_one_for_each_minor_version(tmp_path: Path) -> None:
    """Minor versions are compared as numbers, and the first candidate of each is used."""
    paths = [
        _executable(tmp_path / str(number), version)
        for number, version in enumerate(["3.9.18", "3.10.2", "3.9.19", "3.13.0"])
    ]
    assert choose([(path.name.removeprefix("python"), path) for path in paths]) == (
        Interpreter(path=paths[3], version="3.13.0"),
        Interpreter(path=paths[1], version="3.10.2"),
        Interpreter(path=paths[0], version="3.9.18"),
    )


def test_a_broken_candidate_is_replaced_by_the_next(tmp_path: Path) -> None:
    """A shim that cannot start its interpreter does not hide another of the same version."""
    shim = tmp_path / "python3.7"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    real = _executable(tmp_path / "real", "3.7.16")
    assert choose([("3.7", shim), ("3.7", real)]) == (Interpreter(path=real, version="3.7.16"),)


@pytest.mark.parametrize(
    ("kind", "level"), [("graalpy", "final"), ("cpython", "candidate"), ("cpythond", "final")]
)
def test_only_released_interpreters_count(tmp_path: Path, kind: str, level: str) -> None:
    """Other implementations, previews and debug builds are left out."""
    assert examine(_executable(tmp_path / "other", "3.13.0", kind, level)) is None


@pytest.mark.parametrize(("kind", "name"), [("pypy", "pypy3.13"), ("cpythont", "3.13t")])
def test_special_interpreters_are_found_only_by_name(tmp_path: Path, kind: str, name: str) -> None:
    """`python: auto` and a minor version never choose them."""
    path = _executable(tmp_path / "special", "3.13.0", kind)
    found = examine(path)
    assert found is not None
    assert (found.name, found.minor, found.version) == (name, "3.13", "3.13.0")
    assert choose([("3.13", path)]) == ()


def test_a_minor_version_starts_no_other_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each start takes a while, and a machine may have many interpreters."""
    started: list[Path] = []

    def asked(path: Path) -> Interpreter | None:
        started.append(path)
        return examine(path)

    monkeypatch.setattr(interpreters, "examine", asked)
    minor = ".".join(map(str, sys.version_info[:2]))
    interpreters.available.cache_clear()
    (found,) = interpreters.available(minor)
    assert found.minor == minor
    assert {one.minor for one in map(examine, started) if one is not None} == {minor}


def test_an_exact_version_is_found_beside_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minor version has one interpreter; the name of a patch release finds any of them."""
    newest = interpreters.available()[0]
    interpreters._special.cache_clear()  # noqa: SLF001 (as another process would be)
    found = find(newest.version)
    assert (found.path, found.version, found.name) == (newest.path, newest.version, newest.version)
    monkeypatch.setattr("runner.python.interpreters.DOWNLOAD_TIMEOUT_S", 1.0)
    with pytest.raises(PackagesError, match=r"no Python 3\.6\.99 "):
        find("3.6.99")


def test_programs_are_called_after_their_minor_version() -> None:
    """A patch release has the name of its minor version."""
    names = {"3.12": "python3.12", "3.12.4": "python3.12", "3.13t": "python3.13t"}
    assert {name: executable(name) for name in names} == names
    assert executable("pypy3.10") == "pypy3.10"


def test_interpreters_of_pyenv_come_before_those_on_path() -> None:
    """All that uv finds are usable and named once."""
    found = interpreters.available()
    assert len({one.minor for one in found}) == len(found)
    assert ".".join(map(str, sys.version_info[:2])) in {one.minor for one in found}
    assert all(examine(one.path) == one for one in found)


def test_tags_are_those_of_the_interpreter() -> None:
    """Before 3.8 the ABI has a mark; stable ABIs and pure wheels fit, too."""
    old = Interpreter(path=Path("python3.7"), version="3.7.16")
    new = Interpreter(path=Path("python3.13"), version="3.13.0")
    assert {"cp37-cp37m", "cp36-abi3", "py3-none"} <= {_short(tag) for tag in old.tags}
    assert {"cp313-cp313", "cp37-abi3", "py3-none"} <= {_short(tag) for tag in new.tags}
    pypy = Interpreter(path=Path("pypy3.9"), version="3.9.16", special="pypy3.9")
    free = Interpreter(path=Path("python3.13t"), version="3.13.0", special="3.13t")
    assert {"pp39-pypy39_pp73", "py3-none"} <= {_short(tag) for tag in pypy.tags}
    assert not {"cp39-cp39", "cp39-abi3"} & {_short(tag) for tag in pypy.tags}
    assert {"cp313-cp313t", "py3-none"} <= {_short(tag) for tag in free.tags}
    assert "cp313-cp313" not in {_short(tag) for tag in free.tags}
    assert not {"cp37-cp37", "cp38-cp38", "cp38-abi3"} & {_short(tag) for tag in old.tags}


def _short(tag: Tag) -> str:
    return f"{tag.interpreter}-{tag.abi}"


def test_unreadable_folders_are_skipped(tmp_path: Path) -> None:
    """PATH and PYENV_ROOT of an ordinary user may lead to folders of others."""
    closed = tmp_path / "closed"
    _executable(closed, "3.9.18")
    _executable(closed / "versions" / "3.8.1", "3.8.1")
    closed.chmod(0o000)
    privileges = "-dac_override,-dac_read_search"
    command = ["setpriv", f"--bounding-set={privileges}", f"--inh-caps={privileges}", "--"]
    code = "from runner.python.interpreters import available; print(len(available()) > 0)"
    done = subprocess.run(
        [*(command if os.geteuid() == 0 else ()), sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYENV_ROOT": str(closed),
            "PATH": f"{closed}/bin:{closed}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    closed.chmod(0o700)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_nothing_executable_is_no_interpreter(tmp_path: Path) -> None:
    """A path without a program is left out."""
    assert examine(tmp_path / "python3.9") is None


def test_virtual_environment_leads_to_its_interpreter(tmp_path: Path) -> None:
    """The interpreter that created a virtual environment is used."""
    venv.create(tmp_path / "v", symlinks=True)
    found = examine(tmp_path / "v" / "bin" / "python")
    assert found is not None
    assert tmp_path not in found.path.parents
    assert found.version == ".".join(str(part) for part in sys.version_info[:3])


def test_minor_version_is_made_of_two_numbers() -> None:
    """The minor version has two numbers."""
    assert Interpreter(path=Path("python3.10"), version="3.10.13").minor == "3.10"


def test_a_missing_interpreter_is_reported_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error lists the interpreters of this machine and says how to install the missing one."""
    here = (Interpreter(path=Path("python3.11"), version="3.11.7"),)
    monkeypatch.setattr(interpreters, "available", lambda *_: here)

    def offline(*_: object, **__: object) -> None:
        raise PackagesError("no network")

    monkeypatch.setattr("runner.python.uv.call", offline)
    assert find("3.11") == here[0]
    with pytest.raises(PackagesError, match=r"no Python 3\.7 \(it has 3\.11\).*pyenv install 3\.7"):
        find("3.7")
