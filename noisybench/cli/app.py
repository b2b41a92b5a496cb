"""The command line: each command reads and writes folders and calls one public function. The only file that prints."""

from typing import Annotated, get_args

import typer

from noisybench.cli.board import leaderboard, suspects
from noisybench.cli.build import build, describe, export, verify
from noisybench.cli.printing import Json, print_json, say
from noisybench.cli.quickstart import quickstart
from noisybench.cli.run import evaluate, memorize, score
from noisybench.ground.version import __version__

app = typer.Typer(
    help="Label-noise benchmarks: build noisy variants of a data set, evaluate what a model memorizes, rank detectors.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(*, wanted: bool) -> None:
    if wanted:
        say(f"noisybench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=lambda value: _version(wanted=value), is_eager=True, help="Show it.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    del version, debug  # read by their callback and by main()


def list_(
    drawer: Annotated[
        str | None,
        typer.Argument(metavar="[LIST]", help="sources, alterations, noises, features, models, probes or detectors"),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """List the sources, alterations, noises, features, models, probes and detectors."""
    from noisybench.ground.lookup import Drawer, names, summary

    drawers = get_args(Drawer) if drawer is None else (drawer,)
    found = {name: [{"name": item, "summary": summary(name, item)} for item in names(name)] for name in drawers}
    if as_json:
        print_json(found if drawer is None else found[drawer])
        return
    for name, items in found.items():
        say(f"{name}:")
        for item in items:
            say(f"  {item['name']:<21} {item['summary']}")
    if drawer in (None, "models", "features"):
        what = "models and features" if drawer is None else drawer
        say(f"{what} may also be torchvision:NAME, timm:NAME or your own package.module:attribute")


app.command("list")(list_)
for command in (build, describe, verify, evaluate, memorize, score, leaderboard, suspects, export, quickstart):
    app.command()(command)
