"""Each worker's own way to the model, which stays open from one shard to the next."""

import threading
from contextlib import AbstractContextManager, ExitStack, closing
from typing import TYPE_CHECKING, Any

from batch.client.endpoint import Endpoint, NotServedError
from batch.client.question import Question
from batch.client.server import find_server
from batch.client.tensors import Target
from batch.table.columns import Columns
from exporter.command import UserError

if TYPE_CHECKING:
    from batch.cluster.shard import Asking, Notify

Key = tuple[Target, Columns[Any], "Asking"]


class _Open(threading.local):
    """What a thread has open: engines may run several shards in one process."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.key: Key | None = None
        self.found: tuple[Endpoint, Question[Any]] | None = None


_open = _Open()


def reach(target: Target, form: Columns[Any], asking: "Asking", notify: "Notify") -> tuple[Endpoint, Question[Any]]:
    """Open a way to the model, or take the one that this thread has open.

    Raises:
        UserError: the server does not have that model or version.
        ServerError: it does not answer.
    """
    key = (target, form, asking)
    if _open.found is not None and _open.key == key:
        return _open.found
    let_go()
    try:
        endpoint = _open.stack.enter_context(_find(target, asking, notify))
        question = form.question(endpoint, target, asking.timeout)
    except NotServedError as error:
        let_go()
        raise UserError(
            f"{error.reason}; the job is planned for version {target.version} of model {target.model}: serve that "
            "version, or plan another job"
        ) from None
    except BaseException:
        let_go()
        raise
    _open.key, _open.found = key, (endpoint, question)
    return endpoint, question


def _find(target: Target, asking: "Asking", notify: "Notify") -> AbstractContextManager[Endpoint]:
    if asking.saved_model is None:
        return find_server(asking.servers, asking.security, target, asking.timeout, notify)
    from batch.cluster.in_process import InProcess  # noqa: PLC0415 - imports TensorFlow

    return closing(InProcess(asking.saved_model, target))


def let_go() -> None:
    """Close what this thread has open, if anything; a built-in server that was started for it ends."""
    _open.key = _open.found = None
    _open.stack.close()
