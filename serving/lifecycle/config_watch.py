"""Polling of --model_config_file: what changes there is served, without a restart."""

import threading
from collections.abc import Sequence
from pathlib import Path

from exporter.command import UserError
from serving.lifecycle.model_config import ModelConfig, read_model_config_file
from serving.lifecycle.models import Models
from serving.observability import log
from serving.status import StatusError


class ConfigWatch(threading.Thread):
    """Reads the file every `poll_wait_seconds` and reloads when its models differ from those read before.

    What failed is tried again at each poll: a label may only wait for its version. A fault is logged once, and what is
    served stays.
    """

    def __init__(self, path: Path, models: Models, configs: Sequence[ModelConfig], *, poll_wait_seconds: float) -> None:
        super().__init__(name="watch model_config_file", daemon=True)
        self._path = path
        self._models = models
        self._configs = configs
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
        if configs != self._configs:
            self._models.reload(configs)
            self._configs = configs
            log.event(f"configured from {self._path}: {', '.join(config.name for config in configs) or 'no models'}")
