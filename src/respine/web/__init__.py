"""The living model in a page: one offline file that solves the real equations, and the small server beside it."""

from respine.web.page import write
from respine.web.scenes import Scene, names, scene_of
from respine.web.widget import explore

__all__ = ["Scene", "explore", "names", "scene_of", "write"]
