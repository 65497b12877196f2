"""A study folder from a stranger, full of files that try to run commands on the host.

Every trick that works leaves a line in the file ``mark``.
"""

import os
import subprocess
from pathlib import Path

MODULES = (
    *("docker", "yaml", "numpy", "scipy", "pydantic", "jinja2", "tabulate", "rich", "uv"),
    *("pip", "requests", "json", "tempfile", "subprocess", "tarfile", "sitecustomize"),
    *("usercustomize", "conftest", "setup"),
)
PROGRAMS = (
    *("git", "uv", "ldd", "ldconfig", "setpriv", "unshare", "bwrap", "env", "sh", "ssh", "docker"),
    *("podman", "python", "python3", "python3.9", "python3.11", "python3.99", "cc", "gcc", "true"),
    *("docker-credential-evil", "git-lfs", "nsenter", "mount"),
)
GIT_SETTINGS = """\
[core]
    repositoryformatversion = 0
    bare = false
    fsmonitor = {program}
    hooksPath = {folder}/hooks
    pager = {program}
    sshCommand = {program}
    attributesFile = {folder}/.gitattributes
[filter "evil"]
    clean = {program}
    smudge = {program}
    process = {program}
    required = true
[diff "evil"]
    command = {program}
    textconv = {program}
[include]
    path = {folder}/more-settings
[alias]
    describe = !{program}
[uploadpack]
    packObjectsHook = {program}
[extensions]
    partialClone = evil
[remote "evil"]
    url = ext::{program}
    promisor = true
"""
BARE_SETTINGS = """\
[core]
    repositoryformatversion = 0
    bare = true
    worktree = {folder}
    fsmonitor = {program}
"""
SETTINGS = {
    "pip.conf": "[global]\nindex-url = https://index.invalid/\n",
    "uv.toml": 'index-url = "https://index.invalid/"\npython-downloads = "automatic"\n',
    "pyproject.toml": '[tool.uv]\nindex-url = "https://index.invalid/"\n[build-system]\n'
    'requires = []\nbuild-backend = "evil"\nbackend-path = ["."]\n',
    "setup.cfg": "[easy_install]\nindex_url = https://index.invalid/\n",
    ".python-version": "./python3.9\n",
    "pyvenv.cfg": "home = .\ninclude-system-site-packages = true\n",
    ".env": "UV_INDEX_URL=https://index.invalid/\n",
    ".netrc": "machine localhost login evil password evil\n",
    "evil.pth": "import evil\n",
    ".gitattributes": "* filter=evil diff=evil\n",
    "more-settings": "[core]\n    fsmonitor = {program}\n",
    ".gitmodules": '[submodule "evil"]\n    path = evil\n    url = ext::{program}\n',
}


def plant(folder: Path, mark: Path) -> None:
    """Fill a study folder with hostile files. ``folder`` may already hold a study."""
    program = folder / "git"
    for name in PROGRAMS:
        path = folder / name
        path.write_text(f'#!/bin/sh\necho "program $0 $*" >> {mark}\n')
        path.chmod(0o755)
    for name in (*MODULES, "evil"):
        text = f"open({str(mark)!r}, 'a').write('module {name}\\n')\n"
        (folder / f"{name}.py").write_text(text)
        (folder / f"lib{name}.so").write_text("no library")
    for name, text in SETTINGS.items():
        (folder / name).write_text(text.replace("{program}", str(program)))
    _repository(folder, program)
    _bare_repository(folder, program)


def _repository(folder: Path, program: Path) -> None:
    """Commit the folder's study, and then have every setting of git run a program."""
    for words in (("init", "-q"), ("add", "-f", "matrix.yaml", "matrix.lock"), _commit()):
        subprocess.run(
            ["git", "-c", "core.hooksPath=/dev/null", *words],
            cwd=folder,
            env={"PATH": os.defpath, "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"},
            check=True,
        )
    settings = GIT_SETTINGS.format(program=program, folder=folder)
    (folder / ".git" / "config").write_text(settings)
    (folder / "hooks").mkdir()
    for hooks in (folder / "hooks", folder / ".git" / "hooks"):
        for name in ("post-index-change", "fsmonitor-watchman", "reference-transaction"):
            (hooks / name).write_bytes(program.read_bytes())
            (hooks / name).chmod(0o755)
    os.utime(folder / "matrix.yaml")  # so that git would read it through the filter


def _commit() -> tuple[str, ...]:
    settings = ("user.name=a", "user.email=a@localhost", "commit.gpgSign=false")
    return (*(word for one in settings for word in ("-c", one)), "commit", "-q", "-m", "a study")


def _bare_repository(folder: Path, program: Path) -> None:
    """Make the folder itself look like a bare repository, as git finds one embedded in another."""
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "config").write_text(BARE_SETTINGS.format(folder=folder, program=program))
    (folder / "objects").mkdir()
    (folder / "refs").mkdir()
