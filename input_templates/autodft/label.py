#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Label the frames of files that ASE reads, on the machines of machines.yaml.

python label.py frames.extxyz --machines machines.yaml --output set

If it is interrupted, run it again: it resumes. Frames that are in the ledger with the same settings
are not calculated again.
"""

import argparse
from pathlib import Path

import ase.io

from ase_calculators.autodft import AutoDFT, DFTSettings

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Read the command line; add the frames, label them and export the labels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", nargs="+", type=Path, help="files with structures")
    parser.add_argument(
        "--machines", type=Path, default=HERE / "machines.laptop.yaml", help="(%(default)s)"
    )
    parser.add_argument("--ledger", default="labels.db", help="SQLite file or URL (%(default)s)")
    parser.add_argument(
        "--code", default="gpaw", help="vasp, gpaw, espresso or abinit (%(default)s)"
    )
    parser.add_argument("--cutoff", type=float, default=600.0, help="eV (%(default)s)")
    parser.add_argument("--k-spacing", type=float, default=0.04, help="2 pi/Å (%(default)s)")
    parser.add_argument("--smearing", type=float, default=0.05, help="eV (%(default)s)")
    parser.add_argument("--equivalent", action="store_true", help="skip equivalent cells")
    parser.add_argument("--spin", action="store_true", help="use the frames' magnetic moments")
    parser.add_argument("--output", type=Path, default=Path("set"), help="(%(default)s)")
    parser.add_argument(
        "--format", default="deepmd/npy", choices=("deepmd/npy", "deepmd/npy/mixed", "extxyz"),
        help="(%(default)s)",
    )  # fmt: skip
    args = parser.parse_args()
    try:
        settings = DFTSettings.paper(
            args.code, cutoff=args.cutoff, k_spacing=args.k_spacing, smearing=args.smearing,
            spin=args.spin,
        )  # fmt: skip
        dft = AutoDFT(args.ledger, settings, args.machines)
        if args.equivalent and args.spin:
            raise ValueError("--equivalent: moments are not compared; use it without --spin")
    except (ValueError, ImportError) as error:
        raise SystemExit(str(error)) from None
    for path in args.frames:
        try:
            frames = ase.io.read(path, ":")
        except Exception as error:  # each format has its own errors
            raise SystemExit(f"{path}: cannot be read: {error}") from None
        try:
            added = dft.add(frames, equivalent=args.equivalent)
        except RuntimeError as error:
            raise SystemExit(str(error)) from None
        print(f"{path}: {added.new} new, {added.known} known, {len(added.refused)} refused")
        for number, key in added.equivalent:
            print(f"  frame {number}: is equivalent to {key[:12]}...")
        for number, reason in added.refused:
            print(f"  frame {number}: {reason}")
    try:
        print(dft.run())
    except KeyboardInterrupt:
        raise SystemExit("\nstopped; sent jobs continue, run again to collect them") from None
    except RuntimeError as error:
        raise SystemExit(str(error)) from None
    try:
        n_frames = dft.export(args.output, args.format)
    except (ValueError, ImportError, OSError, RuntimeError) as error:
        raise SystemExit(str(error)) from None
    print(f"{n_frames} labels in {args.output}")


if __name__ == "__main__":
    main()
