"""The pictures of the phase study from made-up records: what is drawn is what was reached, and nothing between or beyond."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from noisybench.ground.errors import BadUsage
from noisybench.studies import phase_picture
from noisybench.studies.phase_grid import PhaseGrid
from noisybench.studies.phase_picture import PARTS, draw_phase
from noisybench.studies.results import StudyResults, results_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DIFFICULTY, COHERENCE = (0.4, 0.5, 0.6), (0.0, 0.1, 0.2)
BLANK = (0.6, 0.2)


def value(difficulty: Any, coherence: Any) -> Any:  # noqa: ANN401 - numbers or arrays
    """AUROC of the made-up detector, .5 where coherence is .15."""
    return 0.8 - 2 * coherence + 0.1 * (difficulty - 0.5)


def made(*, networks: bool = True, reached: bool = True) -> StudyResults:
    """One map with a blank corner, two draws beside their targets, a named point, and one point with networks."""
    records: list[dict[str, Any]] = []

    def add(where: str, role: str, place: tuple[float, float], target: tuple[float, float] | None, draw: int) -> None:
        at = {"map": where, "role": role, "point": f"{where}-{role}-{place}-{draw}", "draw": draw}
        at |= dict(zip(("difficulty", "coherence"), place, strict=True))
        asked = {} if target is None else dict(zip(("target_difficulty", "target_coherence"), target, strict=True))
        there = reached and target != BLANK
        records.append({"record": "point", **at, **asked, "reached": there, "rate": 0.3})
        kinds = [
            ("knn", "detector", "features"),
            ("flat", "detector", "features"),
            ("memorization", "memorization", "closed_form"),
        ]
        if networks and target == (0.5, 0.1) and not draw:
            kinds += [("aum", "detector", "training"), ("memorization", "memorization", "pool")]
        for name, kind, by in kinds if there else ():
            auroc = 0.55 if name == "flat" else value(*place)
            own = {"detector": name, "kind": kind, "by": by, "auroc": auroc, "auroc_within_given": auroc}
            records.append({"record": "score", **at, **own, **dict.fromkeys(PARTS, (auroc - 0.5) / 3)})

    for target in [(one, other) for one in DIFFICULTY for other in COHERENCE]:
        for draw in (0, 1):
            add("main", "target", (target[0] + 0.01 * draw, target[1]), target, draw)
    add("own", "named", (0.55, 0.15), None, 0)
    add("own", "counterpart", (0.5, 0.0), None, 0)
    grid = PhaseGrid(
        difficulty=DIFFICULTY, coherence=COHERENCE, draws=(0, 1), named_difficulty=(0.5,), named_coherence=(0.0,)
    )
    return results_of("phase", grid, records)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, "Figure"]:
    """Name of each file → what is drawn into it; nothing is written."""
    found: dict[str, Figure] = {}
    monkeypatch.setattr(phase_picture, "save_picture", lambda figure, path: found.update({path.name: figure}))
    return found


def test_cells_are_what_was_reached(figures: dict[str, "Figure"]) -> None:
    """Each map has a cell for each reached target, with its number at the mean of its draws; the corner is blank."""
    assert [path.name for path in draw_phase(made(), "maps.png")] == ["maps.png", "maps-parts.png", "maps-networks.png"]
    panels = {panel.get_title(): panel for panel in figures["maps.png"].axes}
    titles = [
        "who leads, and its AUROC",
        "knn",
        "flat",
        "memorization, in closed form",
        "memorization, subset models",
        "own",
    ]
    assert [*panels][: len(titles)] == titles
    for name in ("knn", "memorization, in closed form"):
        texts = {tuple(np.round(text.get_position(), 6)): text.get_text() for text in panels[name].texts}
        places = [(one, other) for one in DIFFICULTY for other in COHERENCE if (one, other) != BLANK]
        assert texts == {
            (round(x + 0.005, 6), y): f"{(value(x, y) + value(x + 0.01, y)) / 2:.2f}".removeprefix("0")
            for x, y in places
        }
        assert len(panels[name].patches) == len(places)
        assert panels[name].get_ylim()[1] >= max(COHERENCE)
    assert [text.get_text() for text in panels["own"].texts if text.get_text()] == [".80", ".55"]
    assert [panel.get_title() for panel in figures["maps-parts.png"].axes] == ["knn", "flat"]
    assert figures["maps-networks.png"].axes[0].get_title() == "aum"
    told = {name: " ".join(panel.get_xlabel() for panel in figure.axes) for name, figure in figures.items()}
    assert "black line: .5" in told["maps.png"]
    assert "AUROC" in told["maps-networks.png"]
    assert "black line" not in told["maps-networks.png"]  # dots have none


def test_parts_are_of_the_same_difficulties_at_every_coherence(figures: dict[str, "Figure"]) -> None:
    """The hardest targets are blank where coherence is highest, and no point of the lines counts them."""
    draw_phase(made(networks=False), "maps.png")
    panel = next(one for one in figures["maps-parts.png"].axes if one.get_title() == "knn")
    (together,) = (line for line in panel.lines if line.get_label() == "together")
    expected = [np.mean([value(one + 0.005, coherence) for one in (0.4, 0.5)]) - 0.5 for coherence in COHERENCE]
    np.testing.assert_allclose(np.asarray(together.get_ydata()), expected, atol=1e-12)


def test_the_line_of_one_half_is_within_what_was_reached(figures: dict[str, "Figure"]) -> None:
    """Where the made-up value is .5, and never on the far side of the line between the blank corner's neighbours."""
    draw_phase(made(networks=False), "maps.png")
    panel = next(one for one in figures["maps.png"].axes if one.get_title() == "knn")
    lines = [path.vertices for lines in panel.collections for path in lines.get_paths()]
    points = np.concatenate([np.asarray(line) for line in lines])
    assert len(points) > 1
    np.testing.assert_allclose(value(points[:, 0], points[:, 1]), 0.5, atol=0.002)
    beyond = (points[:, 0] - 0.505) / 0.1 + (points[:, 1] - 0.1) / 0.1
    assert beyond.max() <= 1 + 1e-9
    assert "maps-networks.png" not in figures
    flat = next(one for one in figures["maps.png"].axes if one.get_title() == "flat")
    assert not flat.collections


def test_it_says_where_nothing_was_reached(tmp_path: Path) -> None:
    """In files that are whole; another kind of file is refused."""
    (maps, parts) = draw_phase(made(reached=False), tmp_path / "empty.svg")
    assert all("nothing was reached" in path.read_text() for path in (maps, parts))
    with pytest.raises(BadUsage, match=r"maps\.bmp is no \.png, \.svg, \.pdf file"):
        draw_phase(made(), "maps.bmp")
