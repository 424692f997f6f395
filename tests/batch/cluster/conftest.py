"""What a test of jobs leaves open is closed after it."""

from collections.abc import Iterator

import pytest

from batch.cluster.reach import let_go


@pytest.fixture(autouse=True)
def _let_go() -> Iterator[None]:
    yield
    let_go()
