"""The examples ask the same kind of server as the tests of serving."""

from tests.serving.conftest import start_module

__all__ = ["start_module"]
