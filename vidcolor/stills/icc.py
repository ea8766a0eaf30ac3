"""Color profiles of photographs: everything becomes sRGB before anyone looks at it.

Pictures of 8 bits go through LittleCMS (Pillow's ``ImageCms``). It takes no more than 8 bits a channel there, so
pictures of 16 bits are converted here, in floating point, for the two kinds of profile that they carry: three curves
and a matrix, or one grey curve (ICC.1:2022, F.2 and F.3). Any other profile at 16 bits raises
:class:`UnsupportedProfileError`; nothing is approximated in silence.
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
"""Linear sRGB to the D50 connection space of ICC profiles (Bradford adaptation)."""
PROFILE_DATE = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
"""LittleCMS writes the current time into a profile; a fixed one makes equal pictures equal files."""
TAG_NAMES = frozenset(("kTRC", "rTRC", "gTRC", "bTRC", "rXYZ", "gXYZ", "bXYZ", "A2B0"))
PARAMETRIC_NAMES = ("g", "gab", "gabc", "gabcd", "gabcdef")
"""Parameters of the five functions of a parametric curve, in file order (ICC.1:2022, 10.18)."""

Float64Array = npt.NDArray[np.float64]


class UnsupportedProfileError(ValueError):
    """A profile of tables, or of another color model, on a picture of 16 bits."""


@cache
def srgb_profile() -> bytes:
    """The profile that every written picture carries."""
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return made[:24] + PROFILE_DATE + made[36:]


def parse_profile(profile: bytes) -> ImageCms.ImageCmsProfile | None:
    """The profile, or None where LittleCMS cannot make sense of it."""
    try:
        return ImageCms.ImageCmsProfile(BytesIO(profile))
    except (OSError, ImageCms.PyCMSError):
        return None


@lru_cache(maxsize=8)
def is_srgb(profile: bytes) -> bool:
    """Whether the profile leaves greys and saturated colors where they are, to within one code value of 8 bits."""
    parsed = parse_profile(profile)
    if parsed is None or parsed.profile.xcolor_space.strip() != "RGB":
        return False
    levels = np.arange(256, dtype=np.uint8)
    rows = [levels[:, None] * np.array(on, np.uint8) for on in ((1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1))]
    probe = np.stack(rows)
    try:
        seen = np.asarray(_apply(parsed, Image.fromarray(probe)))
    except ImageCms.PyCMSError:  # garbled behind its header
        return False
    return bool(np.abs(seen.astype(int) - probe).max() <= 1)


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """A picture of mode L, RGB, CMYK or LAB, 8 bits, to mode RGB in sRGB.

    Relative colorimetric, with black point compensation. A profile that is damaged, or made for another color model
    than the picture's, is ignored, as browsers do; a grey picture with an RGB profile is read as three equal channels.
    """
    parsed = parse_profile(profile)
    model = parsed.profile.xcolor_space.strip() if parsed else ""
    if image.mode == "L" and model == "RGB":
        image = image.convert("RGB")
    if parsed is None or model != {"L": "GRAY", "LAB": "Lab"}.get(image.mode, image.mode):
        return image.convert("RGB")
    try:
        return _apply_grey(parsed, image) if image.mode == "L" else _apply(parsed, image)
    except ImageCms.PyCMSError:  # garbled behind its header
        return image.convert("RGB")


def lab_to_srgb(image: Image.Image) -> Image.Image:
    """A picture of mode LAB (CIE Lab, D50) to mode RGB in sRGB."""
    return _apply(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), image)


def _apply_grey(profile: ImageCms.ImageCmsProfile, image: Image.Image) -> Image.Image:
    """One exact transform of all 256 levels: the optimised one is wrong by up to nine levels in the shadows."""
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    table = np.asarray(_apply(profile, ramp, ImageCms.Flags.NOOPTIMIZE))[0]
    return Image.fromarray(table[np.asarray(image)])


def _apply(
    profile: ImageCms.ImageCmsProfile, image: Image.Image, flags: ImageCms.Flags = ImageCms.Flags.NONE
) -> Image.Image:
    transform = ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        image.mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags | ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    converted = ImageCms.applyTransform(image, transform)
    assert converted is not None  # only an in-place transform returns none
    return converted


@np.errstate(all="ignore")  # hostile curves divide by zero; what is then no number is refused at the end
def deep_to_srgb(samples: FloatArray, profile: bytes) -> FloatArray:
    """Gamma-encoded samples (H, W) or (H, W, 3) in [0, 1], as the profile means them, to sRGB in [0, 1], same shape.

    Raises :class:`UnsupportedProfileError` for a profile that is neither three curves and a matrix nor a grey curve, or
    undefined at some level.
    A grey picture with an RGB profile is read as three equal channels, whose result is grey again.
    """
    tags = _tags(profile)
    if samples.ndim == 2:
        return _encode_srgb(_linearise(samples, tags.get("kTRC") or tags.get("gTRC")))
    if not {"rTRC", "gTRC", "bTRC", "rXYZ", "gXYZ", "bXYZ"} <= tags.keys() or "A2B0" in tags:
        raise UnsupportedProfileError("its color profile is neither curves with a matrix nor a grey curve")
    linear = np.stack([_linearise(samples[..., i], tags[f"{c}TRC"]) for i, c in enumerate("rgb")], axis=-1)
    to_xyz = np.stack([_xyz(tags[f"{c}XYZ"]) for c in "rgb"], axis=1)
    to_srgb_linear = np.linalg.inv(np.array(LINEAR_SRGB_TO_XYZ_D50)) @ to_xyz
    return _encode_srgb(linear @ to_srgb_linear.T.astype(np.float32))


def _tags(profile: bytes) -> dict[str, bytes]:
    """The tagged elements of a profile that are used here, by signature (ICC.1:2022, 7.3)."""
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        entries = [struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(count)]
    except struct.error as exc:
        raise UnsupportedProfileError("its color profile is cut short") from exc
    found = ((signature.decode("latin-1"), start, size) for signature, start, size in entries)
    return {name: profile[start : start + size] for name, start, size in found if name in TAG_NAMES}


def _xyz(element: bytes) -> Float64Array:
    return np.frombuffer(element, ">i4", count=3, offset=8) / 65536  # s15Fixed16Number


def _linearise(samples: FloatArray, curve: bytes | None) -> FloatArray:
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
    (kind,) = struct.unpack_from(">H", curve, 8)
    if kind >= len(PARAMETRIC_NAMES):
        raise UnsupportedProfileError(f"its color profile has a parametric curve of unknown kind {kind}")
    names = PARAMETRIC_NAMES[kind]
    p = dict.fromkeys("abcdef", 0.0) | {"a": 1.0}
    p |= dict(zip(names, np.frombuffer(curve, ">i4", count=len(names), offset=12) / 65536, strict=True))
    if kind == 2:  # here c is added to both parts
        p["e"] = p["f"] = p["c"]
    if kind in (1, 2):
        p["c"], p["d"] = 0.0, -p["b"] / p["a"]
    if kind == 0:
        p["c"], p["d"] = 0.0, 0.0
    power = np.maximum(p["a"] * samples + p["b"], 0) ** p["g"] + p["e"]
    return np.where(samples >= p["d"], power, p["c"] * samples + p["f"]).astype(np.float32)


def _encode_srgb(linear: FloatArray) -> FloatArray:
    """Linear light to the sRGB encoding (IEC 61966-2-1), clipped to [0, 1]."""
    if np.isnan(linear).any():
        raise UnsupportedProfileError("its color profile has a curve that is undefined at some level")
    linear = linear.clip(0, 1)
    curved = 1.055 * np.maximum(linear, 0.0031308) ** np.float32(1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, linear * 12.92, curved).astype(np.float32)
