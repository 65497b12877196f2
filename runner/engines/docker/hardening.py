"""What every container of a trial is created with, so that a script can neither leave nor ruin.

The words are those of the Docker SDK; podman's socket understands the same but for some of tmpfs.
"""

from typing import Any

from runner.records.study import Limits

NOBODY = "65534"
SHARED_BYTES = 64 * 1024**2
ULIMITS = {"core": (0, 0)}
PODMAN_ULIMITS = {**ULIMITS, "nofile": (1024, 4096), "nproc": (4096, 4096)}
"""Without these podman asks for more than a service that lacks CAP_SYS_RESOURCE may give."""


def hardening(limits: Limits, engine_cpus: int, *, podman: bool = False) -> dict[str, Any]:
    """Return what every container of a trial is created with.

    The highest-numbered cores are measured. Memory has no swap beside it. /tmp, /out, /dev/shm and
    the engine's own /dev/mqueue are the only places to write: all lie in the container's memory,
    hold a limited number of files of limited size, and are gone with it. podman knows no limit on
    the number of files, which the limit on memory ends instead.
    """
    cpus = ",".join(str(core) for core in range(engine_cpus - limits.cpus, engine_cpus))
    ours = f"uid={NOBODY},gid={NOBODY},mode=0700,nr_inodes={limits.files}"
    own = f"rw,nosuid,nodev,noexec,{'U,notmpcopyup' if podman else ours}"  # U: the user's own
    opened = ("/run", "/var/tmp") if podman else ()  # noqa: S108 (by podman, without a limit)
    ulimits = PODMAN_ULIMITS if podman else ULIMITS
    return {
        "user": f"{NOBODY}:{NOBODY}",
        "working_dir": "/tmp",  # noqa: S108 (the container's own)
        "network_mode": "none",
        "ipc_mode": "private",
        "use_config_proxy": False,  # a proxy of the host may hold a password
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": limits.pids,
        "mem_limit": limits.memory_bytes,
        "memswap_limit": limits.memory_bytes,
        "cpuset_cpus": cpus,
        "tmpfs": {
            "/tmp": f"{own},size={limits.temporary_bytes}",  # noqa: S108
            "/out": f"{own},size={limits.output_bytes}",
            "/dev/shm": f"{own},size={SHARED_BYTES}",  # noqa: S108
            **dict.fromkeys(opened, "ro,notmpcopyup,size=4096"),
        },
        "stop_signal": "SIGKILL",  # who stops a container need not wait: it would take no other
        "init": False,  # the launcher is the first process: nothing in there can kill or stop it
        "ulimits": [
            {"Name": name, "Soft": soft, "Hard": hard} for name, (soft, hard) in ulimits.items()
        ],
        "log_config": {"Type": "none"},  # we read the stream ourselves
    }
