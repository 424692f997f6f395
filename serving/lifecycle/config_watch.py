"""Polling of --model_config_file: what stands there is served, without a restart.

As in TensorFlow Serving's model_servers/server.cc, each poll reloads the file: what HandleReloadConfigRequest has set
since lasts until then.
"""

import threading
from pathlib import Path

from exporter.command import UserError
from serving.lifecycle.model_config import read_model_config_file
from serving.lifecycle.models import Models
from serving.observability import log
from serving.status import StatusError


class ConfigWatch(threading.Thread):
    """Reads the file every `poll_wait_seconds` and reloads when its models differ from those that are served.

    What failed is tried again at each poll: a label may only wait for its version. A fault is logged once, and what is
    served stays.
    """

    def __init__(self, path: Path, models: Models, *, poll_wait_seconds: float) -> None:
        super().__init__(name="watch model_config_file", daemon=True)
        self._path = path
        self._models = models
        self._poll_wait_seconds = poll_wait_seconds
        self._complaint = ""
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Reload no more."""
        self._stopping.set()

    def run(self) -> None:
        """Poll until `stop`."""
        while not self._stopping.wait(self._poll_wait_seconds):
            try:
                self._poll()
            except (UserError, StatusError) as error:
                if str(error) != self._complaint:
                    log.event(f"the configuration stays as it is: {error}")
                    self._complaint = str(error)
            else:
                self._complaint = ""

    def _poll(self) -> None:
        configs = read_model_config_file(self._path)
        if not self._models.are_configured(configs):
            self._models.reload(configs)
            log.event(f"configured from {self._path}: {', '.join(config.name for config in configs) or 'no models'}")
