"""Files that appear under their name only when they are whole."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vidcolor.errors import OutputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to: it becomes ``path`` if all goes well, and is removed otherwise.

    Raises :class:`OutputError` for any OSError on the way.
    """
    # Not made of the name itself, which may already be as long as the file system allows.
    part = path.with_name(f".vidcolor-{secrets.token_hex(6)}.part")
    try:
        yield part
        part.replace(path)
    except OSError as exc:
        raise OutputError(f"{path}: cannot be written ({exc.strerror or exc})") from exc
    finally:
        part.unlink(missing_ok=True)
