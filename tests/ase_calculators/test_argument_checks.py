# SPDX-License-Identifier: BSD-3-Clause
"""Checks of arguments that many functions share."""

import doctest
import re

import numpy as np
import pytest

from ase_calculators import argument_checks
from ase_calculators.argument_checks import check_whole, is_number


def test_doctests():
    assert doctest.testmod(argument_checks, optionflags=doctest.ELLIPSIS).failed == 0


@pytest.mark.parametrize("value", [1, 7, np.int64(7), np.uint8(7)], ids=repr)
def test_whole_numbers(value):
    assert check_whole("n", value, 1, 7) == value
    assert type(check_whole("n", value)) is int


@pytest.mark.parametrize("value", [0, 8, -1, 1.0, "1", None, True, np.True_, [1], np.array([1, 2])],
                         ids=repr)  # fmt: skip
def test_what_is_not_one(value):
    text = re.escape(f"n = {value!r}: must be a whole number from 1 to 7")
    with pytest.raises(ValueError, match=f"^{text}$"):
        check_whole("n", value, 1, 7)
    assert is_number(value) == (isinstance(value, int | float) and not isinstance(value, bool))


def test_an_open_range():
    assert check_whole("seed", 0, 0) == 0
    with pytest.raises(ValueError, match=r"^seed = -1: must be a whole number, 0 or more$"):
        check_whole("seed", -1, 0)


@pytest.mark.parametrize("value", [1, 1.5, np.float32(2), np.int8(3), np.nan, np.inf], ids=repr)
def test_numbers(value):
    assert is_number(value)
    assert not is_number(complex(value))
