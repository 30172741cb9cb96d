"""How commands explain themselves: help that teaches by example, and mistakes that are answered in words."""

import pytest
from typer.main import get_command

from infra import cli

COMMANDS = [*([name] for name in cli.COMMANDS), ["voice", "serve"], ["voice", "say"]]


def incomplete():
    """Every command line that lacks an argument: the words, and what is missing first."""
    for words in COMMANDS:
        command = get_command(cli.load(words[0]))
        for word in words[1:]:
            command = getattr(command, "commands")[word]  # noqa: B009 - a group, which the type does not tell
        needed = [parameter for parameter in command.params if parameter.required]
        if needed:
            yield pytest.param(words, needed[0], id=" ".join(words))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_teaches_by_example(words, capsys):
    """Below its options each command shows a command line of its own, which can be pasted."""
    assert cli.run([*words, "--help"]) == 0
    shown = capsys.readouterr().out
    examples = shown.partition("\nExamples:\n")[2]
    assert f"sisyphus {' '.join(words)}" in examples
    assert all(line.startswith("  ") for line in examples.splitlines() if line)
    assert all(len(line) <= 110 for line in shown.splitlines())


def test_a_switch_takes_no_value_and_shows_none(capsys):
    """`--wait` is a switch; a type behind it would ask for a value."""
    cli.run(["submit", "--help"])
    shown = capsys.readouterr().out
    assert "--wait" in shown
    assert "<bool>" not in shown


@pytest.mark.parametrize(("words", "missing"), list(incomplete()))
def test_what_is_missing_is_named_and_explained(words, missing, capsys):
    """Exit code 2; the argument with its help, the usage, and where to read more."""
    assert cli.run(words) == 2
    out, said = capsys.readouterr()
    assert out == ""
    assert "is missing. " in said
    assert str(missing.help) in said
    assert f"Usage: sisyphus {' '.join(words)} " in said
    assert f"`sisyphus {' '.join(words)} --help`" in said


def test_a_group_without_a_command_shows_its_help(capsys):
    """It is a usage error all the same, so that a script notices."""
    assert cli.run(["voice"]) == 2
    shown = capsys.readouterr().out
    assert "serve" in shown
    assert "sisyphus voice say request.wav" in shown


def test_help_is_found_both_ways(capsys):
    """`sisyphus help X Y` is `sisyphus X Y --help`."""
    assert cli.run(["help", "voice", "say"]) == 0
    first = capsys.readouterr().out
    assert cli.run(["voice", "say", "--help"]) == 0
    assert first == capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["status", "--stat", "x"], "No such option: --stat"),
        (["status", "--state", "x"], "'x' is not one of 'queued'"),
        (["status", "a", "b"], "unexpected extra argument"),
        (["voice", "sai"], "Did you mean 'say'?"),
    ],
)
def test_a_mistyped_option_is_answered_with_what_there_is(arguments, said, capsys):
    """In our words, without those of the library."""
    assert cli.run(arguments) == 2
    shown = capsys.readouterr().err
    assert said in shown
    assert "Value error" not in shown
