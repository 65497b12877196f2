"""The whole test of a cluster: ``python -m tests.cluster``, or ``make test-cluster``.

Three hosts with their own daemons execute the founding study in a short form. One host is killed
in mid-block, and another one is cut off. Before that, trials that sleep show that three hosts need
a third of the time. It needs root, Docker, the package index and about 20 minutes.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from runner.errors import Exit
from runner.records.study import Status
from tests.support.clusters import POSSIBLE, REASON, certificates, lent_cluster
from tests.support.studies import ROOT, ended, results, run_folders, write_study
from tests.support.trials import plain_environment

BLOCKS = 9
MOST_OF_ONE_HOST = 0.45
"""Which share of the time of one host three hosts may need."""
SLEEP_S = 5
SLEEP = f"""
import json, os, time
time.sleep({SLEEP_S})
json.dump({{"format": 1, "values": {{"x": 1.5}}}}, open(os.environ["RESULT_PATH"], "w"))
"""
FOUNDING_S = 3600.0
TRIALS = 8
"""No block of the founding study has more."""


def main() -> int:
    """Run the parts that the words name, by default all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    chosen = parser.parse_args().parts or list(PARTS)
    if not POSSIBLE:
        print(REASON)
        return 1
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="matrix-runner-test-", dir="/tmp") as folder:
            began = time.monotonic()
            PARTS[name](Path(folder))
            print(f"{name}: ok after {time.monotonic() - began:.0f} s", flush=True)
    return 0


def refusals(folder: Path) -> None:
    """Plain TCP and a foreign certificate are refused, by the run and by a worker."""
    with lent_cluster(folder, 1) as cluster:
        study = folder / "study"
        study.mkdir()
        write_study(study, plain_environment(), SLEEP)
        foreign = certificates(folder / "foreign")
        plain = cluster.url.replace("tls", "tcp")
        for url, variables, code in (
            (plain, cluster.variables, Exit.CONFIG),
            (cluster.url, foreign, Exit.ENGINE),
        ):
            run = ended(cluster.run(study, url=url, variables=variables))
            worker = cluster.start_worker(cluster.hosts[0], url, variables)
            assert (run[0], worker.wait(60)) == (code, code), run
            assert "Traceback" not in run[2]
            print(f"  {run[2].strip()}")


def timing(folder: Path) -> None:
    """With trials that sleep, three hosts need at most 0.45 of the time of one."""
    seconds = {}
    for count in (1, 3):
        place = folder / str(count)
        study = place / "study"
        study.mkdir(parents=True)
        write_study(study, plain_environment(), SLEEP, blocks=BLOCKS)
        with lent_cluster(place, count) as cluster:
            warm = ended(cluster.run(study, "--blocks", str(count), "--new"), 600)
            assert warm[0] == Exit.OK, warm
            began = time.monotonic()
            done = ended(cluster.run(study, "--new"), 1200)
            seconds[count] = time.monotonic() - began
            assert done[0] == Exit.OK, done
            check_blocks(study)
    share = seconds[3] / seconds[1]
    print(f"  one host {seconds[1]:.0f} s, three hosts {seconds[3]:.0f} s: {share:.2f}")
    assert share <= MOST_OF_ONE_HOST


def founding(folder: Path) -> None:
    """The founding study survives a killed host and a pulled cable."""
    study = folder / "study"
    study.mkdir()
    for name in ("matrix.yaml", "matrix.lock"):
        shutil.copy(ROOT / name, study)
    shutil.copytree(ROOT / "experiments", study / "experiments", symlinks=False)
    with lent_cluster(folder, 3) as cluster:
        run = cluster.run(study, "--quick", "--blocks", str(BLOCKS))
        killed, cut_off, _ = cluster.hosts
        for host in (killed, cut_off):  # each in its second block
            cluster.await_line(f"{host.name}.log", "  ok", TRIALS + 2, FOUNDING_S)
        killed.die()
        print(f"  killed {killed.name} in mid-block", flush=True)
        cut_off.pull_cable()
        print(f"  cut off {cut_off.name} in mid-block", flush=True)
        code, out, err = ended(run, FOUNDING_S)
        print(out, err)
        assert code == Exit.OK
        check_blocks(study)


def check_blocks(study: Path) -> None:
    """Check that each block of the newest run is complete, was executed once, and has one host."""
    folder = run_folders(study)[-1]
    plan, machines = folder.plan(), folder.run().machines
    assert plan.blocks == BLOCKS
    found = results(study)
    assert sorted(block for one in machines for block in one.blocks) == [*range(1, BLOCKS + 1)]
    assert {one.trial.slot for one in found.values()} == {trial.slot for trial in plan.trials}
    again = [one for one in found.values() if one.trial.attempt > 1]
    assert len(found) == len(plan.trials) + len(again)
    assert Status.ENGINE_LOST not in {one.status for one in found.values()}
    hosts = ", ".join(f"{one.host.id[:6]}: {list(one.blocks)}" for one in machines)
    print(f"  {BLOCKS} blocks, {len(found)} trials, none partial, none twice ({hosts})")


PARTS = {"refusals": refusals, "timing": timing, "founding": founding}


if __name__ == "__main__":
    raise SystemExit(main())
