"""What this package raises, a class for each kind of thing that goes wrong."""


class Error(Exception):
    """Anything that went wrong in the library: what, where, expected, found. It may name files, never what is in them."""

    #: The kind, as the library and the HTTP service call it.
    code = "internal"


class InvalidArgument(Error, ValueError):
    """The request makes no sense: no labels, a repeated label, an array of a wrong shape, a closed engine."""

    code = "invalid_argument"


class InvalidInput(InvalidArgument, TypeError):
    """Something that is no image, text or array of the kind that is taken."""


class InvalidImage(Error, ValueError):
    """Bytes that are not an image, or a damaged image."""

    code = "invalid_image"


class ImageTooLarge(Error, ValueError):
    """An image beyond the limits."""

    code = "image_too_large"


class InvalidText(Error, ValueError):
    """A text that is not valid, or longer than 1 MiB."""

    code = "invalid_text"


class InvalidModel(Error, ValueError):
    """A model folder that lacks a file, or a configuration that is wrong or not supported."""

    code = "invalid_model"


class CorruptWeights(Error, ValueError):
    """Weights or heads that are damaged, of wrong shapes, missing or not finite."""

    code = "corrupt_weights"


class Unsupported(Error, RuntimeError):
    """A valid request that this build, machine or process cannot serve."""

    code = "unsupported"


class IoError(Error, OSError):
    """A file that cannot be read or written, a full disk."""

    code = "io"


class NetworkError(Error, OSError):
    """A download that failed, a database that cannot be reached."""

    code = "network"


class Cancelled(Error, RuntimeError):
    """Somebody asked to stop."""

    code = "cancelled"


class OutOfMemory(Error, MemoryError):
    """A device that has no memory left for what was asked."""

    code = "out_of_memory"


class DeviceLost(Error, RuntimeError):
    """A device that no longer works; a new process may find that it does."""

    code = "device_lost"


class InternalError(Error, RuntimeError):
    """A defect of the library."""


BY_CODE = {kind.code: kind for kind in (
    InvalidArgument, InvalidImage, ImageTooLarge, InvalidText, InvalidModel, CorruptWeights, Unsupported, IoError,
    NetworkError, Cancelled, OutOfMemory, DeviceLost, InternalError)}
