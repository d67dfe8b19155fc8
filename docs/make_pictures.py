"""Makes the pictures of the documentation from a run: ``python docs/make_pictures.py``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import respine
from respine import report

IMAGES = Path(__file__).parent / "img"
SHOWN = [
    "plasma_ketamine",
    "nmdar_occupancy",
    "glutamate",
    "bdnf_release",
    "mtorc1",
    "synapse_number",
    "circuit",
    "MADRS",
]


def main() -> None:
    """Run the study of the README and draw its chain."""
    with tempfile.TemporaryDirectory() as place:
        results = respine.simulate("murrough-2013", Path(place) / "run")
        figure, _ = report.plot_chain(report.read(results.folder), only=SHOWN)
        IMAGES.mkdir(exist_ok=True)
        figure.savefig(IMAGES / "chain.png", dpi=110, facecolor="white")


if __name__ == "__main__":
    main()
