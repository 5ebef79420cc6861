"""The application: what every command has in common, and the one guard that turns errors into exit codes."""

import errno
import functools
import inspect
import re
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar, get_args

import typer

from latentcli import __version__
from latentcli.cli import console, options, places
from latentcli.core.errors import LatentError, OutputError, UsageError
from latentcli.core.stages import timed
from latentcli.core.terminating import INTERRUPTED, interrupts_kept, terminable

LEARN, USE, MAKE, COMPARE, LOOK = PANELS = (
    "Learn from images", "Use what was learnt", "Make data", "Measure and compare", "Look at files and settings",
)  # fmt: skip
"""Panels of the help, by what one wants to do."""

_NAME_SHOWN = 40  # letters of a name that is too long
_OUT_OF_MEMORY = ("failed to map segment", "can't allocate memory", "could not create a primitive")
"""Of the system's loader, of PyTorch, and of oneDNN."""
KEYWORD = inspect.Parameter.KEYWORD_ONLY

app = typer.Typer(
    name="latentcli",
    help="Image classification, reconstruction and generation through the latent space of variational autoencoders.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        console.emit(f"latentcli {__version__}\n")
        raise typer.Exit


@app.callback()
def _latentcli(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass


Command = TypeVar("Command", bound=Callable[..., None])


def command(
    group: typer.Typer,
    name: str | None = None,
    panel: str | None = None,
    examples: Sequence[str] = (),
    elsewhere: Mapping[str, str] | None = None,
    shared: bool = False,
) -> Callable[[Command], Command]:
    """Register a function as a command, with ``-q``, ``-v``, its bundles of options laid out, and the guard.

    Args:
        group: the application or sub-application that it belongs to.
        name: what it is called; the function's own name when None.
        panel: of the help that it stands in.
        examples: calls that the help shows.
        elsewhere: arguments that messages may name and that other commands have, and what these call them.
        shared: whether processes that ``torchrun`` starts share its work out; all other commands refuse them.
    """

    def register(function: Command) -> Command:
        bundles, parameters = _laid_out(inspect.signature(function))
        called_as = name or function.__name__.replace("_", "-")
        if shared:
            _sharing.append(called_as)
        line = f"latentcli {called_as}" if group is app else f"latentcli {group.info.name} {called_as}"
        spelled = {**(elsewhere or {}), **{parameter.name: _spelled(parameter) for parameter in parameters}}

        @functools.wraps(function)
        def guarded(*, quiet: bool = False, verbose: bool = False, **arguments: Any) -> None:
            from latentcli.core import device as devices
            from latentcli.core import processes
            from latentcli.numerics import allocator

            quiet = quiet or not processes.is_first()
            console.verbosity.quiet, console.verbosity.verbose = quiet, verbose
            console.verbosity.working = True
            console.verbosity.started, console.verbosity.spelled = time.monotonic(), spelled
            allocator.keep_freed()
            typed = dict(arguments)
            for bundle_name, bundle in bundles.items():
                arguments[bundle_name] = bundle(**{field.name: arguments.pop(field.name) for field in fields(bundle)})

            def called() -> None:
                try:
                    if (device := str(typed.get("device") or "auto")) not in ("auto", "cpu"):
                        devices.resolve(device)  # also where nothing is computed on it in the end
                    if shared:
                        processes.join(str(typed["device"]))
                    else:
                        check_alone(line)
                    function(**arguments)
                except LatentError as problem:
                    if (apart := places.list_apart(console.verbosity.line)) is not None:
                        raise apart from problem
                    raise places.put_right(problem, line, parameters, typed, spelled) from problem

            with warnings.catch_warnings(), timed() as seconds:
                warnings.showwarning = console.warned
                code = exit_code_of(called, arguments.get("output"))
            if told := console.times(seconds):
                console.detail(told)
            if code:
                raise typer.Exit(code)

        for flag, annotation in (("quiet", options.Quiet), ("verbose", options.Verbose)):
            parameters.append(inspect.Parameter(flag, KEYWORD, default=False, annotation=annotation))
        parameters = [_as_written(parameter) for parameter in parameters]
        guarded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        guarded.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        epilog = "\n\n".join(["Examples:", *examples]) if examples else None
        group.command(called_as, rich_help_panel=panel, epilog=epilog)(guarded)
        return function

    return register


def _as_written(parameter: inspect.Parameter) -> inspect.Parameter:
    """The parameter, with a help that shows "[default: top]" as it is written, which else were taken for markup."""
    kind, info, *others = get_args(parameter.annotation)
    shown = copy(info)
    shown.help = info.help and re.sub(r"\[(?=[a-z#/@])", r"\\[", info.help)
    return parameter.replace(annotation=Annotated[(kind, shown, *others)])


_sharing: list[str] = []
"""Commands whose work processes share out."""


def check_alone(command: str, shared: str | None = None) -> None:
    """Refuse to do the same work in several processes, of which each would write the same file.

    Args:
        command: as it is called.
        shared: what of its work processes do share out.

    Raises:
        UsageError: there are several.
    """
    from latentcli.core import processes

    processes.check_environment()
    if processes.count() > 1:
        raise UsageError(
            f"{command} does not share its work out to {processes.count()} processes",
            f"torchrun is for: {shared or ', '.join(sorted(_sharing))}", f"call it once: {command}",
        )  # fmt: skip


def _laid_out(signature: inspect.Signature) -> tuple[dict[str, Any], list[inspect.Parameter]]:
    """The parameters that are bundles of options, by name, and all parameters with each bundle's options in its place.

    A bundle is a frozen dataclass whose fields are options; the parameter's default holds theirs.
    """
    bundles, parameters = {}, []
    for parameter in signature.parameters.values():
        if not is_dataclass(parameter.annotation):
            parameters.append(parameter.replace(kind=KEYWORD))
            continue
        bundles[parameter.name] = parameter.annotation
        for field in fields(parameter.annotation):
            default = getattr(parameter.default, field.name)
            parameters.append(inspect.Parameter(field.name, KEYWORD, default=default, annotation=field.type))
    return bundles, parameters


def run(arguments: Sequence[str] | None = None) -> NoReturn:
    """Parse a command line, do what it says, and leave with the exit code.

    Args:
        arguments: without the program's name; None takes the process's own.
    """
    console.open_streams()
    console.verbosity.line = sys.argv[1:] if arguments is None else arguments
    console.verbosity.working = False
    try:
        Path.cwd()  # without one, libraries end the interpreter while they are loaded
    except OSError:
        console.error(str(UsageError("the working folder is gone", remedy="change to another one: cd")))
        sys.exit(UsageError.exit_code)
    try:
        with interrupts_kept():
            code = _called(arguments)
    except OutputError as problem:
        console.error(str(problem))
        sys.exit(problem.exit_code)
    except Exception as problem:
        # Typer raises errors of a click that it carries along, under names that differ from version to version;
        # what makes one a usage error is that it can say so.
        if not hasattr(problem, "format_message"):
            raise
        context = getattr(problem, "ctx", None)
        command = context.command_path if context is not None else "latentcli"
        if (apart := places.list_apart(console.verbosity.line)) is not None:
            console.error(str(apart))
        elif message := problem.format_message():  # empty where no arguments were given, and the help was printed
            console.error(str(UsageError(message.splitlines()[0], remedy=f"see: {command} --help")))
        sys.exit(UsageError.exit_code)
    except SystemExit:  # how rich leaves when nobody reads the help any more
        sys.exit(OutputError.exit_code)
    sys.exit(code or 0)


def _called(arguments: Sequence[str] | None) -> int | None:
    """What the application comes to; help that cannot be printed, which is nobody's command, is an OutputError."""
    try:
        code: int | None = app(args=arguments, standalone_mode=False)
        return code
    except OSError as problem:
        if console.verbosity.working or problem.filename is not None:
            raise
        with console.to_stdout():
            raise
    finally:
        if not console.verbosity.working and sys.stdout is not None:
            with console.to_stdout():
                sys.stdout.flush()


def exit_code_of(run: Callable[[], None], output: Path | str | None = None) -> int:
    """Run a command; every error of a user's becomes a short message, and its exit code is returned.

    Args:
        run: the command.
        output: the file that it writes, of which the message says where it is an earlier run's.
    """
    from latentcli.core import processes

    began = time.time()
    try:
        with terminable():
            run()
    except LatentError as problem:
        left = "" if isinstance(problem, UsageError) else _left(output, began)  # a wrong call is no run
        console.error(console.in_options(str(problem)) + left)
        return problem.exit_code
    except OSError as problem:
        if problem.errno != errno.ENAMETOOLONG:
            raise
        called = f"{str(problem.filename)[:_NAME_SHOWN]}… is no path"
        console.error(str(UsageError(called, "a name in it is longer than the file system allows")))
        return UsageError.exit_code
    except (ImportError, MemoryError, RuntimeError) as problem:
        if not isinstance(problem, MemoryError) and not any(mark in str(problem) for mark in _OUT_OF_MEMORY):
            raise
        found = next(iter(str(problem).splitlines()), "")[:100] or None
        console.error(str(UsageError("there is not enough memory", found, "raise its limit, or free some: ulimit -v")))
        return UsageError.exit_code
    except KeyboardInterrupt as stop:
        from latentcli.formats.temporaries import clear_interrupted

        clear_interrupted()
        if str(stop) and processes.speaks():
            console.note(console.in_options(str(stop)) + _left(output, began))
        return INTERRUPTED
    return 0


def _left(output: Path | str | None, began: float) -> str:
    """The end of the message of a failed run: that its output, where it was written before ``began``, is not its own.

    The next command would take it for that: a failed training leaves the model of an earlier one, and deletes nothing.
    """
    with suppress(OSError):
        if output and Path(output).is_file() and (written := Path(output).stat().st_mtime) < began:
            date = time.strftime("%Y-%m-%d %H:%M", time.localtime(written))
            return f"; {output} of {date} is an earlier run's, left as it is"
    return ""


def _spelled(parameter: inspect.Parameter) -> str:
    """How the command line calls a parameter."""
    for declared in getattr(parameter.annotation, "__metadata__", ()):
        if isinstance(declared, typer.models.ArgumentInfo):
            return declared.metavar or parameter.name.upper()
        # Within Annotated the first name of an option stands where a default would.
        for flag in (getattr(declared, "default", None), *(getattr(declared, "param_decls", None) or ())):
            if str(flag).startswith("--"):
                return str(flag)
    return f"--{parameter.name.replace('_', '-')}"
