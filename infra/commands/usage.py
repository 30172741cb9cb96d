"""How commands explain themselves: help that ends in examples, and mistakes in words that lead on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from textwrap import dedent, indent
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

_HEADING = "Examples:\n"


class _Taught:
    """Help of a command or of a group, whose docstring ends in examples."""

    help: str | None
    _examples = ""

    def teach(self) -> None:
        """Part the examples from the text: rich would re-wrap them, and a wrapped line cannot be pasted."""
        self.help, _, self._examples = (self.help or "").partition(_HEADING)

    def show_examples(self) -> None:
        """Print them below the options, as they stand."""
        if self._examples:
            sys.stdout.write(f"\n{_HEADING}{indent(dedent(self._examples).rstrip(), '  ')}\n")


class Command(_Taught, TyperCommand):
    """One command."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.teach()

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters, without the type of a switch: it takes no value, so none may be shown."""
        return _without_types_of_switches(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help, then the examples."""
        super().format_help(ctx, formatter)
        self.show_examples()


class Group(_Taught, TyperGroup):
    """A command that has commands of its own."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.teach()

    def get_params(self, ctx: Any) -> list[Any]:
        """As those of a command."""
        return _without_types_of_switches(super().get_params(ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help, then the examples."""
        super().format_help(ctx, formatter)
        self.show_examples()


def _without_types_of_switches(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
    return parameters


def new_app(**options: Any) -> typer.Typer:
    """An application as all of ours are: rich help, `-h`, no completion to install, errors left to `guarded`."""
    return typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        cls=Group,
        context_settings={"help_option_names": ["--help", "-h"]},
        **options,
    )


def app_of(target: typer.Typer | Callable[..., None], name: str) -> typer.Typer:
    """The application of a command; a plain function becomes one."""
    if isinstance(target, typer.Typer):
        return target
    app = new_app()
    app.command(name, cls=Command)(target)
    return app


def main_of(app: typer.Typer, name: str, arguments: list[str]) -> int:
    """Run a command line; its exit code. A group without a command shows its help, which is a usage error.

    Raises:
        TyperException: the arguments are not understood.
    """
    command = typer.main.get_command(app)
    is_incomplete = isinstance(command, TyperGroup) and not arguments
    try:
        # Not `command.main`, which would answer a reader that left with exit code 1: that is a failed task's.
        with command.make_context(f"sisyphus {name}", ["--help"] if is_incomplete else list(arguments)) as context:
            command.invoke(context)
    except typer.Exit as end:
        return 2 if is_incomplete else end.exit_code
    return 0


def described(error: TyperException) -> tuple[str, str]:
    """What is wrong with a command line, and what to do about it."""
    context: Any = getattr(error, "ctx", None)
    parameter: Any = getattr(error, "param", None)
    title = error.format_message().replace("Value error, ", "")
    if parameter is not None and not error.message:  # it was not given at all
        name = parameter.get_error_hint().strip("'")
        title = f"{name} is missing. {parameter.help or ''}".rstrip()
    if context is None:
        return title, ""
    usage = " ".join(context.get_usage().split())
    return title, f"{usage}\n  `{context.command_path} --help` explains it, with examples."
