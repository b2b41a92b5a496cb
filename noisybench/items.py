"""Finding a source, alteration, noise, features, a model, objective, probe, detector or metric by name, each with its type.

For users and for the command line. Inside the wings, ``noisybench.ground.lookup`` finds the same and knows no wing.
"""

from typing import TYPE_CHECKING, Any, Literal, overload

from noisybench.ground import lookup
from noisybench.ground.lookup import Drawer, names

if TYPE_CHECKING:
    from noisybench.data.alteration import Alter
    from noisybench.data.extraction import ExtractFeatures
    from noisybench.data.source import LoadSource
    from noisybench.detection.scoring import Detector
    from noisybench.statistics.metric import Metric
    from noisybench.training.model import BuildModel
    from noisybench.training.objective import Objective
    from noisybench.training.probe import Probe
    from noisybench.variants.noise import Noise

__all__ = ["Drawer", "find", "names"]


@overload
def find(drawer: Literal["sources"], name: str) -> "type[LoadSource]": ...
@overload
def find(drawer: Literal["alterations"], name: str) -> "type[Alter]": ...
@overload
def find(drawer: Literal["noises"], name: str) -> "type[Noise]": ...
@overload
def find(drawer: Literal["features"], name: str) -> "type[ExtractFeatures]": ...
@overload
def find(drawer: Literal["models"], name: str) -> "BuildModel": ...
@overload
def find(drawer: Literal["objectives"], name: str) -> "type[Objective]": ...
@overload
def find(drawer: Literal["probes"], name: str) -> "Probe": ...
@overload
def find(drawer: Literal["detectors"], name: str) -> "Detector": ...
@overload
def find(drawer: Literal["metrics"], name: str) -> "Metric": ...
def find(drawer: Drawer, name: str) -> Any:
    """What the item of that name gives: a class whose fields are its options, a model's function, or an object.

    >>> find("noises", "pair_flip")(rate=0.2)
    PairFlip(rate=0.2)
    >>> find("detectors", "aum").needs
    ('margin',)
    >>> find("metrics", "auroc").chance_at(0.2)
    0.5

    Args:
        drawer: Kind of item.
        name: Of a file in the drawer, of an entry point of another package (group ``noisybench.<drawer>``), or
            ``package.module:attribute`` of your own.

    Raises:
        UnknownName: Nothing of that name; the message names the nearest.
        MissingPackage: It needs a package that is not installed.
        BadData: The user's own module cannot be imported.
    """
    return lookup.find(drawer, name)
