"""Color films as the evaluator takes them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation
from skimage.color import rgb2lab

from tests.support.clips import Clip, make_clip
from tests.support.color_films import moving_square, still_shot, write_film
from vidcolor.errors import InputError
from vidcolor_training.evaluation.color_clips import find_films, read_clip


def test_the_colors_are_the_films(tmp_path: Path) -> None:
    """Frames come back as they were written, to two levels; their Lab is scikit-image's, and grey has their L."""
    written = moving_square(5)
    path = write_film(tmp_path / "film.mkv", written, rate=Fraction(24000, 1001))
    clip = read_clip(path, name="film", size=48, max_frames=10)
    assert clip.rate == Fraction(24000, 1001)
    assert clip.true.shape == written.shape
    assert np.abs(clip.true.astype(int) - written).max() <= 2
    lab = rgb2lab(clip.true)
    np.testing.assert_allclose(clip.ab, np.moveaxis(lab[..., 1:], -1, 1), atol=0.02)
    np.testing.assert_allclose(rgb2lab(np.repeat(clip.grey[..., None], 3, axis=3))[..., 0], lab[..., 0], atol=0.02)


CLIPS = {
    "4:2:0": Clip(size=(128, 96), color=True, frames=6, tags={"colorspace": 1, "color_range": 1}),
    "BT.601": Clip(size=(128, 96), color=True, frames=6, tags={"colorspace": 6, "color_range": 1}),
    "full range": Clip(size=(128, 96), color=True, frames=6, tags={"colorspace": 1, "color_range": 2}),
    "yuvj420p": Clip(size=(128, 96), color=True, frames=6, pix_fmt="yuvj420p", codec="mjpeg", options={}),
    "10 bits": Clip(size=(128, 96), color=True, frames=6, pix_fmt="yuv420p10le", tags={"colorspace": 1}),
    "grey": Clip(size=(128, 96), frames=6, pix_fmt="gray", codec="ffv1", options={}),
}
EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


@pytest.mark.parametrize("name", CLIPS)
def test_the_mean_color_is_that_of_libav(name: str, tmp_path: Path) -> None:
    """Matrix, range, depth and sub-sampling are understood: the mean of R', G' and B' is libswscale's."""
    path = make_clip(tmp_path / "film.mkv", CLIPS[name])
    clip = read_clip(path, name="film", size=48, max_frames=6)
    assert clip.true.shape == (6, 48, 64, 3)
    with av.open(path) as container:
        frames = [frame.to_ndarray(format="rgb48le", interpolation=EXACT) / 256 for frame in container.decode(video=0)]
    expected = np.mean(frames, axis=(1, 2))[3:]  # nothing is outside R'G'B' there
    np.testing.assert_allclose(clip.true[3:].mean(axis=(1, 2)), expected, atol=0.4)


def test_it_is_upright(tmp_path: Path) -> None:
    """A film that is to be turned is turned."""
    clip = read_clip(make_clip(tmp_path / "film.mp4", Clip(rotation=90)), name="film", size=48, max_frames=2)
    assert clip.true.shape == (2, 64, 48, 3)
    assert clip.grey.shape == (2, 64, 48)
    assert clip.ab.shape == (2, 2, 64, 48)


def test_shots_and_length(tmp_path: Path) -> None:
    """Cuts are found on the grey film, and no more than ``max_frames`` are read."""
    film = np.concatenate([still_shot(1, 8), still_shot(2, 8)])
    path = write_film(tmp_path / "film.mkv", film)
    assert read_clip(path, name="film", size=48, max_frames=99).shots == (range(8), range(8, 16))
    assert read_clip(path, name="film", size=48, max_frames=11).shots == (range(8), range(8, 11))


def test_films_are_found(tmp_path: Path) -> None:
    """In folders, in order, other files left aside; two of one name are told apart."""
    for name in ("b.mp4", "a.mkv", "notes.txt", "deeper/a.mkv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    other = tmp_path / "deeper" / "a.mkv"
    found = find_films([tmp_path])
    assert found == {"a.mkv": tmp_path / "a.mkv", "b.mp4": tmp_path / "b.mp4", other.as_posix(): other}


def test_no_film(tmp_path: Path) -> None:
    """A folder without films and a file that is none are refused by name."""
    with pytest.raises(InputError, match="holds no film"):
        find_films([tmp_path])
    (tmp_path / "film.mp4").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"film\.mp4"):
        read_clip(tmp_path / "film.mp4", name="film", size=48, max_frames=3)


def test_a_film_that_is_cut_off(tmp_path: Path) -> None:
    """Damage inside the part that is read is an error that names the film."""
    path = make_clip(tmp_path / "film.mp4", Clip(frames=60, color=True))
    whole = path.read_bytes()
    middle = whole.index(b"mdat") + len(whole) // 4
    path.write_bytes(whole[:middle] + bytes(len(whole) // 3) + whole[middle + len(whole) // 3 :])
    with pytest.raises(InputError, match=r"film\.mp4"):
        read_clip(path, name="film", size=48, max_frames=60)
