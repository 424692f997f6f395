"""A watcher's usual options."""

import pytest

from tests.batch.conftest import ScriptedServer


@pytest.fixture
def command(scripted: ScriptedServer) -> list[str]:
    """Options of a watcher that asks the scripted server."""
    return ["--out", "preds.csv", "--server", scripted.address, "--settle", "0.2"]
