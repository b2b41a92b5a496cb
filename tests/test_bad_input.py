"""Bad input: one sentence on stderr, exit code 2 for usage and 1 for failure, no traceback, nothing half-written."""

import ctypes
import errno
import json
import os
import random
import re
import resource
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image
from shell import Result, shell

from noisybench.__main__ import main
from noisybench.data.loading import load_source
from noisybench.data.source import source_from_arrays
from noisybench.ground.errors import BadData, TrainingFailed
from noisybench.ground.files import read_columns, write_columns

N = 60
GOOD: dict[str, Any] = {
    "inputs": np.random.default_rng(0).normal(size=(N, 4)).astype(np.float32),
    "labels": np.arange(N) % 3,
    "clean": np.arange(N) % 3,
    "test_inputs": np.random.default_rng(1).normal(size=(9, 4)).astype(np.float32),
    "test_labels": np.arange(9) % 3,
}
NETS = """
import sys
from torch import nn

class Net(nn.Linear):
    what, calls = "", 0
    def forward(self, x):
        type(self).calls += 1
        y = super().forward(x)
        late = self.training and self.calls > 2
        if self.what == "raises" or (self.what == "raises_late" and late):
            raise KeyError("boom")
        if self.what == "nan" or (self.what == "nan_watched" and not self.training and self.calls > 1):
            return y * float("nan")
        if self.what == "pair" or (self.what == "pair_in_training" and self.training):
            return y, y
        if self.what == "none":
            return None
        if self.what == "no_gradient":
            return y.detach()
        if self.what == "squeezed" and self.training:
            return y[:, 0]
        return y

class Cut(nn.Module):
    def forward(self, x): return x[:, :3]

def named(name):
    def build(*, num_classes, input_shape):
        return type("Net", (Net,), {"what": name})(*input_shape, num_classes)
    return build

for name in ("raises", "raises_late", "nan", "nan_watched", "pair", "pair_in_training", "none", "no_gradient", "squeezed"):
    globals()[name] = named(name)

def wide(*, num_classes, input_shape): return nn.Linear(*input_shape, num_classes + 1)
def rank(*, num_classes, input_shape): return nn.Sequential(nn.Linear(*input_shape, num_classes), nn.Unflatten(1, (1, -1)))
def broken(*, num_classes, input_shape): raise RuntimeError("boom\\nand a second line")
def leaves(*, num_classes, input_shape): sys.exit(7)
def old_style(classes): return nn.Linear(4, classes)
def nothing(*, num_classes, input_shape): return None
def no_parameters(*, num_classes, input_shape): return Cut()
def frozen(*, num_classes, input_shape): return nn.Linear(*input_shape, num_classes).requires_grad_(False)
def batch_norm(*, num_classes, input_shape):
    return nn.Sequential(nn.Linear(*input_shape, 8), nn.BatchNorm1d(8), nn.Linear(8, num_classes))
number = 3
"""
EVALUATE = "evaluate {v} --epochs 1 --seeds 0 --detectors aum --workers 1 --device cpu --out out"
BUILD = "build npz --data good.npz --noise symmetric --rate 0.2 --out out"


def call(command: str) -> Result:
    """Run a command line, written as in a shell, in this process."""
    return shell(*shlex.split(command))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def refuse(command: str, code: int, message: str, *, begun: bool = False) -> None:
    """Run a command that must be refused; ``begun``: a run that began may stay, to be gone on with."""
    found, out, err = call(command)
    assert found == code, (command, out, err)
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, (command, err)
    assert code == 1 or len(err.splitlines()) == 1, (command, err)  # what cannot be meant is refused before all else
    assert re.search(message, lines[0]), (command, lines[0])
    assert "Traceback" not in err
    assert "not expected" not in err
    left = files(Path("out")) if Path("out").is_dir() else []
    assert begun or not left, (command, left)
    assert not [name for name in left if name.endswith(".part")]
    assert not [path for path in Path("out").rglob("run.json") if json.loads(path.read_text())["detectors"]]


def unfinish(record: Path) -> None:
    """Leave a run as one that was killed before it was scored."""
    record.write_text(json.dumps({**json.loads(record.read_text()), "detectors": {}}))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, two variants of one source, one of another, and runs of the first two."""
    folder = tmp_path_factory.mktemp("home")
    before = Path.cwd()
    os.chdir(folder)
    try:
        np.savez("good.npz", **GOOD)
        np.savez("other.npz", **{**GOOD, "inputs": GOOD["inputs"] + 1})
        names = []
        for data, seed in (("good", 0), ("good", 1), ("other", 0)):
            line = f"build npz --data {data}.npz --noise symmetric --rate 0.3 --seed {seed} --out variants"
            code, out, err = call(line)
            assert code == 0, err
            names.append(out.splitlines()[-1])
        Path("names.json").write_text(json.dumps(names))
        done = call(
            f"evaluate {names[0]} {names[1]} --epochs 2 --seeds 0,1 --detectors aum,cumulative_loss --workers 1"
        )
        assert done[0] == 0, done[2]
        Path("bad_nets.py").write_text(NETS)
        Path("bad_syntax.py").write_text("def x(:\n")
        Path("bad_needy.py").write_text("import no_such_package\n")
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A working folder with a copy of all that; the names of the variants, for commands."""
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for path in tmp_path.glob("variants/*/location.json"):
        path.write_text(path.read_text().replace(str(home), str(tmp_path)))
    v, second, other = json.loads(Path("names.json").read_text())
    return {"v": v, "second": second, "other": other}


USAGE = [
    # names
    ("bild", "no such command 'bild'"),
    ("build npz --noise", r"option '--noise' requires an argument \('noisybench build --help' shows"),
    ("--debug build npz --noise", r"\('noisybench build --help' shows"),
    ("build", r"missing argument 'WHAT' \('noisybench build --help' shows"),
    ("build digits", "source 'digits' needs a noise: say --noise symmetric --rate 0.2 for labels with errors, or --noise as"),
    ("build npz", "source 'npz' needs a file: say --data FILE"),
    ("build good.npz --rate 0.2", "--rate is of a noise, and none is named: say --noise symmetric, or leave it out"),
    ("build good.npz --set inclusive=true", "--set inclusive=… is of a noise, and none is named"),
    ("build good.npz --data good.npz", "with --data, 'good.npz' must be the name of a source such as table"),
    ("build god.npz --data good.npz", "no source is called 'god.npz'"),
    ("build god.npz", "there is no file or folder 'god.npz'; did you mean 'good.npz'?"),
    (f"{BUILD} --rat 0.3", r"no such option: --rat .*--rate"),
    ("build nzp --noise symmetric --rate 0.2 --out out", "no source is called 'nzp'; did you mean 'npz'"),
    ("build no.module:X --noise symmetric --rate 0.2 --out out", "there is no module 'no.module' for source"),
    ("build json:loads --noise symmetric --rate 0.2 --out out", "'json:loads' is a function, which is no source"),
    ("build npz --data good.npz --noise symetric --rate 0.2 --out out", "no noise is called 'symetric'; did you mean 'sy"),
    (f"{BUILD} --mode exat", "no mode 'exat'; there are: exact"),
    (f"{BUILD} --set inclusiv=true", "no option of noise 'symmetric' is called 'inclusiv'; did you mean 'inclusive'"),
    (f"{BUILD} --set inclusive", "--set takes key=value, got 'inclusive'"),
    (f"{BUILD} --set inclusive=true --set inclusive=no", "--set inclusive=… is given twice"),
    (f"{BUILD} --source-set foo=1", "no option of source 'npz' is called 'foo'"),
    ("build huggingface --data x --source-set splitt=x --noise as_found --out out", "did you mean 'split'"),
    ("list detector", "no list is called 'detector'; did you mean 'detectors'"),
    ("leaderboard runs --metric aurocc", "no metric is called 'aurocc'; did you mean 'auroc'"),
    ("leaderboard runs --truth mislabelled", "did you mean 'mislabeled'"),
    ("leaderboard runs --format jsn", "no format is called 'jsn'; did you mean 'json'"),
    ("suspects {run} --format latex", "no format is called 'latex'; there are: table, markdown, csv, json"),
    ("score {v} --name x --out out", r"give scores \(--scores\), probabilities \(--pred-probs\) or .*, got nothing"),
    ("score {v} --name x --scores good.npz --pred-probs good.npz --out out", r"give scores .*, got both"),
    ("score {v} --name aum --scores good.npz --out out", "'aum' is the name of one of noisybench's own detectors"),
    ("score {v} --name '' --scores good.npz --out out", "a name must be a line of 1 to 80 characters, got ''"),
    ("score {v} --name x --scores names.json --out out", "names.json is no .npz, .npy, .csv, .tsv, .jsonl, .parquet file; save the sco"),
    ("score {v} --scores good.npz --out out", "say --name of the scores or probabilities that you give, or --features NAME"),
    ("suspects {run} --detector amu", "no detector of this run is called 'amu'; did you mean 'aum'"),
    # rates
    *((BUILD.replace("0.2", rate), rf"rate must lie in \[0, 1\] .*got {got}") for rate, got in (
        ("1.2", "1.2"), ("-0.1", "-0.1"), ("nan", "nan"), ("inf", "inf"), ("1e400", "inf"),
    )),
    ("build npz --data good.npz --noise pair_flip --rate nan --out out", "rate must lie in"),
    ("build npz --data good.npz --noise instance --rate -1 --out out", "rate must lie in"),
    ("build npz --data good.npz --noise asymmetric --rate 2 --out out", "rate must lie in"),
    ("build npz --data good.npz --noise symmetric --rate 20% --out out", "must be a number, got '20%'"),
    ("build npz --data good.npz --noise symmetric --rate '' --out out", "must be a number, got ''"),
    ("build npz --data good.npz --noise symmetric --out out", "needs 'rate': say --rate 0.2"),
    ("build npz --data good.npz --noise instance --rate 0.2 --set temperature=nan --out out", "positive number, got nan"),
    ("build digits --noise cifar_n --set labels=worse --rate 0.2 --out out", "no option of noise 'cifar_n' is called 'rate'"),
    (f"{BUILD} --rate 0.3", "the rate is given twice, as 0.2 and 0.3"),
    (f"{BUILD} --set rate=0.3", "the rate is given twice"),
    # numbers
    (f"{BUILD} --limit 0", "limit must be at least 1, got 0"),
    (f"{BUILD} --limit -5", "limit must be at least 1, got -5"),
    (f"{BUILD} --limit many", "'many' is no whole number"),
    (f"{BUILD} --seed -1", "seed must not be negative, got -1"),
    (f"{BUILD} --seed 1.5", "'1.5' is no whole number"),
    ("suspects {run} --top 0", "top must be at least 1, got 0"),
    ("suspects {run} --top -1", "top must be at least 1, got -1"),
    # the place of the data
    ("build npz --noise as_found --out out", "source 'npz' needs a file: say --data FILE"),
    ("build digits --data good.npz --noise as_found --out out", "source 'digits' is embedded: leave --data out"),
    ("build huggingface --noise as_found --out out", "needs one of: .*got 0 of them"),
    (f"{EVALUATE} {{other}} --data good.npz", "good.npz is the place of one source, and the variants are of 2"),
    # evaluate
    *((f"{EVALUATE} --seeds '{seeds}'", f"--seeds takes whole numbers such as 0,1,2, got '{seeds}'") for seeds in (
        "", ",", "0,", "x", "0.5", "0 1",
    )),
    (f"{EVALUATE} --seeds 0,0", "seeds must be different and not negative, got 0,0"),
    (f"{EVALUATE} --seeds 0,-1", "seeds must be different and not negative, got 0,-1"),
    (f"{EVALUATE} --epochs 0", "epochs must be at least 1 and finite, got 0"),
    (f"{EVALUATE} --epochs -3", "epochs must be at least 1 and finite, got -3"),
    (f"{EVALUATE} --epochs x", "'x' is no whole number"),
    (f"{EVALUATE} --set epochs=3", "the epochs are given twice"),
    (f"{EVALUATE} --set lr=nan", "lr must be at least 0 and finite, got nan"),
    (f"{EVALUATE} --set lr=-1", "lr must be at least 0 and finite, got -1"),
    (f"{EVALUATE} --set lr=inf", "lr must be at least 0 and finite, got inf"),
    (f"{EVALUATE} --set lr=", "must be a number, got ''"),
    (f"{EVALUATE} --set lrr=1", "no option of 'evaluate' is called 'lrr'; did you mean 'lr'"),
    (f"{EVALUATE} --set batch_size=1", "batch_size must be at least 2 and finite, got 1"),
    (f"{EVALUATE} --set momentum=nan", "momentum must be at least 0 and finite, got nan"),
    (f"{EVALUATE} --set weight_decay=-1", "weight_decay must be at least 0 and finite, got -1"),
    (f"{EVALUATE} --set curvature_step=nan", "curvature needs a positive step"),
    (f"{EVALUATE} --set susceptibility_lr=nan", "susceptibility needs .*lr=nan"),
    (f"{EVALUATE} --set observe=after --observe after", "observe is given twice"),
    (f"{EVALUATE} --recipe standrad", "no recipe is called 'standrad'; did you mean 'standard'"),
    (f"{EVALUATE} --detectors ''", "no detector is called ''; there are: aum"),
    (f"{EVALUATE} --detectors aum,", "no detector is called ''; there are: aum"),
    (f"{EVALUATE} --detectors aum,aum", "two of the detectors aum, aum have one name; name each once"),
    (f"{EVALUATE} --detectors knn", "needs a pool of models or frozen features; 'noisybench memorize VARIANT --pool detector'"),
    (f"{EVALUATE} --detectors aun", "no detector is called 'aun'; did you mean 'aum'"),
    (f"{EVALUATE} --workers 0", "workers must be at least 1, got 0"),
    (f"{EVALUATE} --threads 0", "threads must be at least 1, got 0"),
    (f"{EVALUATE} --checkpoint-every 0", "checkpoint_every must be at least 1, got 0"),
    (f"{EVALUATE} --device cdua", "no device is called 'cdua'; did you mean 'cuda'"),
    (f"{EVALUATE} --device meta", "no device is called 'meta'; there are: auto, cpu, cuda"),
    (f"{EVALUATE} --device cpu:7", "no device is called 'cpu:7'; did you mean 'cpu'"),
    (f"{EVALUATE} --device cuda:99", "device 'cuda:99' is asked for, and torch finds"),
    (f"{EVALUATE} --model mpl", "no model is called 'mpl'; did you mean 'mlp'"),
    (f"{EVALUATE} --model torchvision:resnet19", "did you mean 'resnet18'"),
    (f"{EVALUATE} --model torchvision:zzz", r"there are: alexnet.*… \(\d+ in all\)$"),
    (f"{EVALUATE} --model resnet18", r"model 'resnet18' takes images of at least .* got inputs of shape \(4,\); use mlp"),
    (f"{EVALUATE} --model bad_nets:number", "'bad_nets:number' is a int, which is no model"),
    (f"{EVALUATE} --model bad_nets:nope", "module 'bad_nets' has no 'nope' for model 'bad_nets:nope'"),
    (f"{EVALUATE} --model bad_nets:raises_late --seeds 0,1 --workers 2", "cannot be sent to another process .*take one worker"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "message"), USAGE)
def test_what_cannot_be_meant_is_usage(here: dict[str, str], command: str, message: str) -> None:
    """Exit code 2, the sentence, and no output folder."""
    run = next(Path("runs").glob("*/mlp-*"))
    refuse(command.format(**here, run=run), 2, message)


L = GOOD["labels"]
NAMES = np.array(["a", "b", "c"])
BYTES = np.zeros((N, 8, 8, 3), dtype=np.uint8)
NO_TEST = {"test_inputs": None, "test_labels": None}
ARRAYS: list[tuple[dict[str, Any], str]] = [
    # labels
    (
        {"labels": L + 0.5},
        r"source 'npz': labels\[0\] = 0.5 is no whole number \(60 such entries\): that is a quantity",
    ),
    ({"labels": np.where(L == 1, np.nan, L)}, r"labels\[1\] is NaN, which is no class \(20 such entries\); leave out"),
    ({"labels": np.eye(3)[L]}, r"got float64 of shape \(60, 3\); take the argmax of one-hot rows first"),
    ({"labels": np.eye(3, dtype=np.int64)[L]}, r"got int64 of shape \(60, 3\); take the argmax of one-hot rows first"),
    (
        {"labels": np.ones((60, 3), dtype=np.int64)},
        r"labels give sample 0 several classes at once, shape \(60, 3\); exp",
    ),
    ({"labels": L[:, None, None]}, r"got int64 of shape \(60, 1, 1\); number the classes"),
    (
        {"labels": NAMES[L]},
        "labels and the other label columns are partly texts, partly numbers; write all of them alike",
    ),
    ({"labels": L > 0}, "labels and the other label columns are partly texts, partly numbers; write all of them alike"),
    ({"labels": NAMES[L], "class_names": NAMES[:2]}, "labels: no class is called 'c'; there are: a, b"),
    ({"labels": np.append(NAMES[L[1:]], ""), "clean": None, **NO_TEST}, r"labels\[59\] is empty, which is no class"),
    ({"labels": L.astype(object)}, "array 'labels' of .*x.npz holds Python objects, which are never unpickled"),
    ({"labels": np.int64(3)}, r"got int64 of shape \(\)"),
    ({"labels": L - 1}, r"labels\[0\] is -1, which is no class \(20 such entries\); leave out samples"),
    ({"labels": L + 1, "class_names": NAMES}, r"labels\[2\] = 3 is not a class of 0..2 \(20 such entries\)"),
    (
        {"labels": np.arange(60) * 7},
        "labels hold 60 different values among 60 samples: those are ids or a quantity, no cla",
    ),
    (
        {"labels": np.arange(60).astype(str), "clean": None, **NO_TEST},
        "hold 60 different values among 60 samples: those",
    ),
    ({"labels": np.where(L == 1, 2**64 - 1, L.astype(np.uint64))}, "which is no 64-bit class index"),
    ({"labels": L[:-1]}, "60 inputs, 59 labels and 60 clean labels; expected as many of each"),
    ({"labels": None}, "has no array 'labels'; it has: inputs, clean"),
    ({"labels": L * 0, "clean": L * 0, **NO_TEST}, "has 1 class: a wrong label needs at least two"),
    # inputs
    ({"inputs": np.where(L[:, None] == 1, np.nan, GOOD["inputs"])}, r"must be finite, row 1 is not \(20 such rows\)"),
    ({"inputs": np.where(L[:, None] == 2, np.inf, GOOD["inputs"])}, r"must be finite, row 2 is not \(20 such rows\)"),
    ({"inputs": np.full((N, 4), 1e300)}, r"must be finite, row 0 is not \(60 such rows\)"),
    ({"test_inputs": np.full((9, 4), np.nan)}, "test inputs of source 'npz' must be finite, row 0"),
    ({"inputs": GOOD["inputs"].astype(object)}, "array 'inputs' of .* holds Python objects, which are never unpickled"),
    ({"inputs": GOOD["inputs"].astype(str)}, "inputs of source 'npz' must be numbers, got <U"),
    ({"inputs": GOOD["inputs"] * 1j}, "must be numbers, got complex"),
    (
        {"inputs": GOOD["inputs"][:, 0]},
        r"must be images \(n, h, w, c\) uint8 or features \(n, d\), got float32 of shape",
    ),
    ({"inputs": BYTES / 255}, r"must be images .* uint8 .* got float64 of shape \(60, 8, 8, 3\)"),
    ({"inputs": BYTES.astype(np.uint16)}, "must be images .* uint8 .* got uint16"),
    (
        {"inputs": BYTES.transpose(0, 3, 1, 2)},
        r"looks like channels first; give \(n, h, w, c\), as inputs.transpose\(0, 2, 3, 1\) does",
    ),
    ({"inputs": GOOD["inputs"][:, :0]}, r"have shape \(60, 0\): each must hold at least one number"),
    ({"inputs": BYTES[:, :0], **NO_TEST}, r"have shape \(60, 0, 8, 3\): each must hold at least one number"),
    ({"inputs": None}, "has no array 'inputs'; it has: labels"),
    ({"inputs": GOOD["inputs"][:0], "labels": L[:0], "clean": L[:0]}, "has an empty training or test set"),
    # the others
    ({"clean": L + 0.5}, r"clean labels\[0\] = 0.5 is no whole number \(60 such entries\)"),
    ({"clean": L - 3}, r"clean labels\[0\] = -3 is not a class"),
    ({"clean": L[:-1]}, "60 inputs, 60 labels and 59 clean labels"),
    ({"test_labels": None}, "test inputs or test labels without the other; give both or neither"),
    ({"test_inputs": None}, "test inputs or test labels without the other; give both or neither"),
    ({"test_inputs": np.zeros((9, 5))}, r"test inputs of shape \(9, 5\) and 9 test labels; expected \(m, 4\)"),
    ({"test_inputs": np.zeros((8, 4))}, r"test inputs of shape \(8, 4\) and 9 test labels; expected \(m, 4\)"),
    ({"inputs": BYTES[..., :1], "test_inputs": BYTES[:9]}, r"expected \(m, 8, 8, 1\)"),
    ({"test_inputs": np.zeros((0, 4)), "test_labels": L[:0]}, "has an empty training or test set"),
    (
        {"test_labels": np.arange(9)},
        r"test labels\[3\] = 3 is no class of the training samples, whose labels are 0..2 \(6 suc",
    ),
    ({"class_names": np.arange(3)}, "class_names of .* must be strings"),
    ({"class_names": np.array(["a", "a", "b"])}, "two classes of one name among: a, a, b"),
    ({"class_names": np.array(["a", "b\nc", "d"])}, r"the name of class 1, 'b\\nc', is no text"),
    ({"class_names": np.array(["a", "\ud800", "d"])}, r"the name of class 1, '\\ud800', is no text"),
]


@pytest.mark.parametrize(("change", "message"), ARRAYS)
def test_arrays_that_cannot_be_used_are_a_failure(here: dict[str, str], change: dict[str, Any], message: str) -> None:
    """The same sentence on the command line and in Python."""
    np.savez("x.npz", **{name: array for name, array in {**GOOD, **change}.items() if array is not None})
    refuse(BUILD.replace("good.npz", "x.npz"), 1, message)
    if "at least two" not in message:  # labels of one class can be read, and even be kept as found
        with pytest.raises(BadData, match=message):
            load_source("npz", "x.npz")


@pytest.mark.parametrize("rows", [{"inputs": [[1], [1, 2]]}, {"labels": [[0], [0, 1]]}, {"clean": [[0], [0, 1]]}])
def test_ragged_lists_are_refused_in_python(rows: dict[str, Any]) -> None:
    """NumPy's own words are of no help to whoever gave them."""
    arrays: dict[str, Any] = {"inputs": [[1.0], [2.0]], "labels": [0, 1], **rows}
    with pytest.raises(BadData, match="must be an array, got rows of several lengths"):
        source_from_arrays("x", **arrays)


def test_files_that_are_no_npz_are_a_failure(here: dict[str, str]) -> None:
    """Missing, empty, cut anywhere, a text, a folder, one array; the source that a variant was built from has gone."""
    whole = Path("good.npz").read_bytes()
    build = BUILD.replace("good.npz", "x.npz")
    refuse(build, 1, "x.npz cannot be read: No such file or directory; expected a .npz file with arrays inputs, labels")
    for content in (b"", b"inputs,labels\n", *(whole[:cut] for cut in (10, 100, len(whole) // 2, len(whole) - 3))):
        Path("x.npz").write_bytes(content)
        refuse(build, 1, "x.npz is truncated or no .npz file; expected a .npz file with arrays inputs, labels")
    refuse(BUILD.replace("good.npz", "runs"), 1, "runs cannot be read: Is a directory; expected a .npz file")
    np.save("x.npy", L)
    refuse(BUILD.replace("good.npz", "x.npy"), 1, "x.npy holds one array without a name")
    Path("good.npz").unlink()
    refuse(EVALUATE.format(**here), 1, "the files of 'npz' are not at .*good.npz; say where they are with --data")
    refuse(EVALUATE.format(**here) + " --data nowhere.npz", 1, "the files of 'npz' are not at nowhere.npz")
    refuse(EVALUATE.format(**here) + " --data other.npz", 1, "the variant was made from 'npz' .*, not from 'npz'")


def encoded(mode: str = "RGB", size: tuple[int, int] = (8, 8), form: str = "PNG", **how: Any) -> bytes:  # noqa: ANN401
    stream = BytesIO()
    Image.new(mode, size).save(stream, form, **how)
    return stream.getvalue()


GREY, COLOUR = encoded("L"), encoded()
MODES = {"RGBA": "PNG", "LA": "PNG", "I;16": "PNG", "CMYK": "JPEG", "F": "TIFF"}
IMAGES: list[tuple[Sequence[bytes | None], str]] = [
    *(
        ([COLOUR, encoded(mode, form=form)], f"image 1 of column 'image' has mode {mode}, expected grey or RGB with 8 bits")
        for mode, form in MODES.items()
    ),
    ([encoded("P", transparency=0)], "image 0 of column 'image' has mode P with transparency"),
    ([COLOUR, encoded(size=(8, 9))], "images of .* must have one size: image 0 is 8 × 8, image 1 is 9 × 8"),
    ([COLOUR, COLOUR[:40]], "image 1 of column 'image' cannot be decoded"),
    ([COLOUR, encoded(size=(64, 64))[:-30]], "image 1 of column 'image' cannot be decoded"),
    ([COLOUR, encoded(form="JPEG")[:-100]], "image 1 of column 'image' cannot be decoded"),
    ([COLOUR, b"<svg/>"], "image 1 of column 'image' cannot be decoded"),
    ([COLOUR, b""], r"image 1 of column 'image' cannot be decoded \(it is empty\)"),
    ([COLOUR, None], r"image 1 of column 'image' cannot be decoded \(it is empty\)"),
    ([encoded("1", size=(10_000, 10_000))], "image 0 of column 'image' has more than .* pixels; resize it first"),
    ([], "it has no rows"),
]  # fmt: skip


@pytest.mark.parametrize(("images", "message"), IMAGES)
def test_images_that_cannot_be_used_are_a_failure(
    here: dict[str, str], images: Sequence[bytes | None], message: str
) -> None:
    """Which image, and what it is: modes that would lose something, several sizes, damaged and missing ones."""
    rows = {"image": [{"bytes": image, "path": None} for image in images], "label": np.arange(len(images)) % 2}
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    pq.write_table(pa.table({"image": pa.array(rows["image"], kind), "label": rows["label"]}), "x.parquet")
    refuse("build huggingface --data x.parquet --noise as_found --out out", 1, message)


def test_places_that_hold_no_images_are_a_failure(here: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders and files where the other is expected, broken tables, an image that is named and not there."""
    build = "build huggingface --noise as_found --out out --data"
    gone = [{"bytes": COLOUR, "path": None}, {"bytes": None, "path": str(Path("gone.png").resolve())}]
    pq.write_table(pa.table({"image": gone, "label": [0, 1]}), "gone.parquet")
    Path("cut.parquet").write_bytes(Path("gone.parquet").read_bytes()[:-20])
    Path("x.json").write_text("{")
    Path("empty").mkdir()
    for place, message in (
        ("gone.parquet", "names an image that cannot be read: .*gone.png: No such file or directory"),
        ("cut.parquet", "datasets cannot load 'cut.parquet': "),
        ("x.json", "datasets cannot load 'x.json': JSON parse error"),
        ("empty", "datasets cannot load 'empty': "),
        ("nowhere", "nowhere is no folder and no file ending in .parquet"),
        ("good.npz", "good.npz is no folder and no file ending in .parquet"),
    ):
        refuse(f"{build} {place}", 1, message)
    refuse(f"{build} gone.parquet --source-set config=x", 2, "config=x names a part of a data set on the hub")
    refuse(f"{build} gone.parquet --source-set label=lable", 2, "no column is called 'lable'; did you mean 'label'")
    for source in ("mnist", "cifar10"):
        refuse(f"build {source} --data empty --noise as_found --out out", 1, f"empty holds no {source}; expected")
        refuse(f"build {source} --data nowhere --noise as_found --out out", 1, "nowhere is no folder; expected")
    refuse("build cifar10 --data good.npz --noise as_found --out out", 1, "good.npz is no folder; expected")
    refuse("build mnist --data good.npz --noise as_found --out out", 1, "good.npz has no array 'x_train'")
    cache = Path("good.npz").resolve() / "cache"  # where nobody can make a folder
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", cache)
    refuse(f"{build} gone.parquet", 1, "Not a directory.*; set HF_HOME to a folder that can be written to")
    monkeypatch.setenv("NOISYBENCH_CACHE", str(cache))
    refuse(
        "build mnist --noise as_found --out out", 1, "mnist could not be downloaded to .*Not a directory.*say --data"
    )
    message = "cannot be kept in the cache .*Not a directory.; set NOISYBENCH_CACHE to .* or get it otherwise"
    refuse("build digits --noise cifar_n --set labels=worse --out out", 1, message)


MODELS = [
    ("wide", r"outputs of shape \(1, 4\) for one input, expected a tensor of shape \(1, 3\): a logit a class"),
    ("rank", r"outputs of shape \(1, 1, 3\) for one input, expected a tensor of shape \(1, 3\)"),
    ("pair", "gives a tuple for one input, expected a tensor"),
    ("none", "gives a NoneType for one input, expected a tensor"),
    ("broken", r"the model cannot be built for inputs of shape \(4,\): RuntimeError: boom$"),
    ("leaves", "the model cannot be built .*SystemExit: 7"),
    ("old_style", "the model cannot be built .*TypeError: old_style"),
    ("nothing", "the model function gave NoneType, expected a torch.nn.Module"),
    ("raises", r"the model cannot be run on inputs of shape \(4,\): KeyError: 'boom'"),
    ("no_parameters", "the model has no parameter to train"),
    ("frozen", "the model has no parameter to train"),
    ("raises_late", "training failed in epoch 1: KeyError: 'boom'"),
    ("nan", r"the training loss is nan in epoch 1; lower the learning rate \(now lr=0.1\)"),
    ("nan_watched", "gave a value that is not finite for sample 0 in epoch 1 .*lower the learning rate"),
    ("pair_in_training", "gives a tuple for 32 inputs, expected a tensor"),
    ("squeezed", r"outputs of shape \(32,\) for 32 inputs, expected a tensor of shape \(32, 3\)"),
    ("no_gradient", "outputs depend on no parameter that is trained"),
]
LATE = ("raises_late", "nan", "nan_watched", "pair_in_training", "squeezed", "no_gradient")


@pytest.mark.parametrize(("name", "message"), MODELS)
def test_models_that_do_not_work_are_a_failure(here: dict[str, str], name: str, message: str) -> None:
    """What shows before training leaves nothing; what shows later leaves a run that has not ended."""
    refuse(f"{EVALUATE.format(**here)} --model bad_nets:{name}", 1, message, begun=name in LATE)
    if name in LATE:
        refuse("leaderboard out", 1, r"no finished run below out \(1 begun and not ended\)", begun=True)


def test_modules_that_do_not_work_are_a_failure(here: dict[str, str]) -> None:
    """A user's own file with a mistake, or one that needs a package; a rate of learning that diverges."""
    evaluate = EVALUATE.format(**here)
    refuse(
        f"{evaluate} --model bad_syntax:x",
        1,
        "module 'bad_syntax' of model 'bad_syntax:x' cannot be imported: SyntaxError: ",
    )
    refuse(f"{evaluate} --model bad_needy:x", 1, "needs the package 'no_such_package': pip install no_such_package")
    refuse(f"{evaluate} --set lr=1e30", 1, r"the training loss is nan in epoch 1; .*\(now lr=1e\+30\)", begun=True)


def test_debug_shows_where_a_model_failed(here: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The error itself comes out, with that of the model as its cause."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(
        sys, "argv", shlex.split(f"noisybench --debug {EVALUATE.format(**here)} --model bad_nets:raises_late")
    )
    with pytest.raises(TrainingFailed) as caught:
        main()
    assert isinstance(caught.value.__cause__, KeyError)


def test_what_is_unusual_is_allowed(here: dict[str, str]) -> None:
    """One sample, fewer than a batch, a last batch of one under batch norm, no test set, lost classes, odd paths."""
    same = np.sort(L)
    np.savez("sorted.npz", **{**GOOD, "labels": same, "clean": same})
    np.savez("untested.npz", **{name: array for name, array in GOOD.items() if not name.startswith("test")})
    np.savez("two.npz", **{**GOOD, "labels": L // 2 * 2, "clean": L // 2 * 2})
    found: dict[str, Any] = {}
    for name, build, evaluate in (
        ("lost", "--data sorted.npz --limit 10", ""),
        ("empty", "--data two.npz", ""),
        ("untested", "--data untested.npz", ""),
        ("one", "--data good.npz --limit 1", "--detectors all"),
        ("batch", "--data good.npz --limit 33", "--model bad_nets:batch_norm --observe during"),
        ("large", "--data good.npz --limit 1000000", "--seeds 1000000000000000000000"),
        ("päth ñ 漢", "--data good.npz", ""),
    ):
        out = shlex.quote(f"out/{name}")
        code, text, err = call(f"build npz {build} --noise symmetric --rate 0.2 --out {out}")
        assert code == 0, err
        variant = shlex.quote(text.splitlines()[-1])
        code, text, err = call(f"{EVALUATE.format(v=variant)} --out {out} --json {evaluate}")
        assert code == 0, err
        (found[name],) = json.loads(text)
        assert call(f"verify {variant}")[0] == call(f"verify {out}")[0] == 0
    assert found["untested"]["test_accuracy"] is None
    assert found["large"]["test_accuracy"] is not None
    assert (
        "warning: no sample is given class"
        in call("build npz --data sorted.npz --limit 9 --noise as_found --out out")[2]
    )
    np.savez("single.npz", **{**GOOD, "labels": L * 0, "clean": L * 0, "test_labels": GOOD["test_labels"] * 0})
    variant = call("build npz --data single.npz --noise as_found --out single")[1].splitlines()[-1]
    shutil.rmtree("out")
    refuse(EVALUATE.format(v=variant), 2, "source 'npz' has 1 class; a classifier needs at least 2")
    variant = call("build npz --data good.npz --limit 1 --noise symmetric --rate 0.2 --out single")[1].splitlines()[-1]
    message = "training failed in epoch 1: ValueError: Expected more than 1 value per channel"
    refuse(f"{EVALUATE.format(v=variant)} --model bad_nets:batch_norm", 1, message, begun=True)


def rewritten(change: Callable[[pa.Table], pa.Table]) -> Callable[[Path, Path], bool]:
    """A change of a Parquet file's table that keeps its metadata."""

    def apply(path: Path, other: Path) -> bool:
        if path.suffix != ".parquet":
            return False
        before = pq.read_table(path)
        after = change(before)
        pq.write_table(after.replace_schema_metadata(before.schema.metadata), path)
        return not after.equals(before)

    return apply


def bytewise(change: Callable[[bytes], bytes]) -> Callable[[Path, Path], bool]:
    def apply(path: Path, other: Path) -> bool:
        path.write_bytes(change(path.read_bytes()))
        return True

    return apply


def as_strings(table: pa.Table) -> pa.Table:
    return pa.table({name: pc.cast(table[name], pa.string()) for name in table.column_names})


def swapped(path: Path, other: Path) -> bool:
    if not other.is_file() or other.read_bytes() == path.read_bytes():
        return False
    shutil.copy(other, path)
    return True


def gone(path: Path, other: Path) -> bool:
    path.unlink()
    return True


def nulled(path: Path, other: Path) -> bool:
    if path.suffix == ".json":
        path.write_text(json.dumps(dict.fromkeys(json.loads(path.read_text()))))
    return path.suffix == ".json"


# Each changes a file, given that of another variant as well, and says whether it did.
DAMAGE: dict[str, Callable[[Path, Path], bool]] = {
    "deleted": gone,
    "truncated": bytewise(lambda content: content[: len(content) // 2]),
    "emptied": bytewise(lambda _: b""),
    "garbage": bytewise(lambda _: b"\xff\xfehello"),
    "a list": bytewise(lambda _: b"[1]"),
    "nulls": nulled,
    "foreign": swapped,
    "reversed": rewritten(lambda table: table.take(list(range(len(table)))[::-1])),
    "one row less": rewritten(lambda table: table.slice(0, len(table) - 1)),
    "no rows": rewritten(lambda table: table.slice(0, 0)),
    "text": rewritten(as_strings),
    "no values": rewritten(
        lambda table: pa.table({n: pa.nulls(len(table), table[n].type) for n in table.column_names})
    ),
    "one column less": rewritten(lambda table: table.drop([table.column_names[-1]])),
}
# What may be damaged unnoticed: it is no part of the result, or no harm.
HARMLESS = {
    ("location.json", "*"),  # said by verify, which then leaves the source unchecked
    ("timing.json", "*"),
    ("checkpoint.safetensors", "*"),
    (".lock", "*"),
    ("history.parquet", "one column less"),
}


def damaged(name: str) -> Iterator[tuple[str, Callable[[Path, Path], bool], bool]]:
    for kind, damage in DAMAGE.items():
        yield kind, damage, bool({(name, kind), (name, "*")} & HARMLESS)


def survive(command: str) -> tuple[int, str]:
    """Run a command that meets a damaged file: it may succeed, or fail in one sentence. Exit code and the sentence."""
    code, _, err = call(command)
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == (code != 0), (command, err)
    assert "Traceback" not in err
    assert "not expected" not in err, (command, err)
    return code, "".join(lines)


VARIANT_FILES = ["variant.json", "labels.parquet", "transition.npy", "README.md", "croissant.json", "location.json"]


@pytest.mark.parametrize("name", VARIANT_FILES)
def test_a_damaged_variant_is_noticed(here: dict[str, str], name: str) -> None:
    """Each file in turn deleted, cut, of another variant, reordered, of another type; nothing is trained on it."""
    folder, donor = Path(here["v"]), Path(here["second"])
    assert sorted(VARIANT_FILES) == files(folder)
    whole = (folder / name).read_bytes()
    for kind, damage, harmless in damaged(name):
        if damage(folder / name, donor / name):
            code, _ = survive(f"verify {folder}")
            assert (code == 0) == harmless, (name, kind)
            if name in ("variant.json", "labels.parquet", "transition.npy"):
                refuse(f"describe {folder}", 1, "")
                refuse(EVALUATE.format(v=folder), 1, "")
            elif name == "location.json":
                assert survive(EVALUATE.format(v=folder))[0] in (1, 2), kind
        (folder / name).write_bytes(whole)


RUN_FILES = [
    "run.json", "timing.json", "history.parquet", "checkpoint.safetensors", ".lock",
    "trace/epoch-0002.parquet", "scores/aum.parquet", "../../variant/variant.json", "../../variant/labels.parquet",
    "../../variant/transition.npy",
]  # fmt: skip


@pytest.mark.parametrize("name", RUN_FILES)
def test_a_damaged_run_is_noticed(here: dict[str, str], name: str) -> None:
    """The command verify names it; the commands that read it, and the one that goes on with it, never trip over it."""
    ours, donors = (Path("runs") / Path(here[which]).name for which in ("v", "second"))
    folder, donor = (next(place.glob("mlp-*/seed-0")) for place in (ours, donors))
    shutil.rmtree(folder.with_name("seed-1"))
    shutil.copytree(ours, "whole")
    path = folder / name
    for kind, damage, harmless in damaged(path.name):
        if damage(path, donor / name):
            assert survive(f"verify {ours}")[0] or harmless, (name, kind)
            survive(f"leaderboard {ours} --format csv")
            survive(f"leaderboard {ours} --models --format csv")
            survive(f"suspects {folder} --format csv")
            if kind in ("truncated", "foreign"):
                evaluate = (
                    EVALUATE.format(**here).replace("--epochs 1", "--epochs 2").replace("--out out", "--out runs")
                )
                survive(evaluate.replace("aum", "aum,el2n"))
        shutil.rmtree(ours)
        shutil.copytree("whole", ours)


def test_a_damaged_given_run_is_noticed(here: dict[str, str]) -> None:
    """Probabilities that are none leave nothing; what is damaged in the run of good ones is noticed, and mended."""
    refuse(f"score {here['v']} --name x --pred-probs good.npz --out out", 1, "good.npz has nothing called 'pred_probs'")
    refuse(f"score {here['v']} --name x --pred-probs gone.csv --out out", 1, "gone.csv cannot be read: No such file")
    np.save("p.npy", np.random.default_rng(0).dirichlet(np.ones(3), N))
    refuse(f"score {here['v']} --name x --scores p.npy --out out", 1, "expected .*; say --pred-probs if it is these")
    again = f"score {here['v']} --name x --pred-probs p.npy --out given"
    folder, donor = (Path(call(again.replace(here["v"], here[v]))[1].splitlines()[-1]) for v in ("v", "second"))
    assert call(f"verify {folder.parent.parent}")[0] == 0
    for name in ("run.json", "trace/epoch-0000.parquet", "scores/confident_learning.parquet"):
        whole = (folder / name).read_bytes()
        for kind in ("truncated", "foreign", "nulls", "one row less"):
            if DAMAGE[kind](folder / name, donor / name):
                assert survive(f"verify {folder.parent.parent}")[0], (name, kind)
                survive(f"suspects {folder}")
                survive(again)
                (folder / name).write_bytes(whole)
    assert call(f"verify {folder.parent.parent}")[0] == 0


def test_a_flipped_bit_changes_no_number(tmp_path: Path) -> None:
    """Any byte of a Parquet file: it is refused, or a column is of another shape or type, or what was written."""
    columns: dict[str, NDArray[Any]] = {
        "sample": np.arange(40),
        "x": np.random.default_rng(0).normal(size=40),
        "y": np.ones((40, 2), np.float32),
    }
    path = tmp_path / "x.parquet"
    write_columns(columns, path, metadata={"variant_id": "v"})
    whole = path.read_bytes()
    draw = random.Random(0)
    refused = 0
    for place in range(len(whole)):
        flipped = whole[place] ^ (1 << draw.randrange(8))
        path.write_bytes(whole[:place] + bytes([flipped]) + whole[place + 1 :])
        try:
            found, _ = read_columns(path, list(columns))
        except BadData:
            refused += 1
        else:
            for name, values in columns.items():
                alike = (found[name].dtype, found[name].shape) == (values.dtype, values.shape)
                assert not alike or np.array_equal(found[name], values), place
    assert refused > len(whole) / 2


def moved(old: Path, new: Path) -> None:
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(old, new)


def test_what_does_not_belong_together_is_refused(here: dict[str, str]) -> None:
    """Runs, variants, epochs and scores that were swapped, copied or taken away, each of them whole in itself."""
    ours, theirs = (Path("runs") / Path(here[which]).name for which in ("v", "second"))
    run, foreign = (next(place.glob("mlp-*/seed-0")) for place in (ours, theirs))
    first, second = (run / f"trace/epoch-000{epoch}.parquet" for epoch in (1, 2))
    aum, loss = (run / f"scores/{name}.parquet" for name in ("aum", "cumulative_loss"))
    shutil.copytree("runs", "whole")
    again = f"evaluate {here['v']} --epochs 2 --seeds 0,1 --detectors aum --workers 1 --out runs"

    def exchange(one: Path, other: Path) -> None:
        one.rename("kept")
        other.rename(one)
        Path("kept").rename(other)

    cases: list[tuple[Callable[[], object], str, str]] = [
        (lambda: exchange(first, second), "verify runs", ""),
        (lambda: shutil.copy(second, first.with_name("epoch-0003.parquet")), "verify runs", "epoch"),
        (lambda: shutil.copy(second, first.with_name("epoch-x.parquet")), "verify runs", "epoch-x.parquet is no epoch"),
        (lambda: exchange(aum, loss), "verify runs", "the scores of 'aum' are those of 'cumulative_loss'"),
        (lambda: exchange(run, run.with_name("seed-1")), "verify runs", "seed-0 holds the run of seed 1"),
        (lambda: exchange(run, run.with_name("seed-1")), again, "holds a run with seed = 1, now it is 0"),
        (lambda: moved(run, run.with_name("seed-1")), "verify runs", "seed-1 holds the run of seed 0"),
        (lambda: moved(foreign, run), "verify runs", "of another variant"),
        (lambda: moved(foreign, run), f"suspects {run}", "holds scores of other labels than its variant"),
        (lambda: moved(foreign, run), again, "holds a run with variant_id"),
        (
            lambda: shutil.copy(foreign / "run.json", run),
            f"verify {ours}",
            "run.json is of another variant than the run",
        ),
        (lambda: moved(theirs / "variant", ours / "variant"), "verify runs", "of another variant"),
        (lambda: moved(theirs / "variant", ours / "variant"), f"suspects {run}", "scores of other labels"),
        (lambda: shutil.rmtree(ours / "variant"), "verify runs", "variant is no variant: it has no variant.json"),
        ((run / "run.json").unlink, "verify runs", "seed-0 has lost its run.json"),
        (lambda: shutil.rmtree(run / "trace"), f"suspects {run}", "holds no finished run"),
    ]
    for change, command, message in cases:
        change()
        code, sentence = survive(command)
        assert code == 1, (command, message)
        assert re.search(message, sentence), (command, sentence)
        moved(Path("whole"), Path("runs"))
    shutil.copy(foreign / "run.json", run)  # a table leaves it out, in one line
    shown = shell("leaderboard", ours)
    assert shown.code == 0
    assert re.search(r"seed-0.*left out|left out.*seed-0", shown.err), shown.err
    moved(Path("whole"), Path("runs"))
    for record in Path("runs").rglob("run.json"):
        unfinish(record)
    for command in ("leaderboard runs", "leaderboard runs --models", "verify runs"):
        refuse(command, 1, r"no finished run below runs \(4 begun and not ended\); 'noisybench evaluate' makes runs")
    refuse(
        "suspects runs", 1, "runs holds no finished run: what is there was begun and not ended, or has lost files; give"
    )


def test_folders_of_another_kind_are_a_failure(here: dict[str, str]) -> None:
    """Every command says what it wants, whether it was given nothing, a file, or a folder of something else."""
    run = next(Path("runs").glob("*/mlp-*/seed-0"))
    home = run.parents[1]
    for place in ("nowhere", "good.npz", "variants"):
        for command in ("describe", "evaluate"):
            refuse(
                f"{command} {place}", 1, f"{place} is no variant: it has no variant.json; 'noisybench build' makes one"
            )
        for command in ("leaderboard", *(["verify"] if place != "variants" else [])):
            refuse(f"{command} {place}", 1, f"{place} is no folder|no finished run below {place}")
    shutil.rmtree("nothing", ignore_errors=True)
    Path("nothing").mkdir()
    refuse("suspects nowhere", 2, "no source, file or folder is called 'nowhere'")
    refuse("suspects nothing", 1, "nothing is empty; expected a folder of images for each class, tables, or what")
    refuse("suspects variants", 2, f"variants holds variants and no run; name one of the variants, such as {here['v']}")
    refuse(f"suspects {run / 'trace'}", 2, f"trace is a part of a run; name the run, {run}$")
    shutil.copytree(home / "variant", f"nothing/{home.name}/variant")  # as runs that were all deleted leave it
    refuse(
        "suspects nothing",
        2,
        f"holds variants and no run; name one of the variants, such as nothing/{home.name}/variant$",
    )


def test_verify_checks_all_that_is_below_a_folder(here: dict[str, str]) -> None:
    """Variants without runs, runs with their variants, both at once; what has not ended is counted."""
    code, out, _ = call("verify variants")
    assert (code, out.splitlines()[-1]) == (0, "variants is whole")
    for name in here.values():
        assert f"{name}: the source's inputs and labels are those it was built from" in out
    everything = call("verify .").out
    assert ": history and 2 detectors follow" in everything
    assert "variants/npz-" in everything
    for number, record in enumerate(sorted(Path("runs").rglob("run.json"))[:2], start=1):
        unfinish(record)
        code, out, _ = call("verify runs")
        said = f"runs is whole, but for {number} unfinished run{'s' if number > 1 else ''}"
        assert (code, out.splitlines()[-1]) == (0, said)
    labels = Path(here["other"]) / "labels.parquet"
    labels.write_bytes(labels.read_bytes()[:-1])
    for place in ("variants", "."):
        refuse(f"verify {place}", 1, "labels.parquet cannot be read as Parquet")


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The operating system refuses to write more, as where a disk is full; Python ignores the signal that comes too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_space_leaves_nothing_that_looks_finished(here: dict[str, str]) -> None:
    """Whichever file is the first that does not fit; with room again the same command ends as if nothing had been."""
    message = "^error: out/npz-.*: File too large; write to a file system that takes larger files"
    for command in (BUILD, EVALUATE.format(**here)):
        assert call(command)[0] == 0
        sizes = sorted({path.stat().st_size for path in Path("out").rglob("*") if path.is_file()} - {0})
        shutil.rmtree("out")
        for size in sizes:
            with files_of_at_most(size - 1):
                refuse(command, 1, message, begun=command != BUILD)
            if size != sizes[-1]:
                shutil.rmtree("out")
        assert call(command)[0] == 0
        assert call(f"verify {next(Path('out').glob('*')) if command == BUILD else 'out'}")[0] == 0
        shutil.rmtree("out")


def test_the_disk_is_full(here: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The words of the operating system, and what to do; a full device behind stdout as well."""

    def refused(*_args: object, **_kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "Error writing bytes to file")

    def lost(*_args: object, **_kwargs: object) -> None:
        raise FileNotFoundError(errno.ENOENT, "Error writing bytes to file")

    with monkeypatch.context() as patched:
        patched.setattr(pq, "write_table", lost)  # as where somebody takes the folder away
        refuse(BUILD, 1, "labels.parquet: No such file or directory; give the path of something that is there$")
        patched.setattr(pq, "write_table", refused)
        refuse(BUILD, 1, "labels.parquet: No space left on device; make room and run the same command again$")
    command = f"{sys.executable} -m noisybench list > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "error: No space left on device; make room and run the same command again\n",
    )


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root may read and write everything: go without that for a while. As another user it might not find the package."""
    if os.geteuid() != 0:
        yield
        return
    system = ctypes.CDLL(None, use_errno=True)
    if not hasattr(system, "capset"):
        pytest.skip("root cannot go without its privileges here")
    header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert system.capget(header, sets) == 0
    before = sets[0]
    sets[0] &= ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, of what is in effect
    assert system.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = before
        assert system.capset(header, sets) == 0


def test_places_that_cannot_be_used_are_a_failure(here: dict[str, str]) -> None:
    """No permission to write or to read, a file where a folder must be, a name that is too long."""
    Path("locked").mkdir(mode=0o555)
    variant, file = Path(here["v"]), Path("good.npz")
    shutil.copy(file, "spare.npz")
    out = BUILD.removesuffix("out")
    evaluate = EVALUATE.format(**here).removesuffix("out")
    assert call(EVALUATE.format(**here))[0] == 0  # everything that it needs is imported by now
    shutil.rmtree("out")
    cases: list[tuple[str, str]] = [
        (
            f"{out} good.npz",
            r"good.npz.*: (Not a directory; a part of that path is a file|File exists; there is a file of that name); give",
        ),
        (
            f"{out} good.npz/x",
            r"good.npz.*: (Not a directory; a part of that path is a file|File exists; there is a file of that name); give",
        ),
        (
            f"{evaluate} good.npz",
            r"good.npz.*: (Not a directory; a part of that path is a file|File exists; there is a file of that name); give",
        ),
        (f"{out} {'x' * 300}", "File name too long; give a shorter path"),
        (f"build npz --noise as_found --out out --data {'x' * 300}", "File name too long"),
    ]
    for command, message in cases:
        refuse(command, 1, message)
    for mode, where in ((0, file), (0, variant / "labels.parquet"), (0, variant / "variant.json")):
        where.chmod(mode)
    with without_privileges():
        with pytest.raises(PermissionError):  # else nothing is forbidden here, and this tests nothing
            Path("locked/x").mkdir()
        refuse(f"{out} locked", 1, "good.npz cannot be read: Permission denied")
        refuse(f"{out.replace('good', 'other')} locked/x", 1, "locked/x: Permission denied; give a path that you may")
        evaluate = f"{evaluate.replace(here['v'], here['second'])} locked/x --data spare.npz"
        refuse(evaluate, 1, "locked/x: Permission denied; give a path")
        refuse(f"describe {variant}", 1, "variant.json cannot be read: Permission denied")
    (variant / "variant.json").chmod(0o644)
    with without_privileges():
        refuse(f"describe {variant}", 1, "labels.parquet cannot be read .*Permission denied")
    assert not any(Path("locked").iterdir())


def test_bytes_that_are_no_text_are_usage(here: dict[str, str]) -> None:
    """A name in another encoding than UTF-8 could be written to no file of ours."""
    command: list[str | bytes] = [sys.executable, "-m", "noisybench", *shlex.split(BUILD)[:-1], b"x\xff"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "error: 'x\\udcff' is no text in UTF-8; rename the file or folder\n")


def test_readers_that_have_gone_need_no_words(here: dict[str, str]) -> None:
    """``| head -0`` of suspects, as of list and leaderboard, is exit code 1 and nothing on stderr."""
    run = next(Path("runs").glob("*/mlp-*"))
    command = f"{sys.executable} -m noisybench suspects {run} | head -0; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
