"""Data cards against the code they speak of, and the cards of variants against what they are made from."""

import hashlib
import inspect
import json
import os
import pickle
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import torchvision
from huggingface_hub import DatasetCard, RepoCard
from markdown_it import MarkdownIt
from official_layouts import LAYOUTS
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix
from typer.testing import CliRunner

from noisybench.cards.croissant import CROISSANT
from noisybench.cards.data_cards import data_cards, read_data_card
from noisybench.cards.variant_card import README, card_of, write_cards
from noisybench.cards.verify import verify_draw, verify_variant
from noisybench.cli.app import app
from noisybench.data.loading import load_source
from noisybench.data.source import Source, source_from_arrays
from noisybench.data.sources._published import Published, recognise_order
from noisybench.ground.arrays import UNKNOWN
from noisybench.ground.digests import fingerprint, label_digest
from noisybench.ground.errors import BadData, BadUsage, Mismatch
from noisybench.ground.lookup import find, folder_of, names
from noisybench.ground.options import parse_options
from noisybench.noise import cifar_n_files
from noisybench.noise.cifar_n_files import read_annotations
from noisybench.noise.noises import asymmetric
from noisybench.noise.noises.as_found import AsFound
from noisybench.noise.noises.asymmetric import Asymmetric
from noisybench.noise.noises.cifar_n import CifarN
from noisybench.noise.noises.instance import Instance
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.noise.noises.transition import Transition
from noisybench.variants.building import build_variant
from noisybench.variants.flipping import Mode
from noisybench.variants.noise import Draw, Noise
from noisybench.variants.variant import Variant, read_variant, variant_id, write_variant

Drawer = Literal["sources", "noises"]
REPOSITORY = Path(__file__).parents[2]
DRAWERS: tuple[Drawer, ...] = ("sources", "noises")
ITEMS = {drawer: sorted(path.stem for path in (data_cards() / drawer).glob("*.md")) for drawer in DRAWERS}
CARDS = [(drawer, name) for drawer in DRAWERS for name in ITEMS[drawer]]
PUBLISHED = ("cifar10", "cifar100", "fashion_mnist", "mnist")

# Of the list with which the hub checks front matter.
HUB_LICENCES = {"mit", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-nc-4.0", "cc0-1.0", "apache-2.0", "unknown", "other"}


def card(drawer: Drawer, name: str) -> tuple[dict[str, Any], str]:
    found = read_data_card(drawer, name)
    assert found is not None
    return dict(found.facts), found.text


def headings(text: str) -> list[str]:
    return re.findall(r"(?m)^## (.+)$", text)


# --- data cards --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drawer", DRAWERS)
def test_every_item_has_a_card_and_every_card_an_item(drawer: Drawer) -> None:
    """A new file of the drawer without a card fails here, as does a card whose file is gone."""
    ours = {path.stem for path in folder_of(drawer).glob("[!_]*.py")}
    assert set(ITEMS[drawer]) == ours <= set(names(drawer))


@pytest.mark.parametrize(("drawer", "name"), CARDS)
def test_a_card_has_the_form_of_the_template(drawer: Drawer, name: str) -> None:
    """Its facts are those of the template, with none missing that is not said to be left out, and its headings too."""
    template = (data_cards() / "TEMPLATE.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.+?)```", template, re.DOTALL)
    told = {"sources": blocks[0], "noises": blocks[1]}[drawer]
    allowed = RepoCard(f"---\n{told}---\n").data.to_dict()
    assert allowed["kind"] == drawer.removesuffix("s")
    facts, text = card(drawer, name)
    own = {"asymmetric": {"maps", "map_of_source", "other_maps", "mapped_share"}, "cifar_n": {"wrong"}}
    assert set(facts) - own.get(name, set()) <= set(allowed)
    needed = ["name", "kind", "title", "order", "reference", "options", "licence", "access"]
    if drawer == "noises":
        needed = ["name", "kind", "title", "found", "law", "transition", "rate_definition", "modes", "parameters"]
    assert set(needed) <= set(facts)
    assert (facts["name"], facts["kind"]) == (name, drawer.removesuffix("s"))
    assert headings(text) == [part for part in headings(template) if part != "BibTeX" or "citation" in facts]
    assert f"\n# {facts['title']}\n" in (data_cards() / drawer / f"{name}.md").read_text(encoding="utf-8")
    assert all(part.strip() for part in re.split(r"(?m)^## .+$", text)[1:])


@pytest.mark.parametrize(("drawer", "name"), CARDS)
def test_a_card_cites_what_the_code_cites(drawer: Drawer, name: str) -> None:
    """A work is cited as the docstring's ``Source:`` begins, without places in it; options are fields with defaults."""
    facts, _ = card(drawer, name)
    item: Any = find(drawer, name)
    told = re.search(r"Source: (.+?)(\n\n|$)", inspect.cleandoc(item.__doc__), re.DOTALL)
    first = re.split(r"(?<=\.) (?=[A-Z])", " ".join(told[1].split()))[0] if told else "none"
    cited = re.sub(r",? (section|chapter|appendix|algorithm)\b[^;]*?(?=;|\.$)| \([^)]*\)", "", first)
    assert facts.get("citation") == (None if cited.startswith("none") else cited)
    options = {field.name: "required" if field.default is MISSING else field.default for field in fields(item)}
    assert facts["options" if drawer == "sources" else "parameters"] == options


@pytest.mark.parametrize(("drawer", "name"), CARDS)
def test_bibtex_is_of_the_works_that_a_card_cites(drawer: Drawer, name: str) -> None:
    """An entry for each, of the year, first author and arXiv number that the citation has; braces match."""
    facts, text = card(drawer, name)
    works = str(facts["citation"]).split("; ") if "citation" in facts else []
    entries = re.findall(r"(?ms)^@\w+\{\w+,\n(.+?)^\}$", text)
    assert len(entries) == len(works)
    for work, entry in zip(works, entries, strict=True):
        found = dict(re.findall(r"(?m)^  (\w+) = \{(.+)\},$", entry))
        assert len(found) == len(entry.splitlines())
        assert entry.count("{") == entry.count("}")
        assert re.search(r"\b\d{4}\b", work)[0] == found["year"]  # type: ignore[index]  # every work has a year
        surname = found["author"].partition(",")[0]
        assert work.startswith(surname)
        arxiv = re.search(r"arXiv:([\d.]+\d)", work)
        assert found.get("eprint") == (arxiv and arxiv[1])
        assert found["title"].replace("{", "").replace("}", "") in work or arxiv or surname == "LeCun"


@pytest.mark.parametrize(("drawer", "name"), CARDS)
def test_a_licence_is_one_of_the_hub(drawer: Drawer, name: str) -> None:
    """Known identifiers only, and a name in the hub's spelling where it is ``other``."""
    facts, _ = card(drawer, name)
    assert facts.get("licence", "mit") in HUB_LICENCES
    assert bool(re.fullmatch("[a-z0-9.-]+", facts.get("licence_name", ""))) == (facts.get("licence") == "other")


@pytest.mark.parametrize(("drawer", "name"), CARDS)
def test_the_tests_that_a_card_names_exist(drawer: Drawer, name: str) -> None:
    """Each file and each test function by its name."""
    verified = card(drawer, name)[1].partition("## Verified here\n")[2].partition("\n## ")[0]
    files = re.findall(r"`(tests/[\w/]+\.py)", verified)
    assert files, f"{drawer}/{name}.md names no test under 'Verified here'; name one as `tests/….py::test_…`"
    source = "".join((REPOSITORY / file).read_text(encoding="utf-8") for file in files)
    assert all(f"def {test}(" in source for test in re.findall(r"\b(test_\w+)`", verified))


@pytest.mark.parametrize("name", PUBLISHED)
def test_cards_of_published_sets_are_what_the_loaders_know(name: str) -> None:
    """Counts, classes, shape, fingerprints and orders as in the loader; file digests as in torchvision."""
    facts, _ = card("sources", name)
    published: Published = import_module(f"noisybench.data.sources.{name}").PUBLISHED
    assert (facts["access"], facts["task"], facts["reference"]) == (
        "download",
        "image-classification",
        "published labels",
    )
    assert tuple(facts["samples"].values()) == published.samples
    assert list(facts["samples"]) == ["train", "test"]
    assert tuple(facts["image"]) == published.shape
    classes = facts["classes"]["labels=fine"] if name == "cifar100" else facts["classes"]
    assert classes == len(published.class_names)
    assert facts.get("class_names", list(published.class_names)) == list(published.class_names)
    assert ("class_names" in facts) == (classes <= 20)
    assert facts["fingerprints"] == {"train": published.train, "test": published.test}
    assert facts.get("other_orders", {}) == dict(published.other_orders)
    assert facts["augmentation"] == published.augmentation
    official = getattr(torchvision.datasets, published.torchvision)
    files = dict(official.resources) if "mnist" in name else {official.filename: official.tgz_md5}
    assert {file: told["md5"] for file, told in facts["official_files"].items()} == files
    for file, told in facts["official_files"].items():
        places = [f"{mirror}{file}" for mirror in official.mirrors] if "mnist" in name else [official.url]
        assert told["url"] in places
        assert set(told) <= {"url", "bytes", "md5", "sha256"}
        # Nobody has checked the others here, so that the card must say so.
        unverified = card("sources", name)[1].partition("## Not verified\n")[2]
        assert all(key in unverified.replace("size", "bytes") for key in set(told) - {"url", "md5"})
    assert f"<{facts['home']}>" in official.__doc__


@pytest.fixture(scope="session")
def real_labels(data: Path) -> dict[str, tuple[Any, Any]]:
    """Training and test labels of the published sets."""
    mnist = np.load(data / "mnist" / "mnist.npz")
    fashion = np.load(data / "fashion_mnist" / "fashion_mnist_prefix.npz")
    hundred = np.load(data / "cifar100" / "labels.npz")
    ten = [pq.read_table(data / "cifar10" / f"{part}.parquet")["label"].to_numpy() for part in ("train", "test")]
    return {
        "cifar10": (ten[0], ten[1]),
        "cifar100": (hundred["train_fine"], hundred["test_fine"]),
        "mnist": (mnist["y_train"], mnist["y_test"]),
        "fashion_mnist": (fashion["y_train"], fashion["y_test"]),
    }


@pytest.mark.parametrize("name", PUBLISHED)
def test_fingerprints_are_those_of_the_real_labels(name: str, real_labels: dict[str, tuple[Any, Any]]) -> None:
    """The card's order is what the loader says of the real labels, its counts are theirs."""
    facts, _ = card("sources", name)
    parts = dict(zip(("train", "test"), (labels.astype(np.int64) for labels in real_labels[name]), strict=True))
    assert facts["fingerprints"] == {part: fingerprint(labels) for part, labels in parts.items()}
    assert facts["samples"] == {part: len(labels) for part, labels in parts.items()}
    classes = facts["classes"]["labels=fine"] if name == "cifar100" else facts["classes"]
    assert classes == len(np.unique(parts["train"]))
    published = import_module(f"noisybench.data.sources.{name}").PUBLISHED
    assert recognise_order(published, parts["train"])[1] == facts["order"]


def test_the_card_of_digits_is_what_is_read(digits: Source) -> None:
    """Counts, classes, shape, order and fingerprints of the embedded images."""
    facts, _ = card("sources", "digits")
    assert digits.test_labels is not None
    assert facts["samples"] == {"train": len(digits.labels), "test": len(digits.test_labels)}
    assert (facts["classes"], facts["class_names"]) == (digits.num_classes, list(digits.class_names))
    assert tuple(facts["image"]) == digits.inputs.shape[1:]
    assert (facts["order"], facts["augmentation"]) == (digits.order, digits.augmentation)
    assert facts["fingerprints"] == {"train": fingerprint(digits.labels), "test": fingerprint(digits.test_labels)}
    assert facts["access"] == "embedded"
    assert facts["home"] in load_digits().DESCR
    assert np.array_equal(digits.clean, digits.labels)


@pytest.mark.parametrize("name", ["npz", "huggingface"])
def test_cards_of_your_own_data_are_what_is_read(name: str, tmp_path: Path) -> None:
    """They need a place, keep the order, and know a clean label only where there is a column of them."""
    facts, _ = card("sources", name)
    assert facts["access"] == "yours"
    assert "home" not in facts
    assert facts["licence"] == "unknown"
    with pytest.raises(BadUsage):
        load_source(name)
    inputs, labels = np.arange(12.0).reshape(6, 2), np.array([2, 0, 1, 1, 0, 2])
    if name == "npz":
        place = tmp_path / "mine.npz"
        np.savez(place, inputs=inputs, labels=labels)
        source = load_source(name, place)
    else:
        place = tmp_path / "mine.csv"
        place.write_text("a,b,label\n" + "".join(f"{a},{b},{k}\n" for (a, b), k in zip(inputs, labels, strict=True)))
        source = load_source(name, place, input="a,b")
    assert source.order == facts["order"]
    assert np.array_equal(source.labels, labels)
    assert (source.clean == UNKNOWN).all()
    assert facts["reference"].endswith("clean, unknown without it")


@pytest.mark.parametrize("name", [name for name in ITEMS["sources"] if card("sources", name)[0]["access"] == "manual"])
def test_cards_of_sets_that_one_must_get_are_what_is_read(name: str, tmp_path: Path) -> None:
    """Classes, size of an image, augmentation and the order in words; and that no loader has met all of the real files."""
    facts, text = card("sources", name)
    build, options = LAYOUTS[name]
    build(tmp_path)
    small = {key: value for key, value in options.items() if key in ("side", "columns", "truth")}
    source = parse_options(find("sources", name), small, what=name)(tmp_path, limit=None)
    classes = facts["classes"] if isinstance(facts["classes"], dict) else {"": facts["classes"]}
    assert source.num_classes in classes.values()
    assert facts.get("class_names", list(source.class_names)) == list(source.class_names)
    assert facts.get("image", list(source.inputs.shape[1:])) == list(source.inputs.shape[1:])
    assert facts.get("augmentation", "none") == source.augmentation
    assert re.sub(r"\d{4,}|(?<=samples)\d+", "", source.order).startswith(re.sub(r"\d{4,}", "", facts["order"]))
    assert "The loader has not met the real " in text.partition("## Not verified\n")[2]


def annotations(path: Path, labels: Any) -> Path:  # noqa: ANN401 - an array
    """A file in the form of CIFAR-N's, whose given labels are the clean ones."""
    keys = ["clean_label", *(key for published, key in cifar_n_files.COLUMNS.values() if published.classes == 10)]
    content = pickle.dumps(dict.fromkeys(keys, labels), protocol=2).replace(b"numpy._core.", b"numpy.core.")
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", content)
    return path


@pytest.mark.parametrize("name", ITEMS["noises"])
def test_cards_of_noises_are_what_they_draw(name: str, tmp_path: Path) -> None:
    """Law, matrix, modes and the meaning of the rate, as a draw shows them."""
    digits = load_source("digits", limit=300)  # several noises train models on them
    facts, _ = card("noises", name)
    kind = find("noises", name)
    assert facts["found"] == kind.found
    modes: tuple[Mode, ...] = getattr(kind, "modes", get_args(Mode))
    assert facts["modes"] == ([] if kind.found else list(modes))
    np.save(tmp_path / "matrix.npy", 0.8 * np.eye(10) + 0.02)
    annotators = np.stack([(digits.labels + j * (np.arange(len(digits.labels)) % 3 == j)) % 10 for j in range(3)])
    np.save(tmp_path / "annotators.npy", annotators)
    np.save(tmp_path / "judgements.npy", np.eye(10)[annotators].sum(0) + np.eye(10)[digits.labels])
    values = {
        "rate": "0.3",
        "matrix": str(tmp_path / "matrix.npy"),
        "of": str(tmp_path / "matrix.npy"),
        "annotators": str(tmp_path / "annotators.npy"),
        "judgements": str(tmp_path / "judgements.npy"),
        "steps": "instance(rate=0.2); symmetric(rate=0.1)",
        "labels": "worse",
        "label": "worse_label",
        "file": str(annotations(tmp_path / "CIFAR-10_human.pt", digits.labels)),
    }
    optional = {field.name for field in fields(kind) if field.default is not MISSING} - {"file", "label"}
    needed = {key: values[key] for key in facts["parameters"] if key in values and key not in optional}
    if name == "exchanged":  # needs one of two: this, or counts to keep
        needed = {"rate": values["rate"]}
    definitions = facts["rate_definition"]
    for option, definition in (definitions if isinstance(definitions, dict) else {"": definitions}).items():
        extra = dict([option.split("=")]) if option else {}
        noise = parse_options(kind, {**needed, **extra}, what=name)
        draw = noise(digits, seed=1, mode=modes[-1])
        assert draw.rate_definition == definition
        assert (draw.transition is not None) == facts["transition"]
        law = draw.flip_probability
        spread = None if law is None else max(np.ptp(law[digits.clean == k]) for k in range(10))
        assert facts["law"] == ("none" if spread is None else "class" if spread == 0 else "input")


def test_the_card_of_asymmetric_noise_has_its_maps() -> None:
    """By the names of the classes, and which source takes which."""
    facts, _ = card("noises", "asymmetric")
    assert facts["map_of_source"] == asymmetric._MAP_OF_SOURCE
    assert {*facts["maps"], *facts["other_maps"]} == set(asymmetric.MAPS) == set(facts["mapped_share"])
    for name, pairs in facts["maps"].items():
        classes = card("sources", name)[0]["class_names"]
        flips = asymmetric.MAPS[name][1]
        assert pairs == {classes[clean]: classes[given] for clean, given in flips.items()}


def test_the_maps_name_the_share_of_labels_that_the_cards_tell(real_labels: dict[str, tuple[Any, Any]]) -> None:
    """Counted on the real training labels, to four digits."""
    for name, share in card("noises", "asymmetric")[0]["mapped_share"].items():
        labels = real_labels[name.partition("_superclass")[0].partition("_block5")[0]][0]
        assert round(float(np.isin(labels, list(asymmetric.MAPS[name][1])).mean()), 4) == share
    assert np.isin(real_labels["mnist"][0], list(asymmetric.MAPS["mnist"][1])).sum() == 29_693
    assert "29,693 of the 60,000" in card("sources", "mnist")[1]


def test_the_card_of_cifar_n_has_its_files_and_counts() -> None:
    """Sizes, digests and addresses as pinned, and the rates of the docstring."""
    facts, _ = card("noises", "cifar_n")
    pinned = (cifar_n_files.TEN, cifar_n_files.HUNDRED)
    assert facts["files"] == {p.name: {"bytes": p.size, "sha256": p.sha256, "url": p.url} for p in pinned}
    assert {label: fact["source"] for label, fact in facts["wrong"].items()} == {
        label: published.source for label, (published, _) in cifar_n_files.COLUMNS.items()
    }
    told = str(CifarN.__doc__)
    assert all(f"{100 * fact['count'] / fact['of']:.3f} %" in told for fact in facts["wrong"].values())


def test_the_counts_of_cifar_n_are_those_of_the_files(data: Path) -> None:
    """Read from the real files, whose sizes and digests are the pinned ones."""
    facts, _ = card("noises", "cifar_n")
    for name, told in facts["files"].items():
        content = (data / "cifar_n" / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (told["bytes"], told["sha256"])
    for label, (published, key) in cifar_n_files.COLUMNS.items():
        columns = read_annotations(data / "cifar_n" / published.name)
        wrong = int((np.asarray(columns[key]) != np.asarray(columns[published.clean])).sum())
        assert facts["wrong"][label] == {"source": published.source, "count": wrong, "of": len(columns[key])}


def test_a_name_that_is_no_card_is_none() -> None:
    """Also one that points elsewhere."""
    assert read_data_card("sources", "nothing") is None
    assert read_data_card("sources", "../noises/symmetric") is None
    assert read_data_card("sources", "") is None


# --- cards of variants -------------------------------------------------------------------------------------------------

ODD = (
    "a|b",
    "x: [y]",
    "\"q\" 'r'",
    "---",
    "<b>&amp;",
    "# *_`~$",
    "Kuh ü 牛 🐄",
    "null",
    "007",
    "\u202e\u2028",
)


@dataclass(frozen=True)
class Own:
    """A noise of a user's own: the first sample becomes the next class."""

    strength: float = 1.0
    found: ClassVar[bool] = False

    def __call__(self, source: Source, *, seed: int, mode: Mode) -> Draw:  # noqa: ARG002 - nothing is drawn
        labels = source.labels.copy()
        labels[0] = (labels[0] + 1) % source.num_classes
        return Draw(labels=labels)


def odd_source(name: str = "my | source") -> Source:
    """Ten classes; every seventh clean label is unknown."""
    labels = np.arange(80) % 10
    inputs = np.arange(160, dtype=np.float32).reshape(80, 2)
    clean = np.where(np.arange(80) % 7 == 3, UNKNOWN, labels)
    return source_from_arrays(name, inputs, labels, clean=clean)


def oddly(variant: Variant) -> Variant:
    """The variant with classes of odd names; some of them only a stranger's variant.json can hold."""
    return replace(variant, class_names=ODD)


def written(variant: Variant, folder: Path) -> Path:
    write_variant(variant, folder)
    write_cards(variant, folder)
    return folder


def cases(digits: Source) -> Iterator[Variant]:
    yield build_variant(digits, Symmetric(0.2), seed=3)
    yield build_variant(digits, Instance(0.3), mode="exact_per_class")
    yield build_variant(digits, AsFound())
    yield oddly(build_variant(odd_source(), Own()))
    yield oddly(build_variant(odd_source(), Symmetric(0.5, inclusive=True), mode="bernoulli"))
    yield oddly(build_variant(replace(odd_source(), clean=np.full(80, UNKNOWN)), AsFound()))
    many = source_from_arrays("npz", np.zeros((50, 1)), np.arange(50) % 25)
    yield build_variant(many, Symmetric(0.1))


@pytest.fixture(scope="session", params=range(7))
def case(
    request: pytest.FixtureRequest, digits: Source, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Variant, Path]:
    """A variant and its folder: known source or not, matrix or not, truth or not, few classes or many."""
    variant = list(cases(digits))[request.param]
    return variant, written(variant, tmp_path_factory.mktemp("variant") / variant.name)


def tables(text: str) -> list[list[list[str]]]:
    """The tables of a Markdown text as rows of cells, as an independent parser shows them."""
    found: list[list[list[str]]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif token.type == "inline" and found and token.level > 3:
            shown = [child.content if child.type != "softbreak" else "\n" for child in token.children or []]
            found[-1][-1].append("".join(shown))
    return found


def test_the_front_matter_is_read_back(case: tuple[Variant, Path]) -> None:
    """By huggingface_hub's own reader: licence of the hub, sizes, and every class name as it was."""
    variant, folder = case
    found = DatasetCard.load(folder / README)
    assert found.data["license"] in HUB_LICENCES
    low, high = (
        int(part.replace("K", "000")) for part in ("0K" if "n<1K" in found.data.size_categories else "1K", "10K")
    )
    assert low <= len(variant.labels) < high
    features = found.data["dataset_info"]["features"]
    assert [feature["name"] for feature in features] == pq.read_schema(folder / "labels.parquet").names
    assert list(features[1]["dtype"]["class_label"]["names"].values()) == list(variant.class_names)
    assert found.data["configs"][0]["data_files"] == [{"split": "train", "path": "labels.parquet"}]


def test_tables_show_what_the_labels_give(case: tuple[Variant, Path]) -> None:
    """Class names on one line, rates from the columns, realised matrix from scikit-learn's confusion matrix."""
    variant, folder = case
    found = tables((folder / README).read_text(encoding="utf-8").partition("\n---\n")[2])
    known = variant.known
    wrong = variant.labels[known] != variant.clean[known]
    rates = dict(row for row in found[1] if len(row) == 2)
    share = f"{wrong.mean():.4%}" if known.any() else "–"
    assert rates["realised"] == f"{share} of {known.sum()} samples of known class"
    assert rates["clean label unknown"].startswith(f"{(~known).sum()} of {len(known)} samples")
    law = variant.flip_probability
    told = "accuracy on the given labels, saying the clean class"
    assert rates.get(told) == (None if law is None or not known.any() else f"{1 - law[known].mean():.2%}")
    classes = found[2][1:]
    assert len(classes) == variant.num_classes
    for k, (row, name) in enumerate(zip(classes, variant.class_names, strict=True)):
        shown = " ".join("".join(c if c.isprintable() else " " for c in name).split())
        assert row[:2] == [str(k), shown]
        members = known & (variant.clean == k)
        assert row[2:4] == [str(members.sum()), str((variant.labels == k).sum())]
        assert row[4] == (f"{(variant.labels[members] != k).mean():.4%}" if members.any() else "–")
    if variant.num_classes <= 20 and known.any():
        matrix = confusion_matrix(variant.clean[known], variant.labels[known], labels=range(10), normalize="true")
        assert [row[1:] for row in found[3][1:]] == [[f"{100 * value:.1f}" for value in row] for row in matrix]
    assert (len(found) == 6) == (variant.transition is not None and variant.num_classes <= 20)


def test_the_hub_library_loads_the_folder(tmp_path: Path) -> None:
    """``datasets`` reads the columns with the odd class names, without a network."""
    variant = oddly(build_variant(odd_source(), Symmetric(0.5)))
    folder = written(variant, tmp_path / "variant")
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))["train"]
    assert loaded.features["label"].names == list(ODD)
    assert loaded["clean"][:] == variant.clean.tolist()
    assert loaded["label"][:] == variant.labels.tolist()


def test_croissant_is_valid_and_its_records_are_the_labels(case: tuple[Variant, Path]) -> None:
    """Its own reader finds no error and reads back every column and every class name."""
    import mlcroissant

    variant, folder = case
    read = mlcroissant.Dataset(jsonld=str(folder / CROISSANT))
    assert not read.metadata.ctx.issues.errors
    columns: dict[str, list[Any]] = {}
    for record in read.records("samples"):
        for key, value in record.items():
            columns.setdefault(key.removeprefix("samples/"), []).append(value)
    expected = {"sample": np.arange(len(variant.labels)), "label": variant.labels, "clean": variant.clean}
    expected |= {
        key: getattr(variant, key) for key in ("flip_probability", "selected") if getattr(variant, key) is not None
    }
    assert list(columns) == list(expected)
    for key, values in expected.items():
        np.testing.assert_array_equal(np.array(columns[key], dtype=values.dtype), values)
    shown = [
        value.decode() if isinstance(value, bytes) else value
        for value in (r["classes/name"] for r in read.records("classes"))
    ]
    assert shown == list(variant.class_names)
    for file in read.metadata.distribution:
        assert file.sha256 == hashlib.sha256((folder / file.content_url).read_bytes()).hexdigest()
    assert len(read.metadata.distribution) == 1 + (variant.transition is not None)


def test_one_variant_has_one_card(digits: Source, tmp_path: Path) -> None:
    """The same bytes elsewhere, from what was read back, and in a process of another place, locale, zone and hash seed."""
    variant = build_variant(digits, Symmetric(0.2), seed=3)
    first = written(variant, tmp_path / "one")
    second = written(read_variant(first), tmp_path / "a" / "b")
    digests = [hashlib.sha256((first / name).read_bytes()).hexdigest() for name in (README, CROISSANT)]
    assert [hashlib.sha256((second / name).read_bytes()).hexdigest() for name in (README, CROISSANT)] == digests
    code = (
        "import sys, pathlib; from noisybench import read_variant, write_cards\n"
        "folder = pathlib.Path(sys.argv[1]); write_cards(read_variant(folder), folder)"
    )
    odd = {"PYTHONHASHSEED": "7", "LC_ALL": "C", "TZ": "Asia/Tokyo", "PYTHONUTF8": "0"}
    subprocess.run([sys.executable, "-c", code, second], env={**os.environ, **odd}, cwd=tmp_path, check=True)
    assert [hashlib.sha256((second / name).read_bytes()).hexdigest() for name in (README, CROISSANT)] == digests
    assert not list(tmp_path.rglob("*.part"))
    assert str(tmp_path) not in (first / README).read_text(encoding="utf-8") + (first / CROISSANT).read_text("utf-8")


def test_the_command_of_a_card_builds_the_variant_again(
    digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run as it stands beside the files it names, it ends in a folder of the same name."""
    monkeypatch.chdir(tmp_path)
    np.save("my matrix.npy", 0.8 * np.eye(10) + 0.02)
    Path("map.json").write_text('{"1": 2}')
    np.savez("mine.npz", inputs=digits.inputs[:60], labels=digits.labels[:60])
    noises: list[tuple[Noise, Mode]] = [
        (Symmetric(0.25, inclusive=True), "bernoulli"),
        (Transition(Path("my matrix.npy")), "exact_per_class"),
        (Asymmetric(0.3, "map.json"), "exact"),
        (Instance(0.1, temperature=0.5), "exact"),
        (AsFound(), "exact"),
    ]
    sources = [digits, load_source("digits", limit=100), load_source("npz", Path("mine.npz"))]
    for source in sources:
        for noise, mode in noises:
            variant = build_variant(source, noise, seed=5, mode=mode)
            command = re.search(r"```sh\n(.+?)\n```", card_of(variant), re.DOTALL)
            assert command is not None
            words = shlex.split(command[1].replace("DATA", "mine.npz"))
            assert words[0] == "noisybench"
            result = CliRunner().invoke(app, words[1:])
            assert result.exit_code == 0, result.output
            assert result.stdout.splitlines()[-1] == str(Path("variants") / variant.name)


def test_what_is_not_from_here_is_said() -> None:
    """A user's own source and noise have no data card, also where they bear the name of one of ours."""
    text = card_of(build_variant(odd_source(), Own(2.0)))
    assert r"'my \| source' is not one of noisybench's: there is no data card for this source." in text
    assert "'Own' is not one of noisybench's: there is no data card for this noise." in text
    assert "noisybench build package.module:Class --noise package.module:Own --set strength=2.0 --seed 0" in text
    borrowed = card_of(oddly(build_variant(odd_source("cifar10"), Symmetric(0.2))))
    assert "'cifar10' is not one of noisybench's" in borrowed
    assert "From `data_cards/noises/symmetric.md`" in borrowed


def test_licences_of_source_and_noise_are_told(tmp_path: Path) -> None:
    """A stated licence goes before none; where none is stated the hub is told so by a name."""
    labels = np.arange(40) % 10
    names_of_ten = card("sources", "cifar10")[0]["class_names"]
    images = np.zeros((40, 1, 1, 3), dtype=np.uint8)
    ten = source_from_arrays("cifar10", images, labels, clean=labels, class_names=names_of_ten)
    people = CifarN("worse", annotations(tmp_path / "CIFAR-10_human.pt", labels))
    for noise, licence, name in ((people, "cc-by-nc-4.0", None), (Symmetric(0.2), "other", "none-stated")):
        variant = build_variant(ten, noise)
        data = DatasetCard(card_of(variant)).data
        assert (data["license"], data.get("license_name")) == (licence, name)
        assert "- CIFAR-10 (source): none stated" in card_of(variant)
        folder = written(variant, tmp_path / variant.name)
        urls = json.loads((folder / CROISSANT).read_text(encoding="utf-8")).get("license")
        assert urls == (None if name else ["https://creativecommons.org/licenses/by-nc/4.0/"])
    digits_card = DatasetCard(card_of(build_variant(load_source("digits", limit=20), Symmetric(0.2))))
    assert digits_card.data["license"] == "unknown"


# --- verify ------------------------------------------------------------------------------------------------------------


def test_verify_says_what_it_found(case: tuple[Variant, Path]) -> None:
    """Both cards follow from the labels, and the realised rate is told."""
    variant, folder = case
    told = list(verify_variant(folder))
    assert told[2:4] == ["README.md follows from the labels", "croissant.json follows from the labels"]
    told_rate = variant.provenance.rate_definition != "none"
    assert told[1].endswith(
        "have the recorded rate " + f"{variant.provenance.params['rate']}" if told_rate else "compare"
    )
    wrong, known = int(variant.mislabeled.sum()), int(variant.known.sum())
    assert (f"({wrong} of {known})" in told[4]) == (known > 0)


@pytest.mark.parametrize("name", [README, CROISSANT])
def test_a_changed_card_is_found(name: str, digits: Source, tmp_path: Path) -> None:
    """A changed line by its number with both wordings, a cut or a missing file by its name."""
    folder = written(build_variant(digits, Symmetric(0.2)), tmp_path / "variant")
    lines = (folder / name).read_text(encoding="utf-8").split("\n")
    changed = [*lines]
    changed[20] += "!"
    for content, words in (
        ("\n".join(changed), rf"{name}, line 21, has '.*!' where the variant gives '.*'; build again"),
        ("\n".join(lines[:9]), rf"{name}, line 10, has '' where the variant gives '.+'; build again"),
        ("\n".join(lines) + "more", rf"{name}, line {len(lines)}, has 'more' where the variant gives ''; build again"),
    ):
        (folder / name).write_text(content, encoding="utf-8")
        with pytest.raises(BadData, match=words):
            list(verify_variant(folder))
    (folder / name).write_bytes(b"\xff\x00")
    with pytest.raises(BadData, match=rf"{name}, line 1, has"):
        list(verify_variant(folder))
    (folder / name).unlink()
    with pytest.raises(
        BadData, match=rf"{name} is missing; noisybench.write_cards\(variant, folder\) writes it, or build again"
    ):
        list(verify_variant(folder))


def test_a_table_with_the_same_columns_in_other_bytes_is_found(digits: Source, tmp_path: Path) -> None:
    """The digest in croissant.json is that of the file."""
    folder = written(build_variant(digits, Symmetric(0.2)), tmp_path / "variant")
    table = pq.read_table(folder / "labels.parquet")
    pq.write_table(table, folder / "labels.parquet", compression="snappy")
    with pytest.raises(BadData, match=r"croissant.json, line \d+, has '.*contentSize.*'; build again"):
        list(verify_variant(folder))


def test_a_card_of_another_version_is_no_tampering(digits: Source, tmp_path: Path) -> None:
    """It is said, and not compared; a missing one is still an error."""
    variant = build_variant(digits, Symmetric(0.2))
    old = replace(variant, provenance=replace(variant.provenance, noisybench="0.0.9"))
    folder = written(old, tmp_path / "variant")
    assert "README.md follows from the labels" in list(verify_variant(folder))
    (folder / README).write_text("As 0.0.9 said it.", encoding="utf-8")
    told = list(verify_variant(folder))
    assert "README.md was not compared: noisybench 0.0.9 built the variant, this is " in told[2]
    assert told[3] == "croissant.json follows from the labels"
    (folder / README).unlink()
    with pytest.raises(BadData, match="README.md is missing"):
        list(verify_variant(folder))


def test_a_law_that_is_not_the_matrix_is_found(digits: Source, tmp_path: Path) -> None:
    """Even where every digest was made anew."""
    variant = build_variant(digits, Symmetric(0.2), mode="bernoulli")
    law = np.where(digits.clean == 4, 0.3, 0.2)
    folder = written(replace(variant, flip_probability=law), tmp_path / "variant")
    words = "labels of class 4 are wrong with probability 0.3, the transition matrix says 0.2; build again"
    with pytest.raises(BadData, match=words):
        list(verify_variant(folder))


@pytest.mark.parametrize("mode", ["exact", "exact_per_class", "bernoulli"])
def test_a_rate_that_the_mode_excludes_is_found(mode: Mode, digits: Source, tmp_path: Path) -> None:
    """One label put right: the exact modes promise the count, ``bernoulli`` does not."""
    variant = build_variant(digits, Symmetric(0.2), mode=mode)
    labels = variant.labels.copy()
    wrong = int(variant.mislabeled.sum())
    labels[np.flatnonzero(variant.mislabeled)[0]] = variant.clean[np.flatnonzero(variant.mislabeled)[0]]
    labels.setflags(write=False)
    provenance = replace(
        variant.provenance,
        labels_sha256=label_digest(labels),
        variant_id=variant_id(digits.sha256, labels),
    )
    folder = written(replace(variant, labels=labels, provenance=provenance), tmp_path / "variant")
    if mode == "bernoulli":
        assert len(list(verify_variant(folder))) == 5
        return
    words = f"{wrong - 1} labels are wrong where mode {mode} means 287.4 to the nearest number; build again"
    with pytest.raises(BadData, match=words):
        list(verify_variant(folder))


@dataclass(frozen=True, slots=True)
class Forged:
    """A record changed after the draw, its digests made anew; what ``verify`` says without and with the source."""

    changes: Mapping[str, Any]
    alone: str | None
    drawn: str


DRAWN: list[tuple[Noise, Mode, Forged]] = [
    (
        Symmetric(0.2),
        "exact",
        Forged({"params": {"rate": 0.3}}, "0.2 where the recorded rate 0.3 means 0.3", "flip_probability"),
    ),
    (
        Symmetric(0.2, inclusive=True),
        "exact",
        Forged({"params": {"rate": 0.2, "inclusive": False}}, None, r"rate_definition \(effective, not inclusive\)"),
    ),
    (
        Symmetric(0.5, inclusive=True),
        "exact",
        Forged({"params": {"rate": 0.4, "inclusive": True}}, "0.45 where the recorded rate 0.4 means 0.36", "labels"),
    ),
    (
        Asymmetric(0.3),
        "exact",
        Forged({"params": {"rate": 0.2}}, "0.3 where the recorded rate 0.2 means 0.2", "transition"),
    ),
    (Asymmetric(0.3), "exact", Forged({"params": {"rate": 0.3, "map": "cifar10"}}, None, "labels .*, transition")),
    (
        Instance(0.2),
        "exact",
        Forged({"params": {"rate": 0.25}}, "0.2 where the recorded rate 0.25 means 0.25", "flip_probability"),
    ),
    (
        Instance(0.2),
        "bernoulli",
        Forged({"params": {"rate": 0.25}}, "where the recorded rate 0.25 means 0.25", "flip_probability"),
    ),
    (Instance(0.2), "exact", Forged({"params": {"rate": 0.2, "temperature": 2.0}}, None, r"labels \(in \d+ of 1437\)")),
    (Instance(0.2), "exact", Forged({"seed": 8}, None, "labels .*, flip_probability .*, selected")),
    (Symmetric(0.2), "exact", Forged({"seed": 8}, None, r"labels \(in \d+ of 1437\), selected")),
    (Symmetric(0.2), "exact", Forged({"mode": "exact_per_class"}, None, "labels .*, selected")),
    (Symmetric(0.2), "bernoulli", Forged({"reference": "labels"}, None, r"reference \(clean, not labels\)")),
    (Symmetric(0.2), "exact", Forged({"params": {}}, "the record names no rate for noise 'symmetric'", "needs 'rate'")),
    (
        Symmetric(0.2),
        "exact",
        Forged({"params": {"rate": 0.2, "own": 1}}, None, "cannot be drawn again: no option of noise 'symmetric'"),
    ),
    (AsFound(), "exact", Forged({"seed": 8}, None, r"seed \(0, not 8\)")),
]


@pytest.mark.parametrize(("noise", "mode", "forged"), DRAWN)
def test_a_record_that_does_not_give_the_labels_is_found(
    noise: Noise, mode: Mode, forged: Forged, digits: Source, tmp_path: Path
) -> None:
    """A rate already from the chances in the folder, where the noise promises it; all else from a second draw."""
    variant = build_variant(digits, noise, seed=7, mode=mode)
    told = verify_draw(variant, digits)
    assert told.startswith(variant.provenance.noise)
    assert told.endswith(f"mode {variant.provenance.mode}, drawn again, gives these labels")
    forgery = replace(variant, provenance=replace(variant.provenance, **forged.changes))
    folder = written(forgery, tmp_path / "variant")
    if forged.alone is None:
        assert len(list(verify_variant(folder))) == 5
    else:
        with pytest.raises(BadData, match=forged.alone):
            list(verify_variant(folder))
    with pytest.raises(Mismatch, match=forged.drawn):
        verify_draw(read_variant(folder), digits)


def test_what_cannot_be_drawn_again_is_said(digits: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A noise that is not from here, and a matrix that is not in the working directory or is another."""
    monkeypatch.chdir(tmp_path)
    np.save("m.npy", 0.8 * np.eye(10) + 0.02)
    variant = build_variant(digits, Transition(Path("m.npy")), seed=7)
    assert verify_draw(variant, digits).endswith("drawn again, gives these labels")
    np.save("m.npy", 0.7 * np.eye(10) + 0.03)
    assert "transition was not drawn again: m.npy, the file of its 'matrix', is not at hand" in verify_draw(
        variant, digits
    )
    Path("m.npy").unlink()
    assert "transition was not drawn again: m.npy, the file of its 'matrix', is not at hand" in verify_draw(
        variant, digits
    )
    bare = replace(variant, provenance=replace(variant.provenance, params={"matrix": "/dev/m.npy"}))
    with pytest.raises(Mismatch, match="names a file as 'matrix' without its digest; build again"):
        verify_draw(bare, digits)
    images = np.zeros((len(digits.labels), 1, 1, 3), dtype=np.uint8)
    ten = source_from_arrays("cifar10", images, digits.labels, clean=digits.labels)
    people = build_variant(ten, CifarN("worse", annotations(tmp_path / "people.pt", digits.labels)))
    assert verify_draw(people, ten).endswith("drawn again, gives these labels")
    mine = build_variant(digits, Own())
    assert verify_draw(mine, digits) == "the labels were not drawn again: 'Own' is not one of noisybench's noises"


def test_the_command_draws_again_where_the_source_is_at_hand(tmp_path: Path) -> None:
    """It ends in 1 for a forged seed; without the source it says what it did not check."""
    digits = load_source("digits", limit=100)
    variant = build_variant(digits, Symmetric(0.2))
    good = written(variant, tmp_path / "good")
    result = CliRunner().invoke(app, ["verify", str(good)])
    assert "symmetric(rate=0.2, inclusive=false), seed 0, mode exact, drawn again, gives these labels" in result.stdout
    bad = written(replace(variant, provenance=replace(variant.provenance, seed=1)), tmp_path / "bad")
    assert isinstance(CliRunner().invoke(app, ["verify", str(bad)]).exception, Mismatch)
    own = written(replace(variant, provenance=replace(variant.provenance, source="gone")), tmp_path / "own")
    result = CliRunner().invoke(app, ["verify", str(own)])
    assert "the source was not checked, nor the labels drawn again from it" in result.stdout


# --- in a wheel --------------------------------------------------------------------------------------------------------


def test_the_cards_travel_in_the_wheel(tmp_path: Path) -> None:
    """A built wheel holds every data card, and the package finds them in it; and the stub, without which it is empty."""
    builder = pytest.importorskip("hatchling.builders.wheel").WheelBuilder(str(REPOSITORY))
    wheel = next(builder.build(directory=str(tmp_path), versions=["standard"]))
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("noisybench/data_cards/")}
        assert {"noisybench/__init__.pyi", "noisybench/py.typed"} <= set(archive.namelist())
        pages = [path for ending in ("css", "html", "js") for path in (REPOSITORY / "noisybench").rglob(f"*.{ending}")]
        assert len(pages) > 5
        assert {path.relative_to(REPOSITORY).as_posix() for path in pages} <= set(archive.namelist())
        archive.extractall(tmp_path / "installed")
    ours = {path.relative_to(data_cards()).as_posix() for path in data_cards().rglob("*.md")}
    assert held == {f"noisybench/data_cards/{name}" for name in ours}
    code = "from noisybench.cards.data_cards import data_cards, read_data_card as r; print(data_cards(), r('noises', 'instance') is None)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "installed", capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == [str(tmp_path / "installed" / "noisybench" / "data_cards"), "False"]
