"""WebVision 1.0: web images found with words for the thousand classes of ImageNet, or with the first fifty."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa

from noisybench.data.lazy_inputs import ImageFiles
from noisybench.data.source import LoadSource, Source, source_from_arrays
from noisybench.data.sources._lists import Listing, find_images, read_listing
from noisybench.data.sources._requested import first_existing, requested_folder
from noisybench.ground.checks import whole
from noisybench.ground.errors import BadData, BadUsage
from noisybench.ground.options import plain_options

CLASSES, MINI = 1_000, 50
HOW = (
    "get info.tar, google_resized_256.tar, flickr_resized_256.tar (not for mini) and val_images_256.tar from "
    "data.vision.ee.ethz.ch/cvl/webvision/dataset2017.html and unpack them into one folder: info/, google/, flickr/, "
    "val_images_256/"
)


@dataclass(frozen=True, slots=True)
class WebVision:
    """WebVision 1.0 from its lists and images. The label of a training image is the word that it was found with.

    Nobody knows which of them are right. The test set is the validation list, which people labelled. Images are read
    when they are asked for, each resized to one side; their names are kept, not their pixels.

    Source: Li et al. 2017, arXiv:1708.02862.

    Attributes:
        mini: Only classes 0 to 49, and only the images that Google found: mini-WebVision.
        engine: Which training list is read: ``google``, ``flickr``, or ``all`` of them.
        side: Height and width of an image in pixels.

    Raises:
        BadUsage: No folder is given, or mini-WebVision of images that Flickr found.
        BadData: A file is missing or damaged, or an image that was looked for is missing.
    """

    mini: bool = False
    engine: Literal["all", "google", "flickr"] = "all"
    side: int = 224

    def __call__(self, data: Path | None, *, limit: int | None) -> Source:
        if self.mini and self.engine == "flickr":
            msg = "mini-WebVision has the images that Google found; leave engine=flickr or mini=true out"
            raise BadUsage(msg)
        data = requested_folder("webvision", data, HOW)
        info = first_existing([data / "info"], HOW)
        train = _few(
            read_listing(info / f"train_filelist_{'google' if self.mini else self.engine}.txt", CLASSES), self.mini
        )
        test = _few(read_listing(info / "val_filelist.txt", CLASSES), self.mini)
        side = whole(self.side, "side", least=1)
        found = find_images([data], train.names, mend="unpack the archives of training images")
        folders = [data / "val_images_256", data / "val_images", data]
        tested = find_images(folders, test.names, mend="unpack val_images_256.tar")
        return source_from_arrays(
            "webvision",
            ImageFiles(found, train.names, side),
            train.labels,
            test_inputs=ImageFiles(tested, test.names, side),
            test_labels=test.labels,
            class_names=_class_names(info / "synsets.txt")[: MINI if self.mini else CLASSES],
            order=f"of {train.file.name}{f', classes below {MINI}' if self.mini else ''}",
            augmentation="crop_flip",
            options=plain_options(self),
            limit=limit,
        )


def _few(listing: Listing, mini: bool) -> Listing:  # noqa: FBT001 - as the option
    """The images of classes below fifty, where those are wanted."""
    if not mini:
        return listing
    kept = listing.labels < MINI
    if not kept.any():
        msg = f"{listing.file} lists no image of a class below {MINI}; copy it again"
        raise BadData(msg)
    return Listing(listing.names.filter(pa.array(kept)), listing.labels[kept], listing.file)


def _class_names(file: Path) -> list[str]:
    """Lines such as ``n01440764 tench, Tinca tinca``: the words alone are not unique, two classes are called crane."""
    try:
        names = [" ".join(line.split()) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{file} cannot be read ({getattr(error, 'strerror', None) or 'no text'}); unpack info.tar again"
        raise BadData(msg) from None
    if len(names) != CLASSES or len(set(names)) != CLASSES:
        msg = f"{file} names {len(set(names))} classes, expected {CLASSES}; unpack info.tar again"
        raise BadData(msg)
    return names


SOURCE: type[LoadSource] = WebVision
