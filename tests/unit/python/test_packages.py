"""How the packages that uv locks are read."""

import pytest

from runner.errors import PackagesError
from runner.python.packages import parse_locked

HASH = "a" * 64
LOCKED = f"""lock-version = "1.0"

[[packages]]
name = "six"
version = "1.12.0"
sdist = {{ url = "x", hashes = {{ sha256 = "{"b" * 64}" }} }}
wheels = [{{ url = "y", upload-time = 2018-12-10T00:00:00Z, hashes = {{ sha256 = "{HASH}" }} }}]

[[packages]]
name = "wrapt"
version = "1.11.2"
sdist = {{ url = "z", hashes = {{ sha256 = "{"c" * 64}" }} }}
"""


def test_locked_hashes_are_those_of_the_wheels_or_of_the_source() -> None:
    """A package with wheels is never built from source; one without is checked as source."""
    six, wrapt = parse_locked(LOCKED)
    assert (six.name, six.version, six.hashes) == ("six", "1.12.0", (f"sha256:{HASH}",))
    assert (wrapt.name, wrapt.hashes) == ("wrapt", (f"sha256:{'c' * 64}",))
    assert (six.source, wrapt.source) == (False, True)


@pytest.mark.parametrize(
    ("good", "hostile"), [("six", "--index-url=http://a.invalid"), ("1.12.0", "1 --hash=x")]
)
def test_names_from_an_index_are_checked(good: str, hostile: str) -> None:
    """Neither an index nor a build can put an option into a lock."""
    with pytest.raises(PackagesError, match=r"names a package that cannot be: (name|version): exp"):
        parse_locked(LOCKED.replace(f'"{good}"', f'"{hostile}"'))


def test_package_from_elsewhere_cannot_be_locked() -> None:
    """A package without version or hash is refused by name."""
    text = '[[packages]]\nname = "mine"\ndirectory = { path = "." }\n'
    with pytest.raises(PackagesError, match="mine has no version and hash"):
        parse_locked(text)
