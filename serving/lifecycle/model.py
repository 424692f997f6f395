"""A served model: its base path is watched, versions are loaded and unloaded as its policy says.

States are those of TensorFlow Serving's core/servable_state.h; as in its core/availability_preserving_policy.cc, old
versions are unloaded only after a new one serves.
"""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
from tensorflow_serving.apis import get_model_status_pb2

from serving.lifecycle.broken import Broken
from serving.lifecycle.memory import give_back_unused
from serving.lifecycle.model_config import ModelConfig
from serving.lifecycle.versions import find_versions
from serving.lifecycle.warmup import warm_up
from serving.observability import log
from serving.predict.servable import Servable, load_servable
from serving.status import StatusError, from_exception

State = get_model_status_pb2.ModelVersionStatus.State


@dataclass(frozen=True)
class VersionState:
    """What GetModelStatus tells of one version."""

    state: int
    """One of State."""
    error: StatusError | None = None
    """Why it could not be loaded."""


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How models are watched and loaded; the flags of the same names."""

    file_system_poll_wait_seconds: float
    """0: look once, and again when the configuration changes."""
    enable_model_warmup: bool
    max_num_load_retries: int
    load_retry_interval_micros: int
    num_load_threads: threading.Semaphore
    """As many versions are loaded at a time, whatever model they are of."""
    on_available: Callable[[str, Servable], None]
    """Called with name and servable of each version that has become AVAILABLE, in the watching thread."""
    on_changed: Callable[[], None]
    """Called when a version has begun or ceased to serve."""
    on_warmed_up: Callable[[str, str, float], None]
    """Called with a model's name, the outcome's code and the seconds of each replay of warm-up requests."""


@dataclass
class _Handle:
    """A servable and how many requests hold it."""

    servable: Servable
    users: int = 0


class Model:
    """Serves the versions under its base path that its policy wants and that can be loaded."""

    def __init__(self, name: str, options: LoadOptions) -> None:
        self.name = name
        self._options = options
        self._changed = threading.Condition()  # guards all but the watching thread's own, below
        self._config: ModelConfig | None = None
        self._serving: dict[int, _Handle] = {}
        self._retired: list[_Handle] = []
        self._states: dict[int, VersionState] = {}
        self._configured = self._settled = 0
        self._stopping = False
        self._watcher: threading.Thread | None = None
        self._wake = threading.Event()
        # Only the watching thread knows these.
        self._broken = Broken(options.max_num_load_retries, options.load_retry_interval_micros / 1e6)
        self._complaint = ""

    def configure(self, config: ModelConfig | None) -> None:
        """Serve from now on what `config` says; None: unload everything."""
        with self._changed:
            self._config = config
            self._configured += 1
            if not self._watcher:
                self._watcher = threading.Thread(target=self._watch, name=f"watch {self.name}", daemon=True)
                self._watcher.start()
        self._wake.set()

    def wait_until_settled(self, seconds: float | None) -> bool:
        """Wait until each version wanted by the last `configure` serves or is found broken; whether it came to that."""
        with self._changed:
            wanted = self._configured
            return self._changed.wait_for(lambda: self._settled >= wanted, seconds)

    def stop(self) -> None:
        """Watch no more; a load under way is not waited for."""
        self._stopping = True
        self._wake.set()

    @contextmanager
    def servable(self, version: int | None) -> Iterator[Servable]:
        """Hold a version, or with None the newest that serves: it stays loaded until the block ends.

        Raises StatusError: UNAVAILABLE while the version, or any, is not loaded yet or could not be, else NOT_FOUND.
        """
        with self._changed:
            handle = self._find(version)
            handle.users += 1
        try:
            yield handle.servable
        finally:
            with self._changed:
                handle.users -= 1
                last = handle.users == 0 and self._serving.get(handle.servable.version) is not handle
            if last:
                self._wake.set()

    def states(self) -> dict[int, VersionState]:
        """Return the state of every version that was seen since the start, in ascending order."""
        with self._changed:
            return dict(sorted(self._states.items()))

    def is_ready(self) -> bool:
        """Whether a version serves."""
        with self._changed:
            return bool(self._serving)

    def _find(self, version: int | None) -> _Handle:
        if version is None and self._serving:
            return self._serving[max(self._serving)]
        if version in self._serving:
            return self._serving[version]
        request = f"Latest({self.name})" if version is None else f"Specific({self.name}, {version})"
        reason = self._why_unavailable(version) if self._config else ""
        if not reason:
            raise StatusError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {request}")
        raise StatusError(grpc.StatusCode.UNAVAILABLE, f"Servable not available for request: {request}: {reason}")

    def _why_unavailable(self, version: int | None) -> str:
        """Say why a version, or any, does not serve though it may some time; empty where there is no hope."""
        hopeful = {v: s for v, s in self._states.items() if s.error or s.state == State.LOADING}
        if version is not None:
            return _describe(version, hopeful[version]) if version in hopeful else ""
        if hopeful:
            return _describe(max(hopeful), hopeful[max(hopeful)])
        return f"no version under {self._config.base_path} yet" if self._config else ""

    def _watch(self) -> None:
        due = True
        while not self._stopping:
            with self._changed:
                config, number = self._config, self._configured
            if due or number != self._settled:
                self._pass(config)
            self._end_retired()
            with self._changed:
                self._settled = number
                self._changed.notify_all()
                if config is None and self._config is None and not self._retired:
                    self._watcher = None
                    return
            due = not self._wake.wait(self._options.file_system_poll_wait_seconds or None) and config is not None
            self._wake.clear()

    def _pass(self, config: ModelConfig | None) -> None:
        """Bring what is served in line with what is configured and lies on disk."""
        if config is None:
            self._retire_all_but([])
            return
        try:
            folders = find_versions(config.base_path)
        except OSError as error:
            # Perhaps a file system that comes back: what is loaded goes on.
            self._complain(f"{self.name}: {config.base_path} cannot be read: {error.strerror}")
            return
        self._broken.forget_all_but(folders)
        if not folders:
            self._complain(f"{self.name} waits for a version under {config.base_path}")
            self._retire_all_but([])
            return
        missing = sorted((config.policy.specific or set()) - set(folders))
        self._complain(
            f"{self.name}: version {', '.join(map(str, missing))}, which was requested to be served as a 'specific' "
            f"version in the servable's version policy, was not found under {config.base_path}"
            if missing
            else ""
        )
        chosen: list[int] = []
        wanted = config.policy.choose(folders)
        for version in wanted:
            if self._stopping or len(chosen) == config.policy.latest:
                break
            if version in self._serving or self._load(version, folders[version], wanted):
                chosen.append(version)
        if chosen and not self._stopping:
            self._retire_all_but(chosen)

    def _load(self, version: int, folder: Path, wanted: list[int]) -> bool:
        """Load a version and let it serve, in the place of those not wanted any more; False where it cannot be."""
        if not self._broken.try_again(version, folder):
            return False
        with self._options.num_load_threads:
            log.event(f"{self.name} version {version} loading from {folder}")
            self._set_state(version, VersionState(State.LOADING))
            try:
                servable = load_servable(folder, self.name, version)
                if self._options.enable_model_warmup:
                    self._warm_up(servable, folder)
                give_back_unused()
            except Exception as exception:  # noqa: BLE001 - whatever lies in that folder, the other versions go on
                error = from_exception(exception)
                # Before it is told, so that whoever reads the log and asks is not told otherwise.
                self._set_state(version, VersionState(State.END, error))
                log.event(f"{self.name} version {version} failed to load: {error.message}")
                self._broken.note(version)
                return False
        with self._changed:
            self._serving[version] = _Handle(servable)
            self._states[version] = VersionState(State.AVAILABLE)
            # In one step: after a rollback nobody is answered by the newer version any more.
            old = self._take_out_all_but(wanted)
        self._tell_unloading(old)
        self._options.on_available(self.name, servable)
        self._options.on_changed()
        return True

    def _warm_up(self, servable: Servable, folder: Path) -> None:
        begin = time.monotonic()
        outcome = "OK"
        try:
            warm_up(servable, folder)
        except Exception as error:
            outcome = from_exception(error).code.name
            raise
        finally:
            self._options.on_warmed_up(self.name, outcome, time.monotonic() - begin)

    def _retire_all_but(self, chosen: list[int]) -> None:
        """Send no new requests to other versions; those under way finish on the version they hold."""
        with self._changed:
            old = self._take_out_all_but(chosen)
        self._tell_unloading(old)

    def _take_out_all_but(self, chosen: list[int]) -> list[int]:
        """Do so, with the lock held; return the versions that were taken out."""
        old = sorted(set(self._serving) - set(chosen))
        for version in old:
            self._states[version] = VersionState(State.UNLOADING)
            self._retired.append(self._serving.pop(version))
        return old

    def _tell_unloading(self, old: list[int]) -> None:
        for version in old:
            log.event(f"{self.name} version {version} unloading")
        if old:
            self._options.on_changed()

    def _end_retired(self) -> None:
        """Let go of the retired versions that no request holds any more."""
        with self._changed:
            ended = [handle.servable.version for handle in self._retired if handle.users == 0]
            self._retired = [handle for handle in self._retired if handle.users > 0]
            for version in ended:
                if self._states[version].state == State.UNLOADING:  # not loaded again meanwhile
                    self._states[version] = VersionState(State.END)
        for version in ended:
            log.event(f"{self.name} version {version} unloaded")
        if ended:
            gc.collect()  # a loaded SavedModel is full of cycles; its variables would stay in memory for long

    def _set_state(self, version: int, state: VersionState) -> None:
        with self._changed:
            self._states[version] = state

    def _complain(self, text: str) -> None:
        """Log something that every look will find again, once."""
        if text and text != self._complaint:
            log.event(text)
        self._complaint = text


def _describe(version: int, state: VersionState) -> str:
    if state.error:
        return f"version {version} failed to load: {state.error.message}"
    return f"version {version} is {State.Name(state.state)}"
