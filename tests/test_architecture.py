"""The shape of the package, read from its imports: wings, the arrows between them, and no circle anywhere.

The reference is the tables ``WINGS`` and ``ARROWS``. Nothing is
imported: every ``import`` statement counts, also inside a function and under ``TYPE_CHECKING``.

*Up*, inside a wing: modules have an order in which each imports earlier ones alone (no circle), and the modules of a
drawer come after all modules of the wing itself, the spine. So a spine module that imports from a drawer is an arrow up,
and so is an item that imports another item. Items are found by name: nobody imports them.
"""

import ast
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "noisybench"

DATA_FLOW = ("ground", "statistics", "data", "variants", "training", "detection", "memorization", "noise", "cards")
WINGS = (*DATA_FLOW, "runs", "board", "studies", "integrations", "cli")
"""Every wing, in the order in which data flow; some may have no file yet."""

TOP = {"__init__.py", "__init__.pyi", "__main__.py", "items.py", "py.typed"}
"""Files that may stand beside the wings."""

ARROWS = {
    "ground": (),
    "statistics": (),
    "data": (),
    "variants": ("data",),
    "training": ("data", "variants", "statistics"),
    "detection": ("statistics", "training.trace"),
    "memorization": ("data", "variants", "training", "statistics"),
    "cards": ("statistics", "data", "variants"),
    "noise": ("statistics", "data", "variants", "training", "memorization"),
    "runs": ("statistics", "data", "variants", "training", "detection", "memorization", "cards"),
    "board": ("runs", "memorization", "detection", "training.trace", "data", "variants", "statistics"),
    "studies": (*DATA_FLOW, "runs", "board", "items"),
    "integrations": (*DATA_FLOW, "runs", "board", "studies", "items"),
    "cli": (*WINGS, "items"),
    "items": DATA_FLOW,
    "__init__": (*WINGS, "items"),
    "__main__": (*WINGS, "items"),
}
"""Wings, or single modules of one, that each wing and each file beside them may use; all may use ``ground``."""

HEAVY = {"torch", "torchvision", "datasets", "sklearn", "scipy", "matplotlib"}
"""Packages that take long to import, so that ``noisybench --help`` must not wait for them."""

TORCH_BY_NATURE = (
    "training",
    "memorization.stacking",
    "memorization.vectorised",
    "memorization.retraining",
    "integrations",
)
"""Wings and modules that work on tensors; they import torch as they are imported, which is when they are used."""

OWN = {"integrations.sklearn": {"sklearn"}}
"""Modules that are made for a heavy package, and imported by who uses it."""

WITHOUT_TORCH = (
    "__init__",
    "__main__",
    "items",
    "ground",
    "statistics",
    "data",
    "variants",
    "detection",
    "cards",
    "cli",
)
"""Wings and files that import no heavy package, nor what imports one."""

SPINE_FOLDERS = {"data.tables", "data.images", "data.crowd", "variants.sample_files"}
"""Folders of one idea each that hold no items found by name: their modules are spine, so they import no item."""

MOST_LINES = 400


class Arrow(NamedTuple):
    """One import of the package by itself; names are relative to it, such as ``training.trace``."""

    source: str
    target: str
    line: int
    runs: bool
    """Whether it is done when ``source`` is imported: neither in a function nor for type checkers alone."""


def modules(package: Path) -> dict[str, ast.Module]:
    """Module → its code; ``data.source`` is ``data/source.py``, ``data`` is ``data/__init__.py``."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        found[name] = _parsed(path.read_text(encoding="utf-8"))
    return found


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def imported(code: ast.Module) -> list[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Every import of a module, and whether it is done when the module is imported."""
    found = []
    waiting: list[tuple[ast.AST, bool]] = [(code, True)]
    while waiting:
        node, runs = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.append((node, runs))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += [(part, False) for part in node.body] + [(part, runs) for part in node.orelse]
        elif not isinstance(node, ast.expr):  # which holds no statement
            runs = runs and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            waiting += [(part, runs) for part in ast.iter_child_nodes(node)]
    return found


def arrows(package: Path) -> list[Arrow]:
    """Every import of the package by itself."""
    found, code = [], modules(package)
    for source, tree in code.items():
        for node, runs in imported(tree):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif node.level:
                above = ["noisybench", *source.split(".")][: -node.level]
                targets = [".".join([*above, *filter(None, [node.module]), alias.name]) for alias in node.names]
            else:
                targets = [f"{node.module}.{alias.name}" for alias in node.names]
            for target in targets:
                root, _, name = target.partition(".")
                if root == "noisybench":
                    while name and name not in code:  # what it defines is no module
                        name = name.rpartition(".")[0]
                    found.append(Arrow(source, name or "__init__", node.lineno, runs))
    return found


def wing(module: str) -> str:
    """The first part of a module's name: its wing, or itself where it stands beside the wings."""
    return module.partition(".")[0]


def drawer(module: str) -> str:
    """The drawer that a module is in, such as ``data.sources``, or nothing where it is in the spine of its wing."""
    parts = module.split(".")
    folder = ".".join(parts[:2]) if len(parts) > 2 else ""
    return "" if folder in SPINE_FOLDERS else folder


def strangers_at_the_top(package: Path) -> list[str]:
    """What stands beside the wings and may not."""
    there = {path.name for path in package.iterdir() if path.name != "__pycache__"}
    return sorted(there - TOP - set(WINGS)) + [f"{name} is missing" for name in sorted(TOP - there)]


def wrong_wings(package: Path) -> list[str]:
    """Arrows from one wing to another that the table does not allow."""
    wrong = []
    for source, target, line, _ in arrows(package):
        if wing(source) == wing(target):
            continue
        allowed = ("ground", *ARROWS.get(wing(source), ()))
        if not any(f"{target}.".startswith(f"{name}.") for name in allowed):
            wrong.append(f"{source}:{line} imports {target}: {wing(source)} may use {', '.join(allowed)}")
    return wrong


def circles(package: Path) -> list[str]:
    """Circles of modules that import each other, until none is left when one arrow of each is taken out."""
    graph: dict[str, set[str]] = {name: set() for name in modules(package)}
    for arrow in arrows(package):
        graph[arrow.source].add(arrow.target)
    found = []
    while True:
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            circle = error.args[1]
            graph[circle[1]].remove(circle[0])
            found.append(" → ".join(circle[::-1]))
        else:
            return found


def arrows_up(package: Path) -> list[str]:
    """Arrows into a drawer from elsewhere, or from one of its items to another; see the top of this file.

    The drawers of ``ground`` hold no items found by name: other wings use them as they use its spine.
    """
    wrong = []
    for source, target, line, _ in arrows(package):
        within = drawer(source) == drawer(target) and target.split(".")[-1].startswith("_")
        from_another_wing = wing(target) == "ground" != wing(source)
        if drawer(target) and not within and not from_another_wing:
            wrong.append(f"{source}:{line} imports {target}, which is in a drawer")
    return wrong


def heavy_imports(package: Path) -> list[str]:
    """Heavy packages that a module imports as it is imported, and modules without torch that reach one so."""
    heavy: dict[str, set[str]] = defaultdict(set)
    for name, code in modules(package).items():
        for node, runs in imported(code):
            roots = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            if runs:
                heavy[name] |= {root.partition(".")[0] for root in roots} & HEAVY
    wrong = [
        f"{name} imports {', '.join(sorted(packages))} at its top"
        for name, packages in heavy.items()
        if packages
        - ({"torch"} if f"{name}.".startswith(tuple(f"{part}." for part in TORCH_BY_NATURE)) else set())
        - OWN.get(name, set())
    ]
    graph = defaultdict(set)
    for arrow in arrows(package):
        if arrow.runs:
            graph[arrow.source].add(arrow.target)
    for name in modules(package):
        if wing(name) in WITHOUT_TORCH:
            reached, waiting = set(), [name]
            while waiting:
                module = waiting.pop()
                if module not in reached:
                    reached.add(module)
                    waiting += graph[module]
            wrong += [
                f"{name} imports {module}, which imports {', '.join(heavy[module])}"
                for module in reached
                if heavy[module]
            ]
    return wrong


def names_twice(package: Path) -> list[str]:
    """Public functions, classes and type aliases that two modules define.

    A module of a drawer that nobody imports is left out, for its item is found by name; and so is ``cli``, where a
    command is called like the function that it calls, and ``items``, which adds the types to functions of ``ground``.
    """
    used = {arrow.target for arrow in arrows(package)}
    homes = defaultdict(set)
    for name, code in modules(package).items():
        if wing(name) in {"cli", "items"} or (drawer(name) and name not in used):
            continue
        for defined, _ in definitions(code):
            if not defined.startswith("_"):
                homes[defined].add(name)
    return [f"{name} is defined in {', '.join(sorted(home))}" for name, home in sorted(homes.items()) if len(home) > 1]


def definitions(code: ast.Module) -> Iterator[tuple[str, ast.expr | None]]:
    """Functions, classes and type aliases that a module defines, and what an alias stands for."""
    for node in code.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, None
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            variable = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) in {"TypeVar", "ParamSpec"}
            if isinstance(target, ast.Name) and target.id[:1].isupper() and not target.id.isupper() and not variable:
                yield target.id, node.value


def array_aliases(package: Path) -> list[str]:
    """Names for a type of array that stand elsewhere than in ``ground.arrays``."""
    return [
        f"{name} defines {alias} = {ast.unparse(value)}"
        for name, code in modules(package).items()
        for alias, value in definitions(code)
        if name != "ground.arrays" and isinstance(value, ast.Subscript) and ast.unparse(value.value) == "NDArray"
    ]


def long_files(package: Path) -> list[str]:
    """Files of more than ``MOST_LINES`` lines."""
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in package.rglob("*.py")}
    return [f"{path.name} has {count} lines" for path, count in lines.items() if count > MOST_LINES]


CHECKS = (
    strangers_at_the_top, wrong_wings, circles, arrows_up, heavy_imports, names_twice, array_aliases, long_files,
)  # fmt: skip


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_package_has_its_shape(check: Callable[[Path], list[str]]) -> None:
    """Wings, arrows, size and names are as the tables above say."""
    assert check(PACKAGE) == []


@pytest.mark.parametrize(
    ("check", "file", "text", "words"),
    [
        (wrong_wings, "data/source.py", "from noisybench.training.recipe import Recipe", "data.source:"),
        (wrong_wings, "data/source.py", "import noisybench.board.truths as truths", "imports board.truths: data may"),
        (wrong_wings, "data/source.py", "def late():\n    from noisybench.noise import teacher", "noise.teacher"),
        (wrong_wings, "data/source.py", "if TYPE_CHECKING:\n    from noisybench import Variant", "imports __init__"),
        (wrong_wings, "data/source.py", "from ..runs import record", "imports runs.record"),
        (wrong_wings, "detection/scoring.py", "from noisybench.training.training import train", "training.trace"),
        (wrong_wings, "utils.py", "from noisybench.data.source import Source", "utils:1 imports data.source"),
        (wrong_wings, "ground/files.py", "import noisybench.statistics.intervals", "ground may use ground"),
        (arrows_up, "data/source.py", "from noisybench.data.sources.digits import SOURCE", "data.sources.digits, which"),
        (arrows_up, "data/tables/columns.py", "import noisybench.data.sources.digits", "tables.columns:"),
        (arrows_up, "data/sources/mnist.py", "import noisybench.data.sources.digits", "sources.mnist:"),
        (arrows_up, "data/sources/_lists.py", "from noisybench.data.sources.digits import SOURCE", "sources._lists:"),
        (arrows_up, "board/truths.py", "def late():\n    from .. import detection\n    from ..detection.detectors import aum", "aum"),
        (arrows_up, "ground/files.py", "from noisybench.ground.engines import processes", "engines.processes"),
        (circles, "ground/errors.py", "def late():\n    from noisybench.ground.checks import whole", "ground.errors"),
        (heavy_imports, "statistics/intervals.py", "import scipy.stats", "statistics.intervals imports scipy at its top"),
        (heavy_imports, "training/recipe.py", "from sklearn.base import clone", "training.recipe imports sklearn"),
        (heavy_imports, "training/trace.py", "import torch", "detection.scoring imports training.trace, which imports"),
        (strangers_at_the_top, "helpers/__init__.py", "", "helpers"),
        (strangers_at_the_top, "catalog.py", "", "catalog.py"),
        (names_twice, "statistics/intervals.py", "def read_variant(): ...", "read_variant is defined in statistics"),
        (names_twice, "statistics/intervals.py", "Labels = list[int]", "Labels is defined in ground.arrays, statistics"),
        (array_aliases, "statistics/intervals.py", "Rates = NDArray[np.float64]", "statistics.intervals defines Rates"),
        (long_files, "ground/errors.py", "#\n" * MOST_LINES, "errors.py has "),
    ],
)  # fmt: skip
def test_what_is_planted_is_found(
    check: Callable[[Path], list[str]], file: str, text: str, words: str, tmp_path: Path
) -> None:
    """Each check finds what a copy of the package has more than the package, and nothing else."""
    copy = tmp_path / "noisybench"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / file).parent.mkdir(exist_ok=True)
    with (copy / file).open("a", encoding="utf-8") as stream:
        stream.write(f"\n{text}\n" if (PACKAGE / file).exists() else f"{text}\n")
    before = check(PACKAGE)
    found = [fault for fault in check(copy) if fault not in before]
    assert any(words in fault for fault in found), found


@pytest.mark.parametrize("text", ["", "import torch.nn\n", "import scipy\n"])
def test_heavy_packages_may_be_imported_where_they_are_used(text: str, tmp_path: Path) -> None:
    """In a function, for type checkers alone, and torch where tensors are the matter."""
    lazy = "if TYPE_CHECKING:\n    import torch\n\ndef late():\n    import torch, noisybench.training.loop\n"
    files = {"statistics/means.py": lazy, "training/loop.py": text, "cli/app.py": lazy}
    for file, content in files.items():
        (tmp_path / file).parent.mkdir()
        (tmp_path / file).write_text(content, encoding="utf-8")
    assert heavy_imports(tmp_path) == (["training.loop imports scipy at its top"] if "scipy" in text else [])
