"""The command line: one file per command, each no more than a recipe over the library."""

from importlib import import_module
from pkgutil import iter_modules

from latentcli.cli.app import PANELS, app, run

__all__ = ["app", "run"]

for module in iter_modules(__path__):  # a file registers its command when it is imported
    import_module(f"{__name__}.{module.name}")
app.registered_commands.sort(key=lambda each: PANELS.index(str(each.rich_help_panel)))
