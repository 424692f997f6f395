"""PredictionService and ModelService: their methods, and what all calls have in common.

Methods that are not here are answered UNIMPLEMENTED by gRPC itself.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from serving.grpc_api.prediction import Prediction
from serving.lifecycle.describe import get_model_status, handle_reload_config
from serving.lifecycle.models import Models
from serving.observability.observe import Call, Observers, UnderWay
from serving.predict.answers import Answers
from serving.predict.execute import Run
from serving.status import StatusError, shortened

_LONGEST_DEADLINE_SECONDS = 1e6
_CALLER_AHEAD_SECONDS = 0.1
_CALLER_AHEAD_SHARE = 0.1

Context = grpc.aio.ServicerContext[Any, Any]
Respond = Callable[[Any, Context, Call], Awaitable[Any]]
"""Answers a request with a message, or its bytes; tells the Call what is known of it only then."""


def add_services(
    server: grpc.aio.Server, models: Models, run: Run, answers: Answers, observers: Observers, under_way: UnderWay
) -> None:
    """Register tensorflow.serving.PredictionService and ModelService, answering for `models`, with a server.

    Requests are run by `run`, whose `answers` come to the server's event loop; `observers` are told of each
    call, and `under_way` counts them.
    """
    prediction = Prediction(models, run, answers)

    async def status(request: Any, _: Context, call: Call) -> Any:  # noqa: ANN401, ARG001 - the same
        return get_model_status(models, request)

    async def reload(request: Any, context: Context, call: Call) -> Any:  # noqa: ANN401, ARG001 - the same
        # In a thread: it waits for models to load.
        seconds = _seconds_left(context)
        return await asyncio.get_running_loop().run_in_executor(None, handle_reload_config, models, request, seconds)

    methods: dict[str, dict[str, tuple[Any, Respond]]] = {
        "PredictionService": {
            "Predict": (predict_pb2.PredictRequest, prediction.predict),
            "Classify": (classification_pb2.ClassificationRequest, prediction.classify),
            "Regress": (regression_pb2.RegressionRequest, prediction.regress),
            "MultiInference": (inference_pb2.MultiInferenceRequest, prediction.multi_inference),
            "GetModelMetadata": (get_model_metadata_pb2.GetModelMetadataRequest, prediction.metadata),
        },
        "ModelService": {
            "GetModelStatus": (get_model_status_pb2.GetModelStatusRequest, status),
            "HandleReloadConfigRequest": (model_management_pb2.ReloadConfigRequest, reload),
        },
    }
    for service, entries in methods.items():
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                _observed(name, respond, observers, under_way), request_type.FromString, _serialised
            )
            for name, (request_type, respond) in entries.items()
        }
        generic = grpc.method_handlers_generic_handler(f"tensorflow.serving.{service}", handlers)
        server.add_generic_rpc_handlers((generic,))


def _observed(
    method: str, respond: Respond, observers: Observers, under_way: UnderWay
) -> Callable[[Any, Context], Awaitable[Any]]:
    """Make a handler that ends the RPC as `respond` does, and tells the observers how."""

    async def handle(request: Any, context: Context) -> Any:  # noqa: ANN401 - generated classes have no types
        with under_way:
            call = Call("GRPC", method, context.peer())
            call.read_request(request)
            try:
                response = await respond(request, context, call)
            except StatusError as error:
                call.end(observers, error.code)
                await context.abort(error.code, shortened(error.message))
            except asyncio.CancelledError:  # gRPC's way of telling that nobody waits any more
                call.end(observers, _why_cancelled(context, call))
                raise
            except Exception:
                call.end(observers, grpc.StatusCode.UNKNOWN)
                raise
            call.end(observers)
            return response

    return handle


def _serialised(response: Any) -> bytes:  # noqa: ANN401 - the same
    return response if isinstance(response, bytes) else bytes(response.SerializeToString())


def _seconds_left(context: Context) -> float | None:
    """Time until the caller's deadline; None without one, which gRPC tells as some billions of years."""
    seconds = context.time_remaining()
    return None if seconds is None or seconds > _LONGEST_DEADLINE_SECONDS else max(0.0, seconds)


def _why_cancelled(context: Context, call: Call) -> grpc.StatusCode:
    """Tell a deadline from a caller that went away earlier.

    Both come as a cancellation: the server counts a caller's time, which gRPC rounds up, from when it reads the
    request, so that the caller's own clock ends the call somewhat before the deadline that the server knows of.
    """
    left, elapsed = _seconds_left(context), time.monotonic() - call.started
    late = left is not None and left < min(_CALLER_AHEAD_SECONDS + elapsed * _CALLER_AHEAD_SHARE, elapsed)
    return grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED
