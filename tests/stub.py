"""What the stub of the package says: the public names, and the module that each stands in."""

import ast
from pathlib import Path

import noisybench

_TREE = ast.parse(Path(noisybench.__file__).with_suffix(".pyi").read_text(encoding="ascii"))
HOME_OF: dict[str, str] = {
    alias.name: f"noisybench.{node.module}"
    for node in _TREE.body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
}
"""Module of each public name, such as ``noisybench.detection.scoring`` of ``Detector``."""


def imported(tree: ast.AST) -> set[str]:
    """The modules that a file imports; a public name counts as an import of the module that it stands in."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "noisybench":
            found |= {HOME_OF[alias.name] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found
