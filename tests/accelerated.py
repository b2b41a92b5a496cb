"""Two trainings in several processes, by Accelerate. Each process leaves ``RANK.npz``."""
# ruff: noqa: ANN401 - neither package is installed where types are checked

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from noisybench.training.recorder import Recorder

N, K, WIDTH, BATCH, EPOCHS = 37, 3, 5, 8, 2


def samples() -> tuple[Tensor, Tensor]:
    """Inputs (n, d) and labels (n,)."""
    stream = torch.Generator().manual_seed(3)
    return torch.randn(N, WIDTH, generator=stream), torch.randint(K, (N,), generator=stream)


def perceptron() -> nn.Module:
    """Fresh weights, alike on every rank."""
    torch.manual_seed(5)
    return nn.Sequential(nn.Linear(WIDTH, 7), nn.Tanh(), nn.Linear(7, K))


def own_loop(accelerator: Any) -> dict[str, Any]:
    """A loop by hand; also which samples were in which batch of this process, shape (batches, b)."""
    inputs, labels = samples()
    recorder = Recorder(labels.tolist(), ["margin", "loss"], across_ranks=True, device=accelerator.device)
    model = perceptron()
    data = TensorDataset(inputs, labels, torch.arange(N))
    shuffled = DataLoader(data, batch_size=BATCH, shuffle=True, generator=torch.Generator().manual_seed(1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    model, optimizer, loader = accelerator.prepare(model, optimizer, shuffled)
    batches = []
    for epoch in range(1, EPOCHS + 1):
        for batch, expected, chosen in loader:
            logits = model(batch)
            recorder.update(logits, chosen)
            optimizer.zero_grad()
            accelerator.backward(nn.functional.cross_entropy(logits, expected))
            optimizer.step()
            batches.append(chosen.numpy())
        recorder.end_epoch(epoch=epoch)
    trace = recorder.trace()
    return {"margin": trace["margin"], "loss": trace["loss"], "batches": np.stack(batches)}


def trainer_loop(folder: Path) -> dict[str, Any]:
    """The Trainer of transformers with the callback; also margins by a plain loop over the samples, on each rank."""
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainerCallback, TrainingArguments

    from noisybench.integrations.transformers import TransformersObserver

    torch.manual_seed(0)
    config = BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, num_labels=K)
    model = BertForSequenceClassification(config)
    words = torch.randint(1, 9, (N, 4), generator=torch.Generator().manual_seed(1))
    labels = samples()[1].tolist()
    tokens = [{"input_ids": row, "labels": label} for row, label in zip(words.tolist(), labels, strict=True)]
    plain: list[list[float]] = []

    class Plain(TrainerCallback):  # type: ignore[misc]
        def on_epoch_end(self, args: Any, state: Any, control: Any, **told: Any) -> None:
            del args, state, control
            asked = told["model"].eval()
            with torch.no_grad():
                rows = [asked(input_ids=words[i : i + 1]).logits[0].tolist() for i in range(N)]
            asked.train()
            plain.append([row[y] - max(row[:y] + row[y + 1 :]) for row, y in zip(rows, labels, strict=True)])

    arguments = TrainingArguments(
        str(folder / "trainer"),
        num_train_epochs=EPOCHS,
        per_device_train_batch_size=BATCH,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
    )
    recorder = Recorder(labels, ["margin"], folder=folder / "trace")
    callbacks = [TransformersObserver(recorder), Plain()]
    Trainer(model, arguments, train_dataset=tokens, callbacks=callbacks).train()
    return {"observed": recorder.trace()["margin"], "plain": np.array(plain)}


def train_both(folder: Path) -> None:
    """Train in both loops."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    values = own_loop(accelerator)
    if find_spec("transformers"):
        values |= trainer_loop(folder)
    np.savez(folder / f"{accelerator.process_index}.npz", **values)
    accelerator.end_training()
