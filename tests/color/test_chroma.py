"""ab to chroma planes. scikit-image is the oracle for Lab, the definitions of BT.601 and its kin for Y'CbCr."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from skimage.color import lab2xyz, rgb2lab

from tests.support.samples import SPEC
from vidcolor.color.chroma import (
    ab_to_chroma,
    channel_offsets,
    codes_of_8_bits,
    codes_of_any_depth,
    colorize_grey,
    fade,
    limit_to_gamut,
    quantize,
    upsample_field,
)
from vidcolor.color.chroma_table import chroma_table, table_for
from vidcolor.color.luma import shrink
from vidcolor.color.luma_weights import BT601, BT709, luma_weights
from vidcolor.errors import InputError
from vidcolor.frames import ChromaFormat, Frame, Picture, VideoSpec
from vidcolor.render import render

KR_KB = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 6: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}


def chroma_format(spec: VideoSpec, subsampling: tuple[int, int] = (1, 1), siting: str = "left") -> ChromaFormat:
    x, y = subsampling
    return ChromaFormat(
        width=-(-spec.width // x),
        height=-(-spec.height // y),
        bit_depth=spec.bit_depth,
        subsampling_x=x,
        subsampling_y=y,
        siting=siting,
    )


def smooth_noise(shape: tuple[int, ...], seed: int, sigma: float = 5) -> np.ndarray:
    """Planes of smooth noise in [0, 1]."""
    noise = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    planes = np.stack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in noise.reshape(-1, *shape[-2:])])
    planes -= planes.min(axis=(1, 2), keepdims=True)
    planes /= planes.max(axis=(1, 2), keepdims=True)
    return planes.reshape(shape)


def to_ycbcr(rgb: np.ndarray, matrix: int) -> np.ndarray:
    """R'G'B' (3, H, W) to Y', Cb, Cr by the definition."""
    kr, kb = KR_KB[matrix]
    luma = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2]
    return np.stack((luma, (rgb[2] - luma) / (2 - 2 * kb), (rgb[0] - luma) / (2 - 2 * kr)))


def true_ab(rgb: np.ndarray) -> np.ndarray:
    return np.moveaxis(rgb2lab(np.moveaxis(rgb, 0, -1)), -1, 0)[1:].astype(np.float32)


def encode_luma(level: np.ndarray, spec: VideoSpec) -> np.ndarray:
    """[0, 1] to code values."""
    step = 2 ** (spec.bit_depth - 8)
    codes = level * (2**spec.bit_depth - 1) if spec.full_range else 16 * step + level * 219 * step
    return np.rint(codes).astype(np.uint8 if spec.bit_depth == 8 else np.uint16)


def frame_of(luma: np.ndarray, ab: np.ndarray | None, spec: VideoSpec) -> Frame:
    """A frame whose grey is the luma at its own size."""
    frame = next(shrink(iter([Picture(0, 1, luma)]), spec, min(spec.width, spec.height)))
    return replace(frame, ab=ab)


def frame_with(luma: np.ndarray, ab: np.ndarray, spec: VideoSpec) -> Frame:
    """A frame whose ab is as given once it has faded towards black and white."""
    frame = frame_of(luma, None, spec)
    return replace(frame, ab=ab / fade(frame.grey))


def render_one(frame: Frame, spec: VideoSpec, layout: ChromaFormat, saturation: float = 1.0):
    ((_, cb, cr),) = render(iter([frame]), spec, layout, saturation=saturation)
    return cb, cr


@pytest.mark.parametrize("matrix", sorted(KR_KB))
@pytest.mark.parametrize(("bit_depth", "full_range"), [(8, False), (8, True), (10, False)])
def test_true_ab_gives_true_chroma(matrix, bit_depth, full_range):
    """With the ab of a color picture and its luma, the planes are the picture's, in every matrix, depth and range."""
    spec = replace(SPEC, matrix=matrix, bit_depth=bit_depth, full_range=full_range)
    rgb = 0.15 + 0.7 * smooth_noise((3, spec.height, spec.width), 1)
    luma, *expected = to_ycbcr(rgb, matrix)
    planes = render_one(frame_with(encode_luma(luma, spec), true_ab(rgb), spec), spec, chroma_format(spec))
    scale = (2**bit_depth - 1) if full_range else 224 * 2 ** (bit_depth - 8)
    for plane, wanted in zip(planes, expected, strict=True):
        assert plane.dtype == (np.uint8 if bit_depth == 8 else np.uint16)
        error = (plane.astype(float) - (wanted * scale + 2 ** (bit_depth - 1))) / 2 ** (bit_depth - 8)
        assert np.abs(error).max() <= 1.5
        assert np.sqrt(np.mean(error**2)) <= 0.5


def test_wide_gamut_film_gets_the_same_color():
    """A color of sRGB, put into BT.2020 by the book, is what BT.2020 primaries and matrix give back."""
    rgb = 0.2 + 0.6 * smooth_noise((3, 64, 96), 2)
    wide = 1.055 * np.einsum("ij,jhw->ihw", TO_2020, to_linear(rgb)) ** (1 / 2.4) - 0.055
    spec = replace(SPEC, matrix=9, primaries=9, bit_depth=10)
    luma, *expected = to_ycbcr(wide, 9)
    planes = render_one(frame_with(encode_luma(luma, spec), true_ab(rgb), spec), spec, chroma_format(spec))
    for plane, wanted in zip(planes, expected, strict=True):
        assert np.abs(plane - (wanted * 896 + 512)).max() <= 4  # one code value at 8 bits


@pytest.mark.parametrize("matrix", [1, 6, 9])
def test_table_is_close_to_the_exact_conversion(matrix):
    """Within 1 code value at 8 bits for every color of sRGB: a grid of 86 levels, the corners of the cube included."""
    levels = np.linspace(0, 1, 86)
    rgb = np.stack(np.meshgrid(levels, levels, levels, indexing="ij")).reshape(3, 86, -1)
    luma, *expected = to_ycbcr(rgb, matrix)
    table = chroma_table(luma_weights(replace(SPEC, matrix=matrix)))
    error = np.abs(ab_to_chroma(luma.astype(np.float32), true_ab(rgb), table) - expected) * 224
    assert error.max() <= 1


def to_linear(rgb: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1."""
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def pq_by_the_book(nits: np.ndarray) -> np.ndarray:
    """The inverse EOTF of SMPTE ST 2084, with its constants as it prints them."""
    ratio = (nits / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * ratio) / (1 + 18.6875 * ratio)) ** 78.84375


def hlg_by_the_book(nits: np.ndarray) -> np.ndarray:
    """BT.2100 table 5: OOTF of a display of 1000 cd/m² backwards, then the OETF. (3, ...) light in BT.2020."""
    display = nits / 1000
    luminance = np.tensordot([0.2627, 0.6780, 0.0593], display, 1)
    scene = display * np.maximum(luminance, 1e-12) ** ((1 - 1.2) / 1.2)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])  # BT.2087
BY_THE_BOOK = {16: pq_by_the_book, 18: hlg_by_the_book}
HDR = replace(SPEC, matrix=9, primaries=9, bit_depth=10)


@pytest.mark.slow
@pytest.mark.parametrize("transfer", [16, 18])
def test_hdr_film_gets_the_same_color(transfer):
    """An sRGB picture that BT.2408 brings into PQ or HLG, with its white at 203 cd/m², gets its chroma back."""
    rgb = 0.05 + 0.9 * smooth_noise((3, 64, 96), 12)
    signal = BY_THE_BOOK[transfer](203 * np.einsum("ij,jhw->ihw", TO_2020, to_linear(rgb)))
    spec = replace(HDR, transfer=transfer)
    luma, *expected = to_ycbcr(signal, 9)
    planes = render_one(frame_with(encode_luma(luma, spec), true_ab(rgb), spec), spec, chroma_format(spec))
    for plane, wanted in zip(planes, expected, strict=True):
        assert np.ptp(plane) > 80
        assert np.abs(plane - (wanted * 896 + 512)).max() <= 4  # one code value at 8 bits


@pytest.mark.slow
@pytest.mark.parametrize(("transfer", "most"), [(16, 2.6), (18, 1.4)])
def test_table_of_hdr_films(transfer, most):
    """Within 1 code value at 8 bits for all but a few of sRGB's colors, which are all but black."""
    levels = np.linspace(0, 1, 52)
    rgb = np.stack(np.meshgrid(levels, levels, levels, indexing="ij")).reshape(3, 52, -1)
    luma, *expected = to_ycbcr(BY_THE_BOOK[transfer](203 * np.einsum("ij,jhw->ihw", TO_2020, to_linear(rgb))), 9)
    table = table_for(replace(HDR, transfer=transfer))
    error = np.abs(ab_to_chroma(luma.astype(np.float32), true_ab(rgb), table) - expected).max(axis=0) * 224
    assert error.max() <= most
    assert (error > 1).mean() <= 5e-4


@pytest.mark.slow
@pytest.mark.parametrize(("transfer", "brightest"), [(16, 20), (18, 3)])
def test_highlights_keep_their_chromaticity(transfer, brightest):
    """Beyond diffuse white light grows at one chromaticity; what would pass the peak loses chroma instead."""
    to_rgb = np.array([[3.2405, -1.5371, -0.4985], [-0.9693, 1.8760, 0.0416], [0.0556, -0.2040, 1.0572]])
    at_white = to_rgb @ lab2xyz(np.array([[[100.0, 12, -20]]]))[0, 0]
    times = np.geomspace(1, brightest, 50)
    light = 203 * np.einsum("ij,j,w->iw", TO_2020, at_white, times)[:, None]
    luma, *expected = to_ycbcr(BY_THE_BOOK[transfer](light), 9)
    ab = np.broadcast_to(np.float32([12, -20])[:, None, None], (2, 1, 50))
    table = table_for(replace(HDR, transfer=transfer))
    found = ab_to_chroma(luma.astype(np.float32), ab, table)
    assert np.abs(found - expected).max() * 224 <= 1
    peak = np.full((1, 50), 0.99, np.float32)
    limited = peak + np.stack(channel_offsets(ab_to_chroma(peak, 4 * ab, table), table.weights))
    assert limited.max() <= 1.00001
    assert limited.std(axis=0).min() > 0


@pytest.mark.slow
def test_p3_film_gets_the_same_color():
    """A color of sRGB, put into P3 by its chromaticities, is what P3 primaries give back."""
    rgb = 0.2 + 0.6 * smooth_noise((3, 64, 96), 2)

    def to_xyz(red, green, blue):
        corners = np.array([[x / y, 1, (1 - x - y) / y] for x, y in (red, green, blue)]).T
        return corners * np.linalg.solve(corners, [0.3127 / 0.3290, 1, 0.3583 / 0.3290])

    srgb, p3 = to_xyz((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), to_xyz((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
    wide = 1.055 * np.einsum("ij,jhw->ihw", np.linalg.solve(p3, srgb), to_linear(rgb)) ** (1 / 2.4) - 0.055
    spec = replace(SPEC, primaries=12, bit_depth=10)
    luma, *expected = to_ycbcr(wide, 1)
    planes = render_one(frame_with(encode_luma(luma, spec), true_ab(rgb), spec), spec, chroma_format(spec))
    for plane, wanted in zip(planes, expected, strict=True):
        assert np.abs(plane - (wanted * 896 + 512)).max() <= 4


@pytest.mark.parametrize("bit_depth", [8, 10, 16])
@pytest.mark.parametrize("full_range", [False, True])
def test_neutral_is_exactly_the_middle(bit_depth, full_range):
    """Zero ab gives code value 2^(d-1) at every luma, also outside the nominal range."""
    spec = replace(SPEC, bit_depth=bit_depth, full_range=full_range)
    dtype = np.uint8 if bit_depth == 8 else np.uint16
    luma = np.random.default_rng(3).integers(0, 2**bit_depth, (spec.height, spec.width)).astype(dtype)
    ab = np.zeros((2, spec.height, spec.width), np.float32)
    for plane in render_one(frame_of(luma, ab, spec), spec, chroma_format(spec, (2, 2))):
        assert (plane == 2 ** (bit_depth - 1)).all()


def test_no_color_leaves_the_gamut():
    """R'G'B' of luma and chroma planes is in [0, 1], up to rounding, however large ab is."""
    luma = encode_luma(smooth_noise((64, 96), 4, 2), SPEC)
    ab = 400 * (smooth_noise((2, 64, 96), 5) - 0.5)
    cb, cr = render_one(frame_of(luma, ab, SPEC), SPEC, chroma_format(SPEC), saturation=3)
    chroma = (np.stack((cb, cr)).astype(np.float32) - 128) / 224
    level = (luma.astype(np.float32) - 16) / 219
    rgb = level + np.stack(channel_offsets(chroma, BT709))
    assert rgb.min() > -0.006
    assert rgb.max() < 1.006
    assert np.abs(chroma).max() > 0.3


@pytest.mark.parametrize(
    ("level", "expected"), [(0, 0), (0.065, 0.632), (0.13, 0.865), (0.5, 1), (0.944, 0.865), (0.972, 0.632), (1, 0)]
)
def test_fade_near_black_and_white(level, expected):
    """It falls exponentially: to 1 - 1/e at .065 from black and at .028 from white."""
    np.testing.assert_allclose(fade(np.full((1, 1), level, np.float32)), expected, atol=0.006)


def test_color_fades_towards_black_and_white():
    """The fade is 0 at black and white and nearly 1 between, without steps, for photographs and films alike."""
    levels = np.linspace(0, 1, 2001, dtype=np.float32)[None]
    (factor,) = fade(levels)
    assert factor[0] == factor[-1] == 0
    assert (factor[levels[0] < 0.1] < 0.8).all()
    assert (factor[(levels[0] > 0.3) & (levels[0] < 0.9)] > 0.95).all()
    assert np.abs(np.diff(factor)).max() < 0.04
    dark = np.full((64, 96), 0.05, np.float32)
    ab = np.stack((np.full_like(dark, 4), np.full_like(dark, -4)))
    photograph = colorize_grey(dark, ab, saturation=1)
    expected = 0.05 + np.stack(channel_offsets(ab_to_chroma(dark, ab * fade(dark), chroma_table(BT601)), BT601), -1)
    np.testing.assert_allclose(photograph, expected, atol=1e-5)


def test_gamut_limit_keeps_hue_and_inner_colors():
    """Colors inside are untouched; outside ones are scaled until a channel touches 0 or 1."""
    luma = np.full((1, 3), 0.5, np.float32)
    chroma = np.array([[[0.1, 0.4, -0.05]], [[0.1, 0.6, 0.45]]], np.float32)
    limited = limit_to_gamut(luma, chroma, BT709)
    np.testing.assert_array_equal(limited[..., 0], chroma[..., 0])
    np.testing.assert_allclose(limited[0] * chroma[1], limited[1] * chroma[0], atol=1e-6)
    rgb = luma + np.stack(channel_offsets(limited, BT709))
    reach = np.maximum(rgb.max(axis=0), 1 - rgb.min(axis=0))
    np.testing.assert_allclose(reach[0, 1:], 1, atol=1e-6)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", sorted(KR_KB))
def test_codes_that_look_safe_need_no_limit(matrix, full_range):
    """At 8 bits, limiting only colors near the edge of the gamut gives the codes of limiting all."""
    spec = replace(SPEC, matrix=matrix, full_range=full_range)
    random = np.random.default_rng(matrix)
    luma = np.tile(np.arange(256, dtype=np.uint8), (300, 2))  # every code, also beyond black and white
    chroma = random.normal(0, random.uniform(0, 0.2, (2, *luma.shape))).astype(np.float32)
    rows = np.concatenate((np.linspace(-0.5, 0.5, 256), np.zeros(256))).astype(np.float32)
    chroma[:, :8] = np.stack((rows, rows[::-1]))[:, None]
    weights = luma_weights(spec)
    expected = codes_of_any_depth(luma, chroma, spec, 8, weights)
    np.testing.assert_array_equal(codes_of_8_bits(luma, chroma, spec, 8, weights), expected)
    assert 0.05 < np.mean(np.stack(expected) != np.stack([quantize(plane, 8, full_range) for plane in chroma])) < 0.95


def test_black_and_white_carry_no_color():
    """At black and white chroma is neutral."""
    luma = np.full((64, 96), 16, np.uint8)
    luma[:, 48:] = 235
    cb, cr = render_one(frame_of(luma, np.full((2, 64, 96), 60, np.float32), SPEC), SPEC, chroma_format(SPEC))
    assert (cb == 128).all()
    assert (cr == 128).all()


@pytest.mark.parametrize(
    ("siting", "pick"),
    [
        ("left", lambda full: (full[::2, ::2] + full[1::2, ::2]) / 2),
        ("center", lambda full: (full[::2, ::2] + full[1::2, ::2] + full[::2, 1::2] + full[1::2, 1::2]) / 4),
        ("topleft", lambda full: full[::2, ::2]),
    ],
)
def test_chroma_siting(siting, pick):
    """On a soft edge, each 4:2:0 sample is the value of the 4:4:4 picture at its siting."""
    spec = replace(SPEC, bit_depth=10)
    luma = np.full((64, 96), 500, np.uint16)
    y, x = np.indices((64, 96), dtype=np.float32)
    ab = 30 * np.tanh(np.stack((x - 47.5, y - 31.5)) / 12)
    frame = frame_of(luma, ab, spec)
    full = render_one(frame, spec, chroma_format(spec))
    for plane, reference in zip(render_one(frame, spec, chroma_format(spec, (2, 2), siting)), full, strict=True):
        difference = plane.astype(float) - pick(reference.astype(float))
        assert np.sqrt(np.mean(difference[2:-2, 2:-2] ** 2)) <= 0.7  # the next siting is 2 or more away


@pytest.mark.parametrize(
    ("bit_depth", "full_range", "codes"),
    [(8, False, [16, 128, 240]), (8, True, [0, 128, 255]), (10, False, [64, 512, 960]), (10, True, [0, 512, 1023])],
)
def test_code_values_of_chroma(bit_depth, full_range, codes):
    """The smallest, neutral and largest chroma, as H.273 prints them, in the type of the bit depth."""
    found = quantize(np.array([[-0.5, 0, 0.5]], np.float32), bit_depth, full_range)
    assert found.dtype == (np.uint8 if bit_depth == 8 else np.uint16)
    np.testing.assert_array_equal(found, [codes])


@pytest.mark.parametrize(("siting", "across"), [("left", 0), ("center", 0.5), ("topleft", 0)])
@pytest.mark.parametrize("parity", [0, 1])
def test_chroma_siting_of_fields(siting, across, parity):
    """A chroma line of a field lies a quarter below its first luma line, or three quarters, or on a line of 4:2:0."""
    spec = replace(SPEC, width=32, height=32)
    y, x = np.indices((16, 32), dtype=np.float32)
    down = 0.5 * parity if siting == "topleft" else 0.25 + 0.5 * parity
    found = upsample_field(np.stack((x, y)), spec, chroma_format(spec, (2, 2), siting), parity)
    j, i = np.indices(found.shape[1:])
    np.testing.assert_allclose(found[0][2:-2, 2:-2], (2 * i + across)[2:-2, 2:-2], atol=0.05)
    np.testing.assert_allclose(found[1][2:-2, 2:-2], (2 * j + down)[2:-2, 2:-2], atol=0.05)


@pytest.mark.parametrize("size", [(97, 65), (33, 47), (2, 2), (1, 1)])
@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2), (4, 1)])
@pytest.mark.parametrize("siting", ["left", "center", "topleft"])
def test_every_size_and_format_gets_planes_of_its_shape(size, subsampling, siting):
    """Odd sizes round up, as in every pixel format."""
    spec = replace(SPEC, width=size[0], height=size[1])
    frame = frame_of(np.full(size[::-1], 120, np.uint8), None, spec)
    layout = chroma_format(spec, subsampling, siting)
    for plane in render_one(replace(frame, ab=np.full((2, *frame.grey.shape), 20, np.float32)), spec, layout):
        assert plane.shape == (layout.height, layout.width)


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_rotated_film_gets_its_color_the_way_it_is_stored(rotation):
    """Chroma of upright ab is rotated to the orientation of the stored picture."""
    spec = replace(SPEC, rotation=rotation)
    rgb = 0.2 + 0.6 * smooth_noise((3, 64, 96), 6)
    luma = encode_luma(to_ycbcr(rgb, 1)[0], spec)
    upright_ab = np.rot90(true_ab(rgb), rotation // 90, axes=(1, 2)).copy()
    turned = render_one(frame_of(luma, upright_ab, spec), spec, chroma_format(spec, (2, 2)))
    stored = render_one(frame_of(luma, true_ab(rgb), SPEC), SPEC, chroma_format(SPEC, (2, 2)))
    for plane, reference in zip(turned, stored, strict=True):
        np.testing.assert_array_equal(plane, reference)


def test_saturation_is_a_factor_on_ab():
    """Saturation 2 is ab times 2; saturation 0 is grey."""
    frame = frame_of(np.full((64, 96), 120, np.uint8), 20 * smooth_noise((2, 64, 96), 7), SPEC)
    layout = chroma_format(SPEC, (2, 2))
    doubled = render_one(replace(frame, ab=frame.ab * 2), SPEC, layout)
    np.testing.assert_array_equal(render_one(frame, SPEC, layout, saturation=2), doubled)
    assert (np.stack(render_one(frame, SPEC, layout, saturation=0)) == 128).all()


@pytest.mark.parametrize(("size", "expected"), [((720, 576), BT601), ((1280, 534), BT709), ((640, 720), BT709)])
def test_unspecified_matrix_goes_by_size(size, expected):
    """Standard definition is BT.601, high definition BT.709."""
    assert luma_weights(replace(SPEC, matrix=2, width=size[0], height=size[1])) == expected


@pytest.mark.parametrize("matrix", [0, 8, 10, 14])
def test_matrices_without_weights_are_refused(matrix):
    """RGB, YCgCo, constant-luminance and ICtCp films raise InputError."""
    with pytest.raises(InputError, match=f"found matrix {matrix};"):
        luma_weights(replace(SPEC, matrix=matrix))


def test_a_frame_without_ab_is_a_mistake():
    """Rendering a frame without ab raises ValueError."""
    frame = frame_of(np.full((64, 96), 120, np.uint8), None, SPEC)
    with pytest.raises(ValueError, match="expected ab on every frame"):
        render_one(frame, SPEC, chroma_format(SPEC))


def test_photograph_keeps_its_grey():
    """The BT.601 luma of a colored photograph is its grey, and all values are in [0, 1]."""
    grey = smooth_noise((120, 90), 8, 2)
    rgb = colorize_grey(grey, 300 * (smooth_noise((2, 40, 30), 9) - 0.5), saturation=1.5)
    assert rgb.shape == (120, 90, 3)
    assert rgb.dtype == np.float32
    assert rgb.min() >= 0
    assert rgb.max() <= 1
    assert rgb.std(axis=2).max() > 0.2
    np.testing.assert_allclose(rgb @ np.array([0.299, 0.587, 0.114]), grey, atol=2e-6)


def test_photograph_gets_its_true_color():
    """True ab at half size gives a smooth photograph back."""
    rgb = 0.2 + 0.6 * smooth_noise((3, 120, 160), 10, 8)
    ab = np.stack([cv2.resize(plane, (80, 60), interpolation=cv2.INTER_AREA) for plane in true_ab(rgb)])
    grey = np.tensordot([0.299, 0.587, 0.114], rgb, axes=1).astype(np.float32)
    found = colorize_grey(grey, ab, saturation=1)
    assert np.abs(found - np.moveaxis(rgb, 0, -1)).max() < 0.02
