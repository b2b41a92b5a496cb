"""Commands about variants: build, describe, verify, export."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisybench.cli.printing import (
    Data,
    Json,
    OwnSource,
    Settings,
    SourceSettings,
    one_line,
    print_json,
    progress_bar,
    status,
    tell,
    warn,
    whole_number,
)
from noisybench.ground.errors import BadUsage

if TYPE_CHECKING:
    from noisybench.variants.variant import Variant


def build(
    source: Annotated[str, typer.Argument(help="Name of a source; 'noisybench list sources' shows them.")],
    *,
    noise: Annotated[str, typer.Option(help="Name of a noise; 'noisybench list noises' shows them.")],
    rate: Annotated[list[str] | None, typer.Option(metavar="R", help="Share of wrong labels: 0.2 is 20 %.")] = None,
    settings: Settings = None,
    seed: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Of the noise.")] = 0,
    mode: Annotated[
        str | None, typer.Option(help="exact, exact_per_class or bernoulli; default: the first that the noise has.")
    ] = None,
    data: Data = None,
    source_set: SourceSettings = None,
    limit: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="Keep the first N training samples.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of variants.")] = Path("variants"),
    as_json: Json = False,
) -> None:
    """Build a noisy variant of a source; prints its folder last."""
    from noisybench.cards.description import describe
    from noisybench.cards.description_text import to_record, to_text
    from noisybench.ground.options import parse_options, split_pairs
    from noisybench.items import find
    from noisybench.variants.building import build_variant
    from noisybench.variants.flipping import check_mode

    if mode is not None:
        check_mode(mode)
    params = split_pairs(settings or [], flag="--set")
    rates = [*(rate or []), *([params["rate"]] if "rate" in params else [])]
    if len(rates) > 1:
        msg = f"the rate is given twice, as {' and '.join(rates)}; say --rate once, and no --set rate=…"
        raise BadUsage(msg)
    if rate:
        params["rate"] = rate[0]
    options = split_pairs(source_set or [], flag="--source-set")
    maker = parse_options(find("noises", noise), params, what=f"noise '{noise}'")
    loader = parse_options(find("sources", source), options, what=f"source '{source}'")
    with status(f"reading {source}"):
        loaded = loader(data, limit=limit)
    variant = build_variant(loaded, maker, seed=seed, mode=mode)  # type: ignore[arg-type]  # checked above
    description = describe(variant)
    folder = out / variant.name
    found = {key: getattr(loader, key) for key in options}
    places = {key: str(value.resolve() if isinstance(value, Path) else value) for key, value in found.items()}
    write_whole_variant(variant, folder, data=data, source_set=places)
    for sentence in loaded.notes:
        typer.echo(f"note: {one_line(sentence)}", err=True)
    warn(description)
    if as_json:
        print_json({"path": str(folder), **to_record(variant, description)})
        return
    typer.echo(f"{loaded.name}: {len(loaded.labels)} training samples, order: {loaded.order}")
    typer.echo(to_text(variant, description))
    typer.echo(str(folder))


def describe(
    variant: Annotated[Path, typer.Argument(help="A variant's folder.")],
    *,
    difficulty: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Hold errors against it, higher is harder: npz, npy, csv, parquet."),
    ] = None,
    lower_is_harder: Annotated[
        bool, typer.Option("--lower-is-harder", help="The difficulty has the other sign, as C-scores have.")
    ] = False,
    pred_probs: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Out-of-sample class probabilities: do errors follow them?")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw matrix and difficulty: .png, .svg or .pdf.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a variant's rates, transition matrices and ceilings, and how its errors follow a difficulty."""
    from dataclasses import replace

    from noisybench.cards.description import describe as measure
    from noisybench.cards.description_text import to_record, to_text
    from noisybench.cards.picture import check_picture, draw
    from noisybench.memorization.difficulty_files import is_circular, read_difficulty
    from noisybench.variants.sample_files import read_given
    from noisybench.variants.variant import read_variant

    if lower_is_harder and difficulty is None:
        msg = "--lower-is-harder is for --difficulty, which is missing"
        raise BadUsage(msg)
    if plot is not None:
        check_picture(plot)
    found = read_variant(variant)
    description = measure(
        found,
        difficulty=None
        if difficulty is None
        else read_difficulty(difficulty, found, lower_is_harder=lower_is_harder, tell=tell),
        pred_probs=None
        if pred_probs is None
        else read_given(pred_probs, found, "pred_probs", of_clean=True, tell=tell),
    )
    if difficulty is not None and is_circular(difficulty, found):
        sentence = (
            "the difficulty is the memorization of these very labels, in which wrong labels are hard because they are "
            "wrong: its AUROC says how well memorization finds them; measure it on the clean labels"
        )
        description = replace(description, warnings=(*description.warnings, sentence))
    warn(description)
    if plot is not None:
        draw(found, description, plot)
    if as_json:
        place = {} if plot is None else {"plot": str(plot)}
        print_json({"path": str(variant), **place, **to_record(found, description, matrices=True)})
        return
    typer.echo(to_text(found, description))
    if plot is not None:
        typer.echo(str(plot))


def verify(
    path: Annotated[Path, typer.Argument(help="A variant's folder, or any folder above variants or runs.")],
    *,
    data: Data = None,
    own_source: OwnSource = None,
) -> None:
    """Check that variants and runs, all that are below a folder, are whole and belong together."""
    from noisybench.board.verification import verify_each

    checks = verify_each(path, data=data, own_source=own_source)
    while True:
        with status(f"verifying {path}"):
            sentence = next(checks, None)
        if sentence is None:
            return
        typer.echo(one_line(sentence))  # it may quote a stranger's record


def export(
    variant: Annotated[Path, typer.Argument(help="A variant's folder.")],
    *,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the export; an export that is there is replaced.")],
    push: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Upload it to the Hugging Face hub too, as a data set.")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="The repository on the hub is private.")] = False,
    may_publish: Annotated[
        bool, typer.Option("--may-publish", help="Upload whatever noisybench knows of licences: you know that you may.")
    ] = False,
    data: Data = None,
    own_source: OwnSource = None,
    as_json: Json = False,
) -> None:
    """Write a variant with its inputs as a Hugging Face data set in Parquet, which opens without noisybench."""
    from noisybench.cards.export import check_export_folder, check_push, export_variant, licence_reasons, push_export
    from noisybench.variants.location import source_of
    from noisybench.variants.variant import read_variant

    if push is None and (private or may_publish):
        msg = f"{'--private' if private else '--may-publish'} is for --push, which is missing"
        raise BadUsage(msg)
    found = read_variant(variant)
    check_export_folder(to)
    if push is not None:
        check_push(push, found, may_publish=may_publish)
    with status(f"reading {found.provenance.source}"):
        source = source_of(found, variant, data, own_source)
    tested = 0 if source.test_labels is None else len(source.test_labels)
    with progress_bar("export", len(found.labels) + tested, "samples") as step:
        export_variant(found, source, to, progress=step)
    reasons = licence_reasons(found)
    if reasons and push is None:
        typer.echo(one_line(f"note: {'; '.join(reasons)}; share the export only if you know that you may"), err=True)
    address = None
    if push is not None:
        with status(f"uploading to {push}"):
            address = push_export(to, push, private=private)
    if as_json:
        samples = {"train": len(found.labels), "test": tested}
        told = {"path": str(to), "variant_id": found.provenance.variant_id, "samples": samples, "address": address}
        print_json({**told, "notes": reasons})
        return
    if address is not None:
        typer.echo(address)
    typer.echo(str(to))


def write_whole_variant(variant: "Variant", folder: Path, *, data: Path | None, source_set: Mapping[str, str]) -> None:
    """Write a variant's folder: all of it, or nothing where there was nothing."""
    from noisybench.cards.variant_card import write_cards
    from noisybench.variants.location import write_location
    from noisybench.variants.variant import write_variant

    new = not folder.exists()
    try:
        write_variant(variant, folder)
        write_cards(variant, folder)
        write_location(folder, data=data, source_set=source_set)
    except BaseException:
        if new:
            shutil.rmtree(folder, ignore_errors=True)
        raise
