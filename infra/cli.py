"""The `sisyphus` command: finds the chosen command, loads that one alone, and turns every end into an exit code.

`COMMANDS` mirrors the entry-point group ``sisyphus.commands`` (a test holds them equal), so that neither package
metadata nor typer is read before somebody chose a command: `sisyphus --help` is a few lines of plain text.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from infra.commands.unread import print_text

if TYPE_CHECKING:
    import typer

#: Packages of ours; when one of their modules is missing that is a bug and not a missing extra.
_OURS = frozenset({"infra", "schemas", "worker", "orchestrator", "voice"})


class Entry(NamedTuple):
    """One command: where it lives, what it does in one line, its section, and the extra that brings its packages."""

    target: str
    summary: str
    section: str
    extra: str = ""


_RUN, _TASKS, _OBJECTS, _PARTS = "Start here", "Tasks", "Objects", "Parts of the system"

COMMANDS: dict[str, Entry] = {
    "up": Entry("infra.commands.up:up", "start the whole system on this machine", _RUN, "server"),
    "doctor": Entry("infra.commands.doctor:doctor", "try every part and say what to do about what does not work", _RUN),
    "submit": Entry("infra.commands.tasks:submit", "submit a task document (JSON)", _TASKS),
    "run": Entry("infra.commands.tasks:run", "run a template by name, with key=value", _TASKS),
    "status": Entry("infra.commands.tasks:status", "recent tasks and nodes, or one task in detail", _TASKS),
    "watch": Entry("infra.commands.tasks:watch", "follow a task until it ends", _TASKS),
    "logs": Entry("infra.commands.tasks:logs", "what a task prints", _TASKS),
    "cancel": Entry("infra.commands.tasks:cancel", "stop a task", _TASKS),
    "templates": Entry("infra.commands.tasks:templates", "what can be asked for", _TASKS),
    "put": Entry("infra.commands.objects:put", "store a file or a directory", _OBJECTS),
    "get": Entry("infra.commands.objects:get", "fetch an object or everything below a prefix", _OBJECTS),
    "ls": Entry("infra.commands.objects:ls", "list objects", _OBJECTS),
    "worker": Entry("worker.cli:worker", "run one worker node", _PARTS),
    "door": Entry("orchestrator.cli:door", "serve the HTTP API", _PARTS, "server"),
    "voice": Entry("voice.cli:voice", "serve spoken calls, or speak a WAV file to the system", _PARTS, "voice"),
}

_HEAD = """\
Usage: sisyphus COMMAND [OPTIONS]

A cluster that runs tasks in containers, and that you can talk to.
"""
_TAIL = """\
Examples:
  sisyphus up                         the whole system: page, API, two nodes
  sisyphus submit task.json --wait    run a task and watch it
  sisyphus run count-words source=sisyphus:reports/annual-report.txt --wait
  sisyphus status                     what is going on

Every command explains itself: sisyphus COMMAND --help
Where the system lives: --data DIR behind any command, or SISYPHUS_DATA.
Version: sisyphus --version
Exit codes: 0 complete, 1 the task's command failed, 2 bad document or usage,
            3 system error, 4 canceled, 130 interrupted
"""


def main() -> None:
    """Entry point of the console script."""
    try:
        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:  # while the command was being loaded
        sys.exit(130)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. Never raises for what a user can cause."""
    if not arguments or arguments[0] in {"--help", "-h", "help"}:
        if len(arguments) > 1 and arguments[0] == "help":
            return run([*arguments[1:], "--help"])
        print_text(_help(sys.stdout.isatty()), sys.stdout)
        return 0 if arguments else 2
    name, rest = arguments[0], list(arguments[1:])
    if name == "--version":
        from importlib.metadata import version

        print_text(f"sisyphus {version('sisyphus-cluster')}\n", sys.stdout)
        return 0
    if name not in COMMANDS:
        return _unknown(name)
    from infra.commands.ending import guarded

    return guarded(lambda: _call(name, rest), as_json="--json" in rest)


def _call(name: str, rest: list[str]) -> int:
    """Load the command and run it.

    Raises:
        ConfigurationError: its packages are not installed; the message says how to install them.
    """
    from infra.commands.usage import main_of
    from infra.errors import ConfigurationError

    entry = COMMANDS[name]
    try:
        return main_of(load(name), name, rest)
    except ModuleNotFoundError as error:
        if not entry.extra or (error.name or "").partition(".")[0] in _OURS:
            raise
        message = f"`sisyphus {name}` needs the package {error.name!r}; install it with: "
        raise ConfigurationError(f"{message}pip install 'sisyphus-cluster[{entry.extra}]'") from error


def load(name: str) -> typer.Typer:
    """The command's Typer application. Raises ModuleNotFoundError where its packages are not installed."""
    from infra.commands.usage import app_of

    module, _, attribute = COMMANDS[name].target.partition(":")
    return app_of(getattr(import_module(module), attribute), name)


def _unknown(name: str) -> int:
    from difflib import get_close_matches

    what = "option" if name.startswith("-") else "command"
    near = get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean `sisyphus {near[0]}`?" if near else "`sisyphus --help` lists them."
    if what == "option":
        hint = "options come behind the command, as in `sisyphus status --data DIR`."
    print_text(f"error: there is no {what} {name!r}; {hint}\n", sys.stderr)
    return 2


def _help(is_terminal: bool) -> str:
    bold, plain = ("\x1b[1m", "\x1b[0m") if is_terminal else ("", "")
    lines = [_HEAD]
    section = ""
    for name, entry in COMMANDS.items():
        if entry.section != section:
            section = entry.section
            lines.append(f"\n{bold}{section}:{plain}\n")
        lines.append(f"  {bold}{name:<10}{plain} {entry.summary}\n")
    return "".join([*lines, "\n", _TAIL])


if __name__ == "__main__":
    main()
