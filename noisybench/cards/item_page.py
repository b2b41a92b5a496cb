"""What there is to say of one item of a drawer: what it is, its options, how it is called, and its card."""

import inspect
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from noisybench.cards.data_cards import as_option, read_data_card
from noisybench.data.extraction import choose_features, features_kind
from noisybench.ground.docstrings import read_docstring
from noisybench.ground.errors import BadUsage
from noisybench.ground.lookup import Drawer, find, objectives_leaving, summary
from noisybench.statistics.metric import COMPARED, Metric

_WORDS = {int: "whole number", float: "number", bool: "true or false", str: "text", Path: "file"}
_VALUES: Mapping[Any, str] = {int: "2", float: "2", bool: "true", str: "TEXT", Path: "FILE"}
_CALLS = {
    "alterations": 'build altered --source-set base=digits --source-set "steps={call}" --noise symmetric --rate 0.2',
    "features": "memorize variants/NAME --features {name}",
    "models": "evaluate variants/NAME --model {word}",
    "objectives": "evaluate variants/NAME --objective {name}",
}
_RUNS = {
    "training": ("one observed training", "evaluate variants/NAME --detectors {name}"),
    "pool": ("a pool of subset models (memorize --pool detector)", "suspects runs/NAME --detector {name}"),
    "features": ("frozen features (score --features NAME)", "suspects runs/NAME --detector {name}"),
    "second_split": ("two halves, trained one after the other", "evaluate variants/NAME --detectors {name}"),
    "threshold": ("two trainings with threshold samples", "evaluate variants/NAME --detectors {name}"),
    "answers": ("answers of several people (score --answers)", "suspects runs/NAME --detector {name}"),
}
"""Regime → what feeds a detector, in words, and a command that names it."""
_SETS = {
    "fast": "nothing but the looking",
    "standard": "one or two trainings, together",
    "all": "more, and may train again",
}
"""Set of ``evaluate --detectors`` → what its detectors add to a training."""
_ACCESS = {"manual": " --data FOLDER --noise as_found", "yours": " --data PATH"}


@dataclass(frozen=True, slots=True)
class ItemOption:
    """One option of an item.

    Attributes:
        name: Before the ``=``.
        type: What its value is, in words.
        required: Whether it has no default.
        default: As it is written, ``none`` for what is absent; None where it is required.
        meaning: A sentence or more.
    """

    name: str
    type: str
    required: bool
    default: str | None
    meaning: str


@dataclass(frozen=True, slots=True)
class ItemPage:
    """One item.

    Attributes:
        drawer: Where it is, such as ``noises``.
        name: How it is called.
        summary: What it is, in a sentence.
        text: More of it, a paragraph each.
        options: What can be said of it.
        flag: Of the command line, before each option; empty where options are said otherwise.
        facts: What else is known, such as what a detector needs.
        example: A command, or a line of Python where no command names it.
        card: Its data card, Markdown; None where it has none.
    """

    drawer: str
    name: str
    summary: str
    text: Sequence[str]
    options: Sequence[ItemOption] = ()
    flag: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    example: str = ""
    card: str | None = None


def item_page(drawer: Drawer, name: str) -> ItemPage:
    """What there is to say of an item.

    Raises:
        UnknownName: Nothing of that name; the message names the nearest.
        MissingPackage: It needs a package that is not installed.
    """
    item, said = features_kind(name) if drawer == "features" else (find(drawer, name), None)
    if said is not None:
        find("models", name)  # which knows the architectures
    options = _options_of_model(item) if drawer == "models" else _options(item) if isinstance(item, type) else []
    options = [one for one in options if said is None or one.name != "architecture"]
    told = read_docstring(_docstring(item))
    listed = summary(drawer, name) or str(getattr(item, "words", ""))  # no file of what is not from here
    card = read_data_card(drawer, name) if drawer in ("sources", "noises") else None
    facts = {} if card is None else card.facts
    return ItemPage(
        drawer=drawer,
        name=name,
        summary=listed or next(iter(told.text), "No item of noisybench's own, found by its name."),
        text=told.text if listed else told.text[1:],
        options=options,
        flag={
            "sources": "--source-set",
            "noises": "--set",
            "features": "--features-set",
            "objectives": "--objective-set",
        }.get(drawer, ""),
        facts=_trained_on(name) if drawer == "features" else _facts(item),
        example=str(facts.get("example") or _example(drawer, name, options, str(facts.get("access", "")))),
        card=None if card is None else card.text,
    )


def _docstring(item: Any) -> str | None:  # noqa: ANN401 - any drawer's item
    """That of a class or a function; of a detector, metric, probe or partial, that of the function that it is made of."""
    inner = [getattr(item, name) for name in ("score", "compute", "ask", "func") if hasattr(item, name)]
    if isinstance(item, type) or not inner:
        return str(item.__doc__ or "")
    return _docstring(inner[0])


def _trained_on(name: str) -> dict[str, str]:
    """What the weights of features were trained on, where they have some and need no option to say so."""
    try:
        found = choose_features(name).pretraining
    except BadUsage:  # of somebody else's, with options that are required
        return {}
    return {} if found is None else {"trained on": found.words}


def _facts(item: Any) -> dict[str, str]:  # noqa: ANN401
    """Fields of a detector, of a metric, of an objective and of a probe."""
    if isinstance(item, type):
        return _facts_of_objective(item) if hasattr(item, "leaves") else {}
    if isinstance(item, Metric):
        return _facts_of_metric(item)
    facts = {}
    if hasattr(item, "needs"):
        facts["needs"] = ", ".join(item.needs)
        facts["fed by"] = ", or ".join(_RUNS[regime][0] for regime in item.fed_by) or "a run with its columns"
        if able := objectives_leaving(item.left_by_objective):
            facts["fed by"] += f" with objective {' or '.join(able)}"
        if {"training", "second_split", "threshold"} & {*item.fed_by}:  # which 'evaluate' makes
            facts["smallest set"] = f"{item.smallest_set}, which adds {_SETS[item.smallest_set]}"
        facts["kind"] = "control, which need not beat chance" if item.control else "detector"
        facts["made with"] = ", ".join(sorted(getattr(item, "information", {"unknown"})))
        if getattr(item, "aliases", ()):
            facts["also known as"] = ", ".join(item.aliases)
        facts["source"] = item.source
    if hasattr(item, "passes"):
        more = getattr(item, "passes_a_further_class", 0.0)
        facts["extra passes"] = f"{item.passes:g}" + (f", and {more:g} for each further class" if more else "")
    return facts


def _facts_of_objective(kind: Any) -> dict[str, str]:  # noqa: ANN401 - a class of training's, which is not known here
    facts = {} if any(field.default is MISSING for field in fields(kind)) else {"knows of the truth": kind().knows}
    return {**facts, "leaves": ", ".join(kind.leaves)} if kind.leaves else facts


def _facts_of_metric(metric: Metric) -> dict[str, str]:
    """What it is read by."""
    least, greatest = (f"{bound:g}" for bound in metric.bounds)
    facts = {
        "title": metric.title,
        "against": "memorization" if metric.compares == "memorization" else "mislabeled",
        "compares": COMPARED[metric.compares],
        "values": f"{least} to {greatest}",
        "direction": f"{'higher' if metric.higher_is_better else 'lower'} is better",
        "chance": "depends on more than the share of wrong labels",
    }
    if callable(metric.chance):
        facts["chance"] = ", ".join(
            f"{metric.chance_at(share):g} with {share:.0%} wrong labels" for share in (0.1, 0.3)
        )
    elif metric.chance is not None:
        facts["chance"] = f"{metric.chance:g}"
    if metric.needs_held_out_error:
        facts["needs"] = "held-out errors (memorize --pool detector)"
    return facts


def _options(item: type) -> list[ItemOption]:
    """The fields of a class, as ``parse_options`` takes them."""
    types = get_type_hints(item)
    known: Any = item
    names = tuple(field.name for field in fields(known))
    meanings: dict[str, str] = {}
    for kind in filter(is_dataclass, reversed(item.__mro__)):  # options may be those of a class above
        meanings |= read_docstring(kind.__doc__, names=names).meanings
    found = []
    for one in fields(known):
        required = one.default is MISSING and one.default_factory is MISSING
        value: Any = one.default
        default = None if required else "none" if value is None else as_option(value)[0]
        found.append(ItemOption(one.name, type_words(types[one.name]), required, default, meanings.get(one.name, "")))
    return found


def _options_of_model(build: Any) -> list[ItemOption]:  # noqa: ANN401 - a function of training's, which is not known here
    """Arguments with defaults of the function that builds a model; they stand in brackets behind its name."""
    function = getattr(build, "func", build)
    taken = [one for one in inspect.signature(build).parameters.values() if one.default is not one.empty]
    taken = [one for one in taken if one.name not in ("num_classes", "input_shape")]
    if not taken:
        return []
    types, meanings = (
        get_type_hints(function),
        read_docstring(_docstring(build), names=tuple(o.name for o in taken)).meanings,
    )
    return [
        ItemOption(
            one.name,
            type_words(types.get(one.name, type(one.default))),
            required=False,
            default=as_option(one.default)[0],
            meaning=meanings.get(one.name, ""),
        )
        for one in taken
    ]


def type_words(kind: Any) -> str:  # noqa: ANN401 - a type hint
    """A type in words.

    >>> type_words(int | None), type_words(Literal["a", "b"])
    ('whole number', 'a, b')
    """
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(type_words(part) for part in get_args(kind) if part is not NoneType)
    if get_origin(kind) is Literal:
        return ", ".join(map(str, get_args(kind)))
    return _WORDS.get(kind, getattr(kind, "__name__", str(kind)))


def _example(drawer: Drawer, name: str, options: Sequence[ItemOption], access: str) -> str:
    """A command that uses an item, with all that it needs."""
    needed = {option.name: _value(option) for option in options if option.required}
    if drawer == "probes":
        return f'Recorder(variant, ["{name}"])'
    if drawer == "detectors":
        detector = find(drawer, name)
        told = f"noisybench {_RUNS[next(iter(detector.fed_by), 'training')][1]}".format(name=name)
        return " ".join([told, *(f"--objective {one}" for one in objectives_leaving(detector.left_by_objective)[:1])])
    if drawer == "metrics":
        truth = "memorization" if find(drawer, name).compares == "memorization" else "mislabeled"
        return f"noisybench leaderboard runs --truth {truth} --metric {name}"
    if drawer in _CALLS:
        shown = {option.name: option.default for option in options} if drawer == "models" else needed
        inner = ", ".join(f"{key}={value}" for key, value in shown.items())
        call = f"{name}({inner})" if inner else name
        return "noisybench " + _CALLS[drawer].format(name=name, call=call, word=shlex.quote(call))
    rate = f" --rate {needed.pop('rate')}" if "rate" in needed else ""
    if drawer == "noises":
        return f"noisybench build digits --noise {name}{rate}" + "".join(f" --set {k}={v}" for k, v in needed.items())
    said = "".join(f" --source-set {key}={value}" for key, value in needed.items())
    return f"noisybench build {name}{_ACCESS.get(access, ' --noise symmetric --rate 0.2')}{said}"


def _value(option: ItemOption) -> str:
    """A value that an option could have."""
    if option.name in ("rate", "share"):
        return "0.2"
    kind = next((kind for kind, words in _WORDS.items() if words == option.type.partition(" or ")[0]), None)
    return _VALUES[kind] if kind else option.type.partition(",")[0]
