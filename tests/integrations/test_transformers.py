"""The Hugging Face Trainer's own loop: observed, and trained to the same bits as without."""
# ruff: noqa: ANN401 - transformers is not installed where types are checked

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from noisybench.detection.scoring import score
from noisybench.ground.errors import BadData, BadUsage
from noisybench.integrations.transformers import TransformersObserver
from noisybench.items import find
from noisybench.training.recorder import Recorder

pytestmark = [
    pytest.mark.integration("accelerate"),
    pytest.mark.integration("transformers"),
    pytest.mark.filterwarnings("ignore:.*pin_memory"),
]
N, K, WORDS = 40, 3, 30
LABELS = torch.randint(K, (N,), generator=torch.Generator().manual_seed(2)).tolist()


def tokens() -> list[dict[str, Any]]:
    """Texts of 3 to 9 words that were tokenised, each with its label."""
    stream = torch.Generator().manual_seed(1)
    lengths = torch.randint(3, 10, (N,), generator=stream).tolist()
    words = [torch.randint(1, WORDS, (length,), generator=stream).tolist() for length in lengths]
    return [{"input_ids": ids, "label": label} for ids, label in zip(words, LABELS, strict=True)]


def padded(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """A batch as a collator of texts makes it: as long as its longest text."""
    width = max(len(row["input_ids"]) for row in rows)
    ids = torch.tensor([row["input_ids"] + [0] * (width - len(row["input_ids"])) for row in rows])
    return {"input_ids": ids, "attention_mask": (ids > 0).long(), "labels": torch.tensor([r["label"] for r in rows])}


def model() -> Any:
    """Two layers of BERT, 16 wide, with dropout and fresh weights."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
        num_labels=K,
    )
    return BertForSequenceClassification(config)


def fit(folder: Path, *callbacks: Any, resume: str | None = None, trained: Any = None, **options: Any) -> Any:
    """The model after three epochs of batches of 8."""
    from transformers import Trainer, TrainingArguments

    told = {"num_train_epochs": 3, "save_strategy": "no", "report_to": [], "disable_tqdm": True, **options}
    arguments = TrainingArguments(
        str(folder), per_device_train_batch_size=8, use_cpu=True, seed=0, learning_rate=5e-3, **told
    )
    trainer = Trainer(
        trained or model(),
        arguments,
        data_collator=padded,
        train_dataset=tokens(),
        eval_dataset=tokens()[:4],
        callbacks=list(callbacks),
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer.model


def reference(columns: list[Any]) -> Any:
    """A callback that computes margins in a loop over samples, of a copy of the model without what Accelerate adds."""
    from transformers import TrainerCallback

    class Loop(TrainerCallback):  # type: ignore[misc]
        def on_epoch_end(self, *_: Any, **kwargs: Any) -> None:
            with torch.random.fork_rng():
                net = model()
            net.load_state_dict(kwargs["model"].state_dict())
            net.eval()
            margins = []
            with torch.no_grad():
                for row in tokens():
                    out = net(input_ids=torch.tensor([row["input_ids"]])).logits[0].tolist()
                    y = row["label"]
                    margins.append(out[y] - max(out[:y] + out[y + 1 :]))
            columns.append(np.array(margins))

    return Loop()


def stopping() -> Any:
    from transformers import EarlyStoppingCallback

    return EarlyStoppingCallback(1, 10.0)


STOP = {
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "load_best_model_at_end": True,
    "metric_for_best_model": "loss",
}


@pytest.mark.parametrize(
    ("options", "epochs"),
    [
        ({}, 3),
        ({"gradient_accumulation_steps": 2}, 3),
        ({"bf16": True}, 3),
        ({"dataloader_num_workers": 2}, 3),
        (STOP, 2),
        ({"max_steps": 7}, 2),
    ],
    ids=lambda value: next(iter(value), "plain") if isinstance(value, dict) else str(value),
)
def test_every_epoch_is_observed_and_nothing_changes(options: dict[str, Any], epochs: int, tmp_path: Path) -> None:
    """Margins are those of a loop over samples, in single precision; weights are bit-equal without."""
    stop = (stopping,) if options is STOP else ()
    plain = fit(tmp_path / "plain", *(each() for each in stop), **options).state_dict()
    recorder, expected = Recorder(LABELS, ["margin", "loss"]), list[Any]()
    seen = TransformersObserver(recorder)
    watched = fit(tmp_path / "watched", seen, reference(expected), *(each() for each in stop), **options)
    assert all(torch.equal(value, plain[name]) for name, value in watched.state_dict().items())
    column = recorder.trace().column("margin")
    assert column.epochs.tolist() == list(range(1, epochs + 1))
    np.testing.assert_allclose(column.values, np.stack(expected), rtol=1e-3, atol=1e-4)
    assert score(recorder.trace(), find("detectors", "aum")).values.shape == (N,)


def test_the_last_layer_is_asked_with_the_rate_of_its_epoch(tmp_path: Path) -> None:
    """Features are found in an answer with logits, and the Trainer's schedule, here linear to zero, weighs the epochs."""
    recorder = Recorder(LABELS, ["gradient_norm", "self_influence"], num_classes=K)
    fit(tmp_path, TransformersObserver(recorder))
    norms, found = recorder.trace()["gradient_norm"], recorder.trace()["self_influence"]
    assert (norms > 0).all()
    rates = 5e-3 * np.array([2 / 3, 1 / 3, 0])
    np.testing.assert_allclose(found, rates[:, None] * np.square(norms), rtol=1e-4, atol=1e-9)


def test_a_resumed_training_goes_on_with_its_trace_to_the_same_bits(tmp_path: Path) -> None:
    """From the Trainer's own checkpoint, into the folder of the first part."""
    whole = Recorder(LABELS, ["margin"])
    fit(tmp_path, TransformersObserver(whole), save_strategy="epoch")
    halfway = sorted(tmp_path.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))[1]
    folder = tmp_path / "trace"
    first = Recorder(LABELS, ["margin"], folder=folder)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "other", TransformersObserver(first), _killed_in_epoch_3())
    second = Recorder(LABELS, ["margin"], folder=folder, resume=True)
    fit(tmp_path, TransformersObserver(second), resume=str(halfway), save_strategy="epoch")
    assert second.trace().column("margin").epochs.tolist() == [1, 2, 3]
    assert np.array_equal(second.trace()["margin"], whole.trace()["margin"])


def _killed_in_epoch_3() -> Any:
    from transformers import TrainerCallback

    class Killed(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, _: Any, state: Any, *__: Any, **___: Any) -> None:
            if state.epoch > 2:
                raise KeyboardInterrupt

    return Killed()


def test_any_way_to_give_the_inputs_gives_the_same(tmp_path: Path) -> None:
    """The Trainer's own, a data set, a loader in order, whole tensors by name; and a function of the model."""
    whole = padded(tokens())
    whole.pop("labels")
    ways: list[Any] = [None, tokens(), DataLoader(tokens(), batch_size=7, collate_fn=padded), whole]  # type: ignore[arg-type]  # a list is a data set
    recorders = [Recorder(LABELS, ["margin"]) for _ in range(5)]
    fit(
        tmp_path,
        *(TransformersObserver(one, way) for one, way in zip(recorders, ways, strict=False)),
        TransformersObserver(recorders[4], logits=lambda net, batch: net(**batch).logits * 1),
        num_train_epochs=1,
    )
    for other in recorders[1:]:
        np.testing.assert_allclose(other.trace()["margin"], recorders[0].trace()["margin"], rtol=1e-3, atol=1e-5)


def test_what_cannot_be_observed_is_refused_before_training(tmp_path: Path) -> None:
    """Other samples, a shuffled loader, a model in parts; and, when they are looked at, other labels."""
    recorder = Recorder(LABELS, ["margin"])
    with pytest.raises(BadData, match="data set has 39 samples, and the recorder 40 labels"):
        fit(tmp_path, TransformersObserver(recorder, tokens()[1:]))
    with pytest.raises(BadUsage, match="order of a RandomSampler.* with shuffle=False"):
        fit(tmp_path, TransformersObserver(recorder, DataLoader(tokens(), shuffle=True)))  # type: ignore[arg-type]
    with pytest.raises(BadData, match="own labels are not those of the samples: .* of 40 differ"):
        fit(tmp_path, TransformersObserver(Recorder(LABELS[::-1], ["margin"])))
    assert not recorder._observations

    class Sharded:
        fsdp, deepspeed = "full_shard", None

    with pytest.raises(BadUsage, match="in parts under FSDP or DeepSpeed"):
        TransformersObserver(recorder).on_train_begin(Sharded, None, None)


def test_a_model_with_an_answer_of_its_own_needs_a_function(tmp_path: Path) -> None:
    """Of any module that the Trainer trains; without the function it is told what was expected."""

    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.words = nn.EmbeddingBag(WORDS, K)

        def forward(self, input_ids: Any, attention_mask: Any = None, labels: Any = None) -> Any:
            del attention_mask
            scores = self.words(input_ids)
            return (scores,) if labels is None else (nn.functional.cross_entropy(scores, labels), scores)

    recorder = Recorder(LABELS, ["margin"])
    seen = TransformersObserver(recorder, logits=lambda net, batch: net(**batch)[0])
    fit(tmp_path, seen, trained=Bag(), num_train_epochs=2)
    assert recorder.trace()["margin"].shape == (2, N)
    with pytest.raises(BadData, match=r"the model gives a tuple for 40 inputs, expected a tensor of shape \(40, 3\)"):
        fit(tmp_path, TransformersObserver(Recorder(LABELS, ["margin"])), trained=Bag(), num_train_epochs=1)
