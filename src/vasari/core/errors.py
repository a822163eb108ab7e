"""The errors that Vasari raises on purpose.

Every message names the value, the place and the cure. The command line prints the message of a
`VasariError` as one sentence and exits with status 2; any other exception is a defect of ours.
"""


class VasariError(Exception):
    """Base of every error that Vasari raises on purpose."""


class DataError(VasariError, ValueError):
    """A file or frame does not hold what it must; says where and what to do."""


class NotFoundError(VasariError, LookupError):
    """An id, file, model or backbone that was asked for by name does not exist."""


class UsageError(VasariError, ValueError):
    """Arguments that do not go together or are out of range."""


class NotFittedError(VasariError, RuntimeError):
    """A model was asked for an answer before `fit` or `load`."""


class CorruptFileError(VasariError, OSError):
    """A file of ours fails its checksum or is cut short."""


class WriteError(VasariError, OSError):
    """A file or folder cannot be written; says where, why, and that nothing was changed."""
