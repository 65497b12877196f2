"""The tunnel to an engine behind ssh."""

from pathlib import Path

import pytest

from runner.engines.docker.ssh import Tunnel


def test_a_tunnel_needs_no_short_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of a socket may have at most 107 bytes, and that of TMPDIR may have more."""
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    tunnel = Tunnel("ssh://nowhere")
    try:
        assert tunnel.address.startswith("unix:///proc/self/fd/")
    finally:
        tunnel.close()
    assert list(folder.iterdir()) == []
