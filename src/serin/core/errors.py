"""Every error that Serin raises on purpose, and the exit code each one ends a command with.

    SerinError                      1   failed
    ├── UsageError                  2   the command line asks for something that cannot be
    ├── GateError                   3   a gate said no; nothing is broken
    ├── RetryableError              75  try again: nothing is lost
    │   └── PreemptedError          75  stopped from outside after a new checkpoint was saved
    ├── ConfigError                 78  params, data or model cannot work as given
    │   └── ParamsError             78  params.yaml has faults; all of them are listed
    └── FinalError                  1   failed, and trying again will not help
        ├── InputError              1   an input file or folder is missing, damaged or not what it claims
        ├── StorageError            1   storage refused or lost something
        └── ServingError            1   serving could not start, or a revision could not be served

A message says what was found, what was expected and what to do next. Exit codes 75 and 78 are EX_TEMPFAIL and
EX_CONFIG of sysexits.h; a Kubernetes Job's podFailurePolicy tells them apart from crashes.
"""

from typing import ClassVar


class SerinError(Exception):
    """The root: catch this to catch everything that Serin raises on purpose."""

    exit_code: ClassVar[int] = 1


class UsageError(SerinError):
    """The command line asks for something that cannot be done."""

    exit_code = 2


class GateError(SerinError):
    """A gate concluded no: the work was done, and its verdict forbids the next step."""

    exit_code = 3


class RetryableError(SerinError):
    """The same command may succeed when it is run again."""

    exit_code = 75


class PreemptedError(RetryableError):
    """Stopped from outside (SIGTERM) after a new checkpoint had been saved; run again to go on from it."""


class ConfigError(SerinError):
    """What the user gave cannot work, and a retry with the same input cannot either."""

    exit_code = 78


class ParamsError(ConfigError):
    """Faults in params, each one line of ``faults``: ``path = value: rule; what to do``."""

    def __init__(self, source: str, faults: list[str]) -> None:
        self.source = source
        self.faults = faults
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        super().__init__("\n".join([f"{source} has {count}:", *(f"  {fault}" for fault in faults)]))


class FinalError(SerinError):
    """Failed for a reason that another try does not change."""


class InputError(FinalError):
    """An input is missing, damaged or not what it claims to be."""


class StorageError(FinalError):
    """Storage refused a request, or does not hold what it should."""


class ServingError(FinalError):
    """Serving could not start, or a revision could not be served."""
