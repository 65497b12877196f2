"""A script can neither leave its container nor ruin its host."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.engines.docker.labels import LABEL
from runner.engines.docker.trials import DockerEngine
from runner.execute import clear
from runner.records.environment import Image
from runner.records.study import Limits, Status
from runner.system.context import context_digest
from tests.support.served import Served
from tests.support.trials import NUMBER, REFUSED, RUN, TRIAL, Execute, executed, requested

pytestmark = pytest.mark.engine

MIB = 1024**2
LIMITS = Limits()
SMALL = Limits(memory_bytes=192 * MIB, pids=64)
WAITS = "import time; print('on'); time.sleep(60)"
LOOKS_AROUND = (
    REFUSED
    + """
import json, os, socket

def writable(folder):
    path = os.path.join(folder, "mine")
    if refused(lambda: open(path, "w").close()):
        return False
    os.unlink(path)
    return True

mounts = [line.split()[1] for line in open("/proc/mounts")]
folders = [os.path.join("/", name) for name in os.listdir("/")]
print(json.dumps({
    "status": dict(line.rstrip("\\n").split(":\\t", 1) for line in open("/proc/self/status")),
    "interfaces": os.listdir("/sys/class/net"),
    "names": refused(lambda: socket.getaddrinfo("example.org", 80)),
    "gateway": refused(lambda: socket.create_connection(("172.17.0.1", 22), 5).close()),
    "internet": refused(lambda: socket.create_connection(("192.0.2.1", 80), 5).close()),
    "writable": sorted({path for path in mounts + folders + ["/"] if writable(path)}),
    "staged": refused(lambda: open(__file__, "a")),
    "host": os.path.exists(%r),
    "socket": os.path.exists("/var/run/docker.sock"),
    "environment": open("/proc/self/environ").read() + repr(dict(os.environ)),
    "processes": [name for name in os.listdir("/proc") if name.isdigit()],
}))
"""
)


OWN = """\
FROM {base}
USER 0
WORKDIR /inputs
VOLUME /data /tmp /tmp/nested
ENTRYPOINT ["false"]
CMD ["false"]
HEALTHCHECK --interval=1s CMD touch /tmp/checked
"""
"""A user's own Dockerfile that sets whatever could matter to a trial."""


@pytest.fixture(scope="module", params=["environment", "own"])
def image(
    request: pytest.FixtureRequest, served: Served, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Image]:
    """Return an image that we installed, and one that we did not."""
    if request.param == "environment":
        yield served.image
        return
    folder = tmp_path_factory.mktemp("own")
    (folder / "Dockerfile").write_text(OWN.format(base=served.image.base.name))
    own = served.engine.build_own(requested("own", context_digest(folder)), folder)
    yield own
    served.client.images.remove(own.id)


@pytest.fixture(scope="module")
def inspected(
    served: Served, image: Image, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """Return the engine's description of the container of a running trial."""
    found: list[dict[str, Any]] = []

    def inspect(_: str) -> None:
        (container,) = served.client.containers.list(filters={"label": f"{LABEL}run={RUN}"})
        found.append(container.attrs)
        container.kill()

    folder = tmp_path_factory.mktemp("script")
    executed(served.engine, image, folder, WAITS, watch=inspect)
    return found[0]


def test_a_trial_cannot_affect_its_host(
    inspected: dict[str, Any], served: Served, image: Image
) -> None:
    """It has no network, no capability, no privilege, no host path and no writable disk."""
    host = inspected["HostConfig"]
    assert inspected["State"]["Running"]
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"] or served.podman  # podman lists each of them
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["Privileged"] is False
    assert {host["PidMode"], host["UTSMode"], host["UsernsMode"]} <= {"", "private"}
    assert host["IpcMode"] == (
        "shareable" if served.podman else "private"
    )  # podman never says private
    assert not host["Devices"]
    mounts = inspected["Mounts"]
    declared = {"/data", "/tmp/nested"} if image.label == "app=own" else set()  # noqa: S108
    assert {mount["Destination"] for mount in mounts} == {"/inputs", *declared}
    assert {(mount["Type"], mount["RW"]) for mount in mounts} == {("volume", False)}
    assert inspected["Config"]["Healthcheck"]["Test"] == ["NONE"]
    writable = {path for path, options in host["Tmpfs"].items() if not options.startswith("ro,")}
    assert writable == {"/tmp", "/out", "/dev/shm"}  # noqa: S108 (the container's own)
    assert inspected["Config"]["User"] == "65534:65534"


def test_no_volume_outlives_its_run(inspected: dict[str, Any], served: Served) -> None:
    """Not even that of an image."""
    names = {mount["Name"] for mount in inspected["Mounts"]}
    clear(served.engine, RUN)
    assert not names & {volume.name for volume in served.client.volumes.list()}


def test_a_trial_has_its_limits(inspected: dict[str, Any], served: Served) -> None:
    """Memory without swap, a number of processes, and the highest-numbered core."""
    host = inspected["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == LIMITS.memory_bytes
    assert host["PidsLimit"] == LIMITS.pids
    assert host["CpusetCpus"] == str(served.engine.describe().cpus - 1)
    assert not host.get("Init")  # the launcher is the first process
    assert host["RestartPolicy"]["Name"] in {"", "no"}


def test_a_container_is_labelled(inspected: dict[str, Any]) -> None:
    """With its machine, its run and its trial."""
    found = inspected["Config"]["Labels"]
    assert found[LABEL + "machine"] == "engine-tests"
    assert found[LABEL + "run"] == RUN
    assert found[LABEL + "trial"] == TRIAL


def test_the_script_sees_only_its_container(
    served: Served, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen from inside. No variable of the runner and no proxy setting of the host reaches it."""
    secret = "not-for-the-script"
    settings = {"proxies": {"default": {"httpProxy": f"http://me:{secret}@proxy.invalid:1"}}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{secret}@proxy.invalid:1")
    monkeypatch.setenv("MY_TOKEN", secret)
    engine = DockerEngine(served.connect(), "engine-tests")
    try:
        script = LOOKS_AROUND % str(tmp_path / "config.json")
        outcome, _, _ = executed(engine, image, tmp_path, script)
    finally:
        engine.close()
    seen = json.loads(outcome.log)
    status = seen["status"]
    assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {
        "0" * 16
    }
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert set(status["Uid"].split() + status["Gid"].split()) == {"65534"}
    assert set(status["Groups"].split()) <= {"65534"}
    assert seen["interfaces"] == ["lo"]
    assert seen["names"]
    assert (seen["gateway"], seen["internet"]) == ("Network is unreachable",) * 2
    assert seen["writable"] == ["/dev/mqueue", "/dev/shm", "/out", "/tmp"]  # noqa: S108
    assert seen["staged"]
    assert (seen["host"], seen["socket"]) == (False, False)
    assert secret not in seen["environment"]
    assert len(seen["processes"]) == 2  # the launcher and the script


FILLS = """
import os
folder = {folder}
done = 0
with open(folder, "wb", 0) as file:
    try:
        while done < {size}:
            done += file.write(b"x" * 2**20)
    except OSError as error:
        print(done)
        raise
"""


@pytest.mark.parametrize(
    ("folder", "limit"),
    [
        ("os.path.join(os.path.dirname(os.environ['RESULT_PATH']), 'big')", LIMITS.output_bytes),
        ("os.environ['RESULT_PATH']", LIMITS.output_bytes),
        ("'/tmp/big'", LIMITS.temporary_bytes),
        ("'/dev/shm/big'", 64 * MIB),
    ],
    ids=["output", "result", "temporary", "shared-memory"],
)
def test_a_trial_cannot_fill_the_disk(execute: Execute, folder: str, limit: int) -> None:
    """2 GB fit nowhere: the script fails at the limit, and the reason says so."""
    script = FILLS.format(folder=folder, size=2**31)
    outcome, result, seen = execute(script)
    assert result.status is Status.FAILED
    assert result.reason == "exit code 1: OSError: [Errno 28] No space left on device"
    assert 0 < int(seen[0]) <= limit, outcome.log


@pytest.mark.parametrize("folder", ["/tmp", "/out", "/dev/shm"])  # noqa: S108
def test_the_number_of_files_is_limited(execute: Execute, served: Served, folder: str) -> None:
    """Empty files take memory, too."""
    if served.podman:
        pytest.skip("podman cannot limit the number of files; the memory limit applies")
    script = f"""
done = 0
try:
    while done < 10**6:
        open("{folder}/%d" % done, "w").close()
        done += 1
finally:
    print(done)
"""
    _, result, seen = execute(script)
    assert result.status is Status.FAILED
    assert str(result.reason).startswith("exit code 1: OSError: [Errno 28] No space left on device")
    assert LIMITS.files - 10 < int(seen[0]) <= LIMITS.files


def test_a_sparse_result_is_refused(execute: Execute) -> None:
    """A result with an apparent size of 1 TB is not read."""
    script = "import os; open(os.environ['RESULT_PATH'], 'wb').truncate(10**12)"
    _, result, _ = execute(script)
    assert result.status is Status.BAD_OUTPUT
    assert result.reason == "$RESULT_PATH is larger than its limit of 1048576 bytes"


def test_1_gb_of_output_is_cut(execute: Execute) -> None:
    """The middle is dropped while it is printed, and the result still counts."""
    script = f"import os; [os.write(1, b'x' * 2**20) for _ in range(2**10)]; {NUMBER}"
    outcome, result, seen = execute(script)
    assert (result.status, result.values) == (Status.OK, {"x": 1.5})
    assert result.reading is not None
    left_out = result.reading.log_left_out_bytes
    assert left_out == 2**30 - LIMITS.log_bytes
    assert f"[... {left_out} bytes left out ...]" in outcome.log
    assert max(map(len, seen)) < 10**5
    assert outcome.duration_s < 60


BOMB = "keep = [bytes([1]) * 2**20 for _ in range(2**12)]"


@pytest.mark.parametrize(
    "script",
    [BOMB, f"import os\nif os.fork():\n    os.wait()\n    {NUMBER}\nelse:\n    {BOMB}\n"],
    ids=["script", "child"],
)
def test_only_the_script_runs_out_of_memory(execute: Execute, script: str) -> None:
    """The launcher survives and reports it, even if only a child was killed."""
    _, result, _ = execute(script, limits=SMALL)
    assert result.status is Status.OUT_OF_MEMORY
    assert result.reason == "the kernel killed a process of the script for its memory"
    assert result.values == {}
    assert result.reading is not None


def test_a_fork_bomb_ends_at_its_time_limit(execute: Execute, served: Served) -> None:
    """The number of processes is limited, and all of them end with the trial."""
    script = """
import os
most = 0
while True:
    try:
        os.fork()
    except OSError:
        count = sum(name.isdigit() for name in os.listdir("/proc"))
        if count > most:
            most = count
            os.write(1, b"%d\\n" % count)
"""
    outcome, result, seen = execute(script, limits=SMALL, timeout_s=2.0)
    assert (result.status, result.reason) == (Status.TIMED_OUT, "stopped at its time limit of 2 s")
    assert 30 < max(map(int, filter(None, seen))) <= SMALL.pids
    assert outcome.duration_s < 30
    assert all(one.kind != "container" for one in served.engine.owned() if one.run == RUN)


def test_a_daemon_ends_with_its_trial(execute: Execute) -> None:
    """A grandchild in its own session that keeps the output open neither blocks nor survives."""
    script = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
os.wait()
{NUMBER}
"""
    outcome, result, _ = execute(script)
    assert result.status is Status.OK
    assert outcome.duration_s < 20
