"""Is the model good enough for its use? One offline page in the form of a model-credibility assessment, all computed."""

from respine.credibility.assess import Assessment, Options, Work, assess, plan
from respine.credibility.page import html, place_for, write

__all__ = ["Assessment", "Options", "Work", "assess", "html", "place_for", "plan", "write"]
