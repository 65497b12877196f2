"""Old packages whose metadata uv cannot read, with what they mean.

pandas before 0.25 requires ``pytz (>=2011k)``, which is not a version by today's rules.
"""

_PANDAS = {
    ("0.19.2", "0.20.1", "0.20.2", "0.20.3"): ("python-dateutil>=2", "numpy>=1.7.0"),
    ("0.21.0", "0.21.1", "0.22.0"): ("python-dateutil>=2", "numpy>=1.9.0"),
    ("0.23.0", "0.23.1", "0.23.2", "0.23.3", "0.23.4"): ("python-dateutil>=2.5.0", "numpy>=1.9.0"),
    ("0.24.0", "0.24.1", "0.24.2"): ("python-dateutil>=2.5.0", "numpy>=1.12.0"),
}


def settings() -> str:
    """Return the settings that give uv the metadata."""
    return "".join(
        "[[dependency-metadata]]\n"
        f'name = "pandas"\nversion = "{version}"\n'
        f"requires-dist = {['pytz>=2012', *requires]}\n"
        for versions, requires in _PANDAS.items()
        for version in versions
    )
