"""The command ``list``: what there is, and what there is to say of one item."""

import shutil
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from noisybench.cli.printing import Json, print_json

if TYPE_CHECKING:
    from noisybench.cards.item_page import ItemPage

METRICS = "metrics"
"""A list of its own: metrics are no files of a drawer, and take longer to import than the others to be listed."""
_WIDEST = 100


def list_(
    drawer: Annotated[
        str | None,
        typer.Argument(
            metavar="LIST", help="sources, alterations, noises, features, models, probes, detectors or metrics."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One of them: its options, an example, and its data card.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """List what can be named: sources of data, noises, detectors and more; or tell all of one, as in 'list noises symmetric'."""
    if name is None:
        _print_names(drawer, as_json=as_json)
        return
    from dataclasses import asdict

    page = _page(drawer or "", name)
    if as_json:
        print_json(asdict(page))
        return
    for line in page_lines(page, min(shutil.get_terminal_size((_WIDEST, 0)).columns, _WIDEST)):
        typer.echo(line)


def _print_names(drawer: str | None, *, as_json: bool) -> None:
    from noisybench.ground.lookup import Drawer, names, summary

    if drawer == METRICS:
        from noisybench.cards.item_page import metric_names, metric_page

        found = {METRICS: [{"name": item, "summary": metric_page(item).summary} for item in metric_names()]}
    else:
        _check_drawer(drawer)
        drawers = [one for one in get_args(Drawer) if drawer in (None, one)]
        found = {one: [{"name": item, "summary": summary(one, item)} for item in names(one)] for one in drawers}
        if drawer == "detectors":
            found[drawer] = [{**item, **_aliases(item["name"])} for item in found[drawer]]
    if as_json:
        print_json(found if drawer is None else found[drawer])
        return
    width = max(21, *(len(item["name"]) for items in found.values() for item in items))
    for title, items in found.items():
        typer.echo(f"{title}:")
        for item in items:
            other = f" Also known as {item['aliases']}." if item.get("aliases") else ""
            typer.echo(f"  {item['name']:<{width}} {item['summary']}{other}")
    if drawer in (None, "models", "features"):
        what = "models and features" if drawer is None else drawer
        typer.echo(f"{what} may also be torchvision:NAME, timm:NAME or your own package.module:attribute")
    if drawer is None:
        typer.echo("'noisybench list metrics' shows the metrics of leaderboards")
    example = "noises symmetric" if drawer is None else f"{drawer} {found[drawer][0]['name']}"
    typer.echo(f"'noisybench list {example}' tells all of one: options, an example, and its data card")


def _aliases(name: str) -> dict[str, str]:
    """Other names of one of noisybench's own detectors, in a text; of others nothing, whose code is not run to be listed."""
    from noisybench.ground.lookup import find, is_ours

    return {"aliases": ", ".join(find("detectors", name).aliases)} if is_ours("detectors", name) else {}


def _check_drawer(drawer: str | None) -> None:
    from noisybench.ground.checks import unknown
    from noisybench.ground.errors import UnknownName
    from noisybench.ground.lookup import Drawer

    known = (*get_args(Drawer), METRICS)
    if drawer is not None and drawer not in known:
        raise UnknownName(unknown(drawer, known, "list"))


def _page(drawer: str, name: str) -> "ItemPage":
    from noisybench.cards.item_page import item_page, metric_names, metric_page
    from noisybench.ground.checks import unknown
    from noisybench.ground.errors import UnknownName

    _check_drawer(drawer)
    if drawer != METRICS:
        return item_page(drawer, name)  # type: ignore[arg-type]  # checked above
    if name not in metric_names():
        raise UnknownName(unknown(name, metric_names(), "metric"))
    return metric_page(name)


def page_lines(page: "ItemPage", width: int) -> Iterator[str]:
    """An item for a terminal of so many columns."""

    def wrapped(text: str, indent: str) -> list[str]:
        return textwrap.wrap(
            text.replace("``", "`"), width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
        )

    yield from wrapped(f"{page.name}: {page.summary}", "")
    for paragraph in page.text:
        yield ""
        yield from wrapped(paragraph, "")
    if page.options:
        yield ""
        yield f"options{f', said as {page.flag} NAME=VALUE' if page.flag else ''}:"
    for option in page.options:
        default = "required" if option.required else f"default {option.default}"
        default += "; also --rate" if (page.drawer, option.name) == ("noises", "rate") else ""
        yield from wrapped(f"{option.name}: {option.type}; {default}", "  ")
        yield from wrapped(option.meaning, "      ")
    if page.facts:
        yield ""
        for key, value in page.facts.items():
            yield from wrapped(f"{key}: {value}", "")
    yield ""
    yield "example:"
    yield f"  {page.example}"
    if page.card is not None:
        yield ""
        yield "data card:"
        yield ""
        yield from page.card.strip().splitlines()
