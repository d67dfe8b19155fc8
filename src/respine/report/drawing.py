"""A figure and the table behind it: shown by a notebook, unpacked by a script."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from respine.report import theme

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_DPI = 110  # of the picture that a notebook shows


class Drawing(NamedTuple):
    """A matplotlib ``figure`` and the ``table`` of the numbers in it.

    A notebook shows it without further commands; ``figure, table = plot_chain(run)`` takes it apart.
    """

    figure: Figure
    table: pd.DataFrame

    def save(self, path: str | Path, dpi: float = 300) -> Path:
        """Write the figure as the ending says (png, svg, pdf, eps), on white; returns the path."""
        with theme.drawn():
            self.figure.savefig(path, dpi=dpi, facecolor="white")
        return Path(path)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        with theme.drawn():
            self.figure.savefig(buffer, format="png", dpi=_DPI, facecolor="white")
        return buffer.getvalue()

    def _repr_html_(self) -> str:
        picture = base64.b64encode(self._repr_png_()).decode()
        about = f"{len(self.table)} rows behind it in <code>.table</code>; <code>.save(path)</code> writes it"
        style = "max-width: 100%; background: white"
        return (
            f'<img alt="figure" style="{style}" src="data:image/png;base64,{picture}"><div><small>{about}</small></div>'
        )

    def __repr__(self) -> str:
        width, height = self.figure.get_size_inches()
        return f"Drawing({len(self.figure.axes)} axes, {width:.1f} x {height:.1f} in, {len(self.table)} rows; .figure, .table)"


class Piece(NamedTuple):
    """A part of a plot that a page must not cut: its figure for a wide and for a narrow screen."""

    name: str
    title: str
    wide: Figure
    narrow: Figure
