"""What a job is: `job.json`, which is put last of its plan, and only where none is yet."""

import json
from dataclasses import dataclass
from typing import Any, Self

from batch.client.tensors import Target
from batch.cluster.folder import JobFolder
from batch.files.skipped import Skipped
from batch.files.walk import Walk
from batch.table.columns import Columns
from batch.table.number_form import NumberForm
from batch.table.output import Form
from exporter.command import UserError

JOB_FILE = "job.json"
_FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """What decides the rows of a job and their grouping into shards and requests.

    Attributes:
        walk: folders, files and how they are walked.
        folder: where the walk's relative paths begin.
        target: model, signature and the version that all rows come from.
        batch_size: most images in a request.
        form: what is wanted of each image, and so the columns of the table.
        shard_files: most images in a shard.
        shard_bytes: most bytes in a shard, unless one request has more; None for any number.
    """

    walk: Walk
    folder: str
    target: Target
    batch_size: int
    form: Columns[Any]
    shard_files: int
    shard_bytes: int | None = None

    def settings(self) -> dict[str, object]:
        """All of it, by the names of the options."""
        return {
            "paths": list(self.walk.paths),
            "glob": list(self.walk.globs),
            "recursive": self.walk.recursive,
            "follow-links": self.walk.follow_links,
            "bytes-column": self.walk.bytes_column,
            "id-column": self.walk.id_column,
            "folder": self.folder,
            "model": self.target.model,
            "signature": self.target.signature,
            "model-version": self.target.version,
            "batch-size": self.batch_size,
            **self.form.settings,
            "min-confidence": self.form.min_confidence,
            "shard-files": self.shard_files,
            "shard-bytes": self.shard_bytes,
        }

    @classmethod
    def of(cls, settings: dict[str, Any]) -> Self:
        """What `settings` gave."""
        return cls(
            Walk(
                tuple(settings["paths"]),
                tuple(settings["glob"]),
                settings["recursive"],
                settings["follow-links"],
                settings["bytes-column"],
                settings["id-column"],
            ),
            settings["folder"],
            Target(settings["model"], settings["signature"], settings["model-version"]),
            settings["batch-size"],
            _form(settings),
            settings["shard-files"],
            settings["shard-bytes"],
        )


def _form(settings: dict[str, Any]) -> Columns[Any]:
    # A plan of an older version of digits says nothing of what is read.
    if settings.get("read") == "numbers":
        return NumberForm.of(settings)
    return Form(settings["probabilities"], settings["min-confidence"])


@dataclass(frozen=True)
class Planned:
    """A plan and what its walk found.

    Attributes:
        plan: what was asked for.
        id: of this job among all; the folder of its manifests.
        when: the time of the plan, for people.
        shards: how many there are.
        files: images in them all; each archive counts once.
        archives: how many of them are archives.
        octets: their bytes.
        skipped: what the walk passed over.
    """

    plan: Plan
    id: str
    when: str
    shards: int
    files: int
    archives: int
    octets: int
    skipped: Skipped

    def to_json(self) -> bytes:
        """As it stands in JOB_FILE."""
        facts = {
            "format": _FORMAT,
            "id": self.id,
            "planned": self.when,
            "shards": self.shards,
            "files": self.files,
            "archives": self.archives,
            "bytes": self.octets,
            "settings": self.plan.settings(),
            "passed-over": vars(self.skipped),
        }
        return json.dumps(facts, indent=2).encode() + b"\n"

    @classmethod
    def of(cls, content: bytes) -> Self:
        """What `to_json` gave. Raises ValueError, KeyError or TypeError for anything else."""
        facts = json.loads(content)
        if facts["format"] != _FORMAT:
            raise ValueError(f"format {facts['format']}")
        return cls(
            Plan.of(facts["settings"]),
            facts["id"],
            facts["planned"],
            facts["shards"],
            facts["files"],
            facts["archives"],
            facts["bytes"],
            Skipped.of(facts["passed-over"]),
        )


def find_job(folder: JobFolder) -> Planned | None:
    """What is planned in a folder; None where no plan has come to its end.

    Raises:
        UserError: what is there is of another version, or cannot be read.
    """
    try:
        return Planned.of(folder.read(JOB_FILE))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"cannot read {folder.name}/{JOB_FILE}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{folder.name}/{JOB_FILE} is of another version of digits, or damaged ({error}): plan a job in another "
            "folder"
        ) from None


def open_job(folder: JobFolder) -> Planned:
    """As `find_job`. Raises UserError also where nothing is planned."""
    found = find_job(folder)
    if found is None:
        raise UserError(f"{folder.name} holds no planned job: run digits-job plan {folder.name} PATH")
    return found
