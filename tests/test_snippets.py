"""The Python snippets of the documentation, run as they stand, against a real server."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
CALL = (ROOT / "docs" / "call.md").read_text(encoding="utf-8")


def test_the_snippet_for_other_services_runs(server: str) -> None:
    """The README's Python snippet gets the right digits from a running server."""
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert "localhost:8500" in snippet
    program = snippet.replace("localhost:8500", server)
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    for line in ("digit [3, 7]", "error [b'', b'']"):
        assert line in result.stdout
        assert f"`{line}`" in README


def test_the_snippets_for_fields_run(server: str, tmp_path: Path) -> None:
    """Both Python snippets of docs/call.md for fields of several digits get texts from a running server."""
    (section,) = re.findall(r"## Fields of several digits\n(.*?)\n## ", CALL, re.DOTALL)
    with_client, with_grpc = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (request,) = re.findall(r"```python\n(.*?)response = ", README, re.DOTALL)
    for name, sample in (("amount.png", "3/3-001.png"), ("date.png", "7/7-001.png")):
        (tmp_path / name).write_bytes((ROOT / "samples" / sample).read_bytes())
    imports = "from pathlib import Path\nfrom batch.client import Client\n"
    programs = (
        (imports + with_client.replace("digits=8", "digits=1"), tmp_path, "3 .*\n7 .*\n"),
        (request + with_grpc + "print(stub.Predict(request).outputs['text'].string_val)", ROOT, r"\[b'3', b'7'\]"),
    )
    for program, folder, answers in programs:
        command = [sys.executable, "-c", program.replace("localhost:8500", server)]
        paths = {**os.environ, "PYTHONPATH": str(ROOT)}
        result = subprocess.run(command, cwd=folder, env=paths, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        assert re.match(answers, result.stdout)
