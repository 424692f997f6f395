"""In the place of tensorflow_model_server, whose image no test can pull: its flags, its files, its status over REST.

Refuses what it is not told to know, reads every file that a flag names and the model, and says LOADING for some seconds
before AVAILABLE.
"""

import re
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

LOADING_SECONDS = 4
FLAGS = dict(argument.removeprefix("--").split("=", 1) for argument in sys.argv[1:])
TEXTS = {name: Path(value).read_text() for name, value in FLAGS.items() if name.endswith("_file")}
(BASE_PATH,) = re.findall(r'base_path: "(.*)"', TEXTS["model_config_file"])
assert Path(BASE_PATH, "1", "saved_model.pb").read_bytes()
START = time.monotonic()


class Handler(BaseHTTPRequestHandler):
    """The model's status."""

    def do_GET(self) -> None:
        """Answer as the REST API does."""
        state = "LOADING" if time.monotonic() < START + LOADING_SECONDS else "AVAILABLE"
        known = self.path == "/v1/models/digits"
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(b'{\n "model_version_status": [\n  {\n   "state": "%s"\n  }\n ]\n}\n' % state.encode())


HTTPServer(("", int(FLAGS["rest_api_port"])), Handler).serve_forever()
