"""The examples ask the same kind of server as the tests of serving, or as those of batch."""

from tests.batch.conftest import scripted
from tests.serving.conftest import start_module

__all__ = ["scripted", "start_module"]
