"""A private package index with a password, which nothing that is written contains."""

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import docker
import pytest

from tests.support.pages import Page, serving
from tests.support.studies import CALM, ROOT, ended, results, started

pytestmark = pytest.mark.engine

USER, PASSWORD = "reader", "s3cret-4711"
MATRIX = """\
format: 1
name: private
axes:
  secretive: {{package: secretive, versions: ["1.0", "2.0"]}}
environment: {{as_of: today, source_packages: refuse, index: {{default: "{url}/simple"}}}}
experiment: {{script: script.py}}
metrics: {{x: {{better: lower}}}}
limits: {{memory: 256m, timeout: 60}}
blocks: 1
repeats: 0
"""
SCRIPT = """\
import json, os, secretive
json.dump({"format": 1, "values": {"x": secretive.X}}, open(os.environ["RESULT_PATH"], "w"))
"""


def _wheel(version: str, number: str = "") -> bytes:
    """Return a wheel with one module and its number, by default the version."""
    packed, info = io.BytesIO(), f"secretive-{version}.dist-info"
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("secretive.py", f"X = {number or version}\n")
        file.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: secretive\nVersion: {version}\n"
        )
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\nRoot-Is-Purelib: true\n"
        )
        file.writestr(f"{info}/RECORD", "secretive.py,,\n")
    return packed.getvalue()


def _pages() -> dict[str, Page]:
    """Return the pages of an index with two versions, without upload times."""
    pages: dict[str, Page] = {}
    links = []
    for version in ("1.0", "2.0"):
        name, content = f"secretive-{version}-py3-none-any.whl", _wheel(version)
        pages[f"/files/{name}"] = (200, "application/zip", content)
        links.append(
            f'<a href="/files/{name}#sha256={hashlib.sha256(content).hexdigest()}">{name}</a>'
        )
    pages["/simple/secretive/"] = (200, "text/html", "\n".join(links))
    return pages


@pytest.mark.usefixtures("programs_engine")
def test_a_password_is_used_and_appears_nowhere(
    tmp_path: Path, client: docker.DockerClient
) -> None:
    """Not in the output, the lock, the run, the report, the caches or the image."""
    folder, cache, netrc = tmp_path / "study", tmp_path / "cache", tmp_path / "netrc"
    folder.mkdir()
    netrc.write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n")
    netrc.chmod(0o600)
    (folder / "script.py").write_text(SCRIPT)
    with serving(_pages(), f"{USER}:{PASSWORD}") as (url, asked):
        (folder / "matrix.yaml").write_text(MATRIX.format(url=url))
        done = subprocess.run(
            [sys.executable, "-c", CALM, "--matrix", "matrix.yaml"],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "NETRC": str(netrc),
                "XDG_CACHE_HOME": str(cache),
            },
            capture_output=True,
            check=False,
            text=True,
            timeout=200,
        )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    found = results(folder)
    assert {one.values["x"] for one in found.values()} == {1.0, 2.0}
    assert any("Basic" in one for one in asked)
    written = [path for place in (folder, cache) for path in place.rglob("*") if path.is_file()]
    assert folder / "matrix.lock" in written
    assert [path for path in written if PASSWORD.encode() in path.read_bytes()] == []
    assert PASSWORD not in done.stdout
    for image in {one.image for one in found.values()}:
        known = client.images.get(str(image))
        assert PASSWORD not in str(known.attrs)
        assert PASSWORD not in str(known.history())


def test_without_the_password_the_index_is_named(tmp_path: Path) -> None:
    """The message says which index refuses."""
    (tmp_path / "script.py").write_text(SCRIPT)
    with serving(_pages(), f"{USER}:{PASSWORD}") as (url, _):
        (tmp_path / "matrix.yaml").write_text(MATRIX.format(url=url))
        done = subprocess.run(
            [sys.executable, "-m", "runner", "lock"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "NETRC": os.devnull},
            capture_output=True,
            check=False,
            text=True,
            timeout=200,
        )
    assert done.returncode == 5
    assert "cannot be asked for secretive: it answered with 401" in done.stderr


@pytest.mark.usefixtures("programs_engine")
def test_a_folder_of_wheels_comes_before_an_index(tmp_path: Path) -> None:
    """Another package with the name of a private one is never installed, nor are its dates used."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "not-a-wheel.whl").touch()
    own = tmp_path / "wheels" / "secretive-1.0-py3-none-any.whl"
    own.write_bytes(_wheel("1.0", "9.0"))
    with serving(_pages()) as (url, _):
        text = MATRIX.format(url=url).replace("/simple", '/simple", wheels: "wheels')
        text = text.replace("as_of: today, ", "").replace(', "2.0"', "")
        (tmp_path / "matrix.yaml").write_text(text)
        code, out, err = ended(started(tmp_path, "--matrix", "matrix.yaml"))
        assert (code, err) == (0, ""), out
        assert {one.values["x"] for one in results(tmp_path).values()} == {9.0}
        code, out, _ = ended(started(tmp_path, "plan"))
    assert "to lock:  nothing\nto build: nothing" in out
