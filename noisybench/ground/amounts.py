"""Amounts of time and of memory as people say them."""


def duration(seconds: float) -> str:
    """A time for people.

    >>> duration(12.4), duration(600), duration(9000)
    ('12 s', '10 min', '2.5 h')
    """
    if seconds < 90:  # noqa: PLR2004 - below, seconds are told
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"  # noqa: PLR2004 - above, hours are told


def size(count: float) -> str:
    """Bytes for people, in powers of ten.

    >>> size(3_400), size(52e6), size(3.1e9)
    ('3.4 kB', '52 MB', '3.1 GB')
    """
    for unit, power in (("GB", 1e9), ("MB", 1e6)):
        if count >= power:
            return f"{count / power:.{1 if count < 10 * power else 0}f} {unit}"
    return f"{count / 1e3:.1f} kB"
