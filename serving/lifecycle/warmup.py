"""Replay of a version's warm-up records, so that its first callers do not pay for lazy initialisation.

Follows TensorFlow Serving's servables/tensorflow/saved_model_warmup_util.cc.
"""

from pathlib import Path

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from serving.predict.execute import run_alone
from serving.predict.inference import requests
from serving.predict.predict import read_request
from serving.predict.servable import Servable
from serving.status import StatusError, invalid_argument

_REQUESTS = Path("assets.extra", "tf_serving_warmup_requests")
_MOST_RECORDS = 1000
_METHODS = {"classify_log": requests.CLASSIFY, "regress_log": requests.REGRESS}


def warm_up(servable: Servable, folder: Path) -> int:
    """Run the requests that lie with the SavedModel in `folder`; return how many records there were.

    The file is a TFRecord of PredictionLog; none is needed. Raises StatusError for a file or record that cannot be read
    or replayed.
    """
    path = folder / _REQUESTS
    if not path.exists():
        return 0
    count = 0
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            count += 1
            if count > _MOST_RECORDS:
                raise invalid_argument(f"Number of warmup records exceeds the maximum ({_MOST_RECORDS}) at {path}")
            _replay(servable, record, path)
    except tf.errors.DataLossError as error:
        message = f"{error.message}. Please verify your warmup data is in TFRecord format."
        raise StatusError(grpc.StatusCode.DATA_LOSS, message) from error
    return count


def _replay(servable: Servable, record: bytes, path: Path) -> None:
    try:
        log = prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError:
        raise invalid_argument(f"Failed to parse warmup record from {path}") from None
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        run_alone(read_request(servable, log.predict_log.request))
    elif kind in _METHODS:
        method = _METHODS[kind]
        work = requests.read_request(method, servable, getattr(log, kind).request)
        requests.write_result(method, work, run_alone(work))
    elif kind == "multi_inference_log":
        for method, work in requests.read_multi_inference(servable, log.multi_inference_log.request):
            requests.write_result(method, work, run_alone(work))
    else:
        number = log.DESCRIPTOR.fields_by_name[kind].number if kind else 0
        raise StatusError(grpc.StatusCode.UNIMPLEMENTED, f"Unsupported log_type for warmup: {number} in {path}")
