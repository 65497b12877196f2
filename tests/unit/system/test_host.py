"""Facts of the machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from runner.system.host import check_cpu, runs_here, this_host
from tests.support.fakes import FakeEngine

MACHINE_ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder that looks like the root of a Linux machine."""
    for name, text in {
        "etc/machine-id": f"{MACHINE_ID}\n",
        "etc/os-release": 'NAME="X"\nPRETTY_NAME="Some Linux 12 (a: b)"\n',
        "proc/cpuinfo": (
            "model name\t: First: Model\nflags\t\t: fpu sse4_2 fma avx2 avx avx512f aes f16c\n\n"
            "model name\t: Second Model\nflags\t\t: fpu\n"
        ),
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_facts_are_read_from_the_system(root: Path) -> None:
    """The first processor's name and numeric flags, and the name of the distribution."""
    facts = this_host(root)
    assert facts.cpu_model == "First: Model"
    assert facts.cpu_flags == ("avx", "avx2", "avx512f", "f16c", "fma", "sse4_2")
    assert facts.system == "Some Linux 12 (a: b)"


def test_id_is_stable_and_does_not_show_the_machine_id(root: Path) -> None:
    """It is 16 hex digits of a digest, whichever file holds the machine id."""
    first = this_host(root).id
    (root / "etc/machine-id").write_text("")
    (root / "var/lib/dbus").mkdir(parents=True)
    (root / "var/lib/dbus/machine-id").write_text(MACHINE_ID)
    assert this_host(root).id == first
    assert len(first) == 16
    assert int(first, 16)
    assert first not in MACHINE_ID


def test_a_machine_without_these_files_is_described_too(tmp_path: Path) -> None:
    """Names come from ``platform``, and the flags are empty."""
    facts = this_host(tmp_path)
    assert facts.cpu_flags == ()
    assert all((facts.id, facts.cpu_model, facts.system, facts.kernel, facts.python))
    assert facts.cores >= 1
    assert facts.memory_bytes > 0


def test_a_processor_without_avx_gets_a_warning(root: Path) -> None:
    """The warning names the processor."""
    facts = this_host(root)
    assert check_cpu(facts) is None
    assert "First: Model" in (check_cpu(replace(facts, cpu_flags=("sse4_2",))) or "")


def test_an_engine_runs_here_if_nothing_contradicts_it(root: Path) -> None:
    """It is reached by a local socket and has the same kernel."""
    facts = this_host(root)
    engine = replace(FakeEngine().describe(), kernel=facts.kernel)
    assert runs_here(facts, engine)
    assert not runs_here(facts, replace(engine, kernel="of a virtual machine"))
    assert not runs_here(facts, replace(engine, machine="another"))
