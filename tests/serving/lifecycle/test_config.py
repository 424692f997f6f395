"""Several models, version policies and labels: --model_config_file and HandleReloadConfigRequest."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.serving.conftest import model_entry, model_list
from tests.serving.lifecycle.test_versions import Load, eventually

if TYPE_CHECKING:
    from tests.serving.conftest import Publish, RunServe, RunServer, Server

FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION.value[0]
INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT.value[0]
UNKNOWN = grpc.StatusCode.UNKNOWN.value[0]

StartConfigured = Callable[..., "Server"]


@pytest.fixture
def configured(run_server: "RunServer", tmp_path: Path) -> StartConfigured:
    """Start a server with a model_config_file of the given text."""

    def configured(config: str, *flags: str) -> "Server":
        (tmp_path / "models.config").write_text(config)
        address = tmp_path / "grpc"
        return run_server(
            f"--model_config_file={tmp_path / 'models.config'}",
            "--port=0",
            f"--grpc_socket_path={address}",
            "--file_system_poll_wait_seconds=0.1",
            *flags,
            address=f"unix:{address}",
        )

    return configured


@pytest.fixture
def toys(saved_model: Path, publish: "Publish", tmp_path: Path) -> Path:
    """A base path with versions 1, 2 and 3."""
    for version in (1, 2, 3):
        publish(saved_model, tmp_path / "toys", version)
    return tmp_path / "toys"


def ask(server: "Server", name: str = "toy", version: int | None = None, label: str = "") -> int:
    response = server.predict({"image_bytes": [b"four"]}, name=name, version=version, label=label)
    return int(response.model_spec.version.value)


def refusal(server: "Server", name: str = "toy", version: int | None = None, label: str = "") -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        ask(server, name, version, label)
    return caught.value.code().name, caught.value.details() or ""


def available(server: "Server", name: str = "toy") -> list[int]:
    return [version for version, (state, _) in server.states(name).items() if state == "AVAILABLE"]


def test_models_and_policies_of_a_file(toys: Path, configured: StartConfigured) -> None:
    """A file with several models serves each by its own version policy, and a label names a version."""
    server = configured(
        model_list(
            model_entry("newest", toys),
            model_entry("two", toys, "model_version_policy { latest { num_versions: 2 } }"),
            model_entry("every", toys, "model_version_policy { all {} }"),
            model_entry(
                "some",
                toys,
                "model_version_policy { specific { versions: 1 versions: 3 } } "
                "version_labels { key: 'stable' value: 1 } version_labels { key: 'canary' value: 3 }",
            ),
        ),
        "--allow_version_labels_for_unavailable_models=true",
    )
    expected = {"newest": [3], "two": [2, 3], "every": [1, 2, 3], "some": [1, 3]}
    for _ in range(8):
        server.wait_for("gRPC on")
    assert {name: available(server, name) for name in expected} == expected
    assert [ask(server, name) for name in expected] == [3, 3, 3, 3]
    assert (ask(server, "two", 2), ask(server, "every", 1)) == (2, 1)
    assert (ask(server, "some", label="stable"), ask(server, "some", label="canary")) == (1, 3)
    assert refusal(server, "some", 2) == ("NOT_FOUND", "Servable not found for request: Specific(some, 2)")
    assert refusal(server, "every", label="stable") == (
        "INVALID_ARGUMENT",
        "Unrecognized servable version label: stable",
    )


def test_reload_moves_a_model_back_under_load(toys: Path, configured: StartConfigured) -> None:
    """A `specific` policy rolls back to an older version, and a later one forward, and no call fails meanwhile."""
    server = configured(model_list(model_entry("toy", toys)))
    server.wait_for("toy version 3 AVAILABLE")
    with Load(server, threads=2) as load:
        for version in (1, 2):
            policy = f"model_version_policy {{ specific {{ versions: {version} }} }}"
            assert server.reload(model_list(model_entry("toy", toys, policy))) == (0, "")
            assert ask(server) == version
            enough = len(load.versions) + 20
            eventually(lambda enough=enough: len(load.versions) > enough)  # type: ignore[misc]
    assert load.failures == []
    assert set(load.versions) == {1, 2, 3}
    eventually(lambda: server.states() == {1: ("END", ""), 2: ("AVAILABLE", ""), 3: ("END", "")})


def test_base_paths_may_be_uris(toys: Path, configured: StartConfigured) -> None:
    """A file:// URI is a path, whatever host it names, in the file and in a reload."""
    uris = [f"file://{toys}", f"file://localhost{toys}"]
    entries = [f"config {{ name: 'toy' base_path: '{uri}' model_platform: 'tensorflow' }}" for uri in uris]
    server = configured(model_list(entries[0]))
    server.wait_for("toy version 3 AVAILABLE")
    assert server.reload(model_list(entries[1])) == (0, "")
    assert ask(server) == 3


def test_models_come_and_go(toys: Path, configured: StartConfigured) -> None:
    """A reload adds a model and waits for it; a model that is listed no more is NOT_FOUND, and comes back."""
    server = configured(model_list(model_entry("toy", toys)))
    server.wait_for("toy version 3 AVAILABLE")
    assert server.reload(model_list(model_entry("other", toys)), timeout=None) == (0, "")
    assert ask(server, "other") == 3
    eventually(lambda: server.states() == {3: ("END", "")})
    assert refusal(server) == ("NOT_FOUND", "Servable not found for request: Latest(toy)")
    assert server.reload(model_list(model_entry("toy", toys), model_entry("other", toys))) == (0, "")
    assert (ask(server), ask(server, "other")) == (3, 3)


def test_labels_follow_reloads(toys: Path, configured: StartConfigured) -> None:
    """A label goes only to a version that is AVAILABLE; a reload that asks for another changes nothing."""
    both = "model_version_policy { latest { num_versions: 2 } } version_labels { key: 'stable' value: %d }"
    server = configured(model_list(model_entry("toy", toys, "model_version_policy { latest { num_versions: 2 } }")))
    server.wait_for("toy version 2 AVAILABLE")
    for version, outcome in ((3, 3), (2, 2), (1, 2), (9, 2)):
        code, text = server.reload(model_list(model_entry("toy", toys, both % version)))
        if outcome != version:
            assert code == FAILED_PRECONDITION
            assert text.startswith(f"Request to assign label to version {version} of model toy, which is not currently")
        assert ask(server, label="stable") == outcome


def test_bad_reloads_change_nothing(toys: Path, tmp_path: Path, configured: StartConfigured) -> None:
    """A reload that cannot be done says why in its status, and what was served goes on being served."""
    server = configured(model_list(model_entry("toy", toys)))
    server.wait_for("toy version 3 AVAILABLE")
    missing = tmp_path / "missing"
    for config, code, text in (
        ("", INVALID_ARGUMENT, "must be a ModelConfigList"),
        ("custom_model_config { }", INVALID_ARGUMENT, "must be a ModelConfigList"),
        (model_list(model_entry("toy", Path("toys"))), INVALID_ARGUMENT, "to have an absolute path or URI"),
        (
            model_list(f"config {{ name: 'toy' base_path: 'gs://models{toys}' model_platform: 'tensorflow' }}"),
            INVALID_ARGUMENT,
            f"Could not find base path gs://models{toys} for servable toy with error File system scheme 'gs' not",
        ),
        (model_list(model_entry("toy", missing)), INVALID_ARGUMENT, f"Could not find base path {missing} for servable"),
        (model_list(model_entry("toy", toys), model_entry("toy", toys)), INVALID_ARGUMENT, "multiple times"),
        (model_list(f"config {{ name: 'toy' base_path: '{toys}' }}"), INVALID_ARGUMENT, "Illegal setting neither"),
        (
            model_list(f"config {{ name: 'toy' base_path: '{toys}' model_platform: 'torch' }}"),
            INVALID_ARGUMENT,
            "Model toy requests unsupported platform torch",
        ),
    ):
        assert server.reload(config)[0] == code
        assert text in server.reload(config)[1]
        assert ask(server) == 3


def test_broken_new_model_is_reported(toys: Path, tmp_path: Path, configured: StartConfigured) -> None:
    """A reload with a model that cannot be loaded says so; the others are served all the same."""
    (tmp_path / "bad" / "7").mkdir(parents=True)
    server = configured(model_list(model_entry("toy", toys)))
    server.wait_for("toy version 3 AVAILABLE")
    code, text = server.reload(model_list(model_entry("toy", toys), model_entry("bad", tmp_path / "bad")))
    assert code == UNKNOWN
    assert text.startswith("1 servable(s) did not become available: {{{name: bad version: 7} due to error: ")
    state, message = server.states("bad")[7]
    assert state == "END"
    assert "SavedModel file does not exist" in message
    assert refusal(server, "bad")[0] == "UNAVAILABLE"
    assert ask(server) == 3


def test_missing_specific_version_keeps_the_old_one(toys: Path, configured: StartConfigured) -> None:
    """A policy for a version that is not there yet takes effect when it comes; until then the old one serves."""
    server = configured(model_list(model_entry("toy", toys)))
    server.wait_for("toy version 3 AVAILABLE")
    policy = "model_version_policy { specific { versions: 8 } }"
    assert server.reload(model_list(model_entry("toy", toys, policy))) == (0, "")
    assert "version 8, which was requested" in server.wait_for("not found under")
    assert ask(server) == 3
    shutil.copytree(toys / "1", toys / "copying")
    (toys / "copying").rename(toys / "8")
    server.wait_for("toy version 8 AVAILABLE")
    eventually(lambda: available(server) == [8])


def test_the_file_is_polled(toys: Path, tmp_path: Path, configured: StartConfigured) -> None:
    """With a poll period a changed file is served without a restart; a broken one is reported and changes nothing."""
    server = configured(model_list(model_entry("toy", toys)), "--model_config_file_poll_wait_seconds=0.2")
    server.wait_for("toy version 3 AVAILABLE")
    path = tmp_path / "models.config"
    path.write_text("model_config_list { config { nonsense")
    server.wait_for("the configuration stays as it is: --model_config_file: Invalid protobuf file:")
    assert ask(server) == 3
    path.write_text(model_list(model_entry("toy", toys, "model_version_policy { specific { versions: 2 } }")))
    server.wait_for("configured from")
    assert ask(server) == 2


def test_the_file_goes_before_reloads(toys: Path, configured: StartConfigured) -> None:
    """What HandleReloadConfigRequest sets lasts until the next poll of the file, which then serves again."""
    server = configured(model_list(model_entry("toy", toys)), "--model_config_file_poll_wait_seconds=2")
    server.wait_for("toy version 3 AVAILABLE")
    policy = "model_version_policy { specific { versions: 1 } }"
    assert server.reload(model_list(model_entry("toy", toys, policy), model_entry("other", toys))) == (0, "")
    assert (ask(server), ask(server, "other")) == (1, 3)
    server.wait_for("configured from")
    assert ask(server) == 3
    assert refusal(server, "other")[0] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("improperly formatted file", "Invalid protobuf file: '{path}'"),
        ("model_config_list { config { name: 'x' base_path: 'here' model_platform: 'tensorflow' } }", "absolute path"),
        ("model_config_list { config { base_path: '/' model_platform: 'tensorflow' } }", "has no name"),
        (None, "No such file or directory"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, run_serve: "RunServe", text: str | None, reason: str) -> None:
    """A file that is missing, malformed or asks for the impossible ends the server at the start, in one line."""
    path = tmp_path / "bad.config"
    if text is not None:
        path.write_text(text)
    result = run_serve(f"--model_config_file={path}", "--port=0", f"--grpc_socket_path={tmp_path / 'grpc'}")
    assert result.returncode == 2
    assert reason.format(path=path) in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_what_cannot_be_served_is_refused_at_the_start(toys: Path, tmp_path: Path, run_serve: "RunServe") -> None:
    """A base path that is not there, or a label of a version that is not loaded yet, is refused by the file's name."""
    path = tmp_path / "models.config"
    for config, reason in (
        (model_entry("toy", tmp_path / "missing"), "Could not find base path"),
        (model_entry("toy", toys, "version_labels { key: 'stable' value: 3 }"), "is not currently available"),
    ):
        path.write_text(model_list(config))
        result = run_serve(f"--model_config_file={path}", "--port=0", f"--grpc_socket_path={tmp_path / 'grpc'}")
        assert result.returncode == 2
        assert f"--model_config_file {path}: " in result.stderr
        assert reason in result.stderr
