"""A SavedModel in the worker's own process, behind the interface of a server; the one file that imports TensorFlow."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import grpc

from batch.client import wire_pb2 as wire
from batch.client.endpoint import Endpoint, NotServedError, Replica
from batch.client.naming import FLAGS
from batch.client.tensors import DT_STRING, Target
from exporter.command import UserError, quiet_tensorflow, require_extra

_THREADS = 2  # one decodes while another is in the network


class InProcess(Endpoint):
    """A loaded model as an endpoint of one replica.

    Args:
        folder: of a SavedModel, named by its version, or the folder above, which has the target's version.
        target: what is asked.

    Raises:
        UserError: TensorFlow is not installed, or there is no such model.
        NotServedError: it is of another version.
    """

    def __init__(self, folder: str, target: Target) -> None:
        require_extra("serve", "tensorflow")
        self._share([_load(_version_folder(Path(folder), target))])

    def close(self) -> None:
        """Nothing: the model stays for the next shard."""


def _version_folder(folder: Path, target: Target) -> Path:
    if not folder.name.isdecimal():
        folder = folder / str(target.version)
    if folder.name != str(target.version):
        raise NotServedError(f"{folder} is version {folder.name}")
    if not (folder / "saved_model.pb").is_file():
        raise NotServedError(f"{folder} holds no SavedModel")
    return folder


class _Loaded(Replica):
    """A model that answers requests in threads."""

    def __init__(self, folder: Path) -> None:
        quiet_tensorflow()
        import tensorflow as tf  # noqa: PLC0415 - seconds, and only with --in-process

        self.address = str(folder)
        self.rests_until = 0.0
        self.failures = 0
        self.naming = FLAGS
        self._version = int(folder.name)
        self._constant = tf.constant
        self._op_error = tf.errors.OpError
        try:
            self._model = tf.saved_model.load(str(folder))
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise UserError(f"{folder}: cannot be loaded: {error}") from None
        self._threads = ThreadPoolExecutor(_THREADS)

    def predict(self, request: wire.PredictRequest, timeout: float) -> "grpc.Future[wire.PredictResponse]":  # noqa: ARG002 - nobody fails to answer
        """Run a request. Its future raises RpcError as that of a server does."""
        # It offers what the engine uses of such a future.
        return cast("grpc.Future[wire.PredictResponse]", self._threads.submit(self._run, request))

    def available(self, target: Target, timeout: float) -> list[int]:  # noqa: ARG002 - as above
        """Its version."""
        return [self._version]

    def signatures(self, target: Target, timeout: float) -> dict[str, wire.SignatureDef]:  # noqa: ARG002 - as above
        """Its signatures by name."""
        return {name: _definition(signature) for name, signature in self._model.signatures.items()}

    def _tensor(self, tensor: wire.TensorProto) -> Any:  # noqa: ANN401 - TensorFlow ships no types
        values = tensor.string_val if tensor.dtype == DT_STRING else tensor.int_val
        return self._constant(list(values), tensor.dtype)

    def _run(self, request: wire.PredictRequest) -> wire.PredictResponse:
        inputs = {name: self._tensor(tensor) for name, tensor in request.inputs.items()}
        signature = self._model.signatures[request.model_spec.signature_name]
        try:
            outputs = signature(**inputs)
        except self._op_error as error:
            raise _RunError(error) from error
        response = wire.PredictResponse()
        response.model_spec.version.value = self._version
        for wanted in request.output_filter:
            _write(outputs[wanted], response.outputs[wanted])
        return response


_loaded: dict[Path, _Loaded] = {}
_loading = threading.Lock()


def _load(folder: Path) -> _Loaded:
    """The one model of this process at a folder."""
    with _loading:
        if folder not in _loaded:
            _loaded[folder] = _Loaded(folder)
        return _loaded[folder]


class _RunError(grpc.RpcError):
    """What TensorFlow says when it cannot run a request, as a server says it."""

    def __init__(self, error: Any) -> None:  # noqa: ANN401 - TensorFlow ships no types
        super().__init__(str(error))
        codes = {code.value[0]: code for code in grpc.StatusCode}
        self._code = codes.get(error.error_code, grpc.StatusCode.INTERNAL)
        self._details = str(error.message)

    def code(self) -> grpc.StatusCode:
        """The status."""
        return self._code

    def details(self) -> str:
        """Its text."""
        return self._details


def _definition(signature: Any) -> wire.SignatureDef:  # noqa: ANN401 - as above
    definition = wire.SignatureDef()
    for specs, infos in (
        (signature.structured_input_signature[1], definition.inputs),
        (signature.structured_outputs, definition.outputs),
    ):
        for name, spec in specs.items():
            infos[name].dtype = spec.dtype.as_datatype_enum
    return definition


def _write(output: Any, tensor: wire.TensorProto) -> None:  # noqa: ANN401 - as above
    values = output.numpy()
    tensor.dtype = output.dtype.as_datatype_enum
    for size in values.shape:
        tensor.tensor_shape.dim.add().size = size
    if tensor.dtype == DT_STRING:
        tensor.string_val.extend(values.ravel().tolist())
    else:
        tensor.tensor_content = values.tobytes()
