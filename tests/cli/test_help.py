"""What the help says, and how the library's arguments are called in messages of the command line."""

import re
import warnings
from pathlib import Path

import pytest
import typer

from latentcli.classifiers import PROBES
from latentcli.classifiers.checks import NotConverged
from latentcli.cli import console, options
from latentcli.cli.app import app, command
from latentcli.cli.study import study
from latentcli.core.errors import DataError
from latentcli.data import SOURCES
from latentcli.experiments.arms import ARMS
from latentcli.hybrids import LIKELIHOODS, STRATEGIES
from latentcli.models import FAMILIES

PANELS = {
    "Learn from images": {"train", "train-cnn", "fit-gmm", "fit-graph", "fit-probe", "fit-prior", "explore"},
    "Use what was learnt": {"encode", "classify", "suggest", "reconstruct", "export", "import"},
    "Make data": {"distort", "hybridize", "sample"},
    "Measure and compare": {"check", "evaluate", "study"},
    "Look at files and settings": {"info", "settings", "cache", "plot"},
}
COMMANDS = [*app.registered_commands, *study.registered_commands]


@pytest.fixture
def help_of(call, monkeypatch):
    """The words of a help text, wide enough that none is cut."""
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", 400)
    monkeypatch.setenv("COLUMNS", "400")

    def helping(*arguments: str) -> str:
        done = call(*arguments, "--help")
        assert (done.code, done.err) == (0, "")
        return done.out

    return helping


def test_commands_stand_in_panels_by_what_one_wants_to_do(help_of):
    text, found = help_of(), {}
    for part in text.split("╭─ ")[1:]:
        title, *lines = part.splitlines()
        names = {match.group(1) for line in lines if (match := re.match(r"│ ([a-z-]+) ", line))}
        found[title.rstrip("─╮ ")] = names
    assert {title: names for title, names in found.items() if title != "Options"} == PANELS


def test_all_commands_are_in_a_panel_and_have_examples_that_call_them():
    names = {each.name for each in app.registered_commands} | {each.name for each in app.registered_groups}
    assert names == {name for names in PANELS.values() for name in names}
    for each in COMMANDS:
        heading, *examples = (each.epilog or "").split("\n\n")
        assert (heading, len(examples) > 0) == ("Examples:", True), each.name
        for example in examples:
            assert re.match(rf"latentcli (study )?{each.name}( |$)", example), example


@pytest.mark.parametrize("example", [example for each in COMMANDS for example in (each.epilog or "").split("\n\n")[1:]])
def test_examples_are_calls_that_are_understood(example):
    """All of their options are there, with values of the right type: Typer has nothing to say against them."""
    names = example.split("|")[0].split()[1:]
    group = typer.main.get_command(app)
    while names and hasattr(group, "commands"):
        group = group.commands[names.pop(0)]
    context = group.make_context(example, names)
    assert not context.args


def test_names_of_choices_come_from_the_registries(help_of):
    assert "|".join(FAMILIES) in help_of("train")
    assert "|".join(PROBES) in help_of("fit-probe")
    assert ", ".join(SOURCES) in help_of("encode")
    assert "|".join(FAMILIES) in help_of("settings")
    # These are written out, since importing them would make the help slow.
    named = set(re.findall(r"[a-z-]+", help_of("hybridize")))
    assert {*STRATEGIES, *LIKELIHOODS} <= named
    assert set(ARMS) <= set(re.findall(r"[a-z-]+", help_of("study", "hybrids")))


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("give `val`, or `labels`", "give VAL, or --labels"),
        ("a lower `lr`", "a lower --lr"),
        ("leave it out with `classes`", "leave it out with --classes"),
        ("name `settings`", "name --set"),
        ("a smaller `save_every`", "a smaller --set save_every=…"),
        ("`lr` is 0", "--lr is 0"),
        ("`width` is 0", "width is 0"),
        ("start again without `resume`", "start again without --resume"),
        ("see `latentcli train`", "see `latentcli train`"),
    ],
)
def test_arguments_in_backticks_become_options(capsys, message, said):
    group = typer.Typer()

    @command(group)
    def failing(
        val: options.Val = None,
        training: options.Training = options.TRAINING,
        reading: options.TrainReading = options.READ_FOR_TRAINING,
    ) -> None:
        raise DataError(message)

    assert group(args=[], standalone_mode=False) == 3
    assert capsys.readouterr().err == f"error: {said}\n"


def test_where_there_is_no_such_option_the_name_alone_is_left(monkeypatch):
    monkeypatch.setattr(console.verbosity, "spelled", {"seed": "--seed"})
    assert console.in_options("a lower `reg_covar`") == "a lower reg_covar"


def test_notes_and_warnings_name_options_as_errors_do(capsys):
    group, notes = typer.Typer(), ["told: `range`", "`lr` is 0", "`labels` names some"]

    @command(group, elsewhere={"covariance": "fit-gmm --covariance"})
    def telling(
        training: options.Training = options.TRAINING, reading: options.TrainReading = options.READ_FOR_TRAINING
    ) -> None:
        console.notes(notes)
        warnings.warn("take `covariance` tied", NotConverged, stacklevel=1)
        warnings.warn("of numpy", RuntimeWarning, stacklevel=1)

    assert not group(args=[], standalone_mode=False)
    told = ["told: --range", "--lr is 0", "--labels names some", "warning: take fit-gmm --covariance tied"]
    assert capsys.readouterr().err.splitlines() == told
    assert not group(args=["-v"], standalone_mode=False)
    assert capsys.readouterr().err.splitlines() == [*told, "RuntimeWarning: of numpy"]


def test_every_option_is_named_as_the_help_names_it(call, help_of, trained):
    """By its first long name, when it has several."""
    done = call("train", trained.train, "--digits", "1,4", "--labels-per-class", 10_000)
    assert (done.code, "leave that class out with --classes" in done.err) == (3, True), done.err
    done = call("train-cnn", trained.train, "--share", 0.4)
    assert (done.code, "--labelled-fraction is 0.4" in done.err) == (2, True), done.err
    assert "--labelled-fraction" in help_of("train-cnn")


@pytest.mark.parametrize(("command", "default"), [
    ("sample", "[default: top]"), ("train", "[default: gmm_params.pkl]"), ("fit-gmm", "[default: full]"),
    ("encode", "[default: -1,nan,unknown,unlabelled]"),
])  # fmt: skip
def test_what_stands_in_brackets_is_shown(help_of, command, default):
    assert default in help_of(command)


def every_command(group=None, words=()):
    """Each command with the words that call it."""
    group = typer.main.get_command(app) if group is None else group
    for name, each in group.commands.items():
        if hasattr(each, "commands"):
            yield from every_command(each, (*words, name))
        else:
            yield (*words, name), each


def test_a_device_that_is_not_there_is_refused_by_every_command_before_anything_is_read(call):
    refused = []
    for words, each in every_command():
        if any(parameter.name == "device" for parameter in each.params):
            needed = ["nowhere"] * sum(one.required for one in each.params if one.param_type_name == "argument")
            for device in ("tpu", "cuda:999"):
                done = call(*words, *needed, "--device", device)
                assert (done.code, "device" in done.err, [*Path().iterdir()]) == (2, True, []), (words, done.err)
            refused.append(words)
    assert len(refused) > 20


def test_long_names_that_differ_at_their_ends_differ_in_a_table_of_classes():
    names = ["glioma, grade 2, left", "glioma, grade 2, right", "none"]
    _, _, header, *rows, _ = console.confusion_lines([[3, 0, 1], [0, 5, 0], [0, 0, 12]], names)
    assert re.split("  +", header.strip()) == ["glioma,…, left glioma,… right", "none"]
    assert [row.split()[-3:] for row in rows] == [["3", "0", "1"], ["0", "5", "0"], ["0", "0", "12"]]
    assert len({*map(len, (header, *rows))}) == 1
