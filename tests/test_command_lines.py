"""The command lines of the documentation: each can be typed, and each option is explained."""

import os
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import batch.cli
import batch.cluster.cli
import batch.compare.cli
import batch.review.cli
import exporter.cli
import serving.cli
import trainer.cli
from batch.client.security import METADATA_VARIABLE
from serving.command.inert_flags import drop_inert_flags
from serving.rest import handler
from tests.conftest import ROOT
from tests.pages import PAGES, README

APPS = {
    "digits-batch": batch.cli.app,
    "digits-job": batch.cluster.cli.app,
    "digits-review": batch.review.cli.app,
    "digits-export": exporter.cli.app,
    "digits-serve": serving.cli.app,
    "digits-train": trainer.cli.app,
}
# Pages that explain what to type, and the page that explains each command's options.
CONSOLE_PAGES = [page for page in PAGES if page != "CHANGELOG.md"]
OPTIONS_PAGES = {
    "digits-batch": "docs/predict.md",
    "digits-export": "docs/train.md",
    "digits-job": "docs/jobs.md",
    "digits-review": "docs/review.md",
    "digits-serve": "docs/serve.md",
    "digits-train": "docs/train.md",
}

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
METRICS_PATH = re.findall(r'path: "(.*)"', (ROOT / "serving" / "monitoring.config").read_text(encoding="utf-8"))


def test_each_extra_has_a_line_in_the_readme() -> None:
    """The README says how to install each of them, but for the developers' own."""
    named = {extra for found in re.findall(r"pip install '\.\[(.*?)\]'", README) for extra in found.split(",")}
    assert named == EXTRAS.keys() - {"dev"}


@pytest.mark.parametrize("command", APPS)
def test_every_command_is_in_the_readme(command: str) -> None:
    """Each command has its place in the README."""
    assert f"$ {command} " in README


def _commands(app: typer.Typer) -> dict[str, Any]:
    """A program's commands by name; one without subcommands has one, without a name."""
    program: Any = typer.main.get_command(app)
    commands: dict[str, Any] = getattr(program, "commands", {"": program})
    if app is batch.cli.app:  # its first word is a path, unless it is this one
        return {**commands, batch.compare.cli.NAME: typer.main.get_command(batch.compare.cli.app)}
    return commands


def _parameters() -> Iterator[tuple[str, Any]]:
    for program, app in APPS.items():
        for name, command in _commands(app).items():
            for parameter in command.params:
                yield " ".join(filter(None, (program, name, parameter.name))), parameter


@pytest.mark.parametrize(("name", "parameter"), list(_parameters()))
def test_every_option_has_help(name: str, parameter: Any) -> None:  # noqa: ANN401 - Typer's own class
    """No flag is left unexplained."""
    assert getattr(parameter, "help", None), name


@pytest.mark.parametrize(("name", "parameter"), list(_parameters()))
def test_every_option_is_on_the_page_of_its_command(name: str, parameter: Any) -> None:  # noqa: ANN401 - the same
    """No flag is missing from docs/."""
    page = OPTIONS_PAGES[name.partition(" ")[0]]
    for flag in parameter.opts:
        if flag.startswith("--") and flag not in ("--help", "--version"):
            assert re.search(rf"`(?:[^`]* )?{re.escape(flag)}[ `=]", PAGES[page]), f"{flag} is not in {page}"


def test_no_snippet_names_a_flag_that_is_not_there() -> None:
    """Every flag of our commands in the pages' console blocks exists."""
    seen = 0
    for line in (line for page in CONSOLE_PAGES for line in _console_lines(PAGES[page])):
        for words in _simple_commands(line):
            name = Path(words[0]).name
            if name in APPS:
                seen += 1
                flags = {word.split("=")[0] for word in words if word.startswith("--")}
                assert flags <= _known_flags(name), line
    assert seen


def _known_flags(command: str) -> set[str]:
    parameters = (parameter for each in _commands(APPS[command]).values() for parameter in each.params)
    return {flag for parameter in parameters for flag in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("page", CONSOLE_PAGES)
def test_every_command_line_of_a_page_is_valid(page: str) -> None:
    """What a reader types from a console block is understood by the program that it calls."""
    lines = list(_console_lines(PAGES[page]))
    assert lines, f"{page} has no command lines"
    for line in lines:
        commands = _simple_commands(line)
        assert commands, f"{page}: {line!r} holds no command"
        for words in commands:
            reason = _why_wrong(words)
            assert reason is None, f"{page}: {line!r}: {reason}"


@pytest.mark.parametrize(
    "line",
    [
        "digits-batch ./scans --nope",
        "digits-batch ./scans --timeout=soon",
        "digits-batch compare old.csv",
        "digits-batch compare old.csv new.csv --server localhost",
        "digits-job nothing job",
        "digits-job status job --out preds.csv",
        "digits-serve --enable_batching=perhaps",
        "digits-export",
        "digits-train --seed=x dense-128",
        "make nothing",
        "make evaluate DADA=dir",
        "pip install '.[nothing]'",
        "pip install something",
        "docker compose up nothing",
        "docker compose --profile nothing up",
        "docker build -f docker/nothing.Dockerfile .",
        "python nothing.py",
        "kubectl apply -f examples/cluster/kubernetes/nothing.yaml",
        "kubectl wait job/nothing",
        "sbatch examples/cluster/nothing.sh job",
        "spark-submit --master yarn examples/cluster/nothing.py run job",
        "spark-submit --master yarn examples/cluster/spark_submit.py run job --nothing",
        "curl localhost:8501/v2/models/digits",
        "NOTHING=1 digits-serve",
        "nothing at all",
        "make demo && nothing",
    ],
)
def test_a_wrong_command_line_is_found(line: str) -> None:
    """The checks above tell wrong lines from right ones."""
    assert any(_why_wrong(words) for words in _simple_commands(line))


def _console_lines(text: str) -> Iterator[str]:
    """The command lines of a page's console blocks, without their prompts, continued lines joined."""
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                yield line.removeprefix("$ ")


def _simple_commands(line: str) -> list[list[str]]:
    """The words of each command in a line: of a pipe, a list, in the background, in a loop; comments left out.

    A loop's variable is replaced by its first value.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    for word in lexer:
        if word.strip("|&;"):
            commands[-1].append(word)
        else:
            commands.append([])
    values: dict[str, str] = {}
    found = []
    for words in commands:
        if words[:1] == ["for"]:
            values[f"${words[1]}"] = words[3]
        elif words and words != ["done"]:
            found.append([values.get(word, word) for word in words[words[0] == "do" :]])
    return found


def _why_wrong(words: list[str]) -> str | None:
    """Why a command cannot be typed like this; None where it can."""
    while words and (variable := re.match(r"([A-Z_]+)=", words[0])):
        if variable[1] not in _known_variables():
            return f"nobody reads the variable {variable[1]}"
        words = words[1:]
    program = words[0] if words else ""
    if program.removeprefix(".venv/bin/") in APPS:
        return _why_wrong_for_an_app(program.removeprefix(".venv/bin/"), words[1:])
    if program.startswith("examples/"):
        return None if os.access(ROOT / program, os.X_OK) else f"{program} is no program"
    check = PROGRAMS.get(program)
    return check(words[1:]) if check else f"no check for {program!r}: add one to this file, or leave the line out"


def _known_variables() -> set[str]:
    compose = (ROOT / "compose.yaml").read_text(encoding="utf-8") + (ROOT / ".env").read_text(encoding="utf-8")
    ours = {parameter.envvar for _, parameter in _parameters()}
    return {*re.findall(r"\b[A-Z]+_[A-Z_]+\b", compose), *ours, METADATA_VARIABLE, "PYSPARK_PYTHON"}


def _why_wrong_for_an_app(name: str, arguments: list[str]) -> str | None:
    try:
        if name == "digits-serve":
            arguments = serving.cli.normalise_flags(drop_inert_flags(arguments))
        commands = _commands(APPS[name])
        is_named = "" not in commands or arguments[:1] == [batch.compare.cli.NAME]
        subcommand = arguments.pop(0) if is_named else ""
        if subcommand not in commands:
            return f"{name} has no command {subcommand!r}"
        commands[subcommand].make_context(name, list(arguments))
    except typer.Exit:
        return None  # --help, --version, --list
    except Exception as error:  # noqa: BLE001 - the classes of these errors differ between versions of Typer
        return f"{name} does not take it: {error}"
    return None


def _why_wrong_for_make(arguments: list[str]) -> str | None:
    targets = set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))
    variables = set(re.findall(r"^(\w+) *[?:]?=", MAKEFILE, re.MULTILINE))
    for argument in arguments:
        name, is_variable, _ = argument.partition("=")
        if name not in (variables if is_variable else targets):
            return f"the Makefile has no {name}"
    return None


def _why_wrong_for_pip(arguments: list[str]) -> str | None:
    if arguments == ["wheel", "--no-deps", "."]:
        return None
    found = re.fullmatch(r"install (?:\.|digits-[\d.]+-py3-none-any\.whl)(?:\[([\w,]+)\])?", " ".join(arguments))
    if not found:
        return "install a checkout or a wheel"
    unknown = set((found[1] or "").split(",")) - {"", *EXTRAS}
    return f"there is no extra {unknown}" if unknown else None


def _why_wrong_for_docker(arguments: list[str]) -> str | None:
    command, *words = arguments
    if command == "build":
        file = ROOT / words[words.index("-f") + 1]
        return None if file.is_file() and words[-1] == "." else f"{file} or its context is not there"
    if command != "compose":
        return f"no check for docker {command}"
    profiles = {profile for service in COMPOSE["services"].values() for profile in service["profiles"]}
    while words[:1] == ["--profile"]:
        if words[1] not in {*profiles, "*"}:
            return f"compose.yaml has no profile {words[1]}"
        words = words[2:]
    verb, *rest = words
    names = [word for word in rest if not word.startswith("-")]
    unknown = set(names) - set(COMPOSE["services"])
    if verb not in ("up", "run", "down") or unknown:
        return f"compose.yaml has no service {unknown}" if unknown else f"no check for docker compose {verb}"
    return None


def _why_wrong_for_python(arguments: list[str]) -> str | None:
    script = arguments[2] if arguments[:2] == ["-m", "pytest"] else arguments[0]
    return None if (ROOT / script).exists() else f"there is no {script}"


def _why_wrong_for_curl(arguments: list[str]) -> str | None:
    (url,) = [word for word in arguments if word.startswith("localhost:")]
    path = url[url.index("/") :]
    has_body = "-d" in arguments
    fits = handler._METHOD.fullmatch(path) if has_body else handler._RESOURCE.fullmatch(path)
    return None if fits or (path in METRICS_PATH and not has_body) else f"the REST API has no {path}"


def _why_wrong_for_node(arguments: list[str]) -> str | None:
    script, proto, *_ = arguments
    missing = [path for path in (script, proto) if not (ROOT / path).is_file()]
    return f"there is no {missing[0]}" if missing else None


def _why_wrong_for_npm(arguments: list[str]) -> str | None:
    line = f"npm {' '.join(arguments)}"
    return None if line in (ROOT / "examples" / "predict.js").read_text(encoding="utf-8") else "predict.js says another"


def _why_wrong_for_pre_commit(arguments: list[str]) -> str | None:
    return None if arguments == ["install"] and (ROOT / ".pre-commit-config.yaml").is_file() else "there are no hooks"


def _why_wrong_for_kubectl(arguments: list[str]) -> str | None:
    names = {
        name
        for path in (ROOT / "examples" / "cluster" / "kubernetes").glob("*.yaml")
        for name in re.findall(r"^  name: (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    for argument in arguments:
        kind, is_named, name = argument.partition("/")
        if kind == "job" and is_named and name not in names:
            return f"no manifest has {argument}"
        path = argument.removeprefix("--from-file=")
        if (path != argument or path.endswith(".yaml")) and not (ROOT / path).exists():
            return f"there is no {path}"
    return None if arguments[0] in ("apply", "create", "wait", "logs") else f"no check for kubectl {arguments[0]}"


def _why_wrong_for_sbatch(arguments: list[str]) -> str | None:
    script = next(argument for argument in arguments if not argument.startswith("--"))
    return None if os.access(ROOT / script, os.X_OK) else f"{script} is no program"


def _why_wrong_for_spark_submit(arguments: list[str]) -> str | None:
    script = next((place for place, argument in enumerate(arguments) if argument.endswith(".py")), 0)
    if not (ROOT / arguments[script]).is_file():
        return f"there is no {arguments[script]}"
    unknown = set(arguments[:script:2]) - {"--master", "--deploy-mode", "--archives", "--conf"}
    if unknown:
        return f"no check for {unknown}"
    return _why_wrong_for_an_app("digits-job", arguments[script + 1 :])


PROGRAMS: dict[str, Callable[[list[str]], str | None]] = {
    "make": _why_wrong_for_make,
    "pip": _why_wrong_for_pip,
    "docker": _why_wrong_for_docker,
    "python": _why_wrong_for_python,
    ".venv/bin/python": _why_wrong_for_python,
    "curl": _why_wrong_for_curl,
    "node": _why_wrong_for_node,
    "npm": _why_wrong_for_npm,
    "pre-commit": _why_wrong_for_pre_commit,
    "kubectl": _why_wrong_for_kubectl,
    "sbatch": _why_wrong_for_sbatch,
    "spark-submit": _why_wrong_for_spark_submit,
    "dask": lambda arguments: None if arguments[0] in ("scheduler", "worker") else "no check for it",
    "find": lambda _: None,  # the system's
}
