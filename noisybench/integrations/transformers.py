"""Hugging Face transformers: a callback of its ``Trainer`` that observes a model at the end of every epoch."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from noisybench.ground.errors import BadUsage, MissingPackage
from noisybench.integrations.sample_inputs import AskedModel, Logits, device_of, in_sample_order, rate_of
from noisybench.training.recorder import Recorder
from noisybench.training.sample_order import SampleInputs

try:
    from transformers.trainer_callback import TrainerCallback
except ImportError:  # told where a callback is made, so that tools may import every module
    TrainerCallback = object

ROUNDING = 1e-6
"""Part of an epoch by which the Trainer's count of them may be off."""


class TransformersObserver(TrainerCallback):  # type: ignore[misc]  # it is imported without its types
    """Observes a model of the ``Trainer`` at the end of every epoch; training goes on to the same bits as without it.

    ::

        recorder = Recorder(labels, ["margin", "loss"])
        Trainer(model, args, train_dataset=tokens, callbacks=[TransformersObserver(recorder)]).train()
        suspicion = score(recorder.trace(), find("detectors", "aum"))

    Of several processes each observes a part, and the recorder of each has the whole; the first writes files. An epoch that the Trainer ends early (``max_steps``) counts as one.
    """

    def __init__(self, recorder: Recorder, inputs: Any = None, *, logits: Logits | None = None) -> None:  # noqa: ANN401 - see in_sample_order
        """Get ready to observe.

        Args:
            recorder: Knows the labels and what is asked. With ``resume=True`` and a folder it goes on where a run that is
                resumed from a checkpoint goes on.
            inputs: The training set in the order of these labels, where it is another than the Trainer's, such as one
                without augmentation: a data set, whose rows the Trainer's collator makes batches of, tensors by name, or
                a loader with ``shuffle=False``. None takes the Trainer's own.
            logits: The model and a batch of inputs → logits (b, k), for a model whose answer has no ``logits``.

        Raises:
            MissingPackage: transformers is not installed.
        """
        if TrainerCallback is object:
            msg = "TransformersObserver needs the package 'transformers': pip install 'noisybench[transformers]'"
            raise MissingPackage(msg)
        super().__init__()
        self._recorder = recorder
        self._given = inputs
        self._inputs: SampleInputs = ()
        self._logits = logits

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002 - the signature of the library
        """Refuse what could not be observed at the end of the first epoch.

        Raises:
            BadUsage: The model is in parts, or the inputs are none or in another order.
            BadData: Another number of samples than labels.
        """
        if args.fsdp or args.deepspeed:
            msg = "the model is in parts under FSDP or DeepSpeed, none of which can be asked; train without them"
            raise BadUsage(msg)
        loader = kwargs["train_dataloader"]
        inputs = loader.dataset if self._given is None else self._given
        self._inputs = in_sample_order(inputs, len(self._recorder.labels), collate=loader.collate_fn)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401, ARG002
        """Observe."""
        model = kwargs["model"]
        self._recorder.across_ranks = True
        self._recorder.to(device_of(model))
        epoch, rate = math.ceil(state.epoch - ROUNDING), rate_of(kwargs.get("optimizer"))
        with _without_autocast(model):
            asked = AskedModel(model, self._logits)
            self._recorder.observe(asked, self._inputs, epoch=epoch, learning_rate=rate)


@contextmanager
def _without_autocast(model: Any) -> Iterator[None]:  # noqa: ANN401 - any module
    """Take away the autocast that Accelerate puts around ``forward`` in mixed precision; then put it back."""
    cast, plain = vars(model).get("forward"), vars(model).get("_original_forward")
    if plain is None:
        yield
        return
    model.forward = plain
    try:
        yield
    finally:
        model.forward = cast
