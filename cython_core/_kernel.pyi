# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]

def density_of(number_density: float | None) -> float: ...

class Kernel:
    def __init__(
        self,
        rmax: float,
        sigma: float,
        q6_cutoff: float,
        dr: float | None = None,
        degree: int = 6,
        smooth: float = 0.0,
    ) -> None: ...
    @property
    def parameters(self) -> dict[str, Any]: ...
    @property
    def rmax(self) -> float: ...
    @property
    def sigma(self) -> float: ...
    @property
    def dr(self) -> float: ...
    @property
    def q6_cutoff(self) -> float: ...
    @property
    def degree(self) -> int: ...
    @property
    def smooth(self) -> float: ...
    @property
    def pair_cutoff(self) -> float: ...
    @property
    def r(self) -> Float: ...
    @property
    def isa(self) -> str: ...
    def evaluate(
        self,
        positions: ArrayLike,
        cell: ArrayLike,
        pbc: bool | ArrayLike,
        number_density: float | None = None,
        threads: int = 1,
    ) -> tuple[float, float]: ...
    def radial_distribution(
        self,
        positions: ArrayLike,
        cell: ArrayLike,
        pbc: bool | ArrayLike,
        number_density: float | None = None,
        threads: int = 1,
    ) -> tuple[Float, Float]: ...
    def local(
        self,
        positions: ArrayLike,
        cell: ArrayLike,
        pbc: bool | ArrayLike,
        number_density: float | None = None,
        threads: int = 1,
    ) -> dict[str, Float]: ...
    def gradients(
        self,
        positions: ArrayLike,
        cell: ArrayLike,
        pbc: bool | ArrayLike,
        number_density: float | None = None,
        threads: int = 1,
    ) -> dict[str, Any]: ...
    def evaluate_batch(
        self,
        positions: ArrayLike,
        offsets: Sequence[int] | NDArray[np.integer[Any]],
        cells: ArrayLike,
        pbc: bool | ArrayLike,
        number_density: float | ArrayLike | None = None,
        threads: int = 1,
    ) -> Float: ...
    def count_pairs(
        self,
        positions: ArrayLike,
        cell: ArrayLike,
        pbc: bool | ArrayLike,
        number_density: float | None = None,
    ) -> float: ...

class Breeder:
    def __init__(
        self,
        kernel: Kernel,
        displacement: float = 0.0,
        rate: float = 0.3,
        volume: float = 0.0,
        shape: float = 0.0,
        swaps: int = 0,
        probabilities: ArrayLike = (0.5, 0.5, 0.5, 0.5),
        min_distance: ArrayLike = ((0.0,),),
        frozen: ArrayLike | None = None,
        volume_limits: tuple[float, float] = (0.0, 1e300),
        angle_limits: tuple[float, float] = (0.0, 180.0),
        names: Sequence[str] = (),
        attempts: int = 20,
        smooth: float | None = None,
    ) -> None: ...
    def check(
        self,
        positions: ArrayLike,
        cells: ArrayLike,
        species: ArrayLike | None = None,
        pbc: bool | ArrayLike = True,
    ) -> None: ...
    def breed(
        self,
        positions: ArrayLike,
        cells: ArrayLike,
        values: ArrayLike,
        target: ArrayLike,
        extent: ArrayLike,
        n_children: int,
        species: ArrayLike | None = None,
        pbc: bool | ArrayLike = True,
        number_density: float | None = None,
        n_library: int | None = None,
        n_counted: int | None = None,
        fresh: float = 0.3,
        steps: int = 6,
        tolerance: float = 0.02,
        direct: bool = False,
        seed: int = 0,
        stream: Sequence[int] = (0, 0, 0),
        threads: int = 1,
    ) -> dict[str, NDArray[Any]]: ...

def atom_lines(names: Sequence[str], species: ArrayLike, positions: ArrayLike) -> bytes: ...
def fingerprint(
    names: Sequence[str],
    species: ArrayLike,
    positions: ArrayLike,
    cells: ArrayLike,
    pbc: bool | ArrayLike,
) -> str: ...
def atom_rows(
    text: bytes,
    start: int,
    n: int,
    columns: NDArray[np.intc],
    symbols: NDArray[np.int16],
    more: bool = False,
) -> tuple[Float, NDArray[np.int64] | None, NDArray[np.int32] | None] | None: ...
def frame_rows(
    texts: Sequence[bytes],
    starts: Sequence[int],
    counts: Sequence[int],
    columns: NDArray[np.intc],
    symbols: NDArray[np.int16],
    more: bool = False,
    by_id: bool = True,
) -> tuple[Float, NDArray[np.int32] | None, NDArray[np.bool_]]: ...

class XyzCut:
    def scan(self, text: bytes | bytearray, last: bool) -> list[int]: ...
    def drop(self, n: int) -> None: ...

def window_of(values: ArrayLike, expand: float) -> tuple[float, float, float, float]: ...
def target_points(
    window: tuple[float, float, float, float], n: int, interior: bool = False
) -> NDArray[np.float64]: ...

class Gaps:
    def __init__(self, window: tuple[float, float, float, float], n: int) -> None: ...
    def add(self, values: ArrayLike) -> None: ...
    def next(self) -> tuple[tuple[float, float], int] | None: ...

class Evolution:
    generation: int
    done: bool
    pool: list[int]
    n_children: int
    hits: int
    nearest: tuple[float, float]
    distance: float

    def __init__(
        self,
        target: ArrayLike,
        extent: ArrayLike,
        values: ArrayLike,
        generations: int,
        hits: int | None = None,
        elitism: bool = False,
        tolerance: float = 0.02,
        pool: Sequence[int] = (),
    ) -> None: ...
    def take(self, structures: Sequence[int], values: ArrayLike) -> None: ...

class Bias:
    centres: tuple[float, float]
    work: float
    hill_energy: float
    height: float
    offset: float
    n_hills: int
    hills: Float
    state: Float
    header: bytes

    def __init__(
        self,
        names: tuple[str, str],
        restraints: ArrayLike,
        steps: ArrayLike,
        walls: Sequence[tuple[int, bool, float, float]] = (),
        every: int = 0,
        height: float = 0.0,
        temperature: float = 0.0,
        boltzmann: float = 0.0,
        bias_factor: float = ...,
        widths: Sequence[float] = (0.0, 0.0),
        spacings: Sequence[float] = (0.0, 0.0),
    ) -> None: ...
    def acts_on(self, variable: int) -> bool: ...
    def begin(self, step: int) -> None: ...
    def energy(self, values: ArrayLike) -> tuple[float, tuple[float, float]]: ...
    def visit(self, step: int, values: ArrayLike) -> bytes | None: ...
    def settle(self, step: int, values: ArrayLike) -> None: ...
    def define(self, **entries: object) -> None: ...
    def restore(self, state: ArrayLike) -> bool: ...
    @staticmethod
    def line(hill: ArrayLike) -> bytes: ...
    def read(
        self, text: bytes, headed: bool = True, most: int | None = None
    ) -> tuple[Float, int]: ...
    def add(self, hills: ArrayLike, own: bool = True) -> None: ...
    def forget_others(self) -> None: ...
