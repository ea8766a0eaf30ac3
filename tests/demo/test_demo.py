"""The demo film: what it says of itself, and that it shows what it should."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidcolor import demo
from vidcolor.demo import FRAMES_PER_SHOT, HEIGHT, WIDTH, render_demo
from vidcolor.demo.landscape import CAMERA_HEIGHT, Landscape, Terrain, cast_rays
from vidcolor.demo.noise import blur_tile, sample, spectral_noise
from vidcolor.demo.seashore import TILE_TEXELS, Seashore, WindWaves
from vidcolor.demo.sound import SAMPLE_RATE, demo_sound
from vidcolor.errors import OutputError


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The film, rendered once."""
    path = tmp_path_factory.mktemp("demo") / "demo.mp4"
    render_demo(path)
    return path


@pytest.fixture(scope="module")
def planes(film: Path) -> np.ndarray:
    """All frames as (N, 3 H / 2, W): Y, then Cb and Cr."""
    with av.open(str(film)) as container:
        return np.stack([frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)])


@pytest.mark.slow
def test_streams(film: Path) -> None:
    """Five seconds of H.264 at 24 frames a second with BT.709 tags, and stereo AAC of the same length."""
    with av.open(str(film)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        context = video.codec_context
        assert (context.name, context.pix_fmt, context.width, context.height) == ("h264", "yuv420p", WIDTH, HEIGHT)
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (1, 1, 1, 1)
        assert (audio.codec_context.name, audio.sample_rate, audio.layout.nb_channels) == ("aac", SAMPLE_RATE, 2)
        times = [frame.pts * frame.time_base for frame in container.decode(video=0)]
        assert times == [Fraction(index, 24) for index in range(2 * FRAMES_PER_SHOT)]
        assert float(audio.duration * audio.time_base) == pytest.approx(5, abs=0.05)


@pytest.mark.slow
def test_film_is_grey(planes: np.ndarray) -> None:
    """Chroma is neutral everywhere; luma stays in the limited range and uses most of it."""
    assert np.abs(planes[:, HEIGHT:].astype(int) - 128).max() <= 1
    luma = planes[:, :HEIGHT]
    assert 16 <= luma.min() < 60
    assert 200 < luma.max() <= 245  # an encoder may overshoot white a little


@pytest.mark.slow
def test_one_hard_cut(planes: np.ndarray) -> None:
    """Everything moves a little between any two frames, and all of it changes once."""
    luma = planes[:, :HEIGHT].astype(np.float32)
    change = np.abs(np.diff(luma, axis=0)).mean(axis=(1, 2))
    cut = change.argmax()
    assert cut == FRAMES_PER_SHOT - 1
    others = np.delete(change, cut)
    assert others.min() > 0.5
    assert change[cut] > 2 * others.max()


@pytest.mark.slow
def test_levels_are_those_of_photographs(planes: np.ndarray) -> None:
    """The sky is brighter than the meadow, and the tree on the right is darker; dry sand is brighter than the sea."""
    meadow, beach = planes[FRAMES_PER_SHOT // 2, :HEIGHT], planes[FRAMES_PER_SHOT, :HEIGHT]
    sky, grass, tree = meadow[:50].mean(), meadow[280:, 50:350].mean(), meadow[150:220, 620:740].mean()
    assert sky > grass + 40 > tree + 55
    assert beach[-12:, :200].mean() > beach[200:300].mean() + 20


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    """A folder that does not exist is an OutputError."""
    with pytest.raises(OutputError, match="does not exist"):
        render_demo(tmp_path / "nowhere" / "demo.mp4")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("scene", [lambda rng: Landscape(rng, 90, 160, 1.0), lambda rng: Seashore(rng, 90, 160)])
def test_same_seed_same_pictures(scene: object) -> None:
    """A shot depends on its seed and on nothing else, and a frame on its time and on no frame before it."""
    first, second = scene(np.random.default_rng(3)), scene(np.random.default_rng(3))
    first.render(0.0)
    np.testing.assert_array_equal(first.render(0.5), second.render(0.5))
    assert np.abs(first.render(0.5) - scene(np.random.default_rng(4)).render(0.5)).mean() > 0.02


def test_noise_is_normalized_and_tiles() -> None:
    """Zero mean, unit variance, and no seam where the texture meets itself, blurred or not."""
    noise = spectral_noise(np.random.default_rng(0), 128, 3.0)
    assert (noise.mean(), noise.std()) == (pytest.approx(0, abs=1e-5), pytest.approx(1, abs=1e-5))
    for texture in (noise, blur_tile(noise, 3)):
        inside = np.abs(np.diff(texture, axis=1)).mean()
        assert np.abs(texture[:, 0] - texture[:, -1]).mean() < 1.5 * inside


def test_sample_repeats_and_interpolates() -> None:
    """Whole coordinates give texels, however far away; halves give the mean of two."""
    texture = np.random.default_rng(0).random((8, 8), dtype=np.float32)
    x, y = np.array([[3.0, 3 + 8e4, 3 - 8e4, 7.5]]), np.array([[5.0, 5 + 8e5, 5 - 8e5, 5]])
    expected = [texture[5, 3]] * 3 + [(texture[5, 7] + texture[5, 0]) / 2]
    np.testing.assert_allclose(sample(texture, x, y)[0], expected, atol=1e-6)


def test_rays_meet_the_ground() -> None:
    """Where a pixel sees ground, the terrain there is as high as the ray; nothing nearer hides it."""
    terrain = Terrain(np.random.default_rng(1))
    view = cast_rays(terrain, 60, 80, 80)
    hit = np.isfinite(view.z) & (view.z > 3) & (view.z < 150)
    z = np.where(hit, view.z, 3)
    height = terrain.height(view.x, z)
    np.testing.assert_allclose(height[hit], (CAMERA_HEIGHT + view.elevation * z)[hit], atol=0.1)
    assert (terrain.height(view.x / 2, z / 2) <= CAMERA_HEIGHT + view.elevation * z / 2 + 0.1)[hit].all()


def test_sea_is_rough_and_moves() -> None:
    """The slopes have about unit variance at any time and are different a moment later."""
    waves = WindWaves(np.random.default_rng(2))
    now, later = waves.slopes(0.0), waves.slopes(0.5)
    assert now.shape == (TILE_TEXELS, TILE_TEXELS, 2)
    for slopes in (now, later):
        assert 0.5 < (slopes**2).sum(axis=-1).mean() < 2
    assert np.abs(later - now).mean() > 0.1


def test_birds_sing_over_the_meadow_only() -> None:
    """Between 3 and 5 kHz single notes stand out in the first half; the second half is the louder in the bass."""
    sound = demo_sound(np.random.default_rng(5), 2.5, 2.5, 4.5)
    assert sound.shape == (2, 5 * SAMPLE_RATE)
    assert np.abs(sound).max() == pytest.approx(0.5, abs=1e-3)
    windows = sound.mean(axis=0)[: 5 * SAMPLE_RATE // 960 * 960].reshape(-1, 960)  # 20 ms each
    spectra = np.abs(np.fft.rfft(windows)) ** 2
    frequency = np.fft.rfftfreq(960, 1 / SAMPLE_RATE)
    song = spectra[:, (frequency > 3000) & (frequency < 5000)].sum(axis=1)
    bass = spectra[:, (frequency > 40) & (frequency < 250)].sum(axis=1)
    meadow, beach = slice(0, 120), slice(130, 240)
    assert song[meadow].max() > 30 * np.median(song[meadow])
    assert song[beach].max() < 10 * np.median(song[beach])
    assert bass[beach].mean() > 1.5 * bass[meadow].mean()


@pytest.mark.slow
def test_colon_in_a_folder_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path that begins like a protocol's name is a path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "FRAMES_PER_SHOT", 2)
    (tmp_path / "a:b").mkdir()
    render_demo(Path("a:b/demo.mp4"))
    assert [path.name for path in (tmp_path / "a:b").iterdir()] == ["demo.mp4"]
