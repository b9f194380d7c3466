# SPDX-License-Identifier: BSD-3-Clause
"""Renderings of frames by OVITO's Tachyon, with a legend."""

import os
import tempfile
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, fields
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from tqdm.auto import tqdm

from ase_calculators.argument_checks import check_whole
from ase_calculators.entropy_symmetry import EntropySymmetry
from ase_calculators.fault_sequence import FCC, FaultType
from ase_calculators.frame_source import open_frames
from ase_calculators.pillar.frame import (
    FrameOptions,
    MissingColumns,
    as_atoms,
    checked_options,
    checked_text,
    dump_column,
    identify,
    import_ovito,
    load_frame,
)
from ase_calculators.provenance import atomic_write

VULKAN = (
    "rendering needs Vulkan, which this machine lacks: apt-get install libvulkan1 "
    "mesa-vulkan-drivers"
)


@dataclass
class _Look:
    """The options of a picture, as in `render_pillar`."""

    color: str = "structure"
    strip_surface: bool = True
    hide_fcc: bool = False
    calc: EntropySymmetry | None = None
    limits: tuple[float, float] | None = None
    size: tuple[int, int] = (480, 720)
    direction: Sequence[float] = (2.0, 3.0, -1.0)
    rmsd_cutoff: float = 0.13
    max_layers: int = 12

    def __post_init__(self) -> None:
        self.options = checked_options(self.rmsd_cutoff, self.max_layers, False, self.calc)
        if self.color not in ("structure", "fault", "entropy"):
            raise ValueError(f"color = {self.color!r}: must be 'structure', 'fault' or 'entropy'")
        limits, size, direction = (
            _numbers(value) for value in (self.limits, self.size, self.direction)
        )
        wanted = {
            "limits": (
                "two numbers, the smaller one first",
                self.limits is None or (limits.shape == (2,) and limits[0] < limits[1]),
            ),
            "size": (
                "two whole numbers of pixels, 16 or more",
                size.shape == (2,) and (size >= 16).all() and (size % 1 == 0).all(),
            ),
            "direction": (
                "three numbers, not all of them 0",
                direction.shape == (3,) and direction.any(),
            ),
        }
        for name, (text, right) in wanted.items():
            if not right:
                raise ValueError(f"{name} = {getattr(self, name)!r}: must be {text}")

    def needed(self) -> dict[str, Any] | None:
        """Return the parameters of the calculator if the picture needs it."""
        return self.options.calc if self.color == "entropy" else None


def _numbers(value: Any) -> np.ndarray:
    """Return finite numbers as an array; an empty one of anything else."""
    try:
        numbers = np.array(value, dtype=float)
    except (TypeError, ValueError):
        return np.empty(0)
    return numbers if np.isfinite(numbers).all() else np.empty(0)


def render_pillar(
    source: str | PathLike[str],
    output: str | PathLike[str],
    frame: int = -1,
    color: str = "structure",
    strip_surface: bool = True,
    hide_fcc: bool = False,
    calc: EntropySymmetry | None = None,
    limits: tuple[float, float] | None = None,
    size: tuple[int, int] = (480, 720),
    direction: Sequence[float] = (2.0, 3.0, -1.0),
    rmsd_cutoff: float = 0.13,
    max_layers: int = 12,
) -> Path:
    """Render a frame of a dump by OVITO's Tachyon into a PNG.

    Parameters
    ----------
    source : path-like
        LAMMPS text dump.
    output : path-like
        PNG file.
    frame : int
        Number of the frame in the dump, from 0, or from the last, -1.
    color : {"structure", "fault", "entropy"}
        Property that colors the atoms: PTM's structure type, `FaultType`, or the local entropy.
    strip_surface : bool
        Leave out the atoms at the surface and next to it.
    hide_fcc : bool
        Leave out the atoms of the perfect crystal.
    calc : EntropySymmetry, optional
        Calculator of the local entropy, for a dump without the column local_sS. If it has
        `elements`, the column element is needed and the other atoms are left out.
    limits : (float, float), optional
        Range of the local entropy, k_B. Default: the range of 96 % of the atoms.
    size : (int, int)
        Width and height, pixels.
    direction : (3,) sequence of float
        Direction of view.
    rmsd_cutoff, max_layers : float, int
        As in `analyse_pillar`.

    Returns
    -------
    pathlib.Path
        The PNG file.

    Raises
    ------
    RuntimeError
        If the machine lacks what rendering needs; the message names the packages.
    ValueError
        If there is no such frame or color.
    """
    look = _Look(
        color, strip_surface, hide_fcc, calc, limits, size, direction, rmsd_cutoff, max_layers
    )
    data = _colored(_read_frame(source, frame, look.needed()), look)
    _render(data, look, output, None)
    return Path(output)


def render_movie(
    dump: str | PathLike[str],
    folder: str | PathLike[str],
    color: str = "structure",
    stride: int = 1,
    progress: bool = True,
    **options: Any,
) -> list[Path]:
    """Render the frames of a dump into numbered PNGs, from one point of view.

    ``ffmpeg -i folder/%05d.png movie.mp4`` makes a movie of them. Existing pictures are kept, so
    that an interrupted run resumes.

    Parameters
    ----------
    dump : path-like
        LAMMPS text dump.
    folder : path-like
        Folder of the pictures; it is made if it does not exist.
    color : {"structure", "fault", "entropy"}
        As in `render_pillar`.
    stride : int
        Interval of the frames that are rendered.
    progress : bool
        Show the progress bar.
    **options
        strip_surface, hide_fcc, calc, limits, size, direction, rmsd_cutoff, max_layers of
        `render_pillar`. With `limits`, a color means the same in all frames.

    Returns
    -------
    list of pathlib.Path
        The pictures, numbered from 0; broken frames have none.

    Raises
    ------
    RuntimeError
        If the machine lacks what rendering needs; the message names the packages.
    """
    unknown = options.keys() - {option.name for option in fields(_Look)}
    if unknown:
        raise TypeError(f"{', '.join(sorted(unknown))}: no such option of render_pillar")
    look = _Look(color, **options)
    check_whole("stride", stride)
    Path(folder).mkdir(parents=True, exist_ok=True)
    frames, _ = open_frames(dump, "lammps-dump-text", stride, {})
    pictures: list[Path] = []
    view = None
    for frame in tqdm(frames, desc="pictures", disable=None if progress else True):
        picture = Path(folder) / f"{len(pictures):05d}.png"
        try:
            text = checked_text(frame, look.needed())
            if not picture.exists() or view is None:
                view = _render(_colored(text, look), look, picture, view)
        except MissingColumns as error:
            raise ValueError(f"dump = {fspath(dump)!r}: {error}") from None
        except ValueError:  # a broken frame must not cost the others
            continue
        pictures.append(picture)
    return pictures


def _read_frame(source: Any, frame: int, calc: dict[str, Any] | None) -> bytes:
    """Return the text of one frame of a dump."""
    if not isinstance(frame, int | np.integer):
        raise ValueError(f"frame = {frame!r}: must be a whole number, from 0 or, from the last, -1")
    frames, _ = open_frames(source, "lammps-dump-text", 1, {})
    last: deque[bytes] = deque(maxlen=max(-frame, 1))
    for number, candidate in enumerate(frames):
        try:
            last.append(checked_text(candidate, calc))
        except MissingColumns as error:
            raise ValueError(f"source = {fspath(source)!r}: {error}") from None
        except ValueError:
            continue
        if number == frame:
            return last[-1]
    if frame >= 0 or len(last) < -frame:
        raise ValueError(f"frame = {frame}: {fspath(source)} has no such whole frame")
    return last[0]


def _colored(text: bytes, look: _Look) -> Any:
    """Return a frame with colors, without the atoms that are not shown."""
    data = load_frame(text)
    identify(data, look.options)
    hidden = np.asarray(data.particles.selection) != 0
    if not look.strip_surface:
        hidden[:] = False
    perfect = np.asarray(data.particles.structure_types) == FCC
    if look.color == "fault":
        perfect &= _color_faults(data, look.options) == FaultType.NONE
    elif look.color == "entropy":
        hidden |= _color_entropy(data, look, hidden)
    if look.hide_fcc:
        hidden |= perfect
    if hidden.all():
        hidden[:] = False
    data.particles_.create_property("Selection", data=hidden.astype(np.int8))
    data.apply(import_ovito().modifiers.DeleteSelectedModifier())
    for name in list(data.surfaces):
        data.objects.remove(data.surfaces[name])
    return data


def _color_faults(data: Any, options: FrameOptions) -> np.ndarray:
    """Color atoms by fault type; return the types."""
    from ase_calculators import ovito_modifiers

    found = ovito_modifiers.read_fault_sequence(data, None, options.max_layers)
    if found is None:
        raise ValueError(f"color = 'fault': {ovito_modifiers.not_fcc(data)}; use 'structure'")
    ovito_modifiers.write_fault_sequence(data, found)
    return found.type


def _color_entropy(data: Any, look: _Look, hidden: np.ndarray) -> np.ndarray:
    """Color atoms by local entropy; return whether the calculator leaves an atom out."""
    modifiers = import_ovito().modifiers
    values = dump_column(data.particles, "local_sS")
    others = np.zeros(len(hidden), dtype=bool)
    if values is None:
        calc = look.options.calc
        if calc is None:
            raise ValueError(
                "color = 'entropy': the dump has no column local_sS; dump it by compute "
                "entsym/atom, or give calc"
            )
        atoms = as_atoms(data)
        values = EntropySymmetry(**calc).get_property("local_sS", atoms)
        if elements := calc["elements"]:
            others = ~np.isin(atoms.numbers, [atomic_numbers[x] for x in elements])
    data.particles_.create_property("Local entropy", data=np.asarray(values, dtype=float))
    hidden = hidden | others
    shown = values if hidden.all() else values[~hidden]
    limits = np.percentile(shown, [2, 98]) if look.limits is None else look.limits
    start, end = (float(limit) for limit in limits)
    data.particles_.create_property(
        "Local entropy range", data=np.tile([start, end], (len(values), 1))
    )
    data.apply(modifiers.ColorCodingModifier(
        property="Local entropy", start_value=start, end_value=end,
        gradient=modifiers.ColorCodingModifier.Viridis(),
    ))  # fmt: skip
    return others


def _render(
    data: Any, look: _Look, output: str | PathLike[str], view: tuple[Any, float] | None
) -> tuple[Any, float]:
    """Render a frame; return the point of view, for the next picture."""
    ovito = import_ovito()
    size = (int(look.size[0]), int(look.size[1]))
    pipeline = ovito.pipeline.Pipeline(source=ovito.pipeline.StaticSource(data=data))
    pipeline.add_to_scene()
    try:
        cell = pipeline.compute().cell
        if cell is not None:
            cell.vis.enabled = False
        viewport = ovito.vis.Viewport(
            type=ovito.vis.Viewport.Type.Ortho, camera_dir=tuple(look.direction)
        )
        if view is None:
            viewport.zoom_all(size=size)
        else:
            viewport.camera_pos, viewport.fov = view
        with tempfile.TemporaryDirectory() as folder:
            bare = os.path.join(folder, "bare.png")
            viewport.render_image(filename=bare, size=size,
                                  renderer=ovito.vis.TachyonRenderer(shadows=False))  # fmt: skip
            _add_legend(bare, output, pipeline.compute().particles, look.color)
        return viewport.camera_pos, viewport.fov
    except RuntimeError as error:
        if "Vulkan" in str(error):
            raise RuntimeError(VULKAN) from error
        raise
    finally:
        pipeline.remove_from_scene()


def _add_legend(bare: str, output: str | PathLike[str], particles: Any, color: str) -> None:
    """Add the legend and write the picture in 256 colors, a third of the size."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    from PIL import Image

    pixels = np.asarray(Image.open(bare).convert("RGB"))
    height, width = pixels.shape[:2]
    figure = Figure(figsize=(width / 100, height / 100), dpi=100)
    figure.figimage(pixels, zorder=-1)
    if color == "entropy":
        values = np.asarray(particles["Local entropy"])
        start, end = particles["Local entropy range"][0]
        bar = figure.add_axes((0.08, 0.93, 0.4, 0.02))
        scale = ScalarMappable(Normalize(start, end), colormaps["viridis"])
        extend = "both" if (values < start).any() or (values > end).any() else "neither"
        figure.colorbar(scale, cax=bar, orientation="horizontal", extend=extend)
        bar.tick_params(labelsize=8)
        bar.set_title("local entropy ($k_B$)", fontsize=9)
    else:
        kind = particles["Structure Type" if color == "structure" else "Fault Type"]
        present = np.unique(kind)
        names = {0: "other"} if color == "structure" else {}
        figure.legend(
            handles=[
                Patch(facecolor=type_.color, edgecolor="0.6", lw=0.5,
                      label=names.get(type_.id, type_.name))
                for type_ in kind.types if type_.id in present
            ],
            loc="upper left", frameon=False, fontsize=9,
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "picture.png")
        figure.savefig(path, dpi=100)
        picture = Image.open(path).convert("RGB")
        picture = picture.quantize(palette=picture.quantize(256))  # the second time with dithering
        with atomic_write(output, "wb") as file:
            picture.save(file, format="PNG", optimize=True)
