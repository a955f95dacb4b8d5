"""promptstudio.toml → `Settings`. `load_settings` is the door."""

from promptstudio.config.load import find_project_file, load_settings, settings_as_of
from promptstudio.config.settings import EnvValue, Origin, ProviderSettings, Settings

__all__ = ["EnvValue", "Origin", "ProviderSettings", "Settings", "find_project_file", "load_settings", "settings_as_of"]
