"""Inputs that do not lie in memory: same pixels, same traces, same weights, and no more than a batch at a time."""

import pickle
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import Dataset
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from noisybench.board.results import evaluate
from noisybench.data.alteration import parse_alterations
from noisybench.data.extraction import features_of
from noisybench.data.inputs import LazyInputs
from noisybench.data.lazy_inputs import ArrowRows, ImageFiles
from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.lookup import find
from noisybench.memorization.pool import read_pool
from noisybench.memorization.retraining import retrain
from noisybench.memorization.subset_plan import SubsetPlan
from noisybench.noise.noises.bounded_instance import BoundedInstance
from noisybench.noise.noises.instance import Instance
from noisybench.noise.noises.symmetric import Symmetric
from noisybench.training.batches import Inputs
from noisybench.training.machine import Machine
from noisybench.training.plan import plan_run
from noisybench.training.recipe import Recipe
from noisybench.training.susceptibility import Susceptibility
from noisybench.training.training import Training, train
from noisybench.variants.building import build_variant
from noisybench.variants.noise import Noise
from noisybench.variants.variant import Variant

CPU = torch.device("cpu")
N, SIDE, D = 45, 8, 6
LABELS = np.arange(N) % 3


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ImageFiles:
    """PNG and JPEG images of several sizes and modes, one of them with a comma in its name."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    names = [f"{i % 3}/{i},{i}.{'jpg' if i % 2 else 'png'}" for i in range(N)]
    for i, name in enumerate(names):
        (root / name).parent.mkdir(exist_ok=True)
        pixels = rng.integers(0, 256, (SIDE + i % 4, SIDE + i % 3, 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(["RGB", "L", "RGB", "P"][i % 4] if i % 2 == 0 else "RGB").save(root / name)
    return ImageFiles(root, names, SIDE)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> ArrowRows:
    """Columns of an Arrow stream in several pieces, of several types."""
    path = tmp_path_factory.mktemp("arrow") / "rows.arrow"
    values = np.random.default_rng(1).normal(5, 3, (N, D))
    kinds = [pa.float32(), pa.float64(), pa.int32(), pa.int64(), pa.float32(), pa.uint8()]
    table = pa.table({f"c{j}": pa.array(values[:, j].round(2).clip(0, 9)).cast(kinds[j], safe=False) for j in range(D)})
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    return ArrowRows.of_file(path, [f"c{j}" for j in range(D)])


def source_of(inputs: Any, **more: Any) -> Source:  # noqa: ANN401 - an array, a memory map, lazy inputs
    tests = inputs.take(slice(0, 9)) if isinstance(inputs, ImageFiles | ArrowRows) else inputs[:9]
    return source_from_arrays("own", inputs, LABELS, test_inputs=tests, test_labels=LABELS[:9], **more)


def noisy(source: Source) -> Variant:
    return build_variant(source, Symmetric(rate=0.3), seed=0)


def with_dropout(*, num_classes: int, input_shape: tuple[int, ...]) -> nn.Module:
    """Draws from torch's own generator in training, which no reading may disturb."""
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(int(np.prod(input_shape)), num_classes))


def trained(source: Source, *, loader_workers: int = 0, augmentation: Any = "crop_flip") -> Training:  # noqa: ANN401
    recipe = Recipe(epochs=2, batch_size=8, lr=0.01, augmentation=augmentation)
    probes = [find("probes", name) for name in ("loss", "margin", "curvature", "correct")]
    return train(
        source, noisy(source), with_dropout, recipe, probes,
        seed=3, susceptibility=Susceptibility("authors"), machine=Machine(loader_workers=loader_workers),
    )  # fmt: skip


def assert_same(ours: Training, theirs: Training) -> None:
    for name, weight in theirs.model.state_dict().items():
        assert torch.equal(ours.model.state_dict()[name], weight)
    for name in ("loss", "margin", "curvature", "correct"):
        np.testing.assert_array_equal(ours.trace[name], theirs.trace[name])
    assert ours.history.keys() == theirs.history.keys()
    for name, values in theirs.history.items():
        np.testing.assert_array_equal(ours.history[name], values)


@pytest.mark.usefixtures("warm_processes")
@pytest.mark.parametrize("loader_workers", [0, 2])
def test_images_train_to_the_same_bits_as_in_memory(files: ImageFiles, loader_workers: int) -> None:
    """Weights, trace, history and test accuracy, with crops, flips, dropout, curvature and susceptibility."""
    lazy, held = source_of(files), source_of(files[:])
    if loader_workers:  # the test set has processes of its own, and each takes a second to start
        lazy, held = (replace(source, test_inputs=None, test_labels=None) for source in (lazy, held))
    expected = trained(held)
    assert_same(trained(lazy, loader_workers=loader_workers), expected)
    assert np.isfinite(expected.history["test_accuracy"]).all() == (loader_workers == 0)


def test_columns_and_memory_maps_train_to_the_same_bits(rows: ArrowRows, tmp_path: Path) -> None:
    """Numbers in Arrow columns and in a mapped file; they are also the same variant as the array."""
    array = rows[:]
    mapped = np.memmap(tmp_path / "x.bin", dtype=np.float32, mode="w+", shape=array.shape)
    mapped[:] = array
    held = source_of(array)
    expected = trained(held)
    for inputs in (rows, mapped):
        source = source_of(inputs)
        assert source.sha256 == held.sha256
        assert not Inputs(source.inputs, CPU).is_held
        assert_same(trained(source), expected)


@pytest.mark.parametrize("model", ["mlp", "small_cnn"])
def test_subset_models_are_the_same(files: ImageFiles, rows: ArrowRows, tmp_path: Path, model: str) -> None:
    """Retraining sees views of lazy inputs: perceptrons trained together, other models one by one."""
    lazy = rows if model == "mlp" else files
    pools = []
    for number, inputs in enumerate((lazy, lazy[:])):
        source = source_of(inputs)
        plan = plan_run(source, model=model, recipe="standard", epochs=2, options={"batch_size": "8"}, device="cpu")
        retrain(source, noisy(source), SubsetPlan(plan), tmp_path / str(number), models=10)
        pools.append(read_pool(tmp_path / str(number), noisy(source), models=10))
    for name in ("included", "predictions", "margins", "held_out"):
        np.testing.assert_array_equal(getattr(pools[0], name), getattr(pools[1], name))


@pytest.mark.usefixtures("warm_processes")
def test_loader_workers_decide_nothing(rows: ArrowRows, tmp_path: Path) -> None:
    """They are no part of a run's record or folder: a run that is finished is not repeated with others."""
    source = source_of(rows)
    folders, times = [], []
    for count in (0, 2):
        folders += evaluate(
            noisy(source), source, epochs=1, seeds=[0], detectors=["final_loss"],
            machine=Machine(loader_workers=count), out=tmp_path,
        )  # fmt: skip
        times.append((folders[-1].path / "history.parquet").stat().st_mtime_ns)
    assert len(set(folders)) == len(set(times)) == 1
    with pytest.raises(BadUsage, match="loader_workers must not be negative, got -1"):
        evaluate(noisy(source), source, machine=Machine(loader_workers=-1), out=tmp_path)


def test_moments_batches_and_subsets_are_those_of_the_array(files: ImageFiles, rows: ArrowRows) -> None:
    """Against NumPy, and to the bit against the array: in slices, in any order, and of a view of a view."""
    order = torch.tensor([44, 3, 3, 0])
    for lazy in (files, rows):
        streamed, held = Inputs(lazy, CPU), Inputs(lazy[:], CPU)
        axes = (0, 1, 2) if lazy is files else (0,)
        np.testing.assert_allclose(streamed.moments[0], lazy[:].mean(axes, dtype=np.float64), rtol=1e-6)
        np.testing.assert_allclose(1 / streamed.moments[1], lazy[:].std(axes, dtype=np.float64), rtol=1e-6)
        for a, b in zip(streamed.moments, held.moments, strict=True):
            assert torch.equal(a, b)
        for a, b in zip(streamed.batches(7), held.batches(7), strict=True):
            assert torch.equal(a, b)
        assert torch.equal(streamed.batch(order), held.batch(order))
        part = streamed.subset(np.arange(9, 30)).subset(np.array([4, 20]))
        assert len(part) == 2
        assert torch.equal(part.batch(slice(0, 2)), held.batch(torch.tensor([13, 29])))


def test_two_passes_at_once_do_not_mix(rows: ArrowRows) -> None:
    """A pass that begins before another one over the same inputs has ended reads its own batches."""
    data, held = Inputs(rows, CPU), Inputs(rows[:], CPU)
    pairs = zip(data.batches(8), data.subset(np.arange(N)[::-1].copy()).batches(8), strict=True)
    for start, (ours, others) in zip(range(0, N, 8), pairs, strict=True):
        assert torch.equal(ours, held.batch(slice(start, start + 8)))
        assert torch.equal(others, held.batch(torch.arange(N - 1 - start, max(-1, N - 9 - start), -1)))


class Counted:
    """An array that notes how many rows were asked for at once, and cannot be read otherwise."""

    digest = "its own"

    def __init__(self, values: NDArray[Any]) -> None:
        self._values = values
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, values.ndim
        self.largest = 0

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, rows: slice | NDArray[Any]) -> NDArray[Any]:
        found = self._values[rows]
        self.largest = max(self.largest, len(found))
        return found

    def take(self, rows: slice | NDArray[Any]) -> "Counted":
        return Counted(self._values[rows])


def test_no_more_than_a_batch_is_ever_read() -> None:
    """Training, observing, testing, susceptibility, moments and the checks of a source ask for 128 rows at most."""
    labels = np.arange(1000) % 3
    inputs = Counted(np.random.default_rng(0).integers(0, 256, (1000, 2, 2, 1), dtype=np.uint8))
    source = replace(source_from_arrays("own", inputs, labels), test_inputs=inputs, test_labels=labels)
    trained(source)
    assert 0 < inputs.largest <= 128
    limited = source_from_arrays("own", inputs, labels, limit=10).inputs
    assert isinstance(limited, Counted)
    assert len(limited) == 10


def test_images_are_centred_squares_resized(files: ImageFiles) -> None:
    """Against Pillow, step by step; an image of the right size is not touched, and the order asked for is kept."""
    names = files.names.to_pylist()
    asked = np.array([5, 0, 11, 7])
    for image, i in zip(files[asked], asked, strict=True):
        with Image.open(files.root / names[i]) as opened:
            colours = opened.convert("RGB")
        w, h = colours.size
        cut = min(w, h)
        square = colours.crop(((w - cut) // 2, (h - cut) // 2, (w - cut) // 2 + cut, (h - cut) // 2 + cut))
        np.testing.assert_array_equal(image, np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BILINEAR)))
    assert files[:0].shape == (0, SIDE, SIDE, 3)
    with pytest.raises(IndexError, match=r"row 45 is none of 0\.\.44"):
        files[np.array([1, 45])]


def test_a_million_names_are_kept_compactly_and_sent_to_processes(files: ImageFiles, rows: ArrowRows) -> None:
    """What is pickled is names or the place of a file, never pixels, and reads the same over there."""
    many = ImageFiles(files.root, [f"folder/of/some/class/image-{i:08d}.jpeg" for i in range(10_000)], 224)
    assert len(pickle.dumps(many)) < 10_000 * 60
    for lazy in (files, rows):
        text = pickle.dumps(lazy)
        assert len(text) < 10_000
        again = pickle.loads(text)  # noqa: S301 - written above
        assert again.digest == lazy.digest
        np.testing.assert_array_equal(again[3:9], lazy[3:9])
        np.testing.assert_array_equal(lazy.take(np.array([8, 2]))[:], lazy[np.array([8, 2])])


def test_the_digest_is_of_names_and_sizes(tmp_path: Path) -> None:
    """It follows the order, a name and a size, but opens no file; a part has that of a listing of the part."""
    for name, content in (("a", b"12"), ("b", b"3"), ("c", b"45")):
        (tmp_path / name).write_bytes(content)
    found = {
        tuple(names): ImageFiles(tmp_path, names, 4).digest for names in (["a", "b"], ["b", "a"], ["c", "b"], ["a"])
    }
    assert len(set(found.values())) == 4
    assert ImageFiles(tmp_path, pa.array(["a", "b"]), 4).take(np.array([0])).digest == found["a",]
    (tmp_path / "a").write_bytes(b"99")
    assert ImageFiles(tmp_path, ["a", "b"], 4).digest == found["a", "b"]
    (tmp_path / "a").write_bytes(b"999")
    assert ImageFiles(tmp_path, ["a", "b"], 4).digest != found["a", "b"]
    labels = np.zeros(2, dtype=np.int64)
    small, large = (source_from_arrays("x", ImageFiles(tmp_path, ["a", "b"], side), labels).sha256 for side in (4, 5))
    assert small != large
    (tmp_path / "b").unlink()
    with pytest.raises(BadData, match=r"/b cannot be read: No such file or directory; is the data set whole\?"):
        _ = ImageFiles(tmp_path, ["a", "b"], 4).digest


def test_a_broken_image_is_named(tmp_path: Path) -> None:
    """When it is met, in one sentence, which training says as it is; a missing and a 16-bit image likewise."""
    for name in "abc":
        Image.fromarray(np.arange(30_000, dtype=np.uint8).reshape(100, 100, 3)).save(tmp_path / f"{name}.png")
    Image.fromarray(np.zeros((4, 4), dtype=np.uint16)).save(tmp_path / "deep.png")
    content = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(content[: len(content) - 40])
    (tmp_path / "empty.png").write_bytes(b"")
    source = source_from_arrays("x", ImageFiles(tmp_path, ["a.png", "b.png", "c.png"], 4), [0, 1, 0])
    with pytest.raises(
        BadData, match=r"^.*/b\.png cannot be decoded \(OSError\); expected PNG, JPEG or another common "
    ):
        trained(source)
    for name, words in {
        "d.png": r"/d\.png cannot be read: No such file or directory; is the data set whole\?",
        "deep.png": r"/deep\.png has mode I;16, expected grey or colour with 8 bits; convert it first",
        "empty.png": r"/empty\.png cannot be decoded \(UnidentifiedImageError\)",
    }.items():
        with pytest.raises(BadData, match=words):
            ImageFiles(tmp_path, [name], 4)[:]
    with pytest.raises(BadData, match="no image of .* is named; expected at least one"):
        ImageFiles(tmp_path, [], 4)
    with pytest.raises(BadData, match="a name of an image of .* is no text .*; rename the file"):
        ImageFiles(tmp_path, ["\udcff.png"], 4)
    with pytest.raises(BadUsage, match="side must be at least 1, got 0"):
        ImageFiles(tmp_path, ["a.png"], 0)


def test_a_process_that_dies_is_told_of(rows: ArrowRows) -> None:
    """As one that the system ends for lack of memory: in a sentence, and not in torch's words alone."""
    others = set(active_children())
    inputs = Inputs(rows, CPU, loader_workers=1)
    assert len(list(inputs.batches(8))) == 6
    (reader,) = set(active_children()) - others
    reader.kill()
    with pytest.raises(BadData, match=r"a process that reads inputs ahead failed \(.*\): .*fewer --loader-workers"):
        list(inputs.batches(8))


def test_nothing_is_read_whole_unseen(files: ImageFiles, rows: ArrowRows) -> None:
    """NumPy is not given all of them by accident, and what needs all of them at once says so."""
    for lazy in (files, rows):
        with pytest.raises(TypeError, match=r"45 inputs that are read lazily are no array; take some of them, as inp"):
            np.asarray(lazy)
    source = source_of(files)
    for what in ("pca", "patches", "input"):
        options = {"size": "3"} if what == "patches" else {}
        with pytest.raises(
            BadUsage, match=r"needs all inputs at once, and these 45 are read lazily because they would"
        ):
            features_of(source, what, options)
    for text in ("corruption(rate=0.1)", "duplicates(rate=0.1)"):
        with pytest.raises(BadUsage, match="alteration '.*' needs all inputs at once"):
            parse_alterations(text)[0](replace(source, clean=source.labels), seed=0, foreign=None)
    (alteration,) = parse_alterations("long_tail(factor=3)")
    fewer = alteration(source, seed=0, foreign=None)
    assert isinstance(fewer.inputs, ImageFiles)
    assert len(fewer.inputs) == len(fewer.labels) < N
    exact, near = parse_alterations("frequency_spectrum(units=2); frequency_spectrum(units=2, how=near)")
    copied = exact(source, seed=0, foreign=None)
    assert isinstance(copied.inputs, ImageFiles)
    assert np.array_equal(copied.inputs[:], files[copied.marks["parent"]])
    unit, first = np.unique(copied.marks["unit"], return_index=True)
    assert np.array_equal(copied.test_inputs, copied.inputs[first[unit >= 0]])
    with pytest.raises(BadUsage, match="frequency_spectrum by near copies needs all inputs at once"):
        near(source, seed=0, foreign=None)


@pytest.mark.parametrize("noise", [Instance(rate=0.2), BoundedInstance(rate=0.2)])
def test_noises_of_inputs_are_drawn_from_blocks(files: ImageFiles, rows: ArrowRows, noise: Noise) -> None:
    """The same labels as in memory."""
    for lazy in (files, rows):
        drawn = [build_variant(source_of(inputs), noise, seed=1) for inputs in (lazy, lazy[:])]
        np.testing.assert_array_equal(drawn[0].labels, drawn[1].labels)
        assert (drawn[0].labels != LABELS).any()


def test_arrow_images_and_lists(files: ImageFiles, tmp_path: Path) -> None:
    """Encoded images, lists and lists of lists, against the arrays that they came from."""
    pixels = files[:6]
    for i, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    paths = [str(tmp_path / f"{i}.png") for i in range(6)]
    contents = [Path(path).read_bytes() for path in paths]
    from datasets import Features, Image as ImageFeature, Value  # noqa: I001 - a name that Pillow has too

    both = [{"bytes": None, "path": paths[0]}, *({"bytes": content, "path": None} for content in contents[1:])]
    table = Dataset.from_dict(
        {"image": both, "flat": pixels.reshape(6, -1).tolist(), "y": [0, 1] * 3, "text": ["x"] * 6},
        features=Features({"image": ImageFeature(), "flat": [Value("int16")], "y": Value("int64"), "text": Value("string")}),
    )  # fmt: skip
    images = ArrowRows(table, ("image",))
    np.testing.assert_array_equal(images[np.array([5, 0, 2])], pixels[[5, 0, 2]])
    assert images.shape == (6, SIDE, SIDE, 3)
    assert images.dtype == np.uint8
    assert ArrowRows(table, ("image",), 4)[:].shape == (6, 4, 4, 3)
    flat = ArrowRows(table, ("flat",))
    np.testing.assert_array_equal(flat[1:4], pixels[1:4].reshape(3, -1).astype(np.float32))
    deep = ArrowRows(Dataset.from_dict({"x": pixels}).cast_column("x", _array(pixels.shape[1:])), ("x",))
    np.testing.assert_array_equal(deep[:], pixels)
    digests = {ArrowRows(part, ("image",)).digest for part in (table, table.select([1, 2]), table.select([2, 1]))}
    assert len(digests) == 3
    with pytest.raises(BadUsage, match="no column is called 'z'; there are: image, flat, y, text"):
        ArrowRows(table, ("z",))
    with pytest.raises(BadData, match="column 'text' is string, expected numbers, or one column of images or of lists"):
        ArrowRows(table, ("y", "text"))


def _array(shape: tuple[int, ...]) -> Any:  # noqa: ANN401 - a feature of datasets
    from datasets import Array3D

    return Array3D(shape, "uint8")


def test_what_is_refused_is_named(tmp_path: Path) -> None:
    """Absent numbers when a source is made, other sizes, colours and lengths when they are met."""
    numbers = Dataset.from_dict({"a": [1.0, None, 3.0], "b": [1, 2, 3]})
    with pytest.raises(BadData, match="inputs must be finite, row 1 is not; drop or impute such rows"):
        source_from_arrays("x", ArrowRows(numbers, ("a", "b")), [0, 1, 0])
    lists = ArrowRows(Dataset.from_dict({"x": [[1.0, 2.0], [3.0]]}), ("x",))
    with pytest.raises(BadData, match=r"column 'x' must hold lists of one length, got lengths \[1, 2\]; pad them"):
        lists[:]
    sizes = [np.zeros((size, 4, channels), dtype=np.uint8) for size, channels in ((4, 1), (5, 1), (4, 3))]
    images = ArrowRows(Dataset.from_dict({"x": [Image.fromarray(image.squeeze()) for image in sizes]}), ("x",))
    with pytest.raises(
        BadData, match="row 1 of column 'x' is 5 × 4, expected 4 × 4 as the first; give a side that all"
    ):
        images[:]
    with pytest.raises(
        BadData, match="row 2 of column 'x' has mode RGB, expected grey with 8 bits, as the first image; c"
    ):
        images[np.array([2])]
    odd = Counted(np.zeros((4, 2), dtype=np.float32))
    odd.shape = (4, 3)
    with pytest.raises(
        BadData, match=r"say that each is float32 of shape \(3,\), and give float32 of shape \(2,\); mend"
    ):
        Inputs(odd, CPU)
    path = tmp_path / "no.arrow"
    path.write_bytes(b"no")
    with pytest.raises(BadData, match=r"no\.arrow cannot be read as an Arrow stream: "):
        ArrowRows.of_file(path, ["a"])


def test_the_contract_is_typed(files: ImageFiles, rows: ArrowRows) -> None:
    """Both are what ``Source.inputs`` may be."""
    lazy: list[LazyInputs] = [files, rows]
    assert [one.ndim for one in lazy] == [4, 2]
