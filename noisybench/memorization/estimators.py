"""Estimators: classifiers of scikit-learn, or alike, by name and options. No torch here."""

import inspect
from ast import literal_eval
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import packages_distributions, version
from typing import Any

from noisybench.ground.checks import check_kind, unknown
from noisybench.ground.digests import code_of
from noisybench.ground.errors import BadData, BadUsage, MissingPackage, UnknownName
from noisybench.ground.lookup import letters_of
from noisybench.ground.options import parse_call
from noisybench.memorization.learner import FITTED

HOMES: Mapping[str, tuple[str, ...]] = {
    "calibration": ("CalibratedClassifierCV",),
    "discriminant_analysis": ("LinearDiscriminantAnalysis", "QuadraticDiscriminantAnalysis"),
    "dummy": ("DummyClassifier",),
    "ensemble": (
        "AdaBoostClassifier", "BaggingClassifier", "ExtraTreesClassifier", "GradientBoostingClassifier",
        "HistGradientBoostingClassifier", "RandomForestClassifier",
    ),
    "gaussian_process": ("GaussianProcessClassifier",),
    "linear_model": (
        "LogisticRegression", "LogisticRegressionCV", "Perceptron", "RidgeClassifier", "RidgeClassifierCV", "SGDClassifier",
    ),
    "naive_bayes": ("BernoulliNB", "GaussianNB"),
    "neighbors": ("KNeighborsClassifier", "NearestCentroid", "RadiusNeighborsClassifier"),
    "neural_network": ("MLPClassifier",),
    "semi_supervised": ("LabelPropagation", "LabelSpreading"),
    "svm": ("LinearSVC", "NuSVC", "SVC"),
    "tree": ("DecisionTreeClassifier", "ExtraTreeClassifier"),
}  # fmt: skip
"""Module of scikit-learn → its classifiers that need no other estimator and take inputs of mean 0; to ask
``sklearn.utils.all_estimators`` for them imports all of its modules."""
KNOWN: Mapping[str, str] = {name: f"sklearn.{module}" for module, names in HOMES.items() for name in names}
"""Name of a classifier → its module."""
OURS = {"random_state": "--seed decides it, for each model", "n_jobs": "each model has one thread, and --workers says how many are fitted at a time"}  # fmt: skip
"""Options that nobody sets → why."""
LONGEST = 200
"""Characters of a model, and of what scikit-learn says of it, that an error repeats."""
LEARNERS = "RandomForestClassifier, HistGradientBoostingClassifier, KNeighborsClassifier and LogisticRegression"


@dataclass(frozen=True, slots=True)
class Estimator:
    """A classifier that gives probabilities.

    Attributes:
        name: As in ``sklearn:RandomForestClassifier(n_estimators=50)``, with the options that are not at their default.
        make: Its class, or a function without arguments that returns one.
        options: Arguments of ``make``.
    """

    name: str
    make: Callable[..., Any]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def code(self) -> str | None:
        """Digest of the file that it stands in; None of scikit-learn's own, whose version is recorded."""
        return None if self._package == FITTED else code_of(self.make)

    @property
    def versions(self) -> dict[str, str]:
        """Distribution → version, of scikit-learn and of the package that it comes from, where that was installed."""
        others = () if self._package == FITTED else packages_distributions().get(self._package, ())
        whose = {"scikit-learn", *others}
        return {name: version(name) for name in sorted(whose)}

    @property
    def _package(self) -> str:
        return str(self.make.__module__).partition(".")[0]

    def build(self, seed: int) -> Any:  # noqa: ANN401 - of scikit-learn, which has no types
        """One that is not fitted yet, with one thread; whatever it draws follows from the seed."""
        estimator = self.make(**self.options)
        told = estimator.get_params(deep=True) if hasattr(estimator, "get_params") else {}
        random = {name: seed % 2**32 for name in sorted(told) if name.rpartition("__")[2] == "random_state"}
        threads = {name: 1 for name in told if name.rpartition("__")[2] == "n_jobs"}
        return estimator.set_params(**random, **threads) if told else estimator


def find_estimator(spec: str) -> Estimator:
    """The classifier that is called ``sklearn:NAME`` or ``sklearn:NAME(option=value, …)``.

    >>> find_estimator("sklearn:KNeighborsClassifier( n_neighbors = 1 )").name
    'sklearn:KNeighborsClassifier(n_neighbors=1)'

    Args:
        spec: NAME is that of a class of scikit-learn, or ``package.module.Class`` of one that is made alike, or
            ``package.module.function`` of a function that returns one. Values are read as Python's, and else as text.

    Raises:
        UnknownName: There is no such classifier, or it has no such option.
        BadUsage: It does not read so, a value cannot be meant, or it gives no probabilities.
        MissingPackage: Its package is not installed.
        BadData: Its module cannot be imported.
    """
    check_kind(spec, str, "model", f"say {FITTED}:RandomForestClassifier")
    name, bracket, said = spec.removeprefix(f"{FITTED}:").partition("(")
    name = name.strip()
    make = _found(name)
    texts: dict[str, str] = {}
    if bracket:
        if not said.rstrip().endswith(")"):
            msg = f"a model reads {FITTED}:NAME(option=value, …), got '{spec[:80]}'"
            raise BadUsage(msg)
        _, texts = parse_call(f"model({said}", what="a model", flag=f"model '{FITTED}:{name}':")
    options = _options(make, name, texts)
    words = ", ".join(f"{option}={value}" for option, value in options.items())
    found = Estimator(f"{FITTED}:{name}({words})" if words else f"{FITTED}:{name}", make, options)
    _check(found)
    return found


def _found(name: str) -> Callable[..., Any]:
    """The class or function of that name."""
    module, _, attribute = name.rpartition(".")
    if not module:
        if name not in KNOWN:
            alike = [known for known in KNOWN if letters_of(name) and letters_of(name) in letters_of(known)]
            better = f"no classifier of scikit-learn is called '{name}'; did you mean '{FITTED}:{min(alike, key=len)}'?" if alike else ""  # fmt: skip
            raise UnknownName(better or unknown(name, tuple(KNOWN), "classifier of scikit-learn"))
        module, attribute = KNOWN[name], name
    what = f"model '{FITTED}:{name}'"
    try:
        make = getattr(import_module(module), attribute, None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            msg = f"{what} needs the package '{error.name}': pip install {error.name}"
            raise MissingPackage(msg) from None
        msg = f"there is no module '{module}' for {what}; install it, or run from the folder that holds it"
        raise BadUsage(msg) from None
    except (Exception, SystemExit) as error:  # whatever a stranger's module raises
        msg = f"module '{module}' of {what} cannot be imported: {_first_line(error)}"
        raise BadData(msg) from error
    if not callable(make):
        msg = f"module '{module}' has no class or function '{attribute}' for {what}"
        raise UnknownName(msg)
    found: Callable[..., Any] = make
    return found


def _options(make: Callable[..., Any], name: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """The options that are not at their default, in the order of the class."""
    try:
        parameters = inspect.signature(make).parameters.values()
    except ValueError:  # of some classes that are written in C
        msg = f"'{FITTED}:{name}' does not say its options, as every classifier does: it is none"
        raise BadUsage(msg) from None
    taken = {one.name: one.default for one in parameters if one.kind != one.VAR_KEYWORD}
    anything = any(one.kind == one.VAR_KEYWORD for one in parameters)
    for option in texts:
        if option in OURS:
            msg = f"option '{option}' of model '{FITTED}:{name}' is not set by hand: {OURS[option]}"
            raise BadUsage(msg)
        if option not in taken and not anything:
            what = f"option of model '{FITTED}:{name}'"
            raise UnknownName(unknown(option, tuple(taken), what))
    values = {option: _value(text) for option, text in texts.items()}
    order = [*(option for option in taken if option in values), *sorted(set(values) - set(taken))]
    return {
        option: values[option] for option in order if option not in taken or not _same(values[option], taken[option])
    }


def _value(text: str) -> Any:  # noqa: ANN401 - of Python
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # all that ``literal_eval`` raises
        return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def _same(value: object, default: object) -> bool:
    return type(value) is type(default) and value == default


def _check(found: Estimator) -> None:
    """Raise ``BadUsage`` for what cannot be made, has options of another kind, or gives no probabilities."""
    try:
        estimator = found.build(0)
        validate = getattr(estimator, "_validate_params", None)  # which ``fit`` calls first, in every release since 1.2
        if validate is not None:
            validate()
    except Exception as error:
        msg = f"model '{found.name[:LONGEST]}' cannot be made: {_first_line(error)[:LONGEST]}"
        raise BadUsage(msg) from error
    if not hasattr(estimator, "fit") or not hasattr(estimator, "predict_proba"):
        msg = (
            f"model '{found.name}' gives no probabilities (it has no predict_proba), of which memorization and detectors are "
            f"made; {LEARNERS} do, and so does SVC(probability=True)"
        )
        raise BadUsage(msg)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or ['no message'])[0]}"
