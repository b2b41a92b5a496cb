"""The command line, as a shell and other programs see it."""

import csv
import io
import json
import re
import resource
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from shell import shell as run

import noisybench
from noisybench.data.loading import load_source
from noisybench.variants.variant import read_variant

HOW = ("--epochs", 5, "--seeds", "0,1", "--detectors", "aum,cumulative_loss", "--workers", 1)
HEAVY = ("torch", "scipy", "sklearn", "pyarrow", "datasets", "torchvision")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two draws of symmetric noise and their runs, made once."""
    home = tmp_path_factory.mktemp("home")
    folders = []
    for seed in (0, 1):
        build = ("build", "digits", "--noise", "symmetric", "--rate", 0.2, "--out", home / "variants")
        folders.append(run(*build, "--seed", seed).out.splitlines()[-1])
    done = run("evaluate", *folders, *HOW, "--out", home / "runs", "--json")
    assert len(json.loads(done.out)) == 4
    return home


PLAIN = """
import typer
app = typer.Typer()
@app.command()
def one(name: str = ""): typer.echo(name)
@app.command()
def two(): pass
app(["one"], standalone_mode=False)
"""
"""A program of the same library with nothing in it."""


def processor_seconds(*command: str) -> float:
    """The least processor time of three runs, which others on the machine cannot lengthen much."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


def test_help_and_list_are_fast_and_import_nothing_heavy() -> None:
    """Both answer within 0.3 s of processor time of what an empty program of the same library takes."""
    plain = processor_seconds("-c", PLAIN)
    for command in (["--help"], ["list"], ["--version"]):
        assert processor_seconds("-m", "noisybench", *command) < plain + 0.3
        code = (
            f"import sys; sys.argv = ['noisybench', *{command!r}]\nfrom noisybench.__main__ import main\n"
            f"try: main()\nexcept SystemExit: pass\n"
            f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_version_and_list() -> None:
    """The version is the package's; every drawer is listed, for people and for machines."""
    assert noisybench.__version__ in run("--version").out
    assert "cumulative_loss" in run("list").out
    listed = json.loads(run("list", "--json").out)
    assert set(listed) == {
        "sources",
        "alterations",
        "noises",
        "features",
        "models",
        "objectives",
        "probes",
        "detectors",
        "metrics",
    }
    names = {item["name"]: item["summary"] for item in json.loads(run("list", "noises", "--json").out)}
    assert {"symmetric", "asymmetric", "pair_flip", "transition", "instance", "cifar_n", "as_found"} <= set(names)
    assert all(names.values())


def test_build_prints_the_folder_last_and_json_for_machines(tmp_path: Path) -> None:
    """The same command gives the same variant; JSON has the fields that other programs read."""
    text = run("build", "digits", "--noise", "symmetric", "--rate", 0.2, "--out", tmp_path / "a")
    folder = Path(text.out.splitlines()[-1])
    assert (folder / "variant.json").is_file()
    done = run("build", "digits", "--noise", "symmetric", "--rate", 0.2, "--out", tmp_path / "b", "--json")
    record = json.loads(done.out)
    assert {"path", "source", "noise", "n", "classes", "rate", "realised_rate", "variant_id"} <= set(record)
    assert (record["n"], record["classes"], record["rate"]) == (1437, 10, 0.2)
    assert record["realised_rate"] == 287 / 1437  # the integer nearest to 287.4
    assert record["variant_id"] == read_variant(folder).provenance.variant_id
    assert "transition matrix" in run("describe", folder).out
    assert text.out.splitlines()[:-1] == [
        "digits: 1437 samples of shape 8 × 8 × 1, 10 classes, 360 test samples, order: the stratified split of noisybench",
        "noise: symmetric(rate=0.2, inclusive=false), mode exact, seed 0",
        "wrong labels: 287 of 1437 (19.97%); asked for: 20% of all labels wrong",
        "samples a class: 0: 129, 1: 142, 2: 140, 3: 141, 4: 163, 5: 155, 6: 135, 7: 158, 8: 126, 9: 148",
    ]
    described = json.loads(run("describe", folder, "--json").out)
    assert np.allclose(np.sum(described["transition"], axis=1), 1)
    assert "is whole" in run("verify", folder).out


def test_own_data_are_built_from_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it was taken for, and the command in full, are told; labels are taken as they are; it is the same variant."""
    monkeypatch.chdir(tmp_path)
    labels = np.arange(60) % 12
    np.savez(
        "my data.npz", inputs=np.random.default_rng(0).random((60, 3)), labels=labels, clean=np.where(labels, labels, 1)
    )
    done = run("build", "my data.npz")
    assert done.code == 0, done.err
    assert done.err.splitlines()[0] == (
        "note: my data.npz ends in .npz and is read by source 'npz'; in full: noisybench build npz --data 'my data.npz' "
        "--noise as_found"
    )
    lines = done.out.splitlines()
    assert lines[:-1] == [
        "npz: 60 samples of shape 3, 12 classes, no test set, order: as read",
        "noise: as_found, the labels as they are",
        "wrong labels: 5 of 60 (8.33%)",
        "samples a class: 5 (0) to 5 (0), median 5",
    ]
    in_full = run("build", "npz", "--data", "my data.npz", "--noise", "as_found", "--out", "in_full")
    assert Path(in_full.out.splitlines()[-1]).name == Path(lines[-1]).name
    assert "note" not in in_full.err
    assert run("verify", lines[-1]).code == 0  # which reads it again from where it was
    said = run(
        "build", "my data.npz", "--noise", "symmetric", "--rate", 0.5, "--source-set", "test=none", "--out", "t"
    ).err
    assert "npz --data 'my data.npz' --source-set=test=none --noise symmetric --rate=0.5" in said
    beside = run("build", "my data.npz", "--data", "my data.npz")
    assert (
        "with --data, 'my data.npz' must be the name of a source such as table; leave --data out to build" in beside.err
    )
    noisy = json.loads(run("build", "./my data.npz", "--noise", "symmetric", "--rate", 0.5, "--json").out)
    assert (noisy["source"], noisy["noise"], noisy["wrong"]) == ("npz", "symmetric", 30)


def test_help_is_for_newcomers() -> None:
    """What can be built and what can be listed is said with examples."""
    told = " ".join(run("build", "--help").out.replace("│", " ").split())
    for words in (
        "WHAT",
        "a folder of class folders, a table",
        "OWNER/NAME",
        "such as digits",
        "default for your own data: as_",
    ):
        assert words in told
    told = " ".join(run("list", "--help").out.replace("│", " ").split())
    assert "[LIST] [NAME]" in told
    assert "'list noises symmetric'" in told


def test_leaderboard_in_every_format(built: Path) -> None:
    """Each format holds every detector; JSON has the fields that other programs read."""
    rows = json.loads(run("leaderboard", built / "runs", "--format", "json").out)
    fields = {
        "detector",
        "kind",
        "truth",
        "metric",
        "mean",
        "low",
        "high",
        "seeds",
        "variants",
        "n",
        "complete",
        "rank",
    }
    assert all(fields <= set(row) for row in rows)
    best = min((row for row in rows if row["rank"]), key=lambda row: row["rank"])
    assert best["mean"] > 0.95
    assert best["low"] <= best["mean"] <= best["high"]
    assert (best["seeds"], best["variants"], best["complete"]) == (2, 2, True)
    table = list(csv.DictReader(io.StringIO(run("leaderboard", built / "runs", "--format", "csv").out)))
    assert [row["detector"] for row in table] == [row["detector"] for row in rows]
    for style in ("table", "markdown", "latex"):
        assert "aum" in run("leaderboard", built / "runs", "--format", style).out
    models = json.loads(run("leaderboard", built / "runs", "--models", "--format", "json").out)
    assert len(models) == 1
    assert models[0]["test_accuracy"] > 0.8


def test_suspects_and_verify(built: Path) -> None:
    """Suspects as a table, as CSV and as JSON; verify recomputes runs."""
    setup = next((built / "runs").glob("*/mlp-*"))
    lines = list(csv.reader(io.StringIO(run("suspects", setup, "--top", 5, "--format", "csv").out)))
    assert lines[0] == ["sample", "given", "suggested", "suspicion", "flagged"]
    assert len(lines) == 6
    assert "aum" in run("suspects", setup, "--detector", "aum").out
    assert len(json.loads(run("suspects", setup, "--format", "json", "--top", 3).out)) == 3
    assert "is whole" in run("verify", built / "runs").out


def test_evaluating_again_repeats_nothing(built: Path) -> None:
    """The second call returns the same runs within the time of loading them, and writes nothing."""
    variants = sorted((built / "variants").iterdir())
    before = {
        path: path.stat().st_mtime_ns for path in (built / "runs").rglob("*.parquet") if "variant" not in path.parts
    }
    done = run("evaluate", *variants, *HOW, "--out", built / "runs")
    assert done.code == 0
    after = {path: path.stat().st_mtime_ns for path in before}
    assert after == before
    assert "test accuracy" in done.out
    assert "model mlp, recipe standard" in done.err


def test_a_users_own_model_by_name(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``package.module:function`` is found in the folder where the command is run."""
    (tmp_path / "my_net.py").write_text(
        "from torch import nn\n"
        "def tiny(*, num_classes, input_shape):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))\n"
    )
    monkeypatch.chdir(tmp_path)
    variant = next((built / "variants").iterdir())
    done = run("evaluate", variant, "--model", "my_net:tiny", "--epochs", 1, "--seeds", "0", "--detectors", "aum")
    assert done.code == 0
    assert next((tmp_path / "runs").glob("*/*/seed-0/scores/aum.parquet"))


USAGE = [
    (["build", "digitz", "--noise", "symmetric", "--rate", "0.2"], "did you mean 'digits'"),
    (["build", "digits", "--noise", "symetric", "--rate", "0.2"], "did you mean 'symmetric'"),
    (["build", "digits", "--noise", "symmetric"], "needs 'rate': say --rate 0.2"),
    (["build", "digits", "--noise", "symmetric", "--rate", "1.2"], r"rate must lie in \[0, 1\]"),
    (["build", "digits", "--noise", "symmetric", "--rate", "nan"], r"rate must lie in \[0, 1\]"),
    (["build", "digits", "--noise", "symmetric", "--rate", "0.2", "--set", "rate=0.3"], "given twice"),
    (
        ["build", "digits", "--noise", "symmetric", "--rate", "0.2", "--set", "inclusiv=true"],
        "did you mean 'inclusive'",
    ),
    (["build", "digits", "--noise", "symmetric", "--rate", "0.2", "--set", "inclusive=maybe"], "must be true or false"),
    (["build", "digits", "--noise", "symmetric", "--rate", "0.2", "--set", "inclusive"], "takes key=value"),
    (["build", "digits", "--noise", "symmetric", "--rate", "0.2", "--mode", "exat"], "no mode 'exat'"),
    (["build", "digits", "--noise", "symmetric", "--rate", "0.2", "--limit", "0"], "limit must be at least 1"),
    (["build", "digits", "--noise", "symmetric", "--rate", "0.2", "--seed", "-1"], "seed must not be negative"),
    (["build", "digits", "--noise", "as_found", "--rate", "0.2"], "no option of noise 'as_found' is called 'rate'"),
    (["suspects", "nowhere"], "no source, file or folder is called 'nowhere'"),
    (["suspects", "nowhere/"], "there is no file or folder 'nowhere/'"),
    (["list", "sourcs"], "no list is called 'sourcs'; did you mean 'sources'"),
]


@pytest.mark.parametrize(("command", "message"), USAGE)
def test_bad_usage_is_one_sentence_and_exit_code_2(tmp_path: Path, command: list[str], message: str) -> None:
    """No traceback, nothing written."""
    out = ["--out", tmp_path / "variants"] if command[0] == "build" else []
    done = run(*command, *out)
    assert done.code == 2
    assert re.search(message, done.err)
    assert "Traceback" not in done.err
    assert not (tmp_path / "variants").exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["describe", "nowhere"], "is no variant"),
        (["evaluate", "nowhere"], "is no variant"),
        (["leaderboard", "nowhere"], "nowhere"),
        (["build", "npz", "--data", "nowhere.npz", "--noise", "as_found"], "nowhere.npz"),
    ],
)
def test_a_failure_is_one_sentence_and_exit_code_1(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    message: str,
) -> None:
    """Files that are not there are named."""
    monkeypatch.chdir(tmp_path)
    done = run(*command)
    assert done.code == 1
    assert message in done.err
    assert "Traceback" not in done.err


def test_more_bad_usage_of_evaluate_and_leaderboard(built: Path) -> None:
    """Names and numbers of the other commands get the same care."""
    variant = next((built / "variants").iterdir())
    for arguments, message in (
        (["evaluate", variant, "--seeds", "0,x"], "--seeds takes whole numbers"),
        (["evaluate", variant, "--seeds", "1,1"], "seeds must be different"),
        (["evaluate", variant, "--model", "mpl"], "did you mean 'mlp'"),
        (["evaluate", variant, "--model", "no_module:net"], "there is no module 'no_module'"),
        (["evaluate", variant, "--recipe", "overfitt"], "did you mean 'overfit'"),
        (["evaluate", variant, "--detectors", "aun"], "did you mean 'aum'"),
        (["evaluate", variant, "--set", "lrr=1"], "did you mean 'lr'"),
        (["leaderboard", built / "runs", "--metric", "auc"], "auroc"),
        (["leaderboard", built / "runs", "--format", "jsn"], "did you mean 'json'"),
        (["leaderboard", built / "runs", "--truth", "mislabelled"], "did you mean 'mislabeled'"),
        (["suspects", built / "runs", "--top", "0"], "top must be at least 1"),
    ):
        done = run(*arguments)
        assert done.code == 2, (arguments, done.err)
        assert message in done.err


def test_a_closed_pipe_is_no_traceback(built: Path) -> None:
    """A reader that has gone is a failure that needs no words: nothing on stderr, exit code 1."""
    for arguments in ("list", "leaderboard runs --format csv"):  # read by nobody
        command = f"{sys.executable} -m noisybench {arguments} | true; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", command], cwd=built, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("noisybench list models >&-", 0, ""),
        ("noisybench list models >&- 2>&-", 0, ""),
        ("noisybench leaderboard nowhere >&- 2>&-", 1, ""),
        ("noisybench leaderboard nowhere <&-", 1, "error: nowhere is no folder"),
        ("PYTHONIOENCODING=latin-1 noisybench leaderboard 'ρ'", 1, "error: \\u03c1 is no folder"),
        ("mkdir gone; cd gone; rmdir ../gone; noisybench list models >/dev/null", 0, ""),
        ("mkdir gone; cd gone; rmdir ../gone; noisybench leaderboard runs", 1, "error: runs is no folder"),
        ("ln -s loop loop; noisybench leaderboard loop", 1, "error: loop is no folder"),
    ],
)
def test_odd_surroundings_change_no_result(tmp_path: Path, command: str, code: int, words: str) -> None:
    """Closed streams, an encoding of few characters, a folder that was deleted: the result, or one sentence."""
    own = f"{Path(sys.executable).as_posix()} -m noisybench"
    package = f"PYTHONPATH={Path(noisybench.__file__).parents[1].as_posix()}"
    script = f"export {package}; {command.replace('noisybench', own)}"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if "getcwd" not in line]  # the shell's own words
    assert done.returncode == code, done.stderr
    assert "".join(lines)[: len(words)] == words
    assert len(lines) == bool(words)


def test_the_program_listens_to_ctrl_c_before_it_imports_much() -> None:
    """What takes long is imported where being stopped is one sentence."""
    code = "import sys, noisybench.__main__; sys.exit(bool({'typer', 'numpy', 'torch', 'rich'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_names_of_strangers_reach_no_reader_as_they_are(built: Path, tmp_path: Path) -> None:
    """Escapes steer no terminal, formulas no spreadsheet and tags no page, in every form of every table."""
    shutil.copytree(built / "runs", tmp_path / "runs")
    odd = "\x1b]0;owned\x07\x9b2J\u202e=cmd|<b>![x](y)"
    for path in (tmp_path / "runs").rglob("run.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"model": f"={odd}"}))
    for arguments in ("", "--models", "--format csv", "--format markdown", "--format latex", "--format json"):
        done = run("leaderboard", tmp_path / "runs", *arguments.split())
        assert done.code == 0, done.err
        assert all(character.isprintable() or character == "\n" for character in done.out), arguments
        if "csv" in arguments:
            assert all(row["model"][:1] != "=" for row in csv.DictReader(io.StringIO(done.out)))
        if "markdown" in arguments:
            assert "<b>" not in done.out
            assert "](y" not in done.out


def test_progress_goes_to_stderr_only(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard output holds results alone, so that it can be piped, also where the bars are drawn."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    variant = next((built / "variants").iterdir())
    done = run(
        "evaluate", variant, "--epochs", 1, "--seeds", "0", "--json", "--detectors", "aum", "--workers", 1,
        "--out", tmp_path,
    )  # fmt: skip
    assert json.loads(done.out)[0]["seed"] == 0
    assert "1/1" in done.err


def test_quickstart_ends_with_both_leaderboards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's command, with fewer samples, draws, seeds and models and no further process: both tables, and folders."""
    monkeypatch.setattr("noisybench.data.loading.load_source", partial(load_source, limit=120))
    monkeypatch.setattr("noisybench.cli.quickstart.QUICKSTART_NOISES", (("symmetric", "0.2"),))
    monkeypatch.setattr("noisybench.cli.quickstart.QUICKSTART_DRAWS", (0, 1))
    monkeypatch.setattr("noisybench.cli.quickstart.QUICKSTART_SEEDS", (0,))
    monkeypatch.setattr("noisybench.cli.quickstart.QUICKSTART_MODELS", 4)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    done = run("quickstart", "--out", tmp_path)
    assert done.code == 0, done.err
    assert "built 2 draws of symmetric noise, rate 0.2: 20.0% wrong labels" in done.out
    assert len(re.findall(r"measured memorization in digits-symmetric-\w{8}: 0\.\d\d of wrong labels", done.out)) == 2
    tables = [done.out.index(title) for title in ("AUROC against 'mislabeled'", "Spearman's ρ against 'memorization'")]
    assert tables == sorted(tables)
    assert "learner matched" in " ".join(done.out.split())
    assert done.out.splitlines()[-1] == f"next:     noisybench leaderboard {tmp_path / 'runs'} --both"
