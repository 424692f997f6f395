"""In the place of tensorflow_model_server, whose image no test can pull: its flags, its files, its status over REST.

Refuses a flag without a value, reads every file that a flag names and the model, and says LOADING for some seconds
before AVAILABLE. Loads versions as core/basic_manager.cc does: in --num_load_threads threads, or with 0 in the one that
looks for versions. A load that fails keeps its thread until it has been tried --max_num_load_retries times again.
"""

import json
import os
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LOADING_SECONDS = float(os.environ.get("LOADING_SECONDS", "4"))
FLAGS = dict(argument.removeprefix("--").split("=", 1) for argument in sys.argv[1:])
TEXTS = {name: Path(value).read_text() for name, value in FLAGS.items() if name.endswith("_file")}
(BASE_PATH,) = re.findall(r'base_path: "(.*)"', TEXTS["model_config_file"])
assert Path(BASE_PATH, "1", "saved_model.pb").read_bytes()
THREADS = int(FLAGS.get("num_load_threads", "0"))
RETRIES = int(FLAGS.get("max_num_load_retries", "5"))
RETRY_SECONDS = int(FLAGS.get("load_retry_interval_micros", "60000000")) / 1e6
STATES: dict[str, str] = {}


def load(version: str) -> None:
    """Load a version, which is to find its file; keep the thread until it is loaded or given up."""
    STATES[version] = "LOADING"
    for attempt in range(RETRIES + 1):
        time.sleep(RETRY_SECONDS if attempt else LOADING_SECONDS)
        if Path(BASE_PATH, version, "saved_model.pb").is_file():
            STATES[version] = "AVAILABLE"
            return
    STATES[version] = "END"


def watch() -> None:
    """Have every version loaded that there is, as soon as it is found."""
    pool = ThreadPoolExecutor(THREADS) if THREADS else None
    while True:
        for version in sorted(folder.name for folder in Path(BASE_PATH).iterdir() if folder.name.isdigit()):
            if version not in STATES:
                STATES[version] = "START"
                if pool:
                    pool.submit(load, version)
                else:
                    load(version)
        time.sleep(0.1)


class Handler(BaseHTTPRequestHandler):
    """The model's status."""

    def do_GET(self) -> None:
        """Answer as the REST API does."""
        known = self.path == "/v1/models/digits"
        self.send_response(200 if known else 404)
        self.end_headers()
        versions = [{"version": version, "state": state} for version, state in list(STATES.items())]
        self.wfile.write(json.dumps({"model_version_status": versions}, indent=1).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


threading.Thread(target=watch, daemon=True).start()
ThreadingHTTPServer(("", int(FLAGS["rest_api_port"])), Handler).serve_forever()
