"""The scripts of the workflows, as an ordinary user executes them in a fresh clone."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.actions import Job, checked_out
from tests.support.public_index import index_or_skip

pytestmark = [pytest.mark.engine, pytest.mark.index]

USER = 4713


@pytest.fixture
def clone() -> Iterator[Path]:
    """Return the checkout of a pull request. It lies where other users may enter, and is theirs."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="actions-") as folder:
        checkout = checked_out(Path(folder))
        Path(folder).chmod(0o755)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", f"{USER}:{USER}", str(checkout.parent)], check=True)
        yield checkout


def test_a_pull_request_that_changes_a_lock_file(clone: Path) -> None:
    """Install, compare base and head, refuse, and pass on why: all with the scripts as they are."""
    index_or_skip()
    ignore_a_busy_machine(clone)
    workflow = clone / ".github" / "workflows" / "matrix-pull-request.yml"
    workflow.write_text(workflow.read_text().replace("--budget 90m", " ".join(shorter())))
    names = ("SSL_CERT_FILE", "PIP_CERT", "PIP_FIND_LINKS", "PIP_INDEX_URL", "UV_DEFAULT_INDEX")
    job = Job(
        workspace=clone,
        home=clone.parent,
        context={"github": {"run_id": "7", "run_attempt": "1"}},
        user=USER if os.geteuid() == 0 else None,
        variables={
            "PIP_NO_COMPILE": "1",  # most of the program is not used
            **{name: os.environ[name] for name in names if name in os.environ},
        },
    )
    outputs = job.execute("matrix-pull-request.yml", "upgrade")["matrix"]["outputs"]
    assert list(job.seconds) == [
        "Install matrix-runner",
        "Run the matrix",
        "Write the summary and the outputs",
    ]
    assert job.foreign == ["actions/checkout", "actions/cache", *["actions/upload-artifact"] * 2]
    assert "Do not upgrade to deps after (hold)" in job.log
    assert job.is_failed
    run = Path(outputs["run"])
    assert run.parent.parent == job.temporary
    assert outputs["verdict"] == "hold"
    assert outputs["digest"].startswith("sha256:")
    assert Path(outputs["report"]).is_file()
    assert job.summary == (run / "summary.md").read_text()
    report = (run / "report.md").read_text()
    assert "Changed: sortedcontainers 2.3.0 \N{RIGHTWARDS ARROW} 2.4.0." in report


def shorter() -> Iterator[str]:
    """Yield arguments for the system's Python, short trials, and a limit that none keeps."""
    version = ["/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    python = subprocess.run(version, check=True, capture_output=True, text=True).stdout.strip()
    yield "--engine venv"
    yield f"--set 'environment.python=\"{python}\"'"
    yield "--set parameters.rounds=2 --set policy.work_seconds=-99%"


def ignore_a_busy_machine(clone: Path) -> None:
    """Have the guards of the clone wait for nothing."""
    with (clone / "runner" / "plan.py").open("a") as file:
        file.write("GUARDS = Guards(foreign_share=1e9, steal_share=1e9, window_s=0.0)\n")
