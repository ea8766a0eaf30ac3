"""What can go wrong, as a small tree; each class knows the exit code of the command line.

    VidcolorError          1   anything that ends the work
    ├── InputError         1   the input is missing, damaged, or holds no picture
    ├── OutputError        1   the output cannot be written, or would overwrite something
    ├── WeightsError       1   a weights file is not what it says it is
    ├── ResourceError      1   the machine's memory does not suffice
    ├── TrainingError      1   a training cannot go on
    ├── StoppedError     130   a signal has ended the work in an orderly way; it can be resumed
    └── OptionError        2   the caller asked for something that does not exist or fit together

A message is one line that says which file, what was expected, what was found and what to do.
"""


def one_line(exc: BaseException) -> str:
    """What another library's exception says, as a part of a message here: on one line, never empty."""
    return " ".join(str(exc).split()) or type(exc).__name__


def told(exc: BaseException) -> str:
    """Its message with its notes, such as what has been kept, on one line."""
    return "; ".join([str(exc), *getattr(exc, "__notes__", ())])


class VidcolorError(Exception):
    """Anything that ends the work. The message is one line for a person."""

    exit_code = 1


class InputError(VidcolorError):
    """The input is missing, damaged, or holds no picture."""


class OutputError(VidcolorError):
    """The output cannot be written, or would overwrite something."""


class WeightsError(VidcolorError):
    """A weights file is not what it says it is."""


class ResourceError(VidcolorError):
    """The machine's memory does not suffice."""


class TrainingError(VidcolorError):
    """A training cannot go on: its numbers are no longer finite, or it has collapsed."""


class StoppedError(VidcolorError):
    """A signal has ended the work in an orderly way; it can be resumed."""

    exit_code = 130


class OptionError(VidcolorError):
    """An option that does not exist, or does not fit the others."""

    exit_code = 2
