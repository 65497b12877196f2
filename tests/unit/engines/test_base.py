"""The base that is assembled from an interpreter of this machine."""

import shutil
import subprocess
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.engines.base import assemble, copy
from runner.errors import EngineError
from runner.python.interpreters import Interpreter
from runner.system import digest
from tests.support.trials import INTERPRETER


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Path]:
    """Return a path for a base, which is large and is removed afterwards."""
    yield tmp_path / "base.tar"
    (tmp_path / "base.tar").unlink(missing_ok=True)


def test_equal_interpreters_give_equal_bytes(base: Path) -> None:
    """The digest of a base identifies its content, so it must not depend on the time."""
    digests = set()
    for _ in range(2):
        assemble(INTERPRETER, base)
        digests.add(digest.of_file(base))
    assert len(digests) == 1


def test_a_base_does_not_depend_on_what_was_imported_before(base: Path, tmp_path: Path) -> None:
    """Bytecode that Python wrote or did not write meanwhile changes nothing."""
    interpreter = Interpreter(path=copied(tmp_path), version=INTERPRETER.version)
    digests = set()
    for module in ("", "import wave, tarfile"):
        subprocess.run([interpreter.path, "-I", "-S", "-c", module], check=True)
        assemble(interpreter, base)
        digests.add(digest.of_file(base))
    assert len(digests) == 1
    with tarfile.open(base) as tar:
        assert any("/__pycache__/wave." in name for name in tar.getnames())


def copied(folder: Path) -> Path:
    """Return a copy of this interpreter that may write its bytecode."""
    copy(INTERPRETER, folder / "python")
    for path in (folder / "python").rglob("__pycache__"):
        shutil.rmtree(path)
    program = folder / "python" / "bin" / f"python{INTERPRETER.minor}"
    script = program.with_name("start")
    script.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={folder}/python/lib exec {program} "$@"\n')
    script.chmod(0o755)
    return script


def test_a_base_holds_an_interpreter_and_no_packages(base: Path) -> None:
    """Root owns every entry, no entry is repeated, and no installed package is included."""
    assemble(INTERPRETER, base)
    with tarfile.open(base) as tar:
        entries = {entry.name: entry for entry in tar}
        assert Counter(tar.getnames()).most_common(1)[0][1] == 1
    library = f"usr/local/lib/python{INTERPRETER.minor}"
    assert entries["usr/local/bin/python"].linkname == f"python{INTERPRETER.minor}"
    assert entries[f"usr/local/bin/python{INTERPRETER.minor}"].mode == 0o755
    assert {f"{library}/json/__init__.py", "bin/sh", "tmp", "out", "inputs"} <= set(entries)
    assert {(entry.uid, entry.gid) for entry in entries.values()} == {(0, 0)}
    assert not [name for name in entries if "site-packages" in name or name.startswith("/")]


def test_a_missing_interpreter_is_one_sentence(tmp_path: Path) -> None:
    """The sentence names the interpreter and an alternative."""
    gone = Interpreter(path=tmp_path / "python3.7", version="3.7.16")
    with pytest.raises(
        EngineError, match=rf"no base .* from {gone.path}: .*base: <image>"
    ) as raised:
        assemble(gone, tmp_path / "base.tar")
    assert "\n" not in str(raised.value)
