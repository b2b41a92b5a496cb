"""Every error that a caller may want to catch. Each says what was wrong, what was expected and how to mend it.

NoisybenchError
├── Unfinished        a shard has done its share, and others have not (exit code 0)
├── BadUsage          an argument cannot be meant so (exit code 2)
│   └── UnknownName   no source, noise, model, detector, metric or option of that name
└── BadData           a file or an array is not what it must be (exit code 1)
    ├── Mismatch      two artifacts that must describe the same labels do not
    ├── MissingColumn a detector asks for a trace column that was not observed
    ├── MissingPackage an optional package is needed and not installed
    └── TrainingFailed the model or its loss broke
"""


class NoisybenchError(Exception):
    """Root of the errors that noisybench raises on purpose."""


class Unfinished(NoisybenchError):
    """A shard has carried out its share, and what needs all tasks waits for the others: no failure, nothing is lost."""


class BadUsage(NoisybenchError, ValueError):
    """An argument that cannot be meant so."""


class UnknownName(BadUsage, LookupError):
    """Nothing of that name exists."""


class BadData(NoisybenchError, ValueError):
    """A file or an array that is not what it must be."""


class Mismatch(BadData):
    """Two artifacts that must describe the same labels do not."""


class MissingColumn(BadData, LookupError):
    """A detector asks for a trace column that was not observed."""


class MissingPackage(BadData, ImportError):
    """An optional package is needed and not installed."""


class TrainingFailed(BadData):
    """The model or its loss broke during training."""
