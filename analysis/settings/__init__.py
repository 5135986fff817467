"""Limits and locations, each with an environment variable that overrides it.

``python -m analysis.settings`` prints the table of them that README holds.
"""

from analysis.settings.fields import Settings
from analysis.settings.reading import settings, settings_of, settings_table

__all__ = ["Settings", "settings", "settings_of", "settings_table"]
