"""Every setting that keeps a script in its container and away from the host."""

import pytest

from runner.engines.docker.hardening import hardening
from runner.records.study import Limits

CORES = (6, 7)
LIMITS = Limits(cpus=2, memory_bytes=2**30, pids=99, files=1000)
OPTIONS = "rw,nosuid,nodev,noexec,uid=65534,gid=65534,mode=0700,nr_inodes=1000"
PODMAN_OPTIONS = "rw,nosuid,nodev,noexec,U,notmpcopyup"
PODMAN_READ_ONLY = "ro,notmpcopyup,size=4096"
NO_CORE_DUMPS = {"Name": "core", "Soft": 0, "Hard": 0}

EXPECTED = {
    "user": "65534:65534",
    "working_dir": "/tmp",  # noqa: S108
    "network_mode": "none",
    "ipc_mode": "private",
    "use_config_proxy": False,
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "pids_limit": 99,
    "mem_limit": 2**30,
    "memswap_limit": 2**30,
    "cpuset_cpus": "6,7",
    "tmpfs": {
        "/tmp": f"{OPTIONS},size={LIMITS.temporary_bytes}",  # noqa: S108
        "/out": f"{OPTIONS},size={LIMITS.output_bytes}",
        "/dev/shm": f"{OPTIONS},size={64 * 2**20}",  # noqa: S108
    },
    "stop_signal": "SIGKILL",
    "init": False,
    "ulimits": [NO_CORE_DUMPS],
    "log_config": {"Type": "none"},
}
PODMAN_EXPECTED = {
    **EXPECTED,
    "tmpfs": {
        "/tmp": f"{PODMAN_OPTIONS},size={LIMITS.temporary_bytes}",  # noqa: S108
        "/out": f"{PODMAN_OPTIONS},size={LIMITS.output_bytes}",
        "/dev/shm": f"{PODMAN_OPTIONS},size={64 * 2**20}",  # noqa: S108
        "/run": PODMAN_READ_ONLY,
        "/var/tmp": PODMAN_READ_ONLY,  # noqa: S108
    },
    "ulimits": [
        NO_CORE_DUMPS,
        {"Name": "nofile", "Soft": 1024, "Hard": 4096},
        {"Name": "nproc", "Soft": 4096, "Hard": 4096},
    ],
}


@pytest.mark.parametrize("setting", EXPECTED)
def test_docker_gets_each_setting(setting: str) -> None:
    """A container without one of these is less isolated, or is not limited."""
    assert hardening(LIMITS, CORES)[setting] == EXPECTED[setting]


@pytest.mark.parametrize("setting", PODMAN_EXPECTED)
def test_podman_gets_each_setting(setting: str) -> None:
    """Only the options of tmpfs and the limits that podman would raise are different."""
    assert hardening(LIMITS, CORES, podman=True)[setting] == PODMAN_EXPECTED[setting]


@pytest.mark.parametrize("podman", [False, True])
def test_there_are_no_other_settings(*, podman: bool) -> None:
    """A new setting is added here, too."""
    assert set(hardening(LIMITS, CORES, podman=podman)) == set(EXPECTED)
