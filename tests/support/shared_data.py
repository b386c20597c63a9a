"""The reference data beside the checkout, tested against in place."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def shared(relative):
    """A path below the reference data; skips the test where it is absent."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"reference data not here: ../shared/data/{relative}")
    return path
