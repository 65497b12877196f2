"""Real git repositories, also hostile ones."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def ask(folder: Path, *arguments: str) -> str:
    """Run git with an author and without this machine's configuration; return its output."""
    names = {
        f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **names,
    }
    return subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *arguments],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def commit(top: Path, files: Mapping[str, str], *, executable: str | None = None) -> str:
    """Write files and commit everything; return the hash."""
    for name, text in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if name == executable:
            path.chmod(0o755)
    ask(top, "add", ".")
    ask(top, "commit", "--quiet", "-m", "x")
    return ask(top, "rev-parse", "HEAD")


def set_traps(top: Path, started: Path) -> None:
    """Have every setting that can start a program touch ``started``."""
    touch = f"touch {started}; false"
    for name, value in {
        "core.fsmonitor": touch,
        "core.hooksPath": str(top / ".git" / "hooks"),
        "core.sshCommand": touch,
        "core.pager": touch,
        "core.alternateRefsCommand": touch,
        "filter.evil.clean": touch,
        "filter.evil.smudge": touch,
        "filter.evil.process": touch,
        "diff.evil.textconv": touch,
        "remote.origin.url": f"ext::sh -c {started}",
        "extensions.partialClone": "origin",
        "alias.cat-file": f"!{touch}",
        "alias.ls-files": f"!{touch}",
    }.items():
        ask(top, "config", name, value)
    for name in ("post-index-change", "post-checkout", "reference-transaction", "pre-commit"):
        trap(top / ".git" / "hooks" / name, touch)
    trap(top / "git", touch)


def trap(path: Path, command: str) -> None:
    """Write an executable script."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)
