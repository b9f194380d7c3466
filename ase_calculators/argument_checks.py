# SPDX-License-Identifier: BSD-3-Clause
"""Checks of arguments that many functions share, and the one line that an error becomes."""

from typing import Any

import numpy as np


def check_whole(name: str, value: Any, minimum: int = 1, maximum: int | None = None) -> int:
    """Check that an argument is a whole number within its range.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    value : object
        Value that the user gave; True and False are not numbers.
    minimum : int
        Smallest number allowed.
    maximum : int, optional
        Largest number allowed. Default: no limit.

    Returns
    -------
    int
        The number.

    Raises
    ------
    ValueError
        If it is not a whole number or out of range.

    Examples
    --------
    >>> check_whole("processes", 0)
    Traceback (most recent call last):
    ValueError: processes = 0: must be a whole number, 1 or more
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < minimum or (maximum is not None and value > maximum):
        allowed = f", {minimum} or more" if maximum is None else f" from {minimum} to {maximum}"
        raise ValueError(f"{name} = {value!r}: must be a whole number{allowed}")
    return int(value)


def is_number(value: Any) -> bool:
    """Return whether a value is a real number; True and False are not.

    Parameters
    ----------
    value : object
        Value that the user gave.

    Returns
    -------
    bool
        True for Python's and NumPy's integers and floats, NaN and infinity among them.
    """
    numbers = int | float | np.integer | np.floating
    return isinstance(value, numbers) and not isinstance(value, bool)


def one_line(error: BaseException) -> str:
    """Return the message of an error on one line.

    Parameters
    ----------
    error : BaseException
        The error.

    Returns
    -------
    str
        Its message, each run of white space as one space; without a message, its kind.

    Examples
    --------
    >>> one_line(ValueError("first\\n   second"))
    'first second'
    >>> one_line(KeyboardInterrupt())
    'KeyboardInterrupt'
    """
    return " ".join(str(error).split()) or type(error).__name__
