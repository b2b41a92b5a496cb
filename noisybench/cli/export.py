"""The command that writes a variant for others: export."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from noisybench.cli.printing import Data, Json, OwnSource, print_json, progress_bar, say, status, tell
from noisybench.ground.errors import BadUsage

if TYPE_CHECKING:
    from noisybench.data.source import Source
    from noisybench.variants.variant import Variant

Format = Literal["huggingface", "folders", "csv"]


def export(
    variant: Annotated[Path, typer.Argument(help="A variant's folder.")],
    *,
    to: Annotated[
        Path,
        typer.Option(
            metavar="PATH",
            help="Folder of the export, or its file with --format csv; an export that is there is replaced.",
        ),
    ],
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="huggingface: a data set in Parquet with inputs and all that is known; folders: images in a folder for each "
            "class; csv: your table, or names of the samples, with the labels.",
        ),
    ] = "huggingface",
    without_dropped: Annotated[
        bool, typer.Option("--without-dropped", help="Leave out samples that corrections drop.")
    ] = False,
    with_given: Annotated[
        bool, typer.Option("--with-given", help="With --format csv: the labels before corrections as a column too.")
    ] = False,
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
    """Write a variant with its inputs: a Hugging Face data set, class folders or a csv, which open without noisybench."""
    from noisybench.cards.export import (
        check_export_folder,
        check_push,
        export_variant,
        licence_reasons,
        push_export,
    )
    from noisybench.cards.plain_export import export_csv, export_folders
    from noisybench.variants.location import location_of, source_of
    from noisybench.variants.variant import read_variant

    _check_options(form, with_given=with_given, push=push is not None, private=private, may_publish=may_publish)
    found = read_variant(variant)
    if form == "huggingface":
        check_export_folder(to)
    if push is not None:
        check_push(push, found, may_publish=may_publish)
    with status(f"reading {found.provenance.source}"):
        source = source_of(found, variant, data, own_source)
    tested = 0 if source.test_labels is None or form != "huggingface" else len(source.test_labels)
    written = len(found.labels) - (int(found.dropped.sum()) if without_dropped else 0)
    place = location_of(variant, data)
    with progress_bar("export", written + tested, "samples") as step:
        how: dict[str, Any] = {"location": place, "without_dropped": without_dropped}
        if form == "huggingface":
            export_variant(found, source, to, without_dropped=without_dropped, progress=step)
        elif form == "folders":
            export_folders(found, source, to, **how, progress=step)
        else:
            export_csv(found, source, to, **how, with_given=with_given)
    reasons = licence_reasons(found)
    if reasons and push is None:
        tell(f"note: {'; '.join(reasons)}; share the export only if you know that you may")
    _tell_what_is_in(found, source, form, without_dropped=without_dropped)
    address = None
    if push is not None:
        with status(f"uploading to {push}"):
            address = push_export(to, push, private=private)
    if as_json:
        samples = {"train": written, "test": tested}
        told = {"path": str(to), "variant_id": found.provenance.variant_id, "samples": samples, "address": address}
        print_json({**told, "notes": reasons})
        return
    if address is not None:
        say(address)
    say(str(to))


def _check_options(form: Format, *, with_given: bool, push: bool, private: bool, may_publish: bool) -> None:
    """Raise ``BadUsage`` for an option that is for another one, which is missing."""
    if not push and (private or may_publish):
        msg = f"{'--private' if private else '--may-publish'} is for --push, which is missing"
        raise BadUsage(msg)
    if push and form != "huggingface":
        msg = f"--push is for --format huggingface, and not for {form}; leave one of them out"
        raise BadUsage(msg)
    if with_given and form != "csv":
        msg = "--with-given is for --format csv; a Hugging Face export has the column source_label"
        raise BadUsage(msg)


def _tell_what_is_in(found: "Variant", source: "Source", form: Format, *, without_dropped: bool) -> None:
    if found.dropped.any() and not without_dropped:
        tell(f"note: {int(found.dropped.sum())} dropped samples are in it; --without-dropped leaves them out")
    if source.test_labels is not None and form != "huggingface":
        tell("note: the test set is not in it, and is where it was")
