"""The version of Hubbub."""

__version__ = "0.2.0"
