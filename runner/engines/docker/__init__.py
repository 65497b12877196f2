"""Docker and podman: trials run in containers."""
