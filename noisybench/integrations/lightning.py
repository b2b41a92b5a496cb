"""Lightning: a callback that observes a model at the end of every epoch."""

from typing import Any

from noisybench.ground.errors import BadUsage, MissingPackage
from noisybench.integrations.sample_inputs import AskedModel, Logits, device_of, in_sample_order, rate_of
from noisybench.training.recorder import Recorder

try:
    from lightning.pytorch import Callback
except ImportError:  # told where a callback is made, so that tools may import every module
    Callback = object

SHARDED = {"FSDPStrategy", "DeepSpeedStrategy", "ModelParallelStrategy"}
"""Strategies of Lightning under which no process holds a whole model."""


class LightningObserver(Callback):  # type: ignore[misc]  # it is imported without its types
    """Observes a ``LightningModule`` at the end of every epoch; training goes on to the same bits as without it.

    ::

        recorder = Recorder(labels, ["margin", "loss"])
        Trainer(max_epochs=10, callbacks=[LightningObserver(recorder, inputs)]).fit(module, loader)
        suspicion = score(recorder.trace(), find("detectors", "aum"))

    Of several processes each observes a part, and the recorder of each has the whole; the first writes files. Where they
    are spawned (``ddp_spawn``), the recorders are lost with them: give the recorder a folder. An epoch that Lightning ends early (``max_steps``, ``limit_train_batches``) counts as one.
    """

    def __init__(self, recorder: Recorder, inputs: Any, *, logits: Logits | None = None) -> None:  # noqa: ANN401 - see in_sample_order
        """Get ready to observe.

        Args:
            recorder: Knows the labels and what is asked. With ``resume=True`` and a folder it goes on where a run that is
                resumed from a checkpoint goes on.
            inputs: The training set in the order of these labels, without augmentation: an array or a tensor (n, ...), a
                data set of inputs or of pairs (inputs, label), or a loader with ``shuffle=False``.
            logits: The module and a batch of inputs → logits (b, k), for a module whose ``forward`` gives something else.

        Raises:
            MissingPackage: Lightning is not installed.
            BadUsage: A loader that shuffles, or inputs that are none.
            BadData: Another number of samples than labels.
        """
        if Callback is object:
            msg = "LightningObserver needs the package 'lightning': pip install 'noisybench[lightning]'"
            raise MissingPackage(msg)
        super().__init__()
        self._recorder = recorder
        self._inputs = in_sample_order(inputs, len(recorder.labels))
        self._logits = logits

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401 - lightning has no stubs here
        """Refuse what could not be observed at the end of the first epoch."""
        strategy = SHARDED & {kind.__name__ for kind in type(trainer.strategy).__mro__}
        if strategy:
            msg = f"the model is in parts under {strategy.pop()}, none of which can be asked; train with strategy='ddp' or on one device"
            raise BadUsage(msg)
        forward = next((kind for kind in type(pl_module).__mro__ if "forward" in vars(kind)), None)
        if self._logits is None and forward is not None and forward.__module__.startswith(("lightning", "pytorch_l")):
            msg = (
                f"{type(pl_module).__name__} has no forward; say logits=lambda module, inputs: … which gives its logits"
            )
            raise BadUsage(msg)

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:  # noqa: ANN401
        """Observe."""
        self._recorder.across_ranks = True
        self._recorder.to(device_of(pl_module))
        rate = rate_of(next(iter(trainer.optimizers), None))
        asked, epoch = AskedModel(pl_module, self._logits), trainer.current_epoch + 1
        self._recorder.observe(asked, self._inputs, epoch=epoch, learning_rate=rate)
