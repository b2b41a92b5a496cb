"""The command line: each command reads and writes folders and calls one public function. The only file that prints."""

from typing import Annotated

import typer

from noisybench.cli.atlas import atlas
from noisybench.cli.board import leaderboard
from noisybench.cli.build import build, describe, verify
from noisybench.cli.export import export
from noisybench.cli.given import score
from noisybench.cli.launched import check_launched, launched, together
from noisybench.cli.listing import list_
from noisybench.cli.merge import merge
from noisybench.cli.phase import phase
from noisybench.cli.planning import plan
from noisybench.cli.printing import say
from noisybench.cli.quickstart import quickstart
from noisybench.cli.run import evaluate, memorize
from noisybench.cli.study import study
from noisybench.cli.suspects import suspects
from noisybench.cli.truths import truths
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
    context: typer.Context,
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=lambda value: _version(wanted=value), is_eager=True, help="Show it.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    del version, debug  # read by their callback and by main()
    if launched().world > 1:
        check_launched(context.invoked_subcommand)
        context.with_resource(together())


app.command("list")(list_)
for command in (
    build,
    describe,
    plan,
    verify,
    evaluate,
    memorize,
    score,
    leaderboard,
    truths,
    suspects,
    export,
    merge,
    quickstart,
):
    app.command()(command)
study.command()(phase)
study.command()(atlas)
app.add_typer(study, name="study")
