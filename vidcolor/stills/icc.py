"""Convert pictures with ICC profiles to sRGB.

Pictures of 8 bits are converted by LittleCMS (Pillow's ``ImageCms``), which supports only 8 bits per channel there.
Pictures of 16 bits are converted here, in floating point, for the two kinds of profile that such pictures have: three
curves and a matrix, or one grey curve (ICC.1:2022, F.2 and F.3). Any other profile at 16 bits raises
:class:`UnsupportedProfileError`.
"""

from __future__ import annotations

import struct
from functools import cache, lru_cache
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from vidcolor.frames import FloatArray

LINEAR_SRGB_TO_XYZ_D50 = (
    (0.4360747, 0.3850649, 0.1430804),
    (0.2225045, 0.7168786, 0.0606169),
    (0.0139322, 0.0971045, 0.7141733),
)
"""Matrix from linear sRGB to the profile connection space, XYZ D50 (Bradford adaptation)."""
PROFILE_DATE = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
"""Creation date in written profiles; LittleCMS writes the current time, which would make equal pictures differ."""
TAG_NAMES = frozenset(("kTRC", "rTRC", "gTRC", "bTRC", "rXYZ", "gXYZ", "bXYZ", "A2B0"))
"""Signatures of the tags that are read."""
PARAMETRIC_NAMES = ("g", "gab", "gabc", "gabcd", "gabcdef")
"""Parameters of the five types of parametric curve, in file order (ICC.1:2022, 10.18)."""

Float64Array = npt.NDArray[np.float64]


class UnsupportedProfileError(ValueError):
    """The profile of a picture of 16 bits is of a kind that is not supported."""


@cache
def srgb_profile() -> bytes:
    """Return the sRGB profile that is embedded in every written picture."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile[:24] + PROFILE_DATE + profile[36:]


def parse_profile(profile: bytes) -> ImageCms.ImageCmsProfile | None:
    """Parse a profile; return None if LittleCMS cannot."""
    try:
        return ImageCms.ImageCmsProfile(BytesIO(profile))
    except (OSError, ImageCms.PyCMSError):
        return None


@lru_cache(maxsize=8)
def is_srgb(profile: bytes) -> bool:
    """Return whether a profile changes greys and saturated colors by at most one code value of 8 bits."""
    parsed = parse_profile(profile)
    if parsed is None or parsed.profile.xcolor_space.strip() != "RGB":
        return False
    levels = np.arange(256, dtype=np.uint8)
    rows = [levels[:, None] * np.array(on, np.uint8) for on in ((1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1))]
    probe = np.stack(rows)
    try:
        converted = np.asarray(_apply(parsed, Image.fromarray(probe)))
    except ImageCms.PyCMSError:  # damaged after its header
        return False
    return bool(np.abs(converted.astype(int) - probe).max() <= 1)


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert a picture of 8 bits to sRGB: relative colorimetric, with black point compensation.

    A profile that is damaged or of another color model than the picture is ignored, as in browsers. A grey picture
    with an RGB profile is read as three equal channels.

    Args:
        image: of mode L, RGB, CMYK or LAB.
        profile: ICC profile.

    Returns:
        A picture of mode RGB.
    """
    parsed = parse_profile(profile)
    model = parsed.profile.xcolor_space.strip() if parsed else ""
    if image.mode == "L" and model == "RGB":
        image = image.convert("RGB")
    if parsed is None or model != {"L": "GRAY", "LAB": "Lab"}.get(image.mode, image.mode):
        return image.convert("RGB")
    try:
        return _apply_grey(parsed, image) if image.mode == "L" else _apply(parsed, image)
    except ImageCms.PyCMSError:  # damaged after its header
        return image.convert("RGB")


def lab_to_srgb(image: Image.Image) -> Image.Image:
    """Convert a picture of mode LAB (CIE Lab, D50) to mode RGB in sRGB."""
    return _apply(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), image)


def _apply_grey(profile: ImageCms.ImageCmsProfile, image: Image.Image) -> Image.Image:
    """Convert a grey picture by a table of all levels; LittleCMS's optimized transform is off by up to nine levels."""
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    table = np.asarray(_apply(profile, ramp, ImageCms.Flags.NOOPTIMIZE))[0]
    return Image.fromarray(table[np.asarray(image)])


def _apply(
    profile: ImageCms.ImageCmsProfile, image: Image.Image, flags: ImageCms.Flags = ImageCms.Flags.NONE
) -> Image.Image:
    """Convert a picture to sRGB by LittleCMS."""
    transform = ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        image.mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags | ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # None is for transforms in place
    return converted


@np.errstate(all="ignore")  # curves may divide by zero; NaN is refused at the end
def deep_to_srgb(samples: FloatArray, profile: bytes) -> FloatArray:
    """Convert samples from the color space of a profile to sRGB in floating point.

    A grey picture with an RGB profile is read as three equal channels, whose result is grey again.

    Args:
        samples: gamma-encoded, (H, W) or (H, W, 3) in [0, 1].
        profile: ICC profile.

    Returns:
        sRGB in [0, 1], of the same shape.

    Raises:
        UnsupportedProfileError: the profile is neither three curves with a matrix nor a grey curve, or undefined at
            some level.
    """
    tags = _tags(profile)
    if samples.ndim == 2:
        return encode_srgb(_to_linear(samples, tags.get("kTRC") or tags.get("gTRC")))
    if not {"rTRC", "gTRC", "bTRC", "rXYZ", "gXYZ", "bXYZ"} <= tags.keys() or "A2B0" in tags:
        raise UnsupportedProfileError("its color profile is neither curves with a matrix nor a grey curve")
    linear = np.stack([_to_linear(samples[..., i], tags[f"{c}TRC"]) for i, c in enumerate("rgb")], axis=-1)
    to_xyz = np.stack([_xyz(tags[f"{c}XYZ"]) for c in "rgb"], axis=1)
    to_srgb_linear = np.linalg.inv(np.array(LINEAR_SRGB_TO_XYZ_D50)) @ to_xyz
    return encode_srgb(linear @ to_srgb_linear.T.astype(np.float32))


def _tags(profile: bytes) -> dict[str, bytes]:
    """Return the elements of a profile with :data:`TAG_NAMES`, by signature (ICC.1:2022, 7.3)."""
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        entries = [struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(count)]
    except struct.error as exc:
        raise UnsupportedProfileError("its color profile is cut short") from exc
    found = ((signature.decode("latin-1"), start, size) for signature, start, size in entries)
    return {name: profile[start : start + size] for name, start, size in found if name in TAG_NAMES}


def _xyz(element: bytes) -> Float64Array:
    """Parse an XYZType: three numbers (ICC.1:2022, 10.31)."""
    return np.frombuffer(element, ">i4", count=3, offset=8) / 65536  # s15Fixed16Number


def _to_linear(samples: FloatArray, curve: bytes | None) -> FloatArray:
    """Apply a curveType or parametricCurveType (ICC.1:2022, 10.6 and 10.18)."""
    if curve is None:
        raise UnsupportedProfileError("its color profile has no tone curve")
    kind = curve[:4]
    if kind == b"para":
        return _parametric(samples, curve)
    if kind != b"curv":
        raise UnsupportedProfileError(f"its color profile has a tone curve of type {kind!r}")
    (count,) = struct.unpack_from(">I", curve, 8)
    table = np.frombuffer(curve, ">u2", count=count, offset=12)
    if count == 0:
        return samples
    if count == 1:
        return np.power(samples, np.float32(table[0] / 256), dtype=np.float32)  # u8Fixed8Number
    return np.interp(samples, np.linspace(0, 1, count), table / 65535).astype(np.float32)


def _parametric(samples: FloatArray, curve: bytes) -> FloatArray:
    """Apply a parametricCurveType (ICC.1:2022, 10.18)."""
    (kind,) = struct.unpack_from(">H", curve, 8)
    if kind >= len(PARAMETRIC_NAMES):
        raise UnsupportedProfileError(f"its color profile has a parametric curve of unknown kind {kind}")
    names = PARAMETRIC_NAMES[kind]
    p = dict.fromkeys("abcdef", 0.0) | {"a": 1.0}
    p |= dict(zip(names, np.frombuffer(curve, ">i4", count=len(names), offset=12) / 65536, strict=True))
    if kind == 2:  # in this type c is added to both parts
        p["e"] = p["f"] = p["c"]
    if kind in (1, 2):
        p["c"], p["d"] = 0.0, -p["b"] / p["a"]
    if kind == 0:
        p["c"], p["d"] = 0.0, 0.0
    power = np.maximum(p["a"] * samples + p["b"], 0) ** p["g"] + p["e"]
    return np.where(samples >= p["d"], power, p["c"] * samples + p["f"]).astype(np.float32)


def encode_srgb(linear: FloatArray) -> FloatArray:
    """Convert linear light to sRGB (IEC 61966-2-1), clipped to [0, 1]; raise UnsupportedProfileError for NaN."""
    if np.isnan(linear).any():
        raise UnsupportedProfileError("its color profile has a curve that is undefined at some level")
    linear = linear.clip(0, 1)
    curved = 1.055 * np.maximum(linear, 0.0031308) ** np.float32(1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, curved).astype(np.float32)
