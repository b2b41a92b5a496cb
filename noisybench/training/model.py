"""Models: what a file of ``models/`` gives, built and checked."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, get_type_hints

import torch
from torch import nn

from noisybench.data.inputs import IMAGE_DIMENSIONS
from noisybench.data.source import Source, inputs_of
from noisybench.ground.checks import check_kind, unknown
from noisybench.ground.errors import BadUsage, NoisybenchError, TrainingFailed, UnknownName
from noisybench.ground.lookup import find
from noisybench.ground.options import parse_call, parse_value
from noisybench.training.asking import Batch, check_logits
from noisybench.training.batches import Inputs
from noisybench.training.branch import last_linear
from noisybench.training.machine import deterministic_torch
from noisybench.training.observing import evaluating
from noisybench.training.probe import Probe


class BuildModel(Protocol):
    """What a file of ``models/`` gives. Further arguments that have defaults are its options, see ``find_model``."""

    def __call__(self, *, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
        """A fresh model, its weights drawn from torch's own generator; input_shape is (c, h, w) or (d,)."""


def find_model(spec: str) -> tuple[str, BuildModel]:
    """The name and the function of a model that is called ``name`` or ``name(option=value, …)``.

    Options are the arguments with defaults of the model's function. One that stands at its default is left out of the name,
    and the others stand in the order of the function, so that one model has one name.

    >>> find_model("mlp( width = 64 )")[0], find_model("mlp(width=128)")[0]
    ('mlp(width=64)', 'mlp')

    Args:
        spec: Of a file of ``models/``, ``torchvision:NAME``, ``timm:NAME`` or ``package.module:function``, each with options
            in brackets or without.

    Raises:
        UnknownName: There is no such model, or it has no such option.
        BadUsage: It does not read so, or a value is not of its option's kind.
    """
    check_kind(spec, str, "model", "say its name, such as small_cnn or small_cnn(width=8)")
    name, bracket, said = spec.partition("(")
    name = name.strip() if bracket else spec
    build: BuildModel = find("models", name)
    if not bracket:
        return name, build
    if not said.rstrip().endswith(")"):
        msg = f"a model reads name(option=value, …), got '{spec[:80]}'"
        raise BadUsage(msg)
    _, texts = parse_call(f"model({said}", what="a model", flag=f"model '{name}':")
    known = options_of_model(build)
    kinds = get_type_hints(getattr(build, "func", build)) if known else {}
    values: dict[str, Any] = {}
    for option, text in texts.items():
        if option not in known:
            what = f"option of model '{name}'"
            raise UnknownName(unknown(option, (*known,), what) if known else f"model '{name}' has no options")
        values[option] = parse_value(
            kinds.get(option, type(known[option])), text, f"option '{option}' of model '{name}'"
        )
    chosen = {option: values[option] for option in known if values.get(option, known[option]) != known[option]}
    if not chosen:
        return name, build
    words = ", ".join(f"{option}={value}" for option, value in chosen.items())
    return f"{name}({words})", partial(build, **chosen)


def options_of_model(build: BuildModel) -> Mapping[str, Any]:
    """Option → default of a model's function; none of a function that only takes what every model takes."""
    taken = inspect.signature(build).parameters.values()
    return {
        one.name: one.default
        for one in taken
        if one.default is not one.empty and one.name not in ("num_classes", "input_shape")
    }


def check_model(
    build: BuildModel, source: Source, probes: Sequence[Probe] = (), *, device: str = "cpu", ends_linear: bool = False
) -> dict[str, str]:
    """Raise what ``train`` would for a model that cannot be built or run, or does not give a logit a class.

    Args:
        build: Builds the model.
        source: Whose first sample it is asked about.
        probes: Of those that ask for features, it is seen whether the model has any; and of those that may refuse a model,
            whether they do.
        device: Where it is built.
        ends_linear: Whether its logits must be those of a last linear layer, to which an objective adds a branch.

    Returns:
        Name of each probe that this model cannot be asked → why.
    """
    data = Inputs(inputs_of(source, "a model")[:1], torch.device(device))
    refused = {}
    with deterministic_torch(data.device, 1):
        model = build_model(build, source, data)
        if ends_linear:
            last_linear(model, data.batch(slice(0, 1)), source.num_classes)
        label = torch.zeros(1, dtype=torch.int64, device=data.device)
        for probe in probes:
            if probe.gradient and (not probe.passes or getattr(probe, "may_refuse", False)):
                one = data.batch(slice(0, 1))
                batch = Batch(model, one, label, num_classes=source.num_classes, learning_rate=1.0)
                try:
                    with evaluating(model, seed=0, device=data.device), _moved(model):
                        probe(batch)
                except BadUsage as error:
                    refused[probe.name] = str(error)
    return refused


@contextmanager
def _moved(model: nn.Module) -> Iterator[None]:
    """Other weights for a while: a scale that is 1 when it is built, or a shift of 0, is a scale once it was trained."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    before = [parameter.detach().clone() for parameter in trained]
    with torch.no_grad():
        for parameter in trained:
            parameter.mul_(1.25).add_(0.05)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, values in zip(trained, before, strict=True):
                parameter.copy_(values)


def check_images(model: str, input_shape: tuple[int, ...], *, smallest: int) -> tuple[int, int, int]:
    """The (c, h, w) of ``input_shape``, for a model that takes images alone.

    Raises:
        BadUsage: The inputs are features, or too small.
    """
    check_kind(input_shape, tuple, "input_shape", "a source has one")
    if len(input_shape) != IMAGE_DIMENSIONS - 1 or min(input_shape[1:]) < smallest:
        msg = f"model '{model}' takes images of at least {smallest} × {smallest}, got inputs of shape {input_shape}; use mlp"
        raise BadUsage(msg)
    c, h, w = input_shape
    return c, h, w


def build_model(build: BuildModel, source: Source, data: Inputs) -> nn.Module:
    """A fresh model on the device of ``data``, seen to give a logit a class and to have something to train.

    Raises:
        TrainingFailed: It cannot be built or run, or gives something else.
    """
    model: Any  # until it is seen to be a module
    with errors_as_training_failed(f"the model cannot be built for inputs of shape {source.input_shape}"):
        model = build(num_classes=source.num_classes, input_shape=source.input_shape)
    if not isinstance(model, nn.Module):
        msg = f"the model function gave {type(model).__name__}, expected a torch.nn.Module"
        raise TrainingFailed(msg)
    # Such as one whose parameters have no shape yet.
    with errors_as_training_failed("the model cannot be put on its device"):
        model = model.to(data.device)
        if data.is_image:
            model = model.to(memory_format=torch.channels_last)
    with (
        errors_as_training_failed(f"the model cannot be run on inputs of shape {source.input_shape}"),
        torch.no_grad(),
        evaluating(model, seed=0, device=data.device),
    ):
        check_logits(model(data.batch(slice(0, 1))), 1, source.num_classes)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        msg = "the model has no parameter to train; give it one that requires a gradient"
        raise TrainingFailed(msg)
    return model


@contextmanager
def errors_as_training_failed(what: str, *, but: type[Exception] = NoisybenchError) -> Iterator[None]:
    """Turn what a user's model or probe raises into ``TrainingFailed``.

    Args:
        what: What failed, the beginning of the sentence.
        but: Errors that pass as they are, besides noisybench's own, which are sentences already.

    Raises:
        TrainingFailed: Anything else was raised, ``SystemExit`` included.
    """
    try:
        yield
    except (NoisybenchError, but):
        raise
    except (Exception, SystemExit) as error:  # whatever it is
        msg = f"{what}: {type(error).__name__}: {(str(error).splitlines() or ['no message'])[0]}"
        raise TrainingFailed(msg) from error
