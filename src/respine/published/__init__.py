"""What papers printed: rows of the evidence tables, read by their columns, matched to a study and set beside its prediction."""

from respine.published.bars import Bar, BarKind, Published, published
from respine.published.compare import Comparison, beside, compare, summary
from respine.published.matching import Match, matches
from respine.published.reasons import About, NotCompared, Reason, Remark
from respine.published.rows import read_row

__all__ = [
    "About",
    "Bar",
    "BarKind",
    "Comparison",
    "Match",
    "NotCompared",
    "Published",
    "Reason",
    "Remark",
    "beside",
    "compare",
    "matches",
    "published",
    "read_row",
    "summary",
]
