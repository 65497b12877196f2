"""The settings of every trial's container: a script can neither leave it nor ruin the host.

The keys are those of the docker SDK. podman understands them, too, except for some of tmpfs.
"""

from collections.abc import Iterable
from typing import Any

from runner.records.study import Limits

NOBODY = "65534"
SHARED_BYTES = 64 * 1024**2
ULIMITS = {"core": (0, 0)}
PODMAN_ULIMITS = {**ULIMITS, "nofile": (1024, 4096), "nproc": (4096, 4096)}
"""By default podman asks for more than a service without CAP_SYS_RESOURCE may give."""


def hardening(limits: Limits, cores: Iterable[int], *, podman: bool = False) -> dict[str, Any]:
    """Return the settings of every trial's container.

    The trial runs on these cores only. There is no swap beside its memory. It can write only to
    /tmp, /out, /dev/shm and the engine's own /dev/mqueue. These are part of the container's memory,
    have a limited size and number of files, and vanish with the container. podman cannot limit the
    number of files; there, the limit on memory does.
    """
    ours = f"uid={NOBODY},gid={NOBODY},mode=0700,nr_inodes={limits.files}"
    own = f"rw,nosuid,nodev,noexec,{'U,notmpcopyup' if podman else ours}"  # U: owned by the user
    opened = ("/run", "/var/tmp") if podman else ()  # noqa: S108  podman mounts them without limits
    ulimits = PODMAN_ULIMITS if podman else ULIMITS
    return {
        "user": f"{NOBODY}:{NOBODY}",
        "working_dir": "/tmp",  # noqa: S108  the container's own
        "network_mode": "none",
        "ipc_mode": "private",
        "use_config_proxy": False,  # the host's proxy setting may contain a password
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": limits.pids,
        "mem_limit": limits.memory_bytes,
        "memswap_limit": limits.memory_bytes,
        "cpuset_cpus": ",".join(map(str, cores)),
        "tmpfs": {
            "/tmp": f"{own},size={limits.temporary_bytes}",  # noqa: S108
            "/out": f"{own},size={limits.output_bytes}",
            "/dev/shm": f"{own},size={SHARED_BYTES}",  # noqa: S108
            **dict.fromkeys(opened, "ro,notmpcopyup,size=4096"),
        },
        "stop_signal": "SIGKILL",  # the launcher takes no other signal, so stopping need not wait
        "init": False,  # the launcher is the first process, so nothing inside can kill or stop it
        "ulimits": [
            {"Name": name, "Soft": soft, "Hard": hard} for name, (soft, hard) in ulimits.items()
        ],
        "log_config": {"Type": "none"},  # we read the stream ourselves
    }
