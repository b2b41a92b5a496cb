"""Commands about variants: build, describe, verify."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noisybench.cli.printing import (
    Data,
    Json,
    OwnSource,
    SourceSettings,
    print_json,
    say,
    status,
    tell,
    warn,
    whole_number,
)
from noisybench.ground.errors import BadUsage
from noisybench.ground.text import one_line

if TYPE_CHECKING:
    from noisybench.cards.description import Description
    from noisybench.data.recognising import Recognised
    from noisybench.variants.variant import Variant


def build(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="Your data: a folder of class folders, a table (.csv, .parquet, …), an .npz, what datasets saved, OWNER/NAME "
            "on the hub; or the name of a source, such as digits: 'noisybench list sources' shows them. With --corrections, "
            "a variant's folder too.",
        ),
    ],
    *,
    noise: Annotated[
        str | None,
        typer.Option(
            help="Name of a noise, such as symmetric: 'noisybench list noises' shows them; default for your own data: "
            "as_found, the labels as they are."
        ),
    ] = None,
    rate: Annotated[list[str] | None, typer.Option(metavar="R", help="Share of wrong labels: 0.2 is 20 %.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="K=V", help="An option of the noise, see 'noisybench list noises NAME'; may be repeated."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(parser=whole_number, metavar="N", help="Decides which labels become wrong.")] = 0,
    mode: Annotated[
        str | None, typer.Option(help="exact, exact_per_class or bernoulli; default: the first that the noise has.")
    ] = None,
    data: Data = None,
    source_set: SourceSettings = None,
    limit: Annotated[
        int | None, typer.Option(parser=whole_number, metavar="N", help="Keep the first N training samples.")
    ] = None,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out images that cannot be decoded, and name them.")
    ] = False,
    corrections: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="What people decided about these labels, a csv; may be repeated, the first round first.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of variants.")] = Path("variants"),
    as_json: Json = False,
) -> None:
    """Build a noisy variant of your data or of a source, or correct one; prints its folder last."""
    from dataclasses import replace

    from noisybench.cards.description import describe
    from noisybench.cards.description_text import to_record
    from noisybench.cards.summary import summary_lines
    from noisybench.data.given_values import SIDE
    from noisybench.data.loading import read_at_side
    from noisybench.data.recognising import recognise_source
    from noisybench.ground.options import parse_options, split_pairs
    from noisybench.items import find
    from noisybench.variants.building import build_variant
    from noisybench.variants.flipping import check_mode

    if corrections and (Path(what) / "variant.json").is_file():
        others = {"--noise": noise, "--rate": rate, "--set": settings, "--seed": seed, "--mode": mode, "--data": data}
        others |= {"--source-set": source_set, "--limit": limit, "--skip-broken": skip_broken}
        _correct(Path(what), corrections, out, others, as_json=as_json)
        return
    if mode is not None:
        check_mode(mode)
    params = _noise_params(settings or [], rate or [])
    options = split_pairs(source_set or [], flag="--source-set")
    found = recognise_source(what) if data is None else _named_source(what, data)
    source, data, options = found.source, found.data, {**found.options, **options}
    if skip_broken:
        if "skip_broken" not in find("sources", source).__dataclass_fields__:
            msg = f"--skip-broken is for images of your own, and source '{source}' has no such option; leave it out"
            raise BadUsage(msg)
        options.setdefault("skip_broken", "true")
    loader = parse_options(find("sources", source), options, what=f"source '{source}'")
    noise = noise or _noise_of_own(source, params)
    maker = parse_options(find("noises", noise), params, what=f"noise '{noise}'")
    if found.note:
        in_full = _in_full(replace(found, options=options).arguments(), noise, params)
        tell(f"note: {found.note}; in full: {in_full}")
    with status(f"reading {what}"):
        loaded = read_at_side(loader, data, limit, SIDE if corrections else None)  # as they were looked at
    variant = build_variant(loaded, maker, seed=seed, mode=mode, corrections=corrections)  # type: ignore[arg-type]  # checked
    description = describe(variant)
    folder = out / variant.name
    said = {key: getattr(loader, key) for key in options}
    if corrections and loaded.options.get("side"):
        said["side"] = loaded.options["side"]
    places = {key: str(value.resolve() if isinstance(value, Path) else value) for key, value in said.items()}
    write_whole_variant(variant, folder, data=data, source_set=places, names=loaded.sample_names)
    for sentence in loaded.notes:
        tell(f"note: {sentence}")
    _tell_of_truth(loader, variant, known=description.known)
    warn(description)
    if as_json:
        print_json({"path": str(folder), **to_record(variant, description)})
        return
    for line in summary_lines(loaded, variant, description):
        say(line)
    say(str(folder))


def _correct(
    folder: Path, corrections: Sequence[Path], out: Path, others: Mapping[str, object], *, as_json: bool
) -> None:
    """Build the variant of a folder once more, with corrections; what else a build is told, its record says already."""
    from noisybench.cards.description import describe
    from noisybench.cards.description_text import to_record
    from noisybench.cards.summary import label_lines
    from noisybench.variants.building import correct_variant
    from noisybench.variants.sample_names import read_names
    from noisybench.variants.variant import read_variant

    said = next((option for option, value in others.items() if value), None)
    if said is not None:
        msg = f"{folder} is a variant, whose record says how it was made; leave {said} out"
        raise BadUsage(msg)
    variant = read_variant(folder)
    for file in corrections:
        variant = correct_variant(variant, file)
    description = describe(variant)
    home = out / variant.name
    write_whole_variant(variant, home, origin=folder, names=read_names(folder, len(variant.labels)))
    warn(description)
    if as_json:
        print_json({"path": str(home), **to_record(variant, description)})
        return
    for line in label_lines(variant, description):
        say(line)
    say(str(home))


def _noise_params(settings: Sequence[str], rates: Sequence[str]) -> dict[str, str]:
    """Options of the noise as text, with the rate, which ``--rate`` or ``--set rate=…`` gives once."""
    from noisybench.ground.options import split_pairs

    params = split_pairs(list(settings), flag="--set")
    given = [*rates, *([params["rate"]] if "rate" in params else [])]
    if len(given) > 1:
        msg = f"the rate is given twice, as {' and '.join(given)}; say --rate once, and no --set rate=…"
        raise BadUsage(msg)
    return params | ({"rate": given[0]} if given else {})


def _named_source(what: str, data: Path) -> "Recognised":
    """The source of a name, whose files are at ``data``."""
    from noisybench.data.recognising import Recognised
    from noisybench.ground.lookup import names

    if what not in names("sources") and ":" not in what and Path(what).exists():
        msg = f"with --data, '{what}' must be the name of a source such as table; leave --data out to build '{what}' itself"
        raise BadUsage(msg)
    return Recognised(what, data)


def _in_full(call: Sequence[str], noise: str, params: Mapping[str, str]) -> str:
    """The command with the source's name, its place and its options."""
    said = [f"--{'rate' if key == 'rate' else f'set={key}'}={value}" for key, value in params.items()]
    return shlex.join(["noisybench", "build", *call, "--noise", noise, *said])


def _tell_of_truth(loader: object, variant: "Variant", *, known: int) -> None:
    """Tell how a table's own labels become the right ones that a published file is held against."""
    source, label = variant.provenance.source, getattr(loader, "label", None)
    if variant.provenance.noise == "published" and not known and hasattr(loader, "clean") and label:
        tell(f"note: no label of '{source}' is known to be right; where its own are, say --source-set clean={label}")


def _noise_of_own(source: str, params: Mapping[str, str]) -> str:
    """The noise where none is named: the labels as they are, of one's own data."""
    from noisybench.data.recognising import OWN

    if source not in OWN:
        msg = (
            f"source '{source}' needs a noise: say --noise symmetric --rate 0.2 for labels with errors, or --noise as_found "
            f"for its labels as they are; 'noisybench list noises' shows all"
        )
        raise BadUsage(msg)
    if params:
        option = "--rate" if "rate" in params else f"--set {next(iter(params))}=…"
        msg = f"{option} is of a noise, and none is named: say --noise symmetric, or leave it out for the labels as they are"
        raise BadUsage(msg)
    return "as_found"


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
        Path | None, typer.Option(metavar="FILE", help="Out-of-sample class probabilities: what noise do they tell of?")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw matrix and difficulty: .png, .svg or .pdf.")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page for a browser as well.")] = None,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Say too how small a difference of two detectors can be found, as 'plan' does."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a variant's rates, transition matrices and ceilings, and how its errors follow a difficulty."""
    from dataclasses import asdict, replace

    from noisybench.cards.description import describe as measure
    from noisybench.cards.description_text import to_record, to_text
    from noisybench.cards.picture import draw
    from noisybench.cli.planning import plan_lines, planned
    from noisybench.ground.drawing import check_picture
    from noisybench.memorization.difficulty_files import is_circular, read_difficulty
    from noisybench.variants.sample_files.values import read_given
    from noisybench.variants.sample_names import read_names
    from noisybench.variants.variant import read_variant

    if lower_is_harder and difficulty is None:
        msg = "--lower-is-harder is for --difficulty, which is missing"
        raise BadUsage(msg)
    if plot is not None:
        check_picture(plot)
    found = read_variant(variant)
    comparison = planned(variant, found) if plan else None
    named = read_names(variant, len(found.labels))
    description = measure(
        found,
        difficulty=None
        if difficulty is None
        else read_difficulty(difficulty, found, lower_is_harder=lower_is_harder, sample_names=named, tell=tell),
        pred_probs=None
        if pred_probs is None
        else read_given(pred_probs, found, "pred_probs", of_clean=True, sample_names=named, tell=tell).values,
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
    if html is not None:
        _write_description(found, description, html)
    if as_json:
        place = {} if plot is None else {"plot": str(plot)}
        beside = {} if comparison is None else {"plan": asdict(comparison)}
        print_json({"path": str(variant), **place, **to_record(found, description, matrices=True), **beside})
        return
    say(to_text(found, description))
    for line in () if comparison is None else plan_lines(comparison):
        say(line)
    if plot is not None:
        say(str(plot))


def _write_description(variant: "Variant", description: "Description", path: Path) -> None:
    """The description as a page."""
    from noisybench.cards.description_page import description_page
    from noisybench.ground.html.page import write_page

    if path.is_dir():
        msg = f"a page goes to a file, and {path} is a folder; say --html FILE, as in --html variant.html"
        raise BadUsage(msg)
    write_page(description_page(variant, description), path)
    tell(f"note: {path} shows it; open it in a browser")


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
        say(one_line(sentence))  # it may quote a stranger's record


def write_whole_variant(
    variant: "Variant",
    folder: Path,
    *,
    data: Path | None = None,
    source_set: Mapping[str, str] | None = None,
    origin: Path | None = None,
    names: Sequence[str] | None = None,
) -> None:
    """Write a variant's folder: all of it, or nothing where there was nothing. What is there stays, or is replaced by file.

    So a build that is paused or stopped takes nothing away that another one finished meanwhile.

    Args:
        variant: What is written.
        folder: Where.
        data: Where the files of its source are, which is remembered.
        source_set: Options of the source, which are remembered.
        origin: Folder of a variant of the same source, which remembers both already.
        names: What people call the samples.
    """
    from noisybench.ground.files import adding_folder

    if folder.exists():
        _write_variant(variant, folder, data=data, source_set=source_set or {}, origin=origin, names=names)
        return
    with adding_folder(folder) as part:
        _write_variant(variant, part, data=data, source_set=source_set or {}, origin=origin, names=names)


def _write_variant(
    variant: "Variant",
    folder: Path,
    *,
    data: Path | None,
    source_set: Mapping[str, str],
    origin: Path | None,
    names: Sequence[str] | None,
) -> None:
    """Write the files of a variant's folder, each whole."""
    from noisybench.cards.variant_card import write_cards
    from noisybench.ground.durability import synced_together
    from noisybench.variants.location import copy_location, write_location
    from noisybench.variants.sample_names import write_names
    from noisybench.variants.variant import write_variant

    with synced_together():
        write_variant(variant, folder)
        write_cards(variant, folder)
        if origin is None:
            write_location(folder, data=data, source_set=source_set)
        else:
            copy_location(origin, folder)
        write_names(names, folder)
