"""The servers that are asked, and what they are checked for before the first image.

Several addresses are replicas of one service: requests go to each in turn, and a replica that fails rests while the
others work on. A `dns:///` name that stands for several is shared out by gRPC itself (`round_robin`).
"""

import itertools
import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from batch.client import wire_pb2 as wire
from batch.client.address import target_of
from batch.client.answers import Answer, fault, read_answers
from batch.client.faults import may_pass
from batch.client.naming import FLAGS, Naming
from batch.client.probe import probe
from batch.client.question import Question
from batch.client.security import Security
from batch.client.tensors import AVAILABLE, DT_STRING, END, UNLOADING, AnswerError, Target, predict_request
from batch.client.waited_call import WaitedCall
from exporter.command import UserError
from exporter.contract import CONFIDENCE, DIGIT, DIGITS, ERROR, IMAGE_BYTES, PROBABILITIES

_PREDICTION = "/tensorflow.serving.PredictionService/"
_MODEL = "/tensorflow.serving.ModelService/"
_CHANNEL_OPTIONS: list[tuple[str, object]] = [
    ("grpc.max_receive_message_length", -1),
    # Scans never leave the machines the user names, whatever the environment says of proxies.
    ("grpc.enable_http_proxy", 0),
    # Without it, all requests go to the first address that a name stands for.
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
    # A server that comes back, or moves, is noticed within seconds; gRPC's own limits are two minutes and half of one.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.dns_min_time_between_resolutions_ms", 2000),
]
_OTHERS_S = 2.0  # how long replicas that do not answer are waited for when one does
_PAUSE_S = 0.2  # between two looks whether a server answers
_SILENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
_GONE = (UNLOADING, END)


class ServerError(UserError):
    """The server cannot be reached or fails; what is done is kept."""

    exit_code = 3


class NotServedError(UserError):
    """The server has no such model, version or label; `reason` says it without what to do."""

    def __init__(self, reason: str, naming: Naming = FLAGS) -> None:
        super().__init__(f"{reason}; choose another with {naming.model}")
        self.reason = reason


@dataclass(frozen=True)
class Offer:
    """What a model was found to offer.

    Attributes:
        input_name: the signature's input for encoded images.
        outputs: those of the wanted outputs that it has.
    """

    input_name: str
    outputs: tuple[str, ...]

    def read(self, response: wire.PredictResponse, count: int) -> list[Answer]:
        """The answers of a response for `count` images. Raises AnswerError if it does not keep the contract."""
        return read_answers(response, count, self.outputs)

    def fault(self, error: str) -> Answer:
        """The answer for an image that no model could be asked about, or that a server refused."""
        return fault(error, self.outputs)


class Replica:
    """A channel to one address and the calls that are made on it."""

    def __init__(self, address: str, security: Security, naming: Naming) -> None:
        self.address = address
        self.naming = naming
        self.rests_until = 0.0
        self.failures = 0
        """On end."""
        self.is_examined = address.startswith("unix:")
        """Whether it was found out, or need not be, what its port speaks."""
        self.security = security
        self._channel = security.channel(address, _CHANNEL_OPTIONS)
        self._predict = self._channel.unary_unary(
            _PREDICTION + "Predict",
            request_serializer=wire.PredictRequest.SerializeToString,
            response_deserializer=wire.PredictResponse.FromString,
        )
        self._get_metadata = self._channel.unary_unary(
            _PREDICTION + "GetModelMetadata",
            request_serializer=wire.GetModelMetadataRequest.SerializeToString,
            response_deserializer=wire.GetModelMetadataResponse.FromString,
        )
        self._get_status = self._channel.unary_unary(
            _MODEL + "GetModelStatus",
            request_serializer=wire.GetModelStatusRequest.SerializeToString,
            response_deserializer=wire.GetModelStatusResponse.FromString,
        )

    def predict(self, request: wire.PredictRequest, timeout: float) -> "grpc.Future[wire.PredictResponse]":
        """Send a request; `timeout` in seconds."""
        return self._predict.future(request, timeout=timeout, metadata=self.security.metadata)

    def predict_when_waited_for(self, request: wire.PredictRequest, timeout: float) -> WaitedCall[wire.PredictResponse]:
        """The same, sent by the thread that waits for it."""
        return WaitedCall(lambda: self._predict(request, timeout=timeout, metadata=self.security.metadata))

    def available(self, target: Target, timeout: float) -> list[int]:
        """Versions of the target that are AVAILABLE; after a swap, old ones stay listed in other states."""
        return [version for version, state in self.states(target, timeout).items() if state == AVAILABLE]

    def states(self, target: Target, timeout: float) -> dict[int, int]:
        """The state of each version of the target."""
        request = wire.GetModelStatusRequest(model_spec=_bare_spec(target))
        status = self._get_status(request, timeout=timeout, metadata=self.security.metadata)
        return {version.version: version.state for version in status.model_version_status}

    def signatures(self, target: Target, timeout: float) -> dict[str, wire.SignatureDef]:
        """Signatures of the target by name."""
        request = wire.GetModelMetadataRequest(model_spec=_bare_spec(target), metadata_field=["signature_def"])
        response = self._get_metadata(request, timeout=timeout, metadata=self.security.metadata)
        return dict(wire.SignatureDefMap.FromString(response.metadata["signature_def"].value).signature_def)

    def close(self) -> None:
        """Cancel what is in flight and close the channel."""
        self._channel.close()


class Endpoint:
    """One service: one replica or several.

    Args:
        addresses: what the user wrote, HOST, HOST:PORT, or a gRPC name such as unix:PATH or dns:///NAME:PORT.
        security: of every channel.
        naming: what errors call the settings.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        security: Security = Security(),  # noqa: B008 - immutable
        naming: Naming = FLAGS,
    ) -> None:
        self._share([Replica(target_of(address, naming), security, naming) for address in addresses])

    def _share(self, replicas: "list[Replica]") -> None:
        """Give each of these its turn."""
        self.replicas = replicas
        self._turns = itertools.cycle(self.replicas)
        self._turn = threading.Lock()

    @property
    def name(self) -> str:
        """The addresses, for people."""
        return ", ".join(replica.address for replica in self.replicas)

    def close(self) -> None:
        """Close all channels."""
        for replica in self.replicas:
            replica.close()

    def next_replica(self) -> Replica:
        """The next in turn that does not rest, or else the one that has rested first."""
        now = time.monotonic()
        with self._turn:
            several = [next(self._turns) for _ in self.replicas]
            awake = next((replica for replica in several if replica.rests_until <= now), None)
            chosen = awake or min(several, key=lambda replica: replica.rests_until)
            # The turn goes on from the one chosen.
            while next(self._turns) is not chosen:
                pass
            return chosen

    def wait_until_available(self, target: Target, timeout: float, give_up: Callable[[], None] = lambda: None) -> int:
        """Wait until the model has an AVAILABLE version, calling `give_up`, which may raise, in between.

        Replicas that do not answer, when another does, are waited for only a little.

        Returns:
            The newest such version.

        Raises:
            UserError: a server does not have that model or version, or has it no more.
            ServerError: none answers, or the model is AVAILABLE on none, within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        versions: dict[Replica, int] = {}
        reasons: dict[Replica, str] = {}
        while (remaining := deadline - time.monotonic()) > 0 and len(versions) < len(self.replicas):
            give_up()
            for replica in self.replicas:
                if replica not in versions:
                    patience = min(remaining, _OTHERS_S) if versions else remaining
                    reasons[replica] = _look_for(replica, target, patience, versions)
            if versions:
                deadline = min(deadline, time.monotonic() + _OTHERS_S)
            if len(versions) < len(self.replicas):
                time.sleep(max(0.0, min(_PAUSE_S, deadline - time.monotonic())))
        if not versions:
            raise ServerError(f"gave up after {timeout:g} s: {'; '.join(reasons.values()) or 'no answer'}")
        for replica in self.replicas:
            if replica not in versions:
                replica.rests_until = time.monotonic() + _OTHERS_S
        return max(versions.values())

    def try_out(self, target: Target, question: Question[Any], timeout: float) -> None:
        """Ask each replica that has the model about one image.

        TensorFlow Serving calls a version AVAILABLE whose variables are missing; only an answer shows that it works.

        Raises:
            ServerError: a replica refuses, does not answer within `timeout` seconds, or does not keep the contract.
        """
        request = predict_request(target, question.input_name, [probe()], question.outputs)
        for replica in self.replicas:
            if replica.rests_until > time.monotonic():
                continue
            try:
                question.read(replica.predict(request, timeout).result(), 1)
            except grpc.RpcError as error:
                raise ServerError(f"a test image gets no answer: {refusal(replica, error)}") from None
            except AnswerError as error:
                raise ServerError(f"{replica.address} does not keep the contract: {error}") from None

    def signatures(self, target: Target, timeout: float) -> tuple[Replica, dict[str, wire.SignatureDef]]:
        """A replica, and the signatures of the target there by name.

        Raises:
            UserError: the server refuses to tell.
            ServerError: the server does not answer within `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            replica = self.next_replica()
            remaining = deadline - time.monotonic()
            try:
                return replica, replica.signatures(target, remaining)
            except grpc.RpcError as error:
                # It was there a moment ago: what may pass is waited out as it is later on.
                if not may_pass(error) or remaining < _PAUSE_S:
                    raise refusal(replica, error) from None
                time.sleep(_PAUSE_S)

    def offer(self, target: Target, timeout: float, *, probabilities: bool = False) -> Offer:
        """Look at the signature.

        Raises:
            UserError: the model has no such signature, or one that does not keep the contract; says what there is.
            ServerError: the server does not answer within `timeout` seconds.
        """
        replica, signatures = self.signatures(target, timeout)
        offered = sorted(name for name in signatures if not name.startswith("__"))
        if target.signature not in signatures:
            raise UserError(
                f"model {target.model} on {replica.address} has no signature {target.signature!r}; "
                f"it offers {', '.join(offered)}: choose one with {replica.naming.signature}"
            )
        signature = signatures[target.signature]
        if {DIGITS, IMAGE_BYTES} == set(signature.inputs):
            raise UserError(
                f"signature {target.signature!r} of model {target.model} on {replica.address} reads fields of several "
                f"digits: ask it with {replica.naming.numbers}, or choose another with {replica.naming.signature}"
            )
        inputs = [name for name, tensor in signature.inputs.items() if tensor.dtype == DT_STRING]
        wanted = [DIGIT, CONFIDENCE] + [PROBABILITIES] * probabilities
        if len(inputs) != 1 or len(signature.inputs) != 1 or any(name not in signature.outputs for name in wanted):
            raise UserError(
                f"signature {target.signature!r} of model {target.model} on {replica.address} takes "
                f"{', '.join(sorted(signature.inputs))} and answers {', '.join(sorted(signature.outputs))}; "
                f"wanted is one input of encoded images, and {' and '.join(wanted)}"
            )
        # A foreign model may know no errors of single images.
        return Offer(inputs[0], (*wanted, *([ERROR] if ERROR in signature.outputs else [])))


def _look_for(replica: Replica, target: Target, timeout: float, versions: dict[Replica, int]) -> str:
    """Note the newest AVAILABLE version of a replica, or return why there is none. Raises as its callers do."""
    try:
        states = replica.states(target, timeout)
    except grpc.RpcError as error:
        if not may_pass(error):
            raise refusal(replica, error) from None
        if error.code() in _SILENT:
            _refuse_mismatch(replica)
        return f"{replica.address}: it does not answer ({error.details()})"
    available = [version for version, state in states.items() if state == AVAILABLE]
    if available:
        versions[replica] = max(available)
    elif target.names_version and states and all(state in _GONE for state in states.values()):
        # A server lists what it has unloaded until it ends, and does not load it again by itself.
        gone = ", ".join(map(str, states))
        raise NotServedError(
            f"{replica.address} has unloaded version {gone} of model {target.model}, or failed to load it",
            replica.naming,
        )
    return f"{replica.address}: no version of {target.model} is AVAILABLE"


def _refuse_mismatch(replica: Replica) -> None:
    """Raise ServerError if a replica's port was found to speak something else."""
    if replica.is_examined:
        return
    from batch.client.protocol import mismatch  # noqa: PLC0415 - where something is wrong already

    found = mismatch(replica.address, replica.security, replica.naming)
    replica.is_examined = found is not None
    if found:
        raise ServerError(found)


def refusal(replica: Replica, error: grpc.RpcError) -> UserError:
    """What a failed call says, for people: the user's mistake or the server's."""
    text, naming = f"{replica.address}: {error.details()} ({error.code().name})", replica.naming
    if error.code() is grpc.StatusCode.NOT_FOUND:
        return NotServedError(text, naming)
    if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return UserError(f"{text}; give what the server wants to see with {naming.metadata} or {naming.certificate}")
    if error.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION):
        return UserError(text)
    return ServerError(text)


def _bare_spec(target: Target) -> wire.ModelSpec:
    """The ModelSpec of a target for calls that concern no signature."""
    spec = target.spec()
    spec.signature_name = ""
    return spec
