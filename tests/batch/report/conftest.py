"""Runs with a report."""

from collections.abc import Callable
from pathlib import Path

import grpc
import pytest

from batch.client import wire_pb2 as wire
from tests.batch.conftest import ScriptedServer, answer
from tests.conftest import RunBatch
from tests.support import Image as Pixels
from tests.support import write_png

NASTY = "<img src=x onerror=alert(1)>\u202egnp.png"
"""The name of a file; it cannot have a slash."""
NASTY_ERROR = "</td><script>document.title = 'owned'</script>"

Report = Callable[..., Path]


@pytest.fixture
def scans(tmp_path: Path, mnist_sample: tuple[Pixels, Pixels]) -> Path:
    """Real PNGs in folders by digit, one with markup for its name, and one that is gone."""
    folder = tmp_path / "scans"
    for digit in range(10):
        (folder / str(digit)).mkdir(parents=True)
        images, labels = mnist_sample
        for number, image in enumerate(images[labels == digit][:4]):
            octets = write_png(image[:, :, None]) + bytes([digit + (number == 3)])
            (folder / str(digit) / f"{number}.png").write_bytes(octets)
    (folder / "1" / "0.png").rename(folder / "1" / NASTY)
    (folder / "9" / "gone.png").symlink_to("nowhere")
    return folder


@pytest.fixture
def report(tmp_path: Path, scans: Path, scripted: ScriptedServer, digits_batch: RunBatch) -> Report:
    """Run digits-batch with a report, and return its page. The server gives confidences of many sizes, and an error."""
    given = iter(range(10_000))

    def scripted_answer(request: wire.PredictRequest, *, version: int) -> wire.PredictResponse:
        response = answer(request, version=version)
        confidences = response.outputs["confidence"].float_val
        for place, image in enumerate(request.inputs["image_bytes"].string_val):
            confidences[place] = 1 - 0.9 ** (1 + next(given))
            if image[-1] == 10:
                response.outputs["digit"].int64_val[place] = -1
                response.outputs["error"].string_val[place] = NASTY_ERROR.encode()
        return response

    scripted.answer = scripted_answer

    def run(*arguments: str, exit_code: int = 1, **environment: str) -> Path:
        options = ("--out", "out.csv", "--report", "report", "--server", scripted.address, "--force")
        result = digits_batch(*(arguments or ("scans",)), *options, **environment)
        assert result.returncode == exit_code, result.stderr
        assert "Traceback" not in result.stderr
        return tmp_path / "report" / "index.html"

    return run


def refused(context: grpc.ServicerContext) -> None:
    """Answer as a server that does not want to go on."""
    context.abort(grpc.StatusCode.PERMISSION_DENIED, "closed")
