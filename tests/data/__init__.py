"""Files of other projects whose licences allow it, each folder with its notice."""

from pathlib import Path

CHATS = Path(__file__).parent / "chat-miner"
"""Chats of WhatsApp, Telegram and Signal, and what is in them."""
