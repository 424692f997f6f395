"""PredictionService: what each of its methods answers."""

import asyncio
import functools
from typing import Any

from tensorflow_serving.apis.model_pb2 import ModelSpec

from serving.lifecycle.describe import check_model_spec, get_model_metadata
from serving.lifecycle.models import Models
from serving.observability.observe import Call
from serving.predict.answers import Answers
from serving.predict.execute import Outputs, Run
from serving.predict.inference import requests
from serving.predict.predict import read_request, write_response


class Prediction:
    """Answers for `models`; each method takes a request, gRPC's context, and a Call that it tells what it learns.

    Requests are run by `run`, whose `answers` come to the event loop that the methods run in. All raise StatusError.
    """

    def __init__(self, models: Models, run: Run, answers: Answers) -> None:
        self._models = models
        self._run = run
        self._answers = answers

    async def predict(self, request: Any, _: object, call: Call) -> bytes:  # noqa: ANN401 - generated classes have no types
        """Answer with the PredictResponse on the wire."""
        check_model_spec(request)
        with self._models.servable(request.model_spec) as servable:
            work = read_request(servable, request)

            def write(outputs: Outputs) -> bytes:
                return bytes(write_response(work, outputs).SerializeToString())

            response = await self._answers.of(self._run, work, write)
        call.version, call.signature = servable.version, work.name
        return response

    async def classify(self, request: Any, _: object, call: Call) -> Any:  # noqa: ANN401 - the same
        """Answer with a ClassificationResponse."""
        return await self._infer(requests.CLASSIFY, request, call)

    async def regress(self, request: Any, _: object, call: Call) -> Any:  # noqa: ANN401 - the same
        """Answer with a RegressionResponse."""
        return await self._infer(requests.REGRESS, request, call)

    async def _infer(self, method: requests.Method, request: Any, call: Call) -> Any:  # noqa: ANN401 - the same
        check_model_spec(request)
        with self._models.servable(request.model_spec) as servable:
            work = requests.read_request(method, servable, request)
            call.elements = requests.count_examples(work)
            write = functools.partial(requests.write_response, method, work)
            response = await self._answers.of(self._run, work, write)
        call.version, call.signature = servable.version, work.name
        return response

    async def multi_inference(self, request: Any, _: object, call: Call) -> Any:  # noqa: ANN401 - the same
        """Answer with a MultiInferenceResponse; the signatures run beside each other, each on all examples."""
        # All tasks are to be for one model; the first one's spec chooses the version.
        spec = request.tasks[0].model_spec if request.tasks else ModelSpec()
        call.model = spec.name
        with self._models.servable(spec) as servable:
            tasks = requests.read_multi_inference(servable, request)
            call.elements = requests.count_examples(tasks[0][1])
            answers = [
                self._answers.of(self._run, work, functools.partial(requests.write_result, method, work))
                for method, work in tasks
            ]
            # Also of a request that fails, all have ended before the version may go.
            results = await asyncio.gather(*answers, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        call.version = servable.version
        return requests.write_multi_inference(tasks, results)

    async def metadata(self, request: Any, _: object, call: Call) -> Any:  # noqa: ANN401 - the same
        """Answer with a GetModelMetadataResponse."""
        response = get_model_metadata(self._models, request)
        call.version = response.model_spec.version.value
        return response
