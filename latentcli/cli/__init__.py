"""The command line: one file per command, each no more than a recipe over the library."""

from latentcli.cli import (
    classify,
    distort,
    encode,
    evaluate,
    fit_gmm,
    fit_probe,
    hybridize,
    info,
    plot,
    reconstruct,
    settings,
    study,
    study_hybrids,
    train,
    train_cnn,
)
from latentcli.cli.app import PANELS, app, run

__all__ = [
    "app",
    "classify",
    "distort",
    "encode",
    "evaluate",
    "fit_gmm",
    "fit_probe",
    "hybridize",
    "info",
    "main",
    "plot",
    "reconstruct",
    "settings",
    "study",
    "study_hybrids",
    "train",
    "train_cnn",
]

app.registered_commands.sort(key=lambda each: PANELS.index(str(each.rich_help_panel)))


def main() -> None:
    """The entry point of ``latentcli``."""
    run()
