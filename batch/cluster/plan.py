"""Plans a job: one walk, frozen into shards."""

import secrets
import time
from collections.abc import Callable

from batch.client.endpoint import Endpoint
from batch.client.security import Security
from batch.client.server import has_built_in_server, included_model, listening
from batch.client.tensors import Target
from batch.cluster.folder import JobFolder
from batch.cluster.manifest import MANIFESTS, Manifests, manifests_of
from batch.cluster.planned import JOB_FILE, Plan, Planned
from batch.files.requests import cut
from batch.job import Walked
from exporter.command import UserError
from exporter.contract import DEFAULT_PORT, MODEL_NAME

Show = Callable[[int], None]
"""Is told how many images were found since it was told last."""


def pin_version(target: Target, servers: tuple[str, ...], security: Security, timeout: float) -> int:
    """The version that all rows of a job come from: the one asked for, else what the server has, else the included one.

    Raises:
        UserError: the server does not have that model or label, or nothing says which version it is.
        ServerError: the server does not answer.
    """
    if target.version is not None:
        return target.version
    addresses = listening(servers)
    if addresses:
        endpoint = Endpoint(addresses, security)
        try:
            return endpoint.wait_until_available(target, timeout)
        finally:
            endpoint.close()
    if target.label is None and target.model == MODEL_NAME and has_built_in_server():
        return int(included_model().name)
    raise UserError(
        f"nothing listens on localhost:{DEFAULT_PORT} that says which version of model {target.model} the job is for: "
        "name it with --model-version, or a server with --server HOST:PORT"
    )


def plan_job(folder: JobFolder, plan: Plan, walked: Walked, show: Show = lambda _: None) -> Planned:
    """Write the shards of a walk that has begun, and last what makes a job of them.

    A plan that does not come to its end leaves nothing that counts, and can be repeated.

    Raises:
        UserError: the job cannot be a folder there, or another plan came to its end first.
        OSError: the folder cannot be written.
    """
    name = secrets.token_hex(8)
    is_planned = False
    try:
        manifests = Manifests(folder, name, plan.shard_files, plan.shard_bytes)
        for files in manifests.write(cut(walked.files, plan.batch_size)):
            show(files)
        totals = manifests.totals
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        planned = Planned(plan, name, now, totals.shards, totals.files, totals.archives, totals.octets, walked.skipped)
        is_planned = folder.put_new(JOB_FILE, planned.to_json())
    except (NotADirectoryError, FileExistsError, PermissionError) as error:
        raise UserError(f"{error.filename}: {error.strerror}; choose another folder for the job") from None
    finally:
        if not is_planned:
            folder.remove_all(manifests_of(name))
    if not is_planned:
        raise UserError(f"another digits-job has planned {folder.name} meanwhile: that plan counts")
    # What plans left that were killed.
    for other in list(folder.names(MANIFESTS)):
        if other != manifests_of(name):
            folder.remove_all(other)
    return planned
