"""Labels without inputs, through every verb: what needs none works, what needs some refuses in one sentence."""

import csv
import io
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from shell import Result, shell

import noisybench
from noisybench import (
    BadData,
    BadUsage,
    Mismatch,
    Recorder,
    build_variant,
    find,
    find_suspects,
    score_given,
    source_from_arrays,
)
from noisybench.data.alteration import parse_alterations
from noisybench.data.extraction import features_of
from noisybench.memorization.subset_plan import plan_learner
from noisybench.training.model import check_model
from noisybench.training.plan import plan_run
from noisybench.training.training import train

N = 60
CLASSES = ("cat", "dog", "owl")
RIGHT = np.arange(N) % 3
GIVEN = np.where(np.isin(np.arange(N), (3, 20, 41)), (RIGHT + 1) % 3, RIGHT)
ANSWERS = np.where(np.eye(3)[RIGHT] > 0, 0.9, 0.05)
ANSWERS[[3, 20, 41]] = np.where(np.eye(3)[RIGHT[[3, 20, 41]]] > 0, [[0.98], [0.97], [0.96]], [[0.01], [0.015], [0.02]])
"""Probabilities of a model that is right of every sample, and surest of the mislabeled ones."""
ALONE = source_from_arrays("mine", None, GIVEN, clean=RIGHT, class_names=CLASSES)
AS_FOUND = build_variant(ALONE, find("noises", "as_found")())
SCORE = "noisybench score VARIANT --pred-probs FILE --name NAME"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table of labels and probabilities of its rows."""
    monkeypatch.chdir(tmp_path)
    rows = [f"A-{100 + i},{CLASSES[GIVEN[i]]},{CLASSES[RIGHT[i]]}" for i in range(N)]
    Path("t.csv").write_text("\n".join(["case_id,label,clean", *rows]) + "\n", encoding="utf-8")
    np.save("p.npy", ANSWERS)
    np.save("s.npy", np.where(GIVEN == RIGHT, 0.1, 0.9) + ANSWERS[:, 0] / 100)
    return tmp_path


def ran(line: str) -> Result:
    done = shell(*line.split())
    assert done.code == 0, done.err
    return done


def built(options: str = "--noise as_found") -> str:
    """Folder of a variant of the table."""
    return ran(f"build table --data t.csv --source-set clean=clean {options}").out.splitlines()[-1]


def test_build_says_that_there_are_no_inputs_and_what_works(here: Path) -> None:
    """In one note, beside what was left out and what samples are called."""
    notes = ran("build table --data t.csv --source-set clean=clean --noise as_found").err.splitlines()
    assert notes[0].startswith("note: left out of the features: 'case_id' (ids); --source-set features=A,B takes")
    assert notes[1] == "note: samples are called as in column 'case_id'"
    assert notes[2].startswith(
        "note: there are labels and no inputs: 'noisybench score' brings probabilities or scores"
    )
    assert len(notes) == 3
    assert list(here.glob("variants/*/variant.json"))


def test_scores_and_suspects_need_no_inputs(here: Path) -> None:
    """Probabilities and scores become runs, the mislabeled rows come first and are named, and the board ranks them."""
    variant = built()
    told = json.loads(ran(f"score {variant} --pred-probs p.npy --name model --json").out)
    assert told["detectors"]["self_confidence"]["auroc"]["value"] == 1.0
    ran(f"score {variant} --scores s.npy --name mine")
    shown = ran(f"suspects {told['path']} --top 3 --format csv").out
    rows = list(csv.DictReader(io.StringIO(shown)))
    assert [(row["sample"], row["name"], row["given"], row["suggested"]) for row in rows] == [
        ("3", "A-103", "dog", "cat"),
        ("20", "A-120", "cat", "owl"),
        ("41", "A-141", "cat", "owl"),
    ]
    first = json.loads(ran(f"suspects {told['path']} --top 1 --format json").out)[0]
    assert (first["sample"], first["name"]) == (3, "A-103")
    scored = next(here.glob("runs/*/given-mine-*/seed-0"))
    assert "A-103" in ran(f"suspects {scored} --top 3").out
    board = json.loads(ran("leaderboard runs --format json").out)
    assert {"self_confidence", "mine", "given_label_only", "random"} <= {row["detector"] for row in board}


def test_describe_and_verify_need_no_inputs(here: Path) -> None:
    """The source is read again, its labels compared and its noise drawn again."""
    variant = built("--noise symmetric --rate 0.2")
    described = json.loads(ran(f"describe {variant} --pred-probs p.npy --json").out)
    assert described["realised_rate"] == 0.2
    whole = ran(f"verify {variant}").out
    assert "the source's labels are those it was built from" in whole
    assert "symmetric(rate=0.2, inclusive=false), seed 0, mode exact, drawn again, gives these labels" in whole
    text = Path("t.csv").read_text(encoding="utf-8")
    Path("t.csv").write_text(text.replace("A-107,dog,dog", "A-107,owl,dog"), encoding="utf-8")
    assert "the variant was made from 'table'" in shell("verify", variant).err
    ran(f"score {variant} --pred-probs p.npy --name model")
    assert "runs is whole" in ran("verify runs").out


def test_an_export_holds_labels_alone(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It opens without noisybench, is whole, and takes scores under the same variant id; no sample is named."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", here / "cache")
    variant = built("--noise symmetric --rate 0.2")
    ran(f"export {variant} --to out")
    part = datasets.load_dataset("out")["train"]
    assert part.column_names[:3] == ["sample", "label", "clean_label"]
    assert not {"image", "features"} & {*part.column_names}
    assert part["source_label"][:5] == GIVEN[:5].tolist()
    card = Path("out/README.md").read_text(encoding="utf-8")
    assert "There are labels and no inputs." in card
    assert "The inputs are not here" in card
    assert not list(here.glob("out/**/samples.parquet"))
    assert "the source's labels are those it was built from" in ran("verify out/noisybench").out
    ours, theirs = (
        json.loads(ran(f"score {place} --pred-probs p.npy --name m --out {out} --json").out)["detectors"]
        for place, out in ((variant, "a"), ("out/noisybench", "b"))
    )
    assert ours == theirs
    assert SCORE in shell("evaluate", "out/noisybench").err


@pytest.mark.parametrize(
    "command",
    [
        "evaluate {variant}",
        "memorize {variant}",
        "memorize {variant} --pool detector --models 10",
        "memorize {variant} --features pca",
    ],
)
def test_what_trains_refuses_in_one_sentence(here: Path, command: str) -> None:
    """It says what to do instead, and leaves nothing behind."""
    done = shell(*command.format(variant=built()).split())
    assert done.code == 2
    assert done.err.splitlines()[-1] == (
        "error: a training needs inputs, and source 'table' has labels alone; name the inputs when you build it, or bring what "
        f"a model of your own says of each sample: {SCORE}"
    )
    assert not (here / "runs").exists()


NEEDY = {
    "instance --rate 0.2": "noise 'instance' needs inputs, .* choose a noise of labels alone, such as symmetric",
    "bounded_instance --rate 0.2": "noise 'bounded_instance' needs inputs",
    "xia_raw --mode bernoulli": "noise 'xia_raw' needs inputs",
    "neighbourhood --rate 0.2": "noise 'neighbourhood' needs inputs",
    "coherent --rate 0.2": "noise 'coherent' needs inputs, .* give the clusters in a file, --set sub_labels=FILE, or choose",
    "cluster_based --rate 0.2": "noise 'cluster_based' needs inputs, .* give places in a file, --set coordinates=FILE, or choose",
    "averaged_softmax --rate 0.2": "a noise that trains models needs inputs, .* say, --set probabilities=FILE, or choose",
    "polynomial_margin --rate 0.2": "a noise that trains models needs inputs",
    "confusion": "a noise that trains models needs inputs",
    "rater_pool": "a noise that trains models needs inputs",
    "difficulty --rate 0.2 --set auroc=0.6": "a noise that trains models needs inputs",
    "composed --set steps=instance(rate=0.1);symmetric(rate=0.1)": "noise 'instance' needs inputs",
}


@pytest.mark.parametrize("noise", NEEDY)
def test_noises_that_look_at_inputs_refuse(here: Path, noise: str) -> None:
    """Each names itself and what can be taken instead; nothing is built."""
    done = shell("build", "table", "--data", "t.csv", "--source-set", "clean=clean", "--noise", *noise.split(" "))
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    with pytest.raises(BadUsage, match=f"^error: {NEEDY[noise]}"):
        raise BadUsage(done.err)
    assert not (here / "variants").exists()


@pytest.mark.parametrize(
    "noise",
    [
        "symmetric --rate 0.2",
        "pair_flip --rate 0.2",
        "coherent --rate 0.2 --set sub_labels=g.npy",
        "averaged_softmax --rate 0.2 --set probabilities=p.npy",
        "difficulty --rate 0.2 --set auroc=0.6 --set difficulty=s.npy",
        "published --set file=y.npy",
    ],
)
def test_noises_of_labels_or_of_files_do_not(here: Path, noise: str) -> None:
    """What they need is in labels, or in a file."""
    np.save("g.npy", (np.arange(N) // 6) % 3)
    np.save("y.npy", GIVEN)
    assert (here / built(f"--noise {noise}") / "labels.parquet").is_file()


def test_alterations_refuse(here: Path) -> None:
    """From the shell, and each from Python, also where the inputs of another source are wanted."""
    line = "build altered --data t.csv --source-set base=table(clean=clean) --source-set steps=long_tail(factor=2) --noise as_found"
    refused = (
        "an alteration needs inputs, and source '{}' has labels alone; leave it out, or name the inputs of the source"
    )
    assert refused.format("table") in shell(*line.split()).err
    assert not (here / "variants").exists()
    steps = (
        "long_tail(factor=2); duplicates(rate=0.1); corruption(rate=0.1); open_classes(share=0.3); open_set(rate=0.1)"
    )
    foreign = source_from_arrays("other", np.eye(N), GIVEN)
    for alter in parse_alterations(steps):
        with pytest.raises(BadUsage, match=refused.format("mine")):
            alter(ALONE, seed=0, foreign=foreign)
    with_inputs = replace(foreign, clean=RIGHT)
    with pytest.raises(BadUsage, match=refused.format("mine")):
        alter(with_inputs, seed=0, foreign=ALONE)


def test_python_refuses_as_the_shell_does(tmp_path: Path) -> None:
    """Training, models, pools, features and a recorder that is given no inputs; nothing is written."""
    mlp, plan = find("models", "mlp"), plan_run(source_from_arrays("x", np.eye(N), GIVEN))
    calls: list[Any] = [
        lambda: noisybench.evaluate(AS_FOUND, ALONE, out=tmp_path / "runs"),
        lambda: plan_learner(ALONE),
        lambda: plan_learner(ALONE, features="pca"),
        lambda: train(ALONE, AS_FOUND, mlp, plan.recipe, [], seed=0),
        lambda: check_model(mlp, ALONE),
        lambda: ALONE.input_shape,
        *(lambda name=name: features_of(ALONE, name) for name in ("input", "pca", "patches")),
    ]
    for call in calls:
        with pytest.raises(BadUsage, match="needs? inputs, and source 'mine' has labels alone; .*noisybench score"):
            call()
    recorder = Recorder(AS_FOUND, ["loss"])
    with pytest.raises(BadUsage, match="to observe is to ask a model about inputs, and these are None; .* score_given"):
        recorder.observe(torch.nn.Linear(2, 3), ALONE.inputs, epoch=1)
    assert not list(tmp_path.iterdir())
    recorder.observe(torch.nn.Linear(2, 3), torch.zeros(N, 2), epoch=1)  # inputs that are elsewhere
    assert recorder.trace()["loss"].shape == (1, N)


def test_arrays_become_suspects_in_three_lines(tmp_path: Path) -> None:
    """Labels and probabilities of one's own; the same arrays again change nothing, and names are shown."""
    run = score_given(AS_FOUND, tmp_path, name="model", pred_probs=ANSWERS)
    assert [found.sample for found in find_suspects(run).table(3)] == [3, 20, 41]
    assert {found.name for found in find_suspects(run).table(20)} == {""}
    before = (run.path / "run.json").stat().st_mtime_ns
    assert score_given(AS_FOUND, tmp_path, name="model", pred_probs=ANSWERS.tolist()).path == run.path
    assert (run.path / "run.json").stat().st_mtime_ns == before
    names = range(1000, 1000 + N)
    named = score_given(AS_FOUND, tmp_path / "named", name="model", pred_probs=ANSWERS, sample_names=names)
    assert find_suspects(named).table(1)[0].name == "1003"
    scores = score_given(AS_FOUND, tmp_path, name="mine", scores=GIVEN != RIGHT)
    assert scores.agreement("auroc")[0].value == 1.0


def test_columns_of_a_frame_go_by_their_names(tmp_path: Path) -> None:
    """A data frame is any array with names of columns."""

    class Frame:
        columns = ("owl", "cat", "dog")

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:  # noqa: ANN401
            return ANSWERS[:, [2, 0, 1]]

    run = score_given(AS_FOUND, tmp_path, name="frame", pred_probs=Frame())
    assert run.agreement("auroc")[0].value == 1.0


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (
            {"pred_probs": ANSWERS[1:]},
            BadData,
            r"shape \(59, 3\), expected 60 rows|have shape \(59, 3\), expected \(60, 3\)",
        ),
        (
            {"pred_probs": ANSWERS[:, 0]},
            BadData,
            r"probabilities in pred_probs have shape \(60,\), expected \(60, 3\); say",
        ),
        ({"pred_probs": ANSWERS * 100}, BadData, "in pred_probs is no probability .* these look like percent"),
        ({"pred_probs": ANSWERS.astype(str)}, BadData, "'pred_probs' of pred_probs holds <U.*, expected numbers"),
        ({"pred_probs": [[0.5], [0.5, 0.5]]}, BadData, "pred_probs must be an array, got rows of several lengths"),
        ({"scores": np.arange(N) / N}, BadData, "scores is sorted by its scores"),
        ({"scores": np.full(N, np.nan)}, BadData, "scores in scores must be finite, sample 0 has nan"),
        ({"pred_probs": ANSWERS, "labels": RIGHT}, Mismatch, "labels was made with other labels: 3 of 60 are not the"),
        ({"pred_probs": ANSWERS, "labels": GIVEN[1:]}, BadData, r"labels have shape \(59,\), expected \(60,\)"),
        ({"pred_probs": ANSWERS, "sample_names": ["a"]}, BadData, "1 sample_names and 60 samples; expected one each"),
        ({}, BadUsage, "give scores .* probabilities .*, got nothing"),
        ({"pred_probs": ANSWERS, "scores": ANSWERS[:, 0]}, BadUsage, "got both"),
    ],
)
def test_arrays_are_checked_as_files_are(
    given: dict[str, Any], kind: type[Exception], message: str, tmp_path: Path
) -> None:
    """One sentence, and no run."""
    with pytest.raises(kind, match=message):
        score_given(AS_FOUND, tmp_path, name="model", **given)
    assert not list(tmp_path.iterdir())


def test_scores_in_order_are_taken_with_their_labels(tmp_path: Path) -> None:
    """Labels beside them show that their order is that of the samples."""
    score_given(AS_FOUND, tmp_path, name="mine", scores=np.arange(N) / N, labels=np.array(CLASSES)[GIVEN])


def test_implausible_probabilities_are_doubted(here: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Those of rows in another order agree with the labels by chance: said on stderr and, from Python, logged."""
    mixed = ANSWERS[np.random.default_rng(1).permutation(N)]
    np.save("mixed.npy", mixed)
    doubt = "no more than by chance; its rows may stand in another order than the samples"
    assert doubt in ran(f"score {built()} --pred-probs mixed.npy --name mixed").err
    with caplog.at_level(logging.WARNING, logger="noisybench"):
        score_given(AS_FOUND, tmp_path, name="model", pred_probs=ANSWERS)
        assert not caplog.messages
        score_given(AS_FOUND, tmp_path, name="mixed", pred_probs=mixed)
    assert [message for message in caplog.messages if doubt in message]
