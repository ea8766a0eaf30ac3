"""Take a picture from an array or a Pillow image, and return its colored version in the same form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from vidcolor.color.own_color import GREY, ColorEvidence, rgb_evidence, thumbnail_band
from vidcolor.frames import FloatArray
from vidcolor.inference.arrays import levels_of
from vidcolor.stills import icc

PictureLike = npt.NDArray[Any] | Image.Image
"""Grey (H, W) or (H, W, 1), R'G'B' (H, W, 3) or R'G'B'A (H, W, 4), with levels as in
:func:`vidcolor.inference.arrays.levels_of`; or a Pillow image."""


@dataclass(frozen=True)
class OnePicture:
    """A picture in floating point, and the form in which it was passed."""

    levels: FloatArray
    """(H, W) grey or (H, W, 3) R'G'B', sRGB in [0, 1]."""
    alpha: npt.NDArray[Any] | None
    """(H, W, 1) as it was passed; None: the picture has none."""
    dtype: np.dtype[Any]
    """Of the array that was passed; uint8 for images."""
    is_image: bool
    """Whether it was passed as a Pillow image."""

    @classmethod
    def of(cls, picture: PictureLike) -> OnePicture:
        """Take a picture.

        An image is turned upright by its EXIF orientation, and converted to sRGB if it has an ICC profile. Images of
        more than 8 bits must be passed as arrays.

        Raises:
            TypeError: the data type, or the mode of the image, is another one.
            ValueError: the shape is another one, there are no pixels, or values are outside the range.
        """
        if isinstance(picture, Image.Image):
            return cls._of_image(picture)
        array = np.asarray(picture)
        if array.ndim not in (2, 3) or array.shape[2:] not in ((), (1,), (3,), (4,)) or 0 in array.shape:
            expected = "expected a picture of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)"
            raise ValueError(f"{expected}, got {array.shape}; Colorizer.predict takes several pictures")
        color = array[..., :3] if array.ndim == 3 else array
        alpha = array[..., 3:] if array.shape[2:] == (4,) else None
        levels = levels_of(color[..., 0] if array.shape[2:] == (1,) else color)
        return cls(np.ascontiguousarray(levels), alpha, array.dtype, is_image=False)

    @classmethod
    def _of_image(cls, image: Image.Image) -> OnePicture:
        if image.mode.startswith(("I", "F")):
            raise TypeError(f"expected an image of 8 bits per channel, got mode {image.mode}; pass it as an array")
        image = ImageOps.exif_transpose(image)
        profile = image.info.get("icc_profile")
        alpha = None
        if image.has_transparency_data:
            rgba = image.convert("RGBA")
            image, alpha = rgba.convert("RGB"), np.asarray(rgba.getchannel("A"))[..., None]
        elif image.mode not in ("L", "RGB", "CMYK", "LAB"):
            image = image.convert("L" if image.mode == "1" else "RGB")
        if profile and not icc.is_srgb(profile):
            image = icc.to_srgb(image, profile)
        elif image.mode != "L":
            image = icc.lab_to_srgb(image) if image.mode == "LAB" else image.convert("RGB")
        return cls(levels_of(np.asarray(image)), alpha, np.dtype(np.uint8), is_image=True)

    @property
    def colors(self) -> ColorEvidence:
        """What the colors of the picture say."""
        if self.levels.ndim == 2:
            return GREY
        return rgb_evidence(thumbnail_band(self.levels, (self.levels.shape[0], self.levels.shape[1])))

    @property
    def grey(self) -> FloatArray:
        """(H, W) in [0, 1]: the gamma-encoded BT.601 luma."""
        if self.levels.ndim == 2:
            return self.levels
        return np.asarray(cv2.cvtColor(self.levels, cv2.COLOR_RGB2GRAY), np.float32)

    def colored(self, rgb: FloatArray) -> PictureLike:
        """Return R'G'B' (H, W, 3) in [0, 1] in the form that was passed: its data type, with its alpha."""
        samples = rgb
        if self.dtype.kind == "u":
            samples = np.rint(rgb * np.float32(np.iinfo(self.dtype).max))
        array = samples.astype(self.dtype)
        if self.alpha is not None:
            array = np.concatenate((array, self.alpha), axis=2)
        return Image.fromarray(array) if self.is_image else array
