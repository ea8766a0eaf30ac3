"""The exceptions of vidcolor, with the exit code of the command line for each.

    VidcolorError          1   base class of all
    ├── InputError         1   the input is missing, damaged, or holds no picture
    ├── OutputError        1   the output cannot be written, or would overwrite something
    ├── WeightsError       1   a weights file is missing, damaged, or does not fit its network
    ├── ResourceError      1   the machine's memory does not suffice
    ├── TrainingError      1   a training run cannot go on
    ├── StoppedError     130   a signal has ended the work in an orderly way; it can be resumed
    └── OptionError        2   an option does not exist, or does not fit the others

A message is one line that says which file, what was expected, what was found and what to do. A field of the options or
an argument that it names stands in backticks: "`crf` 51: ...". So does one that a warning names.
"""


def one_line(exc: BaseException) -> str:
    """Return the message of another library's exception on one line, and its type if there is no message."""
    return " ".join(str(exc).split()) or type(exc).__name__


def unexpected(exc: BaseException) -> str:
    """Return the message for an exception that is none of vidcolor's: it names the type, since it is a fault."""
    return f"unexpected {type(exc).__name__}: {one_line(exc)}"


def message_with_notes(exc: BaseException) -> str:
    """Return an exception's message and its notes, such as what has been kept, on one line."""
    return "; ".join([str(exc), *getattr(exc, "__notes__", ())])


class VidcolorError(Exception):
    """Base class of all exceptions that end the work. The message is one line for a person."""

    exit_code = 1


class InputError(VidcolorError):
    """The input is missing, damaged, or holds no picture."""


class OutputError(VidcolorError):
    """The output cannot be written, or would overwrite something."""


class WeightsError(VidcolorError):
    """A weights file is missing, damaged, or does not fit the network that it names."""


class ResourceError(VidcolorError):
    """The machine's memory does not suffice."""


class TrainingError(VidcolorError):
    """A training run cannot go on: its numbers are no longer finite, or it has collapsed."""


class StoppedError(VidcolorError):
    """A signal has ended the work in an orderly way; it can be resumed."""

    exit_code = 130


class OptionError(VidcolorError):
    """An option that does not exist, or does not fit the others."""

    exit_code = 2
