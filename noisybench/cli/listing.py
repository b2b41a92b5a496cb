"""The command ``list``: what there is, and what there is to say of one item."""

import shutil
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import typer

from noisybench.cli.printing import Json, print_json

if TYPE_CHECKING:
    from noisybench.cards.item_page import ItemPage

DETECTORS: Literal["detectors"] = "detectors"
"""Name of the list that also says which of the sets of ``evaluate --detectors`` each is in, and what feeds it."""
ABOUT_SETS = """\
sets of 'evaluate --detectors', each in the next; 'evaluate VARIANT --dry-run' says what each detector costs:
  fast       nothing but the looking, a third of the training
  standard   one or two trainings, together (the default)
  all        no bound; may train again
objective_* are in theirs where the objective leaves what they read, as with 'evaluate --objective elr' or car
others: 'memorize --pool detector' (pool), 'score --features' (features), 'score --answers' (answers)"""
CALLED = ("models", "alterations")
"""Lists whose items have their options in brackets behind their names, as the example shows."""
_WIDEST = 100


def list_(
    drawer: Annotated[
        str | None,
        typer.Argument(
            metavar="LIST",
            help="sources, alterations, noises, features, models, objectives, probes, detectors or metrics.",
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

    _check_drawer(drawer)
    drawers = [one for one in get_args(Drawer) if drawer in (None, one)]
    found = {one: [{"name": item, "summary": summary(one, item)} for item in names(one)] for one in drawers}
    about = _about_detectors() if drawer == DETECTORS else {}
    if as_json:
        told = {title: [{**item, **about.get(item["name"], {})} for item in items] for title, items in found.items()}
        print_json(told if drawer is None else told[drawer])
        return
    width = max(21, *(len(item["name"]) for items in found.values() for item in items))
    sets = {name: one["set"] or ", ".join(one["fed_by"]) for name, one in about.items()}
    wide = max(map(len, sets.values()), default=0)
    for title, items in found.items():
        typer.echo(f"{title}:")
        for item in items:
            where = f" {sets.get(item['name'], ''):<{wide}}" if about else ""
            also = about.get(item["name"], {}).get("aliases")
            other = f" Also known as {also}." if also else ""
            typer.echo(f"  {item['name']:<{width}}{where} {item['summary']}{other}")
    if about:
        typer.echo(ABOUT_SETS)
    if drawer in (None, "models", "features"):
        what = "models and features" if drawer is None else drawer
        typer.echo(f"{what} may also be torchvision:NAME, timm:NAME or your own package.module:attribute")
    example = "noises symmetric" if drawer is None else f"{drawer} {found[drawer][0]['name']}"
    typer.echo(f"'noisybench list {example}' tells all of one: options, an example, and its data card")


def _about_detectors() -> dict[str, dict[str, Any]]:
    """Name of each of noisybench's own detectors → its set, None of those that no training feeds, and what else it says."""
    from noisybench.detection.scoring import OF_EVALUATE
    from noisybench.ground.lookup import is_ours, names
    from noisybench.items import find

    about = {}
    for name in names(DETECTORS):
        if is_ours(DETECTORS, name):
            one = find(DETECTORS, name)
            about[name] = {
                "set": one.smallest_set if {*OF_EVALUATE} & {*one.fed_by} else None,
                "fed_by": list(one.fed_by),
                "left_by_objective": list(one.left_by_objective),
                "information": sorted(one.information),
                "aliases": ", ".join(one.aliases),
            }
    return about


def _check_drawer(drawer: str | None) -> None:
    from noisybench.ground.checks import unknown
    from noisybench.ground.errors import UnknownName
    from noisybench.ground.lookup import Drawer

    if drawer is not None and drawer not in get_args(Drawer):
        raise UnknownName(unknown(drawer, get_args(Drawer), "list"))


def _page(drawer: str, name: str) -> "ItemPage":
    from noisybench.cards.item_page import item_page

    _check_drawer(drawer)
    return item_page(drawer, name)  # type: ignore[arg-type]  # checked above


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
        said = f"{page.flag} NAME=VALUE" if page.flag else "NAME=VALUE in brackets" if page.drawer in CALLED else ""
        yield f"options{f', said as {said}' if said else ''}:"
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
