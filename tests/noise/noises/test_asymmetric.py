import json
from pathlib import Path

import numpy as np
import pytest

from noisybench.data.source import Source, source_from_arrays
from noisybench.ground.errors import BadData, BadUsage, UnknownName
from noisybench.ground.options import parse_options
from noisybench.noise.noises.asymmetric import MAPS, Asymmetric
from noisybench.variants.building import build_variant


def toy(name: str, k: int, size: int = 20) -> Source:
    labels = np.tile(np.arange(k), size)
    return source_from_arrays(name, np.zeros((len(labels), 1)), labels, clean=labels)


def flips(noise: Asymmetric, source: Source) -> dict[int, int]:
    """The map as it shows at rate 1."""
    labels = noise(source, seed=0, mode="exact").labels
    pairs = np.unique(np.stack([source.clean, labels]), axis=1).T
    return {int(clean): int(given) for clean, given in pairs if clean != given}


def test_cifar100_superclass_follows_the_published_superclasses(data: Path) -> None:
    """Each class becomes the next index of its superclass, cyclically; the reference is CIFAR-100's own coarse labels."""
    coarse = np.load(data / "cifar100" / "labels.npz")["fine_to_coarse"]
    _, found = MAPS["cifar100_superclass"]
    for k in range(100):
        ring = np.flatnonzero(coarse == coarse[k]).tolist()
        assert len(ring) == 5
        assert found[k] == ring[(ring.index(k) + 1) % 5]
    block = MAPS["cifar100_block5"][1]
    assert sum(coarse[k] == coarse[block[k]] for k in range(100)) == 6


def test_maps_are_those_of_the_papers() -> None:
    """Spot values of each map, and none maps a class to itself or outside its classes."""
    assert MAPS["cifar10"][1] == {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}
    assert MAPS["mnist"][1] == {7: 1, 2: 7, 5: 6, 6: 5, 3: 8}
    assert [MAPS["cifar100_superclass"][1][k] for k in (0, 1, 2, 98, 99)] == [51, 32, 11, 2, 26]
    assert [MAPS["cifar100_block5"][1][k] for k in (0, 4, 95, 99)] == [1, 0, 96, 95]
    for k, found in MAPS.values():
        assert all(0 <= clean < k and 0 <= given < k and clean != given for clean, given in found.items())


@pytest.mark.parametrize(
    ("source", "k", "name"),
    [
        ("cifar10", 10, "cifar10"),
        ("cifar100", 100, "cifar100_superclass"),
        ("mnist", 10, "mnist"),
        ("digits", 10, "mnist"),
        ("fashion_mnist", 10, "fashion_mnist"),
    ],
)
def test_a_known_source_brings_its_map(source: str, k: int, name: str) -> None:
    """At rate 1 exactly the mapped classes change, and to what the map says."""
    assert flips(Asymmetric(1.0), toy(source, k)) == MAPS[name][1]


@pytest.mark.parametrize("mode", ["exact", "exact_per_class"])
@pytest.mark.parametrize("rate", [0.1, 0.25, 0.4])
def test_the_rate_is_that_of_each_mapped_class(mode: str, rate: float) -> None:
    """CIFAR-10's five classes have it to the sample, the others have no error, so half of it is left overall."""
    source = toy("cifar10", 10, 500)
    variant = build_variant(source, Asymmetric(rate), mode=mode)  # type: ignore[arg-type]  # a literal
    per_class = np.bincount(source.clean[variant.mislabeled], minlength=10)
    assert per_class.tolist() == [round(500 * rate) if k in (2, 3, 4, 5, 9) else 0 for k in range(10)]
    assert variant.mislabeled.mean() == pytest.approx(rate / 2)
    assert variant.provenance.rate_definition == "per_source_class"


def test_a_json_map_is_pinned_by_its_content_and_not_by_its_place(tmp_path: Path) -> None:
    """The command line gives a path as text; the provenance holds its name and digest, another content another one."""
    path = tmp_path / "my map.json"
    path.write_text(json.dumps({"0": 2, "1": 0}))
    noise = parse_options(Asymmetric, {"rate": "1", "map": str(path)}, what="noise 'asymmetric'")
    assert flips(noise, toy("mine", 3)) == {0: 2, 1: 0}
    first = build_variant(toy("mine", 3), noise).provenance.params["map"]
    path.write_text(json.dumps({"0": 2}))
    second = build_variant(toy("mine", 3), Asymmetric(1.0, path)).provenance.params["map"]
    assert str(first).startswith("my map.json sha256:")
    assert str(tmp_path) not in str(first)
    assert first != second


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", r'must hold \{"clean class": given class, …\}, got dict'),
        ("[1, 0]", "got list"),
        ('{"3": 0}', "maps '3' to 0; both must be class indices 0..2"),
        ('{"0": 3}', "maps '0' to 3; both must be class indices 0..2"),
        ('{"0": -1}', "maps '0' to -1"),
        ('{"cat": 1}', "maps 'cat' to 1"),
        ('{"0": 1.5}', "maps '0' to 1.5"),
        ('{"0": true}', "maps '0' to True"),
        ('{"1": 1}', "maps class 1 to itself; leave it out"),
        ("{", "is not JSON"),
    ],
)
def test_a_bad_json_map_is_refused(content: str, message: str, tmp_path: Path) -> None:
    """The message names the entry."""
    path = tmp_path / "map.json"
    path.write_text(content)
    with pytest.raises(BadData, match=message):
        Asymmetric(0.2, path)(toy("mine", 3), seed=0, mode="exact")


def test_a_map_that_does_not_fit_is_refused() -> None:
    """Unknown names get the nearest, sources without a map the list, and numbers of classes must agree."""
    with pytest.raises(UnknownName, match=r"no map is called 'cifar_10'; did you mean 'cifar10'.*JSON file"):
        Asymmetric(0.2, "cifar_10")
    with pytest.raises(BadUsage, match="source 'mine' has no map of its own: say --set map=…, one of cifar10, "):
        Asymmetric(0.2)(toy("mine", 3), seed=0, mode="exact")
    with pytest.raises(BadUsage, match="map 'cifar100_block5' is for 100 classes, source 'cifar10' has 10"):
        Asymmetric(0.2, "cifar100_block5")(toy("cifar10", 10), seed=0, mode="exact")
