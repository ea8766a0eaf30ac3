"""Switch off Pillow's warnings and its limit of pixels."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

_settings = threading.Lock()  # warning filters and the pixel limit are global


@contextmanager
def pillow_without_limits() -> Iterator[None]:
    """Disable Pillow's warnings, which concern metadata, and its limit of pixels within the context."""
    with _settings, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit
