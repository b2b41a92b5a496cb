"""Finding items by name."""

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any, get_args

import pytest

from noisybench.data.loading import load_source
from noisybench.data.sources.digits import Digits
from noisybench.ground import lookup as catalog
from noisybench.ground.errors import BadData, BadUsage, MissingPackage, UnknownName
from noisybench.ground.lookup import Drawer, find, names, summary
from noisybench.ground.options import parse_options
from noisybench.noise.noises.symmetric import Symmetric

MODULE = """
from noisybench.data.sources.digits import Digits

class Mine(Digits):
    pass
"""


@pytest.fixture
def users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that Python imports from."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize("drawer", get_args(Drawer))
def test_names_are_those_of_the_files(drawer: Any) -> None:  # noqa: ANN401 - a literal
    """Sorted, without the private ones."""
    folder = catalog.folder_of(drawer)
    expected = sorted(path.name.removesuffix(".py") for path in folder.iterdir() if path.suffix == ".py")
    assert list(names(drawer)) == [name for name in expected if not name.startswith("_")]
    assert names(drawer)


def test_an_item_is_what_its_file_names() -> None:
    """The class itself, for sources and noises: its fields are the options."""
    assert find("sources", "digits") is Digits
    assert find("noises", "symmetric") is Symmetric
    assert find("detectors", "aum").name == "aum"


@pytest.mark.parametrize(
    ("drawer", "name", "message"),
    [
        ("detectors", "amu", "^no detector is called 'amu'; did you mean 'aum'"),
        ("noises", "symetric", "^no noise is called 'symetric'; did you mean 'symmetric'"),
        ("sources", "zzz", "^no source is called 'zzz'; there are: altered, animal10n, cifar10, cifar100, .*digits"),
        ("sources", "_published", "^no source is called '_published'"),
        ("sources", "../noises/symmetric", "^no source is called"),
        ("sources", "json:absent", "^module 'json' has no 'absent' for source 'json:absent'$"),
    ],
)
def test_a_name_that_does_not_exist_is_answered_with_the_nearest(drawer: Any, name: str, message: str) -> None:  # noqa: ANN401
    """A private file is no item."""
    with pytest.raises(UnknownName, match=message):
        find(drawer, name)


def test_a_drawer_that_does_not_exist_is_answered_too() -> None:
    """With the nearest."""
    with pytest.raises(UnknownName, match="no list is called 'detector'; did you mean 'detectors'"):
        names("detector")  # type: ignore[arg-type]


def test_the_users_own_module_is_found(users_folder: Path) -> None:
    """``package.module:attribute``; an error in it is not hidden, a package that it lacks is named."""
    (users_folder / "own_sources.py").write_text(MODULE, encoding="utf-8")
    assert find("sources", "own_sources:Mine").__name__ == "Mine"
    assert load_source("own_sources:Mine", limit=3).labels.size == 3
    (users_folder / "own_broken.py").write_text("1 / 0\n", encoding="utf-8")
    message = (
        "^module 'own_broken' of source 'own_broken:Mine' cannot be imported: ZeroDivisionError: division by zero$"
    )
    with pytest.raises(BadData, match=message) as caught:
        find("sources", "own_broken:Mine")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize(
    ("content", "name", "kind", "message"),
    [
        (
            None, "own_absent.nets:build", BadUsage,
            "^there is no module 'own_absent.nets' for noise 'own_absent.nets:build'; run from the folder that holds it$",
        ),
        ("import lacked_package\n", "own_needy:X", MissingPackage, "needs the package 'lacked_package': pip install la"),
        # The name of the package that lacks is the beginning of the module's own.
        ("import own\n", "own_needy2:X", MissingPackage, "noise 'own_needy2:X' needs the package 'own': pip install own"),
        (
            "def __getattr__(name):\n    raise RuntimeError('no')\n", "own_odd:X", BadData,
            "^module 'own_odd' of noise 'own_odd:X' cannot be imported: RuntimeError: no$",
        ),
        ("", "own_needy3:X", UnknownName, "^module 'own_needy3' has no 'X' for noise 'own_needy3:X'$"),
        (None, ":X", BadUsage, "^noise ':X' is no package.module:attribute$"),
        (None, ".x:X", BadUsage, "^noise '.x:X' is no package.module:attribute$"),
        (None, "x:", BadUsage, "^noise 'x:' is no package.module:attribute$"),
    ],
)  # fmt: skip
def test_a_module_that_cannot_be_used_is_explained(
    users_folder: Path, content: str | None, name: str, kind: type[Exception], message: str
) -> None:
    """Missing, lacking a package, without the attribute, or no such name at all."""
    if content is not None:
        (users_folder / f"{name.partition(':')[0]}.py").write_text(content, encoding="utf-8")
    with pytest.raises(kind, match=message):
        find("noises", name)


def test_other_packages_add_items(users_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an entry point in the group of the drawer; a file of ours of the same name comes first."""
    (users_folder / "other_package.py").write_text(MODULE, encoding="utf-8")
    points = EntryPoints(
        [
            EntryPoint("mine", "other_package:Mine", "noisybench.sources"),
            EntryPoint("digits", "other_package:Mine", "noisybench.sources"),
        ]
    )
    monkeypatch.setattr(catalog, "_entry_points", lambda _: points)
    assert {"mine", "cifar10"} <= set(names("sources"))
    assert "mine" not in names("noises")
    assert "other_package" not in sys.modules  # listing imports nothing
    assert find("sources", "mine").__name__ == "Mine"
    assert find("sources", "digits") is Digits
    assert summary("sources", "mine") == ""


def test_a_summary_is_the_first_line_of_the_file() -> None:
    """Without importing it."""
    assert summary("noises", "symmetric") == "Symmetric noise: a wrong label is any other class, all equally likely."
    assert summary("noises", "absent") == ""


def test_options_of_a_source_are_checked() -> None:
    """With the name of the source in the message."""
    with pytest.raises(UnknownName, match="no option of source 'digits' is called 'split'; there are: none"):
        load_source("digits", split="train")
    assert parse_options(find("noises", "symmetric"), {"rate": "0.2"}, what="x") == Symmetric(rate=0.2)
