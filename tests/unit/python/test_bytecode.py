"""Compiling installed modules, and keeping their bytecode."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.errors import PackagesError
from runner.python.bytecode import compile_all
from runner.python.uv import bytecode_folder
from runner.system.parallel import in_parallel
from tests.support.trials import INTERPRETER


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the cache, which is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return bytecode_folder()


def packages(folder: Path) -> Path:
    """Return a folder of packages."""
    (folder / "package" / "deep").mkdir(parents=True)
    (folder / "package" / "__init__.py").write_text("NAMES = {'a', 'b', 'c'} and 'a' in {'b', 'c'}")
    (folder / "package" / "deep" / "module.py").write_text("from package import NAMES\n")
    (folder / "package" / "broken.py").write_text("for another Python\n")
    (folder / "linked.py").symlink_to("/etc/hostname")
    return folder


def compiled(folder: Path) -> dict[str, Path]:
    """Return the files with bytecode by their relative names."""
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*.pyc"))}


def test_all_modules_are_compiled(tmp_path: Path) -> None:
    """An interpreter that cannot write uses the bytecode, and says where an error is."""
    site = packages(tmp_path / "site")
    (site / "package" / "deep" / "module.py").write_text("def f():\n    raise ValueError\n")
    compile_all(site, INTERPRETER, "x", keep=True)
    names = {Path(name).name.partition(".")[0] for name in compiled(site)}
    assert names == {"__init__", "module"}
    (site / "package" / "deep" / "module.py").write_text("")  # the bytecode does not notice
    run = "import package.deep.module as m; m.f()"
    done = subprocess.run(
        [sys.executable, "-B", "-c", run], cwd=site, capture_output=True, text=True, check=False
    )
    assert f'{site}/package/deep/module.py", line 2, in f' in done.stderr


def test_bytecode_is_kept(tmp_path: Path, cache: Path) -> None:
    """The second environment gets links to that of the first one."""
    first, second = packages(tmp_path / "first"), packages(tmp_path / "second")
    compile_all(first, INTERPRETER, "x", keep=True)
    assert len([path for path in cache.rglob("*") if path.is_file()]) == 2
    compile_all(second, INTERPRETER, "x", keep=True)
    for name, path in compiled(first).items():
        assert compiled(second)[name].samefile(path)
    third = packages(tmp_path / "third")
    (third / "package" / "__init__.py").write_text("NAMES = {}")
    compile_all(third, INTERPRETER, "x", keep=True)
    changed = {
        Path(name).name.partition(".")[0]
        for name, path in compiled(first).items()
        if not compiled(third)[name].samefile(path)
    }
    assert changed == {"__init__"}


def test_nothing_is_compiled_twice_at_the_same_time(tmp_path: Path) -> None:
    """Of environments that are installed together, one compiles what they share."""
    sites = [packages(tmp_path / name) for name in ("first", "second", "third")]
    for _ in in_parallel(lambda site: compile_all(site, INTERPRETER, "x", keep=True), sites, 3):
        pass
    first, *others = map(compiled, sites)
    assert len(first) == 2
    for other in others:
        assert all(other[name].samefile(path) for name, path in first.items())


def test_what_a_build_left_is_not_kept(tmp_path: Path, cache: Path) -> None:
    """Nothing of it reaches other environments. The bytecode is the same whenever it is made."""
    first, second = packages(tmp_path / "first"), packages(tmp_path / "second")
    for site in (first, second):
        compile_all(site, INTERPRETER, "x", keep=False)
    assert not cache.exists()
    content = [
        {name: path.read_bytes() for name, path in compiled(one).items()} for one in (first, second)
    ]
    assert content[0] == content[1]


def test_bytecode_in_a_wheel_does_not_count(tmp_path: Path, cache: Path) -> None:
    """It could be that of anything else, and would reach other packages with the same source."""
    site = packages(tmp_path / "site")
    compile_all(site, INTERPRETER, "x", keep=False)
    (path, *_) = compiled(site).values()
    planted = path.with_name(path.name.replace("__init__", "broken"))
    planted.write_bytes(path.read_bytes())
    compile_all(site, INTERPRETER, "x", keep=True)
    assert not planted.exists()
    assert len([path for path in cache.rglob("*") if path.is_file()]) == 2


@pytest.mark.parametrize("keep", [True, False])
def test_a_link_into_the_cache_is_replaced(tmp_path: Path, keep: bool) -> None:
    """A wheel may contain bytecode, which is then a link into the cache of uv."""
    site = packages(tmp_path / "site")
    compile_all(site, INTERPRETER, "x", keep=keep)
    (path, *_) = compiled(site).values()
    path.unlink()
    theirs = tmp_path / "theirs"
    theirs.write_text("theirs")
    os.link(theirs, path)
    compile_all(site, INTERPRETER, "x", keep=keep)
    assert theirs.read_text() == "theirs"
    assert path.read_bytes() != b"theirs"


def test_another_file_system_gets_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Temporary files are often on another one than the cache."""

    def link(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", link)
    for name in ("first", "second"):
        site = packages(tmp_path / name)
        compile_all(site, INTERPRETER, "x", keep=True)
        assert len(compiled(site)) == 2


def test_an_interpreter_that_fails_is_one_sentence(tmp_path: Path) -> None:
    """The sentence names the environment."""
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\ncat > /dev/null\necho no memory >&2\nexit 3\n")
    broken.chmod(0o755)
    interpreter = type(INTERPRETER)(path=broken, version=INTERPRETER.version)
    with pytest.raises(PackagesError, match=r"packages of x could not be compiled: no memory\."):
        compile_all(packages(tmp_path / "site"), interpreter, "x", keep=True)
