"""Start programs without privileges."""

import os

from runner.system import child

NOBODY = 65534


def without(*, is_root_inside: bool = False) -> list[str]:
    """Return the command that starts a program without privileges, with ``setpriv``.

    If this process is root, the program is nobody. ``is_root_inside`` is for a user who is root in
    a namespace of its own. ``setpriv`` is not looked up on the program's PATH, which an environment
    may fill. A change of user ends the request to be killed with the parent, so it is made again.
    """
    command = [child.program("setpriv") or "setpriv"]
    if os.geteuid() == 0:
        command += [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if os.geteuid() == 0 or is_root_inside:
        command += ["--bounding-set=-all", "--inh-caps=-all"]
    return [*command, "--no-new-privs", "--pdeathsig", "KILL", "--"]
