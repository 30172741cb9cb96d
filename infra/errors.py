"""The error families of the system. Adapters translate vendor errors at the edge; above them only these are seen.

Each says what happened, where, and what to do about it. `Signal`s are control flow and never logged as errors.
"""

from __future__ import annotations


class SisyphusError(Exception):
    """Something went wrong; `retryable` says whether the same call may succeed later."""

    retryable = False


class TransientError(SisyphusError):
    """A network, storage or daemon hiccup: worth another try."""

    retryable = True


class PermanentError(SisyphusError):
    """Trying again changes nothing."""


class ConfigurationError(PermanentError):
    """A setting is wrong, or something it names is not installed; the message says what to do."""


class ObjectMissingError(PermanentError):
    """An object that was asked for does not exist."""


class StorageError(TransientError):
    """An object store did not do what it was asked, after its own retries."""


class StorageRefusedError(PermanentError):
    """An object store refused: credentials, an unknown bucket, or a path outside the allowed roots."""


class ChecksumError(TransientError):
    """What an object store holds is not what was sent."""


class StateStoreError(TransientError):
    """The database did not answer, after retries."""


class BrokerError(TransientError):
    """The message broker did not answer."""


class RuntimeUnavailableError(ConfigurationError):
    """The container runtime cannot run anything here; the message says why and what to install."""


class ContainerError(TransientError):
    """The container runtime failed at a container (not the command inside it)."""


class CommandNotFoundError(PermanentError):
    """The command's program does not exist in the image, or cannot be executed."""


class ImageError(PermanentError):
    """An image is not allowed, or cannot be had."""


class UnknownTaskError(PermanentError):
    """There is no task with that id."""


class UnknownTemplateError(PermanentError):
    """There is no template with that name."""


class Signal(Exception):
    """Control flow, never an error in a log."""


class LeaseLost(Signal):
    """Another attempt holds the lease, or it expired: stop the containers, discard everything."""


class CancelRequested(Signal):
    """The user canceled: nothing but the move to `canceled` may be written."""
