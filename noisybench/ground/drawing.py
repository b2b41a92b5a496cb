"""Pictures by matplotlib: the kinds of file, the style of all of them, and their writing without a date."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, simplefilter

from noisybench.ground.checks import a_path
from noisybench.ground.errors import BadUsage, MissingPackage
from noisybench.ground.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
BLUE, VERMILLION = "#0072B2", "#D55E00"  # told apart by all eyes: Okabe and Ito
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "text.parse_math": False,  # a class may be called $x$
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "noisybench",  # the same numbers, the same bytes
}
TIMELESS = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}


def check_picture(path: str | Path) -> Path:
    """``path``, where a picture can be drawn there.

    Raises:
        BadUsage: Its name ends in something else than .png, .svg or .pdf.
        MissingPackage: matplotlib is not installed.
    """
    path = a_path(path)
    if path.suffix.lower() not in FORMATS:
        msg = f"{path} is no {', '.join(FORMATS)} file; name the picture so"
        raise BadUsage(msg)
    try:
        import matplotlib.figure  # noqa: F401
    except ModuleNotFoundError:
        msg = f"drawing {path} needs the package 'matplotlib': pip install 'noisybench[plot]'"
        raise MissingPackage(msg) from None
    return path


@contextmanager
def in_style() -> Iterator[None]:
    """Figures made and saved within look alike, whatever the settings of the person."""
    import matplotlib as mpl

    with mpl.rc_context(), catch_warnings():
        simplefilter("ignore", UserWarning)  # the font lacks a letter of a name: a box stands for it
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def save_picture(figure: "Figure", path: Path) -> None:
    """Write a figure whole, in place of one that is there; the same figure gives the same bytes."""
    suffix = path.suffix.lower()
    with replacing(path) as part:
        figure.savefig(part, format=suffix[1:], bbox_inches="tight", metadata=TIMELESS.get(suffix))
