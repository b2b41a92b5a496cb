"""What ``list`` tells of one item, against the item itself."""

import json
import shlex
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

import pytest
import typer
from shell import shell

from noisybench.cards.data_cards import read_data_card
from noisybench.cards.item_page import item_page, type_words
from noisybench.cli.app import app
from noisybench.data.recognising import OWN
from noisybench.ground.errors import UnknownName
from noisybench.ground.lookup import HOMES, Drawer, find, names
from noisybench.ground.options import parse_call, parse_options, parse_value
from noisybench.training.model import find_model, options_of_model

ITEMS = [(drawer, name) for drawer in HOMES for name in names(drawer)]


@pytest.mark.parametrize(("drawer", "name"), ITEMS)
def test_a_page_tells_all_of_an_item(drawer: Drawer, name: str) -> None:
    """Every option with type, default and meaning; its text; its card."""
    page, item = item_page(drawer, name), find(drawer, name)
    assert page.summary.endswith(".")
    assert page.text
    assert not any(paragraph.startswith(("Attributes", "Raises", ">>>")) for paragraph in page.text)
    if drawer == "models":
        assert {option.name: option.default for option in page.options} == {
            one: str(default) for one, default in options_of_model(item).items()
        }
        assert all(option.meaning and option.type and not option.required for option in page.options)
        assert find_model(shlex.split(page.example)[-1])[0] == name  # its options at their defaults
        return
    known = fields(item) if isinstance(item, type) and is_dataclass(item) else ()
    assert [option.name for option in page.options] == [field.name for field in known]
    for option, field in zip(page.options, known, strict=True):
        assert option.required == (field.default is MISSING)
        assert (option.default is None) == option.required
        assert option.meaning
        assert option.type
    card = read_data_card(drawer, name) if drawer in ("sources", "noises") else None
    assert page.card == (card and card.text)


@pytest.mark.parametrize(("drawer", "name"), ITEMS)
def test_an_example_is_a_command_that_can_be_said(
    drawer: Drawer, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It parses, names the item, and gives all options that the item needs, of their types."""
    monkeypatch.chdir(tmp_path)
    for file in ("FILE", "labels.csv"):
        Path(file).write_text("label,noisy\n0,1\n", encoding="utf-8")
    example = item_page(drawer, name).example
    assert name in example or name in OWN
    if drawer == "probes":
        return
    program, command, *words = shlex.split(example)
    assert program == "noisybench"
    parser = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    said = parser.make_context(command, [*words]).params
    if drawer in ("sources", "noises"):
        rate = {"rate": said["rate"][0]} if said["rate"] else {}
        given = dict(pair.split("=", 1) for pair in said["settings"] or ())
        if said["noise"]:
            parse_options(find("noises", said["noise"]), {**rate, **given}, what=said["noise"])
        if said["what"] in names("sources"):
            options = dict(pair.split("=", 1) for pair in said["source_set"] or ())
            parse_options(find("sources", said["what"]), options, what=said["what"])
    if drawer == "alterations":
        called, options = parse_call(said["source_set"][1].partition("=")[2], what="an alteration")
        parse_options(find("alterations", called), options, what=called)


def test_defaults_can_be_said_again() -> None:
    """As they are printed, and give the same value."""
    for drawer, name in ITEMS:
        item = find(drawer, name)
        if drawer == "models":
            continue
        defaults = {option.name: option.default for option in item_page(drawer, name).options}
        for field in fields(item) if defaults else ():
            default = defaults[field.name]
            if default is not None:
                assert parse_value(get_type_hints(item)[field.name], default, field.name) == field.default


@pytest.mark.parametrize("name", names("metrics"))
def test_a_metric_has_a_page_too(name: str) -> None:
    """What it is, against which truth, and a command."""
    page, metric = item_page("metrics", name), find("metrics", name)
    assert (page.summary, page.facts["title"]) == (metric.words, metric.title)
    assert page.text
    assert page.facts["against"] in ("mislabeled", "memorization")
    assert page.facts["direction"] == ("higher is better" if metric.higher_is_better else "lower is better")
    assert {"values", "chance", "compares"} <= set(page.facts)
    assert page.example.endswith(f"--metric {name}")


def test_types_are_words() -> None:
    """As a user would say them."""
    assert type_words(float) == "number"
    assert type_words(str | Path) == "text or file"


def test_list_tells_one_item_for_people_and_for_machines() -> None:
    """Text, JSON, and the nearest name of what is not there."""
    told = shell("list", "noises", "symmetric").out
    assert told.startswith("symmetric: Symmetric noise: a wrong label is any other class")
    assert "  rate: number; required; also --rate\n" in told
    assert "  inclusive: true or false; default false\n      Redraw from all classes" in told
    assert "\n  noisybench build digits --noise symmetric --rate 0.2\n" in told
    assert "\n## Known defects\n" in told
    record = json.loads(shell("list", "sources", "table", "--json").out)
    assert (record["name"], record["drawer"], record["example"]) == ("table", "sources", "noisybench build mine.csv")
    label = next(option for option in record["options"] if option["name"] == "label")
    assert (label["type"], label["required"], label["default"]) == ("text", False, "label")
    assert "needs: margin\n" in shell("list", "detectors", "aum").out
    assert "auroc" in shell("list", "metrics").out
    assert "against: mislabeled" in shell("list", "metrics", "auroc").out
    assert "models may also be torchvision:NAME" in shell("list", "models").out
    for words, message in (
        (("sources", "tabel"), "no source is called 'tabel'; did you mean 'table'?"),
        (("detectors", "amu"), "no detector is called 'amu'; did you mean 'aum'?"),
        (("metrics", "aurok"), "no metric is called 'aurok'; did you mean 'auroc'?"),
        (("metrik", "auroc"), "no list is called 'metrik'; did you mean 'metrics'?"),
    ):
        done = shell("list", *words)
        assert (done.code, done.err.strip()) == (2, f"error: {message}")


def test_an_item_of_ones_own_has_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its docstring; an option that has no entry is told by the sentence that names it."""
    code = (
        'from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass Mine:\n    """Flip some. A share ``rate``\n'
        '    is flipped. Others stay."""\n\n    rate: float\n    found = False\n'
    )
    (tmp_path / "my_noise.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    page = item_page("noises", "my_noise:Mine")
    assert page.summary == "Flip some. A share ``rate`` is flipped. Others stay."
    assert page.options[0].meaning == "A share ``rate`` is flipped."
    assert page.example == "noisybench build digits --noise my_noise:Mine --rate 0.2"


def test_frozen_backbones_have_a_page_by_their_name() -> None:
    """Their options but the architecture, which the name says; a name that torchvision does not know is refused."""
    page = item_page("features", "torchvision:resnet18")
    assert [option.name for option in page.options] == ["weights", "size", "trained_on", "overlap"]
    assert page.example == "noisybench memorize variants/NAME --features torchvision:resnet18"
    with pytest.raises(UnknownName, match="no torchvision model is called 'resnet1'; did you mean"):
        item_page("features", "torchvision:resnet1")
