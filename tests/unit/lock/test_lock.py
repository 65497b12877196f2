"""Which requests are locked, and how the lock file stores them."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import ConfigError, PackagesError
from runner.lock import lock_matrix, missing
from runner.lock.file import lock_path, read_lock, write_lock
from runner.lock.resolve import Ask
from runner.python import interpreters
from runner.python.index import File
from runner.python.interpreters import Interpreter, machine_platform
from runner.python.uv import Answer
from runner.records.environment import (
    Entry,
    Environment,
    EnvironmentRequest,
    Lock,
    Package,
    Requirement,
    Unsupported,
)
from runner.records.study import Cell, Experiment, Limits, Matrix
from tests.support.index_files import compiled, index, source

HASH = "sha256:" + "0" * 64
MODELS = ("sequential", "subclassed")


def _request(version: str) -> EnvironmentRequest:
    need = Requirement(axis="tensorflow", distributions=("tensorflow",), version=version)
    return EnvironmentRequest(requirements=(need,))


def _environment(version: str) -> Environment:
    return Environment(
        request=_request(version),
        python="3.7",
        platform=machine_platform(),
        as_of=datetime(2019, 10, 17, 17, 33, 59, tzinfo=timezone.utc),
        packages=(
            Package(name="protobuf", version="3.10.0", hashes=(HASH, HASH.replace("0", "f"))),
            Package(name="tensorflow", version=version, hashes=(HASH,)),
        ),
        build_tools=("setuptools==59.6.0",),
    )


def _matrix(*versions: str) -> Matrix:
    cells = tuple(
        Cell(
            coordinates=(("tensorflow", version), ("model", model)),
            request=_request(version),
            parameters={},
            timeout_s=60,
        )
        for model in MODELS
        for version in versions
    )
    return Matrix(
        name="small",
        axes=(),
        cells=cells,
        experiment=Experiment(script="script.py"),
        metrics=(),
        limits=Limits(),
        blocks=1,
        quick={},
    )


def test_lock_lies_beside_the_matrix() -> None:
    """The lock of X.yaml is X.lock in the same folder."""
    assert lock_path(Path("studies/founding.yaml")) == Path("studies/founding.lock")


def test_each_request_counts_once() -> None:
    """Cells that share an environment request it once, in the order of the cells."""
    assert _matrix("2.0.0", "1.15.0").requests == (_request("2.0.0"), _request("1.15.0"))


def test_a_written_lock_is_read_unchanged(tmp_path: Path) -> None:
    """This holds for environments and unsupported requests."""
    lock = Lock(
        entries=(_environment("1.15.0"), Unsupported(request=_request("9.9.9"), reason="no such"))
    )
    write_lock(tmp_path / "m.lock", lock)
    assert read_lock(tmp_path / "m.lock") == lock


@settings(deadline=None, max_examples=30)  # every example syncs a file to the disk
@given(st.lists(st.sampled_from(["1.15.0", "2.0.0", "2.9.3"]), unique=True), st.text(max_size=40))
def test_any_reason_survives_the_file(
    tmp_path_factory: pytest.TempPathFactory, versions: list[str], reason: str
) -> None:
    """Any reason and any number of entries are read as they were written."""
    entries: tuple[Environment | Unsupported, ...] = (
        Unsupported(request=_request("0"), reason=reason),
        *map(_environment, versions),
    )
    path = tmp_path_factory.mktemp("lock") / "m.lock"
    write_lock(path, Lock(entries=entries))
    assert read_lock(path) == Lock(entries=entries)


def test_file_is_the_same_for_the_same_lock(tmp_path: Path) -> None:
    """Reading and writing again changes no byte and leaves no other file."""
    path = tmp_path / "m.lock"
    write_lock(path, Lock(entries=(_environment("1.15.0"),)))
    before = path.read_bytes()
    write_lock(path, read_lock(path))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_packages_are_one_line_each_and_found_by_grep(tmp_path: Path) -> None:
    """The line of a package contains ``name==version`` and its hashes."""
    write_lock(tmp_path / "m.lock", Lock(entries=(_environment("1.15.0"),)))
    lines = (tmp_path / "m.lock").read_text().splitlines()
    found = [line for line in lines if "protobuf==3.10.0" in line]
    assert len(found) == 1
    assert found[0].count("sha256:") == 2


def test_source_packages_are_marked(tmp_path: Path) -> None:
    """The mark follows the version, and locks of format 1, which have none, are still read."""
    path = tmp_path / "m.lock"
    package = Package(name="gast", version="0.2.2", hashes=(HASH,), source=True)
    entry = replace(_environment("1.15.0"), packages=(package,))
    write_lock(path, Lock(entries=(entry,)))
    text = path.read_text()
    assert f'"gast==0.2.2 source {HASH}"' in text
    assert read_lock(path) == Lock(entries=(entry,))
    text = re.sub(r',\s*"source_packages": "build"', "", text.replace(" source ", " "))
    path.write_text(text.replace('"format": 2', '"format": 1'))
    unmarked = replace(entry, packages=(replace(package, source=False),))
    assert read_lock(path) == Lock(entries=(unmarked,))


def test_no_file_is_an_empty_lock(tmp_path: Path) -> None:
    """A missing file is not an error."""
    assert read_lock(tmp_path / "m.lock") == Lock(entries=())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"format": 1, "entries": [', r"m\.lock: .*line 1 column 26"),
        ('{"format": 4, "new": true}', "newer matrix-runner"),
        ('{"format": 1}', "entries"),
        ("[]", "lock again"),
    ],
)
def test_an_unreadable_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    """The message gives the file and what to do."""
    path = tmp_path / "m.lock"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        read_lock(path)
    assert str(path) in str(caught.value)


def test_a_lock_that_is_no_file_in_its_folder_is_refused(tmp_path: Path) -> None:
    """A FIFO would wait for its other end, and a link may lead to anything."""
    (tmp_path / "study").mkdir()
    (tmp_path / "outside").write_text("{")
    os.mkfifo(tmp_path / "study" / "fifo.lock")
    (tmp_path / "study" / "link.lock").symlink_to("../outside")
    with pytest.raises(ConfigError, match=r"cannot be read \(is not a regular file\); remove it"):
        read_lock(tmp_path / "study" / "fifo.lock")
    with pytest.raises(ConfigError, match=r"cannot be read \(leads out of the folder"):
        read_lock(tmp_path / "study" / "link.lock")


HOSTILE = [
    (("python",), "--python-downloads-json-url=http://a.invalid"),
    (("python",), "auto"),
    (("python",), "3.7\n"),
    (("platform",), "--target=/"),
    (("build_tools", 0), "setuptools @ http://a.invalid/s.whl"),
    (("build_tools", 0), "setuptools"),
    (("build_tools", 0), "setuptools==1.0\n-r /etc/passwd"),
    (("packages", 0), f"--index-url=http://a.invalid {HASH}"),
    (("packages", 0), f"-r==1.0 {HASH}"),
    (("packages", 0), f"six==http://a.invalid {HASH}"),
    (("packages", 0), f"six==1.0;--index-url=http://a.invalid {HASH}"),
    (("request", "python"), "--python-downloads-json-url=http://a.invalid"),
    (("request", "as_of"), "2020-01-31 --index-url=http://a.invalid"),
    (("request", "requirements", 0, "axis"), "a\nb"),
    (("request", "requirements", 0, "version"), "1.0\n--index-url=http://a.invalid"),
    (("request", "requirements", 0, "distributions", 0), "--index-url=http://a.invalid"),
    *(
        (("request", "packages", 0), line)
        for line in (
            "--index-url=http://a.invalid",
            "-r /etc/passwd",
            "six @ http://a.invalid/six.whl",
            "six==1.0 --config-settings=a=b",
            "six; python_version > '3'\n--index-url=http://a.invalid",
            "six>1 # comment",
            "six>1 \\",
            "http://a.invalid/six.whl",
            "./six",
        )
    ),
]


@pytest.mark.parametrize(("place", "value"), HOSTILE)
def test_a_lock_cannot_carry_options_or_addresses(
    tmp_path: Path, place: tuple[str | int, ...], value: str
) -> None:
    """Every field has the form that the matrix allows; the message gives file, place and remedy."""
    path = tmp_path / "m.lock"
    request = replace(_request("1.15.0"), packages=("numpy<2",))
    write_lock(path, Lock(entries=(replace(_environment("1.15.0"), request=request),)))
    content = json.loads(path.read_text())
    part = content["entries"][0]
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"entries\.0.*; restore the lock from") as caught:
        read_lock(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "numpy<2",
        "numpy >=1.17, <2",
        "uvicorn[standard, http]==0.1",
        "numpy~=1.17.3; python_version < '3.8' and sys_platform == \"linux\"",
        "torch==2.0.1+cpu",
        "torch==2.*",
    ],
)
def test_usual_requirements_are_accepted(line: str) -> None:
    """Extras, versions and markers are requirements."""
    assert EnvironmentRequest(requirements=(), packages=(line,)).packages == (line,)


def test_package_without_hash_is_refused(tmp_path: Path) -> None:
    """A package line without its hash is an error."""
    path = tmp_path / "m.lock"
    write_lock(path, Lock(entries=(_environment("1.15.0"),)))
    path.write_text(path.read_text().replace(f"tensorflow==1.15.0 {HASH}", "tensorflow==1.15.0"))
    with pytest.raises(ConfigError, match=r'"tensorflow==1\.15\.0" is not a package with'):
        read_lock(path)


def test_unknown_key_is_refused(tmp_path: Path) -> None:
    """An unknown key is an error."""
    path = tmp_path / "m.lock"
    write_lock(path, Lock(entries=(_environment("1.15.0"),)))
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "pythons": "3.7"}))
    with pytest.raises(ConfigError, match="pythons"):
        read_lock(path)


def test_an_unwritable_folder_is_reported(tmp_path: Path) -> None:
    """The message gives the file."""
    with pytest.raises(ConfigError, match=r"nowhere/m\.lock: cannot be written"):
        write_lock(tmp_path / "nowhere" / "m.lock", Lock(entries=()))


LOCKED = f"""[[packages]]
name = "tensorflow"
version = "1.15.0"
wheels = [{{ hashes = {{ sha256 = "{"0" * 64}" }} }}]
"""


@pytest.fixture
def python37(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a machine with only Python 3.7."""
    only = Interpreter(path=Path("python3.7"), version="3.7.16")
    monkeypatch.setattr(interpreters, "available", lambda *_: (only,))


@pytest.mark.usefixtures("python37")
def test_only_what_is_missing_is_resolved() -> None:
    """Known entries stay, unused ones are dropped, and the order is that of the cells."""
    known = replace(_environment("2.0.0"), python="3.6")
    asked = []

    def ask(_: object, *, files: Mapping[str, str], **__: object) -> Answer:
        asked.append(files["wanted.txt"])
        return Answer(found=True, text=LOCKED)

    notes: list[str] = []
    lock = lock_matrix(
        _matrix("1.15.0", "2.0.0"),
        Lock(entries=(known, _environment("1.4.1"))),
        [_request("1.15.0")],
        notes.append,
        ask=ask,
        files=index({"tensorflow": compiled("1.15.0", "3.7")}),
    )
    new, old = lock.entries
    assert isinstance(new, Environment)
    assert [(one.name, one.version) for one in new.packages] == [("tensorflow", "1.15.0")]
    assert old == known
    assert asked == ["tensorflow==1.15.0"]
    assert notes == ["locked tensorflow=1.15.0: Python 3.7, 1 package as of 2019-10-17"]


@pytest.mark.usefixtures("python37")
def test_unsupported_is_an_answer() -> None:
    """An unsupported request is locked with its reason and not resolved again."""
    matrix = _matrix("9.9.9")
    notes: list[str] = []
    pages = {"tensorflow": compiled("1.15.0", "3.7")}
    empty = Lock(entries=())
    lock = lock_matrix(matrix, empty, matrix.requests, notes.append, files=index(pages))
    (entry,) = lock.entries
    assert isinstance(entry, Unsupported)
    assert entry.reason.startswith("tensorflow 9.9.9 is not on the package index")
    assert notes == []
    assert missing(matrix, lock) == ()


@pytest.mark.usefixtures("python37")
def test_a_failure_of_the_index_is_raised() -> None:
    """If the index does not answer, there is an error and no entry."""

    def files(name: str) -> tuple[File, ...]:
        raise PackagesError(f"no answer for {name}")

    requests = [_request("1.15.0")]
    with pytest.raises(PackagesError, match=r"no answer for tensorflow"):
        lock_matrix(_matrix("1.15.0"), Lock(entries=()), requests, lambda _: None, files=files)


def _locked(ask: Ask, files: Sequence[File]) -> Entry:
    """Lock TensorFlow 1.15.0 with the answers of ``ask`` and these files on the index."""
    (entry,) = lock_matrix(
        _matrix("1.15.0"),
        Lock(entries=()),
        [_request("1.15.0")],
        lambda _: None,
        ask=ask,
        files=index({"tensorflow": files}),
    ).entries
    return entry


@pytest.mark.usefixtures("python37")
@pytest.mark.parametrize("with_tools", [True, False])
def test_build_tools_are_newer_only_where_nothing_builds_without(
    monkeypatch: pytest.MonkeyPatch, *, with_tools: bool
) -> None:
    """What cannot be built with the tools of the day is tried with today's."""

    def ask(_: object, *, files: Mapping[str, str], **__: object) -> Answer:
        text = "setuptools==59.6.0\n" if files["wanted.txt"].startswith("setuptools") else LOCKED
        return Answer(found=True, text=text)

    def why_not_built(entry: Environment, _: Interpreter) -> str | None:
        return None if entry.build_tools or not with_tools else "it needs a newer setuptools"

    monkeypatch.setattr("runner.python.packages.why_not_built", why_not_built)
    entry = _locked(ask, compiled("1.15.0", "3.7"))
    assert isinstance(entry, Environment)
    assert entry.build_tools == (("setuptools==59.6.0",) if with_tools else ())


@pytest.mark.usefixtures("python37")
def test_source_packages_are_built_once_before_they_are_locked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An entry that cannot be built is unsupported, with advice."""
    monkeypatch.setattr("runner.python.packages.why_not_built", lambda *_: "no compiler")
    text = LOCKED.replace("wheels = [", "sdist = ").replace("}]", "}")

    def ask(_: object, *, files: Mapping[str, str], **__: object) -> Answer:
        return Answer(found=files["wanted.txt"].startswith("tensorflow"), text=text)

    entry = _locked(ask, [source("1.15.0")])
    assert isinstance(entry, Unsupported)
    assert entry.reason == (
        "tensorflow=1.15.0 needs tensorflow as of 2019-10-17, which cannot be built for Python 3.7 "
        "(no compiler); choose another Python or version, or set `compile: true` to allow a "
        "compiler"
    )


def test_lock_of_another_platform_is_refused() -> None:
    """Packages locked for another platform are not used."""
    other = replace(_environment("1.15.0"), platform="plan9-mips")
    with pytest.raises(ConfigError, match="locked for plan9-mips, but this machine is"):
        missing(_matrix("1.15.0"), Lock(entries=(other,)))
