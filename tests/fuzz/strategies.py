"""Inputs as hypothesis thinks of them: any bytes, any text, any JSON, and damaged sound ones."""

import json
from random import Random

from hypothesis import strategies as st

from tests.fuzz.targets import Target

TEXT = st.text(max_size=300)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=8,
)


def anything(target: Target) -> st.SearchStrategy[bytes]:
    """Return inputs for a target, most of them near to sound ones."""
    damaged = st.integers(0, 2**64).map(Random).map(target.damaged)
    return st.one_of(
        st.binary(max_size=300),
        TEXT.map(lambda text: text.encode(errors="surrogatepass")),
        JSON.map(lambda tree: json.dumps(tree).encode()),
        damaged,
        damaged,
    )
