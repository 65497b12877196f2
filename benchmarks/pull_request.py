"""Measure the time from click to verdict: the job of a pull request that changes a lock file.

Usage::

    python -m benchmarks.pull_request [--engine venv|docker|podman]

It executes ``.github/workflows/matrix-pull-request.yml`` as GitHub does: checkout, installation of
the program, locks, environments, 5 blocks of a script that takes 10 seconds, and the verdict. Home,
caches and temporary files are new, except for pip's cache of this user. An engine keeps images, so
with Docker or podman only the first measurement on a machine is cold. The goal is 15 minutes on two
cores.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from tests.support.actions import Job, checked_out

GOAL_S = 900.0


def main() -> None:
    """Print how long each part took, and whether the goal was reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--engine", choices=("venv", "docker", "podman"), default="venv")
    engine = parser.parse_args().engine
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="pull-request-") as folder:
        Path(folder).chmod(0o755)  # trials may run as another user
        began = time.monotonic()
        checkout = checked_out(Path(folder))
        print(f"checkout: {time.monotonic() - began:.0f} s", flush=True)
        workflow = checkout / ".github" / "workflows" / "matrix-pull-request.yml"
        text = workflow.read_text(encoding="utf-8")
        workflow.write_text(text.replace("--budget 90m", f"--budget 90m --engine {engine}"))
        job = Job(
            workspace=checkout,
            home=checkout.parent,
            context={"github": {"run_id": "1", "run_attempt": "1"}},
            variables={
                **os.environ,
                "HOME": str(checkout.parent),
                "XDG_CACHE_HOME": f"{folder}/cache",
                "XDG_STATE_HOME": f"{folder}/state",
                "MATRIX_RUNNER_CACHE": f"{folder}/environments",
                "PIP_CACHE_DIR": str(Path.home() / ".cache" / "pip"),
            },
        )
        outputs = job.execute("matrix-pull-request.yml", "upgrade")["matrix"]["outputs"]
        took = time.monotonic() - began
    print(job.log)
    print("\n".join(f"{name}: {seconds:.0f} s" for name, seconds in job.seconds.items()))
    print(f"verdict: {outputs.get('verdict')}")
    reached = "reached" if took <= GOAL_S else "missed"
    print(f"from click to verdict: {took:.0f} s (goal: {GOAL_S:.0f} s, {reached})")


if __name__ == "__main__":
    main()
