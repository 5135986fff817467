"""Print the table of all settings."""

from analysis.settings import settings_table

print(settings_table())
