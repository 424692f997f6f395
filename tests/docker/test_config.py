"""What can be told of compose.yaml and the configuration files without the images they are for."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from google.protobuf.message import Message
from tensorflow_serving.config import model_server_config_pb2

from batch.client.window import DEFAULT_BATCH_SIZE
from exporter.contract import MODEL_NAME
from serving.lifecycle.versions import find_versions
from serving.rest.page import HEADERS
from tests.conftest import ROOT

SERVING = ROOT / "serving"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
# Of tensorflow_model_server --help, what a service that is configured by files has a use for.
KNOWN_FLAGS = {
    "allow_version_labels_for_unavailable_models",
    "batching_parameters_file",
    "enable_batching",
    "enable_model_warmup",
    "file_system_poll_wait_seconds",
    "grpc_channel_arguments",
    "grpc_max_threads",
    "max_num_load_retries",
    "model_config_file",
    "model_config_file_poll_wait_seconds",
    "monitoring_config_file",
    "num_load_threads",
    "num_unload_threads",
    "rest_api_num_threads",
    "rest_api_timeout_in_ms",
    "ssl_config_file",
    "tensorflow_inter_op_parallelism",
    "tensorflow_intra_op_parallelism",
}
INT64, BOOL, STRING = ".google.protobuf.Int64Value", ".google.protobuf.BoolValue", ".google.protobuf.StringValue"
# Of messages that the Python package does not have: session_bundle_config.proto and monitoring_config.proto.
MESSAGES = {
    "BatchingParameters": {
        "max_batch_size": INT64,
        "batch_timeout_micros": INT64,
        "max_enqueued_batches": INT64,
        "num_batch_threads": INT64,
        "thread_pool_name": STRING,
        "enable_large_batch_splitting": BOOL,
        "max_execution_batch_size": INT64,
    },
    "PrometheusConfig": {"enable": "bool", "path": "string"},
    "MonitoringConfig": {"prometheus_config": ".stand_in.PrometheusConfig"},
}


@pytest.fixture(scope="module")
def messages() -> dict[str, type[Message]]:
    """MESSAGES as protobuf classes, in a pool of their own."""
    file = descriptor_pb2.FileDescriptorProto(name="stand_in.proto", package="stand_in", syntax="proto3")
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), 1):
            types = descriptor_pb2.FieldDescriptorProto
            scalar = {"bool": types.TYPE_BOOL, "string": types.TYPE_STRING}.get(kind)
            added = message.field.add(name=field, number=number, label=types.LABEL_OPTIONAL)
            added.type = scalar or types.TYPE_MESSAGE
            if not scalar:
                added.type_name = kind
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"stand_in.{name}")) for name in MESSAGES}


def _flags() -> dict[str, str]:
    pairs = (flag.removeprefix("--").partition("=") for flag in SERVICES["serving"]["command"])
    return {name: value for name, _, value in pairs}


def _mounts(service: str) -> list[tuple[str, str, str]]:
    """Source with its default filled in, target, and mode of each mounted folder or file."""
    found = []
    for volume in SERVICES[service]["volumes"]:
        source, target, mode = re.fullmatch(r"(\$\{[^}]*\}|[^:]*):([^:]*):?(.*)", volume).groups()  # type: ignore[union-attr]
        found.append((re.sub(r"\$\{\w+:-(.*)\}", r"\1", source), target, mode))
    return found


def _outside(path: str) -> Path:
    """Where this machine has what the `serving` container sees at `path`."""
    for source, target, _ in _mounts("serving"):
        if path.startswith(f"{target}/"):
            return ROOT / source / path.removeprefix(f"{target}/")
    pytest.fail(f"{path} is not mounted")


def _model() -> Any:  # noqa: ANN401 - generated
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((SERVING / "models.config").read_text(), config)
    (model,) = config.model_config_list.config
    return model


def test_the_image_is_pinned_for_its_processor() -> None:
    """The official image has a version that exists, and a platform."""
    assert SERVICES["serving"]["image"] == "tensorflow/serving:2.20.0"
    assert SERVICES["serving"]["platform"] == "linux/amd64"
    for service in SERVICES.values():
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]) if "image" in service else service["build"]


@pytest.mark.parametrize("service", SERVICES)
def test_services_are_confined(service: str) -> None:
    """Each has a read-only root, no capabilities, a limit of memory, and writes only where it says so."""
    definition = SERVICES[service]
    assert definition["read_only"]
    assert definition["cap_drop"] == ["ALL"]
    assert definition["mem_limit"]
    for source, target, mode in _mounts(service):
        assert mode == "ro" or (service, target) in {("batch", "/data/out"), ("prometheus", "/prometheus")}
        assert (ROOT / source).exists() or source in COMPOSE["volumes"]


@pytest.mark.parametrize("service", ["serving", "builtin"])
def test_servers_are_alike(service: str) -> None:
    """Whichever server runs: the same ports and name, limits, restarts, not root, and a health check."""
    definition = SERVICES[service]
    for name in ("ports", "networks", "cpus", "mem_limit", "restart", "user"):
        assert definition[name] == COMPOSE["x-server"][name]
    assert definition["user"] == "${DIGITS_USER:-1000:1000}"
    assert definition["healthcheck"]["test"]


def test_flags_are_known() -> None:
    """Every flag is one of tensorflow_model_server's, and each file that one names is mounted."""
    flags = _flags()
    assert flags.keys() <= KNOWN_FLAGS
    files = {name: value for name, value in flags.items() if name.endswith("_file")}
    assert len(files) == 3
    for path in files.values():
        assert _outside(path).parent == SERVING
        assert _outside(path).is_file()


def test_models_config_parses() -> None:
    """It is a ModelServerConfig with the one model, whose folder is mounted and has the shipped version."""
    model = _model()
    assert model.name == MODEL_NAME
    assert model.model_platform == "tensorflow"
    assert 1 in find_versions(_outside(f"{model.base_path}/1").parent)


def test_a_swap_takes_no_pinned_version_away() -> None:
    """All versions in the folder are served, not only the newest."""
    assert _model().model_version_policy.WhichOneof("policy_choice") == "all"


def test_labels_are_valid_at_start_up() -> None:
    """Both labels name a version that is there, and may do so before it is loaded."""
    model = _model()
    assert dict(model.version_labels) == {"stable": 1, "canary": 1}
    assert set(model.version_labels.values()) <= find_versions(_outside(f"{model.base_path}/1").parent).keys()
    assert _flags()["allow_version_labels_for_unavailable_models"] == "true"


def test_batching_config_parses(messages: dict[str, type[Message]]) -> None:
    """Requests of digits-batch fit, larger ones are split, single ones wait a millisecond at most, the queue ends."""
    batching: Any = messages["BatchingParameters"]()
    text_format.Parse((SERVING / "batching.config").read_text(), batching)
    assert _flags()["enable_batching"] == "true"
    assert batching.enable_large_batch_splitting.value
    assert DEFAULT_BATCH_SIZE <= batching.max_execution_batch_size.value < batching.max_batch_size.value
    assert batching.HasField("batch_timeout_micros")
    assert batching.batch_timeout_micros.value <= 1000
    # The largest request's parts find a place.
    assert batching.max_enqueued_batches.value > batching.max_batch_size.value / batching.max_execution_batch_size.value


def test_monitoring_config_parses(messages: dict[str, type[Message]]) -> None:
    """Metrics are on, at the path where Prometheus looks for them."""
    monitoring: Any = messages["MonitoringConfig"]()
    text_format.Parse((SERVING / "monitoring.config").read_text(), monitoring)
    assert monitoring.prometheus_config.enable
    (job,) = yaml.safe_load((ROOT / "docker" / "prometheus.yml").read_text())["scrape_configs"]
    assert job["metrics_path"] == monitoring.prometheus_config.path
    assert job["static_configs"] == [{"targets": ["digits-server:8501"]}]
    assert COMPOSE["x-server"]["networks"]["default"]["aliases"] == ["digits-server"]


def test_the_page_has_the_same_headers_before_either_server() -> None:
    """The web service sends what digits-serve sends with the page, and sends requests on to either server's name."""
    text = (ROOT / "docker" / "web.conf").read_text()
    found = re.findall(r'add_header (\S+) (?:"([^"]*)"|(\S+));', text)
    assert {name: quoted or plain for name, quoted, plain in found} == HEADERS
    assert re.findall(r"set \$server (\S+);", text) == COMPOSE["x-server"]["networks"]["default"]["aliases"]
    assert "proxy_pass http://$server:8501;" in text


def test_every_setting_is_explained() -> None:
    """.env names every variable of compose.yaml, with the default that compose.yaml has for it."""
    used = dict(re.findall(r"\$\{(\w+):-([^}]+)\}", (ROOT / "compose.yaml").read_text()))
    explained = dict(re.findall(r"^#(\w+)=(.*)$", (ROOT / ".env").read_text(), re.MULTILINE))
    assert explained == used


@pytest.mark.parametrize("image", ["client", "server"])
def test_images_install_everything_they_import(image: str) -> None:
    """Every file that a Dockerfile copies from here passes .dockerignore and exists."""
    allowed = set(re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    text = (ROOT / "docker" / f"{image}.Dockerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (?!--)(.*)$", text, re.MULTILINE) for word in line.split()[:-1]]
    assert copied
    for word in copied:
        assert word.partition("/")[0] in allowed
        assert list(ROOT.glob(word))
