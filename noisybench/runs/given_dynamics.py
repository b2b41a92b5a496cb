"""Training dynamics of someone else's training as the columns that probes would have given."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from noisybench.ground.lookup import find, is_ours, names
from noisybench.training.trace import Observation
from noisybench.variants.sample_files.dynamics import read_dynamics
from noisybench.variants.sample_files.values import Tell
from noisybench.variants.variant import Variant


def observe_dynamics(
    folder: str | Path, variant: Variant, *, sample_names: Sequence[str] | None = None, tell: Tell = lambda _: None
) -> list[Observation]:
    """What every probe of logits says of each epoch, and at the end the given labels: see ``read_dynamics``."""
    import torch

    from noisybench.training.gathering import remembering, without
    from noisybench.training.recorder import Recorder

    probes = [find("probes", name) for name in names("probes") if is_ours("probes", name)]
    recorder = Recorder(variant, [probe for probe in probes if not probe.gradient])
    samples = torch.arange(len(variant.labels))
    observations: list[Observation] = []
    remember = remembering(recorder.probes)
    for epoch, logits in read_dynamics(folder, variant, sample_names=sample_names, tell=tell):
        recorder.update(torch.from_numpy(logits.astype(np.float32)), samples)
        observations = [without(earlier, remember) for earlier in observations]
        observations.append(recorder.end_epoch(epoch=epoch))
    last = observations[-1]
    given = {"given": variant.labels.astype(np.float32)}
    return [*observations[:-1], replace(last, values={**last.values, **given})]
